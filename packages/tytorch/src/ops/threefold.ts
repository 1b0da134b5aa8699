// Arithmetic of three operands in one kernel where no gradient is recorded: what its parts would compute one by one.
import type { Scalar } from '../backend/device.ts'
import { broadcastSizes, sameSizes } from '../base/shape.ts'
import { type Expr, load, scalar } from '../ir/expr.ts'
import { type Arg, mapKernel } from '../ir/kernel.ts'
import { overlaps } from '../tensor/elementwise.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, requiresGrad } from '../tensor/node.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'

type Formula = (x: Expr, a: Expr, b: Expr, value: Expr) => Expr

/**
 * The formula of tensors and numbers, into `x` itself if `inPlace`; null where it must be put together from its parts:
 * other dtypes than one of float32 and float64, recorded operands, and operands that share `x`'s memory.
 */
export type Threefold = (
  x: Tensor,
  a: Tensor | number,
  b: Tensor | number,
  value: number,
  inPlace: boolean,
) => Tensor | null

/** One kernel for `formula`. */
export function threefold(name: string, formula: Formula): Threefold {
  const kernels = new Map<string, Prepared>()
  const kernelOf = (x: Tensor, tensors: readonly boolean[]): Prepared => {
    const key = `${x.dtype.name} ${tensors}`
    let prepared = kernels.get(key)
    if (!prepared) {
      const type = x.dtype.compute
      const arg: Arg = { dtype: x.dtype, mode: 'read', per: 'element' }
      let [args, scalars] = [1, 0]
      const [a, b] = tensors.map((is) => (is ? load(args++, type) : scalar(scalars++, type)))
      const value = formula(load(0, type), a, b, scalar(scalars++, type))
      const all = [...Array.from({ length: args }, () => arg), { ...arg, mode: 'write' } as const]
      prepared = new Prepared(mapKernel(name, all, Array(scalars).fill(type), [{ arg: args, value }]))
      kernels.set(key, prepared)
    }
    return prepared
  }
  return (x, a, b, value, inPlace) => {
    const { name } = x.dtype
    if (name !== 'float32' && name !== 'float64') return null
    const given = [a, b]
    const operands = given.filter((t) => t instanceof Tensor)
    const numbers: Scalar[] = given.filter((t) => typeof t === 'number')
    if (operands.length + numbers.length < 2 || typeof value !== 'number') return null
    if (operands.some((t) => t.dtype !== x.dtype)) return null
    if (isGradEnabled() && [x, ...operands].some(requiresGrad)) return null
    let sizes = x.sizes
    for (const t of operands) if (!sameSizes(t.sizes, sizes)) sizes = broadcastSizes(sizes, t.sizes)
    if (inPlace && (!sameSizes(sizes, x.sizes) || operands.some((t) => overlaps(x, t)))) return null
    const prepared = kernelOf(x, [a instanceof Tensor, b instanceof Tensor])
    if (inPlace) changeInPlace(x)
    const out = inPlace ? x : empty(sizes, x.dtype)
    runMap(prepared, sizes, [x, ...operands, out], [...numbers, value])
    return out
  }
}
