// The trace in progress: a device that runs what it is given and writes it down, and the watch kept meanwhile over
// storages, gradients, modules and values that are read.
import type { Access, Device, Scalar } from '../backend/device.ts'
import { memory } from '../backend/memory.ts'
import { RuntimeError } from '../base/errors.ts'
import { historyOf, type Node } from '../tensor/node.ts'
import { device, useDevice } from '../tensor/run.ts'
import { giveBack, openArena, type Storage } from '../tensor/storage.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { setTracer, type Tracer } from '../tensor/tracer.ts'
import type { Buffer, BufferKind, HostScalar, LiveSource, Operand, Step, Trace } from './trace.ts'

/** A step whose operands are still addresses. */
interface RawStep {
  readonly pointers: readonly number[]
  /** The step, from its operands; an absent operand (address 0) is null. */
  readonly finish: (operands: readonly (Operand | null)[]) => Step
}

/** What is known of a leaf's gradient: the one before the trace, and whether the trace depends on it. */
export interface GradUse {
  readonly before: Tensor | null
  readonly needed: boolean
}

/** Where a read of a value was asked for: the user's line, or the library's own code. */
interface Place {
  readonly user: boolean
  readonly line: string
}

/** A buffer whose kind is decided at the end of the trace. */
type Made = { -readonly [K in keyof Buffer]: Buffer[K] }

/** What a finished trace is made of, besides its steps. */
export interface Recorded {
  readonly trace: Trace
  /** The buffer of each storage that takes part. */
  readonly buffers: ReadonlyMap<Storage, Buffer>
}

export class Recorder implements Tracer {
  /** Why the trace was given up, or null. */
  failure: string | null = null
  readonly lives: LiveSource[] = []
  readonly guards: [value: () => unknown, answer: unknown][] = []
  readonly modules = new Set<object>()
  readonly grads = new Map<Tensor, GradUse>()
  /** Tensors that existed before and whose memory is used. */
  readonly outer = new Set<Tensor>()
  /** Nodes whose graph was freed by a backward pass inside. */
  readonly spent = new Set<Node>()
  readonly inner: Device
  /** Storages made during the trace, with their addresses. */
  readonly made = new Map<Storage, number>()
  /** Storages that existed before and are used. */
  readonly used = new Map<Storage, number>()
  private readonly raw: RawStep[] = []
  private readonly freed: Storage[] = []
  private readonly strict: boolean
  private paused = 0
  private source: LiveSource | null = null

  constructor(strict: boolean) {
    this.inner = device()
    this.strict = strict
  }

  /** Runs `fn` under this trace. */
  run<T>(fn: () => T): T {
    const tracerBefore = setTracer(this)
    const arena = openArena(null)
    const link: Link = { recorder: this }
    const deviceBefore = useDevice(recording(this.inner, link))
    try {
      return fn()
    } finally {
      link.recorder = null
      useDevice(deviceBefore as Device)
      openArena(arena)
      setTracer(tracerBefore)
    }
  }

  // What eager code tells.

  allocated(storage: Storage): void {
    if (this.paused === 0) this.made.set(storage, storage.pointer)
  }

  released(storage: Storage): void {
    if (!this.made.has(storage)) this.used.set(storage, storage.pointer)
    this.freed.push(storage)
  }

  touched(x: Tensor): void {
    const { storage } = x
    if (this.paused > 0 || this.made.has(storage)) return
    this.used.set(storage, storage.pointer)
    if (x.base === null && x.node === null) this.outer.add(x)
  }

  read(_x: Tensor, how: string): void {
    if (this.paused > 0) return
    const place = placeOf(how)
    if (!place.user) {
      this.untraceable(place.line)
      return
    }
    throw new RuntimeError(
      `${how} inside a function given to torch.compile, ${place.line}: a compiled function replays tensor work, and what JavaScript makes of a value would stay as it was at the first call. Return the tensor and read it outside, or call what reads it through torch.compiler.disable`,
    )
  }

  untraceable(what: string): void {
    if (this.paused > 0 || this.failure !== null) return
    if (this.strict) throw new RuntimeError(`torch.compile with fullgraph=true can't trace ${what}`)
    this.failure = what
  }

  live(numbers: () => readonly Scalar[], launch: (numbers: readonly Scalar[]) => void): void {
    const source: LiveSource = { numbers: numbers as () => readonly number[] }
    if (this.paused === 0) this.lives.push(source)
    const now = this.outside(numbers)
    this.source = source
    try {
      launch(now)
    } finally {
      this.source = null
    }
  }

  guard(value: () => unknown): void {
    if (this.paused === 0) this.guards.push([value, value()])
  }

  outside<T>(fn: () => T): T {
    this.paused++
    try {
      return fn()
    } finally {
      this.paused--
    }
  }

  gradUsed(leaf: Tensor): void {
    if (this.paused === 0 && !this.grads.has(leaf)) {
      this.grads.set(leaf, { before: leaf.leaf?.grad ?? null, needed: true })
    }
  }

  gradCleared(leaf: Tensor): void {
    if (this.paused === 0 && !this.grads.has(leaf)) {
      this.grads.set(leaf, { before: leaf.leaf?.grad ?? null, needed: false })
    }
  }

  walked(roots: readonly Tensor[]): void {
    const stack = roots.map(historyOf)
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node === null || this.spent.has(node)) continue
      this.spent.add(node)
      stack.push(...node.next)
    }
  }

  module(module: object): void {
    this.modules.add(module)
  }

  /** Writes a step down. */
  push(step: RawStep): void {
    if (this.paused === 0 && this.failure === null) this.raw.push(step)
  }

  /** The scalars of a launch: numbers, or places among those of the live source that is asked now. */
  scalars(given: readonly Scalar[]): readonly HostScalar[] {
    const { source } = this
    return source ? given.map((_, index) => ({ source, index })) : [...given]
  }

  // The end.

  /**
   * The trace over buffers. `kindOf` says what becomes of a storage that takes part; inputs start at the address of
   * their first element, which `kindOf` gives. Null, with `failure` set, if an address belongs to no storage.
   */
  finish(
    kindOf: (storage: Storage, made: boolean) => BufferKind,
    starts: ReadonlyMap<Storage, number>,
  ): Recorded | null {
    if (this.failure !== null) return null
    const buffers = new Map<Storage, Made>()
    const regions: { readonly start: number; readonly end: number; readonly buffer: Made }[] = []
    let id = 0
    for (const [list, made] of [
      [this.used, false],
      [this.made, true],
    ] as const) {
      for (const [storage, start] of list) {
        const pointer = starts.get(storage) ?? start
        const buffer: Made = { id: id++, bytes: storage.bytes, kind: kindOf(storage, made), pointer }
        buffers.set(storage, buffer)
        regions.push({ start, end: start + storage.bytes, buffer })
      }
    }
    regions.sort((a, b) => a.start - b.start)
    const operandAt = (address: number): Operand | null => {
      let low = 0
      let high = regions.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (regions[middle].start <= address) low = middle + 1
        else high = middle
      }
      // Past the end points what belongs to a tensor without elements.
      const found = regions[low - 1]
      if (!found || address > found.end) return null
      return { buffer: found.buffer, offset: address - found.buffer.pointer }
    }
    const steps: Step[] = []
    for (const { pointers, finish } of this.raw) {
      const operands = pointers.map((p) => (p === 0 ? null : operandAt(p)))
      if (operands.some((o, i) => o === null && pointers[i] !== 0)) {
        this.failure = 'work on memory that no tensor holds'
        return null
      }
      steps.push(finish(operands))
    }
    return { trace: { buffers: [...buffers.values()], steps }, buffers }
  }

  /** Gives back what eager work released meanwhile. */
  close(): void {
    for (const storage of this.freed) giveBack(storage, this.made.get(storage) ?? (this.used.get(storage) as number))
    this.freed.length = 0
  }

  /**
   * Lets go of all that was made and used. V8's scavenger takes the functions that call sites remember for alive, and so
   * the frames of a trace: without this a quick collection would find all temporaries of the traced call still held.
   */
  forget(): void {
    for (const list of [this.made, this.used, this.grads, this.outer, this.spent]) list.clear()
    this.raw.length = 0
  }
}

/** How a recording device finds its trace; null afterwards, for its kernels may be kept a while. */
interface Link {
  recorder: Recorder | null
}

/** A device that runs everything on `inner` and writes it down. */
function recording(inner: Device, link: Link): Device {
  const scalarsOf = (given: readonly Scalar[]): readonly HostScalar[] => link.recorder?.scalars(given) ?? given
  const push = (step: RawStep): void => link.recorder?.push(step)
  const hostStep = (
    name: string,
    pointers: readonly number[],
    modes: readonly Access[],
    run: (pointers: readonly number[]) => void,
  ): void => {
    run(pointers)
    push({
      pointers: [...pointers],
      finish: (operands) => ({ kind: 'host', name, run, operands: operands as Operand[], modes }),
    })
  }
  return {
    name: inner.name,
    get draws() {
      return inner.draws
    },
    get fourier() {
      return inner.fourier
    },
    flat: (kernel, access) => {
      const run = inner.flat(kernel, access)
      const strides = kernel.args.map((arg, i) => [0, 0, access[i] === 's' ? 0 : arg.dtype.itemsize] as const)
      return (n, ...rest) => {
        run(n, ...rest)
        const count = kernel.args.length
        const scalars = scalarsOf(rest.slice(count))
        push({
          pointers: rest.slice(0, count) as number[],
          finish: (operands) => ({
            kind: 'launch',
            kernel,
            extent: [1, 1, n],
            operands: operands as Operand[],
            strides,
            scalars,
          }),
        })
      }
    },
    launch: (kernel, extent, pointers, strides, given) => {
      inner.launch(kernel, extent, pointers, strides, given)
      if (extent[0] === 0 || extent[1] === 0) return
      const scalars = scalarsOf(given)
      const fixed = strides.map((s) => [...s] as const)
      push({
        pointers: [...pointers],
        finish: (operands) => ({
          kind: 'launch',
          kernel,
          extent: [...extent],
          operands: operands as Operand[],
          strides: fixed as readonly (readonly [number, number, number])[],
          scalars,
        }),
      })
    },
    matmul: (dtype, args, epilogue) => {
      inner.matmul(dtype, args, epilogue)
      const { a, b, c, bias, ...rest } = args
      const more = epilogue?.operands ?? []
      push({
        pointers: [a, b, c, bias, ...more.map((o) => o.pointer)],
        finish: ([a, b, c, bias, ...found]) => ({
          kind: 'matmul',
          dtype,
          args: rest,
          a: a as Operand,
          b: b as Operand,
          c: c as Operand,
          bias,
          ...(epilogue
            ? {
                epilogue: {
                  value: epilogue.value,
                  operands: found.map((o, i) => ({ ...(o as Operand), row: more[i].row })),
                },
              }
            : {}),
        }),
      })
    },
    host: (name, pointers, access, run) => hostStep(name, pointers, access, run),
    routines: inner.routines,
    dense: () => inner.dense(),
    turns: () => inner.turns(),
    convolution: (dtype, part, args) => {
      const { x, w, y, bias, ...rest } = args
      const access: Access[] = ['read', 'read', 'read', 'read']
      access[part === 'output' ? 2 : part === 'input' ? 0 : 1] = 'write'
      hostStep('convolution', bias ? [x, w, y, bias] : [x, w, y], access, ([x, w, y, bias = 0]) =>
        inner.convolution(dtype, part, { ...rest, x, w, y, bias }),
      )
    },
    pickRows: (args) => {
      const { to, from, index, ...rest } = args
      hostStep('pickRows', [to, from, index], ['write', 'read', 'read'], ([to, from, index]) =>
        inner.pickRows({ ...rest, to, from, index }),
      )
    },
    joinBlocks: (to, table, count, bytes) => {
      const list = memory.views.i32.slice(table / 4, table / 4 + count)
      const blocks = Array.from(list, (p) => p >>> 0)
      hostStep('joinBlocks', [to, ...blocks], ['write', ...blocks.map(() => 'read' as const)], ([to, ...from]) => {
        const { u8 } = memory.views
        for (const [i, at] of from.entries()) u8.copyWithin(to + i * bytes, at, at + bytes)
      })
    },
  }
}

/** Where the library's own code lies, as stack traces show it. */
const LIBRARY = decodeURI(new URL('..', import.meta.url).pathname)

/** Who asks for a value: the first caller outside of the tensor's own methods. */
function placeOf(how: string): Place {
  const holder = Error as { stackTraceLimit?: number }
  const limit = holder.stackTraceLimit
  holder.stackTraceLimit = 60
  const lines = (new Error().stack ?? '').split('\n').slice(1)
  if (limit !== undefined) holder.stackTraceLimit = limit
  const own = ['compile/recorder.', 'tensor/tensor.', 'base/format.', 'nn/parameter.']
  for (const line of lines) {
    if (line.includes('node:internal') || line.includes('<anonymous>')) continue
    const inside = line.includes(LIBRARY)
    if (inside && own.some((file) => line.includes(LIBRARY + file))) continue
    const where = line.replace(/^\s*(at )?/, '').replace(/^async /, '')
    const name = /^(?:Object\.)?([\w$.]+) \(/.exec(where)?.[1]
    return inside ? { user: false, line: `${how} in ${name ?? where}` } : { user: true, line: `at ${where}` }
  }
  return { user: false, line: how }
}
