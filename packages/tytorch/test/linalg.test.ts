// Linear algebra: factors multiply to what they factor, gradients of symmetric functions, errors in PyTorch's words, and
// the conventions (signs, pivots) of LAPACK. Values against PyTorch are in parity.test.ts.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { linalg } = torch
const float64 = { dtype: torch.float64 }

function random(seed: number, ...sizes: number[]): Tensor {
  return torch.randn(sizes, { ...float64, generator: new torch.Generator().manualSeed(seed) })
}

const matrix = (rows: number[][]): Tensor => torch.tensor(rows, { dtype: torch.float32 })

const symmetric = (x: Tensor): Tensor => x.add(x.mT)
const positive = (x: Tensor): Tensor => x.matmul(x.mT).add(torch.eye(x.size(-1), float64))

function expectClose(a: Tensor, b: Tensor, atol = 1e-11): void {
  expect([...a.shape]).toEqual([...b.shape])
  if (a.numel() > 0) expect(a.sub(b).abs().max().item()).toBeLessThan(atol)
}

const SHAPES = [
  [1, 1],
  [5, 5],
  [7, 3],
  [3, 7],
  [12, 1],
  [1, 12],
  [40, 33],
  [2, 4, 3],
  [2, 3, 5, 5],
  [0, 3],
  [3, 0],
  [0, 3, 3],
]

describe('factors multiply to the matrix', () => {
  test.each(SHAPES)('of sizes %j %j %j %j', (...sizes) => {
    const a = random(3, ...sizes.filter((n) => typeof n === 'number'))
    const [m, n] = [a.size(-2), a.size(-1)]
    const k = Math.min(m, n)
    for (const mode of ['reduced', 'complete'] as const) {
      const { Q, R } = linalg.qr(a, mode)
      expectClose(Q.matmul(R), a)
      expectClose(
        Q.mT.matmul(Q),
        torch.eye(Q.size(-1), float64).expand([...a.sizes.slice(0, -2), Q.size(-1), Q.size(-1)]),
      )
    }
    const [P, L, U] = linalg.lu(a)
    expectClose(P.matmul(L).matmul(U), a)
    for (const full of [true, false]) {
      const { U: u, S, Vh } = linalg.svd(a, full)
      expectClose(
        u
          .narrow(-1, 0, k)
          .mul(S.unsqueeze(-2))
          .matmul(Vh.narrow(-2, 0, k)),
        a,
      )
      expectClose(
        u.mT.matmul(u),
        torch.eye(u.size(-1), float64).expand([...a.sizes.slice(0, -2), u.size(-1), u.size(-1)]),
      )
      expectClose(linalg.svdvals(a), S)
    }
    expectClose(a.matmul(linalg.pinv(a)).matmul(a), a)
  })

  test.each([1, 2, 6, 30])('of size %i, symmetric', (n) => {
    const a = symmetric(random(4, 2, n, n))
    const { eigenvalues, eigenvectors } = linalg.eigh(a)
    expectClose(eigenvectors.mul(eigenvalues.unsqueeze(-2)).matmul(eigenvectors.mT), a)
    expectClose(linalg.eigvalsh(a, 'U'), eigenvalues)
    expect(eigenvalues.diff().ge(0).all().item()).toBe(true)
    const p = positive(random(5, n, n))
    const lower = linalg.cholesky(p)
    expectClose(lower.matmul(lower.mT), p)
    expectClose(linalg.cholesky(p, { upper: true }), lower.mT)
    expectClose(torch.choleskyInverse(lower).matmul(p), torch.eye(n, float64), 1e-9)
    const b = random(6, n, 3)
    expectClose(
      a.select(0, 0).matmul(linalg.ldlSolve(...([...linalg.ldlFactor(a.select(0, 0))] as [Tensor, Tensor]), b)),
      b,
      1e-9,
    )
  })

  test('singular and repeated values', () => {
    for (const a of [torch.zeros(4, 4, float64), torch.ones(5, 3, float64), torch.eye(4, float64)]) {
      const { U, S, Vh } = linalg.svd(a, false)
      expectClose(U.mul(S).matmul(Vh), a)
      expectClose(U.mT.matmul(U), torch.eye(S.numel(), float64))
    }
    expect(linalg.matrixRank(torch.ones(5, 3)).item()).toBe(1)
  })
})

test('systems are solved from both sides', () => {
  const a = random(7, 2, 20, 20)
  const b = random(8, 20, 4)
  expectClose(a.matmul(linalg.solve(a, b)), b.expand([2, 20, 4]), 1e-9)
  expectClose(linalg.solve(a, b.mT, { left: false }).matmul(a), b.mT.expand([2, 4, 20]), 1e-9)
  expectClose(linalg.inv(a).matmul(a), torch.eye(20, float64).expand([2, 20, 20]), 1e-9)
  const { LU, pivots } = linalg.luFactor(a)
  expectClose(linalg.luSolve(LU, pivots, b, { adjoint: true }), linalg.solve(a.mT, b), 1e-9)
})

describe('gradients that finite differences of single elements do not see', () => {
  const cases: [string, (x: Tensor) => Tensor | Tensor[], number[]][] = [
    ['cholesky', (x) => linalg.cholesky(positive(x)), [3, 3]],
    ['cholesky, upper', (x) => linalg.cholesky(positive(x), { upper: true }), [2, 3, 3]],
    ['choleskyInverse', (x) => torch.choleskyInverse(linalg.cholesky(positive(x))), [3, 3]],
    ['choleskySolve', (x) => torch.choleskySolve(x, linalg.cholesky(positive(x))), [3, 3]],
    ['eigvalsh', (x) => linalg.eigvalsh(symmetric(x)), [3, 3]],
    ['eigh', (x) => linalg.eigh(symmetric(x)).eigenvectors.pow(2), [3, 3]],
    ['svd', (x) => linalg.svd(x, false).U.pow(2), [4, 3]],
    ['svd, wide', (x) => linalg.svd(x, false).Vh.abs(), [3, 4]],
    ['pinv, hermitian', (x) => linalg.pinv(symmetric(x), { hermitian: true }), [3, 3]],
  ]
  test.each(cases)('%s', (_name, fn, sizes) => {
    const x = random(9, ...sizes).requiresGrad_()
    expect(torch.autograd.gradcheck(fn, x)).toBe(true)
    expect(torch.autograd.gradgradcheck(fn, x, { atol: 1e-4 })).toBe(true)
  })

  test('of a singular determinant', () => {
    const a = torch
      .tensor(
        [
          [1, 2],
          [2, 4],
        ],
        float64,
      )
      .requiresGrad_()
    linalg.det(a).backward()
    expectClose(
      a.grad as Tensor,
      torch.tensor(
        [
          [4, -2],
          [-2, 1],
        ],
        float64,
      ),
      1e-9,
    )
  })
})

test("errors are PyTorch's", () => {
  const singular = matrix([
    [1, 2],
    [2, 4],
  ])
  expect(() => linalg.inv(singular)).toThrow(
    'linalg.inv: The diagonal element 2 is zero, the inversion could not be completed because the input matrix is singular.',
  )
  expect(() => linalg.inv(torch.stack([torch.eye(2), singular]))).toThrow('linalg.inv: (Batch element 1): The diagonal')
  expect(() => linalg.inv(singular)).toThrow(linalg.LinAlgError)
  expect(() => linalg.solve(singular, singular)).toThrow('torch.linalg.solve: The solver failed because')
  expect(() =>
    linalg.cholesky(
      matrix([
        [1, 2],
        [2, 1],
      ]),
    ),
  ).toThrow('(the leading minor of order 2 is not positive-definite).')
  expect(() =>
    linalg.svd(
      matrix([
        [Number.NaN, 1],
        [1, 2],
      ]),
    ),
  ).toThrow(linalg.LinAlgError)
  expect(() => linalg.inv(torch.ones(2, 3))).toThrow(
    'linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices',
  )
  expect(() => linalg.inv(torch.ones(2, 2).long())).toThrow(
    'Expected a floating point or complex tensor as input. Got Long',
  )
  expect(() => linalg.lu(torch.ones(2, 2), { pivot: false })).toThrow(
    'LU without pivoting is not implemented on the CPU',
  )
  expect(() => torch.einsum('ij->ik', torch.ones(2, 2))).toThrow('output subscript k does not appear')
})

test("pivots and reflections are LAPACK's", () => {
  expect(
    linalg
      .ldlFactorEx(
        matrix([
          [1, 5, 2],
          [5, 1, 3],
          [2, 3, 4],
        ]),
      )
      .pivots.tolist(),
  ).toEqual([-2, -2, 3])
  expect(
    linalg
      .luFactor(
        matrix([
          [1, 2],
          [3, 4],
        ]),
      )
      .pivots.tolist(),
  ).toEqual([2, 2])
  expect(linalg.qr(torch.ones(3, 2)).R.select(0, 0).select(0, 0).item()).toBeCloseTo(-Math.sqrt(3), 6)
})

test('sums of products by letters', () => {
  const a = random(10, 2, 3, 4)
  const b = random(11, 4, 5)
  expectClose(torch.einsum('bij,jk->bik', a, b), a.matmul(b))
  expectClose(torch.einsum('...ij->...ji', a), a.mT)
  expectClose(torch.einsum(a, [0, 1, 2], b, [2, 3], [0, 3, 1]), a.matmul(b).mT)
  expectClose(torch.einsum('ij,ij->j', random(12, 1, 3), torch.ones(4, 3, float64)), random(12, 1, 3).sum(0).mul(4))
  expect(linalg.multiDot([torch.ones(2, 3), torch.ones(3, 4), torch.ones(4)]).tolist()).toEqual([12, 12])
})

test('exponentials of large and small matrices', () => {
  const a = random(13, 4, 4).mul(5)
  expectClose(torch.matrixExp(a).matmul(torch.matrixExp(a.neg())), torch.eye(4, float64), 1e-3)
  const both = torch.stack([a, a.mul(1e-9)])
  expectClose(torch.matrixExp(both).select(0, 1), torch.matrixExp(a.mul(1e-9)), 1e-15)
})
