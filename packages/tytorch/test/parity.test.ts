// PyTorch's own samples: every case passes but for those in fixtures/parity/expected.json. After a change for the better
// `node scripts/parity.ts packages/tytorch/test/fixtures/parity --expected <that file> --update` rewrites the list.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as torch from 'tytorch'
import { expect, it } from 'vitest'
import { compareWithList, readList } from '../../../scripts/parity/expected.ts'
import { KINDS } from '../../../scripts/parity/report.ts'
import { runParity } from '../../../scripts/parity/run.ts'

const directory = fileURLToPath(new URL('fixtures/parity/', import.meta.url))
const list = readList(join(directory, 'expected.json'))

it.each(KINDS)('%s: what is not on the list passes, and what is on it does not', { timeout: 120_000 }, async (kind) => {
  const outcomes = await runParity(torch, directory, { only: [kind] })
  expect(compareWithList(list, outcomes, true)).toEqual([])
})

it('replays of compiled calls agree: the first case of each op, optimizers and training runs', {
  timeout: 120_000,
}, async () => {
  // One after the other: both draw from the same generator.
  const first = await runParity(torch, directory, { only: ['ops'], filter: /\[0\]$/, compiled: true })
  const others = await runParity(torch, directory, { only: ['optimizers', 'training'], compiled: true })
  const outcomes = new Map([...first, ...others])
  expect(compareWithList(list, outcomes, false)).toEqual([])
  const ops = outcomes.get('ops') ?? []
  // So few depend on values in a way that no replay can follow.
  expect(ops.filter((o) => o.eager).length).toBeLessThan(ops.length / 10)
})

/** The message about x * x at [1, 2, 3] with such data, or undefined if it agrees. */
async function planted(
  values: { output?: number[]; gradient?: number[] },
  compiled: boolean,
): Promise<string | undefined> {
  const tensors = {
    x: [1, 2, 3],
    y: values.output ?? [1, 4, 9],
    ones: [1, 1, 1],
    g: values.gradient ?? [2, 4, 6],
  }
  const header = Object.keys(tensors).map((key, i) => [
    key,
    { dtype: 'F32', shape: [3], data_offsets: [12 * i, 12 * i + 12] },
  ])
  const text = JSON.stringify(Object.fromEntries(header))
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer)
  const data = new Uint8Array(new Float32Array(Object.values(tensors).flat()).buffer)
  const of = (key: string): object => ({ $tensor: key })
  const square = {
    input: { $tensor: 'x', grad: true },
    args: [],
    kwargs: {},
    output: of('y'),
    grad_outputs: [{ output: 0, value: of('ones') }],
    grads: [of('g')],
  }
  const ops = [{ op: 'square', variant: '', cases: [square] }]
  const folder = mkdtempSync(join(tmpdir(), 'parity-'))
  try {
    writeFileSync(join(folder, 'ops.float32.json'), JSON.stringify({ dtype: 'float32', ops }))
    writeFileSync(join(folder, 'ops.float32.safetensors'), Buffer.concat([length, Buffer.from(text), data]))
    const outcomes = await runParity(torch, folder, { compiled })
    const [outcome, ...more] = outcomes.get('ops') ?? []
    expect(more).toEqual([])
    expect(outcome.eager).toBeUndefined()
    expect(outcome.status).toBe(outcome.message === undefined ? 'passed' : 'failed')
    return outcome.message
  } finally {
    rmSync(folder, { recursive: true })
  }
}

it.each([false, true])('a wrong value or gradient planted in the data is found (compiled: %s)', async (compiled) => {
  expect(await planted({}, compiled)).toBeUndefined()
  expect(await planted({ output: [1, 4, 9.001] }, compiled)).toMatch(/^element \[2\]: got 9, expected 9\.00/)
  expect(await planted({ gradient: [2, -4, 6] }, compiled)).toMatch(/^gradient 0: element \[1\]: got 4, expected -4/)
})
