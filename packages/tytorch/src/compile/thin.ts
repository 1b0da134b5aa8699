// Thin matrix products: with a small inner size a product is an element-wise sum of a few terms, with a small outer size it
// is a few sums over rows. As kernels they are joined with what is around them, so that the large matrix is read once.
import { dtypes } from '../base/dtype.ts'
import { acc, constant, type Expr, k, load, other, result } from '../ir/expr.ts'
import type { Arg, Kernel, ReducePass, Store } from '../ir/kernel.ts'
import { weightOfAll } from './expressions.ts'
import { type Part, partOf, type Slot, stepOf } from './part.ts'
import { productSize } from './regions.ts'
import type { LaunchStep, MatmulStep, Operand, Step } from './trace.ts'
import { usesOf } from './uses.ts'

/** Inner and outer sizes that count as small. */
const THIN = 8
/** Rows (columns of the large matrix) that lanes run along: with fewer, most of them would idle. */
const LEAST_ROWS = 32
/** Sums that fit in registers beside what they are made of. */
export const SUMS = 10

/** The steps with those thin products as launches that may pay, but for the `refused`. */
export function thinned(steps: readonly Step[], refused: ReadonlySet<Step>): Step[] {
  const products = steps.filter((s): s is MatmulStep => s.kind === 'matmul' && !refused.has(s) && isPlain(s))
  const folding = products.filter((s) => folds(s) && isShared(steps, s))
  const able = new Set<Step>(folding)
  for (const s of products)
    if (isTerms(s) && folding.some((f) => meet(s, f)) && staysInside(steps, s, able)) able.add(s)
  return steps.map((s) => (s.kind === 'matmul' && able.has(s) ? (isTerms(s) ? terms(s) : sums(s)) : s))
}

function isPlain({ dtype, epilogue, args: { m, n, k, batch } }: MatmulStep): boolean {
  return !batch && !epilogue && m * n * k > 0 && (dtype === 'float32' || dtype === 'float64')
}

function isTerms({ args: { m, n, k } }: MatmulStep): boolean {
  return k <= THIN && Math.max(m, n) >= LEAST_ROWS
}

/** True for a few sums over each column of a matrix whose columns lie side by side. */
function folds(step: MatmulStep): boolean {
  const { m, n, k, aRow, bCol } = step.args
  const few = Math.min(m, n) <= THIN && Math.max(m, n) >= LEAST_ROWS && k > THIN
  return few && (n <= m ? aRow : bCol) === 1
}

/** The matrix whose columns a product sums. */
const largeOf = ({ a, b, args: { m, n } }: MatmulStep): Operand => (n <= m ? a : b)

/** True if the large matrix is made here and by a kernel, or more than this one product uses it. */
function isShared(steps: readonly Step[], step: MatmulStep): boolean {
  const { buffer } = largeOf(step)
  if (buffer.kind !== 'temporary') return false
  return steps.some((s) => s !== step && s.kind === 'launch' && s.operands.some((o) => o.buffer === buffer))
}

/** True if `fold` may be a sum over the columns of what `product` computes, or of a matrix of its size. */
function meet({ args: { m, n } }: MatmulStep, { args }: MatmulStep): boolean {
  return args.k === m && Math.max(args.m, args.n) === n
}

/** True if no other product, and no routine, reads what is made of a product element by element: it need not be stored. */
function staysInside(steps: readonly Step[], product: MatmulStep, able: ReadonlySet<Step>): boolean {
  const made = new Set([product.c.buffer])
  for (const step of steps.slice(steps.indexOf(product) + 1)) {
    const uses = usesOf(step)
    if (able.has(step) || !uses.some((u) => u.reads && made.has(u.operand.buffer))) continue
    if (step.kind !== 'launch') return false
    const whole = step.kernel.passes.every((pass) => pass.kind === 'map')
    if (whole) for (const u of uses) if (u.writes) made.add(u.operand.buffer)
  }
  return [...made].every((b) => b.kind === 'temporary')
}

/** Products whose launch is none that pays, or only together with another one. */
export function unfit(step: Step): readonly MatmulStep[] {
  const part = step.kind === 'launch' ? partOf(step) : null
  return part && part.products.length > 0 && !pays(part) ? part.products : []
}

/**
 * A kernel of products pays if it folds columns of a matrix that lie side by side, and does more with them than the sums
 * of one product, which tiles compute as fast.
 */
function pays(part: Part): boolean {
  const { reduces, space, slots, products } = part
  if (reduces.length !== 1 || part.stores.length > 0 || space[0] !== 1 || space[1] < LEAST_ROWS) return false
  const [{ args }] = products
  if (products.length === 1 && weightOfAll(reduces[0].step) <= Math.min(args.m, args.n)) return false
  let columns = 0
  for (const s of slots) {
    if (s.per === 'row' || s.strides[2] === 0) continue
    if (s.strides[1] === s.dtype.itemsize) columns++
    else if (s.strides[1] !== 0) return false
  }
  return columns > 0
}

/** Slots and arguments of a kernel that is being made. */
class Draft {
  readonly args: Arg[] = []
  readonly operands: Operand[] = []
  readonly strides: [number, number, number][] = []
  private readonly step: MatmulStep
  private readonly size: number

  constructor(step: MatmulStep) {
    this.step = step
    this.size = productSize(step)
  }

  get type(): 'f32' | 'f64' {
    return this.step.dtype === 'float64' ? 'f64' : 'f32'
  }

  /** An argument `offset` elements after an operand, with strides in elements. */
  add(at: Operand, offset: number, row: number, element: number, per: Arg['per'], mode: Arg['mode'] = 'read'): number {
    const { size } = this
    const dtype = dtypes.find((d) => d.name === this.step.dtype)!
    this.operands.push({ buffer: at.buffer, offset: at.offset + offset * size })
    this.strides.push([0, row * size, element * size])
    return this.args.push({ dtype, mode, per }) - 1
  }

  read(at: Operand, offset: number, row: number, element: number, per: Arg['per'] = 'element'): Expr {
    return load(this.add(at, offset, row, element, per), this.type)
  }

  /** The launch; its part knows of which product it is. */
  launch(rows: number, elements: number, passes: Kernel['passes'], rowStores: readonly Store[]): LaunchStep {
    const { args, operands, strides, step } = this
    const { m, n, k } = step.args
    const kernel: Kernel = { name: `product ${m}x${k}x${n}`, args, scalars: [], passes, rowStores }
    const launch: LaunchStep = { kind: 'launch', kernel, extent: [1, rows, elements], operands, strides, scalars: [] }
    const part = partOf(launch)
    return part ? stepOf({ ...part, products: [step] }) : launch
  }
}

/** A product with a few k: the sum of its terms, element by element. */
function terms(step: MatmulStep): LaunchStep {
  const { m, n, k: depth, aRow, aCol, bRow, bCol, cRow, accumulate } = step.args
  const draft = new Draft(step)
  const to = draft.add(step.c, 0, cRow, 1, 'element', accumulate ? 'update' : 'write')
  let value: Expr | null = null
  if (accumulate) value = load(to, draft.type)
  if (step.bias) {
    const bias = draft.read(step.bias, 0, 0, 1)
    value = value ? k.add(value, bias) : bias
  }
  for (let l = 0; l < depth; l++) {
    const a = draft.read(step.a, l * aCol, aRow, 0)
    const b = draft.read(step.b, l * bRow, 0, bCol)
    value = value ? k.madd(a, b, value) : k.mul(a, b)
  }
  return draft.launch(m, n, [{ kind: 'map', stores: [{ arg: to, value: value as Expr }] }], [])
}

/** A product with a few rows or columns: as many sums over each column or row of the large matrix. */
function sums(step: MatmulStep): LaunchStep {
  const { m, n, k: depth, aRow, aCol, bRow, bCol, cRow, accumulate } = step.args
  const draft = new Draft(step)
  const tall = n <= m
  const [rows, few] = tall ? [m, n] : [n, m]
  const large = tall ? draft.read(step.a, 0, aRow, aCol) : draft.read(step.b, 0, bCol, bRow)
  const { type } = draft
  const terms: Expr[] = []
  const rowStores: Store[] = []
  for (let i = 0; i < few; i++) {
    const small = tall ? draft.read(step.b, i * bCol, 0, bRow) : draft.read(step.a, i * aRow, 0, aCol)
    terms.push(k.madd(small, large, acc(i, type)))
    const [offset, row] = tall ? [i, cRow] : [i * cRow, 1]
    const to = draft.add(step.c, offset, row, 0, 'row', accumulate ? 'update' : 'write')
    let value = result(0, i, type)
    if (step.bias) value = k.add(value, draft.read(step.bias, tall ? i : 0, tall ? 0 : 1, 0, 'row'))
    rowStores.push({ arg: to, value: accumulate ? k.add(load(to, type), value) : value })
  }
  const pass: ReducePass = {
    kind: 'reduce',
    init: terms.map(() => constant(0, type)),
    step: terms,
    merge: terms.map((_, i) => k.add(acc(i, type), other(i, type))),
  }
  return draft.launch(rows, depth, [pass], rowStores)
}

/**
 * A joined launch of products in the form that back ends like best: what stays the same along a row is read once a row,
 * and columns of one small matrix share a pointer.
 */
export function settled(step: Step): Step {
  const part = step.kind === 'launch' ? partOf(step) : null
  if (!part || part.products.length === 0) return step
  const written = new Set([...part.stores, ...part.rowStores].map((s) => s.arg))
  const slots = part.slots.map((s, i): Slot => {
    const fixed = s.per === 'element' && s.strides[2] === 0 && !written.has(i) && !s.gathered
    return fixed ? { ...s, per: 'row' } : s
  })
  const launch = stepOf({ ...part, slots })
  const args = launch.kernel.args.map((arg, i): Arg => {
    const first = firstOf(slots, i, written)
    return first === i || arg.dtype.itemsize < 4
      ? arg
      : { ...arg, after: { arg: first, bytes: slots[i].offset - slots[first].offset } }
  })
  return { ...launch, kernel: { ...launch.kernel, args } }
}

/** The slot with the lowest address among those that are walked just like slot `i` and are only read. */
function firstOf(slots: readonly Slot[], i: number, written: ReadonlySet<number>): number {
  if (written.has(i) || slots[i].gathered) return i
  let first = i
  for (const [j, s] of slots.entries()) {
    const { buffer, offset, per, dtype, strides, gathered } = s
    if (written.has(j) || gathered || buffer !== slots[i].buffer || per !== slots[i].per || dtype !== slots[i].dtype)
      continue
    if (!strides.every((n, axis) => n === slots[i].strides[axis])) continue
    if (offset < slots[first].offset) first = j
  }
  return first
}
