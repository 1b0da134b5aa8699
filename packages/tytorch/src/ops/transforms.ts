// torch.func: functions made of functions. Gradients go through the recorded graph, and vmap calls once an item.
// https://pytorch.org/docs/stable/func.api.html
import { RuntimeError, ValueError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { enableGrad, isGradEnabled } from '../tensor/mode.ts'
import { AccumulateGrad, historyOf, type Node } from '../tensor/node.ts'
import { Tensor } from '../tensor/tensor.ts'
import { requireGrad, zerosLike } from './create.ts'
import { grad as gradOf } from './graph.ts'
import { stack } from './join.ts'
import { getRngState, setRngState } from './random.ts'

/** A tensor, or nested arrays and plain objects of tensors. */
// biome-ignore lint/suspicious/noExplicitAny: trees of any form
export type Tree = any
// biome-ignore lint/suspicious/noExplicitAny: the user's function
type AnyFunction = (...args: any[]) => any
type Argnums = number | readonly number[]

const isBranch = (x: unknown): x is Record<string, unknown> =>
  typeof x === 'object' &&
  x !== null &&
  !(x instanceof Tensor) &&
  (Array.isArray(x) || Object.getPrototypeOf(x) === Object.prototype)

/** The leaves of a tree, in order. */
function leavesOf(tree: unknown, found: unknown[] = []): unknown[] {
  if (isBranch(tree)) for (const item of Object.values(tree)) leavesOf(item, found)
  else found.push(tree)
  return found
}

/** A tree of the same form with other leaves. */
function mapTree(tree: unknown, fn: (leaf: unknown) => unknown): Tree {
  if (Array.isArray(tree)) return tree.map((item) => mapTree(item, fn))
  if (isBranch(tree)) return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, mapTree(item, fn)]))
  return fn(tree)
}

/** True if the graph of one of `outs` leads to a leaf other than those in `own`: it belongs to something outside. */
function reachesOutside(outs: readonly (Tensor | null)[], own: ReadonlySet<Tensor>): boolean {
  const seen = new Set<Node>()
  const stack: Node[] = []
  const visit = (node: Node | null): void => {
    if (!node || seen.has(node)) return
    seen.add(node)
    stack.push(node)
  }
  for (const out of outs) if (out) visit(historyOf(out))
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (node instanceof AccumulateGrad && !own.has(node.variable)) return true
    for (const next of node.next) visit(next)
  }
  return false
}

/** A function's call with handles of its own for the arguments that derivatives are taken by. */
class Call {
  /** The handles, of all chosen arguments. */
  readonly inputs: Tensor[] = []
  private readonly trees: unknown[] = []
  readonly result: unknown
  private readonly own: ReadonlySet<Tensor>
  private readonly outside: boolean

  constructor(func: AnyFunction, args: readonly unknown[], positions: readonly number[]) {
    this.outside = isGradEnabled()
    const given = [...args]
    for (const at of positions) {
      if (at >= args.length || at < -args.length)
        throw new RuntimeError(`Got argnum=${at}, but only ${args.length} positional inputs`)
      const i = at < 0 ? at + args.length : at
      given[i] = mapTree(args[i], (x) => {
        if (!(x instanceof Tensor))
          throw new ValueError(`Thing passed to transform API must be Tensor, got ${typeof x}`)
        const handle = this.outside && x.requiresGrad ? x.viewAs(x) : requireGrad(x.detach(), true)
        this.inputs.push(handle)
        return handle
      })
      this.trees.push(given[i])
    }
    this.own = new Set(this.inputs)
    this.result = enableGrad(() => func(...given))
  }

  /** A tensor for the caller: with its graph if that belongs to something outside. */
  released(x: Tensor): Tensor {
    return x.requiresGrad && !(this.outside && reachesOutside([x], this.own)) ? x.detach() : x
  }

  /** The gradients of `outs` by the inputs, zeros where there is none. */
  gradients(outs: readonly Tensor[], vectors: readonly (Tensor | null)[] | null, retainGraph: boolean): Tensor[] {
    const live = outs.flatMap((out, i) => (out.requiresGrad ? [[out, vectors?.[i] ?? null] as const] : []))
    if (live.length === 0) return this.inputs.map((x) => zerosLike(x.detach()))
    const createGraph =
      this.outside && reachesOutside([...live.map(([out]) => out), ...live.map(([, v]) => v)], this.own)
    const found = gradOf(
      live.map(([out]) => out),
      this.inputs,
      { gradOutputs: live.map(([, v]) => v), allowUnused: true, createGraph, retainGraph: retainGraph || createGraph },
    ) as (Tensor | null)[]
    return found.map((g, i) => (g === null ? zerosLike(this.inputs[i].detach()) : this.released(g)))
  }

  /** One value an input, in the form of the chosen arguments. */
  arranged(values: readonly unknown[]): unknown[] {
    const rest = [...values]
    return this.trees.map((tree) => mapTree(tree, () => rest.shift()))
  }
}

const listOf = (argnums: Argnums): readonly number[] => (typeof argnums === 'number' ? [argnums] : argnums)

interface GradOptions {
  readonly argnums?: Argnums
  /** The function answers [value, aux], and aux is answered with the result. */
  readonly hasAux?: boolean
}

function optionsOf(given: Argnums | GradOptions, hasAux: boolean): { argnums: Argnums; hasAux: boolean } {
  if (typeof given === 'number' || Array.isArray(given)) return { argnums: given as Argnums, hasAux }
  const options = given as GradOptions
  return { argnums: options.argnums ?? 0, hasAux: options.hasAux ?? hasAux }
}

function splitAux(result: unknown, hasAux: boolean, name: string): [value: unknown, aux: unknown] {
  if (!hasAux) return [result, undefined]
  if (Array.isArray(result) && result.length === 2) return [result[0], result[1]]
  throw new RuntimeError(`${name}(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True`)
}

/**
 * A function that answers the gradients of `func`, which answers one number, by the argument `argnums` (by several for
 * an array), and its value: [gradients, value], or [gradients, [value, aux]].
 */
export function gradAndValue(func: AnyFunction, argnums: Argnums | GradOptions = 0, hasAux = false): AnyFunction {
  const options = optionsOf(argnums, hasAux)
  return (...args: unknown[]): Tree => {
    const call = new Call(func, args, listOf(options.argnums))
    const [value, aux] = splitAux(call.result, options.hasAux, 'grad_and_value')
    if (!(value instanceof Tensor))
      throw new RuntimeError(`grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got ${typeof value}`)
    if (value.ndim !== 0) {
      throw new RuntimeError(
        `grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with ${value.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?`,
      )
    }
    const found = call.arranged(call.gradients([value], null, false))
    const grads = typeof options.argnums === 'number' ? found[0] : found
    const out = call.released(value)
    return [grads, options.hasAux ? [out, releasedTree(call, aux)] : out]
  }
}

const releasedTree = (call: Call, tree: unknown): unknown =>
  mapTree(tree, (x) => (x instanceof Tensor ? call.released(x) : x))

/** A function that answers the gradients of `func`, as `gradAndValue`'s: gradients, or [gradients, aux]. */
export function grad(func: AnyFunction, argnums: Argnums | GradOptions = 0, hasAux = false): AnyFunction {
  const options = optionsOf(argnums, hasAux)
  const both = gradAndValue(func, options)
  return (...args: unknown[]): Tree => {
    const [grads, value] = both(...args) as [Tree, Tree]
    return options.hasAux ? [grads, value[1]] : grads
  }
}

/**
 * [output, vjpFn] of `func` at `primals`; vjpFn takes a vector like the output and answers its product with the
 * Jacobian, one an argument. With `{hasAux: true}` after the primals [output, vjpFn, aux].
 */
export function vjp(func: AnyFunction, ...given: unknown[]): [output: Tree, vjpFn: AnyFunction, aux?: Tree] {
  const last = given[given.length - 1]
  const options = isBranch(last) && !Array.isArray(last) && 'hasAux' in last ? (given.pop() as GradOptions) : {}
  const call = new Call(
    func,
    given,
    given.map((_, i) => i),
  )
  const [output, aux] = splitAux(call.result, options.hasAux ?? false, 'vjp')
  const outs = leavesOf(output) as Tensor[]
  if (outs.some((out) => !(out instanceof Tensor)))
    throw new RuntimeError('vjp(f, *primals): Expected f(*primals) to return only tensors')
  const vjpFn = (...cotangents: unknown[]): Tree[] =>
    call.arranged(call.gradients(outs, leavesOf(cotangents) as Tensor[], true))
  const shown = releasedTree(call, output)
  return options.hasAux ? [shown, vjpFn, releasedTree(call, aux)] : [shown, vjpFn]
}

/**
 * [output, product] of `func` at the array `primals`: its Jacobian times the array `tangents`, by going backwards twice.
 * With `{hasAux: true}` [output, product, aux].
 */
export function jvp(
  func: AnyFunction,
  primals: readonly Tree[],
  tangents: readonly Tree[],
  options: Omit<GradOptions, 'argnums'> = {},
): [output: Tree, product: Tree, aux?: Tree] {
  if (!Array.isArray(primals)) {
    throw new RuntimeError(
      'jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals).',
    )
  }
  const vectors = leavesOf(tangents) as Tensor[]
  const call = new Call(
    func,
    primals,
    primals.map((_, i) => i),
  )
  if (vectors.length !== call.inputs.length)
    throw new RuntimeError('jvp(f, primals, tangents): Expected primals and tangents to have the same structure')
  const [output, aux] = splitAux(call.result, options.hasAux ?? false, 'jvp')
  const product = enableGrad(() =>
    mapTree(output, (leaf) => {
      const out = leaf as Tensor
      if (!out.requiresGrad) return zerosLike(out)
      const seed = requireGrad(zerosLike(out.detach()), true)
      const back = gradOf(out, call.inputs, {
        gradOutputs: seed,
        createGraph: true,
        allowUnused: true,
      }) as (Tensor | null)[]
      const live = back.flatMap((g, i) => (g?.requiresGrad ? [[g, vectors[i]] as const] : []))
      if (live.length === 0) return zerosLike(out.detach())
      const [forward] = gradOf(
        live.map(([g]) => g),
        seed,
        { gradOutputs: live.map(([, v]) => v), allowUnused: true, createGraph: true },
      ) as (Tensor | null)[]
      return forward ? call.released(forward) : zerosLike(out.detach())
    }),
  )
  const shown = releasedTree(call, output)
  return options.hasAux ? [shown, product, releasedTree(call, aux)] : [shown, product]
}

/**
 * A function that answers the Jacobian of `func` by the argument `argnums`: in the form of the output, with [...output
 * sizes, ...input sizes] for each of its tensors, and an array of these where `argnums` is one.
 */
export function jacrev(func: AnyFunction, argnums: Argnums | GradOptions = 0, hasAux = false): AnyFunction {
  const options = optionsOf(argnums, hasAux)
  return (...args: unknown[]): Tree => {
    const call = new Call(func, args, listOf(options.argnums))
    const [output, aux] = splitAux(call.result, options.hasAux, 'jacrev')
    const jacobian = mapTree(output, (leaf) => {
      if (!(leaf instanceof Tensor))
        throw new RuntimeError(`jacrev(f)(*args): Expected f(*args) to return tensors, got ${typeof leaf}`)
      const flat = leaf.reshape(-1)
      const rows = Array.from({ length: leaf.count }, (_, j) => call.gradients([flat.select(0, j)], null, true))
      const blocks = call.inputs.map((x, n) => {
        const sizes = [...leaf.sizes, ...x.sizes]
        return rows.length === 0 ? x.detach().newZeros(sizes) : stack(rows.map((row) => row[n])).view(sizes)
      })
      const arranged = call.arranged(blocks)
      return typeof options.argnums === 'number' ? arranged[0] : arranged
    })
    return options.hasAux ? [jacobian, releasedTree(call, aux)] : jacobian
  }
}

/** As `jacrev`: there is no forward mode here, and the numbers are the same. */
export const jacfwd = jacrev

/** A function that answers the second derivatives of `func`, as the Jacobian of its Jacobian. */
export function hessian(func: AnyFunction, argnums: Argnums = 0): AnyFunction {
  return jacfwd(jacrev(func, argnums), argnums)
}

type InDims = number | null | readonly (number | null)[]
type OutDims = number | readonly number[]
interface VmapOptions {
  readonly inDims?: InDims
  readonly outDims?: OutDims
  /** What random draws inside do: throw (the default), differ from item to item, or be the same for all. */
  readonly randomness?: 'error' | 'different' | 'same'
  readonly chunkSize?: number | null
}

/**
 * `func` over the items of a dimension of its arguments (`inDims`; null for an argument that all items share), the
 * results stacked along `outDims`. The function is called once an item, which is right but no faster than a loop.
 */
export function vmap(
  func: AnyFunction,
  inDims: InDims | VmapOptions = 0,
  outDims: OutDims = 0,
  randomness: VmapOptions['randomness'] = 'error',
): AnyFunction {
  const named = isBranch(inDims) && !Array.isArray(inDims) ? (inDims as VmapOptions) : null
  const ins = named ? (named.inDims ?? 0) : (inDims as InDims)
  const outs = named?.outDims ?? outDims
  const draws = named?.randomness ?? randomness
  const name = func.name || '<lambda>'
  const shown = Array.isArray(ins) ? `(${ins.map((d) => d ?? 'None').join(', ')})` : String(ins ?? 'None')
  return (...args: unknown[]): Tree => {
    if (ins === null) {
      throw new ValueError(
        `vmap(${name}, in_dims=${shown}, ...)(<inputs>): expected \`in_dims\` to be int or a (potentially nested) tuple matching the structure of inputs, got: <class 'NoneType'>.`,
      )
    }
    const dims = typeof ins === 'number' ? args.map(() => ins) : ins
    if (dims.length !== args.length) {
      throw new ValueError(
        `vmap(${name}, in_dims=${shown}, ...)(<inputs>): in_dims is not compatible with the structure of \`inputs\`. in_dims has ${dims.length} items, inputs has ${args.length}.`,
      )
    }
    const size = sizeOf(args, dims, `vmap(${name}, in_dims=${shown}, ...)(<inputs>)`)
    const before = draws === 'different' ? null : getRngState()
    const results = Array.from({ length: size }, (_, i) => {
      if (draws === 'same' && i > 0) setRngState(before as Tensor)
      return func(...args.map((arg, n) => itemOf(arg, dims[n] ?? null, i)))
    })
    if (draws === 'error' && !getRngState().equal(before as Tensor)) {
      throw new RuntimeError(
        "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on vmap or perform the randomness operation out of vmap",
      )
    }
    return stacked(results, outs, name)
  }
}

function sizeOf(args: readonly unknown[], dims: readonly (number | null)[], where: string): number {
  const sizes = args.flatMap((arg, n) => {
    const dim = dims[n] ?? null
    if (dim === null) return []
    return leavesOf(arg).flatMap((x) => {
      if (!(x instanceof Tensor)) throw new ValueError(`${where}: Got in_dim=${dim} for an input that is no Tensor`)
      if (dim >= x.ndim || dim < -x.ndim) {
        throw new ValueError(
          `${where}: Got in_dim=${dim} for some input, but that input is a Tensor of dimensionality ${x.ndim} so expected in_dim to satisfy -${x.ndim} <= in_dim < ${x.ndim}.`,
        )
      }
      return [x.sizes[wrapDim(dim, x.ndim)]]
    })
  })
  if (sizes.length === 0) throw new ValueError(`${where}: at least one input must be mapped over`)
  const other = sizes.find((n) => n !== sizes[0])
  if (other === undefined) return sizes[0]
  throw new ValueError(
    `vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [${sizes.join(', ')}] for the mapped dimension`,
  )
}

const itemOf = (arg: unknown, dim: number | null, i: number): unknown =>
  dim === null ? arg : mapTree(arg, (x) => (x as Tensor).select(dim, i))

function stacked(results: readonly unknown[], outs: OutDims, name: string): Tree {
  if (results.length === 0) throw new ValueError(`vmap(${name}): there is no item to map over`)
  const [first] = results
  if (isBranch(first)) {
    return Object.entries(first).reduce<Tree>(
      (tree, [key], n) => {
        const dim = typeof outs === 'number' ? outs : (outs[n] as number)
        tree[key] = stacked(
          results.map((r) => (r as Record<string, unknown>)[key]),
          dim,
          name,
        )
        return tree
      },
      Array.isArray(first) ? [] : {},
    )
  }
  if (!(first instanceof Tensor)) {
    throw new ValueError(
      `vmap(${name}, ...): \`${name}\` must only return Tensors, got type ${typeof first}. Did you mean to set out_dims= to None for output?`,
    )
  }
  return stack(results as Tensor[], typeof outs === 'number' ? outs : (outs[0] as number))
}
