// The main job end to end: the same losses as PyTorch from the same seed, the files, and the exit codes.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as torch from 'tytorch'
import { afterAll, describe, expect, it } from 'vitest'
import { accuracy, evaluate, IrisNet, splitIris, train } from '../lesson.ts'
import fixture from './fixtures/lesson.json' with { type: 'json' }

const folder = mkdtempSync(join(tmpdir(), 'lesson-'))
afterAll(() => rmSync(folder, { recursive: true }))

function lesson(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = fileURLToPath(new URL('../lesson.ts', import.meta.url))
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

/**
 * How far a loss may be from PyTorch's. Later validation losses swing with the last bits of Adam's steps: PyTorch's own
 * float64 run is up to 7.7e-4 from its float32 run, and one whose start differs by half an ulp up to 9.3e-4.
 */
function tolerance(curve: 'train' | 'val', epoch: number): number {
  if (epoch < 300) return 1e-5
  return curve === 'train' ? 1e-4 : 2e-3
}

describe('npm run lesson', () => {
  it.each(fixture.runs)('reproduces PyTorch with $args', { timeout: 60_000 }, async (run) => {
    const out = join(folder, run.args.join(''))
    const { code, stdout, stderr } = await lesson(...run.args, '--out', out)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })

    const { losses, accuracy } = JSON.parse(readFileSync(join(out, 'losses.json'), 'utf8'))
    for (const curve of ['train', 'val'] as const) {
      expect(losses[curve]).toHaveLength(run.epochs)
      run[curve].forEach((expected, i) => {
        const epoch = Math.min(i * run.every, run.epochs - 1)
        const error = Math.abs(losses[curve][epoch] - expected) / expected
        expect(error, `${curve} loss of epoch ${epoch}`).toBeLessThan(tolerance(curve, epoch))
      })
    }
    expect(accuracy.train).toBeCloseTo(run.trainAccuracy, 6)
    expect(accuracy.val).toBeCloseTo(run.valAccuracy, 6)

    for (const file of ['losses.png', 'losses.svg']) expect(statSync(join(out, file)).size).toBeGreaterThan(10_000)
    expect(stdout).toContain('(fc1): Linear(in_features=4')
    expect(stdout).toMatch(/Training time: +[\d.]+ s/)
    expect(stdout).toMatch(/per loop \(mean ± std\. dev\. of 7 runs, 100 loops each\)/)
    expect(stdout).toMatch(/^Underfitting: validation is below training/m)
  })

  it('ends with code 2 and one line for a bad value', { timeout: 20_000 }, async () => {
    expect(await lesson('--lr', 'fast')).toEqual({
      code: 2,
      stdout: '',
      stderr: "lesson: --lr must be a number above 0, got 'fast'\n",
    })
    const { code, stderr } = await lesson('--out', '/dev/null/x')
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, lines: 1 })
  })

  it('shows its options', { timeout: 20_000 }, async () => {
    const { code, stdout } = await lesson('--help')
    expect(code).toBe(0)
    for (const option of ['epochs', 'lr', 'optimizer', 'hidden', 'seed', 'out']) expect(stdout).toContain(`--${option}`)
  })
})

describe('the page of user code', () => {
  const fresh = () => {
    torch.manualSeed(1)
    const [training, validation] = splitIris()
    const model = new IrisNet(16)
    const optimizer = new torch.optim.Adam(model.parameters(), { lr: 1e-2 })
    return { training, validation, model, optimizer }
  }

  it('splits 112 and 38 rows, the same by the same seed', () => {
    const [first, second] = [fresh(), fresh()]
    expect(first.training.x.shape).toEqual([112, 4])
    expect(first.validation.y.shape).toEqual([38])
    expect(first.training.x.tolist()).toEqual(second.training.x.tolist())
  })

  it('has the parameters of the lesson', () => {
    const sizes = [...new IrisNet(1024).parameters()].map((parameter) => parameter.numel())
    expect(sizes).toEqual([4096, 1024, 3072, 3])
  })

  it('evaluates without a trace: weights, gradients and mode stay', () => {
    const { training, validation, model, optimizer } = fresh()
    train(model, optimizer, training, validation, 3)
    const state = () => [...model.parameters()].map((parameter) => [parameter.tolist(), parameter.grad?.tolist()])
    const before = state()
    const loss = evaluate(model, validation)
    expect(loss).toBeGreaterThan(0)
    expect(state()).toEqual(before)
    expect(model.training).toBe(true)
  })

  it('learns', () => {
    const { training, validation, model, optimizer } = fresh()
    const { train: losses } = train(model, optimizer, training, validation, 300)
    expect(losses[299]).toBeLessThan(0.3 * losses[0])
    expect(accuracy(model, validation)).toBeGreaterThan(0.85)
  })
})
