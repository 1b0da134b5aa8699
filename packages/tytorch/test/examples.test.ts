// The programs of "learning PyTorch with examples", run as a reader would run them.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

function run(name: string): { losses: number[]; result: number[] } {
  const file = fileURLToPath(new URL(`../../../examples/polynomial/${name}.ts`, import.meta.url))
  const lines = execFileSync(process.execPath, [file], { encoding: 'utf8' }).trim().split('\n')
  const losses = lines.filter((l) => /^\d+ /.test(l)).map((l) => Number(l.split(' ')[1]))
  const result = (lines.at(-1) ?? '').match(/-?\d+(\.\d+)?(e-?\d+)?/g) ?? []
  return { losses, result: result.map(Number) }
}

test('program 4, the custom function, prints the losses that PyTorch prints', { timeout: 60_000 }, () => {
  const { losses, result } = run('legendre')
  const expected: [number, number][] = [
    [0, 209.9584], [1, 144.6604], [2, 100.7026], [3, 71.0353], [4, 50.9786], [5, 37.4031], [9, 14.8778], [14, 9.6921], [19, 8.9436],
  ] // biome-ignore format: a table
  expect(losses.length).toBe(20)
  for (const [i, loss] of expected) expect(Math.abs(losses[i] - loss) / loss).toBeLessThan(1e-5)
  // "Result: y = a + b * P3(c + d x)": the 3 of P3 is matched too.
  expect(Math.abs(result[0])).toBeLessThan(1e-7)
  expect(result[1]).toBeCloseTo(-2.2085264, 5)
  expect(result[4]).toBeCloseTo(0.2554861, 5)
})

// From a random start the fits approach the least-squares optimum, 8.81717, at different speeds; none may stay far off.
test.each([
  ['autograd', 60],
  ['nn', 60],
  ['module', 60],
  ['optim', 9.5],
])('the program %s approaches the optimum', { timeout: 60_000 }, (name, bound) => {
  const { losses } = run(name)
  expect(losses.length).toBe(20)
  expect(losses.at(-1)).toBeGreaterThan(8.8)
  expect(losses.at(-1)).toBeLessThan(bound)
  expect(losses.at(-1)).toBeLessThan(losses[0])
})
