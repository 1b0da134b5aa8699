// Attention: causal blocks, masks, dropout's draws, heads and transformers. Expected numbers are PyTorch 2.13's.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'

const { nn } = torch
const F = nn.functional
type Tensor = torch.Tensor

const wave = (...sizes: number[]): Tensor =>
  torch
    .arange(sizes.reduce((a, b) => a * b, 1))
    .to(torch.float32)
    .sin()
    .view(sizes)

function expectClose(x: Tensor, expected: readonly number[]): void {
  const found = x.detach().contiguous().view(-1).tolist<number[]>()
  expect(found.length).toBe(expected.length)
  found.forEach((v, i) => {
    expect(v).toBeCloseTo(expected[i], 5)
  })
}

/** Attention in plain ops. */
function plain(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor): Tensor {
  const scores = q.matmul(k.transpose(-2, -1)).div(Math.sqrt(q.size(-1)))
  return F.softmax(scores.maskedFill(allowed.logicalNot(), Number.NEGATIVE_INFINITY), -1).matmul(v)
}

test('long causal attention, computed in blocks, agrees with plain ops, gradients too', () => {
  const generator = new torch.Generator().manualSeed(4)
  const inputs = [8, 8, 5].map((n) => torch.randn([2, 1, 300, n], { generator, dtype: torch.float64 }).requiresGrad_())
  const [q, k, v] = inputs
  const g = torch.randn([2, 1, 300, 5], { generator, dtype: torch.float64 })
  const allowed = torch.ones([300, 300]).tril().to(torch.bool)
  const outs = [F.scaledDotProductAttention(q, k, v, { isCausal: true }), plain(q, k, v, allowed)]
  expect(outs[0].sub(outs[1]).abs().max().item()).toBeLessThan(1e-12)
  const [a, b] = outs.map((out) => torch.autograd.grad([out], inputs, { gradOutputs: [g] }) as Tensor[])
  a.forEach((t, i) => {
    expect(t.sub(b[i]).abs().max().item()).toBeLessThan(1e-11)
  })
})

test.each([
  ['one for all', [3, 4]],
  ['one a sample', [2, 1, 3, 4]],
  ['one a head', [1, 5, 3, 4]],
  ['padding', [2, 1, 1, 4]],
])('a bool mask, %s, is as in plain ops', (_name, sizes) => {
  const generator = new torch.Generator().manualSeed(5)
  const [q, k, v] = [3, 4, 4].map((n) => torch.randn([2, 5, n, 6], { generator }))
  const mask = torch.rand(sizes, { generator }).gt(0.3).logicalOr(torch.arange(4).eq(1))
  const found = F.scaledDotProductAttention(q, k, v, mask)
  expect(
    found
      .sub(plain(q, k, v, mask))
      .abs()
      .max()
      .item(),
  ).toBeLessThan(2e-6)
})

test('rows that may see nothing are zeros, and so are their gradients', () => {
  const q = wave(1, 2, 4).requiresGrad_()
  const mask = torch.tensor([[true, false], [false, false]]) // biome-ignore format: a matrix
  const out = F.scaledDotProductAttention(q, q, q, mask)
  expect(out.select(1, 1).tolist()).toEqual([[0, 0, 0, 0]])
  out.sum().backward()
  expect(q.grad?.isfinite().all().item()).toBe(true)
})

test('dropout draws what PyTorch draws', () => {
  torch.manualSeed(3)
  const q = wave(1, 2, 3, 4)
  expectClose(F.scaledDotProductAttention(q, q, q, { dropoutP: 0.5 }), [
    -0.25501877, 0.67804146, 0.98771363, 0.38928631, 0, 0.27467328, 0.29681322, 0.04606445, 1.28839493, 0.72651994,
    -0.5033142, -1.27040362, -0.09457505, -0.31581509, -0.2466962, 0.04923404, -0.57573414, -1.09357369, -0.6059866,
    0.43874174, -0.24789003, -0.10812174, 0.13105318, 0.24973841,
  ]) // biome-ignore format: a table
})

test('causal attention works inside and after a scope', () => {
  const q = wave(1, 300, 4)
  const inside = torch.scope(() => F.scaledDotProductAttention(q, q, q, { isCausal: true }))
  expect(F.scaledDotProductAttention(q, q, q, { isCausal: true }).sub(inside).abs().max().item()).toBe(0)
})

test('dtypes, ranks and heads that do not fit are named', () => {
  const q = wave(1, 4, 3, 2)
  expect(() => F.scaledDotProductAttention(q, q.to(torch.float64), q)).toThrow(
    'to have the same dtype, but got query.dtype: float key.dtype: double and value.dtype: float instead.',
  )
  const three = wave(1, 3, 3, 2)
  expect(() => F.scaledDotProductAttention(q, three, three, { enableGqa: true })).toThrow(
    'Number of heads in key and value must divide the number of heads in ',
  )
  expect(() => F.scaledDotProductAttention(q, q, q, torch.ones([3, 3], { dtype: torch.int64 }))).toThrow(
    'Expected attn_mask dtype to be bool or float',
  )
})

describe('heads', () => {
  test('learned and zero keys come after the others', () => {
    torch.manualSeed(0)
    const heads = new nn.MultiheadAttention(4, 2, { addBiasKv: true, addZeroAttn: true })
    const x = wave(3, 1, 4)
    const [out, weights] = heads(x, x, x)
    expectClose(out, [
      -0.09914126, -0.00395307, -0.0411764, -0.01800161, 0.00315513, -0.02719616, -0.00512282, 0.02669908, -0.07341296,
      -0.00470124, -0.0312878, -0.01028152,
    ]) // biome-ignore format: a table
    expect([...(weights as Tensor).shape]).toEqual([1, 3, 5])
    const [same, none] = heads(x, x, x, { needWeights: false })
    expect(same.sub(out).abs().max().item()).toBeLessThan(1e-6)
    expect(none).toBe(null)
  })

  test('keys and values may have other features', () => {
    const heads = new nn.MultiheadAttention(4, 2, { kdim: 3, vdim: 5, batchFirst: true })
    expect(Object.keys(heads.stateDict()).slice(0, 3)).toEqual(['q_proj_weight', 'k_proj_weight', 'v_proj_weight'])
    const [out] = heads(wave(2, 3, 4), wave(2, 6, 3), wave(2, 6, 5))
    expect([...out.shape]).toEqual([2, 3, 4])
  })
})

describe('transformers', () => {
  test('evaluated without gradients, outputs of padding are zeros', () => {
    torch.manualSeed(0)
    const encoder = new nn.TransformerEncoder(new nn.TransformerEncoderLayer(4, 2, 8, { batchFirst: true }), 2).eval()
    const padding = torch.tensor([[false, false, true], [false, false, false]]) // biome-ignore format: a matrix
    const out = torch.noGrad(() => encoder(wave(2, 3, 4), { srcKeyPaddingMask: padding }))
    expectClose(out, [
      -0.56452054, 1.2427007, 0.63738412, -1.31556416, 0.03789659, -1.21027398, -0.3746739, 1.54705131, 0, 0, 0, 0,
      -1.52631664, 0.40709615, 1.22227108, -0.10305068, 1.14709723, -1.09119153, -0.89162797, 0.83572239, 1.14586723,
      0.7817283, -0.63360798, -1.29398763,
    ]) // biome-ignore format: a table
  })

  test('the layers of a stack start equal and are their own', () => {
    const layer = new nn.TransformerDecoderLayer(4, 2, 8)
    const stack = new nn.TransformerDecoder(layer, 2)
    const [a, b] = stack.layers
    expect(a.linear1.weight === b.linear1.weight).toBe(false)
    expect(torch.equal(a.linear1.weight, b.linear1.weight)).toBe(true)
    torch.noGrad(() => a.linear1.weight.zero_())
    expect(b.linear1.weight.abs().sum().item()).toBeGreaterThan(0)
    expect(stack.parameters().length).toBe(2 * layer.parameters().length)
    expect(a).toBeInstanceOf(nn.TransformerDecoderLayer)
  })

  test('a causal mask is found, and changes nothing but the way it is computed', () => {
    torch.manualSeed(1)
    const encoder = new nn.TransformerEncoder(new nn.TransformerEncoderLayer(4, 2, 8, 0), 1)
    const mask = nn.Transformer.generateSquareSubsequentMask(5)
    const x = wave(5, 2, 4)
    const [hinted, told] = [encoder(x, mask), encoder(x, mask, { isCausal: false })]
    expect(hinted.sub(told).abs().max().item()).toBeLessThan(1e-6)
  })
})
