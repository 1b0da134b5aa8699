// A line search for the strong Wolfe conditions, after lswolfe.lua of torch/optim, in the order of PyTorch's.
import type { Tensor } from '../tensor/tensor.ts'

/** A loss and its gradient as one vector. */
export interface Evaluation {
  readonly loss: number
  readonly gradient: Tensor
}

/** A point on the line: its distance, loss, gradient, and the slope along the line. */
interface Point extends Evaluation {
  readonly t: number
  readonly slope: number
}

const SUFFICIENT = 1e-4
const CURVATURE = 0.9
const NARROW = 1e-9

/** Where a cubic through two points has its minimum, within bounds; the middle of them if it has none. */
function cubic(a: Point, b: Point, low = Math.min(a.t, b.t), high = Math.max(a.t, b.t)): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t)
  const square = d1 ** 2 - a.slope * b.slope
  if (!(square >= 0)) return (low + high) / 2
  const d2 = Math.sqrt(square)
  const at =
    a.t <= b.t
      ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
      : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2))
  return Math.min(Math.max(at, low), high)
}

/**
 * Searches along `d` for a point that satisfies the conditions: from the distance `t`, with `start` and `slope` at
 * distance 0 and `at` to evaluate others, at most about `most` of them.
 */
export function strongWolfe(
  at: (t: number) => Evaluation,
  t: number,
  d: Tensor,
  start: Evaluation,
  slope: number,
  most: number,
): Evaluation & { readonly t: number; readonly evaluations: number } {
  const evaluate = (t: number): Point => {
    const found = at(t)
    return { ...found, t, slope: found.gradient.dot(d).item() }
  }
  const tooHigh = (p: Point): boolean => p.loss > start.loss + SUFFICIENT * p.t * slope
  const flat = (p: Point): boolean => Math.abs(p.slope) <= -CURVATURE * slope
  const width = d.abs().max().item()
  const origin: Point = { ...start, t: 0, slope }
  let point = evaluate(t)
  let evaluations = 1
  let iterations = 0
  let before = origin
  let bracket: Point[] = []
  let done = false
  while (iterations < most) {
    if (tooHigh(point) || (iterations > 1 && point.loss >= before.loss)) bracket = [before, point]
    else if (flat(point)) {
      bracket = [point]
      done = true
    } else if (point.slope >= 0) bracket = [before, point]
    if (bracket.length > 0) break
    const next = cubic(before, point, point.t + 0.01 * (point.t - before.t), point.t * 10)
    before = point
    point = evaluate(next)
    evaluations++
    iterations++
  }
  if (iterations === most || bracket.length === 0) bracket = [origin, point]
  let low = bracket[0].loss <= bracket[bracket.length - 1].loss ? 0 : 1
  let stuck = false
  while (!done && iterations < most) {
    const [a, b] = bracket
    if (Math.abs(b.t - a.t) * width < NARROW) break
    let next = cubic(a, b)
    const left = Math.min(a.t, b.t)
    const right = Math.max(a.t, b.t)
    const edge = 0.1 * (right - left)
    // A point close to an end of the bracket makes little progress: the second such, or one at the end, moves inwards.
    if (Math.min(right - next, next - left) < edge) {
      if (stuck || next >= right || next <= left) {
        next = Math.abs(next - right) < Math.abs(next - left) ? right - edge : left + edge
        stuck = false
      } else stuck = true
    } else stuck = false
    point = evaluate(next)
    evaluations++
    iterations++
    const high = 1 - low
    if (tooHigh(point) || point.loss >= bracket[low].loss) {
      bracket[high] = point
      low = bracket[0].loss <= bracket[1].loss ? 0 : 1
    } else {
      if (flat(point)) done = true
      else if (point.slope * (bracket[high].t - bracket[low].t) >= 0) bracket[high] = bracket[low]
      bracket[low] = point
    }
  }
  const { loss, gradient, t: distance } = bracket[low] ?? bracket[0]
  return { loss, gradient, t: distance, evaluations }
}
