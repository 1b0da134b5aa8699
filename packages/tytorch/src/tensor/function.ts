// Custom differentiable functions: a forward and a backward of the user's own, as torch.autograd.Function.
import { isGradEnabled, noGrad } from './mode.ts'
import { historyOf, Node } from './node.ts'
import { Tensor } from './tensor.ts'

/** Given to `forward` and `backward`; any other property may be set on it in forward and read in backward. */
export class FunctionContext {
  /** Arbitrary values that forward leaves for backward. */
  [key: string]: unknown
  needsInputGrad: boolean[] = []
  private kept: Tensor[] = []
  private node: Node | null = null

  /** Keeps tensors for backward, with a check that nobody changes them in between. */
  saveForBackward(...tensors: Tensor[]): void {
    this.kept = tensors
  }

  /** The tensors kept by `saveForBackward`. */
  get savedTensors(): readonly Tensor[] {
    return this.node ? this.node.savedTensors : this.kept
  }

  /** @internal */
  attach(node: Node | null): readonly Tensor[] {
    this.node = node
    return this.kept
  }
}

// biome-ignore lint/suspicious/noExplicitAny: users declare their own argument types
type AnyArgs = any[]
type Output = Tensor | readonly Tensor[]

/** The static side of a custom function. */
interface FunctionClass<A extends AnyArgs, R extends Output> {
  readonly name: string
  forward(ctx: FunctionContext, ...args: A): R
  // biome-ignore lint/suspicious/noExplicitAny: one gradient per output
  backward(ctx: FunctionContext, ...grads: any[]): Tensor | null | undefined | readonly (Tensor | null | undefined)[]
}

/**
 * Base of custom functions: subclass it with static `forward(ctx, ...)` and `backward(ctx, ...grads)` and call
 * `apply`. Backward answers one gradient per argument of forward (null or undefined where there is none).
 */
// biome-ignore lint/complexity/noStaticOnlyClass: PyTorch's API
export class AutogradFunction {
  /** Runs forward without recording its inside, and records the function itself. */
  static apply<A extends AnyArgs, R extends Output>(this: FunctionClass<A, R>, ...args: A): R {
    const ctx = new FunctionContext()
    const tensors = args.filter((a): a is Tensor => a instanceof Tensor)
    const history = tensors.map(historyOf)
    const recorded = isGradEnabled() && history.some((n) => n !== null)
    ctx.needsInputGrad = args.map((a) => a instanceof Tensor && historyOf(a) !== null)
    const result = noGrad(() => this.forward(ctx, ...args)) as R
    if (!recorded) return result
    const outs: readonly Tensor[] = result instanceof Tensor ? [result] : result
    const positions = args.flatMap((a, i) => (a instanceof Tensor ? [i] : []))
    const backward = (grads: readonly (Tensor | null)[]): (Tensor | null)[] => {
      const filled = grads.map((g, i) => g ?? outs[i].zerosLike())
      const answer = this.backward(ctx, ...filled)
      const list = Array.isArray(answer)
        ? (answer as (Tensor | null | undefined)[])
        : [answer as Tensor | null | undefined]
      if (list.length < args.length && list.length !== tensors.length) {
        throw new Error(
          `function ${this.name}Backward returned an incorrect number of gradients (expected ${args.length}, got ${list.length})`,
        )
      }
      return list.length === args.length
        ? positions.map((i) => list[i] ?? null)
        : tensors.map((_, i) => list[i] ?? null)
    }
    // An input returned as it is needs a handle of its own, or it would become its own history.
    const fresh = outs.map((o) => (tensors.includes(o) ? o.viewAs(o).detach() : o))
    const node = new Node(
      `${this.name}Backward`,
      history,
      tensors.map((t, i) => (history[i] ? t.nodeOutput : 0)),
      backward,
      ctx.attach(null),
      outs.length,
      false,
      undefined,
      true,
    )
    ctx.attach(node)
    fresh.forEach((o, i) => {
      if (o.dtype.isFloatingPoint) {
        o.node = node
        o.nodeOutput = i
      }
    })
    return (result instanceof Tensor ? fresh[0] : fresh) as R
  }
}
