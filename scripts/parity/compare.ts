// Comparing values with PyTorch's: the tolerances of torch.testing.assert_close, and what they are widened to.
// https://docs.pytorch.org/docs/stable/testing.html#torch.testing.assert_close
import { elementsOf, type Stored } from './data.ts'

export interface Tolerance {
  readonly rtol: number
  readonly atol: number
}

/** Why two values are not the same; `size` is how many times the difference exceeds what is allowed. */
export interface Difference {
  readonly size: number
  readonly message: string
}

const EXACT: Tolerance = { rtol: 0, atol: 0 }
const CLOSE: Readonly<Record<string, Tolerance>> = {
  float64: { rtol: 1e-7, atol: 1e-7 },
  float32: { rtol: 1.3e-6, atol: 1e-5 },
  float16: { rtol: 1e-3, atol: 1e-5 },
  bfloat16: { rtol: 1.6e-2, atol: 1e-5 },
}

/** assert_close's tolerance for a dtype; integers and booleans are exact. */
export function toleranceOf(dtype: string): Tolerance {
  return CLOSE[dtype] ?? EXACT
}

/** At least `floor` for float32: for gradients, which add up rounding errors of the whole backward pass. */
export function widened(dtype: string, floor: Tolerance): Tolerance {
  const own = toleranceOf(dtype)
  if (dtype !== 'float32') return own
  return { rtol: Math.max(own.rtol, floor.rtol), atol: Math.max(own.atol, floor.atol) }
}

/** Gradients in float32: each is a sum over what the forward value was used for, added up in another order than PyTorch's. */
export const GRADIENT: Tolerance = { rtol: 1e-4, atol: 1e-4 }

function place(position: number, shape: readonly number[]): string {
  const index: number[] = []
  let rest = position
  for (let i = shape.length - 1; i >= 0; i--) {
    index.unshift(rest % shape[i])
    rest = Math.floor(rest / shape[i])
  }
  return `[${index.join(', ')}]`
}

/** Compares one number (NaN equals NaN); 0 if within tolerance, else how many times too far. */
function excess(got: number, expected: number, { rtol, atol }: Tolerance): number {
  if (got === expected || (Number.isNaN(got) && Number.isNaN(expected))) return 0
  const distance = Math.abs(got - expected)
  if (!Number.isFinite(distance)) return Number.POSITIVE_INFINITY
  const allowed = atol + rtol * Math.abs(expected)
  return distance <= allowed ? 0 : distance / allowed
}

/** Null if `got` has the dtype, the shape and, within `tolerance`, the elements of `expected`. */
export function compareTensors(
  got: Stored,
  expected: Stored,
  tolerance = toleranceOf(expected.dtype),
): Difference | null {
  if (got.dtype !== expected.dtype) return infinite(`dtype: got ${got.dtype}, expected ${expected.dtype}`)
  if (got.shape.join() !== expected.shape.join()) {
    return infinite(`shape: got [${got.shape.join(', ')}], expected [${expected.shape.join(', ')}]`)
  }
  const a = elementsOf(got)
  const b = elementsOf(expected)
  let worst = 0
  let at = -1
  let count = 0
  for (let i = 0; i < b.length; i++) {
    const far =
      typeof b[i] === 'bigint'
        ? a[i] === b[i]
          ? 0
          : Math.max(Number.MIN_VALUE, Math.abs(Number((a[i] as bigint) - (b[i] as bigint))))
        : excess(a[i] as number, b[i] as number, tolerance)
    if (far === 0) continue
    count++
    if (far > worst) {
      worst = far
      at = i
    }
  }
  if (count === 0) return null
  return {
    size: worst,
    message: `element ${place(at, expected.shape)}: got ${a[at]}, expected ${b[at]}; ${count} of ${b.length} differ`,
  }
}

/** Compares two scalars; a number and a bigint of the same value are the same. */
export function compareScalars(got: unknown, expected: unknown, tolerance = toleranceOf('float32')): Difference | null {
  const number = (x: unknown): boolean => typeof x === 'number' || typeof x === 'bigint'
  if (number(got) && number(expected)) {
    const exact = typeof got === 'bigint' || typeof expected === 'bigint' || Number.isInteger(expected)
    // biome-ignore lint/suspicious/noDoubleEquals: 1n and 1 are one value
    if (exact && got == expected) return null
    const size = excess(Number(got), Number(expected), tolerance)
    return size === 0 ? null : { size, message: `got ${got}, expected ${expected}` }
  }
  return got === expected ? null : infinite(`got ${describe(got)}, expected ${describe(expected)}`)
}

/** A difference beyond measure. */
export function infinite(message: string): Difference {
  return { size: Number.POSITIVE_INFINITY, message }
}

function describe(x: unknown): string {
  return typeof x === 'string'
    ? JSON.stringify(x)
    : typeof x === 'object' && x
      ? (x.constructor?.name ?? 'object')
      : String(x)
}
