// Constructor arguments: by position or by name, as ops take theirs.
import { bind, parse, type Signature } from '../tensor/define.ts'

const signatures = new Map<string, Signature>()

/** The arguments of `name` in the order of `signature` (PyTorch's names); absent ones are undefined. */
export function named<T extends unknown[]>(name: string, signature: string, given: readonly unknown[]): Partial<T> {
  let found = signatures.get(signature)
  if (!found) signatures.set(signature, (found = parse(signature)))
  return bind(name, found, [...given]) as Partial<T>
}
