// Printed forms, letter for letter as PyTorch 2.13 prints them: tensors, print options, modules, sizes, and values as
// Python's repr() writes them. Pure functions of numbers and strings: no Tensor and no Module class is known here.

/** The dtypes that print. */
export type PrintableDtype =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'complex64'
  | 'complex128'

/** An element as the printer takes it. */
export type PrintableValue = number | bigint | boolean | { readonly re: number; readonly im: number }

/** What is printed after the elements of a tensor; `device` only where it is not the default one. */
export interface TensorSuffixes {
  device?: string
  requiresGrad?: boolean
  gradFn?: string
}

/** A tensor as the printer sees it; `at` takes a row-major position, and its absence means a tensor without data. */
export interface PrintableTensor {
  sizes: readonly number[]
  dtype: PrintableDtype
  at?: (position: number) => PrintableValue
  suffixes?: TensorSuffixes
}

/** How tensors print (`torch.set_printoptions`): `sciMode` null lets the printer choose for each tensor. */
export interface PrintOptions {
  precision: number
  threshold: number
  edgeitems: number
  linewidth: number
  sciMode: boolean | null
}

/** The arguments of {@link setPrintoptions}: what is absent or null stays as it is, but `sciMode` goes back to null. */
export type PrintOptionChanges = { [K in keyof PrintOptions]?: PrintOptions[K] | null } & {
  profile?: PrintProfile | null
}

/** The named sets of print options. */
export type PrintProfile = 'default' | 'short' | 'full'

/** Options of one call of {@link formatTensor}: they override the ones that are set. */
export interface FormatOptions extends Partial<PrintOptions> {
  /** The dtype that goes without saying (`torch.get_default_dtype()`); float32 unless told. */
  defaultDtype?: PrintableDtype
  /** The word before the parenthesis, a subclass's name; `tensor` unless told. */
  name?: string
}

const profiles: Record<PrintProfile, Omit<PrintOptions, 'sciMode'>> = {
  default: { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80 },
  short: { precision: 2, threshold: 1000, edgeitems: 2, linewidth: 80 },
  full: { precision: 4, threshold: Number.POSITIVE_INFINITY, edgeitems: 3, linewidth: 80 },
}

let current: PrintOptions = { ...profiles.default, sciMode: null }

/** Changes how tensors print, as `torch.set_printoptions`: the profile first, then what is named beside it. */
export function setPrintoptions(changes: PrintOptionChanges = {}): void {
  const { profile, sciMode, ...rest } = changes
  if (profile != null && !Object.hasOwn(profiles, profile)) {
    throw new RangeError(`setPrintoptions: profile must be 'default', 'short' or 'full', got '${profile}'`)
  }
  const base = profile == null ? current : profiles[profile]
  const next: PrintOptions = {
    precision: rest.precision ?? base.precision,
    threshold: rest.threshold ?? base.threshold,
    edgeitems: rest.edgeitems ?? base.edgeitems,
    linewidth: rest.linewidth ?? base.linewidth,
    sciMode: sciMode ?? null,
  }
  for (const key of ['precision', 'edgeitems'] as const) {
    if (!Number.isInteger(next[key]) || next[key] < 0) {
      throw new RangeError(`setPrintoptions: ${key} must be a non-negative integer, got ${next[key]}`)
    }
  }
  current = next
}

/** A copy of the print options, which {@link setPrintoptions} takes back. */
export function getPrintoptions(): PrintOptions {
  return { ...current }
}

/** A tensor's printed form, `tensor([[1., 2.]], dtype=torch.float64)`; reads each printed element once, no other. */
export function formatTensor(source: PrintableTensor, options: FormatOptions = {}): string {
  const { defaultDtype = 'float32', name = 'tensor', ...overrides } = options
  const settings: PrintOptions = { ...current, ...overrides }
  const { sizes, dtype, at, suffixes = {} } = source

  const prefix = `${name}(`
  const empty = sizes.includes(0)
  const tail: string[] = []
  if (suffixes.device !== undefined) tail.push(`device='${suffixes.device}'`)
  // No element tells the dtype of an empty tensor, so it is left out for the default one only.
  const plain = ['int64', 'bool', defaultDtype === 'float64' ? 'complex128' : 'complex64']
  const dtypeIsPlain = dtype === defaultDtype || (at !== undefined && !empty && plain.includes(dtype))
  const sizeIsPlain = at !== undefined && (empty ? sizes.length === 1 : settings.edgeitems > 0)
  if (!sizeIsPlain) tail.push(`size=${formatTuple(sizes)}`)
  if (!dtypeIsPlain) tail.push(`dtype=torch.${dtype}`)
  if (suffixes.gradFn !== undefined) tail.push(`grad_fn=<${suffixes.gradFn}>`)
  else if (suffixes.requiresGrad) tail.push('requires_grad=True')

  const contents = at === undefined ? '...' : empty ? '[]' : formatElements(sizes, dtype, at, prefix.length, settings)
  return appendSuffixes(prefix + contents, tail, prefix.length, settings.linewidth)
}

function formatElements(
  sizes: readonly number[],
  dtype: PrintableDtype,
  at: (position: number) => PrintableValue,
  indent: number,
  settings: PrintOptions,
): string {
  const numel = sizes.reduce((product, size) => product * size, 1)
  const edge = numel > settings.threshold ? settings.edgeitems : Number.POSITIVE_INFINITY
  const { cells, width } = formatCells(readVisible(sizes, edge, at), dtype, settings)
  if (sizes.length === 0) return cells[0]

  const last = sizes.length - 1
  let cursor = 0
  const layout = (dim: number, margin: number): string => {
    const size = sizes[dim]
    const folded = size > 2 * edge
    const count = folded ? 2 * edge : size
    if (dim === last) {
      const row = cells.slice(cursor, cursor + count)
      cursor += count
      if (folded) row.splice(edge, 0, edge === 0 ? '...' : ' ...')
      const perLine = Math.max(1, Math.floor((settings.linewidth - margin) / (width + 2)))
      return wrapRow(row, margin, perLine)
    }
    const parts = Array.from({ length: count }, () => layout(dim + 1, margin + 1))
    if (folded) parts.splice(edge, 0, '...')
    return `[${parts.join(`,${'\n'.repeat(last - dim)}${' '.repeat(margin + 1)}`)}]`
  }
  return layout(0, indent)
}

// The elements that print, in order: `edge` from either end of each dimension longer than both ends together.
function readVisible<T>(sizes: readonly number[], edge: number, at: (position: number) => T): T[] {
  const values: T[] = []
  const visit = (dim: number, position: number): void => {
    if (dim === sizes.length) {
      values.push(at(position))
      return
    }
    const size = sizes[dim]
    const folded = size > 2 * edge
    const count = folded ? 2 * edge : size
    for (let k = 0; k < count; k++) {
      visit(dim + 1, position * size + (folded && k >= edge ? size - count + k : k))
    }
  }
  visit(0, 0)
  return values
}

// Elements as text of one width. Only finite non-zero floats decide on the notation and on the width, as in PyTorch:
// a wider zero, nan or infinity sticks out.
function formatCells(given: readonly PrintableValue[], dtype: PrintableDtype, settings: PrintOptions): Cells {
  if (dtype.startsWith('complex')) return formatComplexCells(given as readonly { re: number; im: number }[], settings)
  const values = given as readonly (number | bigint | boolean)[]
  if (dtype === 'bool') return padCells(values.map((value) => formatBoolean(Boolean(value))))
  if (!dtype.includes('float')) return padCells(values.map((value) => BigInt(value).toString()))

  return formatFloatCells(values.map(Number), settings)
}

function formatFloatCells(numbers: readonly number[], settings: PrintOptions): Cells {
  let integral = true
  let smallest = Number.POSITIVE_INFINITY
  let largest = 0
  for (const value of numbers) {
    if (!Number.isFinite(value) || value === 0) continue
    integral &&= Number.isInteger(value)
    smallest = Math.min(smallest, Math.abs(value))
    largest = Math.max(largest, Math.abs(value))
  }
  const { precision } = settings
  const chosen = settings.sciMode ?? (largest / smallest > 1000 || largest > 1e8 || smallest < 1e-4)
  const scientific = largest > 0 && chosen
  const format = (value: number): string => {
    if (scientific) return formatExponential(value, precision)
    if (!integral) return formatFixed(value, precision)
    return Number.isFinite(value) ? `${formatFixed(value, 0)}.` : formatFixed(value, 0)
  }
  return padCells(numbers.map(format), (i) => Number.isFinite(numbers[i]) && numbers[i] !== 0)
}

// Real and imaginary parts have a notation and a width each.
function formatComplexCells(values: readonly { re: number; im: number }[], settings: PrintOptions): Cells {
  const re = formatFloatCells(
    values.map((v) => v.re),
    settings,
  )
  const im = formatFloatCells(
    values.map((v) => v.im),
    settings,
  )
  const cells = values.map((_, i) => {
    const imaginary = im.cells[i].trimStart()
    return `${re.cells[i]}${imaginary.startsWith('-') ? '' : '+'}${imaginary}j`
  })
  return { cells, width: re.width + im.width + 1 }
}

interface Cells {
  cells: string[]
  width: number
}

function padCells(texts: string[], counts: (index: number) => boolean = () => true): Cells {
  const width = texts.reduce((most, text, i) => (counts(i) ? Math.max(most, text.length) : most), 1)
  return { cells: texts.map((text) => text.padStart(width)), width }
}

function wrapRow(row: readonly string[], margin: number, perLine: number): string {
  const lines: string[] = []
  for (let i = 0; i < row.length; i += perLine) lines.push(row.slice(i, i + perLine).join(', '))
  return `[${lines.join(`,\n${' '.repeat(margin + 1)}`)}]`
}

function appendSuffixes(text: string, suffixes: readonly string[], indent: number, linewidth: number): string {
  let result = text
  // Two more than the last line's length: PyTorch's own count, which decides what wraps.
  let column = text.length - text.lastIndexOf('\n') + 1
  for (const suffix of suffixes) {
    if (column + suffix.length + 2 > linewidth) {
      result += `,\n${' '.repeat(indent)}${suffix}`
      column = indent + suffix.length
    } else {
      result += `, ${suffix}`
      column += suffix.length + 2
    }
  }
  return `${result})`
}

/** A number with `precision` decimals, as Python's `f'{x:.4f}'`: the exact value rounded half to even. */
export function formatFixed(value: number, precision: number): string {
  if (!Number.isFinite(value)) return formatFloat(value)
  const { digits, scale } = exactDecimal(value)
  const rounded = scaleTenfold(digits, precision - scale)
    .toString()
    .padStart(precision + 1, '0')
  const point = rounded.length - precision
  return `${signOf(value)}${rounded.slice(0, point)}${precision > 0 ? `.${rounded.slice(point)}` : ''}`
}

/** A number in scientific notation, as Python's `f'{x:.4e}'`: the exact value rounded half to even. */
export function formatExponential(value: number, precision: number): string {
  if (!Number.isFinite(value)) return formatFloat(value)
  const { digits, scale } = exactDecimal(value)
  const length = digits.toString().length
  let exponent = value === 0 ? 0 : length - 1 - scale
  let rounded = scaleTenfold(digits, precision + 1 - length)
    .toString()
    .padEnd(precision + 1, '0')
  if (rounded.length > precision + 1) {
    rounded = rounded.slice(0, -1)
    exponent++
  }
  const fraction = precision > 0 ? `.${rounded.slice(1)}` : ''
  return `${signOf(value)}${rounded[0]}${fraction}${exponentSuffix(exponent)}`
}

// |value| = digits / 10 ** scale, with nothing lost: m / 2^k is m * 5^k / 10^k. JavaScript's own toFixed and
// toExponential round ties away from zero and stop at 1e21 and at 100 digits.
function exactDecimal(value: number): { digits: bigint; scale: number } {
  const bits = new BigUint64Array(Float64Array.of(value).buffer)[0]
  const field = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const mantissa = field === 0 ? fraction : fraction | 0x10000000000000n
  const power = Math.max(field, 1) - 1075
  if (power >= 0) return { digits: mantissa << BigInt(power), scale: 0 }
  return { digits: mantissa * 5n ** BigInt(-power), scale: -power }
}

// digits * 10 ** power, rounded half to even.
function scaleTenfold(digits: bigint, power: number): bigint {
  if (power >= 0) return digits * 10n ** BigInt(power)
  const divisor = 10n ** BigInt(-power)
  const quotient = digits / divisor
  const twiceRest = 2n * (digits % divisor)
  const up = twiceRest > divisor || (twiceRest === divisor && quotient % 2n === 1n)
  return up ? quotient + 1n : quotient
}

function signOf(value: number): string {
  return value < 0 || Object.is(value, -0) ? '-' : ''
}

function exponentSuffix(exponent: number): string {
  return `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** Values that have a Python form: undefined and null are `None`, arrays are tuples. */
export type PythonValue = number | bigint | boolean | string | null | undefined | readonly PythonValue[]

/** A JavaScript value as Python's repr: `True`, `None`, `'mean'`, `(5, 5)`; whole numbers are ints, others floats. */
export function formatValue(value: PythonValue): string {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return formatBoolean(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'string') return formatString(value)
  if (typeof value === 'number') {
    return Number.isInteger(value) && !Object.is(value, -0) ? BigInt(value).toString() : formatFloat(value)
  }
  return formatTuple(value)
}

/** A number as Python's repr of a float: `6.0`, `0.1`, `1e-05`, `inf`, `nan`. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return `${signOf(value)}inf`
  const [mantissa, power] = Math.abs(value).toExponential().split('e')
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 16) return `${signOf(value)}${mantissa}${exponentSuffix(exponent)}`
  const digits = mantissa.replace('.', '')
  if (exponent < 0) return `${signOf(value)}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${signOf(value)}${whole}.${digits.slice(exponent + 1) || '0'}`
}

/** `True` or `False`. */
export function formatBoolean(value: boolean): string {
  return value ? 'True' : 'False'
}

/** A string as Python's repr: in single quotes, or in double ones where only single ones occur inside. */
export function formatString(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'"
  const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\', ' ': ' ' }
  const body = value.replace(/[\\\p{C}\p{Z}]/gu, (char) => named[char] ?? escapeCodePoint(char.codePointAt(0) ?? 0))
  return `${quote}${quote === "'" ? body.replaceAll("'", "\\'") : body}${quote}`
}

function escapeCodePoint(code: number): string {
  const hex = code.toString(16)
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

/** Values as a Python tuple: `(5, 5)`, `(8,)`, `()`. */
export function formatTuple(values: readonly PythonValue[]): string {
  return `(${values.map(formatValue).join(', ')}${values.length === 1 ? ',' : ''})`
}

/** Values as a Python list: `[1, 2]`. */
export function formatList(values: readonly PythonValue[]): string {
  return `[${values.map(formatValue).join(', ')}]`
}

/** Arguments as in a Python call, names turned from camelCase: `1, 6, kernel_size=(5, 5)`; undefined ones left out. */
export function formatArguments(positional: readonly PythonValue[], named: Record<string, PythonValue> = {}): string {
  const parts = positional.map(formatValue)
  for (const [name, value] of Object.entries(named)) {
    if (value === undefined) continue
    parts.push(`${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}=${formatValue(value)}`)
  }
  return parts.join(', ')
}

/** A shape: `torch.Size([3, 4])`. */
export function formatSize(sizes: readonly number[]): string {
  return `torch.Size(${formatList(sizes)})`
}

/** A module's tree from its class name, its extra line(s), and its children as [name, printed form]. */
export function formatModule(
  name: string,
  extraRepr: string,
  children: readonly (readonly [string, string])[],
): string {
  const extra = extraRepr === '' ? [] : extraRepr.split('\n')
  if (extra.length === 1 && children.length === 0) return `${name}(${extraRepr})`
  return formatBlock(name, [...extra, ...children.map(([key, text]) => indentRest(`(${key}): ${text}`))])
}

/** A ModuleList, where neighbours of equal form are told once, `(0-3): 4 x Linear(...)`; no other container does so. */
export function formatModuleList(name: string, children: readonly string[]): string {
  const lines: string[] = []
  for (let start = 0, end = 0; start < children.length; start = end) {
    while (end < children.length && children[end] === children[start]) end++
    const range = end - start > 1 ? `(${start}-${end - 1}): ${end - start} x ` : `(${start}): `
    lines.push((range + children[start]).replaceAll('\n', '\n  '))
  }
  return formatBlock(name, lines)
}

function formatBlock(name: string, lines: readonly string[]): string {
  return lines.length === 0 ? `${name}()` : `${name}(\n  ${lines.join('\n  ')}\n)`
}

// Blank lines stay empty here, while a ModuleList indents them too: PyTorch has two versions of this function.
function indentRest(text: string): string {
  const [first, ...rest] = text.split('\n')
  return [first, ...rest.map((line) => (line.trim() === '' ? '' : `  ${line}`))].join('\n')
}
