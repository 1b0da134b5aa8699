// x[...] in all combinations against PyTorch's answers (fixtures/indexing), and the ops that read and write by position.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import * as torch from '../src/index.ts'
import type { Index } from '../src/ops/indexing.ts'
import { device, useDevice } from '../src/tensor/run.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const f32 = { dtype: torch.float32 }
const floats = (data: torch.TensorData): Tensor => torch.tensor(data, f32)
const leaf = (data: torch.TensorData): Tensor => torch.tensor(data, { ...f32, requiresGrad: true })
const counting = (...sizes: number[]): Tensor =>
  torch
    .arange(
      sizes.reduce((a, b) => a * b, 1),
      f32,
    )
    .view(sizes)
const flat = (x: Tensor): number[] => x.detach().contiguous().view(-1).tolist<number[]>()

interface Case {
  sizes: number[]
  index: unknown[]
  error?: string
  message?: string
  shape: number[]
  value: number[]
  grad: number[]
  view: boolean
  name: string | null
  set: number[]
  setGrad: number[]
  valueGrad: number[]
  filled: number[]
}
const cases = JSON.parse(readFileSync(new URL('./fixtures/indexing/index.json', import.meta.url), 'utf8')) as Case[]

function indexOf(part: unknown): Index {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part as Index
  const { slice, tensor, mask } = part as {
    slice?: (number | null)[]
    tensor?: torch.TensorData
    mask?: torch.TensorData
  }
  if (slice) return torch.slice(slice[0], slice[1], slice[2])
  return torch.tensor((tensor ?? mask) as torch.TensorData)
}

describe('random indices', () => {
  it.each(cases.map((c) => [`[${c.sizes}] at ${JSON.stringify(c.index)}`, c] as const))('%s', (_, c) => {
    const index = c.index.map(indexOf)
    const n = c.sizes.reduce((a, b) => a * b, 1)
    const numbers = (count: number, sizes: number[]): Tensor => torch.arange(1, count + 1, f32).view(sizes)
    const x = numbers(n, c.sizes).requiresGrad_()
    if (c.error) {
      expect(() => x.at(...index)).toThrow(c.message)
      return
    }
    const out = x.at(...index)
    expect([...out.shape]).toEqual(c.shape)
    expect(flat(out)).toEqual(c.value)
    if (c.value.length > 0) expect(out.storage === x.storage).toBe(c.view)
    if (c.name) expect(out.gradFn?.name).toBe(c.name)
    const weight = numbers(out.numel(), c.shape)
    if (out.numel() > 0) {
      out.mul(weight).sum().backward()
      expect(flat(x.grad as Tensor)).toEqual(c.grad)
    }
    const start = numbers(n, c.sizes).requiresGrad_()
    const v = weight.neg().requiresGrad_()
    const y = start.mul(1)
    y.setAt(index, v)
    expect(flat(y)).toEqual(c.set)
    const [gx, gv] = torch.autograd.grad(y.mul(numbers(n, c.sizes)).sum(), [start, v])
    expect(flat(gx)).toEqual(c.setGrad)
    expect(flat(gv)).toEqual(c.valueGrad)
    const z = numbers(n, c.sizes)
    z.setAt(index, 100)
    expect(flat(z)).toEqual(c.filled)
  })
})

describe('at', () => {
  it('gives views for numbers, slices, null and dots, and copies for arrays and masks', () => {
    const x = counting(3, 4)
    x.at(1).fill_(9)
    x.at(':', 0).mul_(10)
    x.at('...', null, '::2').neg_()
    expect(x.tolist()).toEqual([[-0, 1, -2, 3], [-90, 9, -9, 9], [-80, 9, -10, 11]]) // biome-ignore format: a matrix
    x.at([0]).fill_(7)
    x.at(x.gt(0)).fill_(7)
    expect(x.at(0, 1).item()).toBe(1)
    expect(x.at().storage).toBe(x.storage)
  })

  it('counts a mask of several dimensions as that many', () => {
    const x = counting(2, 3, 4)
    const mask = torch.tensor([[true, false, true], [false, false, true]]) // biome-ignore format: a matrix
    expect(x.at(mask, 1).tolist()).toEqual([1, 9, 21])
    expect(x.at(mask, '1:3').tolist()).toEqual([[1, 2], [9, 10], [21, 22]]) // biome-ignore format: a matrix
  })

  it('takes booleans as new dimensions and 0-d tensors as numbers', () => {
    const x = counting(3, 4)
    expect([...x.at(true).shape]).toEqual([1, 3, 4])
    expect([...x.at(false).shape]).toEqual([0, 3, 4])
    expect(x.at(torch.tensor(2)).tolist()).toEqual([8, 9, 10, 11])
    expect(x.at(torch.tensor(2)).storage).toBe(x.storage)
    expect([...x.at([]).shape]).toEqual([0, 4])
  })

  it('works on every dtype', () => {
    for (const dtype of [
      torch.float64,
      torch.int64,
      torch.int32,
      torch.int16,
      torch.int8,
      torch.uint8,
      torch.float16,
      torch.bfloat16,
    ]) {
      const x = torch.arange(12, { dtype }).view(3, 4)
      expect(x.at([2, 0], [1, -1]).tolist()).toEqual([9, 3])
      expect(x.at(x.gt(9)).tolist()).toEqual([10, 11])
      x.setAt(
        [
          [2, 0],
          [1, -1],
        ],
        5,
      )
      x.setAt(['1:', ':2'], torch.tensor([[1, 2]], { dtype }))
      expect(x.tolist()).toEqual([[0, 1, 2, 5], [1, 2, 6, 7], [1, 2, 10, 11]]) // biome-ignore format: a matrix
      expect(
        x
          .indexAdd(0, torch.tensor([0, 0]), x.at(':2'))
          .at(0)
          .tolist(),
      ).toEqual([1, 4, 10, 17])
    }
    const flags = torch.tensor([true, false, true])
    expect(flags.at([2, 1]).tolist()).toEqual([true, false])
  })

  it('reads and writes through strides', () => {
    const x = counting(3, 4).t()
    expect(x.at([1, 3]).tolist()).toEqual([[1, 5, 9], [3, 7, 11]]) // biome-ignore format: a matrix
    expect(x.at(':', [2, 0]).at(1).tolist()).toEqual([9, 1])
    x.setAt([[0, 2], 1], floats([-1, -2]))
    expect(x.at(':', 1).tolist()).toEqual([-1, 5, -2, 7])
    expect(x.at(x.lt(0)).tolist()).toEqual([-1, -2])
    expect(torch.zeros(1, 3).expand(2, 3).at([1], [0]).tolist()).toEqual([0])
  })

  it('refuses what is no index, before anything is written', () => {
    const x = counting(3, 4)
    const refused: [Index[], string][] = [
      [[5], 'index 5 is out of bounds for dimension 0 with size 3'],
      [[0, 9], 'index 9 is out of bounds for dimension 1 with size 4'],
      [[':', -7], 'index -7 is out of bounds for dimension 1 with size 4'],
      [[[0, 5]], 'index 5 is out of bounds for dimension 0 with size 3'],
      [[[0, 1], [0, 9]], 'index 9 is out of bounds for dimension 1 with size 4'],
      [[0, 0, 0], 'too many indices for tensor of dimension 2'],
      [[torch.tensor([true, false])], 'The shape of the mask [2] at index 0 does not match the shape of the indexed tensor [3, 4] at index 0'],
      [[torch.tensor([0.5])], 'tensors used as indices must be long, int, byte or bool tensors'],
      [[[0, 1], [0, 1, 2]], 'shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]'],
      [[0.5], 'only integers, slices'],
      [['x'], 'is no index'],
    ] // biome-ignore format: a table
    for (const [index, message] of refused) {
      expect(() => x.at(...index)).toThrow(torch.IndexError)
      expect(() => x.at(...index)).toThrow(message)
      expect(() => x.setAt(index, 1)).toThrow(message)
    }
    expect(() => x.at('::-1')).toThrow(torch.ValueError)
    expect(() => torch.tensor(3).at(0)).toThrow('invalid index of a 0-dim tensor')
    expect(x.equal(counting(3, 4))).toBe(true)
  })
})

describe('setAt', () => {
  it('keeps the history of what was built element by element', () => {
    const product = (v: number[]): number[] => {
      const x = leaf([1, 2, 3])
      const y = torch.zeros(3)
      y.setAt([0], x.at(0).pow(2).add(x.at(1).mul(2)).add(x.at(2)))
      y.setAt([1], x.at(0).add(x.at(1).pow(3)).add(x.at(2).pow(2)))
      y.setAt([2], x.at(0).mul(2).add(x.at(1).pow(2)).add(x.at(2).pow(3)))
      expect(y.gradFn?.name).toBe('CopySlices')
      y.backward(floats(v))
      return flat(x.grad as Tensor)
    }
    expect(product([1, 1, 1])).toEqual([5, 18, 34])
    expect(product([3, 2, 1])).toEqual([10, 34, 42])
  })

  it('replaces part of a gradient, by numbers too, whichever view wrote first', () => {
    const a = leaf([1, 2, 3])
    const y = torch.zeros(3)
    const view = y.at('1:')
    y.setAt([':'], a.mul(2))
    view.setAt([0], 5)
    y.setAt([torch.tensor([false, false, true])], 7)
    expect(y.tolist()).toEqual([2, 5, 7])
    expect(view.tolist()).toEqual([5, 7])
    y.sum().backward()
    expect(a.grad?.tolist()).toEqual([2, 0, 0])
  })

  it('differentiates twice', () => {
    const a = leaf([1, 2, 3])
    const y = a.mul(1)
    y.setAt([[0, 2]], a.at([1, 1]).pow(3))
    const [g] = torch.autograd.grad(y.sum(), a, { createGraph: true })
    expect(g.tolist()).toEqual([0, 25, 0])
    expect(torch.autograd.grad(g.sum(), a)[0].tolist()).toEqual([0, 24, 0])
  })

  it('broadcasts, trims leading ones, converts numbers and refuses the rest', () => {
    const y = torch.zeros(3, 4)
    y.setAt(0, torch.ones(1, 1, 4))
    y.setAt([[0, 1]], torch.ones(1, 2, 4).mul(2))
    y.setAt(['...', -1], [7, 8, 9])
    expect(y.tolist()).toEqual([[2, 2, 2, 7], [2, 2, 2, 8], [0, 0, 0, 9]]) // biome-ignore format: a matrix
    const whole = torch.zeros(3, { dtype: torch.int64 })
    whole.setAt([0], 1.5)
    whole.setAt([[1, 2]], 2.5)
    expect(whole.tolist()).toEqual([1, 2, 2])
    expect(() => y.setAt([0], torch.ones(3))).toThrow('must match the existing size (3)')
    expect(() => y.setAt([[0, 1]], torch.ones(3))).toThrow(
      'shape mismatch: value tensor of shape [3] cannot be broadcast to indexing result of shape [2, 4]',
    )
    expect(() => whole.setAt([[0, 1]], torch.tensor([1.5, 2.5]))).toThrow(
      'Index put requires the source and destination dtypes match',
    )
    expect(() => leaf([1, 2]).setAt([0], 1)).toThrow('a view of a leaf Variable that requires grad')
  })

  it('copies what overlaps', () => {
    const x = counting(5)
    x.setAt(['1:'], x.at(':-1'))
    expect(x.tolist()).toEqual([0, 0, 1, 2, 3])
    x.setAt([[0, 1]], x.at('3:'))
    expect(x.tolist()).toEqual([2, 3, 1, 2, 3])
  })
})

describe('positions', () => {
  const index = (data: torch.TensorData): Tensor => torch.tensor(data)

  it('gather, indexSelect and take read, and give their gradients back', () => {
    const x = counting(3, 4).requiresGrad_()
    const out = x.gather(1, index([[0, 0], [3, 1], [2, 2]])) // biome-ignore format: a matrix
    expect(out.tolist()).toEqual([[0, 0], [7, 5], [10, 10]]) // biome-ignore format: a matrix
    const [g] = torch.autograd.grad(out.sum(), x)
    expect(g.tolist()).toEqual([[2, 0, 0, 0], [0, 1, 0, 1], [0, 0, 2, 0]]) // biome-ignore format: a matrix
    const rows = x.indexSelect(0, index([2, 0, 2]))
    expect(rows.at(0).tolist()).toEqual([8, 9, 10, 11])
    expect(torch.autograd.grad(rows.sum(), x)[0].at(':', 0).tolist()).toEqual([1, 0, 2])
    expect(x.take(index([0, -1])).tolist()).toEqual([0, 11])
    expect(() => x.gather(0, index([[0, 5]]))).toThrow('index 5 is out of bounds for dimension 0 with size 3')
    expect(() => x.gather(0, index([0]))).toThrow(
      'Index tensor must have the same number of dimensions as input tensor',
    )
    expect(() => x.indexSelect(0, index([5]))).toThrow('index out of range in self')
    expect(() => x.take(index([77]))).toThrow('out of range: tried to access index 77 on a tensor of 12 elements.')
  })

  it('scatter writes, adds, multiplies and reduces', () => {
    const at = index([[0, 1, 2, 1]])
    const x = counting(3, 4)
    const one = torch.ones(1, 4)
    expect(x.scatter(0, at, 9).tolist()).toEqual([[9, 1, 2, 3], [4, 9, 6, 9], [8, 9, 9, 11]]) // biome-ignore format: a matrix
    expect(x.scatter(0, at, one, { reduce: 'add' }).at(1).tolist()).toEqual([4, 6, 6, 8])
    expect(x.scatter(0, at, 2, { reduce: 'multiply' }).at(1).tolist()).toEqual([4, 10, 6, 14])
    expect(
      x
        .scatterAdd(1, torch.zeros(3, 4, { dtype: torch.int64 }), x)
        .at(':', 0)
        .tolist(),
    ).toEqual([6, 26, 46])
    expect(x.scatterReduce(0, at, one, 'mean').tolist()).toEqual([[0.5, 1, 2, 3], [4, 3, 6, 4], [8, 9, 5.5, 11]]) // biome-ignore format: a matrix
    expect(x.scatterReduce(0, at, one, 'amax', { includeSelf: false }).at(0).tolist()).toEqual([1, 1, 2, 3])
    const labels = index([2, 0])
    expect(torch.zeros(2, 3).scatter_(1, labels.unsqueeze(1), 1).tolist()).toEqual([[0, 0, 1], [1, 0, 0]]) // biome-ignore format: a matrix
    expect(() => x.scatter_(0, index([[0, 1, 2, 9]]), 1)).toThrow(
      'index 9 is out of bounds for dimension 0 with size 3',
    )
    expect(() => x.scatter(0, at, torch.zeros(1, 2))).toThrow('to be no larger size than src [1, 2]')
    expect(x.equal(counting(3, 4))).toBe(true)
  })

  it('indexAdd, indexCopy, indexFill and indexPut write slices and elements', () => {
    const x = leaf([[1, 2], [3, 4], [5, 6]]) // biome-ignore format: a matrix
    const source = leaf([[10, 20], [30, 40]]) // biome-ignore format: a matrix
    const sum = x.indexAdd(0, index([0, 0]), source, { alpha: 2 })
    expect(sum.at(0).tolist()).toEqual([81, 122])
    sum.sum().backward()
    expect(source.grad?.tolist()).toEqual([[2, 2], [2, 2]]) // biome-ignore format: a matrix
    expect(x.indexCopy(0, index([2, 0]), source).tolist()).toEqual([[30, 40], [3, 4], [10, 20]]) // biome-ignore format: a matrix
    expect(x.indexFill(1, index([1]), 0).tolist()).toEqual([[1, 0], [3, 0], [5, 0]]) // biome-ignore format: a matrix
    expect(
      torch
        .zeros(3)
        .indexPut_([index([1, 1])], floats([1, 2]), true)
        .tolist(),
    ).toEqual([0, 3, 0])
    expect(() => x.indexAdd(0, index([0, 0]), torch.ones(3, 2))).toThrow(
      'index_add_(): Number of indices (2) should be equal to source.size(dim): (3), for dim: 0',
    )
  })

  it('handles 0-d and empty operands', () => {
    const scalar = torch.tensor(3.5)
    expect(scalar.gather(0, index(0)).item()).toBe(3.5)
    expect(scalar.indexSelect(0, index([0])).item()).toBe(3.5)
    expect(scalar.maskedSelect(torch.tensor(true)).tolist()).toEqual([3.5])
    expect([...torch.zeros(0, 3).indexSelect(1, index([2])).shape]).toEqual([0, 1])
    expect([...torch.zeros(3, 4).gather(0, torch.zeros(0, 4, { dtype: torch.int64 })).shape]).toEqual([0, 4])
    expect([...torch.zeros(0, 3).at([], ':').shape]).toEqual([0, 3])
    expect(torch.zeros(2, 0).nonzero().shape.toString()).toBe('torch.Size([0, 2])')
  })
})

describe('masks', () => {
  it('where chooses, promotes and differentiates', () => {
    const x = leaf([[1, 2], [3, 4]]) // biome-ignore format: a matrix
    const y = leaf([10, 20])
    const out = torch.where(x.gt(2), x, y)
    expect(out.tolist()).toEqual([[10, 20], [3, 4]]) // biome-ignore format: a matrix
    out.sum().backward()
    expect(y.grad?.tolist()).toEqual([1, 1])
    expect(torch.where(x.gt(2), 1, 0).dtype).toBe(torch.int64)
    expect(torch.where(x.gt(2), x.double(), x).dtype).toBe(torch.float64)
    expect(x.where(x.gt(2), 0).tolist()).toEqual([[0, 0], [3, 4]]) // biome-ignore format: a matrix
    expect(torch.where(x.gt(2)).map((t) => t.tolist())).toEqual([[1, 1], [0, 1]]) // biome-ignore format: a matrix
    expect(() => torch.where(x, x, x)).toThrow(
      'where expected condition to be a boolean tensor, but got a tensor with dtype Float',
    )
  })

  it('maskedFill, maskedSelect and maskedScatter', () => {
    const x = leaf([1, 2, 3])
    const mask = torch.tensor([true, false, true])
    const filled = x.maskedFill(mask, -1)
    expect(filled.tolist()).toEqual([-1, 2, -1])
    filled.sum().backward()
    expect(x.grad?.tolist()).toEqual([0, 1, 0])
    expect(x.detach().clone().maskedFill_(mask, torch.tensor(9.5)).tolist()).toEqual([9.5, 2, 9.5])
    const picked = x.maskedSelect(mask)
    expect(picked.tolist()).toEqual([1, 3])
    expect(torch.autograd.grad(picked.mul(floats([5, 6])).sum(), x)[0].tolist()).toEqual([5, 0, 6])
    expect(x.maskedScatter(mask, floats([7, 8, 9])).tolist()).toEqual([7, 2, 8])
    expect(() => x.maskedFill(torch.tensor([1, 0, 1]), 0)).toThrow(
      'masked_fill_ only supports boolean masks, but got mask with dtype long int',
    )
    expect(() => x.maskedScatter(mask, floats([1]))).toThrow('Number of elements of source < number of ones in mask')
    expect(torch.tensor([1, 2]).maskedFill(torch.tensor([true, false]), Number.NEGATIVE_INFINITY).dtype).toBe(
      torch.int64,
    )
    expect(
      floats([0, 1])
        .maskedFill(torch.tensor([true, false]), Number.NEGATIVE_INFINITY)
        .tolist(),
    ).toEqual([Number.NEGATIVE_INFINITY, 1])
  })

  it('nonzero lists coordinates', () => {
    const x = floats([[0, 1], [2, 0]]) // biome-ignore format: a matrix
    expect(x.nonzero().tolist()).toEqual([[0, 1], [1, 0]]) // biome-ignore format: a matrix
    expect(x.nonzero({ asTuple: true }).map((t) => t.tolist())).toEqual([[0, 1], [1, 0]]) // biome-ignore format: a matrix
  })
})

describe('arrangement', () => {
  const x = counting(3, 4)
  it('tril and triu keep triangles, also of batches and in place', () => {
    expect(x.tril().tolist()).toEqual([[0, 0, 0, 0], [4, 5, 0, 0], [8, 9, 10, 0]]) // biome-ignore format: a matrix
    expect(x.triu(1).tolist()).toEqual([[0, 1, 2, 3], [0, 0, 6, 7], [0, 0, 0, 11]]) // biome-ignore format: a matrix
    expect(torch.ones(2, 3, 3).tril_(-1).sum().item()).toBe(6)
    expect(x.t().tril().t().equal(x.triu())).toBe(true)
  })

  it('flip, roll, repeat and their gradients', () => {
    expect(x.flip(0).at(0).tolist()).toEqual([8, 9, 10, 11])
    expect(x.flip([0, 1]).at(0).tolist()).toEqual([11, 10, 9, 8])
    expect(x.roll(1).at(0).tolist()).toEqual([11, 0, 1, 2])
    expect(x.roll([1, -1], [0, 1]).at(0).tolist()).toEqual([9, 10, 11, 8])
    expect(x.at(0, ':2').repeat(2, 2).tolist()).toEqual([[0, 1, 0, 1], [0, 1, 0, 1]]) // biome-ignore format: a matrix
    expect(x.at(0, ':2').tile(2).tolist()).toEqual([0, 1, 0, 1])
    expect(x.at(0, ':2').repeatInterleave(2).tolist()).toEqual([0, 0, 1, 1])
    expect(
      x
        .repeatInterleave(torch.tensor([1, 0, 2]), 0)
        .at(':', 0)
        .tolist(),
    ).toEqual([0, 8, 8])
    const a = leaf([1, 2])
    const weight = torch.arange(12, f32).view(3, 4)
    a.repeat(3, 2).mul(weight).sum().backward()
    expect(a.grad?.tolist()).toEqual([30, 36])
  })

  it('diag, diagEmbed and trace', () => {
    expect(x.diag().tolist()).toEqual([0, 5, 10])
    expect(floats([1, 2]).diag(1).tolist()).toEqual([[0, 1, 0], [0, 0, 2], [0, 0, 0]]) // biome-ignore format: a matrix
    expect(torch.ones(2, 3).diagEmbed().sum().item()).toBe(6)
    const m = counting(3, 3).requiresGrad_()
    m.trace().mul(2).backward()
    expect(m.grad?.tolist()).toEqual([[2, 0, 0], [0, 2, 0], [0, 0, 2]]) // biome-ignore format: a matrix
  })
})

describe('rows of memory', () => {
  const wasm = device()
  const interp = createInterpreter()
  /** Runs `check` compiled and interpreted. */
  const onBoth = (check: () => void): void => {
    for (const on of [wasm, interp]) {
      useDevice(on)
      try {
        check()
      } finally {
        useDevice(wasm)
      }
    }
  }
  const dtypes = [torch.uint8, torch.bool, torch.int16, torch.bfloat16, torch.float32, torch.int64]

  it('picks rows of every length and dtype, by int32 and int64', () => {
    const order = [3, 0, 8, 8, 5]
    const indices = [torch.tensor(order), torch.tensor(order, { dtype: torch.int32 })]
    const fromEnd = indices.map((index) => index.sub(9))
    for (const dtype of dtypes) {
      for (const width of [1, 7, 15, 16, 17, 33, 79, 131]) {
        const x = torch.randint(0, 100, [9, width]).to(dtype)
        const pair = torch.stack([x, x])
        const rows = x.tolist<unknown[]>()
        const want = order.map((i) => rows[i])
        onBoth(() => {
          for (const index of indices) expect(x.indexSelect(0, index).tolist()).toEqual(want)
          for (const index of fromEnd) expect(x.at(index).tolist()).toEqual(want)
          expect(pair.indexSelect(1, indices[0]).tolist()).toEqual([want, want])
        })
      }
    }
  })

  it('picks from views, by broadcast, strided and several indices', () => {
    onBoth(() => {
      const x = counting(6, 5, 40)
      const value = (i: number, j: number): number[] => Array.from({ length: 40 }, (_, c) => (i * 5 + j) * 40 + c)
      const part = x.narrow(0, 1, 4).at(':', '1:')
      expect(part.at([2, -1]).tolist()).toEqual([3, 4].map((i) => [1, 2, 3, 4].map((j) => value(i, j))))
      expect(x.at(torch.tensor([[1], [4]]), torch.tensor([0, 2, -1])).tolist()).toEqual(
        [1, 4].map((i) => [0, 2, 4].map((j) => value(i, j))),
      )
      expect(x.at(torch.arange(6).at('::3')).at(':', 1).tolist()).toEqual([value(0, 1), value(3, 1)])
      expect(x.at(torch.tensor([2]).expand(3), 4).tolist()).toEqual([value(2, 4), value(2, 4), value(2, 4)])
      expect(x.transpose(0, 1).at([1]).tolist()).toEqual([[0, 1, 2, 3, 4, 5].map((i) => value(i, 1))])
      expect(x.at(torch.tensor([true, false, false, false, false, true]), 0).tolist()).toEqual([
        value(0, 0),
        value(5, 0),
      ])
    })
  })

  it('joins samples of every length into a batch', () => {
    onBoth(() => {
      for (let width = 0; width < 140; width++) {
        const samples = [0, 1, 2].map(() => torch.randint(0, 256, [width], { dtype: torch.uint8 }))
        const batch = torch.utils.data.defaultCollate(samples)
        expect(batch.tolist()).toEqual(samples.map((t) => t.tolist()))
      }
    })
  })
})
