// What torch.compile made of a function, as text: steps, kernels, memory, and what runs eagerly and why.

import type { Kernel } from '../ir/kernel.ts'
import { show } from '../ir/show.ts'
import type { Compiled } from './compile.ts'
import type { Graph } from './graph.ts'
import { planMemory } from './plan.ts'
import type { Section } from './section.ts'
import type { Buffer, Operand, Step } from './trace.ts'
import { usesOf } from './uses.ts'

/** The text for a compiled function, about the graph that holds for `args`. */
export function describe(compiled: Compiled, args: readonly unknown[]): string {
  const lines = [`${compiled.name}: ${count(compiled.graphs.length, 'graph')}`]
  for (const f of compiled.fallbacks) lines.push(`runs eagerly (${count(f.calls, 'call')}): ${f.reason}`)
  if (compiled.overflow > 0) lines.push(`runs eagerly (${count(compiled.overflow, 'call')}): too many graphs`)
  const graph = compiled.graphs.find((g) => g.match(args)) ?? compiled.graphs[0]
  if (graph) lines.push(...describeGraph(graph))
  return lines.join('\n')
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`

function describeGraph(graph: Graph): string[] {
  const kernels = new Map<Kernel, string>()
  const { forward, backwards } = graph.parts
  const lines = [
    `used ${count(graph.hits, 'time')} after its trace`,
    '',
    ...describeSection('forward', forward, kernels),
  ]
  if (backwards) lines.push('', ...describeSection('backward', backwards.section, kernels))
  if (kernels.size > 0) lines.push('', 'kernels')
  for (const [kernel, name] of kernels) lines.push('', `${name}:`, show(kernel))
  return lines
}

function describeSection(title: string, { trace }: Section, kernels: Map<Kernel, string>): string[] {
  const plan = planMemory(trace)
  const sum = [...plan.places.values()].reduce((total, p) => total + p.bytes, 0)
  const kept = trace.buffers.filter((b) => b.kind !== 'temporary')
  const lines = [
    `${title}: ${count(trace.steps.length, 'step')}`,
    `memory: ${plan.bytes} bytes for ${count(plan.places.size, 'temporary').replace('temporarys', 'temporaries')} of ${sum}`,
  ]
  for (const kind of ['captured', 'input', 'output', 'state'] as const) {
    const list = kept.filter((b) => b.kind === kind)
    if (list.length > 0) lines.push(`${kind}: ${list.map((b) => `${nameOf(b)} ${b.bytes} B`).join(', ')}`)
  }
  trace.steps.forEach((step, i) => {
    lines.push(`  ${String(i).padStart(3)} ${describeStep(step, kernels)}`)
  })
  for (const p of plan.places.values()) {
    lines.push(`  ${nameOf(p.buffer)}: ${p.buffer.bytes} B at ${p.offset}, steps ${p.first} to ${p.last}`)
  }
  return lines
}

function nameOf(buffer: Buffer): string {
  return `${buffer.kind[0]}${buffer.id}`
}

function operandText({ buffer, offset }: Operand): string {
  return offset === 0 ? nameOf(buffer) : `${nameOf(buffer)}+${offset}`
}

function describeStep(step: Step, kernels: Map<Kernel, string>): string {
  const uses = usesOf(step)
  const list = (writes: boolean): string =>
    uses
      .filter((u) => u.writes === writes || (u.writes && u.reads))
      .map((u) => operandText(u.operand))
      .join(', ')
  return `${stepName(step, kernels)}  ${list(true)} <- ${list(false)}`
}

function stepName(step: Step, kernels: Map<Kernel, string>): string {
  if (step.kind === 'host') return `host ${step.name}`
  if (step.kind === 'matmul') {
    const { m, n, k } = step.args
    return `matmul ${m}x${k}x${n}${step.bias ? ' + bias' : ''}${step.epilogue ? ' with epilogue' : ''}`
  }
  let name = kernels.get(step.kernel)
  if (!name) {
    const same = [...kernels.values()].filter((n) => n.replace(/#\d+$/, '') === step.kernel.name).length
    name = same === 0 ? step.kernel.name : `${step.kernel.name}#${same + 1}`
    kernels.set(step.kernel, name)
  }
  return `${name} [${step.extent.join(', ')}]`
}
