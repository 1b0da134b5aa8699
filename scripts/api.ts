// Writes docs/api.md from the op records and the sentence above each of them: `npm run docs`. A test keeps it current.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as torch from 'tytorch'
import { type OpInfo, registry } from '../packages/tytorch/src/tensor/define.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const PAGE = join(ROOT, 'docs', 'api.md')

/** The sentences above exported functions, by file and name. */
function sentences(): Map<string, Map<string, string>> {
  const files = new Map<string, Map<string, string>>()
  for (const path of globSync('packages/tytorch/src/ops/*.ts', { cwd: ROOT }).sort()) {
    const source = readFileSync(join(ROOT, path), 'utf8')
    const found = new Map<string, string>()
    for (const [, comment, name] of source.matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport (?:const|function) (\w+)/g,
    )) {
      const text = comment
        .replace(/^\s*\* ?/gm, ' ')
        .replace(/\s+/g, ' ')
        .trim()
      found.set(name === 'variance' ? 'var' : name, text) // var is a keyword: only its export can have the name
    }
    if (found.size > 0) files.set(basename(path, '.ts'), found)
  }
  return files
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)

/** How the op is called: as torch.name, as a method, in place. */
function forms(name: string, info: OpInfo | undefined): string {
  const list: string[] = []
  if (name in torch) list.push(`torch.${name}`)
  else if (name in torch.nn.functional) list.push(`F.${name}`)
  if (name in torch.Tensor.prototype) list.push(`x.${name}`)
  if (info?.inPlace && `${name}_` in torch.Tensor.prototype) list.push(`x.${name}_`)
  return list.join(', ')
}

/** The page: a table a file, a row an op. */
export function apiPage(): string {
  const lines = [
    '# Ops',
    '',
    "Made by `npm run docs` from the op records; PyTorch's names are given where they are not just the same in snake_case.",
    '',
  ]
  for (const [file, found] of sentences()) {
    const rows = [...found]
      .map(([name, text]) => ({ name, text, info: registry.get(name), form: forms(name, registry.get(name)) }))
      .filter((row) => row.form !== '')
    if (rows.length === 0) continue
    lines.push(`## ${file}`, '', '| op | arguments | gradient | what it does |', '| --- | --- | --- | --- |')
    for (const { name, text, info, form } of rows) {
      const python = info?.python && info.python !== snake(name) ? ` (${info.python})` : ''
      const cell = (s: string): string => s.replaceAll('|', '\\|')
      lines.push(
        `| ${form}${python} | ${info ? cell(info.signature) : ''} | ${info?.differentiable ? 'yes' : ''} | ${cell(text)} |`,
      )
    }
    lines.push('')
  }
  return lines.join('\n')
}

/** The committed page. */
export function committedPage(): string {
  return readFileSync(PAGE, 'utf8')
}

if (import.meta.main) writeFileSync(PAGE, apiPage())
