// Work on tensors' memory in plain TypeScript: sorts, scans, random draws and whatever else is no kernel. It goes through
// the device, so that a compiled function does it again at each call.
import type { Access } from '../backend/device.ts'
import { memory } from '../backend/memory.ts'
import { rawView } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { notImplemented } from './complex.ts'
import { device } from './run.ts'
import type { Tensor } from './tensor.ts'
import { tracer } from './tracer.ts'

/** The raw elements of a contiguous tensor. */
export type Raw = ReturnType<typeof rawView>

/**
 * Runs `work` on the raw elements of contiguous tensors. `access` has one letter an operand: `r` read, `w` written,
 * `u` both. What `work` does must follow from these elements alone (and from random generators), and it must not keep
 * the arrays; allocate results before.
 */
export function onHost(name: string, operands: readonly Tensor[], access: string, work: (...raw: Raw[]) => void): void {
  const pointers = operands.map((t) => {
    if (!t.contiguousLayout)
      throw new RuntimeError('only a contiguous tensor can be seen as one array; call contiguous() first')
    return t.pointer
  })
  const complex = operands.find((t) => t.dtype.kind === 'complex')
  if (complex) throw notImplemented(name, complex.dtype)
  const kinds = operands.map((t) => [t.dtype, t.count] as const)
  atPointers(name, pointers, access, (at) => {
    work(...at.map((pointer, i) => rawView(kinds[i][0], memory.views.buffer, pointer, kinds[i][1])))
  })
}

const MODES: Record<string, Access> = { r: 'read', w: 'write', u: 'update' }

/** As `onHost` for operands given by their addresses: `work` gets those that hold when it runs. */
export function atPointers(
  name: string,
  pointers: readonly number[],
  access: string,
  work: (pointers: readonly number[]) => void,
): void {
  device().host(
    name,
    pointers,
    [...access].map((letter) => MODES[letter]),
    work,
  )
}

/** Says that what follows depends on elements in a way that a compiled function can't repeat: the shape of a result. */
export function readsValues(name: string): void {
  if (tracer !== null) tracer.untraceable(name)
}
