// torch.autograd.functional and torch.func against PyTorch 2.13's numbers and refusals; custom functions, hooks of the
// graph, inference mode.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { nn, func: F } = torch
const { functional: A, graph: G } = torch.autograd
type Context = torch.autograd.FunctionContext

const vector = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 })
const [x, y] = [vector(1, 2, 3), vector(4, 5, 6)]
const W = torch.tensor([1, 2, 3, 4, 5, 6], { dtype: torch.float32 }).view(2, 3).requiresGrad_()
const squares = (a: Tensor): Tensor => a.pow(2).sum()
const mixed = (a: Tensor, b: Tensor): Tensor => a.mul(b.sin()).sum().add(a.pow(3).sum())
const exp = (a: Tensor): Tensor => a.exp()
const pair = (a: Tensor, b: Tensor): Tensor[] => [a.mul(b), a.add(b).sum()]
const two = torch.tensor(2, { dtype: torch.float32 })

/** Nested tensors as nested [values, requiresGrad?]. */
function shown(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(shown)
  const t = tree as Tensor
  return t
    .detach()
    .flatten()
    .tolist<number[]>()
    .map((v) => Math.round(v * 1e4) / 1e4 + 0)
}
const diagonal = (a: number, b: number, c: number): number[] => [a, 0, 0, 0, b, 0, 0, 0, c]
const E = [1, 2, 3].map((v) => Math.round(Math.exp(v) * 1e4) / 1e4)
const GRADS = [
  [2.2432, 11.0411, 26.7206],
  [-0.6536, 0.5673, 2.8805],
]
const HESSIAN = [
  [diagonal(6, 12, 18), diagonal(-0.6536, 0.2837, 0.9602)],
  [diagonal(-0.6536, 0.2837, 0.9602), diagonal(0.7568, 1.9178, 0.8382)],
]
const PRODUCT = [[32.4871], [[23.3464, 60.5673, 110.8805], [-1.8578, 5.254, 8.2758]]] // biome-ignore format: a row

test.each<[string, () => unknown, unknown]>([
  ['vjp', () => A.vjp(exp, x, y), [E, [10.8731, 36.9453, 120.5132]]],
  ['vjp of one number', () => A.vjp(squares, x), [[14], [2, 4, 6]]],
  ['vjp of several', () => A.vjp(pair, [x, y], [x, two]), [[[4, 10, 18], [21]], [[6, 12, 20], [3, 6, 11]]]], // biome-ignore format: a row
  ['jvp', () => A.jvp(exp, x, y), [E, [10.8731, 36.9453, 120.5132]]],
  ['jvp of several', () => A.jvp(pair, [x, y], [y, x]), [[[4, 10, 18], [21]], [[17, 29, 45], [21]]]], // biome-ignore format: a row
  ['jacobian', () => A.jacobian(exp, x), diagonal(E[0], E[1], E[2])],
  ['jacobian of several', () => A.jacobian(pair, [x, y], { vectorize: true }), [[diagonal(4, 5, 6), diagonal(1, 2, 3)], [[1, 1, 1], [1, 1, 1]]]], // biome-ignore format: a row
  ['jacobian by several', () => A.jacobian(mixed, [x, y]), GRADS],
  ['jacobian of what does not depend', () => A.jacobian((a) => a.mul(2), [x, y]), [diagonal(2, 2, 2), diagonal(0, 0, 0)]], // biome-ignore format: a row
  ['hessian', () => A.hessian(squares, x), diagonal(2, 2, 2)],
  ['hessian by several', () => A.hessian(mixed, [x, y]), HESSIAN],
  ['vhp', () => A.vhp(mixed, [x, y], [y, x]), PRODUCT],
  ['hvp', () => A.hvp(mixed, [x, y], [y, x]), PRODUCT],
  ['func.grad', () => F.grad(squares)(x), [2, 4, 6]],
  ['func.grad twice', () => F.grad((a: Tensor) => F.grad((b: Tensor) => b.pow(3).sum())(a).sum())(x), [6, 12, 18]],
  ['func.grad by several', () => F.grad(mixed, [0, 1])(x, y), GRADS],
  ['func.gradAndValue', () => F.gradAndValue(mixed, { argnums: 1 })(x, y), [GRADS[1], [32.4871]]],
  ['func.grad with more', () => F.grad((a: Tensor) => [a.sum(), a.mul(2)], { hasAux: true })(x), [[1, 1, 1], [2, 4, 6]]], // biome-ignore format: a row
  ['func.vjp', () => F.vjp(pair, x, y)[1]([x, two]), [[6, 12, 20], [3, 6, 11]]], // biome-ignore format: a row
  ['func.jvp', () => F.jvp(exp, [x], [y]), [E, [10.8731, 36.9453, 120.5132]]],
  ['func.jacrev', () => F.jacrev(pair, 1)(x, y), [diagonal(1, 2, 3), [1, 1, 1]]],
  ['func.jacfwd', () => F.jacfwd(exp)(x), diagonal(E[0], E[1], E[2])],
  ['func.hessian', () => F.hessian(mixed, [0, 1])(x, y), HESSIAN],
  ['vmap', () => F.vmap(torch.dot)(torch.arange(6).float().view(2, 3), torch.ones(2, 3)), [3, 12]],
  ['vmap along other dimensions', () => F.vmap((a: Tensor) => [a.sum(), a.mul(2)], 1, [0, 1])(torch.arange(6).float().view(2, 3)), [[3, 5, 7], [0, 2, 4, 6, 8, 10]]], // biome-ignore format: a row
  ['gradients a sample', () => F.vmap(F.grad((w: Tensor, a: Tensor) => w.mul(a).sum().pow(2)), { inDims: [null, 0] })(x, torch.arange(6).float().view(2, 3)), [0, 16, 32, 156, 208, 260]], // biome-ignore format: a row
])('%s', (_, run, expected) => {
  expect(shown(run())).toEqual(expected)
})

test('a graph of the result only where it belongs to something outside', () => {
  const leaf = x.clone().requiresGrad_()
  ;(A.jacobian(exp, leaf, { createGraph: true }) as Tensor).sum().backward()
  expect(shown(leaf.grad)).toEqual(E)
  expect((A.jacobian((a) => W.matmul(a), x) as Tensor).requiresGrad).toBe(false)
  expect(F.grad((a: Tensor) => W.matmul(a).sum())(x).requiresGrad).toBe(true)
  expect(F.grad(squares)(leaf).requiresGrad).toBe(true)
  expect(F.grad(squares)(x).requiresGrad).toBe(false)
  expect(torch.noGrad(() => F.grad(squares)(leaf)).requiresGrad).toBe(false)
})

test.each<[string, () => unknown]>([
  ['The vector v can only be None if the user-provided function returns a single Tensor', () => A.vjp(exp, x)],
  ['v has invalid size: should be torch.Size([3]) but got torch.Size([2]).', () => A.vjp(exp, x, torch.ones(2))],
  ['v is a tuple of invalid length: should be 2 but got 1.', () => A.vjp(pair, [x, y], [x])],
  ['The function given to hessian should return a single Tensor', () => A.hessian((a) => [a.sum(), a.sum()], x)],
  ['The inputs given to jacobian must be either a Tensor or a tuple', () => A.jacobian(exp, 3 as never)],
  ['Output 0 of the user-provided function does not require gradients', () => A.jacobian(() => torch.ones(2), x, { strict: true })], // biome-ignore format: a row
  ['Output 0 of the user-provided function is independent of input 1', () => A.jacobian((a) => a.mul(2), [x, y], { strict: true })], // biome-ignore format: a row
  ['found that the jacobian of the user-provided function with respect to input 0 is independent', () => A.hessian((a) => a.sum(), x, { strict: true })], // biome-ignore format: a row
  ['only implemented for `vectorize=True`', () => A.jacobian(exp, x, { strategy: 'forward-mode' })],
  ['Expected f(*args) to return a scalar Tensor, got tensor with 1 dims', () => F.grad(exp)(x)],
  ['Got argnum=2, but only 1 positional inputs', () => F.grad(squares, 2)(x)],
  ['Mismatch in shape: grad_output[0] has a shape of torch.Size([2])', () => F.vjp(exp, x)[1](torch.ones(2))],
  ['Expected primals to be a tuple', () => F.jvp(exp, x as never, y as never)],
  ['that input is a Tensor of dimensionality 0', () => F.vmap(torch.sin)(torch.tensor(1))],
  ['got sizes [2, 3] for the mapped dimension', () => F.vmap(torch.add)(torch.ones(2), torch.ones(3))],
  ['called random operation while in randomness error mode', () => F.vmap((a: Tensor) => a.add(torch.rand(1)))(x)],
])('%s', (message, run) => {
  expect(run).toThrow(message)
})

describe('functionalCall', () => {
  const ones = torch.ones(1, 2)
  torch.manualSeed(0)
  const model = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU(), new nn.Linear(3, 1))
  const twice = Object.fromEntries(model.namedParameters().map(([key, p]) => [key, p.detach().mul(2)]))

  test('calls a module with other tensors', () => {
    expect(shown(F.functionalCall(model, twice, ones))).toEqual([-0.8831])
    expect(shown(F.functionalCall(model, { '0.weight': twice['0.weight'] }, [ones]))).toEqual([-0.4394])
    expect(shown(F.functionalCall(model, [{ '0.weight': twice['0.weight'] }, { '2.bias': torch.ones(1) }], ones))).toEqual([1.1121]) // biome-ignore format: a row
    expect(shown(model(ones))).toEqual([-0.4966])
    const loss = (p: torch.nn.StateDict): Tensor => (F.functionalCall(model, p, ones) as Tensor).sum()
    expect(shown(Object.values(F.grad(loss)(twice)))).toEqual([[0.3055, 0.3055, 0, 0, 0, 0], [0.3055, 0, 0], [0.72, 0, 0], [1]]) // biome-ignore format: a row
  })

  test('changes buffers in place, and shares what is shared', () => {
    const norm = new nn.BatchNorm1d(2)
    const mean = torch.zeros(2)
    F.functionalCall(norm, { running_mean: mean }, torch.arange(8).float().view(4, 2))
    expect([shown(mean), shown(norm.runningMean)]).toEqual([
      [0.3, 0.4],
      [0, 0],
    ])
    class Tied extends nn.Module {
      a = new nn.Linear(2, 2, { bias: false })
      b = new nn.Linear(2, 2, { bias: false })
      constructor() {
        super()
        this.b.weight = this.a.weight
      }
      forward(input: Tensor): Tensor {
        return this.b(this.a(input))
      }
    }
    const tied = new Tied()
    const one = torch.ones(2, 2)
    expect(shown(F.functionalCall(tied, { 'a.weight': one }, ones))).toEqual([4, 4])
    expect(() => F.functionalCall(tied, { 'a.weight': one, 'b.weight': torch.zeros(2, 2) }, ones)).toThrow(
      "functional_call got multiple values for keys ['a.weight', 'b.weight'], which are tied.",
    )
    const linear = new nn.Linear(2, 1)
    expect(() => F.functionalCall(linear, { weight: ones }, ones, { strict: true })).toThrow(
      "Error(s) in reparametrizing for Linear:\n\tMissing key(s): 'bias'.",
    )
  })

  test('an ensemble by vmap', () => {
    const models = [new nn.Linear(2, 1), new nn.Linear(2, 1)]
    const [params, buffers] = F.stackModuleState(models)
    expect(params.weight.sizes).toEqual([2, 1, 2])
    const call = (p: torch.nn.StateDict, b: torch.nn.StateDict): Tensor =>
      F.functionalCall(models[0], [p, b], ones) as Tensor
    const found = F.vmap((weight: Tensor, bias: Tensor) => call({ weight, bias }, buffers))(params.weight, params.bias)
    expect(shown(found)).toEqual(models.flatMap((m) => shown(m(ones))))
  })
})

test('inference mode marks its tensors', () => {
  const w = torch.ones(3, { requiresGrad: true })
  const [a, view] = torch.inferenceMode(() => {
    const made = torch.ones(3)
    made.add_(1)
    return [made, x.narrow(0, 0, 2)]
  })
  expect([a, a.select(0, 0), view, x, a.clone()].map((t) => t.isInference())).toEqual([true, true, false, false, false])
  expect(() => w.mul(a)).toThrow('Inference tensors cannot be saved for backward.')
  expect(() => a.add_(1)).toThrow('Inplace update to inference tensor outside InferenceMode is not allowed.')
  expect(() => a.requiresGrad_()).toThrow('Setting requires_grad=True on inference tensor outside InferenceMode')
  expect(() => a.version).toThrow('Inference tensors do not track version counter.')
  w.add(a).sum().backward()
  w.mul(a.clone()).sum().backward()
  expect(w.grad?.tolist()).toEqual([3, 3, 3])
  expect(torch.inferenceMode(false, () => torch.ones(1).isInference())).toBe(false)
})

test('hooks of saved tensors, of nodes and of several gradients', () => {
  const w = torch.ones(3, { requiresGrad: true })
  const log: string[] = []
  const loss = G.savedTensorsHooks(
    (t: Tensor) => {
      log.push('pack')
      return t.detach().clone()
    },
    (t) => {
      log.push('unpack')
      return t
    },
    () => w.mul(x).exp().sum(),
  )
  loss.backward()
  expect(log).toEqual(['pack', 'pack', 'unpack', 'unpack'])
  expect(shown(w.grad)).toEqual([E[0], 14.7781, 60.2566])
  expect(() => G.disableSavedTensorsHooks('not here', () => G.saveOnCpu())).toThrow('not here')

  w.grad = null
  const product = w.mul(w)
  product.gradFn?.registerHook(([first, second]) => [(first as Tensor).mul(2), second])
  product.gradFn?.registerPrehook(([g]) => [(g as Tensor).mul(10)])
  product.sum().backward()
  expect(shown(w.grad)).toEqual([30, 30, 30])

  const v = torch.ones(1, { requiresGrad: true })
  G.allowMutationOnSavedTensors(() => {
    const a = v.mul(3)
    const b = a.mul(a).sum()
    a.zero_()
    b.backward()
  })
  expect(v.grad?.tolist()).toEqual([18])

  const [a, b] = [torch.ones(2, { requiresGrad: true }), torch.ones(2, { requiresGrad: true })]
  const seen: unknown[] = []
  G.registerMultiGradHook([a, b], (grads) => {
    seen.push((grads as Tensor[]).map((g) => g.tolist()))
  })
  a.mul(2).add(b.mul(3)).sum().backward()
  expect(seen).toEqual([[[2, 2], [3, 3]]]) // biome-ignore format: a row
  expect(G.getGradientEdge(a.mul(2)).node.name).toBe('MulBackward0')
})

test('functions with a context set up after forward', () => {
  const seen: unknown[] = []
  class Scale extends torch.autograd.Function {
    static forward(a: Tensor, k: number): [Tensor, Tensor] {
      return [a.mul(k), a.sum()]
    }
    static setupContext(ctx: Context, [a, k]: [Tensor, number], [, sum]: [Tensor, Tensor]): void {
      ctx.k = k
      ctx.saveForBackward(a, null)
      ctx.markNonDifferentiable(sum)
      ctx.setMaterializeGrads(false)
    }
    static backward(ctx: Context, g: Tensor, g2: Tensor | null): (Tensor | null)[] {
      seen.push(ctx.savedTensors[1], g2, ctx.needsInputGrad)
      return [g.mul(ctx.k as number), null]
    }
  }
  const w = torch.ones(3, { requiresGrad: true })
  const [out, sum] = Scale.apply(w, 3)
  expect(`${out} ${sum}`).toBe('tensor([3., 3., 3.], grad_fn=<ScaleBackward>) tensor(3.)')
  out.sum().backward()
  expect(seen).toEqual([null, null, [true, false]])
  expect(w.grad?.tolist()).toEqual([3, 3, 3])
})

test('functions that change their input, and without backward', () => {
  class Double extends torch.autograd.Function {
    static forward(ctx: Context, a: Tensor): Tensor {
      ctx.markDirty(a)
      return a.mul_(2)
    }
    static backward(_ctx: Context, g: Tensor): Tensor {
      return g.mul(2)
    }
  }
  const w = torch.ones(3, { requiresGrad: true })
  const a = w.mul(1)
  const out = Double.apply(a)
  expect(out).toBe(a)
  expect(String(a)).toBe('tensor([2., 2., 2.], grad_fn=<DoubleBackward>)')
  out.sum().backward()
  expect(w.grad?.tolist()).toEqual([2, 2, 2])
  expect(() => Double.apply(w)).toThrow('a leaf Variable that requires grad has been used in an in-place operation.')
  class Forward extends torch.autograd.Function {
    static forward(_ctx: Context, b: Tensor): Tensor {
      return b.mul(2)
    }
  }
  expect(() => Forward.apply(w).sum().backward()).toThrow('You must implement either the backward or vjp method')
})

test('modes that can be asked for', () => {
  expect(torch.areDeterministicAlgorithmsEnabled()).toBe(false)
  torch.useDeterministicAlgorithms(true, { warnOnly: true })
  expect([torch.areDeterministicAlgorithmsEnabled(), torch.isDeterministicAlgorithmsWarnOnlyEnabled()]).toEqual([true, true]) // biome-ignore format: a row
  torch.useDeterministicAlgorithms(false)
  const root = torch.zeros(1, { requiresGrad: true })
  const nan = (): void => root.sqrt().mul(0).sum().backward()
  {
    using _ = torch.autograd.setDetectAnomaly(true)
    expect(torch.isAnomalyEnabled()).toBe(true)
    expect(nan).toThrow("Function 'SqrtBackward0' returned nan values in its 0th output.")
    torch.autograd.setDetectAnomaly(true, false)
    expect(nan).not.toThrow()
  }
  expect(torch.isAnomalyEnabled()).toBe(false)
})
