// The Python that the data writes out: expressions such as `nn.Conv2d(3, 8, 3, stride=2)`, evaluated with our names.
import { isClass, OPERATORS } from './call.ts'
import { type Dynamic, MissingError, snakeToCamel, type Torch } from './values.ts'

type Scope = Map<string, unknown>

const TOKEN =
  /\s*(?:(\d+\.?\d*(?:e[-+]?\d+)?)|([A-Za-z_]\w*)|('[^']*'|"[^"]*")|(\*\*|\/\/|<<|>>|[=!<>]=|[-+*/%@&|^<>()[\]{},.:;=]))/y

interface Token {
  readonly kind: 'number' | 'name' | 'string' | 'symbol' | 'end'
  readonly text: string
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  const kinds = ['number', 'name', 'string', 'symbol'] as const
  const text = source.trimEnd()
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const start = TOKEN.lastIndex
    const found = TOKEN.exec(text)
    if (!found) throw new SyntaxError(`can't read Python at '${text.slice(start)}'`)
    const which = [1, 2, 3, 4].find((i) => found[i] !== undefined) as number
    tokens.push({ kind: kinds[which - 1], text: found[which] })
  }
  tokens.push({ kind: 'end', text: '' })
  return tokens
}

/** Python's precedence, loosest first; `**` binds tighter than unary minus and is read apart. */
const LEVELS = [
  ['==', '!=', '<', '<=', '>', '>='],
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '//', '%', '@'],
]

/** Runs statements separated by `;` and answers the value of the last one. Throws MissingError for names we don't have. */
export function runPython(torch: Torch, source: string, names: Readonly<Record<string, unknown>> = {}): unknown {
  const scope: Scope = new Map<string, unknown>([
    ['torch', torch],
    ['nn', (torch as Dynamic).nn],
    ['True', true],
    ['False', false],
    ['None', null],
    ['range', (n: number) => Array.from({ length: n }, (_, i) => i)],
    ...Object.entries(names),
  ])
  return new Reader(torch, tokenize(source), scope).statements()
}

class Reader {
  private readonly torch: Torch
  private readonly tokens: readonly Token[]
  private readonly scope: Scope
  private at = 0

  constructor(torch: Torch, tokens: readonly Token[], scope: Scope) {
    this.torch = torch
    this.tokens = tokens
    this.scope = scope
  }

  private get next(): Token {
    return this.tokens[this.at]
  }

  private take(text: string): boolean {
    if (this.next.kind === 'string' || this.next.text !== text) return false
    this.at++
    return true
  }

  private expect(text: string): void {
    if (!this.take(text)) throw new SyntaxError(`expected '${text}' in Python, found '${this.next.text}'`)
  }

  statements(): unknown {
    let value: unknown
    do {
      const name = this.next
      if (name.kind === 'name' && this.tokens[this.at + 1].text === '=') {
        this.at += 2
        value = this.expression()
        this.scope.set(name.text, value)
      } else value = this.expression()
    } while (this.take(';'))
    if (this.next.kind !== 'end') throw new SyntaxError(`unexpected '${this.next.text}' in Python`)
    return value
  }

  private expression(level = 0): unknown {
    if (level === LEVELS.length) return this.unary()
    let left = this.expression(level + 1)
    while (this.next.kind === 'symbol' && LEVELS[level].includes(this.next.text)) {
      const { text } = this.next
      this.at++
      left = this.operate(text, left, this.expression(level + 1))
    }
    return left
  }

  private unary(): unknown {
    if (!this.take('-')) return this.power()
    const value = this.unary()
    return value instanceof this.torch.Tensor ? value.neg() : -(value as number)
  }

  private power(): unknown {
    const base = this.postfix()
    return this.take('**') ? this.operate('**', base, this.unary()) : base
  }

  private operate(symbol: string, a: unknown, b: unknown): unknown {
    const ours = OPERATORS.find(([s]) => s === symbol)?.[2] as string
    const fn = (this.torch as Dynamic)[ours]
    if (typeof fn !== 'function') throw new MissingError(`torch.${ours}`)
    return fn(a, b)
  }

  private postfix(): unknown {
    let value = this.atom()
    let self: unknown
    for (;;) {
      if (this.take('.')) {
        self = value
        value = this.attribute(value, this.next.text)
        this.at++
      } else if (this.take('(')) {
        value = this.call(value as Dynamic, self)
        self = undefined
      } else if (this.take('[')) {
        const index = this.list(']')
        value = (value as Dynamic).at(...index)
      } else return value
    }
  }

  private attribute(owner: unknown, name: string): unknown {
    const found = (owner as Dynamic)[name] ?? (owner as Dynamic)[snakeToCamel(name)]
    if (found === undefined) throw new MissingError(name)
    return found
  }

  private call(fn: Dynamic, self: unknown): unknown {
    const positional: unknown[] = []
    const named: Record<string, unknown> = {}
    while (!this.take(')')) {
      if (this.next.kind === 'name' && this.tokens[this.at + 1].text === '=') {
        const name = snakeToCamel(this.next.text)
        this.at += 2
        named[name] = this.expression()
      } else positional.push(this.expression())
      if (!this.take(',') && this.next.text !== ')') this.expect(')')
    }
    const args = Object.keys(named).length > 0 ? [...positional, named] : positional
    return isClass(fn) ? new fn(...args) : fn.apply(self, args)
  }

  private list(close: string): unknown[] {
    const values: unknown[] = []
    while (!this.take(close)) {
      values.push(this.take(':') ? ':' : this.expression())
      if (!this.take(',') && this.next.text !== close) this.expect(close)
    }
    return values
  }

  private atom(): unknown {
    const { kind, text } = this.next
    this.at++
    if (kind === 'number') return Number(text)
    if (kind === 'string') return text.slice(1, -1)
    if (kind === 'name') {
      if (!this.scope.has(text)) throw new MissingError(text)
      return this.scope.get(text)
    }
    if (text === '[') return this.list(']')
    if (text === '{') return this.dictionary()
    if (text === '(') {
      const values = this.list(')')
      return values.length === 1 && this.tokens[this.at - 2].text !== ',' ? values[0] : values
    }
    throw new SyntaxError(`unexpected '${text}' in Python`)
  }

  private dictionary(): Record<string, unknown> {
    const found: Record<string, unknown> = {}
    while (!this.take('}')) {
      const key = String(this.expression())
      this.expect(':')
      found[key] = this.expression()
      if (!this.take(',') && this.next.text !== '}') this.expect('}')
    }
    return found
  }
}
