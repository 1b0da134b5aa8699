// The tensor: a typed, strided view of a storage, and its place in the autograd graph. Operations are added to it
// from the op records (see define.ts), so this file knows none of them.
import { memory } from '../backend/memory.ts'
import { Complex } from '../base/complex.ts'
import { type DType, decode, getDefaultDtype, rawView } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { formatSize, formatTensor } from '../base/format.ts'
import { contiguousStrides, isContiguous, numelOf, type Sizes, sameSizes, wrapDim } from '../base/shape.ts'
import type { TensorMethods } from '../ops/methods.ts'
import { rowReader } from './listing.ts'
import { AccumulateGrad, historyOf, leafOf, type Node, requiresGrad } from './node.ts'
import { cpu, type Device } from './place.ts'
import { allocate, release, type Storage } from './storage.ts'
import { tracer } from './tracer.ts'

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** The sizes of a tensor, as `torch.Size`: an array that prints as PyTorch prints it. */
export class Size extends Array<number> {
  /** `new Size([3, 4])`. (Array's own methods call this with a length.) */
  constructor(sizes: Sizes | number = 0) {
    if (typeof sizes === 'number') super(sizes)
    else {
      super()
      for (const n of sizes) this.push(n)
    }
  }

  /** The number of elements of a tensor of this size. */
  numel(): number {
    return numelOf(this)
  }

  override toString(): string {
    return formatSize(this)
  }

  [inspect](): string {
    return formatSize(this)
  }
}

/** What only leaves, and tensors whose gradient is retained, carry. */
export interface Leaf {
  requiresGrad: boolean
  grad: Tensor | null
  /** Adds into `grad`; made on first use so that all uses share it. */
  accumulator: Node | null
  retainsGrad: boolean
  /** Called with the tensor each time backward has added into `grad`. */
  afterwards?: ((x: Tensor) => void)[]
}

/** Called with a gradient; a tensor that it returns replaces the gradient. */
export type GradHook = (grad: Tensor) => Tensor | undefined | null | void

/** Nested arrays of numbers, as `tolist` answers them. */
export type NestedArray = number | bigint | boolean | Complex | NestedArray[]

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are installed from the op records by index.ts
export class Tensor {
  storage: Storage
  sizes: Sizes
  strides: Sizes
  /** In elements, from the start of the storage. */
  offset: number
  readonly dtype: DType
  /** The number of elements. */
  count: number
  contiguousLayout: boolean
  /** The function that made this tensor, and which of its outputs this is. */
  node: Node | null = null
  nodeOutput = 0
  leaf: Leaf | null = null
  /** The tensor this is a view of, so that in-place changes of one reach the history of the other. */
  base: Tensor | null = null
  /** The storage's version when a view's `node` was made. */
  baseVersion = 0
  hooks: GradHook[] | null = null

  constructor(
    storage: Storage,
    sizes: Sizes,
    strides: Sizes,
    offset: number,
    dtype: DType,
    count = numelOf(sizes),
    contiguousLayout = isContiguous(sizes, strides),
  ) {
    this.storage = storage
    this.sizes = sizes
    this.strides = strides
    this.offset = offset
    this.dtype = dtype
    this.count = count
    this.contiguousLayout = contiguousLayout
  }

  /** Byte address of the first element. Read it after the last allocation: an allocation may collect garbage. */
  get pointer(): number {
    const base = this.storage.pointer
    if (base === 0)
      throw new RuntimeError('this tensor was freed; a tensor made inside torch.scope() must be returned from it')
    if (tracer !== null) tracer.touched(this)
    return base + this.offset * this.dtype.itemsize
  }

  /** The sizes, printed as `torch.Size([3, 4])`. */
  get shape(): Size {
    return new Size(this.sizes)
  }

  /** All sizes, or the size of `dim`. Throws IndexError if `dim` is out of range. */
  size(): Size
  size(dim: number): number
  size(dim?: number): Size | number {
    return dim === undefined ? this.shape : this.sizes[wrapDim(dim, this.sizes.length)]
  }

  /** All strides in elements, or that of `dim`. */
  stride(): number[]
  stride(dim: number): number
  stride(dim?: number): number[] | number {
    return dim === undefined ? [...this.strides] : this.strides[wrapDim(dim, this.strides.length)]
  }

  /** The number of dimensions. */
  get ndim(): number {
    return this.sizes.length
  }

  dim(): number {
    return this.sizes.length
  }

  /** The number of elements. */
  numel(): number {
    return this.count
  }

  /** The size of the first dimension, as Python's `len`. */
  get length(): number {
    if (this.sizes.length === 0) throw new TypeError('len() of a 0-d tensor')
    return this.sizes[0]
  }

  /** The gradient that backward added up here, or null. */
  get grad(): Tensor | null {
    if (tracer !== null) tracer.gradUsed(this)
    return this.leaf?.grad ?? null
  }

  set grad(value: Tensor | null) {
    if (value !== null && (!sameSizes(value.sizes, this.sizes) || value.dtype !== this.dtype)) {
      throw new RuntimeError(
        `assigned grad has data of a different size or type: got ${value.dtype} ${value.shape} for a tensor of ${this.dtype} ${this.shape}`,
      )
    }
    if (tracer !== null) value === null ? tracer.gradCleared(this) : tracer.gradUsed(this)
    if (value !== null || this.leaf !== null) leafOf(this).grad = value
  }

  /** True if operations on this tensor are recorded. Settable on leaves. */
  get requiresGrad(): boolean {
    return requiresGrad(this)
  }

  set requiresGrad(value: boolean) {
    this.requiresGrad_(value)
  }

  /** What made this tensor, or null for leaves. */
  get gradFn(): Node | null {
    const node = historyOf(this)
    return node instanceof AccumulateGrad ? null : node
  }

  /** True if no recorded operation made this tensor. */
  get isLeaf(): boolean {
    return this.gradFn === null
  }

  /** True if the gradient of a tensor that is no leaf is kept. */
  get retainsGrad(): boolean {
    return this.leaf?.retainsGrad ?? false
  }

  /** The same memory without history; changes of it are not seen by autograd. */
  get data(): Tensor {
    return this.detach()
  }

  /** Takes over another tensor's memory, sizes and strides. Throws RuntimeError for another dtype. */
  set data(value: Tensor) {
    if (value.dtype !== this.dtype) {
      throw new RuntimeError(
        `Attempted to call \`variable.set_data(tensor)\`, but \`variable\` and \`tensor\` have incompatible tensor type: ${this.dtype} and ${value.dtype}.`,
      )
    }
    this.storage = value.storage
    this.sizes = value.sizes
    this.strides = value.strides
    this.offset = value.offset
    this.count = value.count
    this.contiguousLayout = value.contiguousLayout
  }

  /** Where the tensor lives: always the CPU. */
  get device(): Device {
    return cpu
  }

  /** Dimensions in reverse order. */
  get T(): Tensor {
    return this.permute(this.sizes.map((_, i) => this.ndim - 1 - i))
  }

  /** The last two dimensions exchanged. */
  get mT(): Tensor {
    return this.transpose(-2, -1)
  }

  /** The last two dimensions exchanged, conjugated. */
  get mH(): Tensor {
    return this.adjoint()
  }

  /** The conjugate transpose of a matrix. Throws RuntimeError for other than 0 or 2 dimensions. */
  get H(): Tensor {
    if (this.ndim !== 0 && this.ndim !== 2) {
      throw new RuntimeError(
        `tensor.H is only supported on matrices (2-D tensors). Got ${this.ndim}-D tensor.${this.ndim > 2 ? ' For batches of matrices, consider using tensor.mH' : ''}`,
      )
    }
    return this.ndim === 0 ? this : this.adjoint()
  }

  /** The real part, a view of the same memory; a real tensor is itself. */
  get real(): Tensor {
    return this.dtype.isComplex ? this.viewAsReal().select(-1, 0) : this
  }

  /** The imaginary part, a view of the same memory. Throws RuntimeError for real tensors. */
  get imag(): Tensor {
    if (!this.dtype.isComplex) throw new RuntimeError('imag is not implemented for tensors with non-complex dtypes.')
    return this.viewAsReal().select(-1, 1)
  }

  /** The slices along the first dimension. Throws TypeError for a 0-d tensor. */
  [Symbol.iterator](): Iterator<Tensor> {
    if (this.ndim === 0) throw new TypeError('iteration over a 0-d tensor')
    return this.unbind(0)[Symbol.iterator]()
  }

  /** The printed form, as PyTorch's. */
  toString(): string {
    if (tracer !== null) tracer.read(this, 'printing a tensor')
    const node = this.gradFn
    const suffixes = node ? { gradFn: node.name } : requiresGrad(this) ? { requiresGrad: true } : {}
    return formatTensor(
      { sizes: this.sizes, dtype: this.dtype.name, at: (i) => this.value(i), suffixes },
      { defaultDtype: getDefaultDtype().name },
    )
  }

  [inspect](): string {
    return this.toString()
  }

  /** Frees the memory at once, for `using x = ...`; any later use of it, through views too, throws RuntimeError. */
  [Symbol.dispose](): void {
    release(this.storage)
  }

  /** Rich display in notebooks. */
  [Symbol.for('Jupyter.display')](): Record<string, string> {
    return { 'text/plain': this.toString() }
  }

  /** Bytes an element. */
  get itemsize(): number {
    return this.dtype.itemsize
  }

  /** The bytes of all elements. */
  get nbytes(): number {
    return this.count * this.dtype.itemsize
  }

  /** How elements lie in memory: always by strides. */
  get layout(): 'torch.strided' {
    return 'torch.strided'
  }

  /** Which output of `gradFn` this is. */
  get outputNr(): number {
    return this.gradFn === null ? 0 : this.nodeOutput
  }

  /** True: tensors live on the CPU. */
  get isCpu(): true {
    return true
  }

  /** False, so that scripts which ask go on with the CPU. */
  get isCuda(): false {
    return false
  }

  /** False; see `isCuda`. */
  get isMps(): false {
    return false
  }

  /** False: every tensor has memory. */
  get isMeta(): false {
    return false
  }

  /** False: tensors are dense. */
  get isSparse(): false {
    return false
  }

  /** False: there are no quantized dtypes. */
  get isQuantized(): false {
    return false
  }

  storageOffset(): number {
    return this.offset
  }

  elementSize(): number {
    return this.dtype.itemsize
  }

  isContiguous(): boolean {
    return this.contiguousLayout
  }

  isFloatingPoint(): boolean {
    return this.dtype.kind === 'float'
  }

  isComplex(): boolean {
    return this.dtype.kind === 'complex'
  }

  /** How often the storage was changed in place. Throws RuntimeError for tensors made inside `inferenceMode`. */
  get version(): number {
    if (this.storage.inference) throw new RuntimeError('Inference tensors do not track version counter.')
    return this.storage.version
  }

  /** Raw elements of a contiguous tensor, as a typed array that shares its memory; it goes stale when memory grows. */
  raw(): ReturnType<typeof rawView> {
    if (!this.contiguousLayout)
      throw new RuntimeError('only a contiguous tensor can be seen as one array; call contiguous() first')
    if (tracer !== null) tracer.read(this, 'raw()')
    const at = this.pointer
    return rawView(this.dtype, memory.views.buffer, at, this.count)
  }

  /** The raw element at `position` of the storage, in elements. */
  element(position: number): number | bigint {
    const { views } = memory
    const at = this.storage.pointer / this.dtype.itemsize + position
    switch (this.dtype.name) {
      case 'float32':
        return views.f32[at]
      case 'float64':
        return views.f64[at]
      case 'int64':
        return views.i64[at]
      case 'int32':
        return views.i32[at]
      case 'int16':
        return views.i16[at]
      case 'int8':
        return views.i8[at]
      case 'float16':
      case 'bfloat16':
        return views.u16[at]
      default:
        return views.u8[at]
    }
  }

  /** The element at row-major `position`: int64 as number where that is exact, else as bigint. */
  value(position: number): number | bigint | boolean | Complex {
    let rest = position
    let at = this.offset
    for (let i = this.sizes.length - 1; i >= 0; i--) {
      const n = this.sizes[i]
      at += (rest % n) * this.strides[i]
      rest = Math.floor(rest / n)
    }
    if (this.storage.pointer === 0) this.pointer
    if (this.dtype.kind === 'complex') {
      const { views } = memory
      const parts = this.dtype.itemsize === 8 ? views.f32 : views.f64
      const first = this.storage.pointer / parts.BYTES_PER_ELEMENT + 2 * at
      return new Complex(parts[first], parts[first + 1])
    }
    const found = decode(this.dtype, this.element(at))
    if (typeof found !== 'bigint') return found
    const small = Number(found)
    return Number.isSafeInteger(small) ? small : found
  }

  /**
   * The value of a one-element tensor: a number (a boolean for bool, a bigint for an int64 beyond 2^53).
   * Throws RuntimeError if there is not exactly one element.
   */
  item<T extends number | boolean | bigint | Complex = number>(): T {
    if (this.count !== 1) throw new RuntimeError(`a Tensor with ${this.count} elements cannot be converted to Scalar`)
    if (tracer !== null) tracer.read(this, 'item()')
    return this.value(0) as T
  }

  /** The elements as nested arrays; a 0-d tensor gives its value. */
  tolist<T = NestedArray>(): T {
    if (tracer !== null) tracer.read(this, 'tolist()')
    if (this.storage.pointer === 0) this.pointer
    const { sizes, strides } = this
    const last = sizes.length - 1
    const row = rowReader(this)
    const walk = (dim: number, at: number): NestedArray => {
      const n = sizes[dim]
      if (dim === last) return row(at, n, strides[last])
      const list: NestedArray[] = []
      for (let i = 0; i < n; i++) list.push(walk(dim + 1, at + i * strides[dim]))
      return list
    }
    return (last < 0 ? this.value(0) : walk(0, this.offset)) as T
  }

  /** JavaScript's conversion to a number or string: one element where a number is wanted, the printed form otherwise. */
  [Symbol.toPrimitive](hint: string): number | bigint | string {
    if (hint === 'string') return this.toString()
    if (this.count !== 1) {
      throw new RuntimeError(
        hint === 'number'
          ? `a Tensor with ${this.count} elements cannot be converted to Scalar`
          : 'a Tensor has no operators in JavaScript: write a.add(b), a.mul(2), a.lt(b) (or take one element with item())',
      )
    }
    if (tracer !== null) tracer.read(this, 'converting to a number')
    const v = this.value(0)
    if (v instanceof Complex) throw new RuntimeError(`a ${this.dtype} value cannot be converted to a real number`)
    return typeof v === 'boolean' ? Number(v) : v
  }
}

export interface Tensor extends TensorMethods {}

/** A new contiguous tensor with undefined contents. */
export function empty(sizes: Sizes, dtype: DType): Tensor {
  const count = numelOf(sizes)
  return new Tensor(allocate(count * dtype.itemsize), sizes, contiguousStrides(sizes), 0, dtype, count, true)
}

/** A new tensor like `x` in sizes, with row-major strides (shared with `x` where it has them). */
export function emptyLike(x: Tensor, dtype: DType = x.dtype): Tensor {
  const strides = x.contiguousLayout && x.count > 0 ? x.strides : contiguousStrides(x.sizes)
  return new Tensor(allocate(x.count * dtype.itemsize), x.sizes, strides, 0, dtype, x.count, true)
}

/** Another view of `x`'s storage, with no history. */
export function alias(x: Tensor, sizes: Sizes, strides: Sizes, offset: number, dtype: DType = x.dtype): Tensor {
  return new Tensor(x.storage, sizes, strides, offset, dtype)
}
