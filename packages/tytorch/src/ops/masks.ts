// Choosing elements by a boolean mask: where, maskedFill, maskedSelect, maskedScatter, and nonzero.
import { bool, type DType, encode, float32, int64, resultType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { broadcastSizes, type Sizes, sameSizes } from '../base/shape.ts'
import { k, load, scalar } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import { type Args, type Num, op, type TensorLike } from '../tensor/define.ts'
import { copyValues, operandOf, overlaps } from '../tensor/elementwise.ts'
import { readsValues } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { broadcastAll, device, Prepared, runMap } from '../tensor/run.ts'
import { alias, empty, Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'
import { filled, tensor } from './create.ts'
import { offsetsOf, pick } from './gather.ts'
import { intoOut, put, scalarTensor, written } from './put.ts'

const read = (dtype: DType): Kernel['args'][number] => ({ dtype, mode: 'read', per: 'element' })
const write = (dtype: DType): Kernel['args'][number] => ({ dtype, mode: 'write', per: 'element' })

const wheres = new Map<string, Prepared>()

/** `a` where `condition`, else `b`, converted to `dtype`; all broadcast; not recorded. */
function choose(condition: Tensor, a: Tensor, b: Tensor, dtype: DType): Tensor {
  const key = `${a.dtype.name} ${b.dtype.name} ${dtype.name}`
  let prepared = wheres.get(key)
  if (!prepared) {
    const value = k.select(
      load(0, 'bool'),
      k.cast(load(1, a.dtype.compute), dtype.compute),
      k.cast(load(2, b.dtype.compute), dtype.compute),
    )
    prepared = new Prepared(
      mapKernel('where', [read(bool), read(a.dtype), read(b.dtype), write(dtype)], [], [{ arg: 3, value }]),
    )
    wheres.set(key, prepared)
  }
  const sizes = broadcastAll([condition, a, b])
  const out = empty(sizes, dtype)
  runMap(prepared, sizes, [condition, a, b, out])
  return out
}

interface Where {
  (condition: Tensor, input: TensorLike, other: TensorLike): Tensor
  (condition: Tensor): Tensor[]
}
/** Elements of `input` where `condition` (bool) holds, else of `other`; with the condition alone, where it holds. */
export const where: Where = op<(condition: Tensor, input?: TensorLike, other?: TensorLike) => Tensor | Tensor[]>({
  name: 'where',
  signature: 'condition, input, other',
  samples: (t) => [
    [tensor([[true], [false], [true]]), t(3, 4), t(4)],
    [tensor([true, false]), t(2), 0.5],
  ],
  differentiable: true,
  forward: (condition: Tensor, x?: TensorLike, y?: TensorLike) => {
    if (x === undefined && y === undefined) return nonzero(condition, { asTuple: true })
    if (x === undefined || y === undefined) throw new TypeError('where(): expected both input and other, or neither')
    if (condition.dtype !== bool && condition.dtype.name !== 'uint8') {
      throw new RuntimeError(
        `where expected condition to be a boolean tensor, but got a tensor with dtype ${condition.dtype.title}`,
      )
    }
    const dtype = resultType([operandOf(x), operandOf(y)])
    const a = x instanceof Tensor ? x : scalarTensor(x as Num, dtype)
    const b = y instanceof Tensor ? y : scalarTensor(y as Num, dtype)
    const test = condition.dtype === bool ? condition : condition.ne(0)
    const out = choose(test, a, b, dtype)
    const [la, lb] = [shapeOf(a), shapeOf(b)]
    return record(out, 'WhereBackward0', [a, b], [test], (g, [c], needs) => [
      needs[0] ? reduceLike(where(c, g, 0), la) : null,
      needs[1] ? reduceLike(where(c, 0, g), lb) : null,
    ])
  },
}) as Where

/** `x` where `condition` holds, else `other`: the method `x.where(condition, other)`. */
export const whereOf = (x: Tensor, condition: Tensor, other: TensorLike): Tensor => where(condition, x, other)

const fills = new Map<DType, Prepared>()

/** Writes into `out` the elements of `x`, or the number where the mask holds. */
function fillMasked(x: Tensor, mask: Tensor, value: Num, out: Tensor): void {
  const { compute } = x.dtype
  const type = compute === 'bool' ? 'i32' : compute
  let prepared = fills.get(x.dtype)
  if (!prepared) {
    const filled = k.select(load(1, 'bool'), k.cast(scalar(0, type), compute), load(0, compute))
    prepared = new Prepared(
      mapKernel('maskedFill', [read(x.dtype), read(bool), write(x.dtype)], [type], [{ arg: 2, value: filled }]),
    )
    fills.set(x.dtype, prepared)
  }
  const launch =
    compute === 'i64'
      ? (encode(int64, value) as bigint)
      : compute === 'bool'
        ? Number(Boolean(value))
        : Number(encode(x.dtype.kind === 'int' ? x.dtype : float(x.dtype), value))
  runMap(prepared, out.sizes, [x, mask, out], [launch])
}
/** The dtype whose encoding of a float is the number itself. */
const float = (dtype: DType): DType => (dtype.itemsize === 2 ? float32 : dtype)

function checkMask(name: string, mask: Tensor): void {
  if (mask.dtype === bool) return
  const dtype = {
    int64: 'long int',
    int32: 'int',
    int16: 'short int',
    int8: 'signed char',
    uint8: 'unsigned char',
    float32: 'float',
    float64: 'double',
    float16: 'c10::Half',
    bfloat16: 'c10::BFloat16',
    complex64: 'c10::complex<float>',
    complex128: 'c10::complex<double>',
    bool: 'bool',
  }[mask.dtype.name]
  throw new RuntimeError(
    name === 'masked_select'
      ? `masked_select: expected BoolTensor for mask`
      : `${name} only supports boolean masks, but got mask with dtype ${dtype}`,
  )
}

const maskedFilling =
  (inPlace: boolean) =>
  (x: Tensor, mask: Tensor, value: Num | Tensor): Tensor => {
    checkMask('masked_fill_', mask)
    if (value instanceof Tensor && value.ndim > 0) {
      throw new RuntimeError(
        `masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ${value.ndim} dimension(s).`,
      )
    }
    const sizes = broadcastSizes(x.sizes, mask.sizes)
    if (inPlace && !sameSizes(sizes, x.sizes)) mask.expand(x.sizes)
    const like = shapeOf(x)
    if (value instanceof Tensor) {
      const chosen = choose(mask, value, x, x.dtype)
      const { out, before } = inPlace ? written(x, true) : { out: chosen, before: x }
      if (inPlace) copyValues(chosen, out)
      return record(out, 'MaskedFillBackward1', [before, value], [mask], (g, [m], needs) => [
        needs[0] ? reduceLike(maskedFill(g, m, 0), like) : null,
        needs[1] ? where(m, g, 0).sum() : null,
      ])
    }
    const { out, before } = inPlace ? written(x, true) : { out: empty(sizes, x.dtype), before: x }
    fillMasked(x, mask, value, out)
    return record(out, 'MaskedFillBackward0', [before], [mask], (g, [m]) => [reduceLike(maskedFill(g, m, 0), like)])
  }
/** `x` with `value` (a number or a 0-d tensor) where `mask` (bool, broadcast) holds. */
export const maskedFill: (
  x: Tensor,
  ...args: Args<[mask: Tensor, value: Num | Tensor], { mask?: Tensor; value?: Num | Tensor }>
) => Tensor = op({
  name: 'maskedFill',
  signature: 'input, mask, value',
  samples: (t) => [
    [t(3, 4), tensor([true, false, true, false]), 0.5],
    [
      t(2),
      tensor([
        [true, false],
        [true, true],
      ]),
      t(),
    ],
  ],
  differentiable: true,
  forward: maskedFilling(false),
  inPlace: maskedFilling(true),
})

// Host routine: how many elements there are is known only after they were read.
/** Where `x` is not zero, contiguous, and at how many places. */
function selected(x: Tensor): { mask: Tensor; count: number } {
  readsValues('a result whose size depends on values (nonzero, masked_select)')
  const mask = x.dtype === bool ? x.detach().contiguous() : x.detach().ne(0).contiguous()
  return { mask, count: device().routines.count(mask.pointer, mask.count) }
}

/** Coordinates in `sizes` of the elements of `x` that are not zero: int64, [elements, dimensions]. */
function coordinates(x: Tensor, sizes: Sizes): Tensor {
  const { mask, count } = selected(x)
  const out = empty([count, sizes.length], int64)
  device().routines.coordinates(mask.pointer, sizes, count, out.pointer)
  return out
}

/** Coordinates of the elements that are not zero, one int64 vector a dimension. */
export function nonzeroColumns(x: Tensor): Tensor[] {
  const sizes = x.ndim ? x.sizes : [1]
  const table = coordinates(x, sizes)
  return sizes.map((_, d) => alias(table, [table.sizes[0]], [sizes.length], d))
}

interface Nonzero {
  (x: Tensor, options: { asTuple: true }): Tensor[]
  (x: Tensor, options?: { asTuple?: false }): Tensor
}
/** `nonzero` as a method. */
export interface NonzeroMethod {
  (options: { asTuple: true }): Tensor[]
  (options?: { asTuple?: false }): Tensor
}
/** Coordinates of the elements that are not zero: int64 [n, dimensions], or with asTuple a vector a dimension. */
export const nonzero: Nonzero = op<(x: Tensor, asTuple?: boolean) => Tensor | Tensor[]>({
  name: 'nonzero',
  signature: 'input, *, as_tuple',
  samples: (t) => [[t(3, 4)], [t()], [t(0, 3)]],
  forward: (x: Tensor, asTuple = false) => (asTuple ? nonzeroColumns(x) : coordinates(x, x.sizes)),
}) as Nonzero

/** `nonzero` with exactly `size` rows: the first ones, or as many as there are and then rows of `fillValue` (-1). */
export const nonzeroStatic: (x: Tensor, options: { size: number; fillValue?: number }) => Tensor = op({
  name: 'nonzeroStatic',
  signature: 'input, *, size, fill_value',
  samples: (t) => [[t(3, 4), { size: 5 }]],
  forward: (x: Tensor, size: number, fillValue = -1) => {
    if (!(size >= 0)) throw new RuntimeError(`nonzero_static: 'size' must be an non-negative integer`)
    const found = nonzero(x)
    const out = filled([size, x.ndim], fillValue, int64)
    const n = Math.min(size, found.sizes[0])
    copyValues(found.narrow(0, 0, n), out.narrow(0, 0, n))
    return out
  },
})

/** The positions of elements that are not zero, a row each: int64 [n, dimensions of x]. */
export const argwhere = (x: Tensor): Tensor => nonzero(x)

/** The elements of `x` where `mask` holds, both seen in `sizes`. */
function compressed(x: Tensor, mask: Tensor, sizes: Sizes): Tensor {
  const seen = x.detach().expand(sizes)
  const { itemsize } = x.dtype
  if (itemsize > 8) {
    const columns = nonzeroColumns(mask.detach().expand(sizes))
    const [extents, strides] = sizes.length ? [sizes, seen.strides] : [[1], [0]]
    const offsets = offsetsOf(columns, extents, strides, columns[0].sizes)
    const plan = { sizes: offsets.sizes, strides: [0], index: offsets, unit: 1, size: 0 }
    return pick(seen, plan, empty(offsets.sizes, x.dtype))
  }
  const { mask: test, count } = selected(mask.expand(sizes))
  const from = seen.contiguous()
  const out = empty([count], x.dtype)
  device().routines.compress(itemsize, test.pointer, test.count, from.pointer, out.pointer)
  return out
}

/** The elements where `mask` (bool) holds, as a vector; both broadcast. */
export const maskedSelect: (x: Tensor, mask: Tensor, options?: { out?: Tensor }) => Tensor = op({
  name: 'maskedSelect',
  signature: 'input, mask, *, out',
  samples: (t) => [
    [t(3, 4), tensor([true, false, true, false])],
    [
      t(2),
      tensor([
        [true, false],
        [true, true],
      ]),
    ],
  ],
  differentiable: true,
  forward: (x: Tensor, mask: Tensor, target?: Tensor) => {
    checkMask('masked_select', mask)
    const sizes = broadcastSizes(x.sizes, mask.sizes)
    const out = compressed(x, mask, sizes)
    const like = shapeOf(x)
    record(out, 'MaskedSelectBackward0', [x], [mask], (g, [m]) => [
      reduceLike(maskedScatter(g.newZeros(sizes), m, g), like),
    ])
    return intoOut('masked_select', out, target, [x, mask])
  },
})

const maskedScattering =
  (inPlace: boolean) =>
  (x: Tensor, mask: Tensor, source: Tensor): Tensor => {
    checkMask('masked_scatter_', mask)
    if (x.dtype !== source.dtype) {
      throw new RuntimeError(
        `masked_scatter_: expected self and source to have same dtypes but got ${x.dtype.title} and ${source.dtype.title}`,
      )
    }
    const sizes = inPlace ? x.sizes : broadcastSizes(x.sizes, mask.sizes)
    const whole = sameSizes(sizes, x.sizes) ? x : x.expand(sizes)
    const { mask: test, count } = selected(mask.expand(sizes))
    if (source.count < count) throw new RuntimeError('Number of elements of source < number of ones in mask')
    const { out, before } = written(whole, inPlace)
    const given = source.detach().reshape(-1).narrow(0, 0, count)
    scatterMasked(out, test, overlaps(out, source) ? given.clone() : given)
    const from = source.sizes
    return record(out, 'MaskedScatterBackward0', [before, source], [mask], (g, [m], needs) => [
      needs[0] ? maskedFill(g, m, 0) : null,
      needs[1] ? leading(maskedSelect(g, m), from) : null,
    ])
  }

/** Writes the elements of the vector `source` to those of `out` for which `mask` holds. */
function scatterMasked(out: Tensor, mask: Tensor, source: Tensor): void {
  const { itemsize } = out.dtype
  if (out.contiguousLayout && itemsize <= 8) {
    const from = source.contiguous()
    device().routines.spread(itemsize, mask.pointer, mask.count, from.pointer, out.pointer)
    return
  }
  const [sizes, strides] = out.ndim ? [out.sizes, out.strides] : [[1], [0]]
  const offsets = offsetsOf(nonzeroColumns(mask), sizes, strides, source.sizes)
  put(out, { sizes: source.sizes, strides: [0], index: offsets, unit: 1, size: 0 }, source, 'set')
}

/** A vector as the first elements of zeros of `sizes`. */
function leading(g: Tensor, sizes: Sizes): Tensor {
  const out = g.newZeros(sizes)
  out.view(-1).narrow(0, 0, g.count).copy_(g)
  return out
}

/** `x` with the elements of `source`, in order, where `mask` (bool) holds. */
export const maskedScatter: (x: Tensor, mask: Tensor, source: Tensor) => Tensor = op({
  name: 'maskedScatter',
  signature: 'input, mask, source',
  samples: (t) => [
    [
      t(2, 3),
      tensor([
        [true, false, true],
        [false, false, true],
      ]),
      t(5),
    ],
  ],
  differentiable: true,
  forward: maskedScattering(false),
  inPlace: maskedScattering(true),
})
