// Eigenvalues and singular values at the edges: matrices that are special, empty, batched, large enough for threads, or far
// from 1; general eigenvalues against LAPACK; the passes of both devices; and `out` for ops with several results.
import { expect, it } from 'vitest'
import { plainTurns } from '../src/backend/interp/turns.ts'
import { memory } from '../src/backend/memory.ts'
import { createTurns } from '../src/backend/wasm/turns.ts'
import type { Tensor } from '../src/index.ts'
import * as torch from '../src/index.ts'

const { linalg } = torch
const f64 = { dtype: torch.float64 } as const

const size = (x: Tensor): number => (x.count === 0 ? 0 : (x.abs().max().item() as number))
const complexOf = (x: Tensor): Tensor => torch.complex(x, x.zerosLike())
const scaled = (x: Tensor): number => Math.max(size(x), 2 ** -1000)

/** Matrices of which iterations and reflections make special cases. */
const SPECIAL: [string, () => Tensor][] = [
  ['zeros', () => torch.zeros([5, 5], f64)],
  ['the identity', () => torch.eye(6, f64)],
  ['one element', () => torch.tensor([[-3]], f64)],
  ['repeated values', () => torch.diag(torch.tensor([2, 2, 2, -1, -1], f64))],
  ['ones: rank one', () => torch.ones([9, 9], f64)],
  [
    'a Jordan block',
    () =>
      torch
        .eye(7, f64)
        .mul(2)
        .add(torch.diag(torch.ones([6], f64), 1)),
  ],
  ['a permutation', () => torch.eye(8, f64).roll(1, 0)],
  ['triangular', () => torch.randn([10, 10], f64).triu()],
  ['graded', () => torch.randn([8, 8], f64).mul(torch.logspace(-9, 9, 8, f64))],
  ['tiny', () => torch.randn([5, 5], f64).mul(1e-300)],
  ['huge', () => torch.randn([5, 5], f64).mul(1e300)],
  ['random', () => torch.randn([37, 37], f64)],
  ['large', () => torch.randn([150, 150], f64)],
  ['a batch', () => torch.randn([2, 3, 4, 4], f64)],
  ['empty', () => torch.zeros([0, 0], f64)],
  ['an empty batch', () => torch.zeros([0, 3, 3], f64)],
]

it.each(SPECIAL)('%s: vectors are orthonormal and give the matrix back', (_, make) => {
  torch.manualSeed(3)
  const a = make()
  const n = a.size(-1)
  const one = torch.eye(n, f64)
  const by = scaled(a)
  const { U, S, Vh } = linalg.svd(a)
  expect(size(U.mT.matmul(U).sub(one))).toBeLessThan(1e-12)
  expect(size(Vh.matmul(Vh.mT).sub(one))).toBeLessThan(1e-12)
  expect(size(U.mul(S.div(by).unsqueeze(-2)).matmul(Vh).sub(a.div(by)))).toBeLessThan(1e-12)
  expect(size(linalg.svdvals(a).sub(S).div(by))).toBeLessThan(1e-12)
  const s = a.div(2).add(a.mT.div(2))
  for (const uplo of ['L', 'U'] as const) {
    const [w, v] = linalg.eigh(s, uplo)
    expect(size(v.mT.matmul(v).sub(one))).toBeLessThan(1e-12)
    expect(size(v.mul(w.div(by).unsqueeze(-2)).matmul(v.mT).sub(s.div(by)))).toBeLessThan(1e-12)
    expect(size(linalg.eigvalsh(s, uplo).sub(w).div(by))).toBeLessThan(1e-12)
  }
})

it.each(SPECIAL)('%s: general eigenvalues and vectors', (name, make) => {
  torch.manualSeed(4)
  const a = make()
  const by = scaled(a)
  const [w, v] = linalg.eig(a)
  const [left, right] = [complexOf(a.div(by)).matmul(v), v.mul(w.div(by).unsqueeze(-2))]
  // Balancing a graded matrix loses digits of what is small (LAPACK leaves 1e-7 too).
  expect(size(left.sub(right))).toBeLessThan(name === 'graded' ? 1e-5 : 1e-11)
  if (a.count > 0) {
    expect(size(linalg.vectorNorm(v, 2, -2).sub(1))).toBeLessThan(1e-12)
    // The largest element of each vector is real.
    const largest = v.abs().max(-2, true).indices
    expect(size(v.imag.gather(-2, largest))).toBe(0)
  }
  expect(size(linalg.eigvals(a).sum(-1).sub(w.sum(-1)).div(by))).toBeLessThan(1e-11)
})

/** A matrix without structure that needs no random numbers. */
function formula(rows: number, columns: number): Tensor {
  const i = torch.arange(1, rows + 1, f64).unsqueeze(1)
  const j = torch.arange(1, columns + 1, f64)
  return i.mul(i).mul(17).add(i.mul(j).mul(5)).add(j.mul(j).mul(31)).add(i).sin()
}

const signsOf = (x: Tensor): string => (x.tolist() as number[]).map((v) => (v > 0 ? '+' : '-')).join('')

it.each([
  [5, 'L', '+-+--'],
  [5, 'U', '-++++'],
  [30, 'L', '+--+--++--++++--+++++--+++-+-+'],
  [30, 'U', '+--+--+-------+-++----+++-++++'],
] as const)('eigenvectors of a matrix of %i rows, %s, have PyTorch’s signs', (n, uplo, signs) => {
  const a = formula(n, n)
  expect(signsOf(linalg.eigh(a.add(a.mT), uplo).eigenvectors.at(0))).toBe(signs)
})

it.each([
  [4, 3, '+++', '--+'],
  [5, 5, '--+--', '-++++'],
  [40, 30, '----++++--+--+++-+-+++++--+--+', '-+-+++-+++-+---++----++---++-+'],
  [30, 40, '+-+-++--++--+++---+----++-++--', '-+++--++-+-+-+-----+++--+--++-'],
])('singular vectors of a %i x %i matrix have PyTorch’s signs', (m, n, left, right) => {
  const { U, Vh } = linalg.svd(formula(m, n), false)
  expect([signsOf(U.at(0)), signsOf(Vh.at(':', 0))]).toEqual([left, right])
})

it('finds the eigenvalues in the order of LAPACK', () => {
  const companion = torch.tensor([[10, -35, 50, -24], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], f64) // biome-ignore format: a matrix
  const [w, v] = linalg.eig(companion)
  expect(size(w.real.sub(torch.tensor([4, 3, 2, 1], f64)))).toBeLessThan(1e-12)
  expect(v.real.at(0).tolist()).toEqual([0.9682458365518, 0.9428090415820, 0.8677218312746, 0.5].map((x) => expect.closeTo(x, 3))) // biome-ignore format: a row
  const turn = linalg.eig(torch.tensor([[0, 1], [-1, 0]], f64)) // biome-ignore format: a matrix
  expect(turn.eigenvalues.imag.tolist()).toEqual([1, -1])
  expect(turn.eigenvectors.imag.tolist()).toEqual([[0, -0], [Math.SQRT1_2, -Math.SQRT1_2].map((x) => expect.closeTo(x, 12))]) // biome-ignore format: a matrix
})

it('differentiates functions of general eigenvalues and of vectors that do not depend on their phase', () => {
  torch.manualSeed(5)
  const a = torch.randn([4, 4], f64).requiresGrad_()
  const weights = torch.randn([4, 4], f64)
  const of = (x: Tensor): Tensor => {
    const [w, v] = linalg.eig(x)
    return w.real.square().sum().add(w.imag.square().sum()).add(v.abs().square().mul(weights).sum())
  }
  expect(torch.autograd.gradcheck(of, [a])).toBe(true)
  expect(torch.autograd.gradcheck((x: Tensor) => linalg.eigvals(x).abs().sum(), [a])).toBe(true)
  // A matrix of real eigenvalues has real vectors up to sign; with a pair, their phase is anything.
  const pair = torch.tensor([[0.1, 1, 0], [-1, 0.2, 0.5], [0.3, 0, 1]], { ...f64, requiresGrad: true }) // biome-ignore format: a matrix
  expect(() => linalg.eig(pair).eigenvectors.sum().abs().backward()).toThrow(
    'specified up to multiplication by e^{i phi}',
  )
})

it('refuses what has no eigenvalues, in PyTorch’s words', () => {
  expect(() => linalg.eig(torch.ones([3]))).toThrow('linalg.eig: The input tensor A must have at least 2 dimensions.')
  expect(() => linalg.eigvals(torch.ones([3, 4]))).toThrow('A must be batches of square matrices, but they are 3 by 4')
  expect(() => linalg.eig(torch.full([2, 2], Number.NaN))).toThrow('input tensor should not contain infs or NaNs')
  expect(() => linalg.eig(torch.ones([2, 2], { dtype: torch.int32 }))).toThrow('Unknown Complex ScalarType for Int')
  expect(() => linalg.eig(complexOf(torch.eye(2)))).toThrow('complex matrices are not supported here')
})

it('the passes and rotations of the two devices agree', () => {
  const [rows, line] = [9, 24]
  const stride = line * 8
  const base = memory.alloc(64 * stride)
  const vector = (i: number): number => base + (rows + 3 + i) * stride
  const list = base + 40 * stride
  const results = [createTurns(), plainTurns].map((turns) => {
    const { f64: view } = memory.views
    const start = base / 8
    for (let i = 0; i < 64 * line; i++) view[start + i] = Math.sin(i)
    // The row behind the last, and what stands beside it, are zeros.
    for (let i = 0; i < rows + 1 + 8; i++) {
      view.fill(
        0,
        start + (i < 8 ? (rows + 3 + i) * line + rows : rows * line),
        start + (i < 8 ? (rows + 3 + i) * line + rows + 3 : (rows + 3) * line),
      )
    }
    turns.subtractTwoDot(rows, 16, base, stride, vector(0), vector(1), vector(2), vector(3), vector(4), vector(5))
    turns.subtractDot(rows, 8, base + 64, stride, vector(4), vector(1), vector(6), vector(5))
    turns.subtractSum(rows - 1, 16, base, stride, vector(6), vector(2), vector(4), vector(7))
    turns.reflectThree(24, base + 2 * stride, stride, 0.3, -1.5, 0.25)
    view.set([stride, 3, stride, 0.6, 0.8, 0, 1, 1, 0, 7 * stride, 2, -stride, 0.8, 0.6, -1, 0], list / 8)
    turns.rotate(list, list + 16 * 8, base, 1)
    turns.reflectRows({ out: base, outStride: stride, rows, n: 14, identity: false, vectors: vector(8), stride, taus: vector(0), count: 4, offset: 1 }) // biome-ignore format: one call
    return Array.from(view.slice(start, start + rows * line))
  })
  results[0].forEach((x, i) => {
    expect(x).toBeCloseTo(results[1][i], 9)
  })
  memory.release(base, 64 * stride)
})

it('writes several results to the tensors given', () => {
  const x = torch.tensor([3.5, 1, 2])
  const [values, indices] = [torch.empty([0]), torch.empty([0], { dtype: torch.int64 })]
  const found = torch.sort(x, { out: [values, indices] })
  expect(found.values).toBe(values)
  expect([...found].map((t, i) => t === [values, indices][i])).toEqual([true, true])
  expect(values.tolist()).toEqual([1, 2, 3.5])
  expect(indices.tolist()).toEqual([1, 2, 0])
  const [w, v] = [torch.empty([0]), torch.empty([0])]
  linalg.eigh(torch.eye(2), { UPLO: 'U', out: [w, v] })
  expect([w.tolist(), v.sizes]).toEqual([
    [1, 1],
    [2, 2],
  ])
  const wide = torch.empty([0], { dtype: torch.complex128 })
  linalg.eigvals(torch.eye(2), { out: wide })
  expect(wide.real.tolist()).toEqual([1, 1])
})

it('refuses outputs of the wrong number, kind and dtype, and ones that record', () => {
  const x = torch.tensor([3.5, 1, 2])
  const long = (): Tensor => torch.empty([0], { dtype: torch.int64 })
  expect(() => torch.sort(x, { out: torch.empty([0]) })).toThrow("argument 'out' must be tuple of Tensors, not Tensor")
  expect(() => torch.sort(x, { out: [torch.empty([0])] })).toThrow('expected tuple of 2 elements but got 1')
  expect(() => torch.sort(x, { out: [torch.empty([0]), torch.empty([0])] })).toThrow(
    'Expected out tensor to have dtype long int, but got float instead',
  )
  expect(() => torch.topk(x, 2, { out: [torch.empty([0], f64), long()] })).toThrow(
    'Expected out tensor to have dtype float, but got double instead',
  )
  expect(() => torch.sort(x.clone().requiresGrad_(), { out: [torch.empty([0]), long()] })).toThrow(
    "sort(): functions with out=... arguments don't support automatic differentiation",
  )
  expect(() => linalg.eigvals(torch.eye(2), { out: torch.empty([0]) })).toThrow(
    'Expected eigenvalues to be safely castable from ComplexFloat dtype, but got eigenvalues with dtype Float',
  )
})
