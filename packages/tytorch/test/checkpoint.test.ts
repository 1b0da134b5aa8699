// Checkpoints of Python's torch.save. fixtures/checkpoint.pt holds one value of each kind, written by PyTorch 2.13: tensors
// of all dtypes, w = arange(6.).reshape(2, 3) with w.t() and w[1] on the same storage, and the states of a Linear(2, 2)
// and of its Adam after one step. fixtures/wholemodule.pt is torch.save(nn.Linear(2, 2)).
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as torch from '../src/index.ts'

const at = (name: string): URL => new URL(`./fixtures/${name}`, import.meta.url)
type Saved = Record<string, torch.Tensor> & { model: Record<string, torch.Tensor>; opt: never; list: unknown }

function check(c: Saved): void {
  expect(c.w.tolist()).toEqual([[0, 1, 2], [3, 4, 5]]) // biome-ignore format: a matrix
  expect(c.wt.strides).toEqual([1, 3])
  c.w.add_(1)
  expect([c.row.tolist(), c.wt.tolist()]).toEqual([[4, 5, 6], [[1, 4], [2, 5], [3, 6]]]) // biome-ignore format: a matrix
  expect(c.p.requiresGrad).toBe(true)
  const values = ['i64', 'i32', 'i16', 'i8', 'u8', 'b', 'h', 'bf', 'd'].map((key) => String(c[key].dtype).slice(6))
  expect(values).toEqual(['int64', 'int32', 'int16', 'int8', 'uint8', 'bool', 'float16', 'bfloat16', 'float64'])
  expect([c.i64, c.i16, c.u8, c.b, c.h, c.bf, c.d].map((x) => x.tolist())).toEqual(
    [[2 ** 40, -1], [-3], [255], [true, false], [1.5], [2.5], 3.25], // biome-ignore format: a list
  )
  expect(c.empty.sizes).toEqual([0, 3])
  expect([c.n, c.t, c.f, c.int, c.neg, c.big, c.float, c.s]).toEqual([
    null,
    true,
    false,
    5,
    -70000,
    2 ** 40,
    0.1,
    'héllo',
  ])
  expect([c.list, c.tuple]).toEqual([[1, [2.5, 'x']], [1, 2, 3, 4]]) // biome-ignore format: a list
  expect(String(c.size)).toBe('torch.Size([2, 3])')
  expect(c.dtype).toBe(torch.float16)
  const model = new torch.nn.Linear(2, 2)
  expect(String(model.loadStateDict(c.model))).toBe('<All keys matched successfully>')
  const adam = new torch.optim.Adam(model.parameters())
  adam.loadStateDict(c.opt)
  expect(adam.paramGroups[0].lr).toBe(0.01)
  expect(adam.state.get(model.weight)?.step).toBe(1)
}

describe("PyTorch's checkpoints", () => {
  it('are read', () => check(torch.load<Saved>(at('checkpoint.pt'))))

  it('are written and read again', () => {
    const value = torch.load<Saved>(at('checkpoint.pt'))
    check(torch.deserialize<Saved>(torch.serialize(value, { format: 'pytorch' })))
  })

  it('name the class of what is no data, and say what is damaged', () => {
    expect(() => torch.load(at('wholemodule.pt'))).toThrow('torch.nn.modules.linear.Linear')
    const bytes = new Uint8Array(readFileSync(at('checkpoint.pt')))
    expect(() => torch.deserialize(bytes.subarray(0, 3000))).toThrow('central directory')
    bytes[200] ^= 1
    expect(() => torch.deserialize(bytes)).toThrow('checksum')
    expect(() => torch.serialize({ a: { f: () => 1 } }, { format: 'pytorch' })).toThrow("can't save a.f, a function")
  })

  it('are what a name that ends in .pt or .pth gets', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tytorch-'))
    const value = { w: torch.ones(2), z: torch.complex(torch.ones(1), torch.zeros(1)), none: undefined, n: 1.5 }
    const startOf = (name: string): string => {
      torch.save(value, join(folder, name))
      return String.fromCharCode(readFileSync(join(folder, name))[0])
    }
    expect(['a.pt', 'a.pth', 'a.safetensors', 'a'].map(startOf).map((c) => c === 'P')).toEqual([
      true,
      true,
      false,
      false,
    ])
    const loaded = torch.load<typeof value>(join(folder, 'a.pt'))
    expect([loaded.w.tolist(), loaded.none, loaded.n, String(loaded.z)]).toEqual([
      [1, 1],
      null,
      1.5,
      'tensor([1.+0.j])',
    ])
    rmSync(folder, { recursive: true })
  })
})
