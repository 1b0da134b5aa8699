// Factorisations by blocks: sizes at the edges of panels and halves, both dtypes, batches and strided matrices; what they
// make is multiplied out in float64. Small ones and PyTorch's values are in linalg.test.ts and parity.test.ts.
import { afterEach, describe, expect, test } from 'vitest'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { memory } from '../src/backend/memory.ts'
import * as torch from '../src/index.ts'
import { device, useDevice } from '../src/tensor/run.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { linalg } = torch
const { float32, float64 } = torch
const SIZES = [31, 32, 33, 63, 64, 65, 130]
const DTYPES = [float32, float64] as const

/** Standard normal draws. */
function random(seed: number, dtype: typeof float32, ...sizes: number[]): Tensor {
  return torch.randn(sizes, { dtype, generator: new torch.Generator().manualSeed(seed) })
}

const epsilon = (x: Tensor): number => (x.dtype === float64 ? 2 ** -52 : 2 ** -23)
const long = (x: Tensor): Tensor => x.to(float64)
const largest = (x: Tensor): number => (x.numel() === 0 ? 0 : x.abs().max().item<number>())

/** Expects |x - y| <= bound, and NaN nowhere. */
function expectNear(x: Tensor, y: Tensor, bound: number): void {
  expect([...x.shape]).toEqual([...y.shape])
  expect(largest(long(x).sub(long(y)))).toBeLessThanOrEqual(bound)
}

const eye = (n: number): Tensor => torch.eye(n, { dtype: float64 })
/** A batch of two matrices that don't lie contiguously: transposed, and every second row of what is there. */
const strided = (seed: number, dtype: typeof float32, m: number, n: number): Tensor =>
  random(seed, dtype, 2, n, 2 * m).mT.at(':', '::2')

describe.each(DTYPES)('in %s', (dtype) => {
  test.each(SIZES)('P L U is A at size %i', (n) => {
    for (const [rows, columns] of [[n, n], [n, 20], [20, n], [n + 1, n], [n, n + 1]]) {
      const a = strided(n, dtype, rows, columns)
      const { P, L, U } = linalg.lu(a)
      expectNear(long(P).matmul(long(L)).matmul(long(U)), a, 4 * n * epsilon(a))
      expect(largest(L)).toBe(1)
      expect(largest(L.triu(1))).toBe(0)
      expect(largest(U.tril(-1))).toBe(0)
    } // biome-ignore format: a table
  })

  test.each(SIZES)('A x is b at size %i', (n) => {
    const a = strided(n, dtype, n, n)
    for (const k of [1, 3, 16]) {
      const b = strided(k, dtype, n, k)
      const x = linalg.solve(a, b)
      const size = largest(long(a).abs().matmul(long(x).abs()))
      expectNear(long(a).matmul(long(x)), b, n * epsilon(a) * size)
      const { LU, pivots } = linalg.luFactor(a)
      const y = linalg.luSolve(LU, pivots, b.mT, { left: false, adjoint: true })
      expectNear(long(y).matmul(long(a.mT)), b.mT, n * epsilon(a) * largest(long(y).abs().matmul(long(a.mT).abs())))
    }
    const inverse = linalg.inv(a)
    const size = largest(long(a).abs().matmul(long(inverse).abs()))
    expectNear(long(a).matmul(long(inverse)), eye(n).expand(2, n, n), n * epsilon(a) * size)
  })

  test.each(SIZES)('triangles of size %i', (n) => {
    const a = strided(n, dtype, n, n).div(n).add(torch.eye(n, { dtype }).mul(2))
    for (const t of [a, a.mT, a.at(0)]) {
      for (const upper of [true, false]) {
        for (const unitriangular of [true, false]) {
          const whole = unitriangular ? t.sub(t.diagonal(0, -2, -1).diagEmbed()).add(torch.eye(n, { dtype })) : t
          const triangle = long(upper ? whole.triu() : whole.tril())
          const b = strided(1, dtype, n, 5)
          expectNear(
            triangle.matmul(long(linalg.solveTriangular(t, b, { upper, unitriangular }))),
            b,
            8 * n * epsilon(a),
          )
          const x = linalg.solveTriangular(t, b.mT, { upper, unitriangular, left: false })
          expectNear(long(x).matmul(triangle), b.mT, 8 * n * epsilon(a))
        }
      }
    }
  })

  test.each(SIZES)('L L^T is A at size %i, from one triangle', (n) => {
    const x = strided(n, dtype, n, n)
    const a = x.matmul(x.mT).div(n).add(torch.eye(n, { dtype }))
    const l = linalg.cholesky(a.tril().sub(torch.ones([n, n], { dtype }).triu(1)))
    expectNear(long(l).matmul(long(l.mT)), a, 2 * n * epsilon(a))
    expect(largest(l.triu(1))).toBe(0)
    const u = linalg.cholesky(a.triu().sub(torch.ones([n, n], { dtype }).tril(-1)), { upper: true })
    expectNear(long(u.mT).matmul(long(u)), a, 2 * n * epsilon(a))
    expect(largest(u.tril(-1))).toBe(0)
    const bad = a.clone()
    bad.setAt([1, n - 1, n - 1], -1)
    expect(linalg.choleskyEx(bad).info.tolist()).toEqual([0, n])
  })

  test.each(SIZES)('Q R is A and Q is orthogonal at size %i', (n) => {
    for (const [rows, columns] of [[n, n], [n, 20], [20, n], [n + 1, n], [n, n + 1]]) {
      const a = strided(n, dtype, rows, columns)
      for (const mode of ['reduced', 'complete'] as const) {
        const { Q, R } = linalg.qr(a, mode)
        const bound = 4 * Math.max(rows, columns) * epsilon(a)
        expectNear(long(Q).matmul(long(R)), a, bound)
        const k = Q.size(-1)
        expectNear(long(Q).mT.matmul(long(Q)), eye(k).expand(2, k, k), bound)
        expect(largest(R.tril(-1))).toBe(0)
      }
      const { a: packed, tau } = torch.geqrf(a)
      const { Q } = linalg.qr(a, 'complete')
      const c = strided(2, dtype, rows, 3)
      expectNear(torch.ormqr(packed, tau, c), long(Q).matmul(long(c)), 4 * n * epsilon(a))
      expectNear(torch.ormqr(packed, tau, c, true, true), long(Q).mT.matmul(long(c)), 4 * n * epsilon(a))
      if (rows >= columns) {
        expectNear(linalg.householderProduct(packed, tau), Q.narrow(-1, 0, columns), 4 * n * epsilon(a))
      }
    } // biome-ignore format: a table
  })

  test.each(SIZES)('least squares at size %i', (n) => {
    for (const [rows, columns] of [[n, n], [n, 20], [20, n]]) {
      const a = strided(n, dtype, rows, columns)
      const b = strided(3, dtype, rows, 2)
      const expected = linalg.pinv(long(a)).matmul(long(b))
      const bound = 200 * n * epsilon(a) * largest(linalg.pinv(long(a))) ** 2 * largest(a)
      expectNear(linalg.lstsq(a, b, { driver: 'gels' }).solution, expected, bound)
      const found = linalg.lstsq(a, b)
      expectNear(found.solution, expected, bound)
      expect(found.rank.tolist()).toEqual([Math.min(rows, columns), Math.min(rows, columns)])
    } // biome-ignore format: a table
  })

  test('a rank that is not full', () => {
    const a = random(1, dtype, 70, 10).matmul(random(2, dtype, 10, 66))
    const { solution, rank } = linalg.lstsq(a, random(3, dtype, 70, 2))
    expect(rank.item()).toBe(10)
    const expected = linalg.pinv(long(a), { rtol: 1e-5 }).matmul(long(random(3, dtype, 70, 2)))
    expectNear(solution, expected, 500 * epsilon(a))
    const zero = torch.tensor([[1, 2], [0, 0], [0, 0]], { dtype }) // biome-ignore format: a matrix
    expect(() => linalg.lstsq(zero, torch.ones([3, 1], { dtype }), { driver: 'gels' })).toThrow(
      'torch.linalg.lstsq: The least squares solution could not be computed because the input matrix does not have full rank (error code: 2).',
    )
  })

  test('equal pivots: the first row is taken', () => {
    const a = torch
      .ones([20, 20], { dtype })
      .tril()
      .mul(torch.tensor([1, -1], { dtype }).repeat([10]))
    expect(linalg.luFactor(a).pivots.tolist()).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  test('a zero pivot on the way', () => {
    const a = random(5, dtype, 40, 40)
    a.narrow(1, 18, 1).zero_()
    const { LU, info } = linalg.luFactorEx(a)
    expect(info.item()).toBe(19)
    expect(largest(torch.isfinite(LU).logicalNot().to(float64))).toBe(0)
    expect(() => linalg.solve(a, a)).toThrow('The solver failed because the input matrix is singular.')
    expect(Math.abs(linalg.det(a).item<number>())).toBe(0)
  })

  test('columns whose squares are out of range', () => {
    const far = dtype === float64 ? 300 : 35
    for (const power of [far, -far]) {
      const scale = 10 ** power
      const a = random(4, dtype, 40, 20).mul(scale)
      const { Q, R } = linalg.qr(a)
      expectNear(long(Q).mT.matmul(long(Q)), eye(20), 200 * epsilon(a))
      expectNear(long(Q).matmul(long(R).div(scale)), long(a).div(scale), 200 * epsilon(a))
    }
    // Of a column that is almost zero below the diagonal the reflection still turns the sign; of zeros it does nothing.
    const tiny = dtype === float64 ? 1e-200 : 1e-30
    expect(linalg.qr(torch.tensor([[1], [tiny]], { dtype })).R.item()).toBe(-1)
    expect(linalg.qr(torch.tensor([[1], [0]], { dtype })).R.item()).toBe(1)
  })

  test('many small matrices', () => {
    const a = random(6, dtype, 50, 8, 8)
    const { P, L, U } = linalg.lu(a)
    expectNear(long(P).matmul(long(L)).matmul(long(U)), a, 50 * epsilon(a))
    const { Q, R } = linalg.qr(a)
    expectNear(long(Q).matmul(long(R)), a, 50 * epsilon(a))
    const { sign, logabsdet } = linalg.slogdet(a)
    const det = linalg.det(long(a))
    expectNear(sign.mul(logabsdet.exp()).div(det), torch.ones([50], { dtype }), 2000 * epsilon(a))
  })

  test('compiled and eager ones agree', () => {
    const a = random(7, dtype, 2, 40, 40)
    const s = a.matmul(a.mT).add(torch.eye(40, { dtype }))
    const b = random(8, dtype, 2, 40, 3)
    const run = (x: Tensor, y: Tensor): Tensor[] => [
      linalg.solve(x, y),
      linalg.inv(x),
      linalg.det(x),
      linalg.cholesky(x),
      ...linalg.qr(x),
      linalg.lstsq(x, y, { driver: 'gels' }).solution,
      linalg.solveTriangular(x, y, { upper: false }),
    ]
    const compiled = torch.compile(run)
    for (const factor of [1, 2, 3]) {
      const found = compiled(s.mul(factor), b)
      for (const [i, expected] of run(s.mul(factor), b).entries()) expect(found[i].equal(expected)).toBe(true)
    }
  })
})

describe('with the interpreter', () => {
  const before = device()
  afterEach(() => {
    useDevice(before)
  })

  test.each([3, 17, 33])('blocks agree at size %i', (n) => {
    const a = random(9, float64, n, n)
    const s = a.matmul(a.mT).add(torch.eye(n, { dtype: float64 }))
    const b = random(8, float64, n, 3)
    const run = (): Tensor[] => [
      linalg.solve(a, b),
      ...linalg.luFactor(a),
      linalg.cholesky(s),
      ...linalg.qr(a, 'complete'),
      ...linalg.qr(a.narrow(0, 0, 3)),
      ...linalg.qr(a.narrow(1, 0, 2)),
      linalg.lstsq(a, b).solution,
      linalg.solveTriangular(s, b, { upper: true, left: true }),
    ]
    const fast = run()
    useDevice(createInterpreter())
    for (const [i, slow] of run().entries()) expectNear(fast[i], slow, 1e-9 * (1 + largest(slow)))
  })
})

test('scratch memory is given back', () => {
  const a = random(1, float64, 130, 130)
  const run = (): void => {
    torch.scope(() => {
      linalg.solve(a, a)
      linalg.qr(a)
      linalg.lstsq(a, a)
      linalg.cholesky(a.matmul(a.mT))
    })
  }
  run()
  const used = memory.used
  for (let i = 0; i < 3; i++) run()
  expect(memory.used).toBeLessThanOrEqual(used)
})

test.each([
  [float32, 296],
  [float64, 300],
] as const)('a product whose left side is packed and whose last columns make half a panel: %s', (dtype, n) => {
  const a = random(2, dtype, n, n)
  expectNear(a.t().matmul(a), a.t().contiguous().matmul(a), n * epsilon(a) * 10)
})
