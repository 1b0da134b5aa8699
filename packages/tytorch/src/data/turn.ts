// Letting the host do its other work now and then: a loop that only awaits what is ready already would never leave its
// job, and timers, signals, rendering and the end of threads would wait for the end of the epoch.

/** Milliseconds that a loop may run before the host gets a turn. */
const SLICE = 50

let last = 0

interface Host {
  readonly setImmediate?: (fn: () => void) => unknown
}

/** A promise of the host's turn if one is due, else null. */
export function giveTurn(): Promise<void> | null {
  const now = performance.now()
  if (now - last < SLICE) return null
  return new Promise((resolve) => {
    const back = (): void => {
      last = performance.now()
      resolve()
    }
    const { setImmediate } = globalThis as Host
    if (setImmediate) setImmediate(back)
    else setTimeout(back, 0)
  })
}
