// Checks that a kernel is well formed before any back end sees it: types, argument use, and what may be read where.
import { type Expr, topological } from './expr.ts'
import { type Arg, type Kernel, type ReducePass, refuseComplex, type Store } from './kernel.ts'

/** The part of a kernel an expression stands in; it decides which leaves are legal. */
type Place = 'map' | 'step' | 'merge' | 'row'

/** Throws TypeError, naming the kernel and the place, if the kernel is ill-typed or ill-formed. */
export function verify(kernel: Kernel): void {
  refuseComplex(kernel)
  const fail = (message: string): never => {
    throw new TypeError(`kernel '${kernel.name}': ${message}`)
  }
  const written = new Set<number>()

  const checkArg = (e: Extract<Expr, { op: 'load' | 'gather' }>, place: Place, where: string): void => {
    const arg = kernel.args[e.arg]
    if (!arg) fail(`${where}: ${e.op} of argument ${e.arg}, but there are ${kernel.args.length}`)
    if (place === 'merge') fail(`${where}: ${e.op} in a merge, which sees accumulators only`)
    if (arg.mode === 'write') fail(`${where}: ${e.op} of argument ${e.arg}, which is write-only`)
    if (arg.dtype.compute !== e.type)
      fail(
        `${where}: ${e.op} of argument ${e.arg} as ${e.type}, but ${arg.dtype.name} computes in ${arg.dtype.compute}`,
      )
    if (e.op === 'gather') {
      if (arg.per === 'row') fail(`${where}: gather from argument ${e.arg}, which has one value a row`)
      if (arg.per === 'table' && place === 'row') fail(`${where}: gather from table ${e.arg} outside of elements`)
      if (e.src[0].type !== 'i32') fail(`${where}: gather at a position of type ${e.src[0].type}, not i32`)
    } else if (arg.per === 'table') fail(`${where}: load of argument ${e.arg}, which is a table`)
    else if (place === 'row' && arg.per === 'element')
      fail(`${where}: load of argument ${e.arg}, which has no single value a row`)
  }

  const checkAccumulator = (
    e: Extract<Expr, { op: 'acc' | 'other' }>,
    place: Place,
    init: readonly Expr[],
    where: string,
  ): void => {
    const legal = place === 'merge' || (place === 'step' && e.op === 'acc')
    if (!legal) fail(`${where}: '${e.op}' is legal only in ${e.op === 'acc' ? 'a step or a merge' : 'a merge'}`)
    if (!init[e.index]) fail(`${where}: ${e.op} ${e.index}, but the pass has ${init.length} accumulators`)
    if (init[e.index].type !== e.type)
      fail(`${where}: ${e.op} ${e.index} as ${e.type}, but it starts as ${init[e.index].type}`)
  }

  const checkResult = (e: Extract<Expr, { op: 'result' }>, before: number, where: string): void => {
    const pass = e.pass < before ? kernel.passes[e.pass] : undefined
    if (pass?.kind !== 'reduce') {
      fail(`${where}: result of pass ${e.pass}, which is no earlier reduce pass`)
      return
    }
    if (pass.init[e.index]?.type !== e.type) fail(`${where}: pass ${e.pass} has no result ${e.index} of type ${e.type}`)
  }

  const check = (
    roots: readonly Expr[],
    place: Place,
    before: number,
    where: string,
    init: readonly Expr[] = [],
  ): void => {
    for (const e of topological(roots)) {
      if (e.op === 'load' || e.op === 'gather') checkArg(e, place, where)
      else if (e.op === 'acc' || e.op === 'other') checkAccumulator(e, place, init, where)
      else if (e.op === 'result') checkResult(e, before, where)
      else if (e.op === 'index' && place !== 'map' && place !== 'step')
        fail(`${where}: 'index' is legal only in a pass over elements`)
      else if (e.op === 'scalar' && kernel.scalars[e.index] !== e.type)
        fail(`${where}: scalar ${e.index} as ${e.type}, but it is ${kernel.scalars[e.index] ?? 'not declared'}`)
    }
  }

  const checkStores = (stores: readonly Store[], per: 'element' | 'row', where: string): void => {
    const here = new Set<number>()
    for (const { arg: index, value } of stores) {
      const arg = kernel.args[index]
      if (!arg) fail(`${where}: store to argument ${index}, but there are ${kernel.args.length}`)
      if (arg.mode === 'read') fail(`${where}: store to argument ${index}, which is read-only`)
      if (arg.per !== per) fail(`${where}: store to argument ${index}, which is per ${arg.per}, not per ${per}`)
      if (arg.dtype.compute !== value.type)
        fail(
          `${where}: ${value.type} stored to argument ${index}, but ${arg.dtype.name} computes in ${arg.dtype.compute}`,
        )
      if (here.has(index)) fail(`${where}: argument ${index} is stored twice`)
      here.add(index)
      written.add(index)
    }
  }

  const checkReduce = (pass: ReducePass, at: number, where: string): void => {
    const { init, step, merge } = pass
    if (init.length === 0) fail(`${where}: a reduce pass needs an accumulator`)
    if (step.length !== init.length || merge.length !== init.length)
      fail(
        `${where}: ${init.length} init, ${step.length} step and ${merge.length} merge expressions; expected as many of each`,
      )
    init.forEach((e, i) => {
      if (e.op !== 'const') fail(`${where}: init ${i} is not a constant`)
      if (step[i].type !== e.type) fail(`${where}: step ${i} gives ${step[i].type}, but the accumulator is ${e.type}`)
      if (merge[i].type !== e.type)
        fail(`${where}: merge ${i} gives ${merge[i].type}, but the accumulator is ${e.type}`)
    })
    check(step, 'step', at, `${where} step`, init)
    check(merge, 'merge', at, `${where} merge`, init)
  }

  const checkAfter = (arg: Arg, { arg: place, bytes }: NonNullable<Arg['after']>, i: number): void => {
    const first = kernel.args[place]
    const alike = first?.mode === 'read' && arg.mode === 'read' && arg.per === first.per && arg.dtype === first.dtype
    if (!alike || first.after) fail(`argument ${i} lies after argument ${place}, which is not read in the same way`)
    if (bytes < 0 || arg.dtype.itemsize < 4) fail(`argument ${i} can't lie ${bytes} bytes after another`)
  }

  kernel.passes.forEach((pass, at) => {
    const where = `pass ${at}`
    if (pass.kind === 'reduce') {
      checkReduce(pass, at, where)
      return
    }
    if (pass.stores.length === 0) fail(`${where}: a map pass needs a store`)
    checkStores(pass.stores, 'element', where)
    check(
      pass.stores.map((s) => s.value),
      'map',
      at,
      where,
    )
  })
  checkStores(kernel.rowStores, 'row', 'row stores')
  check(
    kernel.rowStores.map((s) => s.value),
    'row',
    kernel.passes.length,
    'row stores',
  )
  kernel.args.forEach((arg, i) => {
    if (arg.mode === 'write' && !written.has(i)) fail(`argument ${i} is write-only but nothing is stored to it`)
    if (arg.mode !== 'read' && arg.per === 'table') fail(`argument ${i} is a table, which is only read`)
    if (arg.after) checkAfter(arg, arg.after, i)
  })
}
