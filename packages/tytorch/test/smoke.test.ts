// The package as a user meets it: packed, installed in an empty TypeScript project, type-checked, and trained with there.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pack } from '../../../scripts/pack.ts'

const SCRIPT = `import * as torch from 'tytorch'
import { nn, type Tensor } from 'tytorch'

class Line extends nn.Module {
  fc = new nn.Linear(1, 1)

  forward(x: Tensor): Tensor {
    return this.fc(x)
  }
}

torch.manualSeed(0)
const x = torch.tensor([[-1], [0], [1], [2]], { dtype: torch.float32 })
const y = torch.tensor([[-2], [1], [4], [7]], { dtype: torch.float32 })
const model = new Line()
const criterion = new nn.MSELoss()
const optimizer = new torch.optim.SGD(model.parameters(), { lr: 0.1 })
const losses: number[] = []
for (let step = 0; step < 100; step++) {
  optimizer.zeroGrad()
  const loss = criterion(model(x), y)
  loss.backward()
  optimizer.step()
  losses.push(loss.item())
}
// @ts-expect-error a module takes what its forward takes
const wrong = () => model('text')
console.log(JSON.stringify({ first: losses[0], last: losses[99], weight: model.fc.weight.item(), bias: model.fc.bias?.item() }))
export { wrong }
`

const CONFIG = {
  compilerOptions: {
    target: 'esnext',
    module: 'nodenext',
    strict: true,
    skipLibCheck: false,
    erasableSyntaxOnly: true,
    noEmit: true,
    types: [],
  },
}

const project = mkdtempSync(join(tmpdir(), 'smoke-'))
const run = (command: string, ...args: string[]) => {
  try {
    return execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`)
  }
}

beforeAll(async () => {
  const tarball = await pack('tytorch', join(project, 'tarball'))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(CONFIG))
  writeFileSync(join(project, 'train.ts'), SCRIPT)
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', tarball)
}, 120_000)
afterAll(() => rmSync(project, { recursive: true }))

it('installs with no dependencies, and with JavaScript, types, readme and licence', () => {
  expect(readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['tytorch'])
  const installed = join(project, 'node_modules', 'tytorch')
  expect(readdirSync(installed)).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'index.d.ts', 'index.js', 'package.json']),
  )
  expect(JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))).toMatchObject({
    name: 'tytorch',
    exports: { '.': { types: './index.d.ts', default: './index.js' } },
  })
  const sources = readdirSync(installed, { recursive: true, encoding: 'utf8' })
  expect(sources.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([])
})

it('type-checks, its own declarations included', { timeout: 60_000 }, () => {
  run(fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url)), '-p', '.')
})

it('trains', { timeout: 60_000 }, () => {
  const { first, last, weight, bias } = JSON.parse(run(process.execPath, 'train.ts'))
  expect(last).toBeLessThan(1e-3 * first)
  expect(weight).toBeCloseTo(3, 1)
  expect(bias).toBeCloseTo(1, 1)
})
