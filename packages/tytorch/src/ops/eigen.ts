// Eigenvalues and eigenvectors of general matrices: linalg.eig and linalg.eigvals.
import { complex64, complex128, type DType, float64 } from '../base/dtype.ts'
import { LinAlgError, NotImplementedError, RuntimeError } from '../base/errors.ts'
import { complexOps, partsOf } from '../tensor/complex.ts'
import { op, writeOuts } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { recordAll } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { diagEmbed } from './arrange.ts'
import { complex } from './complex.ts'
import { eigenvectors } from './eigenvectors.ts'
import { cat } from './join.ts'
import { matmul } from './linear.ts'
import { largest, loadLines, scaleFor } from './lines.ts'
import { batchOf, checkSquare, countOf, type Floats, type Named, named } from './matrices.ts'
import { balance, hessenberg, schur } from './schur.ts'
import { narrow } from './slice.ts'
import { linalgSolve } from './solve.ts'
import { fillIdentity, lineOf, linesSize, Pieces } from './turning.ts'

/** Throws what PyTorch throws for a matrix without a kernel. Complex ones have none here. */
function check(name: string, a: Tensor): void {
  checkSquare(name, a)
  if (a.dtype.isComplex)
    throw new NotImplementedError(`${name}: complex matrices are not supported here, got ${a.dtype.title}`)
  if (!a.dtype.isFloatingPoint) throw new RuntimeError(`Unknown Complex ScalarType for ${a.dtype.title}`)
  if (a.dtype.itemsize < 4) throw new NotImplementedError(`"linalg_eig_out_cpu" not implemented for '${a.dtype.title}'`)
}

const complexOf = (dtype: DType): DType => (dtype === float64 ? complex128 : complex64)

/** Complex eigenvalues [..., n], and eigenvectors in columns [..., n, n] if wanted, without recording. */
function eigOf(name: string, a: Tensor, wanted: boolean): { values: Tensor; vectors: Tensor } {
  const n = a.sizes[a.ndim - 1]
  const batch = batchOf(a)
  const dtype = complexOf(a.dtype)
  const values = empty([...batch, n], dtype)
  const vectors = empty(wanted ? a.sizes : [0], dtype)
  const block = empty([(wanted ? 4 : 2) * linesSize(n, n) + 6 * lineOf(n)], float64)
  const turns = device().turns()
  onHost(
    name,
    [a.detach().contiguous(), partsOf(values), partsOf(vectors), block],
    'rwww',
    (raw, rawValues, to, scratch) => {
      const [from, spectrum, target] = [raw, rawValues, to] as Floats[]
      const pieces = new Pieces(scratch as Float64Array)
      const h = pieces.lines(n, n)
      const ones = pieces.lines(n, n)
      const vector = (): Float64Array => pieces.vector(n)
      const [re, im, taus, scales] = [vector(), vector(), vector(), vector()]
      const two = [vector(), vector()] as const
      const z = wanted ? pieces.lines(n, n) : null
      const out = wanted ? pieces.lines(n, n) : null
      for (let b = 0; b < countOf(batch) && n > 0; b++) {
        const size = largest(from, b * n * n, n * n)
        if (!Number.isFinite(size))
          throw new RuntimeError('torch.linalg.eig: input tensor should not contain infs or NaNs.')
        const scale = scaleFor(size)
        loadLines(h, from, b * n * n, n, n, scale)
        const balanced = balance(h, n, scales)
        if (z) fillIdentity(z, n)
        hessenberg(turns, h, n, balanced, ones, taus, z, two)
        if (!schur(turns, h, n, balanced, re, im, z)) {
          throw new LinAlgError(
            `${name}: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated eigenvalues.`,
          )
        }
        for (let i = 0; i < n; i++) {
          spectrum[2 * (b * n + i)] = re[i] / scale
          spectrum[2 * (b * n + i) + 1] = im[i] / scale
        }
        if (!z || !out) continue
        eigenvectors(h, n, re, im, z, balanced, out, two)
        for (let k = 0; k < n; k++) {
          // Of a pair, the second vector is the first one's conjugate.
          const pair = im[k] !== 0
          const row = (im[k] < 0 ? k - 1 : k) * out.line
          const sign = im[k] < 0 ? -1 : 1
          for (let r = 0; r < n; r++) {
            const at = 2 * ((b * n + r) * n + k)
            target[at] = out.data[row + r]
            target[at + 1] = pair ? sign * out.data[row + out.line + r] : 0
          }
        }
      }
    },
  )
  return { values, vectors }
}

/** X of M X = B for complex matrices, as one real system of twice the size. */
function solveComplex(m: Tensor, b: Tensor): Tensor {
  const n = m.sizes[m.ndim - 1]
  const [re, im] = [m.real, m.imag]
  const whole = cat([cat([re, im.neg()], -1), cat([im, re], -1)], -2)
  const x = linalgSolve(whole, cat([b.real, b.imag], -2))
  return complex(narrow(x, -2, 0, n).contiguous(), narrow(x, -2, n, n).contiguous())
}

/** torch's linalg_eig_backward, for a real matrix. */
function gradient(gl: Tensor | null, gv: Tensor | null, l: Tensor, v: Tensor): Tensor | null {
  const vh = v.mT.conj()
  if (!gv) return gl && solveComplex(vh, gl.unsqueeze(-1).mul(vh)).real
  const inner = matmul(vh, gv)
  const along = inner.diagonal(0, -2, -1)
  const most = along.imag.detach().abs()
  if (most.gt(1e-2).any().item()) {
    throw new RuntimeError(
      'linalg_eig_backward: The eigenvectors in the complex case are specified up to multiplication by e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined.',
    )
  }
  const n = l.sizes[l.ndim - 1]
  const kept = inner.sub(matmul(vh, v.mul(along.real.unsqueeze(-2))))
  const one = diagEmbed(l.real.detach().onesLike())
  const lc = l.conj()
  const apart = lc.unsqueeze(-2).sub(lc.unsqueeze(-1)).add(one)
  const off = kept.div(apart).mul(one.rsub(1))
  const core = gl ? off.add(diagEmbed(gl)) : off
  return n === 0 ? core.real : solveComplex(vh, matmul(core, vh)).real
}

function eigRecorded(name: string, a: Tensor): { values: Tensor; vectors: Tensor } {
  const { values, vectors } = eigOf(name, a, true)
  recordAll([values, vectors], 'LinalgEigBackward0', [a], [values, vectors], ([gl, gv], [l, v]) => [
    gradient(gl, gv, l, v),
  ])
  return { values, vectors }
}

function eig(a: Tensor, out?: readonly Tensor[]): Named<'eigenvalues' | 'eigenvectors'> {
  check('linalg.eig', a)
  const { values, vectors } = eigRecorded('linalg.eig', a)
  const found = named({ eigenvalues: values, eigenvectors: vectors })
  return out ? writeOuts('torch.linalg.eig', found, out, true) : found
}

function eigvals(a: Tensor, out?: Tensor): Tensor {
  check('linalg.eigvals', a)
  const eigenvalues = a.requiresGrad
    ? eigRecorded('linalg.eigvals', a).values
    : eigOf('linalg.eigvals', a, false).values
  return out ? writeOuts('torch.linalg.eigvals', { eigenvalues }, [out], true).eigenvalues : eigenvalues
}

/**
 * Complex eigenvalues [..., n] of real matrices [..., n, n], in no order, and their eigenvectors in columns [..., n, n],
 * each of Euclidean norm 1 with its largest element real. Throws RuntimeError for NaN or infinity, LinAlgError if the
 * iteration does not end.
 */
export const linalgEig: (
  a: Tensor,
  options?: { readonly out?: readonly Tensor[] },
) => Named<'eigenvalues' | 'eigenvectors'> = op({
  name: 'linalgEig',
  python: 'linalg.eig',
  signature: 'A, *, out',
  // Vectors are defined up to a complex factor, and loss functions may not depend on it: tests see the values' sizes.
  samples: (t) => [[t(3, 3).detach()], [t(2, 2, 2).detach()]],
  forward: eig,
})

/** Complex eigenvalues [..., n] of real matrices [..., n, n], in no order. Throws as `linalg.eig`. */
export const linalgEigvals: (a: Tensor, options?: { readonly out?: Tensor }) => Tensor = op({
  name: 'linalgEigvals',
  python: 'linalg.eigvals',
  signature: 'A, *, out',
  samples: (t) => [[t(3, 3)], [t(2, 2, 2)]],
  differentiable: true,
  forward: eigvals,
})

// A real matrix with complex outputs comes here, too.
complexOps.set('linalgEig', eig)
complexOps.set('linalgEigvals', eigvals)
