// Threads that compute on the tensors' shared memory for the main one: a routine's pieces are claimed one by one, by
// whichever thread is free. Workers spin for a moment after a task, then sleep; small work never comes here.
import { RuntimeError } from '../base/errors.ts'
import { CONTROL, MAX_THREADS, memory } from './memory.ts'

/**
 * Computes piece `piece` of a task. It may read and write any memory that `args` point to, its thread's `reserved` areas
 * and the bytes at `scratch`; no other piece may write what it touches, and it must not allocate.
 */
export type Piece = (args: Float64Array, piece: number, scratch: number) => void

/** A function that every thread has under the same name. */
export interface Routine {
  readonly id: number
  readonly run: Piece
}

const routines = new Map<number, Routine>()

/**
 * Registers a routine, at the top level of a module that src/compute.ts imports, so that workers know it too:
 *
 *     const rows = routine('double rows', ([pointer, bytes], piece) => double(pointer + piece * bytes, bytes))
 *     parallel(rows, [x.pointer, bytes], pieces)
 */
export function routine(name: string, run: Piece): Routine {
  // The name's hash (FNV-1a): the order in which modules load may differ between threads.
  let id = 0x811c9dc5
  for (const c of name) id = Math.imul(id ^ c.charCodeAt(0), 0x01000193)
  if (routines.has(id)) throw new Error(`there is a routine '${name}' already, or one with the same hash`)
  const made = { id, run }
  routines.set(id, made)
  return made
}

/** Words of the control page (i32), on cache lines of their own where several threads write. */
const DONE = CONTROL / 4
const SIGNAL = DONE + 16
const SLEEPING = DONE + 32
/** The main thread sleeps until DONE changes. */
const WAITING = DONE + 48
const FAILED = DONE + 64
const READY = DONE + 80
/** Workers of this number and above take nothing. */
const LIMIT = DONE + 96
/** What the operating system calls each thread, or 0. */
const NAMES = DONE + 112
/** How many of each thread's own pieces nobody has claimed, LINE words apart. */
const LEFT = DONE + 256
const LINE = 16
/** Doubles: routine, pieces, threads, bytes of memory, scratch and its bytes a thread; then the arguments. */
const TASK = (CONTROL + 4096) / 8
const ARGS = TASK + 8
const MOST_ARGS = 2048
/** Text of an error: its length, then UTF-8. */
const TEXT = CONTROL + 32768
const MOST_TEXT = 4096

/**
 * How long a worker looks for the next task before it sleeps, in ms. A worker that wakes may land on the main thread's
 * core, also where another one is idle; a virtual machine's scheduler parts them only after some milliseconds of both running.
 */
const SPIN_MS = 5
/** Between two looks at the clock a worker loses its core for so long (ms) where others want it; it sleeps after the second time. */
const GAP_MS = 0.5
/** How long the main thread spins for workers to finish, in ms. */
const JOIN_SPIN_MS = 0.05
/** A join that takes so much longer than the main thread's own pieces says that a worker lost its core. */
const LATE_MS = 0.3
/** For so long (ms) the main thread then works alone: twice as long each time, and less with every join in time. */
const LEAST_PENALTY = 2
const MOST_PENALTY = 40
const FORGET = 0.95
/** How often a silent worker is looked after, and what it may take at least where its death can't be seen. */
const CHECK_MS = 100
const PATIENCE_MS = 30_000

interface NodeProcess {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly execArgv?: readonly string[]
  readonly versions?: { readonly node?: string }
  readonly platform?: string
  getBuiltinModule?(name: string): unknown
}
const host = (globalThis as { process?: NodeProcess }).process
const fs = (): typeof import('node:fs') | undefined =>
  host?.versions?.node ? (host.getBuiltinModule?.('node:fs') as typeof import('node:fs')) : undefined

let threads = 0
/** Workers started. */
let lanes = 0
/** Workers can't be had, or one has died. */
let broken = false
let running = false
let scratch = 0
let scratchBytes = 0
let pauseUntil = 0
let penalty = LEAST_PENALTY
let i32: Int32Array = new Int32Array(0)
let f64: Float64Array = new Float64Array(0)

/** How many threads the host lets compute at a time: its cores, without counting one's second hardware thread. */
function cores(): number {
  const os = host?.getBuiltinModule?.('node:os') as { availableParallelism?(): number } | undefined
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } }
  const logical = os?.availableParallelism?.() ?? navigator?.hardwareConcurrency ?? 1
  if (host?.platform !== 'linux') return logical
  try {
    const siblings = new Set<string>()
    const folder = '/sys/devices/system/cpu'
    for (const name of fs()?.readdirSync(folder) ?? []) {
      if (/^cpu\d+$/.test(name)) {
        siblings.add(fs()!.readFileSync(`${folder}/${name}/topology/thread_siblings_list`, 'utf8'))
      }
    }
    return Math.min(logical, siblings.size || logical)
  } catch {
    return logical // a container may hide the files
  }
}

/**
 * How many threads compute large operations: the cores available, or TYTORCH_NUM_THREADS in the environment, or what
 * `setNumThreads` said; 1 where the host shares no memory between threads.
 */
export function getNumThreads(): number {
  if (threads === 0) {
    const asked = Number(host?.env?.TYTORCH_NUM_THREADS)
    threads = Math.min(Number.isInteger(asked) && asked > 0 ? asked : cores(), MAX_THREADS)
  }
  return memory.shared ? threads : 1
}

/**
 * Sets how many threads compute large operations, this one included (at most 32). Results may differ in their last bits
 * between numbers of threads, never between runs with the same number.
 */
export function setNumThreads(count: number): void {
  if (!Number.isInteger(count)) {
    throw new RuntimeError(
      `set_num_threads expects an int, but got ${typeof count === 'number' ? 'float' : typeof count}`,
    )
  }
  if (count <= 0) throw new RuntimeError('set_num_threads expects a positive integer')
  threads = Math.min(count, MAX_THREADS)
  if (i32.length > 0) Atomics.store(i32, LIMIT, threads)
}

/**
 * Into how many pieces to cut `work` units (elements, multiplications) when a piece should have at least `least` of them:
 * 1 if that makes fewer than two or there is one thread, at most `most` for each thread. It depends on nothing else, so
 * that results are the same in every run.
 */
export function piecesFor(work: number, least: number, most = 1): number {
  if (work < 2 * least) return 1
  const count = getNumThreads()
  return count === 1 ? 1 : Math.min(Math.floor(work / least), count * most)
}

/**
 * Runs all `pieces` of a routine and returns when they are done. `args` go to every piece; each thread gets `bytes` bytes
 * of scratch memory (aligned to 64), which hold anything at first. Pieces run in any order, at once, on any thread; a
 * routine must not call this itself. Throws what a piece throws, and RuntimeError if a thread dies.
 */
export function parallel(routine: Routine, args: readonly number[], pieces: number, bytes = 0): void {
  if (running) throw new Error('a piece of a task must not start another task')
  if (args.length > MOST_ARGS) throw new Error(`a task has at most ${MOST_ARGS} arguments`)
  const count = getNumThreads()
  reserveScratch(bytes, count)
  running = true
  try {
    if (count === 1 || pieces === 1 || !awake(count)) alone(routine, args, pieces)
    else together(routine, args, pieces, bytes)
  } finally {
    running = false
  }
}

function alone(routine: Routine, args: readonly number[], pieces: number): void {
  const own = Float64Array.from(args)
  for (let piece = 0; piece < pieces; piece++) routine.run(own, piece, scratch)
}

/** Block for all threads' scratch memory, kept for the next task. */
function reserveScratch(bytes: number, count: number): void {
  const needed = Math.ceil(bytes / 64) * 64 * count
  if (needed <= scratchBytes) return
  if (scratchBytes > 0) memory.release(scratch, scratchBytes)
  scratchBytes = 0
  scratch = memory.alloc(needed)
  scratchBytes = needed
}

/** True if workers can take part now. Starts them when they are first needed; until they are up the main thread works alone. */
function awake(count: number): boolean {
  if (broken) return false
  if (lanes < count - 1) start(count)
  return Atomics.load(i32, READY) > 0 && (pauseUntil === 0 || performance.now() >= pauseUntil)
}

function start(count: number): void {
  i32 = new Int32Array(memory.wasm.buffer as ArrayBuffer)
  f64 = new Float64Array(memory.wasm.buffer as ArrayBuffer)
  Atomics.store(i32, LIMIT, count)
  try {
    for (; lanes < count - 1; lanes++) startLane(lanes + 1)
  } catch {
    broken = lanes === 0 // a host without workers, or which has no more of them
    threads = Math.min(threads, lanes + 1)
  }
}

/** What a worker is told first. */
export interface Hello {
  readonly wasm: WebAssembly.Memory
  readonly index: number
}

function startLane(index: number): void {
  const hello: Hello = { wasm: memory.wasm, index }
  const node = host?.versions?.node
    ? (host.getBuiltinModule?.('node:worker_threads') as typeof import('node:worker_threads') | undefined)
    : undefined
  if (node) {
    // --input-type is of a script that came as text, and Node refuses it for a worker's file.
    const typed = host?.execArgv?.some((flag) => flag.startsWith('--input-type'))
    const worker = new node.Worker(new URL('../compute.ts', import.meta.url), {
      name: 'tytorch compute',
      ...(typed ? { execArgv: [] } : {}),
    })
    worker.unref()
    worker.on('error', () => (broken = true))
    worker.on('exit', () => (broken = true))
    worker.postMessage(hello)
    return
  }
  const worker = new Worker(new URL('../compute.ts', import.meta.url), { type: 'module', name: 'tytorch compute' })
  worker.onerror = () => (broken = true)
  worker.postMessage(hello)
}

/** Whether this is a worker. */
let serving = false

/** A piece in which the thread that takes it dies; the main thread waits in its own until a worker has. */
const accident = routine('accident', (_, piece) => {
  if (serving) (host as unknown as NodeJS.Process).exit()
  const begin = performance.now()
  while (piece === 0 && Atomics.load(i32, LEFT + LINE) > 0 && performance.now() - begin < 5000) pause()
})

/** Lets a worker die in the middle of a task: for tests, in Node and with two threads. */
export function haveAccident(): void {
  parallel(accident, [], 2)
}

/** Workers that have started: for tests and benchmarks. */
export function readyThreads(): number {
  return i32.length > 0 ? Atomics.load(i32, READY) : 0
}

function together(routine: Routine, args: readonly number[], pieces: number, bytes: number): void {
  const count = getNumThreads()
  f64[TASK] = routine.id
  f64[TASK + 1] = pieces
  f64[TASK + 2] = count
  f64[TASK + 3] = memory.views.buffer.byteLength
  f64[TASK + 4] = scratch
  f64[TASK + 5] = Math.ceil(bytes / 64) * 64
  f64.set(args, ARGS)
  Atomics.store(i32, DONE, 0)
  for (let t = 0; t < count; t++) {
    Atomics.store(i32, LEFT + t * LINE, firstOf(t + 1, pieces, count) - firstOf(t, pieces, count))
  }
  Atomics.add(i32, SIGNAL, 1)
  if (Atomics.load(i32, SLEEPING) > 0) Atomics.notify(i32, SIGNAL)
  const begin = performance.now()
  const own = f64.subarray(ARGS, ARGS + args.length)
  let mine = 0
  try {
    for (let piece = claim(0, count); piece >= 0; piece = claim(0, count)) {
      mine++
      routine.run(own, piece, scratch)
    }
  } catch (error) {
    let dropped = 0
    for (let t = 0; t < count; t++) dropped += Math.max(0, Atomics.exchange(i32, LEFT + t * LINE, 0))
    join(pieces - dropped - mine, 0)
    Atomics.store(i32, FAILED, 0)
    throw error
  }
  if (mine === pieces) return
  const end = performance.now()
  const each = (end - begin) / Math.max(mine, 1)
  join(pieces - mine, each)
  const late = performance.now() - end
  if (late > 2 * each + LATE_MS) {
    pauseUntil = end + late + penalty
    penalty = Math.min(2 * penalty, MOST_PENALTY)
  } else if (penalty > LEAST_PENALTY) penalty = Math.max(LEAST_PENALTY, penalty * FORGET)
  if (Atomics.load(i32, FAILED) !== 0) throw failure()
}

/** Pieces are shared out evenly, neighbours to one thread, so that its cache has what it worked on last time. */
function firstOf(thread: number, pieces: number, count: number): number {
  return Math.floor((thread * pieces) / count)
}

/** The number of a piece that nobody else has, this thread's own first, or -1. */
function claim(index: number, count: number): number {
  for (let i = 0; i < count; i++) {
    const thread = index + i < count ? index + i : index + i - count
    const word = LEFT + thread * LINE
    for (let left = Atomics.load(i32, word); left > 0; left = Atomics.load(i32, word)) {
      // A task of before may have ended meanwhile and another begun: the piece is of the one that is there now.
      if (Atomics.compareExchange(i32, word, left, left - 1) !== left) continue
      return firstOf(thread + 1, f64[TASK + 1], f64[TASK + 2]) - left
    }
  }
  return -1
}

const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {})

/** Waits until workers have done `count` pieces; the main thread's own take `each` milliseconds. */
function join(count: number, each: number): void {
  if (Atomics.load(i32, DONE) >= count) return
  const begin = performance.now()
  let checked = begin
  for (let turn = 0; Atomics.load(i32, DONE) < count; turn++) {
    pause()
    if (turn % 64 !== 0) continue
    const now = performance.now()
    if (now - begin < JOIN_SPIN_MS + each) continue
    doze(count)
    if (now - checked < CHECK_MS) continue
    checked = now
    if (someoneDied() || now - begin > PATIENCE_MS + 100 * each) {
      broken = true
      throw new RuntimeError(
        'a compute thread died in the middle of an operation, whose result is lost; the process goes on with one thread',
      )
    }
  }
}

/** Gives the core away for up to a millisecond: the worker may be waiting for it. */
function doze(count: number): void {
  const done = Atomics.load(i32, DONE)
  if (done >= count) return
  Atomics.store(i32, WAITING, 1)
  try {
    Atomics.wait(i32, DONE, done, 1)
  } catch {
    // A browser's main thread may not sleep: it spins.
  }
  Atomics.store(i32, WAITING, 0)
}

/** True if the operating system no longer has one of the workers. Only Linux can say it while the main thread is busy. */
function someoneDied(): boolean {
  if (broken) return true
  if (host?.platform !== 'linux') return false
  for (let index = 1; index <= lanes; index++) {
    const name = i32[NAMES + index]
    if (name > 0 && !fs()?.existsSync(`/proc/self/task/${name}`)) return true
  }
  return false
}

function failure(): Error {
  const length = memory.views.i32[TEXT / 4]
  const text = new TextDecoder().decode(memory.views.u8.slice(TEXT + 4, TEXT + 4 + length))
  Atomics.store(i32, FAILED, 0)
  const [name, ...message] = text.split('\n')
  if (name === 'RuntimeError') return new RuntimeError(message.join('\n'))
  return Object.assign(new Error(message.join('\n')), { name })
}

/** In a worker: takes pieces of tasks until the process ends. Never returns, for the thread sleeps between tasks. */
export function serve(index: number): never {
  serving = true
  i32 = memory.views.i32
  f64 = memory.views.f64
  i32[NAMES + index] = ownName()
  Atomics.add(i32, READY, 1)
  const args = f64.subarray(ARGS, ARGS + MOST_ARGS)
  let seen = 0
  for (;;) {
    look(seen)
    seen = Atomics.load(i32, SIGNAL)
    while (Atomics.load(i32, LIMIT) > index) {
      const piece = claim(index, Atomics.load(i32, LIMIT))
      if (piece < 0) break
      work(args, index, piece)
    }
  }
}

/** Waits for another signal than the one `seen`: spins first, then sleeps. */
function look(seen: number): void {
  const begin = performance.now()
  let last = begin
  let gaps = 0
  for (let turn = 1; Atomics.load(i32, SIGNAL) === seen; turn++) {
    pause()
    if (turn % 64 !== 0) continue
    const now = performance.now()
    if (now - last > GAP_MS) gaps++
    last = now
    if (gaps > 1 || now - begin > SPIN_MS) return sleep(seen)
  }
}

function sleep(seen: number): void {
  Atomics.add(i32, SLEEPING, 1)
  Atomics.wait(i32, SIGNAL, seen)
  Atomics.sub(i32, SLEEPING, 1)
}

function work(args: Float64Array, index: number, piece: number): void {
  try {
    memory.follow(f64[TASK + 3])
    const found = routines.get(f64[TASK])
    if (!found) throw new Error('a compute thread lacks a routine: a bundler has dropped it from compute.js')
    found.run(args, piece, f64[TASK + 4] + index * f64[TASK + 5])
  } catch (error) {
    report(error)
  }
  Atomics.add(i32, DONE, 1)
  if (Atomics.load(i32, WAITING) !== 0) Atomics.notify(i32, DONE)
}

/** Leaves an error for the main thread, unless another one is there. */
function report(error: unknown): void {
  if (Atomics.compareExchange(i32, FAILED, 0, 1) !== 0) return
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  const text = new TextEncoder().encode(`${name}\n${message}`).subarray(0, MOST_TEXT)
  memory.views.u8.set(text, TEXT + 4)
  memory.views.i32[TEXT / 4] = text.length
}

/** What Linux calls this thread, or 0. */
function ownName(): number {
  try {
    return Number(fs()?.readlinkSync('/proc/thread-self').split('/').pop()) || 0
  } catch {
    return 0
  }
}
