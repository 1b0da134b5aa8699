// The short-time Fourier transform and its inverse.
import { bfloat16, float16, toComplexType, toRealType } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { Tensor } from '../tensor/tensor.ts'
import { viewAsComplex, viewAsReal } from './complex.ts'
import { fold } from './convfold.ts'
import { complexToComplex, complexToReal, realToComplex } from './fftcore.ts'
import { constantPadNd, type PadMode, pad } from './pad.ts'
import { unfold } from './pieces.ts'

/** `x` of [batch, length] as overlapping frames [batch, count, size], `hop` apart; a view. */
function frames(x: Tensor, size: number, hop: number): Tensor {
  const length = x.sizes[1]
  return record(unfold(x.detach(), 1, size, hop), 'AsStridedBackward0', [x], [], (g) => [overlapped(g, length, hop)])
}

/** The sum of frames [batch, count, size] where they lie in a signal of `length`: [batch, length]. */
function overlapped(y: Tensor, length: number, hop: number): Tensor {
  const [batch, count, size] = y.sizes
  const covered = size + hop * (count - 1)
  const parts = y.dtype.isComplex ? viewAsReal(y) : y.unsqueeze(3)
  const width = parts.sizes[3]
  const columns = parts.permute(0, 3, 2, 1).reshape(batch, width * size, count)
  const sum = fold(columns, [1, covered], [1, size], { stride: [1, hop] }).reshape(batch, width, covered)
  const whole = covered < length ? constantPadNd(sum, [0, length - covered]) : sum
  return y.dtype.isComplex ? viewAsComplex(whole.permute(0, 2, 1).contiguous()) : whole.squeeze(1)
}

const text = (x: boolean | number | null | undefined): string => (x == null ? 'None' : String(Number(x)))
const sizesOf = (x: Tensor): string => `[${x.sizes.join(', ')}]`
const windowText = (w: Tensor | null): string => (w ? `torch.${w.dtype.title}Tensor{${sizesOf(w)}}` : 'None')

const warned = new Set<string>()
function warnOnce(message: string): void {
  if (!warned.has(message)) console.warn(`UserWarning: ${message}`)
  warned.add(message)
}

const UNUSED =
  'To suppress this warning and use a rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`.'

/** A window of `size` with zeros on both sides of a shorter one; null stays where nothing has to be added. */
function fitted(window: Tensor | null, like: Tensor, length: number, size: number): Tensor | null {
  if (length === size) return window
  const left = Math.floor((size - length) / 2)
  const given = window ?? like.detach().newOnes([length])
  return constantPadNd(given, [left, size - length - left])
}

function checkWindow(name: string, window: unknown): asserts window is Tensor | null {
  if (window !== null && !(window instanceof Tensor))
    throw new TypeError(
      `${name}(): argument 'window' must be Tensor, not ${Array.isArray(window) ? 'list' : typeof window}`,
    )
}

interface StftOptions {
  readonly hopLength?: number | null
  readonly winLength?: number | null
  /** [winLength]; ones if absent. */
  readonly window?: Tensor | null
  /** Pads the signal, so that frame t is centered at t * hopLength; else it begins there. */
  readonly center?: boolean
  readonly padMode?: PadMode
  /** Divides by sqrt(nFft). */
  readonly normalized?: boolean
  /** Half of the frequencies, all that a real signal has. */
  readonly onesided?: boolean | null
  /** False gives pairs of numbers instead of complex ones; to be said for real signals. */
  readonly returnComplex?: boolean | null
  /** Without `center`: frames begin where the window does, not the padding around it. */
  readonly alignToWindow?: boolean | null
}
type Flag = boolean | null
type StftArgs = [
  hopLength?: number | null,
  winLength?: number | null,
  window?: Tensor | null,
  center?: boolean,
  padMode?: PadMode,
  normalized?: boolean,
  onesided?: Flag,
  returnComplex?: Flag,
  alignToWindow?: Flag,
]

/** `x` with `width` elements more on both sides, as `F.pad` adds them to [1, channels, length]. */
function centered(x: Tensor, width: number, mode: PadMode): Tensor {
  const sizes = [...Array(Math.max(3 - x.ndim, 0)).fill(1), ...x.sizes] as number[]
  const seen = x.reshape(sizes)
  const padded = pad(seen, [width, width], mode)
  return padded.reshape(padded.sizes.slice(padded.ndim - x.ndim))
}

/**
 * The Fourier transforms of overlapping, windowed pieces of a signal, [length] or [batch, length]: complex
 * [batch, frequencies, frames], nFft / 2 + 1 frequencies of a real signal. `hopLength` is nFft / 4 and `winLength` nFft
 * unless given; a shorter window lies in the middle of its frame.
 */
export const stft: (x: Tensor, nFft: number, ...args: Args<StftArgs, StftOptions>) => Tensor = op({
  name: 'stft',
  signature:
    'input, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided, return_complex, align_to_window',
  differentiable: true,
  samples: (t) => [
    [t(10), 4, { returnComplex: true, window: t(4).detach() }],
    [t(2, 9), 5, 2, 3, t(3), true, 'constant', true, null, true],
    [t(7), 4, { hopLength: 2, window: t(4).detach(), center: false, onesided: false, returnComplex: false }],
  ],
  forward: (
    x: Tensor,
    nFft: number,
    hopLength: number | null = null,
    winLength: number | null = null,
    window: Tensor | null = null,
    center = true,
    padMode: PadMode = 'reflect',
    normalized = false,
    onesided: Flag = null,
    returnComplex: Flag = null,
    alignToWindow: Flag = null,
  ) => {
    if (!(x instanceof Tensor)) throw new TypeError("stft(): argument 'input' (position 1) must be Tensor")
    if (center && alignToWindow !== null)
      throw new RuntimeError('stft align_to_window should only be set when center = false')
    const signal = center ? centered(x, Math.floor(nFft / 2), padMode) : x
    checkWindow('stft', window)
    if (!window)
      warnOnce(
        `A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. Other windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage.${UNUSED}`,
      )
    const hop = hopLength ?? nFft >> 2
    const length = winLength ?? nFft
    const fail = (what: string): never => {
      throw new RuntimeError(
        `stft(torch.${signal.dtype.title}Tensor${sizesOf(signal)}, n_fft=${nFft}, hop_length=${hop}, win_length=${length}, window=${windowText(window)}, normalized=${text(normalized)}, onesided=${text(onesided)}, return_complex=${text(returnComplex)}, align_to_window=${text(alignToWindow)}) : ${what}`,
      )
    }
    const isComplex = signal.dtype.isComplex || window?.dtype.isComplex === true
    if (returnComplex === null && !isComplex) {
      throw new RuntimeError(
        'stft requires the return_complex parameter be given for real inputs, and will further require that return_complex=True in a future PyTorch release.',
      )
    }
    if (returnComplex === false)
      warnOnce(
        'stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for all inputs, and return_complex=False will raise an error.',
      )
    if (!signal.dtype.isFloatingPoint && !signal.dtype.isComplex)
      fail('expected a tensor of floating point or complex values')
    if (signal.ndim < 1 || signal.ndim > 2) fail('expected a 1D or 2D tensor')
    let rows = signal.ndim === 1 ? signal.unsqueeze(0) : signal
    const size = rows.sizes[1]
    if (!(nFft > 0 && nFft <= size)) fail(`expected 0 < n_fft < ${size}, but got n_fft=${nFft}`)
    if (hop <= 0) fail(`expected hop_length > 0, but got hop_length=${hop}`)
    if (!(length > 0 && length <= nFft)) fail(`expected 0 < win_length <= n_fft, but got win_length=${length}`)
    if (window && (window.ndim !== 1 || window.sizes[0] !== length)) {
      fail(
        `expected a 1D window tensor of size equal to win_length=${length}, but got window with size ${sizesOf(window)}`,
      )
    }
    if (signal.dtype === float16 || signal.dtype === bfloat16)
      throw new RuntimeError(`MKL FFT doesn't support tensors of type: ${signal.dtype.title}`)
    if (isComplex && onesided) throw new RuntimeError('Cannot have onesided output if window or input is complex')
    if (alignToWindow) {
      const side = Math.floor((nFft - length) / 2)
      const count = 1 + Math.floor((size - length) / hop)
      rows = constantPadNd(rows, [side, side])
      // The frames may reach beyond the padding; PyTorch then fails at the memory's end, for all rows but the last unseen.
      const missing = (count - 1) * hop + nFft - rows.sizes[1]
      if (missing > 0) {
        const [batch, have] = rows.sizes
        const bytes = rows.dtype.itemsize
        throw new RuntimeError(
          `setStorage: sizes [${batch}, ${count}, ${nFft}], strides [${have}, ${hop}, 1], storage offset 0, and itemsize ${bytes} requiring a storage size of ${(batch * have + missing) * bytes} are out of bounds for storage of size ${batch * have * bytes}`,
        )
      }
    }
    const shaped = fitted(window, rows, length, nFft)
    let pieces = frames(rows, nFft, hop)
    if (shaped) pieces = pieces.mul(shaped)
    const scale = normalized ? 1 / Math.sqrt(nFft) : 1
    const half = onesided ?? !isComplex
    const spectrum = half
      ? realToComplex(pieces, 2, false, scale)
      : complexToComplex(pieces.dtype.isComplex ? pieces : pieces.to(toComplexType(pieces.dtype)), [2], false, scale)
    const turned = spectrum.transpose(1, 2)
    const out = signal.ndim === 1 ? turned.squeeze(0) : turned
    return returnComplex === false ? viewAsReal(out) : out
  },
})

interface IstftOptions {
  readonly hopLength?: number | null
  readonly winLength?: number | null
  readonly window?: Tensor | null
  readonly center?: boolean
  readonly normalized?: boolean
  readonly onesided?: boolean | null
  /** Of the result: it is cut, or filled up with zeros. */
  readonly length?: number | null
  /** A complex result, of a spectrum with all its frequencies. */
  readonly returnComplex?: boolean
}
type IstftArgs = [
  hopLength?: number | null,
  winLength?: number | null,
  window?: Tensor | null,
  center?: boolean,
  normalized?: boolean,
  onesided?: Flag,
  length?: number | null,
  returnComplex?: boolean,
]

/**
 * The signal, [length] or [batch, length], whose `stft` is nearest to a complex [batch, frequencies, frames]: frames added
 * up where they overlap, over the sum of their squared windows (Griffin and Lim, IEEE ASSP 32, 1984). Throws RuntimeError
 * where that sum vanishes.
 */
export const istft: (x: Tensor, nFft: number, ...args: Args<IstftArgs, IstftOptions>) => Tensor = op({
  name: 'istft',
  signature: 'input, n_fft, hop_length, win_length, window, center, normalized, onesided, length, return_complex',
  differentiable: true,
  samples: (t) => [
    [viewAsComplex(t(3, 4, 2).detach()), 4, { window: t(4).detach().abs().add(1) }],
    [viewAsComplex(t(2, 4, 3, 2).detach()), 4, 1, 3, t(3).detach().abs().add(1), true, true, false, 3, true],
  ],
  forward: (
    x: Tensor,
    nFft: number,
    hopLength: number | null = null,
    winLength: number | null = null,
    window: Tensor | null = null,
    center = true,
    normalized = false,
    onesided: Flag = null,
    length: number | null = null,
    returnComplex = false,
  ) => {
    if (!(x instanceof Tensor)) throw new TypeError("istft(): argument 'input' (position 1) must be Tensor")
    checkWindow('istft', window)
    if (!window)
      warnOnce(
        `A window was not provided. A rectangular window will be applied.Please provide the same window used by stft to make the inversion lossless.${UNUSED}`,
      )
    const hop = hopLength ?? nFft >> 2
    const width = winLength ?? nFft
    const prefix = `istft(CPU${x.dtype.title}Type${sizesOf(x)}, n_fft=${nFft}, hop_length=${hop}, win_length=${width}, window=${windowText(window)}, center=${text(center)}, normalized=${text(normalized)}, onesided=${text(onesided)}, length=${text(length)}, return_complex=${text(returnComplex)}) `
    const check = (holds: boolean, what: string): void => {
      if (!holds) throw new RuntimeError(`${prefix}: ${what}`)
    }
    if (!x.dtype.isComplex) {
      throw new RuntimeError(
        'istft requires a complex-valued input tensor matching the output from stft with return_complex=True.',
      )
    }
    if (x.ndim < 2)
      throw new IndexError(
        `Dimension out of range (expected to be in range of [${-x.ndim - 1}, ${x.ndim}], but got -${x.ndim === 1 ? 3 : 2})`,
      )
    const [found, count] = x.sizes.slice(-2)
    check(x.count > 0, 'input tensor cannot be empty.')
    check(x.ndim === 2 || x.ndim === 3, `expected a tensor with 3 or 4 dimensions, but got ${x.ndim + 1}`)
    const half = onesided ?? found !== nFft
    if (half)
      check(
        Math.floor(nFft / 2) + 1 === found,
        `expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when onesided=True, but got ${found}`,
      )
    else
      check(
        nFft === found,
        `expected the frequency dimension (3rd to the last) of the input tensor to match n_fft when onesided=False, but got ${found}`,
      )
    check(hop > 0 && hop <= width, 'expected 0 < hop_length <= win_length')
    check(width > 0 && width <= nFft, 'expected 0 < win_length <= n_fft')
    check(
      !window || (window.ndim === 1 && window.sizes[0] === width),
      'Invalid window shape. window has to be 1D and length of `win_length`',
    )
    const flat = x.detach().newOnes([width], { dtype: toRealType(x.dtype) })
    const shaped = fitted(window ?? flat, flat, width, nFft) as Tensor
    const spectrum = (x.ndim === 2 ? x.unsqueeze(0) : x).transpose(1, 2)
    const scale = normalized ? 1 / Math.sqrt(nFft) : 1 / nFft
    let pieces: Tensor
    if (returnComplex) {
      if (half) throw new RuntimeError('Cannot have onesided output if window or input is complex')
      pieces = complexToComplex(spectrum, [2], true, scale)
    } else {
      if (window?.dtype.isComplex) throw new RuntimeError('Complex windows are incompatible with return_complex=False')
      const first = half ? spectrum : spectrum.narrow(2, 0, Math.floor(nFft / 2) + 1)
      pieces = complexToReal(first, 2, nFft, true, scale)
    }
    const whole = nFft + hop * (count - 1)
    const sum = overlapped(pieces.mul(shaped), whole, hop)
    const squares = overlapped(shaped.mul(shaped).expand([1, count, nFft]), whole, hop)
    const start = center ? Math.floor(nFft / 2) : 0
    const end = length !== null ? start + length : center ? whole - Math.floor(nFft / 2) : whole
    const cut = (t: Tensor): Tensor => t.narrow(1, start, Math.max(Math.min(end, whole) - start, 0))
    const envelope = cut(squares)
    if (envelope.count === 0) {
      throw new RuntimeError(
        "min(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.",
      )
    }
    onHost('envelope', [envelope.detach().abs().min().lt(1e-11)], 'r', ([vanishes]) => {
      if (vanishes) throw new RuntimeError(`${prefix}window overlap add min: 1\n[ CPUBoolType{} ]`)
    })
    let y = cut(sum).div(envelope)
    if (end > whole) {
      warnOnce(
        'The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. Please check your center and hop_length settings.',
      )
      y = constantPadNd(y, [0, end - whole])
    }
    return x.ndim === 2 ? y.squeeze(0) : y
  },
})
