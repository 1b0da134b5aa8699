// What has to hold for a compiled graph to be used for a call: the arguments' shapes and values, modes, modules, captured
// tensors and gradients.
import type { Device } from '../backend/device.ts'
import { type DType, getDefaultDtype } from '../base/dtype.ts'
import { type Sizes, sameSizes } from '../base/shape.ts'
import { isGradEnabled, isInferenceModeEnabled } from '../tensor/mode.ts'
import { requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import type { Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { GradUse } from './recorder.ts'
import { type Form, matches } from './structure.ts'

/** A leaf whose gradient matters: an argument by its place, or a tensor of its own. */
export type LeafRef = number | Tensor

interface ArgumentGuard {
  readonly dtype: DType
  readonly sizes: Sizes
  readonly strides: Sizes
  readonly requires: boolean
  readonly leaf: boolean
  /** The first argument on the same storage, and the distance from it in bytes. */
  readonly group: number
  readonly distance: number
}

/** What can't be seen from the arguments' types: modes and modules as they were before the call. */
export class Surroundings {
  private readonly gradEnabled = isGradEnabled()
  private readonly inference = isInferenceModeEnabled()
  private readonly dtype = getDefaultDtype()
  private readonly device: Device = device()

  hold(): boolean {
    return (
      this.gradEnabled === isGradEnabled() &&
      this.inference === isInferenceModeEnabled() &&
      this.dtype === getDefaultDtype() &&
      this.device === device()
    )
  }
}

/** Own properties of a module that a forward may depend on, as they were when it was first called in a trace. */
export class ModuleGuard {
  private readonly module: Record<string, unknown>
  private readonly keys: string[] = []
  private readonly values: unknown[] = []

  constructor(module: object) {
    this.module = module as Record<string, unknown>
    for (const key of Object.keys(module)) {
      const value = this.module[key]
      if (value instanceof Tensor || value === null || (typeof value !== 'object' && typeof value !== 'function')) {
        this.keys.push(key)
        this.values.push(value)
      }
    }
  }

  hold(): boolean {
    const { module, keys, values } = this
    for (let i = 0; i < keys.length; i++) if (!Object.is(module[keys[i]], values[i])) return false
    return true
  }
}

/** Guards of a graph's arguments alone; a call that was not traceable is remembered by these. */
export class Arguments {
  readonly form: Form
  readonly tensors: readonly ArgumentGuard[]
  private readonly surroundings: Surroundings

  constructor(form: Form, tensors: readonly Tensor[], surroundings: Surroundings) {
    this.form = form
    this.surroundings = surroundings
    this.tensors = tensors.map((t) => {
      const group = tensors.findIndex((other) => other.storage === t.storage)
      return {
        dtype: t.dtype,
        sizes: [...t.sizes],
        strides: [...t.strides],
        requires: requiresGrad(t),
        leaf: t.node === null,
        group,
        distance: distance(t, tensors[group]),
      }
    })
  }

  /** The call's tensors if it is like the one traced, else null. */
  match(args: readonly unknown[]): Tensor[] | null {
    if (!this.surroundings.hold()) return null
    const found: Tensor[] = []
    if (!matches(this.form, args, found)) return null
    for (let i = 0; i < found.length; i++) {
      const t = found[i]
      const g = this.tensors[i]
      if (t.dtype !== g.dtype || !sameSizes(t.sizes, g.sizes) || !sameSizes(t.strides, g.strides)) return null
      if (requiresGrad(t) !== g.requires || (g.requires && (t.node === null) !== g.leaf)) return null
      const first = found[g.group]
      if (g.group === i) {
        for (let j = 0; j < i; j++) if (found[j].storage === t.storage) return null
      } else if (t.storage !== first.storage || distance(t, first) !== g.distance) return null
    }
    return found
  }
}

function distance(t: Tensor, from: Tensor): number {
  return t.offset * t.dtype.itemsize - from.offset * from.dtype.itemsize
}

/** Guards found by the trace. */
export class Guards {
  private readonly modules: readonly ModuleGuard[]
  private readonly answers: readonly (readonly [() => unknown, unknown])[]
  private readonly captured: readonly (readonly [Tensor, Storage, boolean])[]
  private readonly grads: readonly (readonly [LeafRef, Tensor | null])[]
  /** Storages that the graph uses in place, besides its arguments: no argument may be one of them. */
  private readonly own: ReadonlySet<Storage>

  constructor(
    modules: readonly ModuleGuard[],
    answers: readonly (readonly [() => unknown, unknown])[],
    captured: Iterable<Tensor>,
    grads: readonly (readonly [LeafRef, GradUse])[],
    own: ReadonlySet<Storage>,
  ) {
    this.modules = modules
    this.answers = answers
    this.captured = [...captured].map((t) => [t, t.storage, requiresGrad(t)])
    this.grads = grads.flatMap(([leaf, use]) => (use.needed ? [[leaf, use.before] as const] : []))
    this.own = own
  }

  hold(args: readonly Tensor[]): boolean {
    for (const m of this.modules) if (!m.hold()) return false
    for (const [value, answer] of this.answers) if (!Object.is(value(), answer)) return false
    for (const [t, storage, requires] of this.captured) {
      if (t.storage !== storage || requiresGrad(t) !== requires) return false
    }
    for (const [leaf, before] of this.grads) {
      const now = (typeof leaf === 'number' ? args[leaf] : leaf).leaf?.grad ?? null
      if (now === null || before === null ? now !== before : now.storage !== before.storage) return false
    }
    for (const t of args) if (this.own.has(t.storage)) return false
    return true
  }
}
