// Sums of products over named dimensions: einsum, tensordot, and inner products.
import { RuntimeError, ValueError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mul } from './arithmetic.ts'
import { bmm, dot, mm } from './linear.ts'
import { sum } from './reduce.ts'
import { diagonal } from './slice.ts'
import { permute, reshape, squeeze } from './view.ts'

/** A tensor with a name for each of its dimensions. */
interface Labelled {
  readonly x: Tensor
  readonly labels: readonly string[]
}

const LETTER = /[a-zA-Z]/

/** The labels of one operand's part of an equation; the dimensions of an ellipsis are named '.0', '.1', ... from the last. */
function parseLabels(text: string, where: string, offset: number): string[] {
  const labels: string[] = []
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === ' ') continue
    if (c === '.') {
      if (text.slice(i, i + 3) !== '...' || labels.includes('...')) {
        throw new RuntimeError(
          labels.includes('...')
            ? `einsum(): found '.' for ${where} for which an ellipsis was already found`
            : `einsum(): found '.' for ${where} that is not part of any ellipsis`,
        )
      }
      labels.push('...')
      i += 2
      continue
    }
    if (!LETTER.test(c)) {
      throw new RuntimeError(
        `einsum(): invalid subscript given at index ${offset + i} in the equation string, subscripts must be in [a-zA-Z]`,
      )
    }
    labels.push(c)
  }
  return labels
}

interface Equation {
  readonly inputs: readonly (readonly string[])[]
  readonly output: readonly string[] | null
}

function parseEquation(equation: string, operands: number): Equation {
  const arrow = equation.indexOf('->')
  const lhs = arrow < 0 ? equation : equation.slice(0, arrow)
  const parts = lhs.split(',')
  if (operands === 0) {
    throw new ValueError(
      'einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list',
    )
  }
  if (parts.length < operands)
    throw new RuntimeError('einsum(): more operands were provided than specified in the equation')
  if (parts.length > operands)
    throw new RuntimeError('einsum(): fewer operands were provided than specified in the equation')
  let offset = 0
  const inputs = parts.map((part, i) => {
    const labels = parseLabels(part, `operand ${i}`, offset)
    offset += part.length + 1
    return labels
  })
  const output = arrow < 0 ? null : parseLabels(equation.slice(arrow + 2), 'the output', arrow + 2)
  return { inputs, output }
}

/** The letter that stands for a number in the format of alternating operands and lists. */
function letterOf(n: number): string {
  if (!(n >= 0 && n < 52)) {
    throw new ValueError('einsum(): subscript in subscript list is not within the valid range [0, 52)')
  }
  return String.fromCharCode(n < 26 ? 65 + n : 97 + n - 26)
}

const lettersOf = (list: readonly (number | string)[]): string[] =>
  list.map((n) => (n === '...' ? '...' : letterOf(n as number)))

/** Replaces an ellipsis by names for the dimensions it stands for. */
function spelled(labels: readonly string[], rank: number, operand: number): string[] {
  const at = labels.indexOf('...')
  const named = labels.length - (at >= 0 ? 1 : 0)
  if (at < 0 ? named !== rank : named > rank) {
    throw new RuntimeError(
      `einsum(): the number of subscripts in the equation (${named}) ${at < 0 ? 'does not match' : 'is more than'} the number of dimensions (${rank}) for operand ${operand}${at < 0 ? ' and no ellipsis was given' : ''}`,
    )
  }
  if (at < 0) return [...labels]
  const covered = rank - named
  const dots = Array.from({ length: covered }, (_, i) => `.${covered - 1 - i}`)
  return [...labels.slice(0, at), ...dots, ...labels.slice(at + 1)]
}

/** Repeated labels made one by taking diagonals. */
function withoutRepeats(x: Tensor, labels: readonly string[], operand: number): Labelled {
  let found = x
  let names = [...labels]
  for (let i = 0; i < names.length; i++) {
    for (let j = names.indexOf(names[i], i + 1); j >= 0; j = names.indexOf(names[i], i + 1)) {
      if (found.sizes[i] !== found.sizes[j]) {
        throw new RuntimeError(
          `einsum(): subscript ${names[i]} is repeated for operand ${operand} but the sizes don't match, ${found.sizes[j]} != ${found.sizes[i]}`,
        )
      }
      const label = names[i]
      found = diagonal(found, 0, i, j)
      names = names.filter((_, d) => d !== i && d !== j)
      found = found.movedim(-1, i)
      names.splice(i, 0, label)
    }
  }
  return { x: found, labels: names }
}

/** Sums over the labels that `needed` refuses. */
function summed({ x, labels }: Labelled, needed: (label: string) => boolean): Labelled {
  const dims = labels.map((_, i) => i).filter((i) => !needed(labels[i]))
  if (dims.length === 0) return { x, labels }
  return { x: sum(x, dims), labels: labels.filter(needed) }
}

/** Without the dimensions of size 1 that the other operand has longer: they broadcast. */
function withoutOnes(a: Labelled, b: Labelled): Labelled {
  const dims = a.labels
    .map((_, i) => i)
    .filter((i) => {
      const j = b.labels.indexOf(a.labels[i])
      return a.x.sizes[i] === 1 && j >= 0 && b.x.sizes[j] !== 1
    })
  if (dims.length === 0) return a
  return { x: squeeze(a.x, dims), labels: a.labels.filter((_, i) => !dims.includes(i)) }
}

/** The product of two operands, summed over what they share and `needed` refuses. */
function contracted(first: Labelled, second: Labelled, needed: (label: string) => boolean): Labelled {
  let a = withoutOnes(first, second)
  let b = withoutOnes(second, first)
  a = summed(a, (l) => b.labels.includes(l) || needed(l))
  b = summed(b, (l) => a.labels.includes(l) || needed(l))
  const shared = a.labels.filter((l) => b.labels.includes(l))
  const batch = shared.filter(needed)
  const inner = shared.filter((l) => !needed(l))
  const left = a.labels.filter((l) => !shared.includes(l))
  const right = b.labels.filter((l) => !shared.includes(l))
  const arranged = ({ x, labels }: Labelled, ...groups: string[][]): Tensor => {
    const order = groups.flat().map((l) => labels.indexOf(l))
    const size = (group: string[]): number => numelOf(group.map((l) => x.sizes[labels.indexOf(l)]))
    return reshape(permute(x, order), groups.map(size))
  }
  const sizes = [...batch, ...left].map((l) => a.x.sizes[a.labels.indexOf(l)])
  const more = right.map((l) => b.x.sizes[b.labels.indexOf(l)])
  const product = bmm(arranged(a, batch, left, inner), arranged(b, batch, inner, right))
  return { x: reshape(product, [...sizes, ...more]), labels: [...batch, ...left, ...right] }
}

/** Throws RuntimeError unless every label has one size, 1 apart; answers the labels in order of appearance. */
function checkLabels(operands: readonly Tensor[], labels: readonly (readonly string[])[]): string[] {
  const sizes = new Map<string, number>()
  operands.forEach((x, i) => {
    labels[i].forEach((label, d) => {
      const seen = sizes.get(label) ?? 1
      const n = x.sizes[d]
      if (n !== 1 && seen !== 1 && n !== seen) {
        throw new RuntimeError(
          label.startsWith('.')
            ? `einsum(): operands do not broadcast with remapped shapes: the ellipsis of operand ${i} has size ${n} where ${seen} was seen`
            : `einsum(): subscript ${label} has size ${n} for operand ${i} which does not broadcast with previously seen size ${seen}`,
        )
      }
      sizes.set(label, n === 1 ? seen : n)
    })
  })
  return [...sizes.keys()]
}

function outputLabels(output: readonly string[] | null, labels: readonly (readonly string[])[]): string[] {
  const all = labels.flat()
  const dots = [...new Set(all.filter((l) => l.startsWith('.')))].sort(
    (a, b) => Number(b.slice(1)) - Number(a.slice(1)),
  )
  if (output === null) {
    const once = [...new Set(all)].filter((l) => !l.startsWith('.') && all.indexOf(l) === all.lastIndexOf(l))
    return [...dots, ...once.sort()]
  }
  output.forEach((label, i) => {
    if (label === '...') return
    if (output.indexOf(label) !== i)
      throw new RuntimeError(`einsum(): output subscript ${label} appears more than once in the output`)
    if (!all.includes(label)) {
      throw new RuntimeError(
        `einsum(): output subscript ${label} does not appear in the equation for any input operand`,
      )
    }
  })
  return output.flatMap((label) => (label === '...' ? dots : [label]))
}

function evaluate({ inputs, output }: Equation, operands: readonly Tensor[]): Tensor {
  const names = operands.map((x, i) => spelled(inputs[i], x.ndim, i))
  const wanted = outputLabels(output, names)
  const rest = operands.map((x, i) => withoutRepeats(x, names[i], i))
  checkLabels(
    rest.map((r) => r.x),
    rest.map((r) => r.labels),
  )
  let total = rest.shift() as Labelled
  while (rest.length > 0) {
    const next = rest.shift() as Labelled
    total = contracted(total, next, (l) => wanted.includes(l) || rest.some((r) => r.labels.includes(l)))
  }
  total = summed(total, (l) => wanted.includes(l))
  const order = wanted.map((l) => total.labels.indexOf(l))
  return order.every((d, i) => d === i) ? total.x : permute(total.x, order)
}

type Sublist = readonly (number | '...')[]

/**
 * Sums of products in Einstein's notation: `einsum('bij,bjk->bik', a, b)`; labels are letters, '...' broadcasts; without
 * '->' the output has the labels that come once, in order. Also as `einsum(a, [0, 1], b, [1, 2], [0, 2])`.
 */
export const einsum: (equation: string | Tensor, ...operands: (Tensor | readonly Tensor[] | Sublist)[]) => Tensor = op({
  name: 'einsum',
  signature: 'equation, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p',
  samples: (t) => [
    ['ij,jk->ik', t(3, 4), t(4, 2)],
    ['bij,bjk->bki', t(2, 3, 4), t(2, 4, 2)],
    ['ii->i', t(3, 3)],
    ['i,j->ij', t(3), t(4)],
    ['...ij,jk', t(2, 3, 4), t(4, 2)],
    ['ij->', t(3, 4)],
    ['ij,jk,kl->il', t(2, 3), t(3, 4), t(4, 2)],
  ],
  differentiable: true,
  forward: (equation: string | Tensor, ...given: (Tensor | readonly Tensor[] | Sublist)[]) => {
    if (typeof equation === 'string') {
      const operands = given.length === 1 && Array.isArray(given[0]) ? (given[0] as Tensor[]) : (given as Tensor[])
      return evaluate(parseEquation(equation, operands.length), operands)
    }
    const all = [equation, ...given]
    const operands: Tensor[] = []
    const inputs: string[][] = []
    let output: string[] | null = null
    for (let i = 0; i < all.length; i += 2) {
      if (i + 1 === all.length && !(all[i] instanceof Tensor)) {
        output = lettersOf(all[i] as Sublist)
        break
      }
      operands.push(all[i] as Tensor)
      inputs.push(lettersOf(all[i + 1] as Sublist))
    }
    return evaluate({ inputs, output }, operands)
  },
})

type Dims = number | readonly [Sizes, Sizes] | readonly Sizes[] | Tensor

/** The two lists of dimensions that `dims` of tensordot names. */
function listsOf(dims: Dims, a: Tensor, b: Tensor): [number[], number[]] {
  const given = dims instanceof Tensor ? (dims.count > 1 ? dims.tolist<number[][]>() : dims.item()) : dims
  if (typeof given !== 'number') {
    return [0, 1].map((i) => (typeof given[i] === 'number' ? [given[i] as unknown as number] : [...given[i]])) as [
      number[],
      number[],
    ]
  }
  if (given < 0) throw new RuntimeError(`tensordot expects dims >= 0, but got dims=${given}`)
  if (given > Math.min(a.ndim, b.ndim))
    throw new RuntimeError(`tensordot expects dims < ndim_a or ndim_b, but got dims=${given}`)
  return [Array.from({ length: given }, (_, i) => i - given), Array.from({ length: given }, (_, i) => i)]
}

/** The product of `a` and `b` summed over the last `dims` dimensions of `a` and the first of `b`, or over two lists of them. */
export const tensordot: (a: Tensor, b: Tensor, ...args: Args<[dims?: Dims], { readonly dims?: Dims }>) => Tensor = op({
  name: 'tensordot',
  signature: 'a, b, dims',
  samples: (t) => [
    [t(2, 3, 4), t(3, 4, 2)],
    [t(2, 3), t(3, 2), 1],
    [
      t(2, 3, 4),
      t(4, 2, 3),
      [
        [0, 2],
        [1, 0],
      ],
    ],
    [t(2), t(3), 0],
  ],
  differentiable: true,
  forward: (a: Tensor, b: Tensor, dims: Dims = 2) => {
    const [first, second] = listsOf(dims, a, b)
    if (first.length !== second.length) throw new RuntimeError('both dimension lists should have same length')
    if (a.dtype !== b.dtype) throw new RuntimeError('both inputs should have same dtype')
    let x = a
    let y = b
    const left = first.map((d) => wrapDim(d, a.ndim))
    const right = second.map((d) => wrapDim(d, b.ndim))
    for (let i = 0; i < left.length; i++) {
      const [n, m] = [a.sizes[left[i]], b.sizes[right[i]]]
      if (left.indexOf(left[i]) !== i || right.indexOf(right[i]) !== i)
        throw new RuntimeError(`dim ${first[i]} appears multiple times in the list of dims`)
      if (n === m) continue
      // A dimension of size 1 broadcasts: what it meets is summed.
      if (m === 1) x = sum(x, left[i], true)
      else if (n === 1) y = sum(y, right[i], true)
      else {
        throw new RuntimeError(
          `contracted dimensions need to match, but first has size ${n} in dim ${first[i]} and second has size ${m} in dim ${second[i]}`,
        )
      }
    }
    const rows = x.sizes.map((_, i) => i).filter((i) => !left.includes(i))
    const columns = y.sizes.map((_, i) => i).filter((i) => !right.includes(i))
    const size = (t: Tensor, list: readonly number[]): number[] => list.map((d) => t.sizes[d])
    const inner = numelOf(size(x, left))
    const m = reshape(permute(x, [...rows, ...left]), [numelOf(size(x, rows)), inner])
    const n = reshape(permute(y, [...right, ...columns]), [inner, numelOf(size(y, columns))])
    return reshape(mm(m, n), [...size(x, rows), ...size(y, columns)])
  },
})

/** The sum of products over the last dimensions of both: [..., n] and [..., n]. A 0-d one multiplies. */
export const inner: (x: Tensor, other: Tensor) => Tensor = op({
  name: 'inner',
  signature: 'input, other',
  samples: (t) => [
    [t(3, 4), t(2, 4)],
    [t(4), t(4)],
    [t(), t(3)],
  ],
  differentiable: true,
  forward: (x: Tensor, other: Tensor) => {
    if (x.ndim === 0 || other.ndim === 0) return mul(x, other)
    if (x.sizes[x.ndim - 1] !== other.sizes[other.ndim - 1]) {
      throw new RuntimeError(
        `inner() the last dimension must match on both input tensors but got shapes [${x.sizes.join(', ')}] and [${other.sizes.join(', ')}]`,
      )
    }
    return tensordot(x, other, [[-1], [-1]])
  },
})

/** The dot product of two vectors: `dot`, for real numbers. */
export const vdot: (x: Tensor, other: Tensor) => Tensor = op({
  name: 'vdot',
  signature: 'input, other',
  node: 'VdotBackward0',
  samples: (t) => [[t(4), t(4)]],
  differentiable: true,
  forward: (x: Tensor, other: Tensor) => dot(x, other),
})

/** The dot products of vectors along `dim` (the last); other dimensions broadcast. */
export const linalgVecdot: (x: Tensor, y: Tensor, options?: { readonly dim?: number }) => Tensor = op({
  name: 'linalgVecdot',
  python: 'linalg.vecdot',
  signature: 'x, y, *, dim',
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 1), { dim: 0 }],
  ],
  differentiable: true,
  forward: (x: Tensor, y: Tensor, dim = -1) => {
    if (x.dtype !== y.dtype) {
      throw new RuntimeError(
        `linalg.vecdot: Expected x and y to have the same dtype, but found x of type ${x.dtype.title} and y of type ${y.dtype.title} instead`,
      )
    }
    return sum(mul(x, y), dim)
  },
})
