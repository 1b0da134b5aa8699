// The classes of errors that PyTorch distinguishes; the message says op, shapes or dtypes, and the fix.

/** Wrong shapes, dtypes or state at run time: Python's RuntimeError. */
export class RuntimeError extends Error {
  override name = 'RuntimeError'
}

/** An index or dimension out of range: Python's IndexError. */
export class IndexError extends RangeError {
  override name = 'IndexError'
}

/** An argument of the right type with a wrong value: Python's ValueError. */
export class ValueError extends Error {
  override name = 'ValueError'
}

/** Something PyTorch has that is not there for these arguments. */
export class NotImplementedError extends Error {
  override name = 'NotImplementedError'
}

/** A matrix that an algorithm can't handle, a singular one for instance: PyTorch's torch.linalg.LinAlgError. */
export class LinAlgError extends RuntimeError {
  override name = 'LinAlgError'
}
