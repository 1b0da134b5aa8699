// L-BFGS: quasi-Newton steps from the last gradients and steps, after minFunc
// (https://www.cs.ubc.ca/~schmidtm/Software/minFunc.html), in the order of PyTorch's implementation.
import { float32 } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { named } from '../nn/arguments.ts'
import { zeros } from '../ops/create.ts'
import { cat } from '../ops/join.ts'
import type { Args } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { enableGrad, noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { numberOf, Optimizer, type ParamGroup, type Params, requireOption, type State } from './optimizer.ts'
import { type Evaluation, strongWolfe } from './wolfe.ts'

export interface LBFGSOptions {
  lr: number | Tensor
  /** Iterations in one step, at most. */
  maxIter: number
  /** Evaluations of the closure in one step, at most; maxIter * 1.25 if null. */
  maxEval: number | null
  /** Stops where no element of the gradient is larger. */
  toleranceGrad: number
  /** Stops where neither loss nor parameters change more. */
  toleranceChange: number
  /** How many gradients and steps it remembers. */
  historySize: number
  /** 'strong_wolfe' searches along each direction; null takes steps of lr. */
  lineSearchFn: 'strong_wolfe' | null
}

interface Memory {
  funcEvals: number
  nIter: number
  d: Tensor
  t: number
  oldDirs: Tensor[]
  oldStps: Tensor[]
  ro: number[]
  HDiag: number
  prevFlatGrad: Tensor
  prevLoss: number
}

type LBFGSArgs = Args<
  [
    lr?: number | Tensor,
    maxIter?: number,
    maxEval?: number | null,
    toleranceGrad?: number,
    toleranceChange?: number,
    historySize?: number,
    lineSearchFn?: 'strong_wolfe' | null,
  ],
  Partial<LBFGSOptions>
>

function optionsOf(given: LBFGSArgs): LBFGSOptions {
  const [
    lr = 1,
    maxIter = 20,
    maxEval = null,
    toleranceGrad = 1e-7,
    toleranceChange = 1e-9,
    historySize = 100,
    lineSearchFn = null,
  ] = named<[number | Tensor, number, number | null, number, number, number, 'strong_wolfe' | null]>(
    'LBFGS',
    'lr, max_iter, max_eval, tolerance_grad, tolerance_change, history_size, line_search_fn',
    given,
  )
  return {
    lr,
    maxIter,
    maxEval: maxEval ?? Math.floor((maxIter * 5) / 4),
    toleranceGrad,
    toleranceChange,
    historySize,
    lineSearchFn,
  }
}

const largest = (x: Tensor): number => x.abs().max().item()
const dot = (a: Tensor, b: Tensor): number => a.dot(b).item()

/**
 * Quasi-Newton steps on all parameters at once: `step(closure)`, which evaluates the closure several times. There is one
 * group of parameters. Defaults: lr 1, maxIter 20, historySize 100. Throws ValueError for a negative lr.
 */
export class LBFGS extends Optimizer<LBFGSOptions> {
  protected override readonly fixed = {}

  constructor(params: Params<LBFGSOptions>, ...args: LBFGSArgs) {
    super(params, optionsOf(args))
    if (this.paramGroups.length !== 1) {
      throw new ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
    }
  }

  protected check({ lr }: LBFGSOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
  }

  protected update(): void {
    throw new RuntimeError('LBFGS changes all parameters together')
  }

  get #params(): Tensor[] {
    return this.paramGroups[0].params
  }

  #gradient(): Tensor {
    return cat(this.#params.map((p) => (p.grad ? p.grad.detach().reshape(-1) : zeros([p.count], { dtype: p.dtype }))))
  }

  /** Adds `t` times the direction to the parameters. */
  #move(t: number, d: Tensor): void {
    let at = 0
    for (const p of this.#params) {
      p.add_(d.narrow(0, at, p.count).view(p.sizes), { alpha: t })
      at += p.count
    }
  }

  /** Loss and gradient `t` along `d`, from where the parameters are, to which they come back. */
  #evaluate(closure: () => Tensor | number, t: number, d: Tensor): Evaluation {
    const before = this.#params.map((p) => p.detach().clone())
    this.#move(t, d)
    const loss = lossOf(enableGrad(closure))
    const gradient = this.#gradient()
    for (const [i, p] of this.#params.entries()) p.copy_(before[i])
    return { loss, gradient }
  }

  /** One step, of up to `maxIter` iterations; answers the first loss. Throws TypeError without a closure. */
  override step(): undefined
  override step<T>(closure: () => T): T
  override step<T>(closure?: () => T): T | undefined {
    if (!closure) throw new TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
    readsValues('LBFGS')
    this.steps++
    return noGrad(() => this.#iterate(closure as () => Tensor & T))
  }

  #iterate<T extends Tensor | number>(closure: () => T): T {
    const group: ParamGroup<LBFGSOptions> = this.paramGroups[0]
    const { maxIter, toleranceGrad, toleranceChange, historySize, lineSearchFn } = group
    const maxEval = group.maxEval ?? Math.floor((maxIter * 5) / 4)
    if (lineSearchFn !== null && lineSearchFn !== 'strong_wolfe') {
      throw new RuntimeError("only 'strong_wolfe' is supported")
    }
    const lr = numberOf(group.lr)
    const m = this.#memory()
    const first = enableGrad(closure)
    let loss = lossOf(first)
    let evaluations = 1
    m.funcEvals++
    let gradient = this.#gradient()
    if (largest(gradient) <= toleranceGrad) return first
    for (let i = 1; i <= maxIter; i++) {
      m.nIter++
      this.#direct(m, gradient, historySize)
      m.prevFlatGrad = gradient
      m.prevLoss = loss
      m.t = m.nIter === 1 ? Math.min(1, 1 / gradient.abs().sum().item()) * lr : lr
      const slope = dot(gradient, m.d)
      if (slope > -toleranceChange) break
      let spent = 0
      if (lineSearchFn) {
        const at = (t: number): Evaluation => this.#evaluate(closure, t, m.d)
        const found = strongWolfe(at, m.t, m.d, { loss, gradient }, slope, maxEval - evaluations)
        m.t = found.t
        loss = found.loss
        gradient = found.gradient
        spent = found.evaluations
        this.#move(m.t, m.d)
      } else {
        this.#move(m.t, m.d)
        if (i !== maxIter) {
          loss = lossOf(enableGrad(closure))
          gradient = this.#gradient()
          spent = 1
        }
      }
      evaluations += spent
      m.funcEvals += spent
      if (i === maxIter || evaluations >= maxEval) break
      if (largest(gradient) <= toleranceGrad) break
      if (largest(m.d) * Math.abs(m.t) <= toleranceChange) break
      if (Math.abs(loss - m.prevLoss) < toleranceChange) break
    }
    return first
  }

  /** The state, which PyTorch keeps with the first parameter. */
  #memory(): Memory {
    const [p] = this.#params
    const found = this.state.get(p)
    if (found) return found as unknown as Memory
    const none = zeros([0], { dtype: p.dtype })
    const fresh: Memory = {
      funcEvals: 0,
      nIter: 0,
      d: none,
      t: 0,
      oldDirs: [],
      oldStps: [],
      ro: [],
      HDiag: 1,
      prevFlatGrad: none,
      prevLoss: 0,
    }
    this.state.set(p, fresh as unknown as State)
    return fresh
  }

  /** Takes the last step into the memory and makes a direction of it. */
  #direct(m: Memory, gradient: Tensor, historySize: number): void {
    if (m.nIter === 1) {
      m.d = gradient.neg()
      m.oldDirs = []
      m.oldStps = []
      m.ro = []
      m.HDiag = 1
      return
    }
    // PyTorch keeps these numbers in tensors of the parameters' dtype.
    const round = gradient.dtype === float32 ? Math.fround : (x: number): number => x
    const y = gradient.sub(m.prevFlatGrad)
    const s = m.d.mul(m.t)
    const ys = dot(y, s)
    if (ys > 1e-10) {
      if (m.oldDirs.length === historySize) for (const list of [m.oldDirs, m.oldStps, m.ro]) list.shift()
      m.oldDirs.push(y)
      m.oldStps.push(s)
      m.ro.push(round(1 / ys))
      m.HDiag = round(ys / dot(y, y))
    }
    const al: number[] = []
    const q = gradient.neg()
    for (let i = m.oldDirs.length - 1; i >= 0; i--) {
      al[i] = round(dot(m.oldStps[i], q) * m.ro[i])
      q.add_(m.oldDirs[i], { alpha: -al[i] })
    }
    const r = q.mul(m.HDiag)
    for (let i = 0; i < m.oldDirs.length; i++) {
      r.add_(m.oldStps[i], { alpha: round(al[i] - round(dot(m.oldDirs[i], r) * m.ro[i])) })
    }
    m.d = r
  }
}

function lossOf(loss: unknown): number {
  return typeof loss === 'number' ? loss : (loss as Tensor).item()
}
