// Linear algebra of complex matrices against PyTorch 2.13's numbers, its gradients by finite differences.

import type { Tensor } from 'tytorch'
import * as torch from 'tytorch'
import { describe, expect, test } from 'vitest'

const matrix = (...sizes: number[]): Tensor => {
  const part = (): Tensor => torch.randn(sizes, { dtype: torch.float64 })
  return torch.complex(part(), part())
}
const far = (x: Tensor, y: Tensor): number => x.sub(y).abs().max().item<number>()
torch.manualSeed(3)
const a = matrix(2, 5, 5)
const b = matrix(2, 5, 3)

describe('systems and inverses', () => {
  test('solve from the left, from the right and for vectors', () => {
    expect(far(a.matmul(torch.linalg.solve(a, b)), b)).toBeLessThan(1e-12)
    const right = b.mT
    expect(far(torch.linalg.solve(a, right, { left: false }).matmul(a), right)).toBeLessThan(1e-12)
    const v = matrix(5)
    expect(far(a.select(0, 0).matmul(torch.linalg.solve(a.select(0, 0), v)), v)).toBeLessThan(1e-12)
  })

  test('inverses and powers', () => {
    const one = torch.eye(5, { dtype: torch.float64 }).to(torch.complex128)
    expect(far(a.matmul(torch.linalg.inv(a)), one)).toBeLessThan(1e-12)
    expect(far(torch.linalg.matrixPower(a, -2).matmul(a).matmul(a), one)).toBeLessThan(1e-11)
  })

  test('a matrix without an inverse is told', () => {
    const flat = torch.ones(2, 2).to(torch.complex64)
    expect(() => torch.linalg.inv(flat)).toThrow(
      'linalg.inv: The diagonal element 2 is zero, the inversion could not be completed because the input matrix is singular.',
    )
    expect(() => torch.linalg.solve(flat, torch.ones(2).to(torch.complex64))).toThrow('The solver failed')
    expect(torch.linalg.det(flat).abs().item()).toBe(0)
  })
})

test('determinants', () => {
  const z = torch.complex(
    torch
      .tensor([
        [1, 2],
        [3, 4],
      ])
      .double(),
    torch
      .tensor([
        [1, 0],
        [-1, 2],
      ])
      .double(),
  )
  // (1 + i)(4 + 2i) - 2 (3 - i) = -4 + 8i
  expect(torch.viewAsReal(torch.linalg.det(z)).tolist()).toEqual([-4, 8])
  const { sign, logabsdet } = torch.linalg.slogdet(a)
  expect(far(sign.mul(logabsdet.exp()), torch.linalg.det(a))).toBeLessThan(1e-10)
  expect(far(torch.logdet(a).exp(), torch.linalg.det(a))).toBeLessThan(1e-10)
})

test('gradients, first and second order', () => {
  const parts = (): [Tensor, Tensor] =>
    [0, 1].map(() => torch.randn([3, 3], { dtype: torch.float64 }).requiresGrad_()) as [Tensor, Tensor]
  const real = (z: Tensor): Tensor => torch.viewAsReal(z)
  const check = (f: (z: Tensor) => Tensor): void => {
    const g = (re: Tensor, im: Tensor): Tensor => f(torch.complex(re, im))
    expect(torch.autograd.gradcheck(g, parts())).toBe(true)
    expect(torch.autograd.gradgradcheck(g, parts())).toBe(true)
  }
  const side = matrix(3, 2)
  check((z) => real(torch.linalg.inv(z)))
  check((z) => real(torch.linalg.solve(z, side)))
  check((z) => real(torch.linalg.solve(torch.linalg.inv(z), z)))
  check((z) => real(torch.linalg.det(z)))
  check((z) => real(torch.linalg.slogdet(z).sign))
  check((z) => torch.linalg.slogdet(z).logabsdet)
  check((z) => torch.linalg.matrixNorm(z, 1))
})

test('decompositions are refused by name and dtype', () => {
  for (const [name, call] of [
    ['linalgSvd', () => torch.linalg.svd(a)],
    ['linalgQr', () => torch.linalg.qr(a)],
    ['linalg.eig', () => torch.linalg.eig(a)],
  ] as const) {
    expect(call).toThrow(name)
    expect(call).toThrow('Complex')
  }
})
