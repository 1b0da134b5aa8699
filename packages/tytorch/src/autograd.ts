// torch.autograd: gradients as values, custom functions, checks, and modes.

export * as graph from './autogradgraph.ts'
export * as functional from './ops/functional.ts'
export { type GradcheckOptions, gradcheck, gradgradcheck } from './ops/gradcheck.ts'
export { backwardAll as backward, type GradOptions, grad } from './ops/graph.ts'
export { AutogradFunction as Function, FunctionContext, onceDifferentiable } from './tensor/function.ts'
export { detectAnomaly, enableGrad, inferenceMode, noGrad, setDetectAnomaly, setGradEnabled } from './tensor/mode.ts'
export { Node } from './tensor/node.ts'
