// Convolutions against PyTorch's numbers, and parts of random shapes against plain loops, with guarded memory around what
// is written.
import { afterAll, describe, expect, test } from 'vitest'
import type { ConvolutionArgs, ConvolutionPart, Triple } from '../src/backend/device.ts'
import { memory } from '../src/backend/memory.ts'
import { getNumThreads, setNumThreads } from '../src/backend/pool.ts'
import { createConvolution } from '../src/backend/wasm/convolution.ts'
import { detect } from '../src/backend/wasm/features.ts'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const F = torch.nn.functional
const { nn } = torch

/** (7 i) mod 11 - 5 for the elements in order: what the numbers below were made from. */
function values(...sizes: number[]): Tensor {
  const count = sizes.reduce((a, b) => a * b, 1)
  return torch
    .tensor(
      Array.from({ length: count }, (_, i) => ((i * 7) % 11) - 5),
      { dtype: torch.float64 },
    )
    .reshape(sizes)
}

const list = (x: Tensor): number[] => x.detach().reshape(-1).tolist<number[]>()

describe("PyTorch's numbers", () => {
  const bias = torch.tensor([1, -2], { dtype: torch.float64 })
  test.each<[string, () => Tensor, number[], number[]]>([
    [
      'stride, padding and bias',
      () => F.conv2d(values(1, 2, 4, 4), values(2, 2, 3, 3), bias, 2, 1),
      [1, 2, 2, 2],
      [15, -8, 23, 50, 24, 21, 28, -41],
    ],
    [
      'groups',
      () => F.conv2d(values(1, 4, 3, 3), values(4, 2, 2, 2), null, 1, 0, 1, 2),
      [1, 4, 2, 2],
      [38, -25, -19, -60, 32, 3, -11, -18, 17, 11, -23, 15, 7, 13, -30, 20],
    ],
    [
      'dilation',
      () => F.conv2d(values(1, 1, 5, 5), values(1, 1, 2, 2), null, 1, 0, [2, 3]),
      [1, 1, 3, 2],
      [27, 27, 5, -28, 5, 27],
    ],
    [
      "padding 'same' of even kernels",
      () => F.conv2d(values(1, 1, 3, 4), values(1, 1, 2, 4), { padding: 'same' }),
      [1, 1, 3, 4],
      [-39, 84, -39, 24, 52, -36, 9, -6, -19, 3, -7, -5],
    ],
    [
      'one dimension, no batch',
      () => F.conv1d(values(2, 5), values(1, 2, 3), null, 1, 1),
      [1, 5],
      [-29, 22, 8, 5, -40],
    ],
    [
      'three dimensions',
      () => F.conv3d(values(1, 1, 2, 3, 3), values(1, 1, 2, 2, 2)),
      [1, 1, 1, 2, 2],
      [38, -25, -19, -60],
    ],
    [
      'transposed, one dimension',
      () => F.convTranspose1d(values(1, 1, 3), values(1, 2, 2), bias, 2, 0, 1),
      [1, 2, 7],
      [26, -9, -9, 5, 11, -3, 1, 8, -27, -6, 8, 2, -12, -2],
    ],
    [
      'transposed, with output padding',
      () => F.convTranspose2d(values(1, 2, 2, 2), values(2, 1, 3, 3), null, 2, 1, 1),
      [1, 1, 4, 4],
      [-7, 24, 8, -21, -11, -12, 19, -30, -10, 51, 5, -15, -12, 44, 0, -20],
    ],
    [
      'transposed, groups and dilation',
      () => F.convTranspose2d(values(1, 2, 2, 2), values(2, 1, 2, 2), null, 1, 0, 0, 2, [2, 1]),
      [1, 2, 4, 3],
      [25, -20, 4, 10, -29, 10, 10, -29, 10, 4, -20, 25, 1, -6, 9, 4, -12, 0, 4, -12, 0, 16, 0, 0],
    ],
    [
      'transposed, three dimensions',
      () => F.convTranspose3d(values(1, 1, 1, 2, 2), values(1, 1, 2, 2, 2)),
      [1, 1, 2, 3, 3],
      [25, -20, 4, 20, -58, 20, 4, -20, 25, -5, 17, -6, -22, 19, -15, -8, 20, 0],
    ],
    [
      'unfold',
      () => F.unfold(values(1, 1, 3, 4), [2, 3], 1, [0, 1], [1, 2]),
      [1, 6, 4],
      [0, 2, 0, -3, -5, -2, 1, 4, 2, 5, -3, 0, 0, -3, 0, 3, 1, 4, -4, -1, -3, 0, 3, -5],
    ],
    ['fold', () => F.fold(values(1, 4, 6), [3, 4], 2), [1, 1, 3, 4], [-5, 6, -2, -4, 7, 2, -3, -2, 1, -4, -1, 2]],
  ])('%s', (_, run, sizes, expected) => {
    const out = run()
    expect([...out.shape]).toEqual(sizes)
    expect(list(out)).toEqual(expected)
  })

  test('gradients', () => {
    const [x, w, b] = [values(1, 2, 4, 4), values(2, 2, 3, 3), bias.clone()].map((t) => t.requiresGrad_())
    const y = F.conv2d(x, w, b, 2, 1)
    expect(y.gradFn?.name).toBe('ConvolutionBackward0')
    y.mul(values(1, 2, 2, 2))
      .sum()
      .backward()
    expect(list(x.grad!)).toEqual([
      -10, 30, 17, -12, -15, 26, -5, -21, -22, 39, 5, -15, 20, 32, 0, -20, 13, -10, -13, 13, 35, 20, -17, -11, 16, -4,
      -10, 25, 14, -11, -15, 20,
    ])
    expect(list(w.grad!)).toEqual([
      -15, 18, 6, 19, 24, -31, -16, 24, 24, -5, -31, 12, 33, 24, -53, -2, -53, 24, 0, 4, -12, -6, -15, -1, 9, -3, -11,
      0, 12, -4, -12, -11, 36, 3, 34, -7,
    ])
    expect(list(b.grad!)).toEqual([0, 2])
  })

  test('integers, halves, empty batches and channels', () => {
    const x = values(1, 2, 4, 4)
    const w = values(2, 2, 3, 3)
    const expected = list(F.conv2d(x, w))
    for (const dtype of [
      torch.int64,
      torch.int32,
      torch.int16,
      torch.int8,
      torch.float32,
      torch.float16,
      torch.bfloat16,
    ]) {
      const out = F.conv2d(x.to(dtype), w.to(dtype))
      expect(out.dtype).toBe(dtype)
      if (dtype !== torch.bfloat16) expect(list(out)).toEqual(expected)
    }
    expect([...F.conv2d(torch.zeros(0, 2, 5, 5), torch.ones(3, 2, 3, 3)).shape]).toEqual([0, 3, 3, 3])
    expect([...F.conv2d(torch.zeros(1, 0, 5, 5), torch.ones(3, 0, 3, 3)).shape]).toEqual([1, 0, 3, 3])
    const weight = torch.ones(3, 2, 3, 3).requiresGrad_()
    F.conv2d(torch.zeros(0, 2, 5, 5), weight)
      .sum()
      .backward()
    expect(weight.grad!.abs().sum().item()).toBe(0)
  })
})

describe('errors', () => {
  const x = torch.ones(1, 2, 5, 5)
  const w = torch.ones(3, 2, 3, 3)
  test.each<[string, () => unknown, string]>([
    [
      'rank',
      () => F.conv2d(torch.ones(2), w),
      'Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2]',
    ],
    [
      'channels',
      () => F.conv2d(torch.ones(1, 3, 5, 5), w),
      'Given groups=1, weight of size [3, 2, 3, 3], expected input[1, 3, 5, 5] to have 2 channels, but got 3 channels instead',
    ],
    [
      'size',
      () => F.conv2d(torch.ones(1, 2, 2, 2), w),
      "Calculated padded input size per channel: (2 x 2). Kernel size: (3 x 3). Kernel size can't be greater than actual input size",
    ],
    [
      'bias',
      () => F.conv2d(x, w, torch.ones(2)),
      'Given weight of size [3, 2, 3, 3], expected bias to be 1-dimensional with 3 elements, but got bias of size [2] instead',
    ],
    [
      'bias dtype',
      () => F.conv2d(x, w, torch.ones(3).to(torch.float64)),
      'Input type (float) and bias type (double) should be the same',
    ],
    ['dtype', () => F.conv2d(x, w.to(torch.float64)), 'expected scalar type Float but found Double'],
    ['stride', () => F.conv2d(x, w, { stride: 0 }), 'non-positive stride is not supported'],
    [
      'list',
      () => F.conv2d(x, w, { stride: [1, 2, 3] }),
      'expected stride to be a single integer value or a list of 2 values to match the convolution dimensions, but got stride=[1, 2, 3]',
    ],
    [
      'same',
      () => F.conv2d(x, w, { padding: 'same', stride: 2 }),
      "padding='same' is not supported for strided convolutions",
    ],
    [
      'groups',
      () => F.conv2d(torch.ones(1, 4, 5, 5), w, { groups: 2 }),
      'Given groups=2, expected weight to be divisible by 2 at dimension 0, but got weight of size [[3, 2, 3, 3]] instead',
    ],
    [
      'output padding',
      () => F.convTranspose2d(x, torch.ones(2, 3, 3, 3), { outputPadding: 1 }),
      'output padding must be smaller than either stride or dilation, but got output_padding_height: 1 output_padding_width: 1 stride_height: 1 stride_width: 1 dilation_height: 1 dilation_width: 1',
    ],
    [
      'blocks',
      () => F.unfold(torch.ones(1, 2, 2, 2), 3),
      'Given input with spatial size (2, 2), kernel_size=(3, 3), dilation=(1, 1), padding=(0, 0), calculated shape of the array of sliding blocks as (0, 0), but its components must be at least one.',
    ],
    [
      'columns',
      () => F.fold(torch.ones(1, 17, 9), 5, 3),
      "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=17 and kernel_size=(3, 3).",
    ],
    ['layer groups', () => new nn.Conv2d(3, 6, 5, { groups: 2 }), 'in_channels must be divisible by groups'],
    [
      'layer mode',
      () => new nn.ConvTranspose2d(4, 6, 3, { paddingMode: 'reflect' as 'zeros' }),
      'Only "zeros" padding mode is supported for ConvTranspose2d',
    ],
    [
      'output size',
      () => new nn.ConvTranspose2d(2, 3, 3)(x, [8, 8]),
      'requested an output size of (8, 8), but valid sizes range from [7, 7] to [7, 7] (for an input of torch.Size([5, 5]))',
    ],
  ])('%s', (_, run, message) => {
    expect(run).toThrow(message)
  })
})

describe('layers', () => {
  test("PyTorch's draws and printed forms", () => {
    torch.manualSeed(0)
    const layer = new nn.Conv2d(1, 1, 2)
    const weight = [-0.003743410110473633, 0.26822179555892944, -0.4115225672721863, -0.3679695129394531]
    expect(list(layer.weight)).toEqual(weight)
    expect(list(layer.bias!)).toEqual([-0.19257718324661255])
    torch.manualSeed(0)
    const lazy = new nn.LazyConv2d(1, 2)
    expect(String(lazy)).toBe('LazyConv2d(0, 1, kernel_size=(2, 2), stride=(1, 1))')
    lazy(torch.zeros(1, 1, 3, 3))
    expect(String(lazy)).toBe('Conv2d(1, 1, kernel_size=(2, 2), stride=(1, 1))')
    expect(list(lazy.weight)).toEqual(weight)
    expect(String(new nn.Conv2d(4, 6, [3, 5], { stride: [2, 1], dilation: 2, groups: 2, padding: 'valid' }))).toBe(
      'Conv2d(4, 6, kernel_size=(3, 5), stride=(2, 1), padding=valid, dilation=(2, 2), groups=2)',
    )
    expect(String(new nn.Unfold(3, 2, 1, 2))).toBe('Unfold(kernel_size=3, dilation=2, padding=1, stride=2)')
    expect(String(new nn.Fold([5, 5], [3, 3]))).toBe(
      'Fold(output_size=(5, 5), kernel_size=(3, 3), dilation=1, padding=0, stride=1)',
    )
  })

  test.each<['reflect' | 'replicate' | 'circular', number[]]>([
    ['reflect', [2, -2, -11, -17, 100, -19, 7, 47, -17]],
    ['replicate', [-9, 48, 20, 54, 100, 17, 23, 47, 19]],
    ['circular', [-9, 3, -9, -33, 100, -33, -9, 3, -9]],
  ])('padding mode %s', (paddingMode, expected) => {
    const layer = new nn.Conv2d(1, 1, 3, { padding: 1, paddingMode, bias: false, dtype: torch.float64 })
    torch.noGrad(() => layer.weight.copy_(values(1, 1, 3, 3)))
    expect(list(layer(values(1, 1, 3, 3)))).toEqual(expected)
  })

  test('a padding mode with an even kernel, and a size that is asked for', () => {
    const layer = new nn.Conv1d(1, 1, 2, {
      padding: 'same',
      paddingMode: 'circular',
      bias: false,
      dtype: torch.float64,
    })
    torch.noGrad(() => layer.weight.copy_(values(1, 1, 2)))
    expect(list(layer(values(1, 1, 4)))).toEqual([29, -14, 20, -35])
    const up = new nn.ConvTranspose2d(2, 3, 3, { stride: 2 })
    expect([...up(torch.ones(1, 2, 5, 5)).shape]).toEqual([1, 3, 11, 11])
    expect([...up(torch.ones(1, 2, 5, 5), { outputSize: [12, 12] }).shape]).toEqual([1, 3, 12, 12])
  })

  test('a lazy layer takes its sizes from a state dict', () => {
    const source = new nn.Conv1d(3, 4, 2)
    const lazy = new nn.LazyConv1d(4, 2)
    lazy.loadStateDict(source.stateDict())
    const x = torch.randn(2, 3, 5)
    expect(list(lazy(x))).toEqual(list(source(x)))
  })
})

describe('random shapes', () => {
  const HOSTS = [detect(), { relaxed: false, revectorize: false }].map((host) => createConvolution(host))
  const before = getNumThreads()
  afterAll(() => setNumThreads(before))

  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return seed / 2 ** 32
  }
  const integer = (least: number, most: number): number => least + Math.floor(random() * (most - least + 1))
  const PARTS: readonly ConvolutionPart[] = ['output', 'input', 'weight']
  const GUARD = 64

  type Sizes = Omit<ConvolutionArgs, 'x' | 'w' | 'y' | 'bias'>

  function shape(): Sizes {
    for (;;) {
      const dims = integer(1, 3)
      const groups = random() < 0.6 ? 1 : integer(1, 4)
      const big = random() < 0.3
      const triple = (make: () => number, absent: number): Triple => {
        const [a, b, c] = [0, 1, 2].map((d) => (d < 3 - dims ? absent : make()))
        return [a, b, c]
      }
      const kernel = triple(() => integer(1, 4), 1)
      const stride = triple(() => integer(1, 3), 1)
      const dilation = triple(() => integer(1, 3), 1)
      const padding = triple(() => integer(0, 3), 0)
      const input = triple(() => integer(1, dims === 1 ? 40 : 10), 1)
      const [d, h, w] = input.map(
        (n, i) => Math.floor((n + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1,
      )
      if (d < 1 || h < 1 || w < 1) continue
      const inputChannels = groups * integer(1, big ? 20 : 5)
      const outputChannels = groups * integer(1, big ? 40 : 8)
      const channels = { batch: integer(1, 5), groups, inputChannels, outputChannels }
      return { ...channels, input, output: [d, h, w], kernel, stride, padding, dilation }
    }
  }

  /** Shapes whose routines are those of large problems. */
  const LARGE: readonly Sizes[] = [
    [4, 16, 24, 24, 3, 1, 1],
    [3, 40, 20, 48, 3, 2, 1],
    [2, 40, 5, 48, 5, 1, 2],
    [2, 3, 32, 6, 5, 1, 0],
    [1, 24, 33, 40, 3, 1, 1],
    [4, 6, 30, 6, 3, 1, 2],
    [3, 5, 11, 7, 3, 1, 1],
  ].map(square)

  /** Few pixels and many weights. */
  const SMALL: readonly Sizes[] = [
    [8, 32, 2, 64, 3, 1, 1],
    [7, 40, 5, 56, 3, 2, 1],
    [13, 24, 3, 81, 3, 1, 1],
    [4, 72, 6, 60, 2, 2, 0],
  ].map(square)

  /** A plane at a time: [images, channels, height, width, outputs a channel, lines and taps of the kernel, stride, padding, dilation]. */
  const DEPTHWISE: readonly Sizes[] = [
    [2, 3, 11, 28, 1, 3, 3, 1, 1, 1],
    [2, 3, 12, 27, 1, 3, 3, 2, 1, 1],
    [3, 2, 9, 17, 2, 5, 3, 1, 2, 2],
    [2, 4, 7, 5, 1, 3, 3, 1, 1, 1],
    [1, 5, 14, 22, 1, 5, 5, 2, 3, 1],
    [2, 3, 10, 20, 3, 2, 4, 2, 0, 3],
    [2, 2, 1, 40, 1, 1, 7, 1, 4, 1],
    [2, 2, 6, 30, 1, 1, 1, 2, 0, 1],
    [2, 2, 9, 12, 1, 3, 3, 1, 4, 1],
  ].map(([batch, groups, height, width, each, lines, taps, stride, padding, dilation]) => {
    const out = (n: number, k: number): number => Math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1
    return {
      batch,
      groups,
      inputChannels: groups,
      outputChannels: groups * each,
      input: [1, height, width],
      output: [1, out(height, lines), out(width, taps)],
      kernel: [1, lines, taps],
      stride: [1, stride, stride],
      padding: [0, padding, padding],
      dilation: [1, dilation, dilation],
    }
  })

  function square([batch, inputChannels, size, outputChannels, kernel, stride, padding]: number[]): Sizes {
    const out = Math.floor((size + 2 * padding - kernel) / stride) + 1
    return {
      batch,
      groups: 1,
      inputChannels,
      outputChannels,
      input: [1, size, size],
      output: [1, out, out],
      kernel: [1, kernel, kernel],
      stride: [1, stride, stride],
      padding: [0, padding, padding],
      dilation: [1, 1, 1],
    }
  }

  /** Wide enough for bands of fewer rows than the stride. */
  const WIDE: Sizes = {
    batch: 1,
    groups: 1,
    inputChannels: 16,
    outputChannels: 16,
    input: [1, 8, 2000],
    output: [1, 3, 667],
    kernel: [1, 3, 3],
    stride: [1, 3, 3],
    padding: [0, 1, 1],
    dilation: [1, 1, 1],
  }

  const volume = (t: readonly number[]): number => t.reduce((a, b) => a * b, 1)

  /** Calls `term` with the elements of x, w and y of every product. */
  function loops(s: Sizes, term: (x: number, w: number, y: number) => void): void {
    const [inGroup, outGroup] = [s.inputChannels / s.groups, s.outputChannels / s.groups]
    const unravel = (i: number, [, h, w]: Triple): number[] => [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w]
    for (let p = 0; p < volume(s.output); p++) {
      for (let k = 0; k < volume(s.kernel); k++) {
        const pixel = unravel(p, s.output)
        const tap = unravel(k, s.kernel)
        const at = pixel.map((n, d) => n * s.stride[d] - s.padding[d] + tap[d] * s.dilation[d])
        if (at.some((n, d) => n < 0 || n >= s.input[d])) continue
        const place = (at[0] * s.input[1] + at[1]) * s.input[2] + at[2]
        for (let n = 0; n < s.batch; n++)
          for (let o = 0; o < s.outputChannels; o++)
            for (let c = 0; c < inGroup; c++)
              term(
                (n * s.inputChannels + Math.floor(o / outGroup) * inGroup + c) * volume(s.input) + place,
                (o * inGroup + c) * volume(s.kernel) + k,
                (n * s.outputChannels + o) * volume(s.output) + p,
              )
      }
    }
  }

  function check(
    s: Sizes,
    dtype: 'float32' | 'float64' | 'int32' | 'int64',
    convolution: (typeof HOSTS)[number],
  ): void {
    const bytes = dtype.endsWith('64') ? 8 : 4
    const counts = {
      x: s.batch * s.inputChannels * volume(s.input),
      w: (s.outputChannels * s.inputChannels * volume(s.kernel)) / s.groups,
      y: s.batch * s.outputChannels * volume(s.output),
      bias: Math.max(s.inputChannels, s.outputChannels),
    }
    const names = ['x', 'w', 'y', 'bias'] as const
    const at = names.map((name) => memory.alloc(counts[name] * bytes + 2 * GUARD) + GUARD)
    const view = (): { [i: number]: number | bigint } => {
      const { f32, f64, i32, i64 } = memory.views
      return { float32: f32, float64: f64, int32: i32, int64: i64 }[dtype]
    }
    const typed = (v: number): number | bigint => (dtype === 'int64' ? BigInt(v) : v)
    const [x, w, y, bias] = at
    for (const [i, name] of names.entries())
      for (let j = 0; j < counts[name]; j++)
        view()[at[i] / bytes + j] = typed(dtype.startsWith('float') ? Math.fround(random() - 0.5) : integer(-5, 5))
    for (const part of PARTS) {
      const written = { output: 2, input: 0, weight: 1 }[part]
      const count = counts[names[written]]
      const read = (i: number): Float64Array =>
        Float64Array.from({ length: counts[names[i]] }, (_, j) => Number(view()[at[i] / bytes + j]))
      const [a, b, c, d] = [0, 1, 2, 3].map(read)
      const withBias = part !== 'weight' && random() < 0.5
      const expected = new Float64Array(count)
      if (withBias) {
        const [channels, plane] = part === 'output' ? [s.outputChannels, s.output] : [s.inputChannels, s.input]
        for (let i = 0; i < count; i++) expected[i] = d[Math.floor(i / volume(plane)) % channels]
      }
      if (part === 'output') loops(s, (i, j, k) => (expected[k] += a[i] * b[j]))
      else if (part === 'input') loops(s, (i, j, k) => (expected[i] += c[k] * b[j]))
      else loops(s, (i, j, k) => (expected[j] += c[k] * a[i]))
      const start = at[written] / bytes
      for (let i = -1; i <= count; i++) view()[start + i] = typed(99)
      const numbers = { ...s, x, w, y, bias: withBias ? bias : 0 }
      convolution(dtype, part, numbers)
      const what = `${part} ${dtype} ${JSON.stringify(numbers)}`
      expect([view()[start - 1], view()[start + count]], what).toEqual([typed(99), typed(99)])
      const tolerance = dtype === 'float32' ? 1e-5 : dtype === 'float64' ? 1e-13 : 0
      const terms = part === 'weight' ? s.batch * volume(s.output) : volume(s.kernel) * s.inputChannels
      let worst = 0
      for (let i = 0; i < count; i++) {
        const error = Math.abs(Number(view()[start + i]) - expected[i])
        if (!(error <= worst)) worst = error
      }
      expect(worst, what).toBeLessThanOrEqual(tolerance * Math.max(1, Math.sqrt(terms)))
      for (let i = 0; i < count; i++) view()[start + i] = typed(integer(-5, 5))
    }
    for (const [i, name] of names.entries()) memory.release(at[i] - GUARD, counts[name] * bytes + 2 * GUARD)
  }

  test.each([
    [1, 0],
    [2, 0],
    [1, 1],
  ])(
    'with %i threads on host %i',
    (threads, host) => {
      setNumThreads(threads)
      for (let i = 0; i < 80; i++) {
        const dtype = random() < 0.7 ? 'float32' : (['float64', 'int32', 'int64'] as const)[integer(0, 2)]
        check(shape(), dtype, HOSTS[host])
      }
    },
    60_000,
  )

  test.each([1, 2])(
    'large ones with %i threads',
    (threads) => {
      setNumThreads(threads)
      for (const s of [...LARGE, WIDE]) check(s, 'float32', HOSTS[0])
    },
    60_000,
  )

  test.each([1, 2])(
    'small images and single planes with %i threads',
    (threads) => {
      setNumThreads(threads)
      for (const s of [...SMALL, ...DEPTHWISE]) {
        check(s, 'float32', HOSTS[0])
        if (threads > 1) continue
        check(s, 'float32', HOSTS[1])
        check(s, 'float64', HOSTS[0])
        check(s, 'int64', HOSTS[0])
      }
    },
    60_000,
  )

  test('gradients of asymmetric padding agree with finite differences, second order too', () => {
    const [x, w] = [
      torch.randn(1, 2, 4, 5, { dtype: torch.float64 }),
      torch.randn(2, 2, 2, 4, { dtype: torch.float64 }),
    ]
    const fn = (a: Tensor, b: Tensor): Tensor => F.conv2d(a, b, { padding: 'same', dilation: [2, 1] })
    expect(torch.autograd.gradcheck(fn, [x.requiresGrad_(), w.requiresGrad_()])).toBe(true)
    expect(torch.autograd.gradgradcheck(fn, [x, w])).toBe(true)
  })
})
