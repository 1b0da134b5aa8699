// Matrix products: mm, bmm, matmul with its broadcasting, addmm, linear and their kin, all on the device's matmul.
import { type DType, float32, float64, int32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { broadcastSizes, numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { op } from '../tensor/define.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { add, mul } from './arithmetic.ts'
import { contiguous, to } from './copy.ts'
import { sum } from './reduce.ts'
import { expand, transpose } from './view.ts'

/** The dtype in which the device multiplies matrices of `dtype`. */
function productDtype(dtype: DType): 'float32' | 'float64' | 'int32' | 'int64' {
  if (dtype.isComplex) throw new NotImplementedError(`"addmm_impl_cpu_" not implemented for '${dtype.title}'`)
  if (dtype === float64) return 'float64'
  if (dtype === int64) return 'int64'
  return dtype.isFloatingPoint ? 'float32' : 'int32'
}

const NATIVE: readonly DType[] = [float32, float64, int32, int64]

function checkSameDtype(name: string, a: Tensor, b: Tensor): void {
  if (a.dtype !== b.dtype) {
    throw new RuntimeError(
      `${name}: expected m1 and m2 to have the same dtype, but got: ${a.dtype.name} != ${b.dtype.name}. mat1 and mat2 must have the same dtype, but got ${a.dtype.title} and ${b.dtype.title}; convert one with to(torch.${b.dtype.name})`,
    )
  }
}

/** Strides of the last two dimensions, with the free choice for sizes of 1 made so that one of them is 1. */
function matrixStrides(x: Tensor): [number, number] {
  const rank = x.sizes.length
  const row = x.sizes[rank - 2] === 1 ? x.sizes[rank - 1] * (x.strides[rank - 1] || 1) : x.strides[rank - 2]
  const column = x.sizes[rank - 1] === 1 ? 1 : x.strides[rank - 1]
  return [row, column]
}

/** a [m, k] times b [k, n] (+ bias [n]), without recording; dtypes that the device lacks are widened. */
function product(a: Tensor, b: Tensor, bias: Tensor | null): Tensor {
  const { dtype } = a
  if (!NATIVE.includes(dtype)) {
    const wide = productDtype(dtype) === 'float32' ? float32 : int32
    return to(product(to(a, wide), to(b, wide), bias && to(bias, wide)), dtype)
  }
  const [m, kk] = a.sizes
  const n = b.sizes[1]
  const line = bias && contiguous(bias)
  const out = empty([m, n], dtype)
  const [aRow, aCol] = matrixStrides(a)
  const [bRow, bCol] = matrixStrides(b)
  device().matmul(productDtype(dtype), {
    m,
    n,
    k: kk,
    a: a.pointer,
    aRow,
    aCol,
    b: b.pointer,
    bRow,
    bCol,
    c: out.pointer,
    cRow: n,
    bias: line ? line.pointer : 0,
    accumulate: false,
  })
  return out
}

/** The product of two matrices, [n, m] and [m, p]. */
export const mm: (x: Tensor, mat2: Tensor) => Tensor = op({
  name: 'mm',
  signature: 'input, mat2',
  samples: (t) => [
    [t(3, 4), t(4, 2)],
    [t(4, 3).t(), t(2, 4).t()],
    [t(0, 4), t(4, 2)],
    [t(3, 0), t(0, 2)],
  ],
  differentiable: true,
  forward: (x: Tensor, mat2: Tensor) => {
    if (x.ndim !== 2) throw new RuntimeError('self must be a matrix')
    if (mat2.ndim !== 2) throw new RuntimeError('mat2 must be a matrix')
    checkShapes(x.sizes, mat2.sizes)
    checkSameDtype('mm', x, mat2)
    return record(product(x, mat2, null), 'MmBackward0', [x, mat2], [x, mat2], matrixGradient)
  },
})

/** True if the matrix's elements lie column by column, as a transposed view's do. */
const columnMajor = (x: Tensor): boolean => x.strides[0] === 1 && x.strides[1] === x.sizes[0] && x.sizes[1] > 1

/** Each gradient is computed in its operand's own layout, so that a transposed weight's needs no copy later. */
const matrixGradient = (g: Tensor, [a, b]: readonly Tensor[], needs: readonly boolean[]): (Tensor | null)[] => [
  needs[0] ? (columnMajor(a) ? mm(b, g.t()).t() : mm(g, b.t())) : null,
  needs[1] ? (columnMajor(b) ? mm(g.t(), a).t() : mm(a.t(), g)) : null,
]

function checkShapes(a: Sizes, b: Sizes): void {
  const [m, k] = a.slice(-2)
  const [k2, n] = b.slice(-2)
  if (k !== k2) throw new RuntimeError(`mat1 and mat2 shapes cannot be multiplied (${m}x${k} and ${k2}x${n})`)
}

/** beta * x + alpha * product; factors of integers are integers. */
function blended(x: Tensor, product: Tensor, beta: number, alpha: number): Tensor {
  const factor = (n: number): number => (product.dtype.isFloatingPoint ? n : Math.trunc(n))
  return add(mul(product, factor(alpha)), x, { alpha: factor(beta) })
}

interface AddOptions {
  readonly beta?: number
  readonly alpha?: number
}

/**
 * beta * input + alpha * (mat1 @ mat2), for matrices [n, m] and [m, p] and an input that broadcasts to [n, p]. Throws
 * RuntimeError for sizes that don't fit.
 */
export const addmm: (x: Tensor, mat1: Tensor, mat2: Tensor, options?: AddOptions) => Tensor = op({
  name: 'addmm',
  signature: 'input, mat1, mat2, *, beta, alpha',
  node: 'AddmmBackward0',
  samples: (t) => [
    [t(2), t(3, 4), t(4, 2)],
    [t(3, 2), t(3, 4), t(4, 2), { beta: 0.5, alpha: 2 }],
  ],
  differentiable: true,
  forward: (x: Tensor, mat1: Tensor, mat2: Tensor, beta = 1, alpha = 1) => {
    if (mat1.ndim !== 2 || mat2.ndim !== 2)
      throw new RuntimeError(`mat1 and mat2 must be matrices, got ${mat1.ndim}-D and ${mat2.ndim}-D`)
    checkShapes(mat1.sizes, mat2.sizes)
    checkSameDtype('addmm', mat1, mat2)
    const plain = alpha === 1 && beta === 1 && x.ndim === 1 && x.sizes[0] === mat2.sizes[1] && x.dtype === mat1.dtype
    if (!plain) return blended(expand(x, [mat1.sizes[0], mat2.sizes[1]]), mm(mat1, mat2), beta, alpha)
    return record(product(mat1, mat2, x), 'AddmmBackward0', [x, mat1, mat2], [mat1, mat2], (g, saved, needs) => [
      needs[0] ? sum(g, 0) : null,
      ...matrixGradient(g, saved, needs.slice(1)),
    ])
  },
  inPlace: (x: Tensor, mat1: Tensor, mat2: Tensor, beta = 1, alpha = 1) => {
    if (mat1.ndim === 2 && mat2.ndim === 2 && mat1.sizes[1] === mat2.sizes[0])
      checkInto(x, [mat1.sizes[0], mat2.sizes[1]])
    return x.copy_(addmm(x, mat1, mat2, { beta, alpha }))
  },
})

/** Throws RuntimeError if a result of `sizes` does not fit into `x` as it is. */
function checkInto(x: Tensor, sizes: Sizes): void {
  if (sameSizes(x.sizes, sizes)) return
  throw new RuntimeError(
    `Bad in-place call: input tensor size [${x.sizes.join(', ')}] and output tensor size [${sizes.join(', ')}] should match`,
  )
}

/** The result of a product added to `x`, in `x`: it must not have grown by broadcasting. */
function into(x: Tensor, result: Tensor): Tensor {
  checkInto(x, result.sizes)
  return x.copy_(result)
}

/** Products of a batch of matrices, [b, n, m] and [b, m, p]. */
export const bmm: (x: Tensor, mat2: Tensor) => Tensor = op({
  name: 'bmm',
  signature: 'input, mat2',
  samples: (t) => [[t(2, 3, 4), t(2, 4, 2)]],
  differentiable: true,
  forward: (x: Tensor, mat2: Tensor) => {
    if (x.ndim !== 3 || mat2.ndim !== 3) throw new RuntimeError('batch1 must be a 3D tensor')
    if (x.sizes[0] !== mat2.sizes[0] || x.sizes[2] !== mat2.sizes[1]) {
      throw new RuntimeError(
        `Expected size for first two dimensions of batch2 tensor to be: [${x.sizes[0]}, ${x.sizes[2]}] but got: [${mat2.sizes[0]}, ${mat2.sizes[1]}].`,
      )
    }
    checkSameDtype('bmm', x, mat2)
    return record(batched(x, mat2), 'BmmBackward0', [x, mat2], [x, mat2], (g, [a, b], needs) => [
      needs[0] ? bmm(g, b.transpose(1, 2)) : null,
      needs[1] ? bmm(a.transpose(1, 2), g) : null,
    ])
  },
})

function batched(a: Tensor, b: Tensor): Tensor {
  const { dtype } = a
  if (!NATIVE.includes(dtype)) {
    const wide = productDtype(dtype) === 'float32' ? float32 : int32
    return to(batched(to(a, wide), to(b, wide)), dtype)
  }
  const [count, m, kk] = a.sizes
  const n = b.sizes[2]
  const out = empty([count, m, n], dtype)
  const [aRow, aCol] = matrixStrides(a)
  const [bRow, bCol] = matrixStrides(b)
  device().matmul(productDtype(dtype), {
    m,
    n,
    k: kk,
    a: a.pointer,
    aRow,
    aCol,
    b: b.pointer,
    bRow,
    bCol,
    c: out.pointer,
    cRow: n,
    bias: 0,
    accumulate: false,
    batch: { count, a: a.strides[0], b: b.strides[0], c: m * n },
  })
  return out
}

/** The dot product of two vectors [n] of one dtype, 0-d. Throws RuntimeError for other shapes and for two dtypes. */
export const dot: (x: Tensor, other: Tensor) => Tensor = op({
  name: 'dot',
  signature: 'input, tensor',
  samples: (t) => [[t(4), t(4)]],
  differentiable: true,
  forward: (x: Tensor, other: Tensor) => {
    if (x.ndim !== 1 || other.ndim !== 1) {
      throw new RuntimeError(`1D tensors expected, but got ${x.ndim}D and ${other.ndim}D tensors`)
    }
    if (x.count !== other.count) {
      throw new RuntimeError(
        `inconsistent tensor size, expected tensor [${x.count}] and src [${other.count}] to have the same number of elements, but got ${x.count} and ${other.count} elements respectively`,
      )
    }
    if (x.dtype !== other.dtype) {
      throw new RuntimeError(
        `dot : expected both vectors to have same dtype, but found ${x.dtype.title} and ${other.dtype.title}`,
      )
    }
    const out = product(x.detach().view(1, -1), other.detach().view(-1, 1), null).view([])
    return record(out, 'DotBackward0', [x, other], [x, other], (g, [a, b], needs) => [
      needs[0] ? mul(g, b) : null,
      needs[1] ? mul(g, a) : null,
    ])
  },
})

/** A matrix [n, m] times a vector [m]: [n]. Throws RuntimeError for sizes that don't fit. */
export const mv: (x: Tensor, vec: Tensor) => Tensor = op({
  name: 'mv',
  signature: 'input, vec',
  samples: (t) => [[t(3, 4), t(4)]],
  differentiable: true,
  forward: (x: Tensor, vec: Tensor) => {
    if (x.ndim !== 2 || vec.ndim !== 1)
      throw new RuntimeError(`vector + matrix @ vector expected, got ${x.ndim - 1}, ${x.ndim}, ${vec.ndim}`)
    if (x.sizes[1] !== vec.sizes[0]) {
      throw new RuntimeError(
        `size mismatch, got input (${x.sizes[0]}), mat (${x.sizes[0]}x${x.sizes[1]}), vec (${vec.sizes[0]})`,
      )
    }
    checkSameDtype('mv', x, vec)
    const out = product(x, vec.detach().unsqueeze(1), null).view(-1)
    return record(out, 'MvBackward0', [x, vec], [x, vec], (g, [a, b], needs) => [
      needs[0] ? mul(g.unsqueeze(1), b) : null,
      needs[1] ? mv(a.t(), g) : null,
    ])
  },
})

/** The outer product of vectors [n] and [m]: [n, m], x[i] * y[j]. */
export const outer: (x: Tensor, vec2: Tensor) => Tensor = op({
  name: 'outer',
  apart: 'all',
  signature: 'input, vec2',
  samples: (t) => [[t(3), t(4)]],
  differentiable: true,
  forward: (x: Tensor, vec2: Tensor) => {
    if (x.ndim !== 1) throw new RuntimeError(`outer: Expected 1-D argument self, but got ${x.ndim}-D`)
    if (vec2.ndim !== 1) throw new RuntimeError(`outer: Expected 1-D argument vec2, but got ${vec2.ndim}-D`)
    return mul(x.unsqueeze(1), vec2)
  },
})
/** As `outer`. */
export const ger = outer

/** PyTorch's name of the last node of `matmul`. */
function matmulNode(x: Tensor, other: Tensor): string | undefined {
  if (other.ndim <= 2 && x.ndim <= 2) return x.ndim === 1 && other.ndim === 2 ? 'SqueezeBackward4' : undefined
  return x.ndim === 2 && other.ndim > 2 && requiresGrad(x) ? 'TransposeBackward0' : 'UnsafeViewBackward0'
}

/**
 * The matrix product of tensors: vectors by dot product, matrices, and batches of matrices whose leading dimensions
 * broadcast; a vector counts as a row on the left and as a column on the right.
 */
export const matmul: (x: Tensor, other: Tensor) => Tensor = op({
  name: 'matmul',
  signature: 'input, other',
  lastNode: matmulNode,
  samples: (t) => [
    [t(4), t(4)],
    [t(3, 4), t(4)],
    [t(4), t(4, 2)],
    [t(3, 4), t(4, 2)],
    [t(2, 3, 4), t(4, 2)],
    [t(2, 1, 3, 4), t(3, 4, 2)],
    [t(4), t(2, 4, 3)],
    [t(2, 3, 4), t(4)],
  ],
  differentiable: true,
  forward: (x: Tensor, other: Tensor) => {
    if (x.ndim === 0 || other.ndim === 0) {
      throw new RuntimeError(
        `both arguments to matmul need to be at least 1D, but they are ${x.ndim}D and ${other.ndim}D`,
      )
    }
    if (x.ndim === 1 && other.ndim === 1) return dot(x, other)
    if (x.ndim === 2 && other.ndim === 1) return mv(x, other)
    if (x.ndim === 1 && other.ndim === 2) return mm(x.unsqueeze(0), other).squeeze(0)
    if (x.ndim === 2 && other.ndim === 2) return mm(x, other)
    return batchMatmul(x, other)
  },
})

function batchMatmul(x: Tensor, other: Tensor): Tensor {
  const left = x.ndim === 1 ? x.unsqueeze(0) : x
  const right = other.ndim === 1 ? other.unsqueeze(1) : other
  checkShapes(left.sizes, right.sizes)
  checkSameDtype('matmul', x, other)
  const [n, m] = left.sizes.slice(-2)
  const p = right.sizes[right.ndim - 1]
  let out: Tensor
  if (right.ndim === 2 && left.ndim > 2) {
    // Leading dimensions on the left only are rows of one product.
    out = mm(left.reshape(numelOf(left.sizes.slice(0, -1)), m), right).reshape([...left.sizes.slice(0, -1), p])
  } else {
    const batch = broadcastSizes(left.sizes.slice(0, -2), right.sizes.slice(0, -2))
    const count = numelOf(batch)
    const a = expand(left, [...batch, n, m]).reshape(count, n, m)
    const b = expand(right, [...batch, m, p]).reshape(count, m, p)
    out = bmm(a, b).reshape([...batch, n, p])
  }
  if (x.ndim === 1) out = out.squeeze(-2)
  return other.ndim === 1 ? out.squeeze(-1) : out
}

/** input @ weight^T + bias, for weight [out, in] and bias [out]: `nn.functional.linear`. */
export const linear: (x: Tensor, weight: Tensor, bias?: Tensor | null) => Tensor = op({
  name: 'linear',
  python: 'nn.functional.linear',
  signature: 'input, weight, bias',
  lastNode: (x, weight, bias) => (bias || weight.ndim !== 2 ? undefined : matmulNode(x, weight)),
  samples: (t) => [
    [t(3, 4), t(2, 4), t(2)],
    [t(3, 4), t(2, 4)],
    [t(2, 3, 4), t(2, 4), t(2)],
    [t(4), t(2, 4), t(2)],
  ],
  differentiable: true,
  forward: (x: Tensor, weight: Tensor, bias?: Tensor | null) => {
    if (weight.ndim !== 2 || x.ndim === 0) return bias ? matmul(x, weight.t()).add(bias) : matmul(x, weight.t())
    const columns = weight.t()
    if (x.ndim === 2) return bias ? addmm(bias, x, columns) : mm(x, columns)
    checkShapes(x.ndim === 1 ? [1, ...x.sizes] : x.sizes, columns.sizes)
    const rows = x.reshape(numelOf(x.sizes.slice(0, -1)), x.sizes[x.ndim - 1])
    const out = bias ? addmm(bias, rows, columns) : mm(rows, columns)
    return out.reshape([...x.sizes.slice(0, -1), weight.sizes[0]])
  },
})

/** As `addmm` for one matrix and a vector: beta * input + alpha * (mat @ vec). */
export const addmv: (x: Tensor, mat: Tensor, vec: Tensor, options?: AddOptions) => Tensor = op({
  name: 'addmv',
  signature: 'input, mat, vec, *, beta, alpha',
  node: 'AddmvBackward0',
  samples: (t) => [[t(3), t(3, 4), t(4)]],
  differentiable: true,
  forward: (x: Tensor, mat: Tensor, vec: Tensor, beta = 1, alpha = 1) => blended(x, mv(mat, vec), beta, alpha),
  inPlace: (x: Tensor, mat: Tensor, vec: Tensor, beta = 1, alpha = 1) => into(x, addmv(x, mat, vec, { beta, alpha })),
})

/** beta * input + alpha * (batch1 @ batch2), for [b, n, m] and [b, m, p] and an input that broadcasts to [b, n, p]. */
export const baddbmm: (x: Tensor, batch1: Tensor, batch2: Tensor, options?: AddOptions) => Tensor = op({
  name: 'baddbmm',
  signature: 'input, batch1, batch2, *, beta, alpha',
  node: 'BaddbmmBackward0',
  samples: (t) => [[t(2, 3, 2), t(2, 3, 4), t(2, 4, 2)]],
  differentiable: true,
  forward: (x: Tensor, batch1: Tensor, batch2: Tensor, beta = 1, alpha = 1) =>
    blended(x, bmm(batch1, batch2), beta, alpha),
  inPlace: (x: Tensor, batch1: Tensor, batch2: Tensor, beta = 1, alpha = 1) =>
    into(x, baddbmm(x, batch1, batch2, { beta, alpha })),
})

/** The transpose of the last two dimensions, for callers that mean matrices. */
export const adjoint = (x: Tensor): Tensor => transpose(x, -2, -1)
