// Fewer points that draw the same line: of each stretch of a long series its lowest and highest point stay.

type Point = readonly [x: number, y: number | null]

/** Returns at most about `limit` of the points, in order: the ends, all extremes, and a mark for each gap. */
export function thin(points: readonly Point[], limit: number): readonly Point[] {
  if (points.length <= limit) return points
  const buckets = Math.max(1, Math.floor(limit / 2) - 1)
  const inner = points.length - 2
  const kept: Point[] = [points[0]]
  for (let bucket = 0; bucket < buckets; bucket++) {
    const start = 1 + Math.floor((bucket * inner) / buckets)
    const end = 1 + Math.floor(((bucket + 1) * inner) / buckets)
    kept.push(...extremes(points, start, end))
  }
  kept.push(points[points.length - 1])
  return kept
}

function extremes(points: readonly Point[], start: number, end: number): Point[] {
  let low = -1
  let high = -1
  let gap = -1
  for (let i = start; i < end; i++) {
    const y = points[i][1]
    if (y === null) {
      gap = i
      continue
    }
    if (low < 0 || y < (points[low][1] as number)) low = i
    if (high < 0 || y > (points[high][1] as number)) high = i
  }
  const indices = [...new Set([low, high, gap])].filter((i) => i >= 0)
  return indices.sort((a, b) => a - b).map((i) => points[i])
}
