// The interpreter's steps of dense factorisations: plain loops in doubles, rounded when stored.
import type { Panels } from '../dense.ts'
import { memory } from '../memory.ts'

/** The steps for one dtype. */
export function createPanels(dtype: 'float32' | 'float64'): Panels {
  const size = dtype === 'float32' ? 4 : 8
  const lanes = 16 / size
  const view = (): Float32Array | Float64Array => (size === 4 ? memory.views.f32 : memory.views.f64)

  const exchangeRows = (x: number, y: number, vectors: number): void => {
    const v = view()
    for (let c = 0; c < vectors * lanes; c++) {
      const kept = v[x / size + c]
      v[x / size + c] = v[y / size + c]
      v[y / size + c] = kept
    }
  }
  /** Row `to` -= factor * row `from`, `count` elements. */
  const subtract = (to: number, from: number, factor: number, count: number): void => {
    const v = view()
    for (let c = 0; c < count; c++) v[to / size + c] -= factor * v[from / size + c]
  }

  return {
    copy(rows, columns, width, from, fromRow, to, toRow) {
      const v = view()
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < Math.max(columns, width); j++)
          v[(to + i * toRow) / size + j] = j < columns ? v[(from + i * fromRow) / size + j] : 0
      }
    },
    transpose(rows, columns, from, fromRow, to, toRow) {
      const v = view()
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) v[(to + j * toRow) / size + i] = v[(from + i * fromRow) / size + j]
      }
    },
    clearLower(rows, columns, at, row) {
      for (let i = 0; i < rows; i++) view().fill(0, (at + i * row) / size, (at + i * row) / size + Math.min(i, columns))
    },
    subtract(rows, vectors, from, fromRow, to, toRow) {
      for (let i = 0; i < rows; i++) subtract(to + i * toRow, from + i * fromRow, 1, vectors * lanes)
    },
    exchange(count, pivots, at, row, vectors, undo) {
      for (let step = 0; step < count; step++) {
        const i = undo ? count - 1 - step : step
        exchangeRows(at + i * row, at + (memory.views.i32[pivots / 4 + i] - 1) * row, vectors)
      }
    },
    lu(vectors, m, steps, panel, row, whole, wide, pivots, first) {
      const v = view()
      let info = 0
      for (let j = 0; j < steps; j++) {
        const element = (i: number): number => (panel + i * row) / size + j
        let best = j
        for (let i = j + 1; i < m; i++) if (Math.abs(v[element(i)]) > Math.abs(v[element(best)])) best = i
        memory.views.i32[pivots / 4 + j] = first + best
        if (best !== j) exchangeRows(whole + j * row, whole + best * row, wide)
        const pivot = v[element(j)]
        if (pivot === 0) {
          if (info === 0) info = j + 1
          continue
        }
        for (let i = j + 1; i < m; i++) {
          v[element(i)] /= pivot
          const next = panel + (j + 1) * size
          subtract(next + i * row, next + j * row, v[element(i)], vectors * lanes - j - 1)
        }
      }
      return info
    },
    substitute(n, unit, t, tRow, tColumn, b, bRow, vectors) {
      const v = view()
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < i; j++) {
          subtract(b + i * bRow, b + j * bRow, v[(t + i * tRow + j * tColumn) / size], vectors * lanes)
        }
        if (unit) continue
        for (let c = 0; c < vectors * lanes; c++) v[(b + i * bRow) / size + c] /= v[(t + i * (tRow + tColumn)) / size]
      }
    },
    cholesky(vectors, n, at, row) {
      const v = view()
      for (let i = 0; i < n; i++) {
        const here = (at + i * row) / size
        for (let j = 0; j < i; j++)
          subtract(at + i * row, at + j * row, v[(at + j * row) / size + i], Math.min(n, vectors * lanes))
        if (!(v[here + i] > 0)) return i + 1
        const root = Math.sqrt(v[here + i])
        for (let c = i + 1; c < n; c++) v[here + c] /= root
        v[here + i] = root
      }
      return 0
    },
    reflector(n, x, step) {
      const v = view()
      const at = (i: number): number => (x + i * step) / size
      let length = 0
      for (let i = 1; i < n; i++) length = Math.hypot(length, v[at(i)])
      if (length === 0) return 0
      const alpha = v[at(0)]
      const beta = alpha >= 0 ? -Math.hypot(alpha, length) : Math.hypot(alpha, length)
      for (let i = 1; i < n; i++) v[at(i)] /= alpha - beta
      v[at(0)] = beta
      return (beta - alpha) / beta
    },
    reflect(n, x, step, tau, c, row, skip, vectors) {
      const v = view()
      const factor = (i: number): number => (i === 0 ? 1 : v[(x + i * step) / size])
      for (let j = skip; j < vectors * lanes; j++) {
        let sum = 0
        for (let i = 0; i < n; i++) sum += factor(i) * v[(c + i * row) / size + j]
        for (let i = 0; i < n; i++) v[(c + i * row) / size + j] -= factor(i) * tau * sum
      }
    },
  }
}
