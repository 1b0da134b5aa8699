// torch.compile: functions whose tensor work is traced at the first call and replayed at later ones.
import { RuntimeError, ValueError } from '../base/errors.ts'
import { isAnomalyEnabled } from '../tensor/mode.ts'
import { original, tracer } from '../tensor/tracer.ts'
import { type CaptureOptions, capture } from './capture.ts'
import { describe } from './explain.ts'
import type { Graph } from './graph.ts'
import type { Arguments } from './guards.ts'

/** Options of `compile`, as PyTorch's. */
export interface CompileOptions {
  /** Throws RuntimeError for what can't be traced, instead of running it eagerly. */
  readonly fullgraph?: boolean
  /** Accepted; every new shape is compiled anew. */
  readonly dynamic?: boolean | null
  /** 'inductor' compiles, 'eager' runs the function as it is. */
  readonly backend?: 'inductor' | 'eager'
  /** Accepted; all modes do the same. */
  readonly mode?: string | null
  /** `fusion: false` leaves the kernels as eager mode has them, to tell its effect. */
  readonly options?: { readonly fusion?: boolean } | null
  /** Answers the function as it is. */
  readonly disable?: boolean
}

/** How many graphs of one function are kept, as PyTorch's `recompile_limit`. */
const LIMIT = 8
/** After so many calls without it a graph makes room for a new one. */
const STALE = 64
/** How often tensors may seem to be kept outside before that is believed. */
const SUSPICIONS = 2

// biome-ignore lint/suspicious/noExplicitAny: functions of every signature
type AnyFunction = (...args: any[]) => any

/** A kind of call that could not be traced. */
export interface Fallback {
  readonly arguments: Arguments
  readonly reason: string
  /** How often it ran eagerly. */
  calls: number
}

let era = 0

/** What `compile` knows of one function. */
export class Compiled {
  readonly fn: AnyFunction
  readonly name: string
  graphs: Graph[] = []
  fallbacks: Fallback[] = []
  /** Calls that found the cache full. */
  overflow = 0
  private readonly options: CaptureOptions
  private calls = 0
  private era = era
  private warned = false

  constructor(fn: AnyFunction, strict: boolean, fusion = true) {
    this.fn = fn
    // A module is a function of its class's name.
    this.name = fn.name || fn.constructor?.name || 'function'
    this.options = { strict, fusion }
  }

  call(args: unknown[]): unknown {
    // Inside another trace it is part of that.
    if (tracer !== null || isAnomalyEnabled()) return this.fn(...args)
    if (this.era !== era) this.forget()
    this.calls++
    for (const graph of this.graphs) {
      const tensors = graph.match(args)
      if (!tensors) continue
      const escaped = graph.escaped()
      if (escaped > 0) return this.suspect(graph, args, escaped)
      graph.used = this.calls
      return graph.run(tensors)
    }
    for (const f of this.fallbacks) {
      if (f.arguments.match(args) === null) continue
      f.calls++
      return this.fn(...args)
    }
    if (!this.room()) return this.fn(...args)
    return this.trace(args)
  }

  private trace(args: unknown[], suspicions = 0): unknown {
    const captured = capture(this.fn as (...args: never[]) => unknown, args, this.options)
    if (captured.graph) {
      captured.graph.used = this.calls
      captured.graph.suspicions = suspicions
      this.graphs.unshift(captured.graph)
    } else {
      this.fallbacks.unshift({ arguments: captured.arguments, reason: captured.reason, calls: 1 })
      if (this.fallbacks.length > LIMIT) this.fallbacks.pop()
    }
    return captured.result
  }

  /**
   * Tensors of the traced call are still there. V8's compiler, too, holds some for a while: the call is traced again, and
   * only if the same is found once more and again do such calls run eagerly from then on.
   */
  private suspect(graph: Graph, args: unknown[], count: number): unknown {
    this.graphs = this.graphs.filter((g) => g !== graph)
    if (graph.suspicions < SUSPICIONS) return this.trace(args, graph.suspicions + 1)
    const reason = `${count} of the tensors made inside kept outside, in a variable or a property; return them instead`
    if (this.options.strict) throw new RuntimeError(`torch.compile with fullgraph=true can't trace ${reason}`)
    this.fallbacks.unshift({ arguments: graph.parts.arguments, reason, calls: 1 })
    return this.fn(...args)
  }

  /** True if one more graph may be kept: there are few, or one has not been used for long and goes. */
  private room(): boolean {
    if (this.graphs.length < LIMIT) return true
    const oldest = this.graphs.reduce((a, b) => (b.used < a.used ? b : a))
    if (this.calls - oldest.used > STALE) {
      this.graphs = this.graphs.filter((g) => g !== oldest)
      return true
    }
    this.overflow++
    if (!this.warned) {
      this.warned = true
      console.warn(
        `torch.compile: ${this.name} was compiled ${LIMIT} times, for other shapes, values or states of its arguments and modules; further kinds of calls run eagerly. torch.compiler.explain tells what was compiled.`,
      )
    }
    return false
  }

  forget(): void {
    this.graphs = []
    this.fallbacks = []
    this.overflow = 0
    this.era = era
    this.warned = false
  }
}

const known = new WeakMap<object, Compiled>()

/**
 * A function (or module) that does the same tensor work faster: the first call with arguments of certain shapes, dtypes
 * and values runs as always and is traced; later ones replay the trace, joined into fewer kernels, in memory planned
 * beforehand. A whole training step may be compiled: forward, `backward()`, `optimizer.step()`, a scheduler's step.
 *
 * Parameters, optimizer state and buffers are used in place, random draws go on, learning rates are read anew, results
 * are fresh tensors. JavaScript runs only while tracing, so values can't be read inside (RuntimeError): return them. What
 * can't be replayed (results whose shape depends on values) runs eagerly; `torch.compiler.explain` says what and why.
 */
export function compile<F extends AnyFunction>(fn: F, options?: CompileOptions): F
export function compile(options: CompileOptions): <F extends AnyFunction>(fn: F) => F
export function compile<F extends AnyFunction>(
  fn: F | CompileOptions,
  options: CompileOptions = {},
): F | (<G extends AnyFunction>(fn: G) => G) {
  if (typeof fn !== 'function') return <G extends AnyFunction>(given: G) => compile(given, fn)
  const { backend = 'inductor', disable = false, fullgraph = false } = options
  if (backend !== 'inductor' && backend !== 'eager') {
    throw new ValueError(`Invalid backend: '${backend}'; there are 'inductor' and 'eager'`)
  }
  if (disable || backend === 'eager') return fn
  const compiled = new Compiled(fn, fullgraph, options.options?.fusion ?? true)
  // A proxy, so that a module keeps its parameters, its methods and its class.
  const bound = new Map<unknown, unknown>()
  const made = new Proxy(fn, {
    apply: (_target, _self, args: unknown[]) => compiled.call(args),
    get(target, key) {
      if (key === original) return target
      const value = Reflect.get(target, key, target)
      if (typeof value !== 'function' || Object.hasOwn(target, key)) return value
      let method = bound.get(value)
      if (!method) {
        method = value.bind(target)
        bound.set(value, method)
      }
      return method
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  })
  known.set(made, compiled)
  return made
}

/** torch.compiler. */
export const compiler = {
  /** `fn` as it is, also where it is called inside a compiled function, which then runs eagerly. */
  disable<F extends AnyFunction>(fn: F): F {
    return ((...args: unknown[]) => {
      if (tracer !== null) {
        tracer.untraceable(`${fn.name || 'a function'}, which torch.compiler.disable excludes`)
        return tracer.outside(() => fn(...args))
      }
      return fn(...args)
    }) as F
  },

  /** Forgets all compiled graphs. */
  reset(): void {
    era++
  },

  /** True while a function is traced. */
  isCompiling(): boolean {
    return tracer !== null
  },

  /**
   * A function that calls `fn` (compiled or not) and answers what was made of the call: steps, kernels, memory, and what
   * ran eagerly and why.
   */
  explain<F extends AnyFunction>(fn: F): (...args: Parameters<F>) => string {
    const made = known.has(fn) ? fn : compile(fn)
    return (...args) => {
      made(...args)
      return describe(known.get(made) as Compiled, args)
    }
  },
}

compile.explain = compiler.explain
