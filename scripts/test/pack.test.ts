// What the published manifest and code look like; the smoke test of the core installs and runs the real thing.
import { expect, it } from 'vitest'
import { publishedManifest, rewriteImports, rewriteUrls } from '../pack.ts'

it('leads exports to the JavaScript and its types', () => {
  const source = {
    name: 'x',
    version: '1.0.0',
    exports: { '.': './src/index.ts', './data': './src/data/index.ts' },
    files: ['src'],
  }
  expect(publishedManifest(source)).toEqual({
    name: 'x',
    version: '1.0.0',
    exports: {
      '.': { types: './index.d.ts', default: './index.js' },
      './data': { types: './data/index.d.ts', default: './data/index.js' },
    },
  })
  expect(() => publishedManifest({ name: 'x', exports: { '.': './lib/index.js' } })).toThrow("export '.' is no source")
})

it('leads the URLs of workers to the JavaScript', () => {
  expect(rewriteUrls("new Worker(new URL('./worker.ts', import.meta.url))")).toBe(
    "new Worker(new URL('./worker.js', import.meta.url))",
  )
  expect(rewriteUrls("new URL('./data.csv', import.meta.url)")).toContain('data.csv')
})

it('leads the imports of declarations to the JavaScript', () => {
  const declarations = "import type { A } from './a.ts'\nexport declare const b: import('../b.ts').B\nimport './c.ts'\n"
  expect(rewriteImports(declarations)).toBe(
    "import type { A } from './a.js'\nexport declare const b: import('../b.js').B\nimport './c.js'\n",
  )
  expect(rewriteImports("import { d } from 'd.ts'")).toBe("import { d } from 'd.ts'")
})
