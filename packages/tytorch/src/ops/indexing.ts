// x[...]: `at` and `setAt` with Python's indices, and index and indexPut, which take one tensor a dimension.
// Placement of the result's dimensions is NumPy's: https://numpy.org/doc/stable/user/basics.indexing.html
import type { Complex } from '../base/complex.ts'
import { bool, type DType, int32, int64, uint8 } from '../base/dtype.ts'
import { IndexError, RuntimeError, ValueError } from '../base/errors.ts'
import { broadcastSizes, expandStrides, type Sizes, sameSizes } from '../base/shape.ts'
import { type Num, op } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import { alias, empty, Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'
import { tensor } from './create.ts'
import { offsetsOf, outOfBounds, outside, type Plan, pick } from './gather.ts'
import { nonzeroColumns } from './masks.ts'
import { positionsTensor } from './order.ts'
import { put, scalarTensor, written } from './put.ts'
import { select, sliceDim as sliceOf } from './slice.ts'

/** Elements from `start` up to `stop` in steps of `step`, as Python's `slice`; null stands for the end it is at. */
export class Slice {
  readonly start: number | null
  readonly stop: number | null
  readonly step: number | null

  constructor(start: number | null, stop: number | null, step: number | null) {
    this.start = start
    this.stop = stop
    this.step = step
  }
}

/** `slice(stop)`, `slice(start, stop)` or `slice(start, stop, step)`: an index for `at` and `setAt`. */
export function slice(stop: number | null): Slice
export function slice(start: number | null, stop: number | null, step?: number | null): Slice
export function slice(...given: (number | null | undefined)[]): Slice {
  if (given.length === 1) return new Slice(null, given[0] ?? null, null)
  return new Slice(given[0] ?? null, given[1] ?? null, given[2] ?? null)
}

/** Numbers or booleans, nested: an index array or a mask. */
export type IndexArray = readonly (number | boolean | IndexArray)[]

/** One index: a number, ':' or another slice, null for a new dimension, '...', a mask, an array, or a tensor. */
export type Index = number | string | null | boolean | Slice | Tensor | IndexArray

/** An index tensor and the dimension it stands for; a mask stands for as many as it has. */
interface Slot {
  readonly dim: number
  readonly index: Tensor
  /** Known to be in range. */
  readonly checked?: boolean
}

/** The view that numbers and slices give, and the tensors that stand for some of its dimensions. */
interface Indexed {
  readonly view: Tensor
  readonly slots: readonly Slot[]
}

const PATTERN = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?$/

function parseSlice(text: string): Slice {
  const found = PATTERN.exec(text)
  if (!found) {
    throw new IndexError(`'${text}' is no index: a string is '...' or a slice such as ':', '1:', ':-1' or '::2'`)
  }
  const number = (s: string | undefined): number | null => (s === undefined ? null : Number(s))
  return new Slice(number(found[1]), number(found[2]), number(found[3]))
}

function refused(index: unknown): IndexError {
  const kind = typeof index === 'number' ? 'float' : typeof index
  return new IndexError(
    `only integers, slices (\`:\`), ellipsis (\`...\`), None and long or byte Variables are valid indices (got ${kind})`,
  )
}

/** How many dimensions of the tensor an index uses up. */
function consumed(index: Index): number {
  if (index === null || index === '...' || typeof index === 'boolean') return 0
  return index instanceof Tensor && isMask(index) ? index.ndim : 1
}

const isMask = (index: Tensor): boolean => index.dtype === bool || index.dtype === uint8

/** Arrays as tensors; the rest as it is. */
function normal(index: unknown): Index {
  if (Array.isArray(index))
    return index.every(Number.isInteger) ? positionsTensor(index, [index.length]) : tensor(index)
  if (typeof index === 'bigint') return Number(index)
  return index === undefined ? refuseUndefined() : (index as Index)
}
function refuseUndefined(): never {
  throw refused(undefined)
}

/** Applies what gives views (numbers, slices, new dimensions) and collects the tensors. */
function applyBasic(x: Tensor, given: readonly unknown[]): Indexed {
  const list = given.map(normal)
  const used = list.reduce((n: number, i) => n + consumed(i), 0)
  if (used > x.ndim) {
    if (x.ndim === 0 && list.length === 1 && typeof list[0] === 'number') {
      throw new IndexError(
        'invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number',
      )
    }
    throw new IndexError(`too many indices for tensor of dimension ${x.ndim}`)
  }
  let view = x
  let dim = 0
  let own = 0 // the dimension of x itself, for messages
  const slots: Slot[] = []
  const flag = (value: boolean): void => {
    view = view.unsqueeze(dim)
    slots.push({ dim: dim++, index: tensor(value ? [0] : [], { dtype: int64 }) })
  }
  for (const index of list) {
    if (index === '...') {
      const skip = x.ndim - used
      dim += skip
      own += skip
    } else if (index === null) view = view.unsqueeze(dim++)
    else if (typeof index === 'boolean') flag(index)
    else if (typeof index === 'number') view = pickOne(view, dim, index, own++)
    else if (typeof index === 'string' || index instanceof Slice) {
      view = applySlice(view, dim++, typeof index === 'string' ? parseSlice(index) : index, list.length === 1)
      own++
    } else if (index instanceof Tensor) {
      if (index.ndim === 0 && isMask(index)) flag(Boolean(index.item<number | boolean>()))
      else if (index.ndim === 0 && index.dtype.kind === 'int') view = pickOne(view, dim, Number(index.item()), own++)
      else {
        slots.push({ dim, index })
        const covered = consumed(index)
        dim += covered
        own += covered
      }
    } else throw refused(index)
  }
  return { view, slots }
}

function pickOne(view: Tensor, dim: number, index: number, own: number): Tensor {
  if (!Number.isInteger(index)) throw refused(index)
  const n = view.sizes[dim]
  if (index < -n || index >= n) throw new IndexError(outOfBounds(index, own, n))
  return select(view, dim, index)
}

/** True if a slice of step 1 takes in all `n` elements. */
function covers({ start, stop }: Slice, n: number): boolean {
  const from = start === null ? 0 : start < 0 ? Math.max(start + n, 0) : start
  return from === 0 && (stop === null || stop >= n)
}

function applySlice(view: Tensor, dim: number, s: Slice, only: boolean): Tensor {
  const step = s.step ?? 1
  if (step <= 0) throw new ValueError('step must be greater than zero')
  for (const bound of [s.start, s.stop, step]) {
    if (bound !== null && !Number.isInteger(bound)) throw new TypeError('slice indices must be integers or null')
  }
  if (!only && step === 1 && covers(s, view.sizes[dim])) return view
  return sliceOf(view, dim, s.start, s.stop, step)
}

/** One integer tensor a dimension: masks become the coordinates where they hold. Throws IndexError for what is no index. */
function integerSlots(x: Tensor, slots: readonly Slot[]): Slot[] {
  return slots.flatMap(({ dim, index }) => {
    if (!isMask(index)) {
      if (index.dtype !== int64 && index.dtype !== int32) {
        throw new IndexError('tensors used as indices must be long, int, byte or bool tensors')
      }
      return [{ dim, index }]
    }
    const bad = index.sizes.findIndex((n, i) => n !== x.sizes[dim + i])
    if (bad >= 0) {
      throw new IndexError(
        `The shape of the mask [${index.sizes.join(', ')}] at index ${bad} does not match the shape of the indexed tensor [${x.sizes.join(', ')}] at index ${dim + bad}`,
      )
    }
    return nonzeroColumns(index).map((column, i) => ({ dim: dim + i, index: column, checked: true }))
  })
}

/** The common shape of the index tensors. */
function broadcastIndices(slots: readonly Slot[]): Sizes {
  try {
    return slots.reduce((sizes: Sizes, s) => broadcastSizes(sizes, s.index.sizes), [])
  } catch {
    const shapes = slots.map((s) => `[${s.index.sizes.join(', ')}]`).join(', ')
    throw new IndexError(`shape mismatch: indexing tensors could not be broadcast together with shapes ${shapes}`)
  }
}

/** Where each element of `x[..., index, ...]` comes from. Checks every index. */
function planOf(x: Tensor, given: readonly Slot[]): Plan {
  const slots = integerSlots(x, given)
  const shape = broadcastIndices(slots)
  for (const { dim, index, checked } of slots) {
    if (checked) continue
    const bad = outside(index, -x.sizes[dim], x.sizes[dim])
    if (bad !== null) throw new IndexError(outOfBounds(bad, dim, x.sizes[dim]))
  }
  const dims = slots.map((s) => s.dim)
  const first = dims[0]
  const adjacent = dims.every((d, i) => d === first + i)
  const rest = x.sizes.map((_, d) => d).filter((d) => !dims.includes(d))
  const before = adjacent ? rest.filter((d) => d < first) : []
  const after = adjacent ? rest.filter((d) => d > first) : rest
  const around = (list: Sizes, middle: Sizes): number[] => [
    ...before.map((d) => list[d]),
    ...middle,
    ...after.map((d) => list[d]),
  ]
  const sizes = around(x.sizes, shape)
  const strides = around(
    x.strides,
    shape.map(() => 0),
  )
  const single = slots.length === 1
  const index = single
    ? slots[0].index
    : offsetsOf(
        slots.map((s) => s.index),
        dims.map((d) => x.sizes[d]),
        dims.map((d) => x.strides[d]),
        shape,
      )
  const steps = expandStrides(index.sizes, index.strides, shape)
  const none = (list: readonly number[]): number[] => list.map(() => 0)
  const seen = alias(index, sizes, [...none(before), ...steps, ...none(after)], index.offset)
  return { sizes, strides, index: seen, unit: single ? x.strides[first] : 1, size: single ? x.sizes[first] : 0 }
}

/** Slots of one index a dimension, null where the dimension is whole, as PyTorch's `index_put` takes them. */
function slotsOf(x: Tensor, indices: readonly (Tensor | null)[]): Slot[] {
  const slots: Slot[] = []
  let dim = 0
  for (const index of indices) {
    if (index !== null) slots.push({ dim, index })
    dim += index === null ? 1 : consumed(index)
  }
  if (dim > x.ndim) throw new IndexError(`too many indices for tensor of dimension ${x.ndim} (got ${dim})`)
  return slots
}

function indexed(x: Tensor, slots: readonly Slot[]): Tensor {
  const plan = planOf(x, slots)
  const out = pick(x, plan, empty(plan.sizes, x.dtype))
  const { sizes } = x
  return record(out, 'IndexBackward0', [x], tensorsOf(slots), (g, saved) => [
    placed(g.newZeros(sizes), withTensors(slots, saved), g, true, true),
  ])
}
const tensorsOf = (slots: readonly Slot[]): Tensor[] => slots.map((s) => s.index)
const withTensors = (slots: readonly Slot[], saved: readonly Tensor[]): Slot[] =>
  slots.map(({ dim }, i) => ({ dim, index: saved[i] }))

/** Writes (or adds) `values` where the slots point, in `x` or in a copy. */
function placed(x: Tensor, slots: readonly Slot[], values: Tensor, accumulate: boolean, inPlace: boolean): Tensor {
  if (values.dtype !== x.dtype) {
    throw new RuntimeError(
      `Index put requires the source and destination dtypes match, got ${x.dtype.title} for the destination and ${values.dtype.title} for the source.`,
    )
  }
  const target = planOf(x, slots)
  if (!fits(values.sizes, target.sizes)) {
    throw new RuntimeError(
      `shape mismatch: value tensor of shape [${values.sizes.join(', ')}] cannot be broadcast to indexing result of shape [${target.sizes.join(', ')}]`,
    )
  }
  const { out, before } = written(x, inPlace)
  const plan = sameSizes(out.strides, x.strides) ? target : planOf(out, slots)
  put(out, plan, values, accumulate ? 'add' : 'set')
  const like = shapeOf(values)
  return record(out, 'IndexPutBackward0', [before, values], tensorsOf(slots), (g, saved, needs) => {
    const at = withTensors(slots, saved)
    return [
      needs[0] ? (accumulate ? g : placed(g, at, scalarTensor(0, g.dtype), false, false)) : null,
      needs[1] ? reduceLike(indexed(g, at), like) : null,
    ]
  })
}

function fits(sizes: Sizes, target: Sizes): boolean {
  const lead = target.length - sizes.length
  return lead >= 0 && sizes.every((n, i) => n === 1 || n === target[i + lead])
}

const indexPutting =
  (inPlace: boolean) =>
  (x: Tensor, indices: readonly (Tensor | null)[], values: Tensor, accumulate = false): Tensor =>
    placed(x, slotsOf(x, indices), values, accumulate, inPlace)

/** `x` with `values` (broadcast) at the places that one index tensor a dimension (null for all of it) names. */
export const indexPut: (
  x: Tensor,
  indices: readonly (Tensor | null)[],
  values: Tensor,
  accumulate?: boolean | { accumulate?: boolean },
) => Tensor = op({
  name: 'indexPut',
  signature: 'input, indices, values, accumulate',
  samples: (t) => [
    [t(3, 4), [tensor([0, 2]), tensor([1, -1])], t(2)],
    [t(3, 4), [tensor([1, 1])], t(4), true],
    [t(3, 4), [tensor([true, false, true])], t()],
  ],
  differentiable: true,
  forward: indexPutting(false),
  inPlace: indexPutting(true),
})

/** The same memory as a new view. */
function aliased(x: Tensor): Tensor {
  const out = alias(x, x.sizes, x.strides, x.offset)
  out.base = x.base ?? x
  out.baseVersion = x.storage.version
  return record(out, 'AliasBackward0', [x], [], (g) => [g])
}

/**
 * Python's `x[...]`: numbers, slices, null and '...' give a view; index arrays, index tensors and masks a copy.
 * Throws IndexError for what is out of range.
 */
export const at: (x: Tensor, ...index: Index[]) => Tensor = (x, ...index) => {
  if (index.length > 0 && index.length <= x.ndim && index.every((i) => typeof i === 'number')) {
    return index.reduce((view: Tensor, i, own) => pickOne(view, 0, i as number, own), x)
  }
  const { view, slots } = applyBasic(x, index)
  if (slots.length > 0) return indexed(view, slots)
  return view === x ? aliased(x) : view
}

/** What may be assigned: a number, a tensor, or nested arrays. */
export type Assigned = Num | Complex | Tensor | readonly Assigned[]

/**
 * Python's `x[index] = value`, in place and recorded: `index` is a list of what `at` takes (or one of them).
 * Throws IndexError out of range and RuntimeError if the value does not broadcast to the place.
 */
export function setAt(x: Tensor, index: Index | readonly Index[], value: Assigned): Tensor {
  const list = Array.isArray(index) ? (index as readonly Index[]) : [index as Index]
  const { view, slots } = applyBasic(x, list)
  const source = asAssigned(value, view.dtype)
  if (slots.length === 0) {
    const place = view === x ? aliased(x) : view
    place.copy_(trimmed(source, place.ndim))
    return x
  }
  const [{ dim, index: mask }] = slots
  if (slots.length === 1 && mask.dtype === bool && source.count === 1 && source.ndim === 0 && !Array.isArray(value)) {
    integerShape(view, slots[0])
    const after = view.ndim - dim - mask.ndim
    const seen = mask.reshape([...mask.sizes, ...new Array<number>(after).fill(1)])
    view.maskedFill_(seen, value instanceof Tensor ? source : (value as Num))
    return x
  }
  placed(view, slots, trimmed(source, Number.POSITIVE_INFINITY), false, true)
  return x
}

/** Throws IndexError if a mask does not have the sizes of the dimensions it stands for. */
function integerShape(x: Tensor, { dim, index }: Slot): void {
  if (index.sizes.some((n, i) => n !== x.sizes[dim + i])) integerSlots(x, [{ dim, index }])
}

function asAssigned(value: Assigned, dtype: DType): Tensor {
  if (value instanceof Tensor) return value
  return Array.isArray(value) ? tensor(value as number[], { dtype }) : scalarTensor(value as Num | Complex, dtype)
}

/** Without the leading dimensions of size 1 that make it larger than its place. */
function trimmed(value: Tensor, rank: number): Tensor {
  let lead = 0
  while (
    lead < value.ndim &&
    value.sizes[lead] === 1 &&
    (rank === Number.POSITIVE_INFINITY || value.ndim - lead > rank)
  )
    lead++
  return lead === 0 ? value : value.reshape(value.sizes.slice(lead))
}
