// What a step reads and writes; and which steps matter at all.
import type { Buffer, Operand, Step, Trace } from './trace.ts'

/** An operand of a step, and what becomes of it. */
export interface Use {
  readonly operand: Operand
  readonly reads: boolean
  readonly writes: boolean
}

/** The operands of a step. */
export function usesOf(step: Step): Use[] {
  const use = (operand: Operand, mode: 'read' | 'write' | 'update'): Use => ({
    operand,
    reads: mode !== 'write',
    writes: mode !== 'read',
  })
  if (step.kind === 'launch') return step.operands.map((o, i) => use(o, step.kernel.args[i].mode))
  if (step.kind === 'host') return step.operands.map((o, i) => use(o, step.modes[i]))
  const read = [step.a, step.b, ...(step.bias ? [step.bias] : []), ...(step.epilogue?.operands ?? [])]
  return [...read.map((o) => use(o, 'read')), use(step.c, step.args.accumulate ? 'update' : 'write')]
}

/** The buffers that steps write to. */
export function writtenBuffers(trace: Trace): Set<Buffer> {
  const found = new Set<Buffer>()
  for (const step of trace.steps) for (const u of usesOf(step)) if (u.writes) found.add(u.operand.buffer)
  return found
}

/** The trace without steps whose results nobody reads, and without buffers that are not used. */
export function prune(trace: Trace): Trace {
  const needed = new Set<Buffer>()
  const kept: Step[] = []
  for (let i = trace.steps.length - 1; i >= 0; i--) {
    const step = trace.steps[i]
    const uses = usesOf(step)
    // Host routines may do more than write: draws move their generator on, checks throw.
    const lives =
      step.kind === 'host' ||
      uses.some(({ writes, operand: { buffer } }) => writes && (buffer.kind !== 'temporary' || needed.has(buffer)))
    if (!lives) continue
    for (const u of uses) if (u.reads) needed.add(u.operand.buffer)
    kept.push(step)
  }
  kept.reverse()
  return withSteps(trace, kept)
}

/** The trace with other steps and their temporaries. */
export function withSteps(trace: Trace, steps: readonly Step[]): Trace {
  const used = new Set<Buffer>()
  for (const step of steps) for (const u of usesOf(step)) used.add(u.operand.buffer)
  for (const buffer of trace.buffers) if (buffer.kind !== 'temporary') used.add(buffer)
  return { buffers: [...used], steps }
}

/**
 * Steps that compute the same from the same are computed once: a launch that only writes temporaries which nothing else
 * writes, with the same kernel, scalars and layout, and operands that were not written in between.
 */
export function share(trace: Trace): Trace {
  const writes = new Map<Buffer, number>()
  for (const step of trace.steps) {
    for (const u of usesOf(step)) if (u.writes) writes.set(u.operand.buffer, (writes.get(u.operand.buffer) ?? 0) + 1)
  }
  const done = new Map<Buffer, number>()
  const first = new Map<string, Step & { kind: 'launch' }>()
  const same = new Map<Buffer, Buffer>()
  const ids = new Map<object, number>()
  const idOf = (x: object): number => {
    let id = ids.get(x)
    if (id === undefined) ids.set(x, (id = ids.size))
    return id
  }
  const replaced = (o: Operand): Operand => {
    const buffer = same.get(o.buffer)
    return buffer ? { buffer, offset: o.offset } : o
  }
  const steps: Step[] = []
  for (const original of trace.steps) {
    const step = rewire(original, replaced)
    const uses = usesOf(step)
    const pure =
      step.kind === 'launch' &&
      uses.every(({ operand: { buffer }, writes: w, reads }) =>
        w ? !reads && buffer.kind === 'temporary' && writes.get(buffer) === 1 : true,
      )
    if (pure && step.kind === 'launch') {
      const key = JSON.stringify([
        idOf(step.kernel),
        step.extent,
        step.strides,
        step.scalars.map((s) => (typeof s === 'object' ? ['live', idOf(s.source), s.index] : String(s))),
        uses.map(({ operand: { buffer, offset }, writes: w }) =>
          w ? [offset, buffer.bytes] : [idOf(buffer), offset, done.get(buffer) ?? 0],
        ),
      ])
      const before = first.get(key)
      if (before) {
        step.operands.forEach((o, i) => {
          if (step.kernel.args[i].mode === 'write') same.set(o.buffer, before.operands[i].buffer)
        })
        continue
      }
      first.set(key, step)
    }
    for (const u of uses) if (u.writes) done.set(u.operand.buffer, (done.get(u.operand.buffer) ?? 0) + 1)
    steps.push(step)
  }
  return withSteps(trace, steps)
}

/** A step with other operands. */
function rewire(step: Step, change: (o: Operand) => Operand): Step {
  if (step.kind !== 'matmul') return { ...step, operands: step.operands.map(change) }
  return {
    ...step,
    a: change(step.a),
    b: change(step.b),
    c: change(step.c),
    bias: step.bias && change(step.bias),
    ...(step.epilogue
      ? { epilogue: { ...step.epilogue, operands: step.epilogue.operands.map((o) => ({ ...change(o), row: o.row })) } }
      : {}),
  }
}
