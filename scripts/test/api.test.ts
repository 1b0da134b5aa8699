// The page of ops is what the records say.
import * as torch from 'tytorch'
import { expect, it } from 'vitest'
import { registry } from '../../packages/tytorch/src/tensor/define.ts'
import { apiPage, committedPage } from '../api.ts'

it('docs/api.md is current; npm run docs writes it', () => {
  expect(committedPage()).toBe(apiPage())
})

it('has a row, with a sentence, for every op that is public', () => {
  const page = apiPage()
  const known = (name: string): boolean => [torch, torch.nn.functional, torch.Tensor.prototype].some((o) => name in o)
  const missing = [...registry.keys()].filter((n) => known(n) && !new RegExp(`(torch|F|x)\\.${n}\\b`).test(page))
  expect(missing).toEqual([])
})
