// Householder reflections in WebAssembly: made from a column, and applied to the columns beside it.
import { F64, type Func, f32, f64, I32, i32, i32x4, type Module, v128 } from './assembler.ts'
import { integers, vectors } from './element.ts'
import { lanesAbove } from './panels.ts'
import { bySteps, inTiles, loadRow, type Real, subtractProduct, upTo } from './real.ts'

/** Adds `reflector` and `reflect`. */
export function emitReflections(module: Module, real: Real): void {
  emitReflector(module, real, emitNorm(module, real))
  emitReflect(module, real)
}

/** The length of n elements `step` bytes apart, in double precision; of doubles it is scaled where squares would be out of range. */
function emitNorm(module: Module, { scalar, bytes }: Real): Func {
  const f = module.func(null, [I32, I32, I32], [F64])
  const [n, x, step] = Array(3).keys()
  const [i, at, pairs] = integers(f, 3)
  const [sum, other, value, most] = [f.local(F64), f.local(F64), f.local(F64), f.local(F64)]
  const element = (): Func => {
    f.get(at).mem(scalar.load)
    if (bytes === 4) f.op(f64.promoteF32)
    return f
  }
  const next = (): void => {
    f.get(at).get(step).op(i32.add).set(at)
  }
  const square = (total: number): void => {
    element().tee(value).get(value).op(f64.mul).get(total).op(f64.add).set(total)
    next()
  }
  f.get(x).set(at).get(n).i32(-2).op(i32.and).set(pairs)
  bySteps(f, i, pairs, 2, () => {
    square(sum)
    square(other)
  })
  upTo(f, i, n, () => square(sum))
  f.get(sum).get(other).op(f64.add).set(sum)
  if (bytes === 8) {
    // In range, or zero without a doubt, or scaled by the largest.
    f.get(sum)
      .f64(2 ** -960)
      .op(f64.gt)
      .get(sum)
      .f64(2 ** 1000)
      .op(f64.lt)
      .op(i32.and)
      .op(i32.eqz)
    f.if(() => {
      f.get(x).set(at).i32(0).set(i)
      upTo(f, i, n, () => {
        element().op(f64.abs).get(most).op(f64.max).set(most)
        next()
      })
      f.get(most).f64(0).op(f64.eq).get(most).f64(Number.POSITIVE_INFINITY).op(f64.lt).op(i32.eqz).op(i32.or)
      f.if(() => {
        f.get(most).return()
      })
      f.get(x).set(at).i32(0).set(i).f64(0).set(sum)
      upTo(f, i, n, () => {
        element().get(most).op(f64.div).tee(value).get(value).op(f64.mul).get(sum).op(f64.add).set(sum)
        next()
      })
      f.get(sum).op(f64.sqrt).get(most).op(f64.mul).return()
    })
  }
  f.get(sum).op(f64.sqrt)
  return f
}

function emitReflector(module: Module, { scalar, bytes }: Real, norm: Func): void {
  const f = module.func('reflector', [I32, I32, I32], [F64])
  const [n, x, step] = Array(3).keys()
  const i = f.local(I32)
  const at = f.local(I32)
  const [length, alpha, beta, most, first] = Array.from({ length: 5 }, () => f.local(F64))
  const push = (address: number): Func => {
    f.get(address).mem(scalar.load)
    if (bytes === 4) f.op(f64.promoteF32)
    return f
  }
  f.get(n).i32(2).op(i32.ltS)
  f.if(() => {
    f.f64(0).return()
  })
  f.get(n).i32(1).op(i32.sub).get(x).get(step).op(i32.add).get(step).call(norm).tee(length).f64(0).op(f64.eq)
  f.if(() => {
    f.f64(0).return()
  })
  push(x).set(alpha)
  // hypot(alpha, length), with the sign that alpha has not
  f.get(alpha).op(f64.abs).get(length).op(f64.max).set(most)
  f.get(alpha).get(most).op(f64.div).tee(first).get(first).op(f64.mul)
  f.get(length).get(most).op(f64.div).tee(first).get(first).op(f64.mul).op(f64.add).op(f64.sqrt).get(most).op(f64.mul)
  f.tee(beta).op(f64.neg).get(beta).get(alpha).f64(0).op(f64.ge).select().set(beta)
  f.get(alpha).get(beta).op(f64.sub).set(first)
  f.i32(1).set(i).get(x).get(step).op(i32.add).set(at)
  upTo(f, i, n, () => {
    f.get(at)
    push(at).get(first).op(f64.div)
    if (bytes === 4) f.op(f32.demoteF64)
    f.mem(scalar.store)
    f.get(at).get(step).op(i32.add).set(at)
  })
  f.get(x).get(beta)
  if (bytes === 4) f.op(f32.demoteF64)
  f.mem(scalar.store)
  f.get(beta).get(alpha).op(f64.sub).get(beta).op(f64.div)
}

function emitReflect(module: Module, real: Real): void {
  const f = module.func('reflect', [I32, I32, I32, F64, I32, I32, I32, I32])
  const [n, v, step, tau, c, row, skip, wide] = Array(8).keys()
  const [i, factor, here, pairs, last] = integers(f, 5)
  const all = vectors(f, 4)
  const more = vectors(f, 4)
  const [spread, scale, mask, none] = vectors(f, 4)
  const { element, vector, bytes } = real
  const next = (): void => {
    f.get(factor).get(step).op(i32.add).set(factor)
    f.get(here).get(row).op(i32.add).set(here)
  }
  f.get(tau)
  if (bytes === 4) f.op(f32.demoteF64)
  f.op(vector.splat).set(scale)
  f.get(skip).i32(1).op(i32.sub).set(last)
  lanesAbove(f, real, last)
  f.set(mask)
  f.get(n).i32(1).op(i32.sub).i32(-2).op(i32.and).i32(1).op(i32.add).set(pairs)
  inTiles(f, wide, [4, 2, 1], c, (width) => {
    const sums = all.slice(0, width)
    const others = more.slice(0, width)
    const add = (totals: readonly number[]): void => {
      f.get(factor).mem(element.splat).set(spread)
      for (const [k, sum] of totals.entries()) {
        if (element.madd !== null)
          f.get(spread)
            .get(here)
            .mem(v128.load, k * 16)
            .get(sum)
            .op(element.madd)
        else
          f.get(sum)
            .get(spread)
            .get(here)
            .mem(v128.load, k * 16)
            .op(vector.mul)
            .op(vector.add)
        f.set(sum)
      }
      next()
    }
    loadRow(f, c, sums)
    for (const local of others) f.get(none).set(local)
    f.i32(1).set(i).get(v).set(factor).get(c).set(here)
    next()
    bySteps(f, i, pairs, 2, () => {
      add(sums)
      add(others)
    })
    upTo(f, i, n, () => add(sums))
    for (const [k, sum] of sums.entries()) f.get(sum).get(others[k]).op(vector.add).get(scale).op(vector.mul).set(sum)
    f.get(sums[0]).get(mask).op(v128.and).set(sums[0])
    // Later tiles have all of their columns.
    f.i32(-1).op(i32x4.splat).set(mask)
    for (const [k, sum] of sums.entries())
      f.get(c)
        .get(c)
        .mem(v128.load, k * 16)
        .get(sum)
        .op(vector.sub)
        .mem(v128.store, k * 16)
    f.i32(1).set(i).get(v).set(factor).get(c).set(here)
    next()
    upTo(f, i, n, () => {
      f.get(factor).mem(element.splat).set(spread)
      for (const [k, sum] of sums.entries()) {
        f.get(here)
        subtractProduct(f, real, [here, k * 16], spread, sum)
        f.mem(v128.store, k * 16)
      }
      next()
    })
  })
}
