// Kernels as text: one line an operation, shared subexpressions named once. For golden files, `explain` and as a key.
import { type Expr, sources, topological } from './expr.ts'
import type { Kernel } from './kernel.ts'

/** Shortest decimal that reads back as the same float32. */
function float32Text(x: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = Number(x.toPrecision(digits))
    if (Math.fround(text) === x) return String(text)
  }
  return String(x)
}

/** A constant as text: `-0`, `NaN`, `5n` for i64, a shortest decimal for f32. */
export function showConstant(e: Extract<Expr, { op: 'const' }>): string {
  if (typeof e.value === 'bigint') return `${e.value}n`
  if (Object.is(e.value, -0)) return '-0'
  return e.type === 'f32' && Number.isFinite(e.value) ? float32Text(e.value as number) : String(e.value)
}

/** Lines of the operations under some roots, and each root's name. */
function body(roots: readonly Expr[]): { lines: string[]; names: string[] } {
  const names = new Map<Expr, string>()
  const lines: string[] = []
  for (const e of topological(roots)) {
    const leaf = leafName(e)
    if (leaf) {
      names.set(e, leaf)
      continue
    }
    const name = `v${lines.length}`
    names.set(e, name)
    const operands = sources(e).map((s) => names.get(s)!)
    if (e.op === 'load' || e.op === 'gather') operands.unshift(`a${e.arg}`)
    const op = e.op === 'call' ? `call ${e.fn}` : e.op
    lines.push(`${name}: ${e.type} = ${op} ${operands.join(', ')}`)
  }
  return { lines, names: roots.map((r) => names.get(r)!) }
}

function leafName(e: Expr): string | null {
  switch (e.op) {
    case 'const':
      return showConstant(e)
    case 'scalar':
      return `s${e.index}`
    case 'index':
      return 'index'
    case 'acc':
    case 'other':
      return `${e.op}${e.index}`
    case 'result':
      return `result${e.pass}.${e.index}`
    default:
      return null
  }
}

function storeLines(stores: readonly { arg: number; value: Expr }[]): string[] {
  const { lines, names } = body(stores.map((s) => s.value))
  return [...lines, ...stores.map((s, i) => `store a${s.arg}, ${names[i]}`)]
}

function foldLines(title: string, roots: readonly Expr[]): string[] {
  const { lines, names } = body(roots)
  return [`${title}:`, ...[...lines, ...names.map((name, i) => `acc${i} <- ${name}`)].map((l) => `  ${l}`)]
}

/** A text that two kernels share exactly when they mean the same operations on the same kinds of arguments. */
export function signature(kernel: Kernel): string {
  const out: string[] = []
  kernel.args.forEach((a, i) => {
    out.push(`a${i}: ${a.mode} ${a.dtype.name} per ${a.per}`)
  })
  kernel.scalars.forEach((type, i) => {
    out.push(`s${i}: ${type}`)
  })
  kernel.passes.forEach((pass, i) => {
    out.push(`pass ${i} ${pass.kind}`)
    const lines =
      pass.kind === 'map'
        ? storeLines(pass.stores)
        : [
            `init: ${pass.init.map((e) => `${body([e]).names[0]} ${e.type}`).join(', ')}`,
            ...foldLines('step', pass.step),
            ...foldLines('merge', pass.merge),
          ]
    out.push(...lines.map((l) => `  ${l}`))
  })
  if (kernel.rowStores.length > 0) out.push('row', ...storeLines(kernel.rowStores).map((l) => `  ${l}`))
  return out.join('\n')
}

/** The kernel as readable, stable text: its name, arguments, scalars, and the operations of each pass. */
export function show(kernel: Kernel): string {
  const lines = signature(kernel).split('\n')
  return [`kernel ${kernel.name}`, ...lines.map((l) => `  ${l}`)].join('\n')
}
