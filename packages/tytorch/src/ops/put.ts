// Writing elements by position. A kernel can't store where it likes, so a routine of the device does the writing for
// scatter, indexAdd, indexCopy, indexFill, indexPut and maskedScatter, in row-major order of the source.
import type { Put } from '../backend/routines.ts'
import type { Complex } from '../base/complex.ts'
import { type DType, int32, int64 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { notImplemented, partOf } from '../tensor/complex.ts'
import { checkApart, type Num, writeOut } from '../tensor/define.ts'
import { copyValues, overlaps, snapshot } from '../tensor/elementwise.ts'
import { atPointers } from '../tensor/host.ts'
import { changeInPlace } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { emptyLike, type Tensor } from '../tensor/tensor.ts'
import { filled } from './create.ts'
import type { Plan } from './gather.ts'

/** What an op that writes changes: `x` itself, counted as a change, or a copy; `before` is the input to record. */
export function written(x: Tensor, inPlace: boolean): { out: Tensor; before: Tensor } {
  if (inPlace) {
    const before = snapshot(x)
    changeInPlace(x)
    return { out: x, before }
  }
  const out = emptyLike(x)
  copyValues(x, out)
  return { out, before: x }
}

// Host routine.
/** Writes `source` (of the plan's sizes, or broadcast to them) into `target` at the positions of the plan. */
export function put(target: Tensor, plan: Plan, source: Tensor, how: Put): Tensor {
  const sizes = plan.sizes.length ? plan.sizes : [1]
  if (sizes.includes(0)) return target
  const from =
    source.dtype === target.dtype ? (overlaps(target, source) ? source.clone() : source) : source.to(target.dtype)
  if (target.dtype.isComplex) {
    if (how !== 'set' && how !== 'add') throw notImplemented('scatter', target.dtype)
    const parts = { ...plan, strides: plan.strides.map((s) => 2 * s), unit: 2 * plan.unit }
    put(partOf(target, 0), parts, partOf(from, 0), how)
    put(partOf(target, 1), parts, partOf(from, 1), how)
    return target
  }
  const index = indexOf(plan.index, target)
  // The routine below must not keep tensors, which live as long as a compiled function does otherwise.
  const { sizes: own, strides: steps } = from
  const lead = sizes.length - own.length
  const { name } = target.dtype
  const walk = {
    wide: index.dtype === int64,
    sizes,
    toStrides: plan.strides.length ? plan.strides : [0],
    indexStrides: index.strides.length ? index.strides : [0],
    fromStrides: sizes.map((n, i) => (i < lead || (own[i - lead] === 1 && n !== 1) ? 0 : steps[i - lead])),
    unit: plan.unit,
    size: plan.size,
  }
  atPointers('put', [target.pointer, index.pointer, from.pointer], 'urr', ([to, index, from]) => {
    device().routines.put(name, how, { to, index, from, ...walk })
  })
  return target
}

/** The index in a type that the routine reads, apart from what it writes. */
function indexOf(index: Tensor, target: Tensor): Tensor {
  if (index.dtype !== int64 && index.dtype !== int32) return index.detach().to(int32)
  return overlaps(target, index) ? index.detach().clone() : index
}

/** A number as a 0-d tensor of `dtype`. */
export const scalarTensor = (value: Num | Complex, dtype: DType): Tensor => filled([], value, dtype)

/** `result` written to `out`, if given. Throws RuntimeError if `out` shares memory with itself or with the inputs. */
export function intoOut(name: string, result: Tensor, out: Tensor | undefined, inputs: readonly Tensor[]): Tensor {
  if (!out) return result
  if (out.sizes.some((n, i) => n > 1 && out.strides[i] === 0)) {
    throw new RuntimeError(
      'unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.',
    )
  }
  checkApart(out, inputs, false)
  return writeOut(name, result, out)
}
