// QR factors by Householder reflections, with LAPACK's signs, and products of reflections.
import { RuntimeError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { type Args, type Out, op } from '../tensor/define.ts'
import { atPointers } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, recordAll, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { diagEmbed } from './arrange.ts'
import { filled, zerosLike } from './create.ts'
import { cat } from './join.ts'
import { matmul } from './linear.ts'
import {
  batchOf,
  checkFloating,
  checkKernel,
  checkMatrix,
  countOf,
  type Named,
  named,
  realOf,
  withBatch,
} from './matrices.ts'
import { applyQ, factorQR, formQ, reflections } from './orthogonal.ts'
import { narrow } from './slice.ts'
import { solveTriangle } from './triangular.ts'

export type QRMode = 'reduced' | 'complete' | 'r'

/** Q [..., m, q] and R [..., q, n] of matrices [..., m, n], without recording; Q is empty in mode 'r'. */
function qrOf(a: Tensor, mode: QRMode): { Q: Tensor; R: Tensor } {
  const [m, n] = a.sizes.slice(-2)
  const k = Math.min(m, n)
  const q = mode === 'complete' ? m : k
  const batch = batchOf(a)
  const Q = empty(mode === 'r' ? [0] : [...batch, m, q], a.dtype)
  const R = empty([...batch, q, n], a.dtype)
  const source = a.detach().contiguous()
  const operands = [source.pointer, R.pointer]
  if (mode !== 'r') operands.push(Q.pointer)
  const dense = device().dense()
  const dtype = realOf(a)
  atPointers('factorQR', operands, mode === 'r' ? 'rw' : 'rww', ([from, triangle, orthogonal = 0]) =>
    factorQR(dense, dtype, countOf(batch), m, n, q, from, orthogonal, triangle),
  )
  return { Q, R }
}

/** X + X^T with half the diagonal. */
function symmetrised(x: Tensor): Tensor {
  return x.add(x.mT).sub(diagEmbed(x.diagonal(0, -2, -1)))
}

/** torch's linalg_qr_backward: of A [..., m, n] for the reduced factors, or square ones. */
function qrGradient(gq: Tensor | null, gr: Tensor | null, q: Tensor, r: Tensor): Tensor {
  const [m, n] = [q.sizes[q.ndim - 2], r.sizes[r.ndim - 1]]
  if (m < n) {
    // A = [A1 A2] = Q [R1 R2]: R2 = Q^T A2 passes its gradient on to Q.
    const r1 = narrow(r, -1, 0, m)
    const whole = gr ? matmul(q, narrow(gr, -1, m, n - m)) : null
    const more = gr ? matmul(matmul(q, narrow(r, -1, m, n - m)), narrow(gr, -1, m, n - m).mT) : null
    const total = gq && more ? gq.add(more) : (gq ?? more)
    const first = qrGradient(total, gr ? narrow(gr, -1, 0, m) : null, q, r1)
    return cat([first, whole ?? first.newZeros([...batchOf(first), m, n - m])], -1)
  }
  const up = gr ? matmul(gr, r.mT) : null
  const down = gq ? matmul(q.mT, gq) : null
  const inner = up && down ? up.sub(down) : (up ?? (down as Tensor).neg())
  const turned = matmul(q, symmetrised(inner.triu()))
  return solveTriangle(r.mT, gq ? turned.add(gq) : turned, false, false, false)
}

function qrRecorded(a: Tensor, mode: QRMode): Named<'Q' | 'R'> {
  checkMatrix('linalg.qr', a)
  checkFloating('linalg.qr', a, true)
  if (mode !== 'reduced' && mode !== 'complete' && mode !== 'r') {
    throw new RuntimeError(
      `qr received unrecognized mode '${mode}' but expected one of 'reduced' (default), 'r', or 'complete'`,
    )
  }
  checkKernel('geqrf_cpu', a)
  const { Q, R } = qrOf(a, mode)
  const [m, n] = a.sizes.slice(-2)
  recordAll([Q, R], 'LinalgQrBackward0', [a], [Q, R], ([gq, gr], [q, r]) => {
    if (mode === 'r') {
      throw new RuntimeError(
        "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to require gradients through linalg.qr.",
      )
    }
    if (mode === 'complete' && m > n) {
      throw new RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    }
    return [qrGradient(gq, gr, q, r)]
  })
  return named({ Q, R })
}

/**
 * A = Q R for matrices [..., m, n]: Q [..., m, k] with orthonormal columns and upper triangular R [..., k, n], k = min(m, n)
 * ('reduced') or m ('complete'); Q is empty for 'r'. R's diagonal may be negative, as LAPACK's.
 */
export const linalgQr: (a: Tensor, ...args: Args<[mode?: QRMode], { readonly mode?: QRMode }>) => Named<'Q' | 'R'> = op(
  {
    name: 'linalgQr',
    python: 'linalg.qr',
    signature: 'A, mode',
    samples: (t) => [[t(3, 3)], [t(4, 3)], [t(2, 3, 4)], [t(3, 4), 'complete']],
    differentiable: true,
    forward: (a: Tensor, mode: QRMode = 'reduced') => qrRecorded(a, mode),
  },
)

/** `linalg.qr`, reduced if `some`. */
export const qr: (a: Tensor, ...args: Args<[some?: boolean], { readonly some?: boolean }>) => Named<'Q' | 'R'> = op({
  name: 'qr',
  signature: 'input, some',
  samples: (t) => [[t(4, 3)], [t(3, 3), false]],
  differentiable: true,
  forward: (a: Tensor, some = true) => qrRecorded(a, some ? 'reduced' : 'complete'),
})

/** LAPACK's compact QR: R on and above the diagonal, reflections below it, and their factors tau. */
export const geqrf: (a: Tensor, options?: Out) => Named<'a' | 'tau'> = op({
  name: 'geqrf',
  signature: 'input',
  samples: (t) => [[t(3, 4)], [t(2, 4, 3)]],
  forward: (x: Tensor) => {
    if (x.ndim < 2) throw new RuntimeError('torch.geqrf: input must have at least 2 dimensions.')
    checkKernel('geqrf_cpu', x)
    const [m, n] = x.sizes.slice(-2)
    const k = Math.min(m, n)
    const batch = batchOf(x)
    const a = empty(x.sizes, x.dtype)
    const tau = empty([...batch, k], x.dtype)
    const source = x.detach().contiguous()
    const dense = device().dense()
    const dtype = realOf(x)
    atPointers('geqrf', [source.pointer, a.pointer, tau.pointer], 'rww', ([from, to, taus]) =>
      reflections(dense, dtype, countOf(batch), m, n, from, to, taus),
    )
    return named({ a, tau })
  },
})

/** Reflections v_i of the columns of `a`, as matrices [..., m, 1] with their ones. */
function columnsOf(a: Tensor, k: number): Tensor[] {
  const [m, n] = a.sizes.slice(-2)
  const ones = diagEmbed(filled([n], 1, a.dtype))
  const unit = m > n ? cat([ones, filled([m - n, n], 0, a.dtype)], 0) : narrow(ones, 0, 0, m)
  const v = a.tril(-1).add(unit)
  return Array.from({ length: k }, (_, i) => narrow(v, -1, i, 1))
}

/** Products of reflections in tensor ops, from the last to the first (or the other way), for gradients of any order. */
function reflected(a: Tensor, tau: Tensor, c: Tensor, transposed: boolean): Tensor {
  const k = tau.sizes[tau.ndim - 1]
  const list = columnsOf(a, k)
  let out = c
  for (let step = 0; step < k; step++) {
    const i = transposed ? step : k - 1 - step
    const scaled = list[i].mul(narrow(tau, -1, i, 1).unsqueeze(-1))
    out = out.sub(matmul(scaled, matmul(list[i].mT, out)))
  }
  // Without reflections too the result belongs to the graph.
  return k > 0 ? out : record(c.clone(), 'ReflectBackward0', [a, tau, c], [], (g) => [zerosLike(a), zerosLike(tau), g])
}

const recording = (...tensors: readonly Tensor[]): boolean => isGradEnabled() && tensors.some((x) => requiresGrad(x))

/** Throws RuntimeError unless `tau` has the batch dimensions of `a`. */
function checkTau(name: string, a: Tensor, tau: Tensor): void {
  if (tau.ndim !== a.ndim - 1) {
    throw new RuntimeError(
      `${name}: Expected tau to have one dimension less than input, but got tau.ndim equal to ${tau.ndim} and input.ndim is equal to ${a.ndim}`,
    )
  }
  if (!sameSizes(tau.sizes.slice(0, -1), batchOf(a))) {
    throw new RuntimeError(
      `${name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got [${tau.sizes.slice(0, -1).join(', ')}]`,
    )
  }
  if (tau.dtype !== a.dtype) {
    throw new RuntimeError(`${name}: tau dtype ${tau.dtype.title} does not match input dtype ${a.dtype.title}`)
  }
}

/** The first n columns of the product of the reflections in the columns of `input` [..., m, n], with factors `tau` [..., k]. */
export const linalgHouseholderProduct: (a: Tensor, tau: Tensor) => Tensor = op({
  name: 'linalgHouseholderProduct',
  python: 'linalg.householder_product',
  signature: 'input, tau',
  node: 'LinalgHouseholderProductBackward0',
  samples: (t) => [
    [t(4, 3), t(3)],
    [t(2, 3, 3), t(2, 2)],
  ],
  differentiable: true,
  forward: (a: Tensor, tau: Tensor) => {
    const name = 'torch.linalg.householder_product'
    if (a.ndim < 2) throw new RuntimeError(`${name}: input must have at least 2 dimensions.`)
    const [m, n] = a.sizes.slice(-2)
    if (m < n) throw new RuntimeError(`${name}: input.shape[-2] must be greater than or equal to input.shape[-1]`)
    if (n < tau.sizes[tau.ndim - 1])
      throw new RuntimeError(`${name}: input.shape[-1] must be greater than or equal to tau.shape[-1]`)
    checkTau(name, a, tau)
    checkKernel('orgqr_cpu', a)
    if (recording(a, tau)) {
      const ones = diagEmbed(filled([n], 1, a.dtype))
      const unit = m > n ? cat([ones, filled([m - n, n], 0, a.dtype)], 0) : ones
      return reflected(a, tau, withBatch(unit, batchOf(a)), false)
    }
    const k = tau.sizes[tau.ndim - 1]
    const out = empty(a.sizes, a.dtype)
    const count = countOf(batchOf(a))
    const source = a.detach().contiguous()
    const factors = tau.detach().contiguous()
    const dense = device().dense()
    const dtype = realOf(a)
    atPointers('formQ', [source.pointer, factors.pointer, out.pointer], 'rrw', ([from, taus, to]) =>
      formQ(dense, dtype, count, m, n, k, from, taus, to),
    )
    return out
  },
})
/** The first columns of a product of reflections: `linalg.householderProduct`. */
export const orgqr = linalgHouseholderProduct

interface OrmqrOptions {
  readonly left?: boolean
  readonly transpose?: boolean
}

/** Q C, or C Q if `left` is false, with Q^T for Q if `transpose`: Q is the whole product of the reflections in `input`. */
export const ormqr: (
  a: Tensor,
  tau: Tensor,
  other: Tensor,
  ...args: Args<[left?: boolean, transpose?: boolean], OrmqrOptions>
) => Tensor = op({
  name: 'ormqr',
  signature: 'input, tau, other, left, transpose',
  node: 'OrmqrBackward0',
  samples: (t) => [
    [t(4, 3), t(3), t(4, 2)],
    [t(4, 3), t(3), t(2, 4), false, true],
  ],
  differentiable: true,
  forward: (a: Tensor, tau: Tensor, other: Tensor, left = true, transpose = false) => {
    const name = 'torch.ormqr'
    if (a.ndim < 2) throw new RuntimeError(`${name}: input must have at least 2 dimensions.`)
    if (other.ndim < 2) throw new RuntimeError(`${name}: other must have at least 2 dimensions.`)
    const at = left ? -2 : -1
    const size = other.size(at)
    if (size < tau.sizes[tau.ndim - 1])
      throw new RuntimeError(`${name}: other.shape[${at}] must be greater than or equal to tau.shape[-1]`)
    if (size !== a.size(-2)) throw new RuntimeError(`${name}: other.shape[${at}] must be equal to input.shape[-2]`)
    if (tau.size(-1) !== Math.min(size, a.size(-1))) {
      throw new RuntimeError(`${name}: tau.shape[-1] must be equal to min(other.shape[${at}], input.shape[-1])`)
    }
    checkTau(name, a, tau)
    if (other.ndim !== a.ndim || !sameSizes(batchOf(other), batchOf(a))) {
      throw new RuntimeError(
        `${name}: Expected batch dimensions of other to be equal to input.shape[:-2], but got [${batchOf(other).join(', ')}]`,
      )
    }
    if (other.dtype !== a.dtype) {
      throw new RuntimeError(
        `${name}: Expected input and other to have the same dtype, but input has dtype ${a.dtype.title} and other has dtype ${other.dtype.title}`,
      )
    }
    checkKernel('ormqr_cpu', a)
    // C Q is the transpose of Q^T C^T.
    const side = left ? other : other.mT
    const transposed = left ? transpose : !transpose
    if (recording(a, tau, other)) {
      const found = reflected(a, tau, side, transposed)
      return left ? found : found.mT
    }
    const out = applied(a, tau, side, transposed)
    return left ? out : out.mT
  },
})

function applied(a: Tensor, tau: Tensor, c: Tensor, transposed: boolean): Tensor {
  const [m, n] = a.sizes.slice(-2)
  const k = tau.sizes[tau.ndim - 1]
  const columns = c.sizes[c.ndim - 1]
  const out = empty(c.sizes, c.dtype)
  const [source, factors, side] = [a.detach().contiguous(), tau.detach().contiguous(), c.detach().contiguous()]
  const count = countOf(batchOf(a))
  const dense = device().dense()
  const dtype = realOf(a)
  const operands = [source.pointer, factors.pointer, side.pointer, out.pointer]
  atPointers('applyQ', operands, 'rrrw', ([from, taus, c, to]) =>
    applyQ(dense, dtype, count, m, n, k, from, taus, c, columns, to, transposed),
  )
  return out
}
