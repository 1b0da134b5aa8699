// torch.autograd.graph: nodes, edges and hooks of the recorded graph.
export * from './ops/savedhooks.ts'
export { Node } from './tensor/node.ts'
