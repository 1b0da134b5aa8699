// What ops do with complex tensors. Kernels are real: an op that knows complex numbers has a form here, by its name,
// and any other refuses them. The forms are in ops/complex*.ts; docs/decisions/complex.md says why.
import { Complex } from '../base/complex.ts'
import { DType, toRealType } from '../base/dtype.ts'
import { NotImplementedError } from '../base/errors.ts'
import { alias, Tensor } from './tensor.ts'

/** The complex form of an element-wise op: its operands are complex tensors of one dtype. */
export interface ComplexForm {
  /** The result, without history if `analytic`. `scalar` is the second operand if it was a number. */
  readonly value: (x: Tensor, y: Tensor, scalar?: unknown) => Tensor
  /** The op has a complex derivative, so that its real gradient holds with the operands conjugated. */
  readonly analytic: boolean
}

/** Forms of the element-wise families, by the op's name. */
export const complexForms = new Map<string, ComplexForm>()

/** Forms of other ops, which get the arguments that the op's own forward would get. */
// biome-ignore lint/suspicious/noExplicitAny: forms of every signature
export const complexOps = new Map<string, (...args: any[]) => unknown>()

/**
 * Ops that need no form: views, copies, and what is composed of ops that have one. Every other op refuses complex
 * tensors, since it could convert them to real ones on its way.
 */
export const complexSafe = new Set(
  (
    'arange square lerp addcmul addcdiv countNonzero clone contiguous detach to view reshape flatten unflatten transpose t ' +
    'permute movedim expand broadcastTo squeeze unsqueeze asStrided narrow select unbind split chunk diagonal cat stack ' +
    'hstack vstack dstack columnStack linalgDiagonal einsum tensordot inner diff complex polar viewAsReal viewAsComplex ' +
    'conj conjPhysical adjoint isreal angle positive trueDivide kron fill put selectScatter sliceScatter ' +
    'diagonalScatter tensorSplit hsplit vsplit dsplit splitWithSizes unsafeSplit unsafeSplitWithSizes unsafeChunk ' +
    'unfoldDimension ravel diagonalCopy narrowCopy viewCopy unbindCopy fftFft fftIfft fftRfft fftIhfft fftIrfft ' +
    'fftHfft fftFft2 fftFftn fftIfft2 fftIfftn fftRfft2 fftRfftn fftIhfft2 fftIhfftn fftIrfft2 fftIrfftn fftHfft2 ' +
    'fftHfftn fftFftshift fftIfftshift fftFftfreq fftRfftfreq aliasCopy detachCopy asStridedCopy expandCopy ' +
    'permuteCopy selectCopy sliceCopy splitCopy splitWithSizesCopy squeezeCopy tCopy transposeCopy unfoldCopy ' +
    'unsqueezeCopy constantPadNd pad normal_ stft istft dist trapezoid cumulativeTrapezoid linalgMultiDot linalgMatrixPower'
  ).split(' '),
)

/** True for complex tensors, numbers and dtypes, and lists with one. */
export function isComplexValue(x: unknown): boolean {
  if (x instanceof Tensor) return x.dtype.kind === 'complex'
  if (Array.isArray(x)) return x.some((item) => item instanceof Tensor && item.dtype.kind === 'complex')
  return x instanceof Complex || (x instanceof DType && x.kind === 'complex')
}

/** PyTorch's error of an op that does not take `dtype`. */
export function notImplemented(name: string, dtype: DType): NotImplementedError {
  return new NotImplementedError(`"${name}_cpu" not implemented for '${dtype.title}'`)
}

/** The real (0) or imaginary (1) parts of a complex tensor in place, without history. */
export function partOf(x: Tensor, which: 0 | 1): Tensor {
  return alias(
    x,
    x.sizes,
    x.strides.map((s) => 2 * s),
    2 * x.offset + which,
    toRealType(x.dtype),
  )
}

/** All parts of a complex tensor in place, both of an element side by side in a new last dimension; no history. */
export function partsOf(x: Tensor): Tensor {
  return alias(x, [...x.sizes, 2], [...x.strides.map((s) => 2 * s), 1], 2 * x.offset, toRealType(x.dtype))
}
