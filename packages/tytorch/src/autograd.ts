// torch.autograd: gradients as values, custom functions, checks, and modes.

export { type GradcheckOptions, gradcheck, gradgradcheck } from './ops/gradcheck.ts'
export { backwardAll as backward, type GradOptions, grad } from './ops/graph.ts'
export { AutogradFunction as Function, FunctionContext } from './tensor/function.ts'
export { detectAnomaly, enableGrad, inferenceMode, noGrad, setGradEnabled } from './tensor/mode.ts'
export { Node } from './tensor/node.ts'
