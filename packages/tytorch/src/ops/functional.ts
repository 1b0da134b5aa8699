// torch.autograd.functional: Jacobians, Hessians and their products with vectors.
// https://pytorch.org/docs/stable/autograd.html#functional-higher-level-api
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { type Args, bind, parse } from '../tensor/define.ts'
import { enableGrad, isGradEnabled, setGradEnabled } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { requireGrad, zerosLike } from './create.ts'
import { grad } from './graph.ts'
import { stack } from './join.ts'

/** One tensor, or several as an array where Python has a tuple. */
export type Tensors = Tensor | readonly Tensor[]
/** A function of tensors. */
export type TensorFunction = (...inputs: Tensor[]) => Tensors
/** A matrix of blocks: of one output by one input a tensor, else an array by output, by input, or by both. */
export type Blocks = Tensor | Tensor[] | Tensor[][]

function listOf(given: Tensors, what: string, name: string): [several: boolean, list: readonly Tensor[]] {
  const several = Array.isArray(given)
  const list = (several ? given : [given]) as readonly Tensor[]
  list.forEach((x, i) => {
    if (x instanceof Tensor) return
    throw new TypeError(
      `The ${what} given to ${name} must be either a Tensor or a tuple of Tensors but the ${several ? `value at index ${i}` : `given ${what}`} has type ${typeof x}.`,
    )
  })
  return [several, list]
}

/** The inputs as fresh handles: parts of the graph outside for `createGraph`, else leaves. */
function started(list: readonly Tensor[], createGraph: boolean, needsGraph: boolean): Tensor[] {
  return list.map((x) => (createGraph && x.requiresGrad ? x.viewAs(x) : requireGrad(x.detach(), needsGraph)))
}

function checkVector(v: readonly Tensor[], other: readonly Tensor[], several: boolean): void {
  if (v.length !== other.length) {
    throw new RuntimeError(
      several
        ? `v is a tuple of invalid length: should be ${other.length} but got ${v.length}.`
        : 'The given v should contain a single Tensor.',
    )
  }
  v.forEach((x, i) => {
    if (sameSizes(x.sizes, other[i].sizes)) return
    throw new RuntimeError(
      `${several ? `Entry ${i} in ` : ''}v has invalid size: should be ${other[i].shape} but got ${x.shape}.`,
    )
  })
}

const DEPENDENCE = {
  outputs: (i: number) =>
    `Output ${i} of the user-provided function does not require gradients. The outputs must be computed in a differentiable manner from the input when running in strict mode.`,
  gradInputs: (i: number) =>
    `The gradient with respect to input ${i} is independent of the inputs of the user-provided function. This is not allowed in strict mode.`,
  jacobian: (i: number) =>
    `While computing the hessian, found that the jacobian of the user-provided function with respect to input ${i} is independent of the input. This is not allowed in strict mode. You should ensure that your function is twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example).`,
} as const

function checkDependence(list: readonly (Tensor | null)[], what: keyof typeof DEPENDENCE, strict: boolean): void {
  if (!strict) return
  list.forEach((x, i) => {
    if (x === null)
      throw new RuntimeError(
        `The output of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`,
      )
    if (!x.requiresGrad) throw new RuntimeError(DEPENDENCE[what](i))
  })
}

/** `autograd.grad` where outputs without a graph count as constant. */
function gradients(
  outputs: readonly (Tensor | null)[],
  inputs: readonly Tensor[],
  vectors: readonly (Tensor | null)[] | null,
  options: { createGraph?: boolean; retainGraph?: boolean },
): (Tensor | null)[] {
  const live = outputs.flatMap((out, i) => (out?.requiresGrad ? [[out, vectors?.[i] ?? null] as const] : []))
  if (live.length === 0) return inputs.map(() => null)
  return grad(
    live.map(([out]) => out),
    inputs,
    { gradOutputs: live.map(([, v]) => v), allowUnused: true, ...options },
  )
}

type Stage = 'back' | 'back_trick' | 'double_back' | 'double_back_trick'
const INDEPENDENT: Record<Stage, (i: number) => string> = {
  back: (i) =>
    `The output of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`,
  back_trick: (i) =>
    `The gradient with respect to the input is independent of entry ${i} in the grad_outputs when using the double backward trick to compute forward mode gradients. This is not allowed in strict mode.`,
  double_back: (i) =>
    `The jacobian of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`,
  double_back_trick: (i) =>
    `The hessian of the user-provided function is independent of entry ${i} in the grad_jacobian. This is not allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.`,
}

function filled(
  grads: readonly (Tensor | null)[],
  like: readonly Tensor[],
  strict: boolean,
  createGraph: boolean,
  stage: Stage,
): Tensor[] {
  return grads.map((g, i) => {
    if (g === null) {
      if (strict) throw new RuntimeError(INDEPENDENT[stage](i))
      return zerosLike(like[i].detach())
    }
    if (strict && createGraph && !g.requiresGrad) {
      const what = stage.startsWith('double') ? 'hessian' : 'jacobian'
      throw new RuntimeError(
        `The ${what} of the user-provided function is independent of input ${i}. This is not allowed in strict mode when create_graph=True.`,
      )
    }
    return g
  })
}

function ended(list: readonly Tensor[], createGraph: boolean, several: boolean): Tensors {
  const all = createGraph ? [...list] : list.map((x) => x.detach())
  return several ? all : all[0]
}

const productSignature = parse('func, inputs, v, create_graph, strict')

interface ProductOptions {
  /** The vector; may be left out where it would be one number. */
  readonly v?: Tensors | null
  /** Records the computation, so that the result can be differentiated. */
  readonly createGraph?: boolean
  /** Throws RuntimeError for outputs that don't depend on an input, instead of answering zeros. */
  readonly strict?: boolean
}
type ProductArgs = Args<[v?: Tensors | null, createGraph?: boolean, strict?: boolean], ProductOptions>
/** What the function answers, and the product. */
export type WithProduct = [outputs: Tensors, product: Tensors]

function productArgs(name: string, func: TensorFunction, inputs: Tensors, rest: readonly unknown[]) {
  const [, , v = null, createGraph = false, strict = false] = bind(name, productSignature, [func, inputs, ...rest]) as [
    unknown,
    unknown,
    (Tensors | null)?,
    boolean?,
    boolean?,
  ]
  return { v, createGraph, strict }
}

/** As outside, or recording for `createGraph`. */
function afterwards<T>(createGraph: boolean, fn: () => T): T {
  return setGradEnabled(createGraph || isGradEnabled(), fn)
}

/** v^T J at `inputs`, for v like the outputs: [outputs, product like the inputs]. */
export function vjp(func: TensorFunction, inputs: Tensors, ...rest: ProductArgs): WithProduct {
  const { v, createGraph, strict } = productArgs('vjp', func, inputs, rest)
  const [severalIn, given] = listOf(inputs, 'inputs', 'vjp')
  const [severalOut, outs, xs, vector] = enableGrad(() => {
    const xs = started(given, createGraph, true)
    const [several, outs] = listOf(func(...xs), 'outputs of the user-provided function', 'vjp')
    checkDependence(outs, 'outputs', strict)
    return [several, outs, xs, vectorFor(v, outs, several, createGraph, 'vjp')] as const
  })
  const product = afterwards(createGraph, () =>
    filled(gradients(outs, xs, vector, { createGraph }), xs, strict, createGraph, 'back'),
  )
  return [ended(outs, createGraph, severalOut), ended(product, createGraph, severalIn)]
}

function vectorFor(
  v: Tensors | null,
  like: readonly Tensor[],
  several: boolean,
  createGraph: boolean,
  name: string,
): Tensor[] | null {
  if (v !== null) {
    const vector = started(listOf(v, 'v', name)[1], createGraph, false)
    checkVector(vector, like, several)
    return vector
  }
  if (like.length === 1 && like[0].count === 1) return null
  throw new RuntimeError(
    name === 'vjp'
      ? 'The vector v can only be None if the user-provided function returns a single Tensor with a single element.'
      : 'The vector v can only be None if the input to the user-provided function is a single Tensor with a single element.',
  )
}

/** J v at `inputs`, for v like the inputs, by going backwards twice: [outputs, product like the outputs]. */
export function jvp(func: TensorFunction, inputs: Tensors, ...rest: ProductArgs): WithProduct {
  const { v, createGraph, strict } = productArgs('jvp', func, inputs, rest)
  const [severalIn, given] = listOf(inputs, 'inputs', 'jvp')
  const found = enableGrad(() => {
    const xs = started(given, createGraph, true)
    const vector = vectorFor(v, xs, severalIn, createGraph, 'jvp')
    const [several, outs] = listOf(func(...xs), 'outputs of the user-provided function', 'jvp')
    checkDependence(outs, 'outputs', strict)
    const seeds = outs.map((out) => requireGrad(zerosLike(out.detach()), true))
    const back = gradients(outs, xs, seeds, { createGraph: true })
    checkDependence(back, 'gradInputs', strict)
    return { several, outs, seeds, back, vector }
  })
  const product = afterwards(createGraph, () =>
    filled(
      gradients(found.back, found.seeds, found.vector, { createGraph }),
      found.outs,
      strict,
      createGraph,
      'back_trick',
    ),
  )
  return [ended(found.outs, createGraph, found.several), ended(product, createGraph, found.several)]
}

function scalarOutput(func: TensorFunction, xs: readonly Tensor[], name: string, strict: boolean): Tensor {
  const [several, outs] = listOf(func(...xs), 'outputs of the user-provided function', name)
  checkDependence(outs, 'outputs', strict)
  if (several) throw new RuntimeError(`The function given to ${name} should return a single Tensor`)
  if (outs[0].count !== 1)
    throw new RuntimeError(`The Tensor returned by the function given to ${name} should contain a single element`)
  return outs[0]
}

/** v^T H of a function of one number at `inputs`: [output, product like the inputs]. */
export function vhp(func: TensorFunction, inputs: Tensors, ...rest: ProductArgs): WithProduct {
  const { v, createGraph, strict } = productArgs('vhp', func, inputs, rest)
  const [several, given] = listOf(inputs, 'inputs', 'vhp')
  const { xs, vector, out, jac } = enableGrad(() => {
    const xs = started(given, createGraph, true)
    const vector = vectorFor(v, xs, several, createGraph, 'vhp')
    const out = scalarOutput(func, xs, 'vhp', strict)
    const jac = gradients([out], xs, null, { createGraph: true })
    checkDependence(jac, 'jacobian', strict)
    return { xs, vector, out, jac }
  })
  const product = afterwards(createGraph, () =>
    filled(gradients(jac, xs, vector, { createGraph }), xs, strict, createGraph, 'double_back'),
  )
  return [ended([out], createGraph, false), ended(product, createGraph, several)]
}

/** H v of a function of one number at `inputs`, by going backwards three times: [output, product like the inputs]. */
export function hvp(func: TensorFunction, inputs: Tensors, ...rest: ProductArgs): WithProduct {
  const { v, createGraph, strict } = productArgs('hvp', func, inputs, rest)
  const [several, given] = listOf(inputs, 'inputs', 'hvp')
  const { xs, vector, out, seeds, twice } = enableGrad(() => {
    const xs = started(given, createGraph, true)
    const vector = vectorFor(v, xs, several, createGraph, 'hvp')
    const out = scalarOutput(func, xs, 'hvp', strict)
    const jac = gradients([out], xs, null, { createGraph: true })
    checkDependence(jac, 'jacobian', strict)
    const seeds = xs.map((x) => requireGrad(zerosLike(x.detach()), true))
    return { xs, vector, out, seeds, twice: gradients(jac, xs, seeds, { createGraph: true }) }
  })
  const product = afterwards(createGraph, () =>
    filled(gradients(twice, seeds, vector, { createGraph }), xs, strict, createGraph, 'double_back_trick'),
  )
  return [ended([out], createGraph, false), ended(product, createGraph, several)]
}

interface JacobianOptions {
  readonly createGraph?: boolean
  readonly strict?: boolean
  /** PyTorch's permission to compute all rows at once; the rows are computed one by one here. */
  readonly vectorize?: boolean
  readonly strategy?: 'reverse-mode' | 'forward-mode'
}
type JacobianArgs = Args<
  [createGraph?: boolean, strict?: boolean, vectorize?: boolean, strategy?: string],
  JacobianOptions
>

const jacobianSignature = parse('func, inputs, create_graph, strict, vectorize, strategy')

/**
 * All derivatives of the outputs by the inputs: [...output sizes, ...input sizes] for one output and one input, an array
 * of these by input or by output for several of one, an array by output of arrays by input for several of both.
 */
export function jacobian(func: TensorFunction, inputs: Tensors, ...rest: JacobianArgs): Blocks {
  const [, , createGraph = false, strict = false, vectorize = false, strategy = 'reverse-mode'] = bind(
    'jacobian',
    jacobianSignature,
    [func, inputs, ...rest],
  ) as [unknown, unknown, boolean?, boolean?, boolean?, string?]
  checkStrategy(strategy, createGraph, strict, vectorize)
  if (strict && vectorize) {
    throw new RuntimeError(
      'torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please either set `strict=False` or `vectorize=False`.',
    )
  }
  const [severalIn, given] = listOf(inputs, 'inputs', 'jacobian')
  return enableGrad(() => {
    const xs = started(given, createGraph, true)
    const [severalOut, outs] = listOf(func(...xs), 'outputs of the user-provided function', 'jacobian')
    checkDependence(outs, 'outputs', strict)
    const blocks = outs.map((out, i) => {
      const flat = out.reshape(-1)
      const rows: Tensor[][] = xs.map(() => [])
      for (let j = 0; j < out.count; j++) {
        const found = gradients([flat.select(0, j)], xs, null, { createGraph, retainGraph: true })
        found.forEach((g, n) => {
          if (g === null && strict) {
            throw new RuntimeError(
              `Output ${i} of the user-provided function is independent of input ${n}. This is not allowed in strict mode.`,
            )
          }
          if (g !== null && strict && createGraph && !g.requiresGrad) {
            throw new RuntimeError(
              `The jacobian of the user-provided function is independent of input ${i}. This is not allowed in strict mode when create_graph=True.`,
            )
          }
          rows[n].push(g ?? zerosLike(xs[n].detach()))
        })
      }
      return rows.map((list, n) => {
        const sizes = [...out.sizes, ...xs[n].sizes]
        const block = list.length === 0 ? xs[n].detach().newZeros(sizes) : stack(list).view(sizes)
        return createGraph ? block : block.detach()
      })
    })
    const byOutput = severalIn ? blocks : blocks.map(([only]) => only)
    return (severalOut ? byOutput : byOutput[0]) as Blocks
  })
}

function checkStrategy(strategy: string, createGraph: boolean, strict: boolean, vectorize: boolean): void {
  if (strategy === 'reverse-mode') return
  if (strategy !== 'forward-mode') {
    throw new Error(
      'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".',
    )
  }
  if (createGraph) {
    throw new NotImplementedError(
      'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.',
    )
  }
  if (strict) {
    throw new RuntimeError(
      'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not supported together (yet). Please either set `strict=False` or `strategy="reverse-mode"`.',
    )
  }
  if (!vectorize) {
    throw new NotImplementedError(
      'Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for `vectorize=True`.',
    )
  }
}

interface HessianOptions extends Omit<JacobianOptions, 'strategy'> {
  readonly outerJacobianStrategy?: 'reverse-mode' | 'forward-mode'
}
type HessianArgs = Args<[createGraph?: boolean, strict?: boolean, vectorize?: boolean], HessianOptions>

const hessianSignature = parse('func, inputs, create_graph, strict, vectorize, outer_jacobian_strategy')

/** All second derivatives of a function of one number: [...sizes, ...sizes] of an input, or an array of arrays of these. */
export function hessian(func: TensorFunction, inputs: Tensors, ...rest: HessianArgs): Tensor | Tensor[][] {
  const [, , createGraph = false, strict = false, vectorize = false, outer = 'reverse-mode'] = bind(
    'hessian',
    hessianSignature,
    [func, inputs, ...rest],
  ) as [unknown, unknown, boolean?, boolean?, boolean?, string?]
  const [several, given] = listOf(inputs, 'inputs', 'hessian')
  if (outer !== 'reverse-mode' && outer !== 'forward-mode')
    throw new Error('Expected strategy to be either "forward-mode" or "reverse-mode".')
  const single = (...xs: Tensor[]): Tensor => scalarOutput(func, xs, 'hessian', strict).squeeze()
  const jac = (...xs: Tensor[]): Tensor[] => {
    const found = jacobian(single, xs, { createGraph: true }) as Tensor[]
    checkDependence(found, 'jacobian', strict)
    return found
  }
  const options = { createGraph, strict, vectorize, strategy: outer as 'reverse-mode' | 'forward-mode' }
  const blocks = jacobian(jac, given, options) as Tensor[][]
  return several ? blocks : blocks[0][0]
}
