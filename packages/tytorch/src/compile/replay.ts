// Running a planned trace again: a list of calls made ready beforehand, in which only the addresses of inputs and outputs
// and the live scalars change from call to call.
import type { Device, FlatKernel, Scalar } from '../backend/device.ts'
import { type Expr, topological } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import { device } from '../tensor/run.ts'
import { allocate, type Storage } from '../tensor/storage.ts'
import type { Plan } from './plan.ts'
import type { Buffer, HostScalar, LaunchStep, LiveSource, MatmulStep, Operand, Step, Trace } from './trace.ts'

/** A number in a prepared call that changes: an address, or a live scalar. */
interface Slot {
  readonly list: { [key: string | number]: unknown }
  readonly key: string | number
  /** Added to the address; or the index of the number that the live source answers. */
  readonly at: number
  readonly wide: boolean
}

type Call = () => void

export class Replay {
  /** The device whose kernels the calls use. */
  readonly device: Device
  private readonly block: Storage | null
  private readonly calls: Call[] = []
  private readonly moving = new Map<Buffer, Slot[]>()
  private readonly live = new Map<LiveSource, Slot[]>()
  private readonly sources: readonly LiveSource[]
  private readonly plan: Plan

  /** `sources` are asked at each call, in their order; `moving` buffers get their addresses from `run`. */
  constructor(trace: Trace, plan: Plan, sources: readonly LiveSource[]) {
    this.device = device()
    this.plan = plan
    this.sources = sources
    this.block = plan.bytes > 0 ? allocate(plan.bytes) : null
    for (const step of trace.steps) this.calls.push(this.prepare(step))
  }

  /** Runs all steps; `addresses` are those of inputs and outputs now. */
  run(buffers: readonly Buffer[], addresses: readonly number[]): void {
    for (const source of this.sources) {
      const numbers = source.numbers()
      const slots = this.live.get(source)
      if (slots) for (const s of slots) s.list[s.key] = s.wide ? BigInt(numbers[s.at]) : numbers[s.at]
    }
    for (let i = 0; i < buffers.length; i++) {
      const slots = this.moving.get(buffers[i])
      if (!slots) continue
      const address = addresses[i]
      for (const s of slots) s.list[s.key] = address + s.at
    }
    const { calls } = this
    for (let i = 0; i < calls.length; i++) calls[i]()
  }

  /** How many calls there are. */
  get length(): number {
    return this.calls.length
  }

  private prepare(step: Step): Call {
    if (step.kind === 'launch') return this.prepareLaunch(step)
    if (step.kind === 'matmul') return this.prepareMatmul(step)
    const pointers: number[] = []
    this.placeAll(step.operands, pointers)
    const { run } = step
    return () => run(pointers)
  }

  /** Writes an operand's address to `list[key]`, now or at each call. */
  private place({ buffer, offset }: Operand, list: object, key: string | number): void {
    const target = list as Slot['list']
    if (buffer.kind === 'input' || buffer.kind === 'output') {
      const slots = this.moving.get(buffer)
      const slot = { list: target, key, at: offset, wide: false }
      if (slots) slots.push(slot)
      else this.moving.set(buffer, [slot])
      target[key] = 0
      return
    }
    const place = this.plan.places.get(buffer)
    target[key] = (place ? (this.block as Storage).pointer + place.offset : buffer.pointer) + offset
  }

  private placeAll(operands: readonly Operand[], list: object): void {
    for (const [i, o] of operands.entries()) this.place(o, list, i)
  }

  private placeScalar(scalar: HostScalar, wide: boolean, list: object, key: number): void {
    const target = list as Slot['list']
    if (typeof scalar !== 'object') {
      target[key] = scalar
      return
    }
    const slots = this.live.get(scalar.source)
    const slot = { list: target, key, at: scalar.index, wide }
    if (slots) slots.push(slot)
    else this.live.set(scalar.source, [slot])
    target[key] = wide ? 0n : 0
  }

  private prepareLaunch(step: LaunchStep): Call {
    const { kernel, extent, operands, strides, scalars } = step
    const access = flatAccess(step)
    const wide = (i: number): boolean => kernel.scalars[i] === 'i64'
    if (access !== null) {
      const list: Scalar[] = []
      this.placeAll(operands, list)
      for (const [i, s] of scalars.entries()) this.placeScalar(s, wide(i), list, operands.length + i)
      return flatCall(this.device.flat(kernel, access), extent[2], list)
    }
    const pointers: number[] = []
    const numbers: Scalar[] = []
    this.placeAll(operands, pointers)
    for (const [i, s] of scalars.entries()) this.placeScalar(s, wide(i), numbers, i)
    const on = this.device
    return () => on.launch(kernel, extent, pointers, strides, numbers)
  }

  private prepareMatmul({ dtype, args, a, b, c, bias, epilogue }: MatmulStep): Call {
    const all = { ...args, a: 0, b: 0, c: 0, bias: 0 }
    this.place(a, all, 'a')
    this.place(b, all, 'b')
    this.place(c, all, 'c')
    if (bias) this.place(bias, all, 'bias')
    const on = this.device
    if (!epilogue) return () => on.matmul(dtype, all)
    const operands = epilogue.operands.map((o) => {
      const operand = { pointer: 0, row: o.row }
      this.place(o, operand, 'pointer')
      return operand
    })
    const after = { value: epilogue.value, operands }
    return () => on.matmul(dtype, all, after)
  }
}

/** A call with the arguments in `list` as they are then. */
function flatCall(run: FlatKernel, n: number, list: readonly Scalar[]): Call {
  switch (list.length) {
    case 1:
      return () => run(n, list[0])
    case 2:
      return () => run(n, list[0], list[1])
    case 3:
      return () => run(n, list[0], list[1], list[2])
    case 4:
      return () => run(n, list[0], list[1], list[2], list[3])
    default:
      return () => run(n, ...list)
  }
}

const plain = new WeakMap<Kernel, boolean>()

/** True for kernels of one map pass in which an element depends on the elements at its place alone. */
function isPlainMap(kernel: Kernel): boolean {
  let known = plain.get(kernel)
  if (known === undefined) {
    const [pass, ...more] = kernel.passes
    known =
      more.length === 0 &&
      pass.kind === 'map' &&
      kernel.rowStores.length === 0 &&
      kernel.args.every((a) => a.per !== 'row') &&
      !topological(pass.stores.map((s): Expr => s.value)).some(
        (e) => e.op === 'index' || (e.op === 'gather' && kernel.args[e.arg].per !== 'table'),
      )
    plain.set(kernel, known)
  }
  return known
}

/** The letters for `Device.flat`, if that form can run the step; else null. */
function flatAccess({ kernel, extent, strides }: LaunchStep): string | null {
  if (extent[0] !== 1 || extent[1] !== 1 || !isPlainMap(kernel)) return null
  let access = ''
  for (let i = 0; i < strides.length; i++) {
    const step = strides[i][2]
    const { dtype, mode } = kernel.args[i]
    if (step === dtype.itemsize || extent[2] === 1) access += 'c'
    else if (step === 0 && mode === 'read') access += 's'
    else return null
  }
  return access
}
