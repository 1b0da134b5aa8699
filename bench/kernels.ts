// Where W1's step goes: the median time of every kernel and product that it launches.
import { device, useDevice } from '../packages/tytorch/src/tensor/run.ts'
import { lessonRun } from './training.ts'

const STEPS = 3000
const times = new Map<string, number[]>()

function timed(name: string, run: () => void): void {
  const start = performance.now()
  run()
  const taken = performance.now() - start
  const list = times.get(name)
  if (list) list.push(taken)
  else times.set(name, [taken])
}

lessonRun()
const inner = device()
useDevice({
  ...inner,
  name: 'timed',
  flat(kernel, access) {
    const run = inner.flat(kernel, access)
    return (n, ...operands) => timed(`${kernel.name} n=${n}`, () => run(n, ...operands))
  },
  launch(kernel, extent, ...rest) {
    timed(`${kernel.name} ${extent.join('x')}`, () => inner.launch(kernel, extent, ...rest))
  },
  matmul(dtype, args) {
    timed(`matmul ${args.m}x${args.k}x${args.n}`, () => inner.matmul(dtype, args))
  },
})
lessonRun()
useDevice(inner)

const rows = [...times]
  .map(([name, list]) => ({ name, calls: list.length, median: list.sort((a, b) => a - b)[list.length >> 1] * 1000 }))
  .filter((row) => row.calls >= STEPS)
  .sort((a, b) => b.calls * b.median - a.calls * a.median)
for (const { name, calls, median } of rows) {
  console.log(`${name.padEnd(32)} ${median.toFixed(2).padStart(8)} us  x ${calls / STEPS}`)
}
const total = rows.reduce((sum, row) => sum + (row.calls / STEPS) * row.median, 0)
console.log(`${'all, a step'.padEnd(32)} ${total.toFixed(1).padStart(8)} us`)
