// torch.fft: transforms over one, two or any dimensions, and the frequencies and shifts that go with them.
import { bfloat16, type DType, float16, getDefaultDtype, toComplexType } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { type Sizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { roll } from './arrange.ts'
import { arange, finish } from './create.ts'
import { complexToComplex, complexToReal, realToComplex } from './fftcore.ts'
import { cat } from './join.ts'

type Norm = 'forward' | 'backward' | 'ortho' | null

interface OneOptions {
  readonly n?: number | null
  readonly dim?: number
  readonly norm?: Norm
  readonly out?: Tensor
}

interface ManyOptions {
  readonly s?: Sizes | number | null
  readonly dim?: Sizes | number | null
  readonly norm?: Norm
  readonly out?: Tensor
}

type One = (x: Tensor, ...args: Args<[n?: number | null, dim?: number, norm?: Norm], OneOptions>) => Tensor
type Many = (
  x: Tensor,
  ...args: Args<[s?: Sizes | number | null, dim?: Sizes | number | null, norm?: Norm], ManyOptions>
) => Tensor

function scaleOf(norm: Norm | undefined, inverse: boolean, n: number): number {
  const mode = norm ?? 'backward'
  if (mode === 'ortho') return 1 / Math.sqrt(n)
  if (mode !== 'forward' && mode !== 'backward') throw new RuntimeError(`Invalid normalization mode: "${String(norm)}"`)
  return (mode === 'backward') === inverse ? 1 / n : 1
}

function floating(name: string, x: unknown): Tensor {
  if (!(x instanceof Tensor))
    throw new TypeError(`${name}(): argument 'input' (position 1) must be Tensor, not ${typeof x}`)
  if (x.dtype === float16 || x.dtype === bfloat16) throw new RuntimeError(`Unsupported dtype ${x.dtype.title}`)
  return x.dtype.isFloatingPoint || x.dtype.isComplex ? x : x.to(getDefaultDtype())
}

function complexOf(name: string, x: Tensor): Tensor {
  const given = floating(name, x)
  return given.dtype.isComplex ? given : given.to(toComplexType(given.dtype))
}

function realOf(name: string, x: Tensor): Tensor {
  if (x instanceof Tensor && x.dtype.isComplex)
    throw new RuntimeError(`${name} expects a real input tensor, but got ${x.dtype.title}`)
  return floating(name, x)
}

function oneDim(x: Tensor, dim: number | null | undefined): number {
  if (x.ndim === 0) throw new IndexError(`Dimension specified as ${dim ?? -1} but tensor has no dimensions`)
  return wrapDim(dim ?? -1, x.ndim)
}

function checkPoints(n: number): number {
  if (!(n >= 1)) throw new RuntimeError(`Invalid number of data points (${n}) specified`)
  return n
}

/** `x` cut, or filled up with zeros, to `n` along `dim`. */
function resized(x: Tensor, dim: number, n: number): Tensor {
  const size = x.sizes[dim]
  if (n === size) return x
  if (n < size) return x.narrow(dim, 0, n)
  return cat([x, x.detach().newZeros(x.sizes.map((m, i) => (i === dim ? n - size : m)))], dim)
}

const signatureOne = 'input, n, dim, norm'
const samplesOne = (t: (...sizes: number[]) => Tensor): unknown[][] => [
  [t(6)],
  [t(3, 5), 4, 0, 'ortho'],
  [t(2, 3, 2), { n: 5, dim: 1, norm: 'forward' }],
]

const direct = (name: string, python: string, inverse: boolean): One =>
  op({
    name,
    python,
    signature: signatureOne,
    samples: samplesOne,
    differentiable: true,
    forward: (x: Tensor, n?: number | null, dim?: number, norm?: Norm) => {
      const z = complexOf(python, x)
      const d = oneDim(z, dim)
      const points = checkPoints(n ?? z.sizes[d])
      return complexToComplex(resized(z, d, points), [d], inverse, scaleOf(norm, inverse, points))
    },
  })

/** The discrete Fourier transform along `dim`, of the first `n` elements (zeros are added if there are fewer). */
export const fftFft: One = direct('fftFft', 'fft.fft', false)

/** The inverse of `fft`, along `dim`, of the first `n` elements; divided by n unless `norm` says otherwise. */
export const fftIfft: One = direct('fftIfft', 'fft.ifft', true)

const fromReal = (name: string, python: string, inverse: boolean): One =>
  op({
    name,
    python,
    signature: signatureOne,
    samples: samplesOne,
    differentiable: true,
    forward: (x: Tensor, n?: number | null, dim?: number, norm?: Norm) => {
      const z = realOf(python.slice(4), x)
      const d = oneDim(z, dim)
      const points = checkPoints(n ?? z.sizes[d])
      return realToComplex(resized(z, d, points), d, inverse, scaleOf(norm, inverse, points))
    },
  })

/** The half of a real signal's transform that determines it: n / 2 + 1 elements. */
export const fftRfft: One = fromReal('fftRfft', 'fft.rfft', false)

/** The inverse of `hfft`: the first half, n / 2 + 1 elements, of a real signal's inverse transform. */
export const fftIhfft: One = fromReal('fftIhfft', 'fft.ihfft', true)

const toReal = (name: string, python: string, inverse: boolean): One =>
  op({
    name,
    python,
    signature: signatureOne,
    samples: samplesOne,
    differentiable: true,
    forward: (x: Tensor, n?: number | null, dim?: number, norm?: Norm) => {
      const z = complexOf(python, x)
      const d = oneDim(z, dim)
      const points = checkPoints(n ?? 2 * (z.sizes[d] - 1))
      const half = resized(z, d, Math.floor(points / 2) + 1)
      return complexToReal(half, d, points, inverse, scaleOf(norm, inverse, points))
    },
  })

/** The inverse of `rfft`: a real signal of length `n`, 2 (size - 1) if not given. */
export const fftIrfft: One = toReal('fftIrfft', 'fft.irfft', true)

/** The transform of a signal with Hermitian symmetry, given by its first half: real. */
export const fftHfft: One = toReal('fftHfft', 'fft.hfft', false)

interface Axes {
  readonly dims: number[]
  readonly shape: number[]
}

const listOf = (x: Sizes | number | null | undefined): number[] | null =>
  x === null || x === undefined ? null : typeof x === 'number' ? [x] : [...x]

/** The dimensions and the size of the transform along each. */
function axesOf(x: Tensor, s: Sizes | number | null | undefined, dim: Sizes | number | null | undefined): Axes {
  const sizes = listOf(s)
  const given = listOf(dim)
  if (x.ndim === 0 && given && given.length > 0)
    throw new IndexError(`Dimension specified as ${given[0]} but tensor has no dimensions`)
  const wrapped = given?.map((d) => wrapDim(d, x.ndim))
  if (wrapped && new Set(wrapped).size !== wrapped.length) throw new RuntimeError('FFT dims must be unique')
  if (sizes) {
    if (wrapped && wrapped.length !== sizes.length)
      throw new RuntimeError('When given, dim and shape arguments must have the same length')
    if (sizes.length > x.ndim) {
      throw new RuntimeError(`Got shape with ${sizes.length} values but input tensor only has ${x.ndim} dimensions.`)
    }
  }
  const dims =
    wrapped ?? Array.from({ length: sizes?.length ?? x.ndim }, (_, i) => x.ndim - (sizes?.length ?? x.ndim) + i)
  return { dims, shape: dims.map((d, i) => (sizes && sizes[i] !== -1 ? sizes[i] : x.sizes[d])) }
}

function resizedAll(x: Tensor, { dims, shape }: Axes): Tensor {
  shape.forEach(checkPoints)
  return dims.reduce((y, d, i) => resized(y, d, shape[i]), x)
}

const productOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

const signatureMany = 'input, s, dim, norm'
const samplesMany = (t: (...sizes: number[]) => Tensor): unknown[][] => [
  [t(4, 3)],
  [t(2, 3, 4), [3, 5], [0, 2], 'ortho'],
  [t(3, 4), { dim: [1, 0], norm: 'forward' }],
]

/** An n-dimensional op, and its twin whose `dim` is the last two unless given. */
function family(
  name: string,
  forward: (python: string, x: Tensor, axes: AxesArgs, norm: Norm) => Tensor,
): [Many, Many] {
  const make = (suffix: '2' | 'n'): Many => {
    const python = `fft.${name}${suffix}`
    return op({
      name: `fft${name[0].toUpperCase()}${name.slice(1)}${suffix}`,
      python,
      signature: signatureMany,
      samples: samplesMany,
      differentiable: true,
      forward: (x: Tensor, s?: Sizes | number | null, dim?: Sizes | number | null, norm?: Norm) =>
        forward(`${name}${suffix}`, x, { s, dim: dim ?? (suffix === '2' ? [-2, -1] : null) }, norm ?? null),
    })
  }
  return [make('2'), make('n')]
}

interface AxesArgs {
  readonly s: Sizes | number | null | undefined
  readonly dim: Sizes | number | null | undefined
}

function atLeastOne(name: string, axes: Axes): void {
  if (axes.dims.length === 0) throw new RuntimeError(`${name} must transform at least one axis`)
}

const complexFamily = (name: string, inverse: boolean): [Many, Many] =>
  family(name, (python, x, { s, dim }, norm) => {
    const z = complexOf(python, x)
    const axes = axesOf(z, s, dim)
    const y = resizedAll(z, axes)
    if (axes.dims.length === 0) return y.clone()
    return complexToComplex(y, axes.dims, inverse, scaleOf(norm, inverse, productOf(axes.shape)))
  })

const realFamily = (name: string, inverse: boolean): [Many, Many] =>
  family(name, (python, x, { s, dim }, norm) => {
    const z = realOf(python, x)
    const axes = axesOf(z, s, dim)
    atLeastOne(python, axes)
    const y = resizedAll(z, axes)
    const last = axes.dims.length - 1
    const half = realToComplex(y, axes.dims[last], inverse, scaleOf(norm, inverse, productOf(axes.shape)))
    return last === 0 ? half : complexToComplex(half, axes.dims.slice(0, last), inverse, 1)
  })

const halfFamily = (name: string, inverse: boolean): [Many, Many] =>
  family(name, (python, x, { s, dim }, norm) => {
    const z = complexOf(python, x)
    const axes = axesOf(z, s, dim)
    atLeastOne(python, axes)
    const last = axes.dims.length - 1
    const lastSize = listOf(s)?.[last] ?? -1
    const n = checkPoints(lastSize === -1 ? 2 * (z.sizes[axes.dims[last]] - 1) : lastSize)
    const shape = [...axes.shape.slice(0, last), Math.floor(n / 2) + 1]
    const y = resizedAll(z, { dims: axes.dims, shape })
    const scale = scaleOf(norm, inverse, productOf([...shape.slice(0, last), n]))
    const inner = last === 0 ? y : complexToComplex(y, axes.dims.slice(0, last), inverse, 1)
    return complexToReal(inner, axes.dims[last], n, inverse, scale)
  })

/** `fft` over the last two dimensions, or over `dim`. `fftn`: over all dimensions. */
export const [fftFft2, fftFftn]: [Many, Many] = complexFamily('fft', false)
/** The inverses of `fft2` and `fftn`. */
export const [fftIfft2, fftIfftn]: [Many, Many] = complexFamily('ifft', true)
/** `rfft` along the last of the dimensions, `fft` along the others. */
export const [fftRfft2, fftRfftn]: [Many, Many] = realFamily('rfft', false)
/** The inverses of `hfft2` and `hfftn`. */
export const [fftIhfft2, fftIhfftn]: [Many, Many] = realFamily('ihfft', true)
/** The inverses of `rfft2` and `rfftn`. */
export const [fftIrfft2, fftIrfftn]: [Many, Many] = halfFamily('irfft', true)
/** `hfft` along the last of the dimensions, `fft` along the others. */
export const [fftHfft2, fftHfftn]: [Many, Many] = halfFamily('hfft', false)

type Shift = (x: Tensor, ...args: Args<[dim?: Sizes | number | null], { dim?: Sizes | number | null }>) => Tensor

const shifting = (name: string, python: string, by: (n: number) => number): Shift =>
  op({
    name,
    python,
    signature: 'input, dim',
    samples: (t) => [[t(5)], [t(3, 4)], [t(3, 4), [1]], [t(2, 3), 0]],
    differentiable: true,
    forward: (x: Tensor, dim?: Sizes | number | null) => {
      const dims = listOf(dim)?.map((d) => oneDim(x, d)) ?? x.sizes.map((_, i) => i)
      if (dims.length === 0) return x.clone()
      return roll(
        x,
        dims.map((d) => by(x.sizes[d])),
        dims,
      )
    },
  })

/** Frequency 0 moved from the start to the middle of every dimension, or of `dim`. */
export const fftFftshift: Shift = shifting('fftFftshift', 'fft.fftshift', (n) => Math.floor(n / 2))

/** The inverse of `fftshift`, also for odd sizes. */
export const fftIfftshift: Shift = shifting('fftIfftshift', 'fft.ifftshift', (n) => Math.ceil(n / 2))

interface FrequencyOptions {
  readonly d?: number
  readonly dtype?: DType | null
  readonly requiresGrad?: boolean
  readonly device?: unknown
}

type Frequencies = (n: number, ...args: Args<[d?: number], FrequencyOptions>) => Tensor

const frequencies = (name: string, python: string, half: boolean): Frequencies =>
  op({
    name,
    python,
    signature: 'n, d, *, dtype, requires_grad, device',
    samples: () => [[5], [6, 0.5]],
    forward: (n: number, d = 1, dtype?: DType | null, requiresGrad?: boolean) => {
      const to = dtype ?? getDefaultDtype()
      if (!to.isFloatingPoint && !to.isComplex)
        throw new RuntimeError(`${python.slice(4)} requires a floating point or complex dtype`)
      const counted = arange(half ? Math.floor(n / 2) + 1 : n).to(to)
      const above = Math.floor((n + 1) / 2)
      if (!half && n > 1) counted.narrow(0, above, n - above).sub_(n)
      return finish(counted.mul(1 / (n * d)), { requiresGrad: requiresGrad ?? false })
    },
  })

/** The frequencies of `fft`'s elements for a sample spacing `d`, in cycles per unit of `d`: 0, 1, ..., -1 over n d. */
export const fftFftfreq: Frequencies = frequencies('fftFftfreq', 'fft.fftfreq', false)

/** The frequencies of `rfft`'s elements: 0, 1, ..., n / 2 over n d. */
export const fftRfftfreq: Frequencies = frequencies('fftRfftfreq', 'fft.rfftfreq', true)
