// What code that runs in a loader's worker can learn about the worker.
import type { DatasetLike } from './dataset.ts'

/** The worker that runs this code. */
export interface WorkerInfo {
  /** From 0 to numWorkers - 1. */
  readonly id: number
  readonly numWorkers: number
  /** The seed of this worker's default generator: the loader's base seed plus `id`. */
  readonly seed: number | bigint
  /** This worker's copy of the dataset. */
  // biome-ignore lint/suspicious/noExplicitAny: the user knows what the dataset is
  readonly dataset: any
}

let current: WorkerInfo | null = null

/** The worker that runs this code, or null outside of workers. */
export function getWorkerInfo(): WorkerInfo | null {
  return current
}

let thread = false

/** True in the threads of a loader, also before they have their dataset. */
export function inWorkerThread(): boolean {
  return thread
}

/** Says that this is such a thread. */
export function markWorkerThread(): void {
  thread = true
}

/** Says, once in a worker, which one it is. */
export function becomeWorker(info: Omit<WorkerInfo, 'dataset'> & { dataset: DatasetLike<unknown> }): void {
  current = Object.freeze(info)
}
