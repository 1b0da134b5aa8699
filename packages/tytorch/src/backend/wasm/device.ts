// The WebAssembly device: compiles kernels when they are first run, one variant per way their operands lie in memory,
// and prepares launches so that a call allocates nothing.
import { RuntimeError } from '../../base/errors.ts'
import { type Kernel, refuseComplex } from '../../ir/kernel.ts'
import { type Dense, denseOf } from '../dense.ts'
import type { Device, Draws, Extent, FlatKernel, FourierArgs, Scalar } from '../device.ts'
import { memory, reserved } from '../memory.ts'
import type { Turns } from '../turns.ts'
import { type Code, compile } from './code.ts'
import { type Convolution, createConvolution } from './convolution.ts'
import { createPanels } from './dense.ts'
import { scalarOffset } from './descriptor.ts'
import { createDraws } from './draws.ts'
import { detect, type Host } from './features.ts'
import { foldInParts, inParts, type Parts } from './folds.ts'
import { createFourier } from './fourier.ts'
import { Layout } from './layout.ts'
import { emitFlat, isDivision, type Kinds, nodesOf } from './loops.ts'
import { createMatmul, type Matmul } from './matmul.ts'
import { createMoves, type Moves } from './moves.ts'
import { routines } from './routines.ts'
import { emitRows } from './rows.ts'
import type { Access } from './storage.ts'
import { type Cuttable, cuttable, launchCut, PIECE_NS, threadedFlat } from './threads.ts'
import { emitTiles } from './tiles.ts'
import { createTurns } from './turns.ts'

type Strides = readonly (readonly [number, number, number])[]

/** One kernel: what its launches need to know, and its compiled variants. */
interface Compiled {
  readonly divides: boolean
  readonly layout: Layout
  readonly cut: Cuttable
  /** Undefined until it is asked for. */
  parts: Parts | null | undefined
  readonly flats: Map<string, FlatKernel>
  readonly runs: Map<number, Code<Run>>
}

type Run = (descriptor: number) => void

/** A device that runs kernels as WebAssembly SIMD on the CPU tensors' memory. */
export function createWasmDevice(host: Host = detect()): Device {
  let matmul: Matmul | null = null
  let moves: Moves | null = null
  let convolution: Convolution | null = null
  let dense: Dense | null = null
  let turns: Turns | null = null
  let draws: Draws | null = null
  let fourier: ((args: FourierArgs) => void) | null = null
  const byKernel = new WeakMap<Kernel, Compiled>()
  const bySignature = new Map<string, Compiled>()

  const compiled = (kernel: Kernel): Compiled => {
    let found = byKernel.get(kernel)
    if (!found) {
      const signature = signatureOf(kernel)
      found = bySignature.get(signature) ?? prepare(kernel)
      bySignature.set(signature, found)
      byKernel.set(kernel, found)
    }
    return found
  }

  const flat = (kernel: Kernel, access: string): FlatKernel => {
    const { flats, divides, cut } = compiled(kernel)
    let run = flats.get(access)
    if (!run) {
      const kinds = [...access] as Access['kind'][]
      const raw = threadedFlat(compile<FlatKernel>(emitFlat(kernel, kinds, host, memory)), cut, access)
      run = divides ? (n, ...operands) => guarded(() => raw(n, ...operands)) : raw
      flats.set(access, run)
    }
    return run
  }

  const launch = (
    kernel: Kernel,
    extent: Extent,
    pointers: readonly number[],
    strides: Strides,
    scalars: readonly Scalar[],
  ): void => {
    const found = compiled(kernel)
    const { layout, cut } = found
    if (extent[0] * extent[1] * extent[2] * cut.cost >= 2 * PIECE_NS && !layout.free) {
      if (found.parts === undefined) found.parts = inParts(kernel)
      const { parts } = found
      if (parts && foldInParts(parts, cut.cost, extent, pointers, strides, scalars, planned, launch)) return
    }
    if (!layout.plan(extent, strides)) return
    const first = variant(kernel, found)
    if (layout.axis !== 'tiles') {
      describe(kernel, layout, pointers, 0, 0, scalars)
      start(found, first)
      return
    }
    const [elements, rows] = layout.extent
    const [inner, whole] = [elements & ~3, rows & ~3]
    const part = (run: Code<Run>, n: number, m: number, element: number, row: number): void => {
      layout.extent[0] = n
      layout.extent[1] = m
      describe(kernel, layout, pointers, element, row, scalars)
      start(found, run)
    }
    part(first, inner, whole, 0, 0)
    if (inner === elements && whole === rows) return
    layout.untile()
    const rest = variant(kernel, found)
    if (inner < elements) part(rest, elements - inner, rows, inner, 0)
    if (whole < rows) part(rest, inner, rows - whole, 0, whole)
  }

  /** The code of a launch that needs no tiles, with its descriptor written. */
  const planned = (
    kernel: Kernel,
    extent: Extent,
    pointers: readonly number[],
    strides: Strides,
    scalars: readonly Scalar[],
  ): Code<Run> => {
    const found = compiled(kernel)
    found.layout.plan(extent, strides)
    describe(kernel, found.layout, pointers, 0, 0, scalars)
    return variant(kernel, found)
  }

  /** The compiled variant that a kernel's layout asks for. */
  const variant = (kernel: Kernel, { layout, runs }: Compiled): Code<Run> => {
    let run = runs.get(layout.code)
    if (!run) {
      const kinds = layout.kinds()
      const bytes =
        layout.axis === 'tiles'
          ? emitTiles(kernel, kinds, host, memory)
          : emitRows(kernel, layout.axis, kinds as Kinds, host, memory)
      run = compile<Run>(bytes)
      runs.set(layout.code, run)
    }
    return run
  }

  return {
    name: 'wasm',
    get draws() {
      draws ??= createDraws(host)
      return draws
    },
    fourier(args) {
      fourier ??= createFourier(host)
      fourier(args)
    },
    flat,
    launch,
    host: (_name, pointers, _access, run) => run(pointers),
    matmul(dtype, args, epilogue) {
      matmul ??= createMatmul(host, launch)
      matmul(dtype, args, epilogue)
    },
    convolution(dtype, part, args) {
      convolution ??= createConvolution(host)
      convolution(dtype, part, args)
    },
    pickRows(args) {
      moves ??= createMoves()
      moves.pickRows(args)
    },
    joinBlocks(to, pointers, count, bytes) {
      moves ??= createMoves()
      moves.joinBlocks(to, pointers, count, bytes)
    },
    routines,
    dense() {
      dense ??= denseOf(this.matmul, (dtype) => createPanels(dtype, host))
      return dense
    },
    turns() {
      turns ??= createTurns()
      return turns
    },
  }
}

function prepare(kernel: Kernel): Compiled {
  refuseComplex(kernel)
  if (scalarOffset(kernel, kernel.scalars.length) > reserved.scratch - reserved.descriptor) {
    throw new Error(`kernel '${kernel.name}' has too many arguments: ${kernel.args.length}`)
  }
  const divides = nodesOf(kernel).some(isDivision)
  const layout = new Layout(kernel)
  return { divides, layout, cut: cuttable(kernel, layout.free), parts: undefined, flats: new Map(), runs: new Map() }
}

/** Writes the launch descriptor, for operands from `element` and `row` on. */
function describe(
  kernel: Kernel,
  plan: Layout,
  pointers: readonly number[],
  element: number,
  row: number,
  scalars: readonly Scalar[],
): void {
  const { i32, i64, f32, f64 } = memory.views
  let word = reserved.descriptor >> 2
  i32[word] = plan.extent[2]
  i32[word + 1] = plan.extent[1]
  i32[word + 2] = plan.extent[0]
  for (let i = 0; i < pointers.length; i++) {
    word += 4
    i32[word] = pointers[i] + element * plan.strides[0][i] + row * plan.strides[1][i]
    i32[word + 1] = plan.strides[2][i]
    i32[word + 2] = plan.strides[1][i]
    i32[word + 3] = plan.strides[0][i]
  }
  for (let i = 0; i < kernel.scalars.length; i++) {
    const type = kernel.scalars[i]
    const at = reserved.descriptor + scalarOffset(kernel, i)
    if (type === 'i64') i64[at >> 3] = BigInt(scalars[i])
    else if (type === 'f64') f64[at >> 3] = Number(scalars[i])
    else if (type === 'f32') f32[at >> 2] = Number(scalars[i])
    else i32[at >> 2] = Number(scalars[i])
  }
}

/** Equal for kernels that compute the same; expressions are hash-consed, so their ids name them. */
function signatureOf(kernel: Kernel): string {
  const ids = (list: readonly { readonly id: number }[]): string => list.map((e) => e.id).join(' ')
  const stores = (list: Kernel['rowStores']): string => list.map((s) => `${s.arg}=${s.value.id}`).join(' ')
  const passes = kernel.passes.map((p) =>
    p.kind === 'map' ? stores(p.stores) : `${ids(p.init)}/${ids(p.step)}/${ids(p.merge)}${p.unbroken ? '!' : ''}`,
  )
  const args = kernel.args.map((a) => `${a.dtype.name} ${a.per}${a.after ? ` ${a.after.arg}+${a.after.bytes}` : ''}`)
  return [args.join(), kernel.scalars.join(), ...passes, stores(kernel.rowStores)].join('|')
}

function start({ divides, cut, layout }: Compiled, code: Code<Run>): void {
  if (divides) guarded(() => go(cut, layout, code))
  else go(cut, layout, code)
}

function go(cut: Cuttable, layout: Layout, code: Code<Run>): void {
  if (!launchCut(code, cut, layout)) code.run(reserved.descriptor)
}

/** Integer division by zero traps; PyTorch's error is a RuntimeError. */
function guarded(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (error instanceof Error && error.name === 'RuntimeError' && /(divide|remainder) by zero/.test(error.message)) {
      throw new RuntimeError('ZeroDivisionError')
    }
    throw error
  }
}
