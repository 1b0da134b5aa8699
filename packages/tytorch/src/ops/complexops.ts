// Forms of the other ops for complex tensors: by linearity, the op on the real parts and on the imaginary parts; or
// written in complex arithmetic.
import { Complex } from '../base/complex.ts'
import { type DType, DType as DTypeClass, resultType, toRealType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { complexOps } from '../tensor/complex.ts'
import { registry } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { complex } from './complex.ts'

// biome-ignore lint/suspicious/noExplicitAny: ops of every signature
type AnyOp = (...args: any[]) => any

const plain = (name: string): AnyOp => {
  const found = registry.get(name)
  if (!found) throw new Error(`there is no op '${name}' to have a complex form`)
  return found.fn
}

/** The real (0) or imaginary (1) part of an argument; a real tensor among others has the imaginary part 0. */
function part(x: unknown, which: 0 | 1, real: DType): unknown {
  if (x instanceof Tensor) {
    if (!x.dtype.isComplex) return which === 0 ? x.to(real) : x.detach().zerosLike({ dtype: real })
    const found = which === 0 ? x.real : x.imag
    return found.dtype === real ? found : found.to(real)
  }
  if (x instanceof Complex) return which === 0 ? x.re : x.im
  return typeof x === 'number' || typeof x === 'bigint' || typeof x === 'boolean' ? (which === 0 ? x : 0) : x
}

/** What the values among the arguments are promoted to. */
function commonOf(values: readonly unknown[]): DType {
  const tensors = values.filter((x) => x instanceof Tensor)
  return resultType([
    ...tensors.map((t) => ({ dtype: t.dtype, rank: t.ndim })),
    ...values
      .filter((x) => x instanceof Complex)
      .map(() => ({ dtype: tensors[0].dtype, rank: 0, weak: 'complex' as const })),
  ])
}

/** An op that is linear in the arguments at `positions`, on both parts of them. */
const byParts =
  (name: string, positions: readonly number[], keepsFirst = false): AnyOp =>
  (...given: unknown[]) => {
    const dtype = given.find((x) => x instanceof DTypeClass)
    const rest = given.map((x) => (x instanceof DTypeClass ? undefined : x))
    const values = positions.map((p) => rest[p])
    const common = dtype ?? commonOf(values)
    const first = rest[positions[0]]
    if (keepsFirst && first instanceof Tensor && first.dtype !== common && !first.dtype.isComplex) {
      throw new RuntimeError(`value cannot be converted to type ${first.dtype.name} without overflow`)
    }
    const real = toRealType(common)
    if (!common.isComplex) return plain(name)(...rest.map((x, i) => (positions.includes(i) ? part(x, 0, real) : x)))
    const of = (which: 0 | 1): Tensor =>
      plain(name)(...rest.map((x, i) => (positions.includes(i) ? part(x, which, real) : x))) as Tensor
    return complex(of(0), of(1))
  }

const SUMS = ['sum', 'mean', 'cumsum', 'sumToSize', 'nansum', 'trace']
const MOVES = ['tril', 'triu', 'flip', 'roll', 'rot90', 'gather', 'indexSelect', 'take', 'takeAlongDim', 'maskedSelect']
const COPIES = ['repeatInterleave', 'diag', 'diagEmbed', 'diagflat', 'repeat', 'tile']
for (const name of [...SUMS, ...MOVES, ...COPIES]) if (registry.has(name)) complexOps.set(name, byParts(name, [0]))
complexOps.set('where', byParts('where', [1, 2]))
complexOps.set('maskedFill', byParts('maskedFill', [0, 2], true))
complexOps.set('maskedScatter', byParts('maskedScatter', [0, 2], true))
complexOps.set('indexPut', byParts('indexPut', [0, 2], true))
for (const name of ['scatter', 'scatterAdd', 'indexAdd', 'indexCopy', 'indexFill'])
  complexOps.set(name, byParts(name, [0, 3], true))

const BILINEAR = ['mm', 'bmm', 'mv', 'dot', 'matmul', 'outer']
for (const name of BILINEAR) {
  complexOps.set(name, (x: Tensor, y: Tensor) => {
    if (x.dtype !== y.dtype) {
      throw new RuntimeError(
        `${name}: expected both tensors to have the same dtype, but got ${x.dtype.title} and ${y.dtype.title}`,
      )
    }
    const f = plain(name)
    const [a, b, c, d] = [x.real, x.imag, y.real, y.imag]
    return complex(f(a, c).sub(f(b, d)), f(a, d).add(f(b, c)))
  })
}
complexOps.set('vdot', (x: Tensor, y: Tensor) => plain('dot')(x.conj(), y))
const affine =
  (product: string) =>
  (x: Tensor, a: Tensor, b: Tensor, beta: number | Complex = 1, alpha: number | Complex = 1): Tensor =>
    plain('add')(x.mul(beta as number), plain(product)(a, b).mul(alpha))
complexOps.set('addmm', affine('mm'))
complexOps.set('addmv', affine('mv'))
complexOps.set('baddbmm', affine('bmm'))
complexOps.set('linear', (x: Tensor, weight: Tensor, bias?: Tensor | null) => {
  const product = x.matmul(weight.t())
  return bias ? product.add(bias) : product
})

/** The product along `dim`, pairing halves: each step multiplies complex numbers element by element. */
function product(x: Tensor, dim?: number | null, keepdim = false, dtype?: DType | null): Tensor {
  const given = dtype ? x.to(dtype) : x
  if (dim === undefined || dim === null) return product(given.reshape(-1), 0)
  const d = wrapDim(dim, given.ndim)
  let rows = given.ndim === 0 ? given.reshape(1) : given
  if (rows.sizes[d] === 0) return rows.sum(d, keepdim).add(1)
  while (rows.sizes[d] > 1) {
    const half = Math.floor(rows.sizes[d] / 2)
    const joined = rows.narrow(d, 0, half).mul(rows.narrow(d, half, half))
    const odd = rows.sizes[d] % 2 === 1 ? rows.narrow(d, 2 * half, 1) : null
    rows = odd ? plain('cat')([joined, odd], d) : joined
  }
  return keepdim && given.ndim > 0 ? rows : rows.squeeze(d)
}
complexOps.set('prod', product)
complexOps.set('any', (x: Tensor, ...rest: unknown[]) => plain('any')(x.ne(0), ...rest))
complexOps.set('all', (x: Tensor, ...rest: unknown[]) => plain('all')(x.ne(0), ...rest))
complexOps.set('nonzero', (x: Tensor, ...rest: unknown[]) => plain('nonzero')(x.ne(0), ...rest))

/** Running products, by products over spans of 1, 2, 4, ... */
complexOps.set('cumprod', (x: Tensor, dim: number, dtype?: DType | null): Tensor => {
  let rows = dtype ? x.to(dtype) : x
  if (rows.ndim === 0) return rows.clone()
  const d = wrapDim(dim, rows.ndim)
  const n = rows.sizes[d]
  for (let span = 1; span < n; span *= 2) {
    const joined = rows.narrow(d, span, n - span).mul(rows.narrow(d, 0, n - span))
    rows = plain('cat')([rows.narrow(d, 0, span), joined], d)
  }
  return n > 1 ? rows : rows.clone()
})
complexOps.set('linalgVecdot', (x: Tensor, y: Tensor, dim = -1) => x.conj().mul(y).sum(dim))
for (const name of ['norm', 'linalgVectorNorm', 'linalgNorm'])
  complexOps.set(name, (x: Tensor, ...rest: unknown[]) => {
    if (name === 'linalgNorm' && x.ndim > 1 && rest.some((r) => r !== undefined && r !== null))
      throw new RuntimeError('linalg.norm: norms of complex matrices are not supported here')
    return plain(name)(x.abs(), ...rest.map((r) => (r instanceof DTypeClass ? toRealType(r) : r)))
  })

/** Options as the binder wants them, from arguments in the signature's order. */
const VARIANCE = ['dim', 'unbiased', 'keepdim', 'correction'] as const
const variance = (x: Tensor, ...rest: unknown[]): Tensor => {
  const options = Object.fromEntries(rest.map((v, i) => [VARIANCE[i], v]).filter(([, v]) => v !== undefined))
  const of = plain('var')
  return of(x.real, options).add(of(x.imag, options))
}
complexOps.set('var', variance)
complexOps.set('std', (x: Tensor, ...rest: unknown[]) => variance(x, ...rest).sqrt())
