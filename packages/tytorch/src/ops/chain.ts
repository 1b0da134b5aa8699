// Products of several matrices: sums of outer and batched products, chains, powers, and the matrix exponential.
import { bool, float64, promoteTypes } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { op } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { add, mul } from './arithmetic.ts'
import { diagEmbed } from './arrange.ts'
import { filled } from './create.ts'
import { amax } from './extreme.ts'
import { cat } from './join.ts'
import { matmul, mm } from './linear.ts'
import { batchOf, checkFloating, checkSquare, withBatch } from './matrices.ts'
import { narrow } from './slice.ts'
import { linalgInv } from './solve.ts'
import { abs } from './unary.ts'
import { expand } from './view.ts'

interface AddOptions {
  readonly beta?: number | boolean
  readonly alpha?: number | boolean
}

/** beta * x + alpha * product; factors of integers are integers, and x does not count at all for a beta of 0. */
function blended(x: Tensor, product: Tensor, beta: number | boolean, alpha: number | boolean): Tensor {
  if (product.dtype === bool && x.dtype === bool) {
    const second = alpha ? product : product.logicalAnd(false)
    return beta ? x.logicalOr(second) : second
  }
  const factor = (n: number | boolean, like: Tensor): number =>
    like.dtype.isFloatingPoint ? Number(n) : Math.trunc(Number(n))
  const scaled = Number(alpha) === 1 ? product : mul(product, factor(alpha, product))
  if (Number(beta) === 0) return x.dtype === scaled.dtype ? scaled : add(scaled, mul(x, 0))
  return add(scaled, Number(beta) === 1 ? x : mul(x, factor(beta, product)))
}

/** beta * input + alpha * the outer product of two vectors. */
export const addr: (x: Tensor, vec1: Tensor, vec2: Tensor, options?: AddOptions) => Tensor = op({
  name: 'addr',
  signature: 'input, vec1, vec2, *, beta, alpha',
  node: 'AddrBackward0',
  samples: (t) => [
    [t(3, 4), t(3), t(4)],
    [t(4), t(3), t(4), { beta: 0.5, alpha: 2 }],
  ],
  differentiable: true,
  forward: (x: Tensor, vec1: Tensor, vec2: Tensor, beta: number | boolean = 1, alpha: number | boolean = 1) =>
    addrOf(x, vec1, vec2, beta, alpha),
  inPlace: (x: Tensor, vec1: Tensor, vec2: Tensor, beta: number | boolean = 1, alpha: number | boolean = 1) =>
    x.copy_(addrOf(x, vec1, vec2, beta, alpha)),
})

function addrOf(x: Tensor, vec1: Tensor, vec2: Tensor, beta: number | boolean, alpha: number | boolean): Tensor {
  if (vec1.ndim !== 1) throw new RuntimeError(`addr: Expected 1-D argument vec1, but got ${vec1.ndim}-D`)
  if (vec2.ndim !== 1) throw new RuntimeError(`addr: Expected 1-D argument vec2, but got ${vec2.ndim}-D`)
  if (![x, vec1, vec2].some((t) => t.dtype.isFloatingPoint)) {
    const bad = !Number.isInteger(Number(beta)) ? 'beta' : Number.isInteger(Number(alpha)) ? null : 'alpha'
    if (bad) throw new RuntimeError(`For integral input tensors, argument ${bad} must not be a floating point number.`)
  }
  return blended(expand(x, [vec1.count, vec2.count]), mul(vec1.unsqueeze(1), vec2), beta, alpha)
}

/** beta * input + alpha * the sum of the products of a batch of matrices, [b, n, m] and [b, m, p]. */
export const addbmm: (x: Tensor, batch1: Tensor, batch2: Tensor, options?: AddOptions) => Tensor = op({
  name: 'addbmm',
  signature: 'input, batch1, batch2, *, beta, alpha',
  node: 'AddbmmBackward0',
  samples: (t) => [
    [t(3, 2), t(2, 3, 4), t(2, 4, 2)],
    [t(2), t(2, 3, 4), t(2, 4, 2), { beta: 0.5, alpha: 2 }],
  ],
  differentiable: true,
  forward: (x: Tensor, batch1: Tensor, batch2: Tensor, beta: number | boolean = 1, alpha: number | boolean = 1) =>
    addbmmOf(x, batch1, batch2, beta, alpha),
  inPlace: (x: Tensor, batch1: Tensor, batch2: Tensor, beta: number | boolean = 1, alpha: number | boolean = 1) =>
    x.copy_(addbmmOf(x, batch1, batch2, beta, alpha)),
})

function addbmmOf(x: Tensor, a: Tensor, b: Tensor, beta: number | boolean, alpha: number | boolean): Tensor {
  if (a.ndim !== 3 || b.ndim !== 3) throw new RuntimeError(`batch${a.ndim !== 3 ? 1 : 2} must be a 3D tensor`)
  if (a.sizes[0] !== b.sizes[0]) {
    throw new RuntimeError(`batch1 and batch2 must have same number of batches, got ${a.sizes[0]} and ${b.sizes[0]}`)
  }
  const [count, n, m] = a.sizes
  if (m !== b.sizes[1]) {
    throw new RuntimeError(`Incompatible matrix sizes for bmm (${n}x${m} and ${b.sizes[1]}x${b.sizes[2]})`)
  }
  // The sum of products is one product of the matrices side by side; in float64, for terms of several may cancel.
  const [left, right] = [a.permute(1, 0, 2).reshape(n, count * m), b.reshape(count * m, b.sizes[2])]
  const wide = a.dtype.isFloatingPoint && a.dtype !== float64
  const product = wide ? mm(left.to(float64), right.to(float64)) : mm(left, right)
  const total = blended(wide ? expand(x, product.sizes).to(float64) : expand(x, product.sizes), product, beta, alpha)
  return wide ? total.to(promoteTypes(x.dtype, a.dtype)) : total
}

/** The order of least work to multiply matrices with `sizes` [n + 1] of rows and columns: where to split each run. */
function splitsOf(sizes: readonly number[]): number[][] {
  const n = sizes.length - 1
  const cost = Array.from({ length: n }, () => new Array<number>(n).fill(0))
  const split = Array.from({ length: n }, () => new Array<number>(n).fill(0))
  for (let length = 2; length <= n; length++) {
    for (let i = 0; i + length <= n; i++) {
      const j = i + length - 1
      cost[i][j] = Number.POSITIVE_INFINITY
      for (let at = i; at < j; at++) {
        const total = cost[i][at] + cost[at + 1][j] + sizes[i] * sizes[at + 1] * sizes[j + 1]
        if (total < cost[i][j]) {
          cost[i][j] = total
          split[i][j] = at
        }
      }
    }
  }
  return split
}

function chainOf(name: string, given: readonly Tensor[]): Tensor {
  const n = given.length
  if (n < 2) throw new RuntimeError(`${name}(): expected at least 2 tensors but got ${n}`)
  const list = given.map((x, i) => {
    const end = i === 0 || i === n - 1
    if (x.ndim !== 2 && !(end && x.ndim === 1)) {
      const which = i === 0 ? 'the first tensor' : end ? 'the last tensor' : `tensor ${i}`
      throw new RuntimeError(`${name}(): ${which} must be ${end ? '1D or 2D' : '2D'} but got ${x.ndim}D`)
    }
    if (x.dtype !== given[0].dtype) {
      throw new RuntimeError(
        `${name}(): all tensors must have be the same dtype but tensor 0 is ${given[0].dtype.title} and tensor ${i} ${x.dtype.title}`,
      )
    }
    return x.ndim === 2 ? x : x.unsqueeze(i === 0 ? 0 : 1)
  })
  for (let i = 0; i + 1 < n; i++) {
    if (list[i].sizes[1] === list[i + 1].sizes[0]) continue
    throw new RuntimeError(
      `${name}(): tensors ${i} and ${i + 1} with shapes [${list[i].sizes.join(', ')}] and [${list[i + 1].sizes.join(', ')}] cannot be multiplied`,
    )
  }
  const split = splitsOf([list[0].sizes[0], ...list.map((x) => x.sizes[1])])
  const product = (i: number, j: number): Tensor =>
    i === j ? list[i] : mm(product(i, split[i][j]), product(split[i][j] + 1, j))
  let out = product(0, n - 1)
  if (given[n - 1].ndim === 1) out = out.squeeze(-1)
  return given[0].ndim === 1 ? out.squeeze(0) : out
}

/** The product of two or more matrices in the order of least work; the first and the last may be vectors. */
export const linalgMultiDot: (tensors: readonly Tensor[]) => Tensor = op({
  name: 'linalgMultiDot',
  python: 'linalg.multi_dot',
  signature: 'tensors',
  samples: (t) => [[[t(2, 3), t(3, 4), t(4, 2)]], [[t(3), t(3, 4), t(4)]]],
  differentiable: true,
  forward: (tensors: readonly Tensor[]) => chainOf('multi_dot', tensors),
})

/** `linalg.multiDot` of matrices given one by one; one alone is itself. */
export const chainMatmul: (...matrices: Tensor[]) => Tensor = (...matrices) => {
  const bad = matrices.findIndex((x) => x.ndim !== 2)
  if (bad >= 0) {
    throw new RuntimeError(`Tensor dimension is ${matrices[bad].ndim}, expected 2 instead.`)
  }
  return matrices.length === 1 ? matrices[0] : chainOf('multi_dot', matrices)
}

/** Identity matrices of the sizes of `a`. */
const identityLike = (a: Tensor): Tensor => withBatch(diagEmbed(filled([a.sizes[a.ndim - 1]], 1, a.dtype)), batchOf(a))

/** Square matrices [..., n, n] to an integer power; negative ones of the inverse. Throws LinAlgError if there is none. */
export const linalgMatrixPower: (a: Tensor, n: number) => Tensor = op({
  name: 'linalgMatrixPower',
  python: 'linalg.matrix_power',
  signature: 'A, n',
  samples: (t) => [
    [t(3, 3), 3],
    [t(2, 3, 3), 0],
    [t(3, 3), -2],
    [t(3, 3), 6],
  ],
  differentiable: true,
  forward: (a: Tensor, n: number) => {
    checkSquare('linalg.matrix_power', a)
    if (!Number.isInteger(n)) throw new TypeError(`linalg.matrix_power: the power must be an integer, got ${n}`)
    if (n === 0) return a.clone().copy_(identityLike(a))
    let square = n < 0 ? linalgInv(a) : a
    let rest = Math.abs(n)
    if (rest === 1) return n < 0 ? square : a.clone()
    if (rest === 3) return matmul(matmul(square, square), square)
    let out: Tensor | null = null
    for (; ; square = matmul(square, square)) {
      if (rest % 2 === 1) out = out ? matmul(out, square) : square
      rest = Math.floor(rest / 2)
      if (rest === 0) return out as Tensor
    }
  },
})
/** Square matrices to an integer power: `linalg.matrixPower`. */
export const matrixPower = linalgMatrixPower

/** 1 / k! for k < 17. */
const INVERSE_FACTORIALS = Array.from({ length: 17 }, (_, k) => {
  let f = 1
  for (let i = 2; i <= k; i++) f *= i
  return 1 / f
})

/** The exponential of matrices of 1-norm up to a half: Taylor's polynomial of degree 16 in powers of A^4. */
function taylor(a: Tensor): Tensor {
  const a2 = matmul(a, a)
  const a3 = matmul(a2, a)
  const a4 = matmul(a2, a2)
  const one = identityLike(a)
  const c = INVERSE_FACTORIALS
  const part = (k: number): Tensor =>
    one
      .mul(c[k])
      .add(a.mul(c[k + 1]))
      .add(a2.mul(c[k + 2]))
      .add(a3.mul(c[k + 3]))
  let out = part(12).add(a4.mul(c[16]))
  for (const k of [8, 4, 0]) out = matmul(out, a4).add(part(k))
  return out
}

/** Float32 matrices of so many elements in all are exponentiated in float64, where that costs little. */
const IN_DOUBLE = 1 << 16

function exponential(a: Tensor): Tensor {
  if (a.count === 0) return a.clone()
  // Every squaring doubles the relative error, of which float32 has too little to give away.
  const small = a.dtype.name === 'float32' && a.count <= IN_DOUBLE
  const low = small || (a.dtype.name !== 'float32' && a.dtype.name !== 'float64')
  const x = small ? a.detach().double() : low ? a.detach().float() : a.detach()
  const norms = amax(abs(x).sum(-2), -1)
  const largest = amax(norms).item()
  const most = largest > 0.5 && Number.isFinite(largest) ? Math.ceil(Math.log2(largest / 0.5)) : 0
  // Each matrix is halved as often as its own norm asks: squaring a small one more often would lose digits.
  const halvings = norms.mul(2).log2().ceil().clamp(0, most).unsqueeze(-1).unsqueeze(-1)
  let out = taylor(most > 0 ? x.mul(halvings.neg().exp2()) : x)
  for (let i = 0; i < most; i++) {
    const squared = matmul(out, out)
    out = x.ndim === 2 ? squared : squared.where(halvings.gt(i), out)
  }
  return low ? out.to(a.dtype) : out
}

/** The matrix exponential of square matrices [..., n, n]: scaling and squaring of a Taylor polynomial. */
export const matrixExp: (a: Tensor) => Tensor = op({
  name: 'matrixExp',
  signature: 'input',
  samples: (t) => [[t(3, 3)], [t(2, 3, 3)]],
  differentiable: true,
  forward: (a: Tensor) => exponentialOf(a),
})

function exponentialOf(a: Tensor): Tensor {
  checkSquare('linalg.matrix_exp', a)
  checkFloating('linalg.matrix_exp', a, true)
  return record(exponential(a), 'LinalgMatrixExpBackward0', [a], [a], (g, [x]) => {
    // exp of [[A^T, G], [0, A^T]] has the gradient in its upper right block (Al-Mohy and Higham 2009).
    const n = x.sizes[x.ndim - 1]
    const top = cat([x.mT, g], -1)
    const bottom = cat([g.newZeros(g.sizes), x.mT], -1)
    return [narrow(narrow(exponentialOf(cat([top, bottom], -2)), -2, 0, n), -1, n, n)]
  })
}
