// Where an answer is only defined up to a choice, and where float32 defines fewer digits: what is compared instead.
import type { Tolerance } from './compare.ts'
import type { Json } from './data.ts'
import { type Dynamic, type Tensor, type Torch, toTensor, type Values } from './values.ts'

/**
 * Ops for which float32 rounding alone moves the result by more than assert_close allows: matrix factorisations and what
 * is solved with them amplify rounding by the condition number. Everything else has assert_close's own tolerance.
 */
const ILL_CONDITIONED = /^(linalg\.|cholesky|lu|qr$|svd$|ormqr|geqrf|triangular_solve|pinverse|logdet|matrix_exp)/
const NONE: Tolerance = { rtol: 0, atol: 0 }
const LINALG: Tolerance = { rtol: 1e-4, atol: 1e-4 }
const REDUCING_NORMS = /^linalg\.(vector_norm|matrix_norm|norm|vecdot|cross|diagonal|vander)$/

/** The least tolerance of an op's float32 results. */
export function toleranceFor(op: string): Tolerance {
  return ILL_CONDITIONED.test(op) && !REDUCING_NORMS.test(op) ? LINALG : NONE
}

/**
 * Singular vectors and eigenvectors are defined up to their sign: ours are given PyTorch's, by differentiable
 * multiplications with 1 and -1, so that values and gradients can be compared as they are.
 */
export function align(torch: Torch, op: string, got: unknown, expected: Json, values: Values): unknown {
  const kind = { svd: 'svd', 'linalg.svd': 'svdh', 'linalg.eigh': 'eigh' }[op]
  if (!kind || !Array.isArray(got) || !Array.isArray(expected)) return got
  const reference = expected.map((e) => {
    const stored = values.stored(e)
    return stored ? toTensor(torch, stored) : null
  })
  const own = got as Tensor[]
  if (own.some((x, i) => x.shape.join() !== reference[i]?.shape.join())) return got
  if (kind === 'eigh') return [own[0], own[1].mul(signs(own[1], reference[1] as Tensor))]
  const [u, s, v] = own
  const k = s.shape[s.shape.length - 1]
  const flip = signs(u, reference[0] as Tensor)
  const shared = flip.narrow(-1, 0, k)
  // Columns beyond the rank span what is left over in any basis.
  if (u.shape[u.ndim - 1] !== k || v.shape[v.ndim - (kind === 'svdh' ? 2 : 1)] !== k) return got
  return [u.mul(flip), s, kind === 'svdh' ? v.mul(shared.transpose(-2, -1)) : v.mul(shared)]
}

/** 1 or -1 for each column of `own`, by whether it points as that of `reference`: [..., 1, columns]. */
function signs(own: Tensor, reference: Tensor): Tensor {
  const towards = own.detach().mul(reference).sum(-2, true)
  return (towards as Dynamic).ge(0).to(own.dtype).mul(2).sub(1)
}

/** Ops that answer positions of keys, and may name any of equal ones (max and min name the first, by their documentation). */
const POSITIONS = new Set(['sort', 'argsort', 'topk', 'kthvalue', 'median', 'nanmedian', 'mode'])

/**
 * Among equal keys any position will do: if ours pick the values that PyTorch's pick, along the same dimension, they
 * count as PyTorch's. The result with such positions replaced.
 */
export function sameChoice(
  torch: Torch,
  op: string,
  given: readonly unknown[],
  got: unknown,
  expected: Json,
  values: Values,
): unknown {
  const input = given[0]
  if (!POSITIONS.has(op) || !(input instanceof torch.Tensor)) return got
  const outputs = Array.isArray(got) ? (got as Tensor[]) : [got as Tensor]
  const wanted = values.stored(Array.isArray(expected) ? expected[expected.length - 1] : expected)
  const ours = outputs[outputs.length - 1]
  if (wanted?.dtype !== 'int64' || ours.shape.join() !== wanted.shape.join()) return got
  const theirs = toTensor(torch, wanted)
  const ordered = op === 'sort' || op === 'argsort' || op === 'topk'
  for (let dim = 0; dim < input.ndim; dim++) {
    const picked = (index: Tensor): Tensor =>
      input.detach().gather(dim, index.ndim < input.ndim ? index.unsqueeze(dim) : index)
    try {
      if (!picked(ours).eq(picked(theirs)).all().item()) continue
      if (ordered && (repeats(ours, dim) || repeats(theirs, dim))) continue
      return Array.isArray(got) ? [...outputs.slice(0, -1), theirs] : theirs
    } catch {
      // The positions are those of another dimension.
    }
  }
  return got
}

/** True if a position comes twice along `dim`. */
function repeats(positions: Tensor, dim: number): boolean {
  const rows = positions.movedim(dim, -1).reshape([-1, positions.shape[dim]]).tolist<number[][]>()
  return rows.some((row) => new Set(row).size !== row.length)
}
