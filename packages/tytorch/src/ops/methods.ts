// Which ops are methods of tensors, and their types: every export of these files becomes a method of the same name,
// and every in-place form a method with a trailing underscore. What is listed as internal is not.
import { Tensor } from '../tensor/tensor.ts'
import * as create from './create.ts'
import * as elementwise from './elementwise.ts'
import * as graph from './graph.ts'
import * as linear from './linear.ts'
import * as reduce from './reduce.ts'
import * as view from './view.ts'

// biome-ignore lint/suspicious/noExplicitAny: matches functions of every signature
type Method<F> = F extends (self: any, ...rest: infer R) => infer O ? (...rest: R) => O : never
type Methods<M, Internal extends string = never> = { [K in keyof M as K extends Internal ? never : K]: Method<M[K]> }
type InPlace<M> = { [K in keyof M & string as K extends `${string}_` ? never : `${K}_`]: Method<M[K]> }

const internal = {
  create: ['tensor', 'asTensor', 'zeros', 'ones', 'empty', 'full', 'arange', 'linspace', 'eye', 'finish', 'filled', 'fillValues', 'splitSizes', 'requireGrad'],
  reduce: ['valuesIndices', 'pickedGradient', 'variance', 'max', 'min'],
  view: ['slice', 'checkBroadcast'],
  graph: ['backwardAll', 'grad'],
} as const // biome-ignore format: a table

type Internal<K extends keyof typeof internal> = (typeof internal)[K][number]

/** The methods of a tensor that come from ops. */
export interface TensorMethods
  extends Methods<typeof create, Internal<'create'>>,
    Methods<typeof elementwise>,
    InPlace<typeof elementwise>,
    Methods<typeof graph, Internal<'graph'>>,
    Methods<typeof linear>,
    Methods<typeof reduce, Internal<'reduce'>>,
    Methods<typeof view, Internal<'view'>>,
    Pick<InPlace<typeof view>, 'transpose_' | 't_' | 'detach_'> {
  readonly max: reduce.ExtremeMethod
  readonly min: reduce.ExtremeMethod
  readonly var: Method<typeof reduce.variance>
}

type AnyFunction = ((...args: unknown[]) => unknown) & { inPlace?: (...args: unknown[]) => unknown }

function define(name: string, fn: (...args: unknown[]) => unknown): void {
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: unknown[]) {
      return fn(this, ...args)
    },
    writable: true,
    configurable: true,
  })
}

/** Adds the ops to `Tensor.prototype`; called once by the composition root. */
export function installMethods(): void {
  const modules: [object, readonly string[]][] = [
    [create, internal.create],
    [elementwise, []],
    [graph, internal.graph],
    [linear, []],
    [reduce, internal.reduce],
    [view, internal.view],
  ]
  for (const [module, hidden] of modules) {
    for (const [name, fn] of Object.entries(module) as [string, AnyFunction][]) {
      if (typeof fn !== 'function' || hidden.includes(name)) continue
      define(name, fn)
      if (fn.inPlace) define(`${name}_`, fn.inPlace)
    }
  }
  define('max', reduce.max as unknown as AnyFunction)
  define('min', reduce.min as unknown as AnyFunction)
  define('var', reduce.variance as unknown as AnyFunction)
}
