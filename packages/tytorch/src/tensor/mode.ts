// Whether operations record a graph: noGrad, enableGrad, setGradEnabled and inferenceMode.

let gradEnabled = true
let inference = false
let anomaly = false
let checksNan = true

/** Restores the previous mode when disposed: `using _ = torch.noGrad()`. */
export class ModeGuard {
  private restore: (() => void) | null

  constructor(restore: () => void) {
    this.restore = restore
  }

  [Symbol.dispose](): void {
    this.restore?.()
    this.restore = null
  }
}

/** True if operations on tensors that require a gradient are being recorded. */
export function isGradEnabled(): boolean {
  return gradEnabled
}

/** True inside `inferenceMode`. */
export function isInferenceModeEnabled(): boolean {
  return inference
}

/** True while `detectAnomaly` or `setDetectAnomaly` is on. */
export function isAnomalyEnabled(): boolean {
  return anomaly
}

function switchMode<T>(name: string, set: () => () => void, fn: (() => T) | undefined): T | ModeGuard {
  const restore = set()
  if (!fn) return new ModeGuard(restore)
  try {
    const result = fn()
    if (typeof (result as { then?: unknown } | null)?.then === 'function') {
      throw new TypeError(
        `${name}: the callback is async, and the mode would leak into whatever runs while it waits; await first, then call ${name} around the synchronous part`,
      )
    }
    return result
  } finally {
    restore()
  }
}

function setGrad(enabled: boolean): () => void {
  const before = gradEnabled
  gradEnabled = enabled
  return () => {
    gradEnabled = before
  }
}

/** Runs `fn` without recording; without `fn`, until the guard is disposed. */
export function noGrad(): ModeGuard
export function noGrad<T>(fn: () => T): T
export function noGrad<T>(fn?: () => T): T | ModeGuard {
  return switchMode('noGrad', () => setGrad(false), fn)
}

/** Runs `fn` with recording on, also inside `noGrad`; without `fn`, until the guard is disposed. */
export function enableGrad(): ModeGuard
export function enableGrad<T>(fn: () => T): T
export function enableGrad<T>(fn?: () => T): T | ModeGuard {
  return switchMode('enableGrad', () => setGrad(true), fn)
}

/** Turns recording on or off; the guard, if disposed, restores what was. */
export function setGradEnabled(enabled: boolean): ModeGuard
export function setGradEnabled<T>(enabled: boolean, fn: () => T): T
export function setGradEnabled<T>(enabled: boolean, fn?: () => T): T | ModeGuard {
  return switchMode('setGradEnabled', () => setGrad(enabled), fn)
}

/**
 * As `noGrad`; and the tensors made inside can't be saved for backward later, nor changed in place outside. With `mode`
 * false what is inside of it is as outside of all inference modes.
 */
export function inferenceMode(mode?: boolean): ModeGuard
export function inferenceMode<T>(fn: () => T): T
export function inferenceMode<T>(mode: boolean, fn: () => T): T
export function inferenceMode<T>(mode: boolean | (() => T) = true, body?: () => T): T | ModeGuard {
  const on = typeof mode === 'function' ? true : mode
  return switchMode(
    'inferenceMode',
    () => {
      const restore = setGrad(!on)
      const before = inference
      inference = on
      return () => {
        inference = before
        restore()
      }
    },
    typeof mode === 'function' ? mode : body,
  )
}

/** True if anomaly detection looks for NaN, too. */
export function isAnomalyCheckNanEnabled(): boolean {
  return checksNan
}

/**
 * Turns anomaly detection on or off (see `detectAnomaly`), with `checkNan` false without the search for NaN; the guard,
 * if disposed, restores what was.
 */
export function setDetectAnomaly(mode: boolean, checkNan = true): ModeGuard {
  const before = [anomaly, checksNan] as const
  anomaly = mode
  checksNan = checkNan
  return new ModeGuard(() => {
    ;[anomaly, checksNan] = before
  })
}

/** While on, backward reports the forward call whose gradient failed or became NaN. Slow: every op keeps a stack. */
export function detectAnomaly(): ModeGuard
export function detectAnomaly<T>(fn: () => T): T
export function detectAnomaly<T>(fn?: () => T): T | ModeGuard {
  return switchMode(
    'detectAnomaly',
    () => {
      const before = anomaly
      anomaly = true
      return () => {
        anomaly = before
      }
    },
    fn,
  )
}
