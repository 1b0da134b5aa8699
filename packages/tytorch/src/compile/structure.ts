// The tensors in arguments and results: nested arrays, plain objects and maps become a form with numbered places, so that
// a later call can be compared with it and a result be made again.
import { Tensor } from '../tensor/tensor.ts'

/** A value with its tensors replaced by numbers. */
export type Form =
  | { readonly kind: 'tensor'; readonly index: number }
  | { readonly kind: 'list'; readonly items: readonly Form[] }
  | {
      readonly kind: 'record'
      readonly rest: object
      readonly keys: readonly string[]
      readonly items: readonly Form[]
    }
  | { readonly kind: 'value'; readonly value: unknown }

/** Objects whose properties are looked into: literals; and, among results, whatever holds tensors. */
function isLiteral(x: object): boolean {
  const proto = Object.getPrototypeOf(x)
  return proto === Object.prototype || proto === null
}

/** The form of arguments; their tensors are added to `tensors`. Other objects count as themselves. */
export function formOf(value: unknown, tensors: Tensor[], open = isLiteral): Form {
  if (value instanceof Tensor) return { kind: 'tensor', index: tensors.push(value) - 1 }
  if (Array.isArray(value)) return { kind: 'list', items: value.map((v) => formOf(v, tensors, open)) }
  if (typeof value === 'object' && value !== null && open(value)) {
    const keys = Object.keys(value)
    const items = keys.map((k) => formOf((value as Record<string, unknown>)[k], tensors, open))
    return { kind: 'record', rest: withoutKeys(value, keys), keys, items }
  }
  return { kind: 'value', value }
}

/** A copy without these properties. What is no plain property, an iterator for instance, comes along. */
function withoutKeys(x: object, keys: readonly string[]): Record<string, unknown> {
  const rest = Object.getOwnPropertyDescriptors(x) as Record<string, PropertyDescriptor>
  for (const key of keys) delete rest[key]
  return Object.create(Object.getPrototypeOf(x), rest)
}

/** The form of a result: objects of classes are looked into if they hold tensors. */
export function resultForm(value: unknown, tensors: Tensor[]): Form {
  return formOf(value, tensors, (x) => isLiteral(x) || Object.values(x).some((v) => v instanceof Tensor))
}

/** True if `value` has this form; its tensors are added to `tensors`. */
export function matches(form: Form, value: unknown, tensors: Tensor[]): boolean {
  switch (form.kind) {
    case 'tensor':
      if (!(value instanceof Tensor)) return false
      tensors.push(value)
      return true
    case 'list':
      return (
        Array.isArray(value) &&
        value.length === form.items.length &&
        form.items.every((f, i) => matches(f, value[i], tensors))
      )
    case 'record': {
      if (typeof value !== 'object' || value === null || !isLiteral(value)) return false
      const keys = Object.keys(value)
      return (
        keys.length === form.keys.length &&
        form.keys.every(
          (k, i) => k === keys[i] && matches(form.items[i], (value as Record<string, unknown>)[k], tensors),
        )
      )
    }
    default:
      return Object.is(value, form.value)
  }
}

/** The value that a form stands for, with these tensors. */
export function rebuild(form: Form, tensors: readonly unknown[]): unknown {
  switch (form.kind) {
    case 'tensor':
      return tensors[form.index]
    case 'list':
      return form.items.map((f) => rebuild(f, tensors))
    case 'record': {
      const made = withoutKeys(form.rest, [])
      form.keys.forEach((k, i) => {
        made[k] = rebuild(form.items[i], tensors)
      })
      return made
    }
    default:
      return form.value
  }
}
