// Complex tensors: making them of real ones, their parts, conjugates and angles.
import { bool, complex64, complex128, float16, float64, getDefaultDtype, toRealType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { broadcastSizes } from '../base/shape.ts'
import { complexForms, partOf } from '../tensor/complex.ts'
import { op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { alias, empty, Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'
import * as m from './complexmath.ts'
import { mapPairs } from './complexmath.ts'

function checkParts(name: string, x: unknown, y: unknown, names: readonly [string, string]): void {
  for (const [i, t] of [x, y].entries()) {
    if (t instanceof Tensor) continue
    const type = typeof t === 'number' ? (Number.isInteger(t) ? 'int' : 'float') : typeof t
    throw new TypeError(`${name}(): argument '${names[i]}' (position ${i + 1}) must be Tensor, not ${type}`)
  }
  const [a, b] = [(x as Tensor).dtype, (y as Tensor).dtype]
  if (!a.isFloatingPoint || !b.isFloatingPoint) {
    throw new RuntimeError(`Expected both inputs to be Half, Float or Double tensors but got ${a.title} and ${b.title}`)
  }
  if (a !== b)
    throw new RuntimeError(
      `Expected object of scalar type ${a.title} but got scalar type ${b.title} for second argument`,
    )
}

/** real + imag * i, of two floating point tensors of one dtype. Throws RuntimeError for other dtypes. */
export const complex: (real: Tensor, imag: Tensor) => Tensor = op({
  name: 'complex',
  signature: 'real, imag',
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 1), t(4)],
    [t(), t()],
  ],
  differentiable: true,
  forward: (re: Tensor, im: Tensor) => {
    checkParts('complex', re, im, ['real', 'imag'])
    if (re.dtype !== float64 && re.dtype.itemsize !== 4)
      throw new RuntimeError(`complex(): there is no complex dtype of ${re.dtype} here; convert to float32 first`)
    const out = empty(broadcastSizes(re.sizes, im.sizes), re.dtype === float64 ? complex128 : complex64)
    copyValues(re, partOf(out, 0))
    copyValues(im, partOf(out, 1))
    const [likeRe, likeIm] = [shapeOf(re), shapeOf(im)]
    return record(out, 'ComplexBackward0', [re, im], [], (g, _s, needs) => [
      needs[0] ? reduceLike(real(g), likeRe) : null,
      needs[1] ? (g.dtype.isComplex ? reduceLike(imag(g), likeIm) : g.newZeros(likeIm.sizes)) : null,
    ])
  },
})

/** abs * (cos(angle) + i sin(angle)). Throws RuntimeError for dtypes that are not floating point or differ. */
export const polar: (abs: Tensor, angle: Tensor) => Tensor = op({
  name: 'polar',
  node: 'PolarBackward0',
  signature: 'abs, angle',
  samples: (t) => [[t(3, 4), t(3, 4)]],
  domain: { low: 0.3, high: 2 },
  differentiable: true,
  forward: (size: Tensor, turn: Tensor) => {
    checkParts('polar', size, turn, ['abs', 'angle'])
    return complex(size.mul(turn.cos()), size.mul(turn.sin()))
  },
})

/** A complex tensor as a real view of one more dimension, of size 2: real and imaginary parts. */
export const viewAsReal: (x: Tensor) => Tensor = op({
  name: 'viewAsReal',
  signature: 'input',
  samples: (t) => [[complex(t(3, 2), t(3, 2)).detach()]],
  differentiable: true,
  forward: (x: Tensor) => {
    if (!x.dtype.isComplex) throw new RuntimeError('view_as_real is only supported for complex tensors')
    const strides = [...x.strides.map((s) => 2 * s), 1]
    const out = alias(x, [...x.sizes, 2], strides, 2 * x.offset, toRealType(x.dtype))
    out.base = x.base ?? x
    out.baseVersion = x.storage.version
    return record(out, 'ViewAsRealBackward0', [x], [], (g) => [viewAsComplex(g.contiguous())])
  },
})

/** A real tensor whose last dimension has size 2 and stride 1 as a complex view. Throws RuntimeError for others. */
export const viewAsComplex: (x: Tensor) => Tensor = op({
  name: 'viewAsComplex',
  signature: 'input',
  samples: (t) => [[t(3, 2).detach().contiguous().requiresGrad_()]],
  differentiable: true,
  forward: (x: Tensor) => {
    const last = x.ndim - 1
    if (x.dtype.name !== 'float32' && x.dtype.name !== 'float64') {
      throw new RuntimeError(
        `view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: ${x.dtype.title}`,
      )
    }
    if (last < 0) throw new RuntimeError('Input tensor must have one or more dimensions')
    if (x.sizes[last] !== 2) throw new RuntimeError('Tensor must have a last dimension of size 2')
    if (x.strides[last] !== 1) throw new RuntimeError('Tensor must have a last dimension with stride 1')
    const outer = x.strides.slice(0, last)
    if (outer.some((s, i) => s % 2 !== 0 && x.sizes[i] > 1))
      throw new RuntimeError('Tensor must have a stride divisible by 2 for all but last dimension')
    if (x.offset % 2 !== 0) throw new RuntimeError('Tensor must have a storage_offset divisible by 2')
    const strides = outer.map((s) => Math.floor(s / 2))
    const out = alias(x, x.sizes.slice(0, last), strides, x.offset / 2, x.dtype === float64 ? complex128 : complex64)
    out.base = x.base ?? x
    out.baseVersion = x.storage.version
    return record(out, 'ViewAsComplexBackward0', [x], [], (g) => [viewAsReal(g)])
  },
})

/** The real part, as a view; a real tensor is itself. */
export const real = (x: Tensor): Tensor => x.real

/** The imaginary part, as a view. Throws RuntimeError for real tensors. */
export const imag = (x: Tensor): Tensor => x.imag

/** True for complex64 and complex128 tensors. */
export const isComplex = (x: Tensor): boolean => x.dtype.isComplex

/**
 * The complex conjugate; a real tensor is itself. PyTorch's is a view that conjugates when it is read, ours is computed
 * at once, and changing it in place leaves `x` as it is.
 */
export const conj: (x: Tensor) => Tensor = op({
  name: 'conj',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) =>
    x.dtype.isComplex ? record(mapPairs('conj', [x], x.dtype, m.conj), 'ConjBackward0', [x], [], (g) => [conj(g)]) : x,
})

/** As `conj`. */
export const conjPhysical: (x: Tensor) => Tensor = op({
  name: 'conjPhysical',
  signature: 'input',
  inPlaceNode: 'ConjPhysicalBackward1',
  differentiable: true,
  forward: (x: Tensor) => conj(x),
  inPlace: (x: Tensor) => (x.dtype.isComplex ? x.copy_(conj(x.clone())) : x),
})

/** Itself: no tensor here waits for its conjugation. */
export const resolveConj = (x: Tensor): Tensor => x

/** Itself: no tensor here waits for its negation. */
export const resolveNeg = (x: Tensor): Tensor => x

/** False: conjugates are computed at once. */
export const isConj = (_x: Tensor): boolean => false

/** False: negatives are computed at once. */
export const isNeg = (_x: Tensor): boolean => false

/** The last two dimensions exchanged, conjugated. */
export const adjoint: (x: Tensor) => Tensor = op({
  name: 'adjoint',
  signature: 'input',
  samples: (t) => [[t(3, 4)], [t(2, 3, 4)]],
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.ndim < 2)
      throw new RuntimeError(
        `tensor.adjoint() is only supported on matrices or batches of matrices. Got ${x.ndim}-D tensor.`,
      )
    return conj(x.transpose(-2, -1))
  },
})

/** True where the imaginary part is 0: everywhere in a real tensor. */
export const isreal: (x: Tensor) => Tensor = op({
  name: 'isreal',
  signature: 'input',
  forward: (x: Tensor) => (x.dtype.isComplex ? x.imag.detach().eq(0) : x.onesLike({ dtype: bool })),
})

/** The angle with the positive real axis, in radians; of real numbers 0 or pi (and nan of nan). */
export const angle: (x: Tensor) => Tensor = op({
  name: 'angle',
  signature: 'input',
  domain: { kinks: true },
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.dtype === float16 && x.count === 0) return x.clone()
    if (!x.dtype.isComplex) {
      const like = x.dtype.isFloatingPoint ? x.detach() : x.to(getDefaultDtype())
      const turned = like.lt(0).to(like.dtype).mul(Math.PI).maskedFill(like.isnan(), Number.NaN)
      return record(turned, 'AngleBackward0', [x], [], (g) => [g.mul(0)])
    }
    const out = mapPairs('angle', [x], toRealType(x.dtype), m.angle)
    return record(out, 'AngleBackward0', [x], [x], (g, [z]) => {
      const [re, im] = [z.real, z.imag]
      const square = re.mul(re).add(im.mul(im))
      const by = g.div(square.maskedFill(square.eq(0), 1)).maskedFill(square.eq(0), 0)
      return [complex(by.mul(im).neg(), by.mul(re))]
    })
  },
})

for (const name of [
  'neg',
  'exp',
  'exp2',
  'expm1',
  'log',
  'log2',
  'log10',
  'log1p',
  'sqrt',
  'rsqrt',
  'reciprocal',
  'square',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'sigmoid',
] as const) {
  complexForms.set(name, { analytic: true, value: (x) => mapPairs(name, [x], x.dtype, m[name]) })
}
for (const name of ['add', 'sub', 'mul', 'div'] as const) {
  complexForms.set(name, { analytic: true, value: (x, y) => mapPairs(name, [x, y], x.dtype, m[name]) })
}
for (const name of ['eq', 'ne'] as const) {
  complexForms.set(name, { analytic: false, value: (x, y) => mapPairs(name, [x, y], bool, m[name]) })
}
for (const name of ['isnan', 'isinf', 'isfinite'] as const) {
  complexForms.set(name, { analytic: false, value: (x) => mapPairs(name, [x], bool, m[name]) })
}
const POWERS: ReadonlyMap<unknown, (z: m.Pair) => m.Pair> = new Map([
  [2, m.square],
  [3, (z: m.Pair) => m.mul(m.square(z), z)],
  [0.5, m.sqrt],
  [-0.5, m.rsqrt],
  [-1, m.reciprocal],
  [-2, (z: m.Pair) => m.reciprocal(m.square(z))],
])
complexForms.set('pow', {
  analytic: true,
  value: (x, y, exponent) => {
    const known = POWERS.get(exponent)
    return known ? mapPairs(`pow ${exponent}`, [x], x.dtype, known) : mapPairs('pow', [x, y], x.dtype, m.pow)
  },
})
complexForms.set('logicalNot', { analytic: false, value: (x) => x.eq(0) })
complexForms.set('abs', {
  analytic: false,
  value: (x) =>
    record(mapPairs('abs', [x], toRealType(x.dtype), m.abs), 'AbsBackward0', [x], [x], (g, [z]) => [g.mul(z.sgn())]),
})
complexForms.set('sgn', {
  analytic: false,
  value: (x) => {
    const size = x.abs()
    return x.div(size.maskedFill(size.eq(0), 1))
  },
})
