// PyTorch's own samples: every case passes but for those in fixtures/parity/expected.json. After a change for the better
// `node scripts/parity.ts packages/tytorch/test/fixtures/parity --expected <that file> --update` rewrites the list.
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
