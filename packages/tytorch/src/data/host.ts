// Threads as the host has them: node:worker_threads in Node, Web Workers elsewhere, behind one interface.
import { RuntimeError } from '../base/errors.ts'

type NodeThreads = typeof import('node:worker_threads')
type NodePort = import('node:worker_threads').MessagePort

interface NodeProcess {
  getBuiltinModule?(name: 'node:worker_threads'): NodeThreads
  getBuiltinModule?(name: string): unknown
  readonly versions?: { readonly node?: string }
}

/** Node's worker_threads, or null elsewhere. */
export function nodeThreads(): NodeThreads | null {
  const { process } = globalThis as { process?: NodeProcess }
  return (process?.versions?.node && process.getBuiltinModule?.('node:worker_threads')) || null
}

/** How many threads the host runs at a time, or null where it doesn't say. */
export function parallelism(): number | null {
  const { process, navigator } = globalThis as { process?: NodeProcess; navigator?: { hardwareConcurrency?: number } }
  const os = process?.getBuiltinModule?.('node:os') as { availableParallelism(): number } | undefined
  return os?.availableParallelism() ?? navigator?.hardwareConcurrency ?? null
}

/** What a thread tells its owner. */
export interface Listener {
  /** A message lies in the queue; `Thread.take` gives it. */
  arrived(): void
  /** The thread has ended, by itself or not; `cause` is what it died of, where the host says. */
  ended(cause: unknown): void
}

/** A thread that runs src/thread.ts. It keeps no process alive. */
export interface Thread {
  /** What the host calls it. */
  readonly id: number
  send(message: unknown): void
  /** The next message, also one that came while this thread was busy; undefined if there is none. */
  take(): unknown
  /** Stops the thread at once; resolves when it has ended. */
  kill(): Promise<void>
  /** Resolves when the thread has ended. */
  readonly end: Promise<void>
}

/** Starts a thread with its first message, to which a port is added. */
export function startThread(hello: object, listener: Listener): Thread {
  const node = nodeThreads()
  if (node) return startNode(node, hello, listener)
  if (typeof Worker === 'undefined') throw new RuntimeError('this host has no threads; use numWorkers: 0')
  return startWeb(hello, listener)
}

function startNode(
  { Worker, MessageChannel, receiveMessageOnPort }: NodeThreads,
  hello: object,
  listener: Listener,
): Thread {
  const { port1, port2 } = new MessageChannel()
  // --input-type is of a script that came as text, and Node refuses it for a worker's file.
  const typed = (process as NodeJS.Process).execArgv.some((flag) => flag.startsWith('--input-type'))
  const worker = new Worker(new URL('../thread.ts', import.meta.url), {
    name: 'tytorch DataLoader',
    ...(typed ? { execArgv: [] } : {}),
  })
  const id = worker.threadId
  const inbox: unknown[] = []
  let cause: unknown = null
  let finish: () => void = () => {}
  const end = new Promise<void>((resolve) => (finish = resolve))
  worker.on('error', (error) => (cause = error))
  worker.on('exit', () => {
    drain()
    port1.close()
    finish()
    listener.ended(cause)
  })
  const drain = (): void => {
    for (let next = receiveMessageOnPort(port1); next; next = receiveMessageOnPort(port1)) inbox.push(next.message)
  }
  port1.on('message', (message) => {
    inbox.push(message)
    listener.arrived()
  })
  port1.unref()
  worker.unref()
  worker.postMessage({ ...hello, port: port2 }, [port2])
  return {
    id,
    end,
    send: (message) => port1.postMessage(message),
    take() {
      // Messages wait for the event loop, which a training loop may not leave for long; this asks for them now.
      if (inbox.length === 0) drain()
      return inbox.shift()
    },
    async kill() {
      await worker.terminate()
      await end
    },
  }
}

let threads = 0

function startWeb(hello: object, listener: Listener): Thread {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(new URL('../thread.ts', import.meta.url), { type: 'module', name: 'tytorch DataLoader' })
  const inbox: unknown[] = []
  let finish: () => void = () => {}
  const end = new Promise<void>((resolve) => (finish = resolve))
  const stop = (cause: unknown): void => {
    worker.terminate()
    port1.close()
    finish()
    listener.ended(cause)
  }
  worker.onerror = (event) => stop(event.error ?? new Error(event.message || 'the worker could not be started'))
  port1.onmessage = ({ data }) => {
    // A Web Worker can't tell its owner that it closes, so thread.ts says it as its last message.
    if (data === 'closed') return stop(null)
    inbox.push(data)
    listener.arrived()
  }
  worker.postMessage({ ...hello, port: port2 }, [port2])
  return {
    id: ++threads,
    end,
    send: (message) => port1.postMessage(message),
    take: () => inbox.shift(),
    async kill() {
      // The host stops the thread soon, and says not when; until then it may still write to shared memory.
      worker.terminate()
      await new Promise((resolve) => setTimeout(resolve, 100))
      stop(null)
    },
  }
}

/** The other end, inside a thread. */
export interface Caller {
  send(message: unknown, transfer: ArrayBuffer[]): void
  onMessage(handler: (message: unknown) => void): void
  /** Whether waiting for messages keeps the thread running. */
  hold(on: boolean): void
  /** Ends the thread. */
  exit(): void
}

/** The first message to a thread, and the way to answer. */
export interface Call {
  readonly hello: unknown
  readonly caller: Caller
}

/** In a thread: resolves when its owner has called. */
export function answerCaller(): Promise<Call> {
  const node = nodeThreads()
  return new Promise((resolve) => {
    if (node) {
      node.parentPort!.once('message', (hello: { port: NodePort }) =>
        resolve({ hello, caller: nodeCaller(hello.port) }),
      )
      return
    }
    globalThis.onmessage = ({ data }: MessageEvent<{ port: MessagePort }>) => {
      globalThis.onmessage = null
      resolve({ hello: data, caller: webCaller(data.port) })
    }
  })
}

function nodeCaller(port: NodePort): Caller {
  return {
    send: (message, transfer) => port.postMessage(message, transfer),
    onMessage: (handler) => void port.on('message', handler),
    hold: (on) => (on ? port.ref() : port.unref()),
    exit: () => process.exit(0),
  }
}

function webCaller(port: MessagePort): Caller {
  return {
    send: (message, transfer) => port.postMessage(message, transfer),
    onMessage(handler) {
      port.onmessage = ({ data }) => handler(data)
    },
    hold() {},
    exit() {
      port.postMessage('closed')
      globalThis.close()
    },
  }
}
