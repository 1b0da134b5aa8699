// torch.func: gradients of functions, Jacobians, vmap, and modules as functions of their parameters.
export { functionalCall, stackModuleState } from './nn/functionalcall.ts'
export { grad, gradAndValue, hessian, jacfwd, jacrev, jvp, vjp, vmap } from './ops/transforms.ts'
