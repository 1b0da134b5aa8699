// Margin losses, likelihoods and CTC against PyTorch: values, gradients, errors, printed forms.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn, type Tensor } from '../src/index.ts'
import { formula } from './sampled.ts'

const F = nn.functional
const x = formula([3, 4])
const y = formula([4, 3]).t()
const signs = y.sub(2).sign()
const weight = torch.tensor([1, 2, 0.5, 1], { dtype: torch.float64 })

// Values by PyTorch 2.13.
test.each([
  ['cosineEmbedding', () => F.cosineEmbeddingLoss(x, y, torch.tensor([1, -1, -1]), 0.2), 0.5050315592760076],
  ['hinge', () => F.hingeEmbeddingLoss(x, torch.tensor([1, -1, 1, -1]), 2), 1.3196359939155613],
  ['ranking', () => F.marginRankingLoss(x, y, signs, { margin: 0.5 }), 1.6512712231877344],
  ['soft', () => F.softMarginLoss(x, signs), 1.6149842321260375],
  ['multi', () => F.multiMarginLoss(x, torch.tensor([0, 3, 1]), 2, 0.7, weight), 3.408938680592509],
  ['multilabel', () => F.multilabelMarginLoss(x, torch.tensor([[3, 0, -1, 1], [1, 1, 2, -1], [-1, 0, 0, 0]])), 1.188966105649499],
  ['multilabelSoft', () => F.multilabelSoftMarginLoss(x, torch.tensor([1, 0, 1, 0])), 0.966003598679834],
  ['triplet', () => F.tripletMarginLoss(x, y, x.mul(0.5), { swap: true, p: 3 }), 1.9025882359121171],
  ['tripletWith', () => F.tripletMarginWithDistanceLoss(x, y, x.mul(0.5), { margin: 2 }), 2.9413934051261026],
  ['gaussian', () => F.gaussianNllLoss(x, y, x.add(0.1), { full: true }), 1.8100324399228753],
  ['poisson', () => F.poissonNllLoss(x, y, { full: true }), 7.030455937726892],
  ['poissonPlain', () => F.poissonNllLoss(x.add(1), y, { logInput: false }), 1.13990817272209],
] as [string, () => Tensor, number][])('%s', (_, run, expected) => {
  expect(run().item()).toBeCloseTo(expected, 10)
}) // biome-ignore format: a table

/** Labels, input lengths, label lengths, reduction, zeroInfinity; the losses and a weighted sum of the gradient. */
type Alignment = [string, number[] | number[][], number[], number[], 'mean' | 'sum' | 'none', boolean, number[], number]

describe('ctcLoss', () => {
  test.each([
    ['padded', [[1, 2, 0], [3, 3, 1]], [6, 5], [2, 3], 'mean', false, [2.8923823867518585], -0.14214239379353866],
    ['none', [[1, 2, 0], [3, 3, 1]], [6, 5], [2, 3], 'none', false, [5.809389020414595, 8.640210789889258], -0.8791592822811332],
    ['flat', [1, 2, 3, 3, 1], [6, 6], [2, 3], 'sum', false, [14.038979683233094], -1.211197759477982],
    ['infinite', [[1, 2, 0], [3, 3, 1]], [6, 3], [2, 3], 'sum', true, [5.809389020414595], -0.41327472162066514],
    ['empty', [[1, 2, 0], [3, 3, 1]], [5, 0], [2, 0], 'none', false, [5.705526521781296, 0], -0.47087754223432876],
  ] as Alignment[])('%s', (_, labels, times, lengths, reduction, zeroInfinity, losses, grad) => {
    const logits = formula([6, 2, 4]).requiresGrad_()
    const criterion = new nn.CTCLoss({ reduction, zeroInfinity })
    const loss = criterion(logits.logSoftmax(-1), torch.tensor(labels), times, lengths)
    expect(loss.ndim).toBe(reduction === 'none' ? 1 : 0)
    const found = loss.detach().flatten().tolist<number[]>()
    losses.forEach((value, i) => {
      expect(found[i]).toBeCloseTo(value, 10)
    })
    loss.mul(torch.arange(1, loss.numel() + 1).reshape([...loss.shape])).sum().backward()
    const weights = torch.arange(48, { dtype: torch.float64 }).mul(0.3).cos().reshape(6, 2, 4)
    expect((logits.grad as Tensor).mul(weights).sum().item()).toBeCloseTo(grad, 10)
  }) // biome-ignore format: a table

  test('labels longer than the input have no alignment', () => {
    const loss = F.ctcLoss(formula([2, 1, 4]).logSoftmax(-1), torch.tensor([[1, 2, 3]]), [2], [3], {
      reduction: 'none',
    })
    expect(loss.tolist()).toEqual([Number.POSITIVE_INFINITY])
  })

  test('a sample without a batch', () => {
    const scores = formula([5, 4]).logSoftmax(-1)
    const alone = F.ctcLoss(scores, torch.tensor([1, 2]), torch.tensor(5), torch.tensor(2), { reduction: 'none' })
    const batch = F.ctcLoss(scores.unsqueeze(1), torch.tensor([[1, 2]]), [5], [2], { reduction: 'none' })
    expect(alone.shape.length).toBe(0)
    expect(alone.item()).toBe(batch.item())
  })

  test('has no second derivative, and says so', () => {
    const scores = formula([5, 1, 4]).logSoftmax(-1).requiresGrad_()
    const loss = F.ctcLoss(scores, torch.tensor([[1, 2]]), [5], [2])
    const [g] = torch.autograd.grad([loss], [scores], { createGraph: true }) as [Tensor]
    expect(() => torch.autograd.grad([g.sum()], [scores])).toThrow(
      /derivative for aten::_ctc_loss_backward is not implemented/,
    )
  })
})

describe('errors', () => {
  const scores = formula([5, 2, 4]).logSoftmax(-1)
  const labels = torch.tensor([[1, 2, 0], [3, 3, 1]]) // biome-ignore format: a matrix
  test.each([
    [() => F.ctcLoss(scores, labels, [5, 6], [2, 3]), /Expected input_lengths to have value at most 5, but got value 6/],
    [() => F.ctcLoss(scores, labels, [5, 5], [2, 4]), /Expected tensor to have size at least 4 at dimension 1, but got size 3/],
    [() => F.ctcLoss(scores, labels, [5, 5, 5], [2, 3]), /input_lengths must be of size batch_size/],
    [() => F.ctcLoss(scores, labels, [5, 5], [2, 3], { blank: 4 }), /blank must be in label range/],
    [() => F.multiMarginLoss(x, torch.tensor([0, 1, 4])), /target out of range/],
    [() => F.multiMarginLoss(x, torch.tensor([0, 1, 3]), { p: 3 }), /only p == 1 and p == 2 supported/],
    [() => F.multilabelMarginLoss(x, torch.full([3, 4], -2).long()), /argument #2 'target' is out of range/],
    [() => F.cosineEmbeddingLoss(x, x, torch.ones(3, 1)), /0D or 1D target tensor expected, multi-target not supported/],
    [() => F.cosineEmbeddingLoss(x, x, torch.ones([])), /0D target tensor expects 1D input tensors/],
    [() => F.tripletMarginLoss(x, x, x, -1), /margin must be greater than 0, got -1/],
    [() => F.gaussianNllLoss(x, x, torch.full([3, 4], -1)), /var has negative entry\/entries/],
    [() => F.gaussianNllLoss(x, x, torch.ones(2)), /var is of incorrect size/],
    [() => F.hingeEmbeddingLoss(x, x, { reduction: 'x' as never }), /x is not a valid value for reduction/],
    [() => new nn.TripletMarginLoss({ margin: 0 }), /TripletMarginLoss: expected margin to be greater than 0, got 0 instead/],
  ] as [() => unknown, RegExp][])('throws %#', (run, message) => {
    expect(run).toThrow(message)
  }) // biome-ignore format: a table
})

test('modules are the functions with their arguments', () => {
  const target = torch.tensor([1, -1, -1])
  expect(new nn.CosineEmbeddingLoss(0.2)(x, y, target).item()).toBe(F.cosineEmbeddingLoss(x, y, target, 0.2).item())
  const plain = new nn.TripletMarginWithDistanceLoss({ swap: true })(x, y, x.mul(0.5)).item()
  expect(plain).toBeCloseTo(F.tripletMarginLoss(x, y, x.mul(0.5), { swap: true }).item(), 12)
  const loss = new nn.MultiMarginLoss({ weight })
  expect(Object.keys(loss.stateDict())).toEqual(['weight'])
  expect(String(new nn.CTCLoss())).toBe('CTCLoss()')
  expect(String(new nn.TripletMarginWithDistanceLoss())).toBe(
    'TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)',
  )
})
