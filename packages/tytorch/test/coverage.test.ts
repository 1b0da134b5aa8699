// The long tail of PyTorch's names: questions, in-place forms, old constructors, layers made over. Numbers are PyTorch
// 2.13's on the same seeds.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as torch from '../src/index.ts'

const { nn, Tensor } = torch
const F = nn.functional
type T = InstanceType<typeof Tensor>

function close(x: T, expected: readonly number[], digits = 5): void {
  const found = x.detach().flatten().tolist<number[]>()
  expect(found.length).toBe(expected.length)
  found.forEach((v, i) => {
    expect(v).toBeCloseTo(expected[i], digits)
  })
}
const range = (...sizes: number[]): T =>
  torch
    .arange(sizes.reduce((a, b) => a * b, 1))
    .float()
    .view(sizes)

test('sizes, shapes and dims go by name too', () => {
  const x = range(2, 3)
  expect([...x.view({ size: [3, 2] }).shape]).toEqual([3, 2])
  expect(x.view({ dtype: torch.int32 }).dtype).toBe(torch.int32)
  expect([...x.reshape({ shape: [6] }).shape]).toEqual([6])
  expect([...torch.reshape(x, { shape: [-1] }).shape]).toEqual([6])
  expect([...x.permute({ dims: [1, 0] }).shape]).toEqual([3, 2])
  expect([...x.expand({ size: [4, -1, -1] }).shape]).toEqual([4, 2, 3])
  expect([...x.repeat({ repeats: [2, 2] }).shape]).toEqual([4, 6])
  expect([...x.tile({ dims: [2] }).shape]).toEqual([2, 6])
  expect(x.flip({ dims: [1] }).tolist()).toEqual([
    [2, 1, 0],
    [5, 4, 3],
  ])
  expect([...torch.zeros({ size: [2, 3], dtype: torch.int64 }).shape]).toEqual([2, 3])
  expect(() => x.view({ sizes: [6] } as never)).toThrow("unexpected keyword argument 'sizes'")
})

test('questions about tensors', () => {
  const x = range(2, 3)
  expect([x.nelement(), x.ndimension(), x.itemsize, x.nbytes, x.getDevice(), x.outputNr]).toEqual([6, 2, 4, 24, -1, 0])
  expect([x.isCpu, x.isCuda, x.isSparse, x.layout]).toEqual([true, false, false, 'torch.strided'])
  expect(x.t().dimOrder()).toEqual([1, 0])
  expect(x.type()).toBe('torch.FloatTensor')
  expect(x.type('torch.DoubleTensor').dtype).toBe(torch.float64)
  expect(x.type(torch.LongTensor).dtype).toBe(torch.int64)
  expect(x.isSetTo(x.view(2, 3))).toBe(true)
  expect(x.isSetTo(x.clone())).toBe(false)
  expect(torch.isTensor(x) && !torch.isTensor(3)).toBe(true)
  expect(torch.isSameSize(x, x.t())).toBe(false)
  expect(torch.isNonzero(torch.tensor([2]))).toBe(true)
  expect(() => torch.isNonzero(x)).toThrow('Boolean value of Tensor with more than one value is ambiguous')
  expect(() => torch.isNonzero(torch.zeros(0))).toThrow('Boolean value of Tensor with no values is ambiguous')
  expect(torch.resultType(torch.zeros(2).int(), 1.5)).toBe(torch.float32)
  expect(torch.resultType(torch.zeros(2).int(), torch.tensor(3))).toBe(torch.int32)
  expect(torch.typename(x)).toBe('torch.FloatTensor')
  expect(x[Symbol.iterator] && x.dataPtr()).toBe(x.pointer)
})

test('limits of dtypes, and constants', () => {
  expect(torch.finfo(torch.float16)).toMatchObject({
    bits: 16,
    eps: 2 ** -10,
    max: 65504,
    tiny: 2 ** -14,
    resolution: 0.001,
  })
  expect(torch.finfo(torch.bfloat16)).toMatchObject({ eps: 0.0078125, max: 3.3895313892515355e38, resolution: 0.01 })
  expect(torch.finfo()).toMatchObject({ eps: 1.1920928955078125e-7, max: 3.4028234663852886e38, dtype: 'float32' })
  expect(torch.finfo(torch.float64)).toMatchObject({ eps: Number.EPSILON, max: Number.MAX_VALUE, resolution: 1e-15 })
  expect(torch.iinfo(torch.uint8)).toEqual({ bits: 8, max: 255, min: 0, dtype: 'uint8' })
  expect(torch.iinfo(torch.int64).min).toBe(-(2n ** 63n))
  expect(() => torch.finfo(torch.int32)).toThrow('torch.finfo() requires a floating point input type')
  expect(() => torch.iinfo(torch.float32)).toThrow('torch.iinfo() requires an integer input type')
  expect([torch.pi, torch.e, torch.inf]).toEqual([Math.PI, Math.E, Number.POSITIVE_INFINITY])
})

test('old constructors, given strides, buffers, range', () => {
  expect(torch.LongTensor([1.7, 2]).tolist()).toEqual([1, 2])
  expect([...torch.LongTensor(2, 3).shape]).toEqual([2, 3])
  expect([...torch.FloatTensor().shape]).toEqual([0])
  expect(torch.emptyStrided([2, 3], [1, 2]).stride()).toEqual([1, 2])
  expect(torch.emptyPermuted([2, 3, 4], [0, 2, 1]).stride()).toEqual([12, 1, 3])
  expect(() => torch.emptyPermuted([2, 3, 4], [0, 2])).toThrow('len(size) = 3 is not equal to len(physical_layout) = 2')
  const bytes = new TextEncoder().encode('abcd')
  expect(torch.frombuffer(bytes, { dtype: torch.int16 }).tolist()).toEqual([25185, 25699])
  expect(() => torch.frombuffer(bytes, { dtype: torch.int16, offset: 1 })).toThrow(
    'must be a multiple of element size (2)',
  )
  expect(torch.range(0, 3, 0.5).tolist()).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3])
  expect(torch.fromNumpy(new Float64Array([1, 2])).dtype).toBe(torch.float64)
  const x = range(2)
  expect(torch.asarray(x)).toBe(x)
  expect(torch.asarray(x, { copy: true }).isSetTo(x)).toBe(false)
})

test('in-place forms of products, scans and shapes', () => {
  const a = range(2, 3)
  const x = a.clone()
  expect(x.addmm_(torch.ones(2, 2), a, { beta: 2, alpha: 0.5 })).toBe(x)
  expect(x.tolist()).toEqual([
    [1.5, 4.5, 7.5],
    [7.5, 10.5, 13.5],
  ])
  expect(() => torch.zeros(3, 2).addmm_(torch.zeros(1, 2), torch.zeros(2, 2))).toThrow(
    'Bad in-place call: input tensor size [3, 2] and output tensor size [1, 2] should match',
  )
  expect(torch.zeros(3).int().cumsum_(0).dtype).toBe(torch.int32)
  const q = torch.ones(2, 3, { requiresGrad: true })
  const r = q.mul(2)
  r.cumprod_(1)
  r.sum().backward()
  expect(q.grad?.tolist()).toEqual([
    [14, 12, 8],
    [14, 12, 8],
  ])
  const p = torch.ones(1, 3, { requiresGrad: true })
  const s = p.mul(2)
  s.squeeze_(0)
  expect([...s.shape]).toEqual([3])
  s.mul(s).sum().backward()
  expect(p.grad?.tolist()).toEqual([[8, 8, 8]])
  expect([...range(3).unsqueeze_(0).shape]).toEqual([1, 3])
  expect(range(6).asStrided_([3, 2], [1, 3]).tolist()).toEqual([
    [0, 3],
    [1, 4],
    [2, 5],
  ])
  expect(torch.abs_(torch.tensor([-1.5])).tolist()).toEqual([1.5])
  expect(F.hardtanh_(torch.tensor([-1.5, 0.5])).tolist()).toEqual([-1, 0.5])
})

test('resize, set, diagonal, functions of elements', () => {
  expect(range(6).resize_(2, 2).tolist()).toEqual([
    [0, 1],
    [2, 3],
  ])
  expect(range(2).resize_(4).tolist<number[]>().slice(0, 2)).toEqual([0, 1])
  expect([...range(6).resizeAs_(torch.zeros(3, 2)).shape]).toEqual([3, 2])
  expect(() => torch.zeros(2, { requiresGrad: true }).clone().resize_(4)).toThrow(
    'cannot resize variables that require grad',
  )
  const source = range(3)
  expect(torch.zeros(2).set_(source).isSetTo(source)).toBe(true)
  for (const [sizes, ones] of [
    [
      [7, 3],
      [0, 4, 8, 12, 16, 20],
    ],
    [
      [8, 3],
      [0, 4, 8, 12, 16, 20],
    ],
    [
      [12, 2],
      [0, 3, 6, 9, 12, 15, 18, 21],
    ],
    [
      [4, 3],
      [0, 4, 8],
    ],
  ]) {
    expect(torch.zeros(sizes).fillDiagonal_(1, true).flatten().nonzero().flatten().tolist()).toEqual(ones)
  }
  expect(() => torch.zeros(2).fillDiagonal_(1)).toThrow('dimensions must larger than 1')
  expect(() => torch.zeros(2, 3, 4).fillDiagonal_(1)).toThrow('all dimensions of input must be of equal length')
  expect(
    range(2, 2)
      .t()
      .apply_((v) => v * 10)
      .tolist(),
  ).toEqual([
    [0, 20],
    [10, 30],
  ])
  expect(
    range(3)
      .map_(torch.tensor([2.5]), (a, b) => a + b)
      .tolist(),
  ).toEqual([2.5, 3.5, 4.5])
  expect(() => torch.zeros(2).map_(torch.zeros(2).double(), (a) => a)).toThrow(
    "map_: expected torch.FloatTensor for 'other' (got torch.DoubleTensor)",
  )
  expect(() => torch.zeros(2, { requiresGrad: true }).apply_((v) => v)).toThrow("Can't call apply_() on Variable")
})

test('a hook after the gradient was added', () => {
  const w = torch.ones(2, { requiresGrad: true })
  const seen: unknown[] = []
  const handle = w.registerPostAccumulateGradHook((x) => {
    seen.push(x.grad?.tolist())
    x.grad = null
  })
  w.mul(3).sum().backward()
  handle.remove()
  w.mul(2).sum().backward()
  expect(seen).toEqual([[3, 3]])
  expect(w.grad?.tolist()).toEqual([2, 2])
  expect(() => w.mul(2).registerPostAccumulateGradHook(() => {})).toThrow('non-leaf tensors')
})

test('random slopes and channels draw as PyTorch', () => {
  const x = torch.tensor([-1, 2, -3, -0.5, 0, -7], { dtype: torch.float32 })
  torch.manualSeed(0)
  close(F.rrelu(x, 0.1, 0.5, true), [-0.488021195, 2, -1.1493839, -0.141876593, 0, -2.50606751])
  close(F.rrelu(x), [-0.229166672, 2, -0.6875, -0.114583336, 0, -1.60416675])
  expect(() => torch.rrelu(x, 0.5, 0.1)).toThrow('Lower bound should be less than or equal to the upper bound')
  torch.manualSeed(0)
  close(F.gumbelSoftmax(range(2, 3)), [0.0196465664, 0.152279049, 0.828074396, 0.0509829968, 0.339220315, 0.609796703])
  close(F.gumbelSoftmax(range(2, 3), { tau: 0.5, hard: true }), [0, 0, 1, 0, 0, 1])
  torch.manualSeed(0)
  const low = -0.910642028
  close(F.featureAlphaDropout(range(1, 4, 2), 0.4, true), [low, low, low, low, 4.06022501, 4.92350769, low, low])
  close(torch.featureDropout(range(1, 4, 2), 0.4, true), [0, 0, 0, 0, 6.66666651, 8.33333302, 10, 11.666666])
  expect(String(new nn.RReLU())).toBe('RReLU(lower=0.125, upper=0.3333333333333333)')
  expect(String(new nn.FeatureAlphaDropout(0.2))).toBe('FeatureAlphaDropout(p=0.2, inplace=False)')
  const y = torch.tensor([-2, 3], { dtype: torch.float64, requiresGrad: true })
  F.rrelu(y, 0.25, 0.25, true).sum().backward()
  close(y.grad as T, [0.25, 1])
})

test('initialisers: dirac and sparse', () => {
  const ones = nn.init
    .dirac_(torch.empty(4, 2, 3), 2)
    .flatten()
    .nonzero()
    .flatten()
  expect(ones.tolist()).toEqual([1, 10, 13, 22])
  expect(() => nn.init.dirac_(torch.empty(2, 2))).toThrow('Only tensors with 3, 4, or 5 dimensions are supported')
  torch.manualSeed(0)
  close(
    nn.init.sparse_(torch.empty(5, 3), 0.4),
    [0.015409961, -0.002934289, -0.021787893, 0, -0.010845223, -0.013985954, 0.004033469, 0, -0.007192576, 0, -0.005966354, 0, -0.008566746, 0, 0], // biome-ignore format: a row
    7,
  )
})

test('adaptive softmax', () => {
  torch.manualSeed(1)
  const m = new nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], { divValue: 2 })
  const x = torch.randn(5, 8)
  const [output, loss] = m(x, torch.tensor([0, 4, 9, 2, 7]))
  close(output, [-1.83684719, -2.62529564, -2.99471569, -1.66387343, -3.01226187])
  close(loss, [2.42659879])
  expect(m.predict(x).tolist()).toEqual([2, 1, 1, 1, 2])
  close(m.logProb(x).select(0, 0), [-1.83684719, -1.49273014, -1.47539437, -2.43338799, -2.67512345, -2.66389871, -3.22579741, -3.44458055, -2.93883514, -3.31452465]) // biome-ignore format: a row
  loss.backward()
  close(m.head.weight.grad?.sum(1) as T, [-0.739861369, 0.870177507, 0.882974863, -0.142554462, -0.87073642])
  expect(Object.keys(m.stateDict())).toEqual(['head.weight', 'tail.0.0.weight', 'tail.0.1.weight', 'tail.1.0.weight', 'tail.1.1.weight']) // biome-ignore format: a row
  expect(() => new nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 3])).toThrow('unique, positive integers')
})

test('weight norm, spectral norm, lazy linear, fused batch norm', () => {
  torch.manualSeed(1)
  const w = nn.utils.weightNorm(new nn.Linear(3, 2))
  const y = w(torch.ones(1, 3))
  close(y, [-0.188044012, 0.367421806])
  y.sum().backward()
  expect(Object.keys(w.stateDict())).toEqual(['bias', 'weight_g', 'weight_v'])
  close(w.getParameter('weight_g').grad as T, [-0.170030981, 0.105417214])
  nn.utils.removeWeightNorm(w)
  close(w.weight, [0.297487348, -0.254829824, -0.111925982, 0.270990282, -0.543538809, 0.346246928])
  expect(Object.keys(w.stateDict())).toEqual(['bias', 'weight'])

  torch.manualSeed(1)
  const s = nn.utils.spectralNorm(new nn.Linear(3, 2))
  const z = s(torch.ones(1, 3))
  close(z, [-0.216396824, 0.397587866])
  z.sum().backward()
  close(
    s.getParameter('weight_orig').grad as T,
    [1.40618086, 1.41290879, 1.40919626, 1.40445542, 1.41488433, 1.4091295],
  )
  close(s.getBuffer('weight_u'), [-0.54209882, -0.840314806])
  expect(Object.keys(s.stateDict())).toEqual(['bias', 'weight_orig', 'weight_u', 'weight_v'])
  nn.utils.removeSpectralNorm(s)
  close(s(torch.ones(1, 3)), [-0.216396824, 0.397587866])

  torch.manualSeed(1)
  const l = new nn.LazyLinear(2)
  expect(String(l)).toBe('LazyLinear(in_features=0, out_features=2, bias=True)')
  close(l(torch.ones(1, 3)), [-0.188044012, 0.367421806])
  expect(String(l)).toBe('Linear(in_features=3, out_features=2, bias=True)')

  torch.manualSeed(1)
  const conv = new nn.Conv2d(1, 2, 1).eval()
  const norm = new nn.BatchNorm2d(2).eval()
  norm.runningMean?.fill_(0.5)
  norm.runningVar?.fill_(4)
  const fused = nn.utils.fuseConvBnEval(conv, norm)
  close(fused.weight, [0.257631302, -0.22068885])
  close(fused.bias as T, [-0.346930325, -0.015315514])
})

test('buffers on properties', () => {
  class Net extends nn.Module {
    scale = new nn.Buffer(torch.ones(2))
    scratch = new nn.Buffer(torch.zeros(2), { persistent: false })
    forward(x: T): T {
      return x.mul(this.scale)
    }
  }
  const net = new Net()
  expect(Object.keys(net.stateDict())).toEqual(['scale'])
  expect(net.namedBuffers().map(([name]) => name)).toEqual(['scale', 'scratch'])
  expect(net.double()(torch.ones(2)).dtype).toBe(torch.float64)
})

test('pools that always answer indices, and upsample', () => {
  const [values, indices] = F.maxPool1dWithIndices(torch.tensor([[[1, 5, 2, 3]]], { dtype: torch.float32 }), 2)
  expect([values.tolist(), indices.tolist()]).toEqual([[[[5, 3]]], [[[1, 3]]]])
  const conv = torch.convTbc(range(2, 3, 4), torch.ones(2, 4, 2), torch.tensor([1, 2]).float(), 1)
  expect(conv.flatten().tolist()).toEqual([7, 8, 23, 24, 39, 40, 61, 62, 93, 94, 125, 126, 55, 56, 71, 72, 87, 88])
  expect(torch.kron(range(2), torch.ones(2, 2)).tolist()).toEqual([
    [0, 0, 1, 1],
    [0, 0, 1, 1],
  ])
  close(torch.normExceptDim(range(2, 3), 2, 0), [2.23606798, 7.07106781])
})

test('mistakes are named, not computed with', () => {
  const wrong = (value: unknown): never => value as never
  expect(() => new nn.Linear(wrong('4'), 3)).toThrow("empty(): sizes must be integers, got '4'")
  expect(() => new nn.Linear(4.5, 3)).toThrow('sizes must be integers, got 4.5')
  expect(() => new nn.Linear(2, 3)(wrong([[1, 2]]))).toThrow("linear(): argument 'input' (position 1) must be Tensor, not list") // biome-ignore format: a row
  expect(() => new nn.Linear(2, 3)(...([] as unknown as [T]))).toThrow('missing 1 required positional arguments: "input"') // biome-ignore format: a row
  expect(() => F.softmax(range(2, 2), wrong('1'))).toThrow("argument 'dim' must be int, not string")
  expect(() => torch.zeros(2, wrong({ requires_grad: true }))).toThrow("unexpected keyword argument 'requires_grad'")
  expect(() => torch.zeros(2, { dtype: wrong('float32') })).toThrow("argument 'dtype' must be torch.dtype, not string")
  expect(() => torch.zeros(2, { device: 'cuda' })).toThrow("there is no device 'cuda' here")
  expect(() => new torch.optim.SGD(wrong(new nn.Linear(2, 3)), { lr: 0.1 })).toThrow('pass model.parameters()')
  expect(() => new torch.optim.SGD([range(2)], wrong({ lr: '0.1' }))).toThrow('lr must be a number or a Tensor')
  expect(() => new nn.Linear(2, 3).train(wrong('false'))).toThrow('training mode is expected to be boolean')
  expect(() => torch.neg(range(2).bool())).toThrow('on a bool tensor is not supported')
  expect(() => torch.relu(range(2).bool())).toThrow('Boolean inputs not supported for relu')
  expect(() => torch.frac(range(2).int())).toThrow(`"frac_cpu" not implemented for 'Int'`)
  expect(() => torch.bitwiseNot(range(2))).toThrow(`"bitwise_not_cpu" not implemented for 'Float'`)
  expect(() => torch.fmod(range(2).bool(), range(2).bool())).toThrow(`"fmod_cpu" not implemented for 'Bool'`)
  expect(() => torch.outer(range(2), range(2, 2))).toThrow('outer: Expected 1-D argument vec2, but got 2-D')
})

test('every name of PyTorch is here or listed as left out', () => {
  const { names, leftOut } = JSON.parse(readFileSync(new URL('./fixtures/names.json', import.meta.url), 'utf8')) as {
    names: Record<string, string[]>
    leftOut: Record<string, string[]>
  }
  const camel = (name: string): string =>
    name.replace(/(?<=[a-zA-Z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  const tensor = torch.zeros(1)
  const here = (path: string): boolean => {
    const [, ...parts] = path.split('.')
    const name = camel(parts.pop()!)
    let space: unknown = torch
    for (const part of parts) space = part === 'Tensor' ? tensor : (space as Record<string, unknown>)?.[camel(part)]
    return space !== undefined && name in (space as object)
  }
  const paths = Object.entries(names).flatMap(([space, list]) => list.map((name) => `${space}.${name}`))
  const listed = Object.values(leftOut).flat()
  expect(paths.filter((path) => !here(path) && !listed.includes(path))).toEqual([])
  // Whatever comes leaves the list; a tensor's `storage` is a field of ours, not PyTorch's method.
  expect(listed.filter((path) => here(path))).toEqual(['torch.Tensor.storage'])
  expect(listed.filter((path) => !paths.includes(path))).toEqual([])
})
