// Element-wise functions of a matrix product become what the product stores.
import { constant, type Expr, load } from '../ir/expr.ts'
import { simplify, substitution } from '../ir/simplify.ts'
import { uses, weightOf } from './expressions.ts'
import { layOver, type Part, type Slot, slotRegion } from './part.ts'
import { effectsOf, overlap, productSize, type Region } from './regions.ts'
import type { Epilogue, MatmulStep, Step } from './trace.ts'

/** Operands of an epilogue, and work in it, beyond which the tile's registers don't hold. */
const OPERANDS = 4
const WORK = 80

/** The product with `map` applied to what it stores, or null. */
export function attach(step: MatmulStep, map: Part, needed: (region: Region) => boolean): Step | null {
  if (!map.free || map.stores.length !== 1 || step.args.batch) return null
  const { m, n, cRow } = step.args
  const [{ arg: to, value }] = map.stores
  if (map.slots[to].dtype.name !== step.dtype) return null
  const size = productSize(step)
  for (const laid of layOver(map, [1, m, n], [true, true, true])) {
    const at = (slot: Slot): boolean =>
      slot.buffer === step.c.buffer && slot.offset === step.c.offset && lies(slot, cRow * size, m, n, size)
    if (!laid.slots.some((s, i) => at(s) && i !== to) && !at(laid.slots[to])) continue
    const joined = compose(step, laid, value, laid.slots[to], at, size, needed)
    if (joined) return joined
  }
  return null
}

/** True if a slot's rows are `row` bytes apart, and contiguous. */
function lies(slot: Slot, row: number, m: number, n: number, size: number): boolean {
  return (m === 1 || slot.strides[1] === row) && (n === 1 || slot.strides[2] === size)
}

function compose(
  step: MatmulStep,
  map: Part,
  value: Expr,
  to: Slot,
  isProduct: (slot: Slot) => boolean,
  size: number,
  needed: (region: Region) => boolean,
): MatmulStep | null {
  const { m, n } = step.args
  const [c] = effectsOf(step).writes
  const out = slotRegion(to, map.space)
  const inPlace = isProduct(to)
  if (!inPlace && (overlap(c, out) || needed(c) || step.args.accumulate)) return null
  if (!contiguous(to, m, n, size)) return null
  const operands = [...(step.epilogue?.operands ?? [])]
  const product = step.epilogue?.value ?? load(0, value.type)
  let legal = true
  const moved = substitution((e) => {
    if (e.op === 'scalar') {
      const given = map.scalars[e.index]
      if (typeof given !== 'object') return constant(e.type === 'bool' ? Number(given) !== 0 : given, e.type)
      legal = false
    }
    if (e.op === 'gather') legal = false
    if (e.op !== 'load') return null
    const slot = map.slots[e.arg]
    if (isProduct(slot)) return product
    const place = operandOf(slot)
    if (place === null) legal = false
    return load((place ?? 0) + 1, e.type)
  })
  const operandOf = (slot: Slot): number | null => {
    const row = m === 1 ? 0 : slot.strides[1] / size
    if (slot.dtype.name !== step.dtype || slot.strides[1] < 0 || !contiguous(slot, m, n, size)) return null
    const region = slotRegion(slot, map.space)
    if (overlap(region, out) || overlap(region, c)) return null
    const found = operands.findIndex((o) => o.buffer === slot.buffer && o.offset === slot.offset && o.row === row)
    return found >= 0 ? found : operands.push({ buffer: slot.buffer, offset: slot.offset, row }) - 1
  }
  const result = simplify(moved(value))
  if (!legal || operands.length > OPERANDS || weightOf(result) > WORK || uses([result], 'call')) return null
  const reads = effectsOf({ ...step, epilogue: { value: result, operands } }).reads
  if (!inPlace && reads.some((r) => overlap(r, out))) return null
  const epilogue: Epilogue = { value: result, operands }
  const cRow = m === 1 ? n : to.strides[1] / size
  return { ...step, args: { ...step.args, cRow }, c: { buffer: to.buffer, offset: to.offset }, epilogue }
}

function contiguous(slot: Slot, m: number, n: number, size: number): boolean {
  return (n === 1 || slot.strides[2] === size) && (m === 1 || slot.strides[1] % size === 0) && slot.per === 'element'
}
