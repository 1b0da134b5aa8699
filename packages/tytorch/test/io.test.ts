// Files: safetensors, torch.save and torch.load, and .npy; against files that Python wrote (fixtures/io/record.py).
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { dtypes } from '../src/base/dtype.ts'
import * as torch from '../src/index.ts'
import { deserialize, load, loadNpy, readNpy, save, saveNpy, serialize, writeNpy } from '../src/io/index.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/io/${name}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'tytorch-io-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Dict = Record<string, torch.Tensor>

/** A tensor's dtype, shape and bytes: equal if and only if all bits are. */
const bits = (t: torch.Tensor): unknown => {
  const raw = t.contiguous().raw()
  return [t.dtype.name, [...t.shape], [...new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)]]
}

/** A value with its tensors as bits. */
const seen = (x: unknown): unknown => {
  if (x instanceof torch.Tensor) return bits(x)
  if (Array.isArray(x)) return x.map(seen)
  if (x instanceof Map) return new Map([...x].map(([key, item]) => [seen(key), seen(item)]))
  if (typeof x !== 'object' || x === null) return x
  return Object.fromEntries(Object.entries(x).map(([key, item]) => [key, seen(item)]))
}

const special = [0, -0, 1.5, -2.25, Infinity, -Infinity, Number.NaN, 65504]
const limits = { int64: 63n, int32: 31n, int16: 15n, int8: 7n } as const

/** What record.py writes for a dtype. */
function expected(dtype: torch.DType): torch.Tensor {
  if (dtype.isFloatingPoint) return torch.tensor(special, { dtype: torch.float64 }).to(dtype).reshape(2, 4)
  if (dtype === torch.bool) return torch.tensor([[true, false, true], [false, false, true]]) // biome-ignore format: rows
  const max = dtype === torch.uint8 ? 255n : 2n ** limits[dtype.name as 'int64'] - 1n
  const min = dtype === torch.uint8 ? 0n : -max - 1n
  return torch.tensor([min, max, 0n, 7n, max - 1n, 1n], { dtype }).reshape(3, 2)
}

const { float32, float64, int64, tensor } = torch
const odd: Record<string, unknown> = {
  'negative zero and NaN': tensor([-0, Number.NaN, 1]),
  empty: torch.empty(0, 3),
  '0-d': tensor(2.5, { dtype: float64 }),
  transposed: torch.arange(6).reshape(2, 3).t(),
  'a slice': torch.arange(10, { dtype: float32 }).at('2:9:3'),
  expanded: torch.ones(1, 3).expand(4, 3),
  numbers: [0, -0, Number.NaN, Infinity, -Infinity, 1e-320, 0.1],
  bigints: [0n, -1n, 2n ** 70n],
  'strings and others': ['', 'ü\u0000"\\', '\ud800', true, false, null, undefined],
  'nested empties': { a: {}, b: [], c: new Map(), d: [[], {}] },
  'an empty object': {},
  'a Map of tensors': new Map([['b', tensor([1])], ['a', tensor([2])]]), // biome-ignore format: entries
  'a Map with other keys': new Map<unknown, unknown>([[1, 'one'], [tensor([1]), 2n], [null, tensor(3)]]), // biome-ignore format: entries
  'keys that clash': { 'a.b': tensor(1), a: { b: tensor(2), 'b~2': tensor(3) } },
  'keys that mean something': { $: 'tensor', __metadata__: tensor(1), key: { $: tensor(2) } },
  'a tensor twice': ((t) => [t, { t }])(tensor([1, 2])),
}

describe('serialize and deserialize', () => {
  it('give complex tensors back bit for bit', () => {
    const t = torch.complex(tensor([[1, -0.5]]), tensor([[Number.NaN, 2.25]]))
    for (const x of [t, t.t(), t.to(torch.complex128)]) {
      const back = deserialize<torch.Tensor>(serialize(x))
      expect(back.dtype).toBe(x.dtype)
      expect([...readNpy(writeNpy(x)).raw()]).toEqual([...x.contiguous().raw()])
      expect([...back.raw()]).toEqual([...x.contiguous().raw()])
    }
  })

  it.each(dtypes.filter((d) => !d.isComplex).map((d) => [d.name, d] as const))(
    'give %s back bit for bit',
    (_, dtype) => {
      const t = expected(dtype)
      expect(bits(deserialize<torch.Tensor>(serialize(t)))).toEqual(bits(t))
      expect(bits(deserialize<Dict>(serialize({ 'fc.weight': t }))['fc.weight'])).toEqual(bits(t))
      expect(bits(deserialize<Dict>(serialize({ x: t.t() })).x)).toEqual(bits(t.t()))
    },
  )

  it.each(Object.entries(odd))('give back %s', (_, value) => {
    const back = deserialize<unknown>(serialize(value))
    expect(seen(back)).toEqual(seen(value))
    expect(serialize(back)).toEqual(serialize(value))
  })

  it('keep the order of keys, and write a state dict as any safetensors writer does', () => {
    const state = { b: tensor([1, 2], { dtype: torch.int8 }), a: tensor([3.5]) }
    const bytes = serialize(state)
    expect(Object.keys(deserialize(bytes))).toEqual(['b', 'a'])
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    expect(length % 8).toBe(0)
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))).toEqual({
      __metadata__: { format: 'pt' },
      b: { dtype: 'I8', shape: [2], data_offsets: [4, 6] },
      a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
    })
    expect([...bytes.subarray(8 + length)]).toEqual([0, 0, 0x60, 0x40, 1, 2])
  })

  it('store no history: tensors come back as leaves that need no gradient', () => {
    const w = tensor([1, 2], { dtype: float32, requiresGrad: true })
    const { x, y } = deserialize(serialize({ x: w, y: w.mul(2) }))
    expect([x.requiresGrad, y.requiresGrad, y.isLeaf]).toEqual([false, false, true])
  })

  it('say what they can not save, and where', () => {
    const model = new torch.nn.Linear(2, 2)
    expect(() => serialize(model)).toThrow(/the value is an instance of Linear.*stateDict\(\)/)
    expect(() => serialize({ a: [1, new Date()] })).toThrow(/'a\.1' is an instance of Date/)
    expect(() => serialize({ f: () => 1 })).toThrow(/'f' is a function/)
    const cycle: unknown[] = []
    cycle.push({ cycle })
    expect(() => serialize(cycle)).toThrow(/'0\.cycle' holds itself/)
  })
})

describe('safetensors files', () => {
  it('of Python are read bit for bit', () => {
    const found = load(fixture('dtypes.safetensors'))
    expect(Object.keys(found)).toHaveLength(12)
    for (const dtype of dtypes.filter((d) => !d.isComplex)) {
      const { nan, rest } = apart(found[dtype.name])
      expect([dtype.name, nan, rest]).toEqual([dtype.name, apart(expected(dtype)).nan, apart(expected(dtype)).rest])
    }
    expect(bits(found.empty)).toEqual(['float32', [0, 3], []])
    expect(found.scalar.item()).toBe(3.25)
  })

  /** Values in place of bits, since the bits of NaN differ between programs; -0 shows as such. */
  const apart = (t: torch.Tensor): { nan: number[]; rest: unknown } => {
    const values = (t.flatten().tolist() as number[]).map((v) => (Object.is(v, -0) ? '-0' : v))
    return { nan: values.flatMap((v, i) => (Number.isNaN(v) ? [i] : [])), rest: values }
  }

  it('keep the bits of NaN that Python wrote', () => {
    const bytes = readFileSync(fixture('dtypes.safetensors'))
    const end = 8 + Number(bytes.readBigUint64LE(0))
    const { data_offsets: place } = JSON.parse(bytes.toString('utf8', 8, end)).float16
    const [, , own] = bits(load(fixture('dtypes.safetensors')).float16) as [string, number[], number[]]
    expect(own).toEqual([...bytes.subarray(end + place[0], end + place[1])])
  })

  it('carry a model of PyTorch over', () => {
    const { x, y, ...state } = load(fixture('net.safetensors'))
    const { nn } = torch
    const net = new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 2))
    expect(String(net.loadStateDict(state))).toBe('<All keys matched successfully>')
    expect(torch.allclose(net(x), y, { rtol: 1e-6, atol: 1e-7 })).toBe(true)
  })

  const file = (header: unknown, data: number[] = [], length?: number): Uint8Array => {
    const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
    const out = new Uint8Array(8 + text.length + data.length)
    new DataView(out.buffer).setBigUint64(0, BigInt(length ?? text.length), true)
    out.set(text, 8)
    out.set(data, 8 + text.length)
    return out
  }
  const entry = (dtype: unknown, shape: unknown, ...data_offsets: unknown[]): object => ({ dtype, shape, data_offsets })
  const damaged: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(0), /f: 0 bytes are too few/],
    ['a header that is cut off', file({ a: 1 }, [], 100), /f: the header of 100 bytes is truncated/],
    ['a header of an absurd length', file({}, [], 2 ** 60), /no safetensors file/],
    ['text that is no JSON', file('{"a":'), /f: .*header is damaged/],
    ['text that is no UTF-8', file({}, []).with(8, 0xff), /header is damaged/],
    ['a header that is a list', file([]), /must be a JSON object/],
    ['metadata that are no strings', file({ __metadata__: { a: 1 } }), /must hold strings/],
    ['an entry that is none', file({ w: 3 }), /tensor 'w' has no description/],
    ['a dtype that is none of ours', file({ w: entry('U32', [1], 0, 4) }, [0, 0, 0, 0]), /'w' has the dtype "U32"/],
    ['a dtype that is a property of objects', file({ w: entry('constructor', [], 0, 0) }), /'w' has the dtype/],
    ['a negative size', file({ w: entry('U8', [-1], 0, 0) }), /'w' has the shape \[-1\]/],
    ['a huge size', file({ w: entry('U8', [2 ** 40, 2 ** 40], 0, 1) }, [0]), /'w' has 1 bytes, but/],
    ['offsets that are none', file({ w: entry('U8', [1], 0) }, [0]), /'w' has the data_offsets \[0\]/],
    ['a length that does not fit', file({ w: entry('F32', [2], 0, 4) }, [0, 0, 0, 0]), /4 bytes, but F32 .*takes 8/],
    ['an end before the begin', file({ w: entry('U8', [1], 1, 0) }, [0]), /-1 bytes/],
    [
      'an overlap',
      file({ a: entry('U8', [2], 0, 2), b: entry('U8', [2], 1, 3) }, [1, 2, 3]),
      /'b' overlaps tensor 'a'/,
    ],
    ['a hole', file({ a: entry('U8', [1], 1, 2) }, [1, 2]), /'a' leaves a hole/],
    ['data cut off', file({ a: entry('U8', [3], 0, 3) }, [1, 2]), /'a' ends at byte 3 of the data, which has 2/],
    ['data too many', file({ a: entry('U8', [1], 0, 1) }, [1, 2]), /1 bytes after the last tensor/],
    ['a structure that is no JSON', file({ __metadata__: { tytorch: '{' } }), /f: the structure .* is damaged/],
    [
      'a structure with a missing tensor',
      file({ __metadata__: { tytorch: '{"$":"tensor","key":"w"}' } }),
      /'w' is missing/,
    ],
    ['a structure of another kind', file({ __metadata__: { tytorch: '{"$":"new"}' } }), /unknown kind "new"/],
    ['a NumPy array', writeNpy(tensor([1])), /f is a NumPy array; read it with torch\.loadNpy/],
  ]
  it.each(damaged)('with %s are refused', (_, bytes, message) => {
    expect(() => deserialize(bytes, 'f')).toThrow(message)
  })

  it('are refused at every length short of the whole', () => {
    const whole = serialize({ a: tensor([1, 2]), b: [tensor(3), 'x'] })
    for (let n = 0; n < whole.length; n++) expect(() => deserialize(whole.slice(0, n))).toThrow(torch.RuntimeError)
  })

  it('take bool bytes other than 1 as true', () => {
    const { m } = deserialize(file({ m: entry('BOOL', [3], 0, 3) }, [0, 2, 255]))
    expect([m.tolist(), m.sum().item()]).toEqual([[false, true, true], 2])
  })
})

describe('save and load', () => {
  it('bring a training run back exactly', () => {
    const start = () => {
      const model = new torch.nn.Sequential(new torch.nn.Linear(4, 8), new torch.nn.ReLU(), new torch.nn.Linear(8, 2))
      return { model, optimizer: new torch.optim.Adam(model.parameters(), { lr: 0.01, weightDecay: 1e-3 }) }
    }
    const x = torch.randn(16, 4)
    const step = ({ model, optimizer }: ReturnType<typeof start>): number => {
      optimizer.zeroGrad()
      const loss = model(x).square().mean()
      loss.backward()
      optimizer.step()
      return loss.item()
    }
    const one = start()
    for (let i = 0; i < 3; i++) step(one)
    const path = join(folder, 'checkpoint.pt')
    save({ model: one.model.stateDict(), optimizer: one.optimizer.stateDict(), epoch: 3, best: -0, tags: ['a'] }, path)

    type Checkpoint = {
      model: Dict
      optimizer: ReturnType<typeof one.optimizer.stateDict>
      epoch: number
      best: number
    }
    const saved = load<Checkpoint>(path)
    const other = start()
    expect(String(other.model.loadStateDict(saved.model))).toBe('<All keys matched successfully>')
    other.optimizer.loadStateDict(saved.optimizer)
    expect([saved.epoch, Object.is(saved.best, -0)]).toEqual([3, true])
    expect(bits(other.model(x))).toEqual(bits(one.model(x)))
    for (let i = 0; i < 3; i++) expect(step(other)).toBe(step(one))
  })

  it('take paths and URLs, replace what is there, and leave no other file', () => {
    const own = join(folder, 'replace')
    mkdirSync(own)
    const path = join(own, 'größe 1.pt')
    save(tensor([1, 2, 3]), path)
    save(tensor([4]), pathToFileURL(path))
    expect(load<torch.Tensor>(pathToFileURL(path), { mapLocation: 'cpu', weightsOnly: true }).tolist()).toEqual([4])
    symlinkSync(path, join(own, 'link'))
    save(tensor([5]), join(own, 'link'))
    expect(load<torch.Tensor>(path).tolist()).toEqual([5])
    expect(readdirSync(own).sort()).toEqual(['größe 1.pt', 'link'])
  })

  it('leave the file that was there if the value or the place is wrong', () => {
    const own = join(folder, 'whole')
    mkdirSync(own)
    save({ a: tensor([1]) }, join(own, 'x'))
    expect(() => save({ a: Symbol('s') }, join(own, 'x'))).toThrow(TypeError)
    expect(() => save(tensor(1), join(own, 'none', 'x'))).toThrow(/torch\.save can't write .*none.x: ENOENT/)
    expect(() => save(tensor(1), own)).toThrow(/can't write/)
    expect(readdirSync(own)).toEqual(['x'])
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(load(join(own, 'x')).a.tolist()).toEqual([1])
  })

  it('say which file is missing, damaged, a pickle, or not for this machine', () => {
    expect(() => load(join(folder, 'nothing.pt'))).toThrow(/torch\.load can't read .*nothing\.pt: ENOENT/)
    writeFileSync(join(folder, 'cut.pt'), serialize({ w: tensor([1, 2]) }).slice(0, -1))
    expect(() => load(join(folder, 'cut.pt'))).toThrow(/cut\.pt: tensor 'w' ends at byte 16 .* truncated/)
    writeFileSync(join(folder, 'bare.pt'), Uint8Array.of(0x80, 2, 0x4e, 0x2e))
    expect(() => load(join(folder, 'bare.pt'))).toThrow(/bare\.pt was written by torch\.save of a PyTorch before 1\.6/)
    expect(() => load(fixture('net.safetensors'), { mapLocation: 'cuda' })).toThrow(/no device 'cuda'/)
  })

  it('point to serialize and deserialize where there is no file system', () => {
    const process = globalThis.process
    try {
      Object.defineProperty(globalThis, 'process', { value: undefined, configurable: true, writable: true })
      expect(() => load('x')).toThrow(/torch\.load needs a file system.*torch\.deserialize\(.*fetch/)
      expect(() => save(tensor(1), 'x')).toThrow(/torch\.save needs a file system.*torch\.serialize/)
      expect(() => loadNpy('x')).toThrow(/torch\.readNpy/)
    } finally {
      Object.defineProperty(globalThis, 'process', { value: process, configurable: true, writable: true })
    }
  })
})

describe('.npy', () => {
  const codes = { f8: 'float64', f4: 'float32', f2: 'float16', i8: 'int64', i4: 'int32', i2: 'int16', i1: 'int8', u1: 'uint8' } // biome-ignore format: a table
  const same = [...Object.keys(codes), 'b1', 'scalar', 'empty', 'cube']

  it.each(same)('%s of NumPy is read, and written again as the same bytes', (name) => {
    const bytes = readFileSync(fixture(`${name}.npy`))
    expect(Buffer.from(writeNpy(readNpy(bytes)))).toEqual(bytes)
  })

  it.each(Object.entries(codes))('%s holds the values that were written', (code, name) => {
    const found = loadNpy(fixture(`${code}.npy`))
    expect(found.dtype.name).toBe(name)
    expect(found.tolist()).toEqual(expected(found.dtype).tolist())
  })

  it('reads 0-d, empty, Fortran-ordered, big-endian arrays and versions 2 and 3', () => {
    const cube = torch.arange(24, { dtype: float32 }).reshape(2, 3, 4)
    expect(loadNpy(fixture('scalar.npy')).item()).toBe(2.5)
    expect([...loadNpy(fixture('empty.npy')).shape]).toEqual([2, 0, 3])
    expect(bits(loadNpy(fixture('fortran.npy')))).toEqual(bits(cube))
    expect(bits(loadNpy(fixture('bigfortran.npy')))).toEqual(bits(cube.to(torch.int16)))
    expect(bits(loadNpy(fixture('big.npy')))).toEqual(bits(loadNpy(fixture('f8.npy'))))
    for (const version of [2, 3]) {
      expect(bits(loadNpy(fixture(`version${version}.npy`)))).toEqual(bits(loadNpy(fixture('i4.npy'))))
    }
  })

  it('writes vectors, transposed tensors and bool, and long shapes', () => {
    for (const t of [tensor([1, 2]), torch.arange(6).reshape(2, 3).t(), tensor([true, false]), torch.empty(0)]) {
      saveNpy(join(folder, 'x.npy'), t)
      expect(bits(loadNpy(join(folder, 'x.npy')))).toEqual(bits(t))
    }
    expect(readNpy(writeNpy(tensor([2n ** 62n + 1n], { dtype: int64 }))).tolist()).toEqual([2n ** 62n + 1n])
  })

  it('refuses what is no tensor, and damaged files', () => {
    const reading = (name: string) => () => loadNpy(fixture(`${name}.npy`))
    expect(reading('objects')).toThrow(/objects\.npy: an array of Python objects/)
    expect(reading('records')).toThrow(/array of records/)
    expect(reading('text')).toThrow(/dtype '<U1' can't be a tensor; tensors hold no text/)
    expect(reading('u4')).toThrow(/dtype '<u4'.*astype/)
    expect(reading('complex')().dtype).toBe(torch.complex128)
    expect(() => writeNpy(tensor([1], { dtype: torch.bfloat16 }))).toThrow(/NumPy has no bfloat16/)
    const whole = new Uint8Array(readFileSync(fixture('i4.npy')))
    for (let n = 0; n < whole.length; n++) expect(() => readNpy(whole.slice(0, n))).toThrow(torch.RuntimeError)
    expect(() => readNpy(whole.slice(0, -1), 'f')).toThrow(
      /f: int32 of shape \[3, 2\] takes 24 bytes, but there are 23/,
    )
    expect(() => readNpy(new Uint8Array([...whole, 0]))).toThrow(/1 bytes follow the array/)
    expect(() => readNpy(whole.with(6, 9))).toThrow(/version 9\.0 is unknown/)
    expect(() => readNpy(whole.with(11, 32))).toThrow(/header is damaged/)
    expect(() => readNpy(serialize(tensor(1)))).toThrow(/no \.npy file/)
  })
})

it('the example that loads one file a sample runs, learns and ends', { timeout: 60_000 }, () => {
  const example = fileURLToPath(new URL('../../../examples/files.ts', import.meta.url))
  const lines = execFileSync(process.execPath, [example], { encoding: 'utf8' }).trim().split('\n')
  expect(lines).toHaveLength(6)
  const losses = lines.slice(0, 5).map((line) => Number(/loss ([\d.]+)/.exec(line)?.[1]))
  expect(losses[4]).toBeLessThan(losses[0] / 2)
  expect(Number(/accuracy ([\d.]+)/.exec(lines[4])?.[1])).toBeGreaterThan(0.8)
  expect(lines[5]).toBe('epoch 5: <All keys matched successfully>')
})
