// torch.utils.data with workers: PyTorch's lists and draws, order, errors, and that nothing is left behind.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { memory } from '../src/backend/memory.ts'
import { openPools } from '../src/data/epoch.ts'
import * as torch from '../src/index.ts'
import { collector } from '../src/tensor/collector.ts'
import { sweep } from '../src/tensor/storage.ts'
import * as failing from './fixtures/data/failing.ts'
import { Partition } from './fixtures/data/partition.ts'
import { Naive, Rows, Sharded, shareOut, Who } from './fixtures/data/sets.ts'

const { DataLoader, randomSplit, TensorDataset } = torch.utils.data
const { Failing, Slow } = failing

interface Case {
  call: string
  value: never
  next: number
}
const { cases } = JSON.parse(readFileSync(new URL('./fixtures/data.json', import.meta.url), 'utf8')) as {
  cases: Case[]
}

/** The threads of this process. */
const threads = (): number => readdirSync('/proc/self/task').length
vi.spyOn(console, 'warn').mockImplementation(() => {})
// Threads start slowly on a busy machine.
vi.setConfig({ testTimeout: 30_000 })

const plain = (x: unknown): unknown => {
  if (x instanceof torch.Tensor) return x.tolist()
  if (Array.isArray(x)) return x.map(plain)
  return x
}
const all = async <B>(loader: AsyncIterable<B>): Promise<unknown[]> => {
  const out: unknown[] = []
  for await (const batch of loader) out.push(plain(batch))
  return out
}
const fails = async (loader: AsyncIterable<unknown>): Promise<Error> => {
  try {
    await all(loader)
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}

describe('streams', () => {
  it('gives P7 lists, sharded and naive', async () => {
    expect(await all(new DataLoader(new Sharded(3, 7)))).toEqual([[3], [4], [5], [6]])
    expect(await all(new DataLoader(new Sharded(3, 7), { numWorkers: 2 }))).toEqual([[3], [5], [4], [6]])
    const naive = new DataLoader(new Naive(3, 7), { numWorkers: 2, batchSize: null })
    expect(await all(naive)).toEqual([3, 3, 4, 4, 5, 5, 6, 6])
    const shared = new DataLoader(new Naive(3, 7), { numWorkers: 2, batchSize: null, workerInitFn: shareOut })
    expect(await all(shared)).toEqual([3, 5, 4, 6])
    expect(await all(new DataLoader(new failing.Ticks(), { numWorkers: 2, batchSize: 2 }))).toEqual([
      [0, 2],
      [1, 3],
      [4, 6],
      [5],
    ])
  })
})

describe('order', () => {
  it('gives the same batches in the same order for any number of workers', async () => {
    const data = new TensorDataset(torch.arange(46).view(23, 2).float(), torch.arange(23))
    const [part] = randomSplit(data, [17, 6], { generator: new torch.Generator(1) })
    const orders = [0, 1, 3].map(async (numWorkers) => {
      const generator = new torch.Generator(7)
      return all(new DataLoader(part, { batchSize: 4, shuffle: true, generator, numWorkers }))
    })
    const [none, one, three] = await Promise.all(orders)
    expect(none).toHaveLength(5)
    expect(one).toEqual(none)
    expect(three).toEqual(none)
  })

  it('draws as PyTorch does, also with persistent workers, which keep their threads', async () => {
    const [withWorkers] = cases.filter((c) => c.call === 'iter, rand, read: 2 workers')
    torch.manualSeed(0)
    const range = Array.from({ length: 10 }, (_, i) => i)
    const iterator = new DataLoader(range, 4, true, { numWorkers: 2 })[Symbol.asyncIterator]()
    const draw = torch.rand(1).item()
    const batches: unknown[] = []
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) batches.push(next.value.tolist())
    expect([draw, batches]).toEqual(withWorkers.value)
    expect(torch.randint(0, 2 ** 31, [1]).item()).toBe(withWorkers.next)

    const [persistent] = cases.filter((c) => c.call === 'persistent, 3 epochs')
    torch.manualSeed(0)
    await using loader = new DataLoader(range, 4, true, { numWorkers: 2, persistentWorkers: true })
    expect([await all(loader), await all(loader), await all(loader)]).toEqual(persistent.value)
    expect(torch.randint(0, 2 ** 31, [1]).item()).toBe(persistent.next)
  })

  it('seeds worker i with the base seed plus i', async () => {
    const [seeds] = cases.filter((c) => c.call === 'worker seeds')
    torch.manualSeed(3)
    const told = await all(new DataLoader(new Who(), { batchSize: null, numWorkers: 2 }))
    const exact = JSON.parse(JSON.stringify(told, (_, x) => (typeof x === 'bigint' ? Number(x) : x)))
    expect([exact, torch.randint(0, 2 ** 31, [1]).item()]).toEqual(seeds.value)
  })

  it('keeps persistent workers through breaks, and their threads', async () => {
    await using loader = new DataLoader(new failing.Threads(), { batchSize: 2, numWorkers: 2, persistentWorkers: true })
    const [[a, b], [c], [d]] = (await all(loader)) as number[][]
    expect(a).toBe(b)
    expect([c, d]).toEqual([expect.any(Number), a])
    for await (const batch of loader) {
      expect(batch.tolist()).toEqual([a, a])
      break
    }
    expect(await all(loader)).toEqual([
      [a, a],
      [c, c],
      [a, a],
    ])
  })

  it('gives batches as they come where order does not matter', async () => {
    const loader = new DataLoader(new Slow(6, 2), { batchSize: 2, numWorkers: 2, inOrder: false })
    expect(((await all(loader)) as number[][]).flat().sort()).toEqual([0, 1, 2, 3, 4, 5])
  })
})

describe('what travels', () => {
  it('sends samples of all kinds, in blocks of this memory', async () => {
    const loader = new DataLoader(new Rows(40), { batchSize: 4, numWorkers: 1 })
    const used: number[] = []
    let count = 0
    for await (const [x, index, names] of loader) {
      expect(x.tolist()).toEqual(index.tolist<number[]>().map((i) => [i + 0.5, i + 0.5, i + 0.5]))
      expect(names).toEqual(index.tolist<number[]>().map((i) => `row ${i}`))
      expect([x.dtype, index.dtype]).toEqual([torch.float32, torch.int64])
      count += x.length
      used.push(memory.used)
    }
    expect(count).toBe(40)
  })

  it('finds exported functions and classes again, and batches of classes', async () => {
    const transformed = new DataLoader(new failing.Transformed(failing.timesTen), { batchSize: 3, numWorkers: 1 })
    const remade = new DataLoader(new failing.Remade(5), { batchSize: 2, numWorkers: 1 })
    const url = new URL('./fixtures/data/failing.ts', import.meta.url)
    const homeless = new DataLoader(new failing.Homeless(), { batchSize: 3, numWorkers: 1, workerModule: url })
    const data = new TensorDataset(torch.arange(50).float().view(10, 5), torch.arange(50).view(10, 5))
    const batches = new DataLoader(data, {
      batchSize: 4,
      collateFn: failing.collateBatch,
      numWorkers: 1,
      workerModule: url,
    })
    const sizes: number[] = []
    const read = async (): Promise<void> => {
      for await (const batch of batches) {
        expect(batch).toBeInstanceOf(failing.Batch)
        sizes.push(batch.size())
      }
    }
    expect(await Promise.all([all(transformed), all(remade), all(homeless), read()])).toEqual([
      [[0, 10, 20]],
      [[5, 6]],
      [[0, 1, 2]],
      undefined,
    ])
    expect(sizes).toEqual([4, 4, 2])
  })

  it('names what cannot be sent, and the way out', async () => {
    const send = (dataset: torch.utils.data.Dataset<unknown>): (() => unknown) => {
      return () => new DataLoader(dataset, { numWorkers: 1 })[Symbol.asyncIterator]()
    }
    expect(
      send(
        new failing.Transformed(
          (
            () => (x: number) =>
              x
          )(),
        ),
      ),
    ).toThrow(/can't send dataset\.options\.transform .* function without a name.*export it/s)
    expect(send(new failing.Private())).toThrow(/dataset to another thread.*#private.*getState\(\)/s)
    expect(send(new failing.Homeless())).toThrow(/instance of Homeless.*static url = import\.meta\.url/s)
    const open = await failing.OpenFile.open(fileURLToPath(import.meta.url))
    expect(send(open)).toThrow(/dataset\.file .* instance of FileHandle.*workerInitFn/s)
    await open.file.close()
    const closure = await fails(
      new DataLoader(
        new failing.Transformed(function local(x) {
          return x
        }),
        { numWorkers: 1 },
      ),
    )
    expect(closure.message).toMatch(/can't find '.*', which dataset\.options\.transform needs/)
    const hidden = await fails(new DataLoader(failing.makeHidden(), { numWorkers: 1 }))
    expect(hidden.message).toMatch(/can't find 'Hidden', which dataset needs: it is no export of file:/)
  })

  it("runs P8's generator with six workers", async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tytorch-'))
    const partition = { train: ['id-1', 'id-2', 'id-3'], validation: ['id-4'] }
    const labels = { 'id-1': 0, 'id-2': 1, 'id-3': 2, 'id-4': 1 }
    Object.keys(labels).forEach((id, i) => {
      writeFileSync(join(folder, `${id}.bin`), new Float32Array([i, i + 0.25]))
    })
    const params = { batchSize: 1, shuffle: true }
    const training = new DataLoader(new Partition(folder, partition.train, labels), { ...params, numWorkers: 6 })
    const validation = new DataLoader(new Partition(folder, partition.validation, labels), params)
    const [train, valid] = await Promise.all([all(training), all(validation)])
    expect((train as [number[][], number[]][]).sort((a, b) => a[1][0] - b[1][0])).toEqual([
      [[[0, 0.25]], [0]],
      [[[1, 1.25]], [1]],
      [[[2, 2.25]], [2]],
    ])
    expect(valid).toEqual([[[[3, 3.25]], [1]]])
    rmSync(folder, { recursive: true })
  })
})

describe('failures', () => {
  const reads = (manner: failing.Manner, options: object = {}): Promise<Error> =>
    fails(new DataLoader(new Failing(manner), { batchSize: 2, numWorkers: 1, ...options }))

  it('rethrows errors with the worker, the class and the stack', async () => {
    const [thrown, rejected, text, coded, init, uneven, liar] = await Promise.all([
      reads('throw'),
      reads('reject'),
      reads('text'),
      reads('code'),
      fails(new DataLoader(new Failing('throw'), { numWorkers: 2, workerInitFn: failing.failInit })),
      fails(new DataLoader(new failing.Uneven(), { batchSize: 2, numWorkers: 1 })),
      fails(new DataLoader(new failing.Liar(), { batchSize: 2, numWorkers: 1 })),
    ])
    expect(thrown).toBeInstanceOf(torch.ValueError)
    expect(thrown.message).toMatch(
      /^Caught ValueError in DataLoader worker process 0\.\nOriginal ValueError: a bad row\n.*failing\.ts:\d+/s,
    )
    expect((thrown.cause as Error).message).toBe('a bad row')
    expect(rejected.message).toMatch(
      /^Caught TypeError in DataLoader worker process 0\.\nOriginal TypeError: a bad promise/,
    )
    expect(text.message).toMatch(/Caught string in DataLoader worker process 0\.\nOriginal only text/)
    expect(coded).toMatchObject({ code: 'ENOENT', syscall: 'open' })
    expect(init.message).toMatch(
      /^Caught RuntimeError in DataLoader worker process 1\.\nOriginal RuntimeError: worker 1 can't start/,
    )
    expect(uneven.message).toMatch(
      /stack expects each tensor to be equal size, but got \[3\] at entry 0 and \[4\] at entry 1/,
    )
    expect(liar.message).toMatch(/is the length of the dataset right/)
  })

  it('tells of workers that end, run out of memory or never answer', async () => {
    const [exited, spun, never, uncaught, tensors] = await Promise.all([
      reads('exit'),
      reads('spin', { timeout: 1.5 }),
      reads('never'),
      reads('uncaught'),
      reads('tensors'),
    ])
    expect(exited.message).toMatch(/^DataLoader worker \(pid\(s\) \d+\) exited unexpectedly/)
    expect(spun.message).toBe('DataLoader timed out after 1.5 seconds')
    expect(never.message).toMatch(/promise that is never settled/)
    expect(uncaught.message).toMatch(/exited unexpectedly: Error: nobody catches this/)
    expect(tensors.message).toMatch(/Caught RuntimeError.*not enough memory/s)
  })
})

describe('the end', () => {
  const script = fileURLToPath(new URL('./fixtures/data/ends.ts', import.meta.url))
  const run = async (manner: string, ...flags: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, manner], { timeout: 15_000 })
    return stdout.trim()
  }

  it('lets the process end by itself', async () => {
    const outputs = await Promise.all([run('break'), run('throw'), run('abandon'), run('persist')])
    expect(outputs).toEqual(['[ 0, 1 ]', 'Error: in the loop', '[ 0, 1 ]', '[ 0, 1 ]\n[ 2, 3 ]\n[ 0, 1 ]\n[ 2, 3 ]'])
  })

  it('survives a worker that runs out of memory or never answers', async () => {
    const [heap, spin] = await Promise.all([run('heap', '--max-old-space-size=120'), run('spin')])
    expect(heap).toMatch(/^RuntimeError: DataLoader worker \(pid\(s\) \d+\) exited unexpectedly: .*memory/)
    expect(spin).toBe('RuntimeError: DataLoader timed out after 1 seconds')
  })

  it('leaves no thread, handle or memory of 1000 loaders, opened, broken off, failed or abandoned', async () => {
    const rows = new TensorDataset(torch.arange(4000).view(1000, 4))
    const count = (): number[] => [threads(), readdirSync('/proc/self/fd').length]
    const none = { batchSize: 100, shuffle: true }
    const some = { batchSize: 2, numWorkers: 1 }
    // The first worker opens what stays open for the next ones.
    await all(new DataLoader(new Rows(2), some))
    const before = count()
    const used = memory.used
    for (let i = 0; i < 1000; i++) {
      const work = i % 100 === 0
      const manner = (i / (work ? 100 : 1)) % 5
      const loader: AsyncIterable<unknown> = work
        ? new DataLoader(manner === 2 ? new Failing('throw') : new Rows(8), some)
        : new DataLoader(manner === 2 ? { length: 9, getItem: () => undefined } : rows, none)
      if (manner === 0) await all(loader)
      else if (manner === 1) for await (const _ of loader) break
      else if (manner === 2) await fails(loader)
      else if (manner === 3) await loader[Symbol.asyncIterator]().next()
      else loader[Symbol.asyncIterator]()
    }
    sweep(true)
    for (let i = 0; i < 100 && openPools() > 0; i++) {
      collector.collect(false)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    for (let i = 0; i < 50 && count()[0] > before[0]; i++) await new Promise((resolve) => setTimeout(resolve, 20))
    sweep(true)
    const [threadsAfter, handlesAfter] = count()
    expect(openPools()).toBe(0)
    expect(threadsAfter).toBeLessThanOrEqual(before[0])
    expect(handlesAfter).toBeLessThanOrEqual(before[1])
    // Slabs that small storages share stay open: at most one of each size, half a megabyte together.
    expect(memory.used - used).toBeLessThan(600_000)
  })
})
