// LBFGS, Adafactor and Muon: what PyTorch prints, finds and refuses. Steps beside PyTorch's are in the parity data.
import { describe, expect, it } from 'vitest'
import * as torch from '../src/index.ts'

const { optim } = torch

describe('LBFGS', () => {
  it("finds the minimum of Rosenbrock's function in two steps of strong Wolfe", () => {
    const p = torch.tensor([1, 2], { dtype: torch.float32 }).requiresGrad_()
    const o = new optim.LBFGS([p], { lineSearchFn: 'strong_wolfe' })
    const closure = (): torch.Tensor => {
      o.zeroGrad()
      const [a, b] = p.unbind(0)
      const loss = a
        .rsub(1)
        .pow(2)
        .add(b.sub(a.pow(2)).pow(2).mul(100))
      loss.backward()
      return loss
    }
    o.step(closure)
    expect(o.step(closure).item()).toBeLessThan(1e-8)
    expect(p.sub(1).abs().max().item()).toBeLessThan(1e-4)
    expect(() => o.step()).toThrow("missing 1 required positional argument: 'closure'")
    expect(String(o)).toBe(
      'LBFGS (\nParameter Group 0\n    history_size: 100\n    line_search_fn: strong_wolfe\n    lr: 1\n    max_eval: 25\n    max_iter: 20\n    tolerance_change: 1e-09\n    tolerance_grad: 1e-07\n)',
    )
  })
})

describe('Adafactor and Muon', () => {
  it('print and refuse as in PyTorch', () => {
    const p = torch.zeros(2, 2).requiresGrad_()
    expect(String(new optim.Adafactor([p]))).toBe(
      'Adafactor (\nParameter Group 0\n    beta2_decay: -0.8\n    d: 1.0\n    eps: (None, 0.001)\n    foreach: None\n    lr: 0.01\n    maximize: False\n    weight_decay: 0.0\n)',
    )
    expect(String(new optim.Muon([p]))).toBe(
      'Muon (\nParameter Group 0\n    adjust_lr_fn: None\n    eps: 1e-07\n    lr: 0.001\n    momentum: 0.95\n    nesterov: True\n    ns_coefficients: (3.4445, -4.775, 2.0315)\n    ns_steps: 5\n    weight_decay: 0.1\n)',
    )
    expect(() => new optim.Muon([torch.zeros(2).requiresGrad_()])).toThrow('Muon only supports 2D parameters')
    expect(() => new optim.Adafactor([p], { d: 0.5 })).toThrow('Clipping threshold d should be >= 1 but is: 0.5')
  })
})
