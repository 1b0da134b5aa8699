// .npz archives: written and read, and one that numpy.savez_compressed(a=arange(3, dtype=float32)) wrote.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import * as torch from '../src/index.ts'

const compressed =
  'UEsDBC0AAAAIAAAAIQC2jIZT//////////8FABQAYS5ucHkBABAAjAAAAAAAAABLAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GsY6mjoKtQoUAC4GMGiwBxIOAFBLAQItAy0AAAAIAAAAIQC2jIZTSwAAAIwAAAAFAAAAAAAAAAAAAACAAQAAAABhLm5weVBLBQYAAAAAAQABADMAAACCAAAAAAA='

it('npz archives are written and read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'npz-'))
  const path = join(folder, 'x.npz')
  torch.saveNpz(path, { a: torch.arange(6).view(2, 3).t(), b: torch.tensor(1.5) })
  const { a, b } = torch.loadNpz(path)
  writeFileSync(path, Buffer.from(compressed, 'base64'))
  const numpys = torch.loadNpz(path)
  rmSync(folder, { recursive: true })
  expect(a.tolist()).toEqual([[0, 3], [1, 4], [2, 5]]) // biome-ignore format: a matrix
  expect(b.item()).toBe(1.5)
  expect(numpys.a.tolist()).toEqual([0, 1, 2])
})
