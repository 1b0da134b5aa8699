// What storages cost: large and small ones allocated and dropped in a synchronous loop, and one sweep.
import { allocate, sweep } from '../packages/tytorch/src/tensor/storage.ts'

/** Microseconds of one call. */
function microseconds(calls: number, fn: () => void): number {
  const start = performance.now()
  for (let i = 0; i < calls; i++) fn()
  return ((performance.now() - start) / calls) * 1000
}

for (const [name, bytes, calls] of [
  ['459 KB', 458_752, 20_000],
  ['40 bytes', 40, 1_000_000],
] as const) {
  const times = [1, 2, 3].map(() => microseconds(calls, () => allocate(bytes)).toFixed(3))
  console.log(`${name.padEnd(10)} ${times.join('  ')} us a storage`)
}
for (let i = 0; i < 50; i++) allocate(458_752)
console.log(`sweep      ${(microseconds(1, () => sweep()) / 1000).toFixed(2)} ms`)
console.log(`resident   ${Math.round(process.resourceUsage().maxRSS / 1024)} MB at most`)
