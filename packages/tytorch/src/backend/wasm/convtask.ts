// Convolutions as numbers, in which form threads hand them to each other.
import type { ConvolutionArgs, ConvolutionPart, Triple } from '../device.ts'
import type { MatmulDType } from './element.ts'
import type { Host } from './features.ts'

export const DTYPES: readonly MatmulDType[] = ['float32', 'float64', 'int32', 'int64']
export const PARTS: readonly ConvolutionPart[] = ['output', 'input', 'weight']

/** A number for a dtype and a host, by which threads agree on kernels. */
export function indexOf(dtype: MatmulDType, host: Host): number {
  return DTYPES.indexOf(dtype) * 4 + (host.revectorize ? 2 : 0) + (host.relaxed ? 1 : 0)
}

/** The host of such a number. */
export function hostOf(index: number): Host {
  return { relaxed: (index & 1) !== 0, revectorize: (index & 2) !== 0 }
}

/** 26 numbers. */
export function encodeArgs(args: ConvolutionArgs): number[] {
  const { batch, groups, inputChannels, outputChannels, input, output, kernel, stride, padding, dilation } = args
  const sizes = [...input, ...output, ...kernel, ...stride, ...padding, ...dilation]
  return [batch, groups, inputChannels, outputChannels, ...sizes, args.x, args.w, args.y, args.bias]
}

/** The arguments whose numbers begin at `at`. */
export function decodeArgs(numbers: Float64Array, at: number): ConvolutionArgs {
  const [batch, groups, inputChannels, outputChannels] = numbers.subarray(at)
  const triple = (i: number): Triple => {
    const first = at + 4 + 3 * i
    return [numbers[first], numbers[first + 1], numbers[first + 2]]
  }
  const [input, output, kernel, stride, padding, dilation] = [0, 1, 2, 3, 4, 5].map(triple)
  const [x, w, y, bias] = numbers.subarray(at + 22)
  const sizes = { input, output, kernel, stride, padding, dilation }
  return { batch, groups, inputChannels, outputChannels, ...sizes, x, w, y, bias }
}

/** The numbers from the first to the end of share `piece` of `pieces` of `count`. */
export function share(piece: number, pieces: number, count: number): readonly [number, number] {
  return [Math.floor((piece * count) / pieces), Math.floor(((piece + 1) * count) / pieces)]
}

/** Shapes that have a number at a time. */
const SHAPES = 64
const numbers = new Map<string, number>()
let serial = 0

/** In the main thread: a number for a part's geometry, by which other threads find what they know of it. */
export function shapeNumber(index: number, part: ConvolutionPart, geometry: readonly number[]): number {
  const key = `${index} ${part} ${geometry.join(' ')}`
  let id = numbers.get(key)
  if (id === undefined) {
    if (numbers.size >= SHAPES) numbers.delete(numbers.keys().next().value as string)
    numbers.set(key, (id = serial++))
  }
  return id
}
