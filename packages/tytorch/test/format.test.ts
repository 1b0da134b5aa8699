// Printed forms against PyTorch's own: its recorded tensors letter for letter, print options, reprs, and what is read.
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import {
  formatArguments,
  formatExponential,
  formatFixed,
  formatFloat,
  formatList,
  formatModule,
  formatModuleList,
  formatSize,
  formatString,
  formatTensor,
  formatTuple,
  formatValue,
  getPrintoptions,
  type PrintableDtype,
  type PrintableTensor,
  type PrintOptionChanges,
  setPrintoptions,
  type TensorSuffixes,
} from '../src/base/format.ts'

type Stored = number | string | boolean

interface ParityCase {
  how: string
  shape: number[]
  dtype: PrintableDtype
  values: Stored[]
  requires_grad: boolean
  text: string
}

interface RecordedCase {
  sizes: number[]
  dtype: PrintableDtype
  values?: Stored[]
  suffixes?: TensorSuffixes
  options?: PrintOptionChanges
  defaultDtype?: PrintableDtype
  text: string
}

interface RecordedNumber {
  value: number
  repr: string
  fixed: Record<string, string>
  exponential: Record<string, string>
}

const load = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/print/${name}.json`, import.meta.url), 'utf8'))
const parity: { tensors: ParityCase[]; reprs: { expr: string; text: string }[] } = load('print')
const recorded: {
  gradFn: (RecordedCase & { expr: string })[]
  options: RecordedCase[]
  numbers: RecordedNumber[]
} = load('recorded')

const nonFinite: Record<string, number> = { nan: Number.NaN, inf: Infinity, '-inf': -Infinity }

function sourceOf(
  sizes: number[],
  dtype: PrintableDtype,
  values?: Stored[],
  suffixes?: TensorSuffixes,
): PrintableTensor {
  if (values === undefined) return { sizes, dtype, suffixes }
  const decoded = values.map((value) => (typeof value === 'string' ? (nonFinite[value] ?? BigInt(value)) : value))
  return { sizes, dtype, suffixes, at: (position) => decoded[position] }
}

function printRecorded({ sizes, dtype, values, suffixes, options, defaultDtype }: RecordedCase): string {
  setPrintoptions({ profile: 'default' })
  if (options) setPrintoptions(options)
  return formatTensor(sourceOf(sizes, dtype, values, suffixes), { defaultDtype })
}

afterEach(() => setPrintoptions({ profile: 'default' }))

describe('formatTensor', () => {
  it.each(parity.tensors.map((entry, i) => [i, entry.how, entry.dtype, entry.shape, entry] as const))(
    'prints parity tensor %i (%s %s %j)',
    (_i, _how, _dtype, _shape, entry) => {
      const source = sourceOf(entry.shape, entry.dtype, entry.values, { requiresGrad: entry.requires_grad })
      expect(formatTensor(source)).toBe(entry.text)
    },
  )

  it.each(recorded.gradFn.map((entry) => [entry.expr, entry] as const))('prints the result of %s', (_expr, entry) => {
    expect(printRecorded(entry)).toBe(entry.text)
  })

  it.each(recorded.options.map((entry, i) => [i, entry.dtype, entry.sizes, entry.options ?? {}, entry] as const))(
    'prints recorded tensor %i (%s %j, %j)',
    (_i, _dtype, _sizes, _options, entry) => {
      expect(printRecorded(entry)).toBe(entry.text)
    },
  )

  it('reads each printed element once and no other', () => {
    const read: number[] = []
    const at = (position: number) => {
      read.push(position)
      return position
    }
    const sizes = [1000, 1000, 1000]
    formatTensor({ sizes, dtype: 'float32', at })
    const edges = [0, 1, 2, 997, 998, 999]
    expect(read).toEqual(edges.flatMap((i) => edges.flatMap((j) => edges.map((k) => (i * 1000 + j) * 1000 + k))))
    read.length = 0
    expect(formatTensor({ sizes, dtype: 'float32', at }, { edgeitems: 0 })).toBe(
      'tensor([...], size=(1000, 1000, 1000))',
    )
    expect(read).toEqual([])
  })

  it('takes options for one call, another name, and a device', () => {
    const source: PrintableTensor = { sizes: [2], dtype: 'float32', at: (i) => i / 3, suffixes: { device: 'webgpu:0' } }
    expect(formatTensor(source, { precision: 1 })).toBe("tensor([0.0, 0.3], device='webgpu:0')")
    expect(formatTensor(source, { name: 'Mask' })).toBe("Mask([0.0000, 0.3333], device='webgpu:0')")
    expect(getPrintoptions().precision).toBe(4)
  })

  it('prints complex numbers by their parts, each of one width', () => {
    const values = [
      { re: 1, im: 2 },
      { re: -3, im: -0.5 },
    ]
    const source = { sizes: [2], dtype: 'complex64' as PrintableDtype, at: (i: number) => values[i] }
    expect(formatTensor(source)).toBe('tensor([ 1.+2.0000j, -3.-0.5000j])')
  })
})

describe('setPrintoptions', () => {
  it('applies a profile, then what is named, and resets sciMode when it is absent', () => {
    setPrintoptions({ profile: 'short', precision: 6, sciMode: true })
    expect(getPrintoptions()).toEqual({ precision: 6, threshold: 1000, edgeitems: 2, linewidth: 80, sciMode: true })
    setPrintoptions({ linewidth: 100 })
    expect(getPrintoptions()).toEqual({ precision: 6, threshold: 1000, edgeitems: 2, linewidth: 100, sciMode: null })
    setPrintoptions({ profile: 'full' })
    expect(getPrintoptions().threshold).toBe(Infinity)
  })

  it('refuses what could not print, and then changes nothing', () => {
    const before = getPrintoptions()
    expect(() => setPrintoptions({ precision: -1 })).toThrow('precision must be a non-negative integer, got -1')
    expect(() => setPrintoptions({ profile: 'long' as 'full' })).toThrow("got 'long'")
    expect(getPrintoptions()).toEqual(before)
  })
})

describe('Python forms', () => {
  it.each(recorded.numbers.map((entry) => [entry.repr, entry] as const))('prints the float %s', (_repr, entry) => {
    expect(formatFloat(entry.value)).toBe(entry.repr)
    for (const [p, text] of Object.entries(entry.fixed)) expect(formatFixed(entry.value, Number(p))).toBe(text)
    for (const [p, text] of Object.entries(entry.exponential))
      expect(formatExponential(entry.value, Number(p))).toBe(text)
  })

  it('prints values, tuples and lists', () => {
    const values = [6, 1e-5, 2n ** 70n, true, null, undefined, 'mean', [5], []] as const
    expect(formatTuple(values)).toBe("(6, 1e-05, 1180591620717411303424, True, None, None, 'mean', (5,), ())")
    expect(formatList([1e21, -0, Number.NaN, -Infinity])).toBe('[1000000000000000000000, -0.0, nan, -inf]')
    expect(formatValue(false)).toBe('False')
  })

  it('prints strings', () => {
    expect(formatString("it's")).toBe(`"it's"`)
    expect(formatString(`'"`)).toBe(`'\\'"'`)
    expect(formatString('a\n\\\u0000\u00a0\u200bé😀')).toBe("'a\\n\\\\\\x00\\xa0\\u200bé😀'")
  })

  it('prints sizes', () => {
    expect(formatSize([3, 4])).toBe('torch.Size([3, 4])')
    expect(formatSize([])).toBe('torch.Size([])')
  })
})

describe('modules', () => {
  const linear = (inFeatures: number, outFeatures: number) =>
    formatModule('Linear', formatArguments([], { inFeatures, outFeatures, bias: true }), [])
  const norm = formatModule('LayerNorm', formatArguments([[8]], { eps: 1e-5, elementwiseAffine: true, bias: true }), [])
  const dropout = formatModule('Dropout', formatArguments([], { p: 0.1, inplace: false }), [])
  const plain = (name: string) => formatModule(name, '', [])
  const attention = formatModule('MultiheadAttention', '', [
    ['out_proj', linear(8, 8).replace('Linear', 'NonDynamicallyQuantizableLinear')],
  ])
  const built: Record<string, string> = {
    'nn.Linear(4, 1024)': linear(4, 1024),
    'nn.Conv2d(1, 6, 5)': formatModule('Conv2d', formatArguments([1, 6], { kernelSize: [5, 5], stride: [1, 1] }), []),
    'nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)': formatModule(
      'Conv2d',
      formatArguments([3, 8], { kernelSize: [3, 3], stride: [2, 2], padding: [1, 1], groups: undefined, bias: false }),
      [],
    ),
    'nn.ReLU()': plain('ReLU'),
    'nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))': formatModule('Sequential', '', [
      ['0', linear(4, 8)],
      ['1', plain('ReLU')],
      ['2', linear(8, 3)],
    ]),
    'nn.Upsample(scale_factor=2)': formatModule('Upsample', `scale_factor=${formatFloat(2)}, mode='nearest'`, []),
    'nn.MultiheadAttention(8, 2)': attention,
    'nn.TransformerEncoderLayer(8, 2, 16)': formatModule('TransformerEncoderLayer', '', [
      ['self_attn', attention],
      ['linear1', linear(8, 16)],
      ['dropout', dropout],
      ['linear2', linear(16, 8)],
      ['norm1', norm],
      ['norm2', norm],
      ['dropout1', dropout],
      ['dropout2', dropout],
    ]),
    'nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Tanh(), nn.Sigmoid())])': formatModuleList('ModuleList', [
      linear(2, 2),
      formatModule('Sequential', '', [
        ['0', plain('Tanh')],
        ['1', plain('Sigmoid')],
      ]),
    ]),
  }

  it.each(Object.entries(built))('prints %s', (expr, text) => {
    expect(text).toBe(parity.reprs.find((entry) => entry.expr === expr)?.text)
  })

  it('tells equal neighbours in a ModuleList once, and in a Sequential each', () => {
    const block = formatModule('Sequential', '', [
      ['0', linear(2, 2)],
      ['1', linear(2, 2)],
    ])
    expect(formatModuleList('ModuleList', [block, block, linear(2, 2), block])).toBe(`ModuleList(
  (0-1): 2 x Sequential(
    (0): Linear(in_features=2, out_features=2, bias=True)
    (1): Linear(in_features=2, out_features=2, bias=True)
  )
  (2): Linear(in_features=2, out_features=2, bias=True)
  (3): Sequential(
    (0): Linear(in_features=2, out_features=2, bias=True)
    (1): Linear(in_features=2, out_features=2, bias=True)
  )
)`)
    expect(formatModuleList('ModuleList', [])).toBe('ModuleList()')
  })

  it('gives several extra lines, and an extra line beside children, lines of their own', () => {
    expect(formatModule('M', 'a=1\nb=2', [])).toBe('M(\n  a=1\n  b=2\n)')
    expect(formatModule('M', 'a=1', [['act', plain('ReLU')]])).toBe('M(\n  a=1\n  (act): ReLU()\n)')
  })

  it('keeps a blank extra line empty in a module and indents it in a ModuleList', () => {
    const child = formatModule('M', 'x\n\ny', [])
    expect(formatModule('N', '', [['m', child]])).toBe('N(\n  (m): M(\n    x\n\n    y\n  )\n)')
    expect(formatModuleList('ModuleList', [child])).toBe('ModuleList(\n  (0): M(\n    x\n    \n    y\n  )\n)')
  })
})
