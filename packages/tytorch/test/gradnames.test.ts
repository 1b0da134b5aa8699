// The names and next nodes that `gradFn` shows, as PyTorch 2.13 prints them for the same calls.
import * as torch from 'tytorch'
import { nn, type Tensor } from 'tytorch'
import { expect, test } from 'vitest'

const F = nn.functional
const leaf = (...sizes: number[]): Tensor => torch.rand(sizes).requiresGrad_()
const x = leaf(3, 4)
const y = leaf(3, 4)
const cube = leaf(2, 3, 4)
const v = leaf(4)
const square = leaf(4, 4)
const d = torch.rand(3, 4)
const classes = torch.tensor([0, 1, 2])
const clone = (): Tensor => x.clone()

// One row an op: the name without `Backward`, as PyTorch numbers its overloads, and the call.
const NAMES: readonly (readonly [string, () => Tensor | readonly Tensor[]])[] = [
  ['Rsub1', () => torch.sub(1, x)],
  ['Rsub0', () => torch.rsub(x, y)],
  ['Rsub1', () => torch.rsub(x, 1)],
  ['Sub0', () => x.sub(1)],
  ['Mul0', () => torch.div(2, x)],
  ['Div2', () => x.div(2, { roundingMode: 'floor' })],
  ['Pow0', () => x.pow(2)],
  ['Pow1', () => x.pow(y)],
  ['Pow2', () => torch.pow(2, x)],
  ['Pow0', () => torch.square(x)],
  ['Remainder0', () => x.remainder(2)],
  ['Remainder1', () => x.remainder(d)],
  ['Fmod1', () => x.fmod(d)],
  ['Clamp1', () => x.clamp(0, 1)],
  ['Clamp0', () => x.clamp(d, d)],
  ['ClampMin0', () => x.clampMin(0)],
  ['ClampMin1', () => x.clampMin(d)],
  ['Clamp1', () => clone().clamp_(0, 1)],
  ['Lerp0', () => x.lerp(y, 0.5)],
  ['Lerp1', () => x.lerp(y, d)],
  ['Lerp0', () => clone().lerp_(y, 0.5)],
  ['Addcmul0', () => x.addcmul(y, y)],
  ['Addcdiv0', () => x.addcdiv(y, y)],
  ['Addcdiv0', () => clone().addcdiv_(y, y)],
  ['Addmm0', () => torch.addmm(x, x, square, { beta: 2 })],
  ['Addmm0', () => torch.addmm(v, x, square)],
  ['Addmm0', () => clone().addmm_(x, square)],
  ['Addmv0', () => torch.addmv(v, square, v)],
  ['Addr0', () => torch.addr(square, v, v)],
  ['Baddbmm0', () => torch.baddbmm(leaf(2, 3, 3), cube, cube.mT)],
  ['Addbmm0', () => torch.addbmm(leaf(3, 3), cube, cube.mT)],
  ['Std0', () => x.std()],
  ['Std0', () => x.std(0)],
  ['VarMean0', () => torch.varMean(x)],
  ['StdMean0', () => torch.stdMean(x)],
  ['Logsumexp0', () => x.logsumexp(1)],
  ['Dist0', () => torch.dist(x, y)],
  ['LinalgVectorNorm0', () => x.norm()],
  ['LinalgVectorNorm0', () => x.norm(1)],
  ['LinalgVectorNorm0', () => torch.linalg.vectorNorm(x, 3)],
  ['Renorm0', () => x.renorm(2, 0, 1)],
  ['Logit0', () => x.logit(0.1)],
  ['Logit0', () => clone().logit_(0.1)],
  ['NanToNum0', () => x.nanToNum()],
  ['Nansum0', () => x.nansum()],
  ['Rot900', () => x.rot90()],
  ['Aminmax0', () => Object.values(torch.aminmax(x))],
  ['Ldexp0', () => torch.ldexp(x, d)],
  ['Sort0', () => x.sort().values],
  ['Sort1', () => x.sort({ stable: true }).values],
  ['Round1', () => x.round({ decimals: 2 })],
  ['Squeeze2', () => leaf(1, 3, 1).squeeze([0, 2])],
  ['Squeeze3', () => leaf(1, 3).clone().squeeze_()],
  ['Unsqueeze1', () => clone().unsqueeze_(0)],
  ['Transpose1', () => clone().transpose_(0, 1)],
  ['T1', () => clone().t_()],
  ['T0', () => v.t()],
  ['Permute0', () => x.T],
  ['Asinh1', () => clone().asinh_()],
  ['Cumsum0', () => clone().cumsum_(0)],
  ['Fill2', () => clone().fill_(1)],
  ['Zero0', () => clone().zero_()],
  ['UnsafeSplit0', () => torch.unsafeSplit(x, 2)],
  ['Vdot0', () => torch.vdot(v, v)],
  ['Put0', () => x.put(torch.tensor([1]), leaf(1))],
  ['Polar0', () => torch.polar(x, y)],
  ['LinalgSolveEx0', () => torch.linalg.solve(square, v)],
  ['Dot0', () => v.matmul(v)],
  ['Mv0', () => x.matmul(v)],
  ['Squeeze4', () => v.matmul(square)],
  ['Mm0', () => x.matmul(square)],
  ['UnsafeView0', () => cube.matmul(square)],
  ['UnsafeView0', () => cube.matmul(cube.mT)],
  ['View0', () => F.linear(v, square, v)],
  ['Squeeze4', () => F.linear(v, square)],
  ['Addmm0', () => new nn.Linear(4, 5)(x)],
  ['Mm0', () => new nn.Linear(4, 5, { bias: false })(x)],
  ['View0', () => new nn.Linear(4, 5)(cube)],
  ['UnsafeView0', () => new nn.Linear(4, 5, { bias: false })(cube)],
  ['Convolution0', () => new nn.Conv1d(3, 2, 2)(cube)],
  ['Squeeze1', () => new nn.Conv1d(3, 2, 2)(x)],
  ['NativeBatchNorm0', () => new nn.BatchNorm1d(4)(x)],
  ['NativeLayerNorm0', () => new nn.LayerNorm(4)(x)],
  ['NativeGroupNorm0', () => new nn.GroupNorm(3, 3)(cube)],
  ['Mul0', () => new nn.RMSNorm(4)(x)],
  ['Embedding0', () => new nn.Embedding(3, 2)(classes)],
  ['Add0', () => new nn.GRUCell(4, 5)(x)],
  ['Tanh0', () => new nn.RNNCell(4, 5)(x)],
  ['Squeeze1', () => F.avgPool1d(cube, 2)],
  ['Squeeze1', () => F.adaptiveAvgPool1d(cube, 2)],
  ['PixelShuffle0', () => F.pixelShuffle(leaf(4, 2, 2), 2)],
  ['Glu0', () => F.glu(x)],
  ['UnsafeView0', () => F.scaledDotProductAttention(cube, cube, cube)],
  ['NllLoss0', () => F.crossEntropy(x, classes)],
  ['Div1', () => F.crossEntropy(x, d)],
  ['NllLoss0', () => F.nllLoss(v, torch.tensor(1), { reduction: 'none' })],
  ['MseLoss0', () => F.mseLoss(x, d)],
  ['Mean0', () => F.l1Loss(x, d)],
  ['SoftMarginLoss0', () => F.softMarginLoss(x, d)],
  ['MultiMarginLoss0', () => F.multiMarginLoss(x, classes)],
  ['BinaryCrossEntropy0', () => F.binaryCrossEntropy(x, d, d, { reduction: 'sum' })],
  ['BinaryCrossEntropyWithLogits0', () => F.binaryCrossEntropyWithLogits(x, d, { posWeight: v.detach() })],
]

test.each(NAMES)('a node is called %s', (name, call) => {
  const given = call()
  const expected = name.replace(/(\d)$/, 'Backward$1')
  for (const out of Array.isArray(given) ? given : [given]) expect((out as Tensor).gradFn?.name).toBe(expected)
})

test('an op that is several nodes shows its own inputs as what comes next', () => {
  const next = (t: Tensor) => t.gradFn?.nextFunctions.map(([node]) => node?.name ?? null)
  expect(next(x.lerp(y, 0.5))).toEqual(['AccumulateGrad', 'AccumulateGrad'])
  expect(next(torch.addmm(x.exp(), d, square, { beta: 2 }))).toEqual(['ExpBackward0', null, 'AccumulateGrad'])
  expect(next(x.std())).toEqual(['AccumulateGrad'])
  expect(next(x.clone().addcmul_(y, d))).toEqual(['CloneBackward0', 'AccumulateGrad', null])
  // A step of its own in PyTorch keeps what came before it.
  expect(next(cube.matmul(square))).toEqual(['MmBackward0'])
})

test('names change no gradient, first or second, and only nodes of the op itself', () => {
  const a = torch.rand([3], { dtype: torch.float64 }).requiresGrad_()
  expect(torch.autograd.gradgradcheck((t: Tensor) => t.lerp(t.exp(), 0.3).std(), [a])).toBe(true)
  const sine = a.sin()
  expect(torch.nn.functional.dropout(sine, 0)).toBe(sine)
  sine.sumToSize([3])
  expect(sine.gradFn?.name).toBe('SinBackward0')
  // A view that an op in place changed shows how it is read from its base.
  const base = a.clone()
  base.narrow(0, 0, 2).clamp_(0, 0.5)
  expect(base.gradFn?.name).toBe('CopySlices')
})
