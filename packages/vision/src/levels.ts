// Bytes straight to normalized floats: with 256 levels a channel, ToTensor and Normalize are a table.
import { empty, float32, type Tensor, uint8 } from 'tytorch'
import { lookUp } from './bytes.ts'

const kept = new Map<string, Float32Array>()

/**
 * For each channel and level what `normalize(toTensor(image), mean, std)` makes of it, to the bit; null where normalize
 * throws.
 */
export function tablesOf(channels: number, mean: readonly number[], std: readonly number[]): Float32Array | null {
  const fits = (list: readonly number[]): boolean => list.length === 1 || list.length === channels
  if (!fits(mean) || !fits(std) || std.includes(0)) return null
  const key = `${channels} ${mean.join()} ${std.join()}`
  let tables = kept.get(key)
  if (tables) return tables
  tables = Float32Array.from({ length: 256 * channels }, (_, i) => {
    const [level, c] = [i & 255, i >> 8]
    const [m, s] = [Math.fround(mean[c % mean.length]), Math.fround(std[c % std.length])]
    return Math.fround(Math.fround(level / 255) - m) / s
  })
  if (kept.size >= 16) kept.clear()
  kept.set(key, tables)
  return tables
}

/** `normalize(toTensor(image), mean, std)` for a uint8 image [C, H, W]; null for others, and where these two throw. */
export function normalizedLevels(image: Tensor, mean: readonly number[], std: readonly number[]): Tensor | null {
  const tables = image.dtype === uint8 && image.ndim === 3 ? tablesOf(image.size(0), mean, std) : null
  if (tables === null) return null
  const whole = image.contiguous()
  const out = empty([...image.shape], { dtype: float32 })
  lookUp(whole.raw() as Uint8Array, tables, out.raw() as Float32Array)
  return out
}
