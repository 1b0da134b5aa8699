// Running kernels on tensors: broadcast, collapse dimensions, pick the flat or the strided form, and launch.
// Everything that computes goes through the current device here.
import type { Device, Extent, FlatKernel, Scalar } from '../backend/device.ts'
import { broadcastSizes, expandStrides, type Sizes, sameSizes } from '../base/shape.ts'
import type { Kernel } from '../ir/kernel.ts'
import type { Tensor } from './tensor.ts'

let current: Device | null = null
let generation = 0

/** The device that runs kernels now. */
export function device(): Device {
  if (!current) throw new Error('no device is set; import tytorch itself, which sets one')
  return current
}

/** Makes `next` run all kernels from now on; both CPU devices share one memory, so tensors stay valid. */
export function useDevice(next: Device): Device | null {
  const before = current
  current = next
  generation++
  return before
}

/** A kernel with its compiled flat forms on the current device, for the hot paths of op families. */
export class Prepared {
  readonly kernel: Kernel
  private readonly flats = new Map<string, FlatKernel>()
  private all: FlatKernel | null = null
  private made = -1

  constructor(kernel: Kernel) {
    this.kernel = kernel
  }

  /** The form for contiguous operands only. */
  get contiguous(): FlatKernel {
    if (this.made === generation && this.all) return this.all
    this.all = this.flat('c'.repeat(this.kernel.args.length))
    return this.all
  }

  flat(access: string): FlatKernel {
    if (this.made !== generation) {
      this.flats.clear()
      this.made = generation
      this.all = null
    }
    let found = this.flats.get(access)
    if (!found) {
      found = device().flat(this.kernel, access)
      this.flats.set(access, found)
    }
    return found
  }
}

/**
 * Runs an element-wise kernel over `operands` (inputs, then outputs; every output has the common shape `sizes`).
 * Allocate outputs before the call: pointers are read here, after the last allocation.
 */
export function runMap(
  prepared: Prepared,
  sizes: Sizes,
  operands: readonly Tensor[],
  scalars: readonly Scalar[] = [],
): void {
  let n = 1
  for (let i = 0; i < sizes.length; i++) n *= sizes[i]
  if (n === 0) return
  let access = ''
  for (const t of operands) {
    if (t.count === 1) access += 's'
    else if (t.contiguousLayout && t.count === n && sameSizes(t.sizes, sizes)) access += 'c'
    else {
      runStrided(prepared.kernel, sizes, operands, scalars)
      return
    }
  }
  // With one element every access is the same: take the form that is most likely compiled already.
  const fn = n === 1 ? prepared.contiguous : prepared.flat(access)
  fn(n, ...operands.map((t) => t.pointer), ...scalars)
}

/** Dimensions joined where all operands allow it: sizes and per-operand byte strides, outermost first. */
interface Collapsed {
  readonly sizes: number[]
  readonly strides: number[][]
}

/** Joins neighbouring dimensions, after ordering them by the last operand's strides (the output's), largest first. */
function collapse(sizes: Sizes, strides: readonly Sizes[]): Collapsed {
  const lead = strides[strides.length - 1]
  const dims = Array.from({ length: sizes.length }, (_, i) => i).filter((i) => sizes[i] !== 1)
  dims.sort((a, b) => Math.abs(lead[b]) - Math.abs(lead[a]) || a - b)
  const outSizes: number[] = []
  const outStrides: number[][] = strides.map(() => [])
  for (const d of dims) {
    const last = outSizes.length - 1
    const joins = last >= 0 && strides.every((s, i) => outStrides[i][last] === s[d] * sizes[d])
    if (joins) {
      outSizes[last] *= sizes[d]
      for (let i = 0; i < strides.length; i++) outStrides[i][last] = strides[i][d]
    } else {
      outSizes.push(sizes[d])
      for (let i = 0; i < strides.length; i++) outStrides[i].push(strides[i][d])
    }
  }
  return { sizes: outSizes, strides: outStrides }
}

function byteStrides(t: Tensor, sizes: Sizes): number[] {
  return expandStrides(t.sizes, t.strides, sizes).map((s) => s * t.dtype.itemsize)
}

function runStrided(kernel: Kernel, sizes: Sizes, operands: readonly Tensor[], scalars: readonly Scalar[]): void {
  const { sizes: dims, strides } = collapse(
    sizes,
    operands.map((t) => byteStrides(t, sizes)),
  )
  launchOver(kernel, dims, strides, operands, scalars)
}

/** Launches over the last three of `dims`, looping over the rest. */
function launchOver(
  kernel: Kernel,
  dims: readonly number[],
  strides: readonly (readonly number[])[],
  operands: readonly Tensor[],
  scalars: readonly Scalar[],
): void {
  const rank = dims.length
  const at = (list: readonly number[], back: number, absent: number): number =>
    back <= rank ? list[rank - back] : absent
  const extent: Extent = [at(dims, 3, 1), at(dims, 2, 1), at(dims, 1, 1)]
  const inner = strides.map((s) => [at(s, 3, 0), at(s, 2, 0), at(s, 1, 0)] as const)
  const outer = Math.max(rank - 3, 0)
  const pointers = operands.map((t) => t.pointer)
  const run = device()
  const walk = (dim: number): void => {
    if (dim === outer) {
      run.launch(kernel, extent, pointers, inner, scalars)
      return
    }
    for (let i = 0; i < dims[dim]; i++) {
      walk(dim + 1)
      for (let p = 0; p < pointers.length; p++) pointers[p] += strides[p][dim]
    }
    for (let p = 0; p < pointers.length; p++) pointers[p] -= strides[p][dim] * dims[dim]
  }
  walk(0)
}

/**
 * Runs a row kernel: `sizes` is the shape walked, its dimension `dim` the row (or none for -1: rows of one element).
 * `operands` broadcast to `sizes`; those that are per row have size 1 at `dim`.
 */
export function runRows(
  kernel: Kernel,
  sizes: Sizes,
  dim: number,
  operands: readonly Tensor[],
  scalars: readonly Scalar[] = [],
): void {
  const n = dim < 0 ? 1 : sizes[dim]
  let outer = 1
  for (let i = 0; i < dim; i++) outer *= sizes[i]
  let inner = 1
  for (let i = dim + 1; i < sizes.length; i++) inner *= sizes[i]
  if (outer === 0 || inner === 0) return
  if (operands.every((t, i) => isPlain(t, kernel.args[i].per === 'row', sizes, dim))) {
    runPlainRows(kernel, outer, inner, n, operands, scalars)
    return
  }
  const strides = operands.map((t) => byteStrides(t, sizes))
  const rows = collapse(
    sizes.filter((_, i) => i !== dim),
    strides.map((s) => s.filter((_, i) => i !== dim)),
  )
  const dims = [...rows.sizes, n]
  const all = rows.strides.map((s, i) => [...s, dim < 0 ? 0 : strides[i][dim]])
  launchOver(kernel, dims, all, operands, scalars)
}

/** True if a row kernel's operand is contiguous and not broadcast. */
function isPlain(t: Tensor, perRow: boolean, sizes: Sizes, dim: number): boolean {
  if (!t.contiguousLayout || t.sizes.length !== sizes.length) return false
  for (let i = 0; i < sizes.length; i++) if (t.sizes[i] !== (perRow && i === dim ? 1 : sizes[i])) return false
  return true
}

/** Runs a row kernel over contiguous operands seen as [outer, n, inner], those per row as [outer, inner]. */
export function runPlainRows(
  kernel: Kernel,
  outer: number,
  inner: number,
  n: number,
  operands: readonly Tensor[],
  scalars: readonly Scalar[],
): void {
  const pointers = new Array<number>(operands.length)
  const strides = new Array<readonly [number, number, number]>(operands.length)
  for (let i = 0; i < operands.length; i++) {
    const t = operands[i]
    const bytes = t.dtype.itemsize
    pointers[i] = t.pointer
    strides[i] = kernel.args[i].per === 'row' ? [inner * bytes, bytes, 0] : [n * inner * bytes, bytes, inner * bytes]
  }
  device().launch(kernel, [outer, inner, n], pointers, strides, scalars)
}

/** The common shape of any number of operands. */
export function broadcastAll(operands: readonly Tensor[]): Sizes {
  let sizes: Sizes = operands[0].sizes
  for (let i = 1; i < operands.length; i++) sizes = broadcastSizes(sizes, operands[i].sizes)
  return sizes
}
