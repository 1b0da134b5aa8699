// The layer check finds planted violations, and lets pass what the design allows.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkLayers, checkManifest, importsOf, readSources } from '../layers.ts'

const src = 'packages/tytorch/src'

/** Checks a tree in which the given files replace or join a small sound one. */
function errorsWith(planted: Record<string, string>): string[] {
  const sound = {
    [`${src}/base/dtype.ts`]: 'export const dtype = 1\n',
    [`${src}/ir/expr.ts`]: "import { dtype } from '../base/dtype.ts'\nexport const expr = dtype\n",
    [`${src}/backend/wasm/emit.ts`]: "import { expr } from '../../ir/expr.ts'\nexport const emit = expr\n",
    [`${src}/backend/interp/walk.ts`]: "import { expr } from '../../ir/expr.ts'\nexport const walk = expr\n",
    [`${src}/tensor/tensor.ts`]: "import type { add } from '../ops/add.ts'\nexport type Methods = typeof add\n",
    [`${src}/ops/add.ts`]: "import type { Methods } from '../tensor/tensor.ts'\nexport const add = (x: Methods) => x\n",
    [`${src}/nn/linear.ts`]: "import { add } from '../ops/add.ts'\nexport const linear = add\n",
    [`${src}/index.ts`]: "export * as nn from './nn/linear.ts'\n",
    'packages/vision/src/index.ts': "import * as torch from 'tytorch'\nexport { torch }\n",
  }
  return checkLayers(new Map(Object.entries({ ...sound, ...planted }))).errors
}

describe('the layer check', () => {
  it('passes a sound tree, the type edge from tensor to ops included', () => {
    expect(errorsWith({})).toEqual([])
  })

  it.each([
    ['a lower layer importing a higher one', `${src}/ir/bad.ts`, "import '../ops/add.ts'\n", /:1: ir is below ops/],
    ['a type edge upward', `${src}/ir/bad.ts`, "import type { add } from '../ops/add.ts'\n", /ir is below ops/],
    ['an upward import()', `${src}/ir/bad.ts`, "const x = await import('../nn/linear.ts')\n", /ir is below nn/],
    [
      'tensor importing a value of ops',
      `${src}/tensor/bad.ts`,
      "import { add } from '../ops/add.ts'\n",
      /tensor is below/,
    ],
    ['a layer importing the root', `${src}/nn/bad.ts`, "export * from '../index.ts'\n", /nn is below src/],
    [
      'a back end importing another',
      `${src}/backend/wasm/bad.ts`,
      "import { walk } from '../interp/walk.ts'\n",
      /backend\/wasm may not import backend\/interp/,
    ],
    ['base importing anything', `${src}/base/bad.ts`, "import { inspect } from 'node:util'\n", /base imports nothing/],
    ['a dependency of the core', `${src}/nn/bad.ts`, "import { x } from 'left-pad'\n", /the core has no dependencies/],
    ['a file that is not there', `${src}/nn/bad.ts`, "import { x } from './gone.ts'\n", /is no file/],
    [
      'a satellite reaching into the core',
      'packages/vision/src/bad.ts',
      "import { add } from '../../tytorch/src/ops/add.ts'\n",
      /by its public name/,
    ],
    ['a name of two words', `${src}/nn/two_words.ts`, 'export {}\n', /one lowercase word/],
    ['an overlong file', `${src}/nn/long.ts`, '\n'.repeat(801), /801 lines/],
  ])('finds %s', (_what, path, source, message) => {
    const errors = errorsWith({ [path]: source })
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(message)
    expect(errors[0]).toContain(path)
  })

  it('finds a cycle of value imports and shows its way', () => {
    const errors = errorsWith({
      [`${src}/ops/mul.ts`]: "import { div } from './div.ts'\nexport const mul = div\n",
      [`${src}/ops/div.ts`]: "import {\n  mul,\n} from './mul.ts'\nexport const div = mul\n",
    })
    expect(errors).toEqual([
      `${src}/ops/mul.ts: import cycle: ${src}/ops/mul.ts -> ${src}/ops/div.ts -> ${src}/ops/mul.ts`,
    ])
  })

  it('warns of a file over 500 lines', () => {
    const files = new Map([[`${src}/nn/long.ts`, '\n'.repeat(501)]])
    expect(checkLayers(files)).toEqual({ errors: [], warnings: [`${src}/nn/long.ts: 501 lines, aim at 500`] })
  })

  it('reads every form of import, and none from comments', () => {
    const source = [
      '// import a from "a"',
      "/** import { b } from 'b' and import('b') */",
      "import c, { d } from 'c'",
      "import type { e } from 'e'",
      "export { type f } from 'f'",
      "const g = await import('g')",
      "type H = import('h').Name",
      "import 'i'",
      "export const url = 'https://example.org/j'",
    ].join('\n')
    expect(importsOf(source).map(({ specifier, kind, line }) => `${line} ${specifier} ${kind}`)).toEqual([
      '3 c value',
      '4 e type',
      '5 f value',
      '6 g lazy',
      '7 h type',
      '8 i value',
    ])
  })

  it('allows the core no run-time dependency of any kind', () => {
    expect(checkManifest({ devDependencies: { vitest: '1' }, dependencies: {} })).toEqual([])
    expect(checkManifest({ peerDependencies: { vite: '1' } })).toHaveLength(1)
  })

  it('reads the repository it lives in', () => {
    const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
    expect([...readSources(root).keys()]).toContain('packages/plot/src/index.ts')
  })
})
