// The interpreter's convolution: loops over images, channels, pixels and taps, as the definition says.
import type { ConvolutionArgs, ConvolutionPart } from '../device.ts'
import { memory } from '../memory.ts'

/** What `Device.convolution` computes. Floats are summed in double precision and rounded once; integers wrap. */
export function convolution(
  dtype: 'float32' | 'float64' | 'int32' | 'int64',
  part: ConvolutionPart,
  args: ConvolutionArgs,
): void {
  const { f32, f64, i32, i64 } = memory.views
  if (dtype === 'int64') integers(i64, part, args)
  else if (dtype === 'int32') floats(i32, part, args, (a, b) => Math.imul(a, b))
  else floats(dtype === 'float32' ? f32 : f64, part, args, (a, b) => a * b)
}

/** Calls `term` with the element indices of input, weight and output of every product, relative to their pointers. */
function eachTerm(args: ConvolutionArgs, term: (x: number, w: number, y: number) => void): void {
  const { batch, groups, input, output, kernel, stride, padding, dilation } = args
  const inGroup = args.inputChannels / groups
  const outGroup = args.outputChannels / groups
  const inPlane = input[0] * input[1] * input[2]
  const outPlane = output[0] * output[1] * output[2]
  const taps = kernel[0] * kernel[1] * kernel[2]
  const at = (pixel: number, tap: number, d: number): number => pixel * stride[d] - padding[d] + tap * dilation[d]
  const inside = (i: number, d: number): boolean => i >= 0 && i < input[d]
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < args.outputChannels; o++) {
      const group = Math.floor(o / outGroup)
      for (let p = 0; p < outPlane; p++) {
        const z = Math.floor(p / (output[1] * output[2]))
        const y = Math.floor(p / output[2]) % output[1]
        const x = p % output[2]
        for (let k = 0; k < taps; k++) {
          const i = at(z, Math.floor(k / (kernel[1] * kernel[2])), 0)
          const j = at(y, Math.floor(k / kernel[2]) % kernel[1], 1)
          const l = at(x, k % kernel[2], 2)
          if (!inside(i, 0) || !inside(j, 1) || !inside(l, 2)) continue
          for (let c = 0; c < inGroup; c++) {
            const image = (n * args.inputChannels + group * inGroup + c) * inPlane
            term(
              image + (i * input[1] + j) * input[2] + l,
              (o * inGroup + c) * taps + k,
              (n * args.outputChannels + o) * outPlane + p,
            )
          }
        }
      }
    }
  }
}

/** The number of elements written, and of those that share an element of the bias. */
function written(part: ConvolutionPart, args: ConvolutionArgs): readonly [count: number, plane: number] {
  const { input, output, kernel } = args
  const [channels, sizes] = part === 'input' ? [args.inputChannels, input] : [args.outputChannels, output]
  const plane = sizes[0] * sizes[1] * sizes[2]
  if (part !== 'weight') return [args.batch * channels * plane, plane]
  const taps = kernel[0] * kernel[1] * kernel[2]
  return [(args.outputChannels * args.inputChannels * taps) / args.groups, 1]
}

function floats(
  v: Float32Array | Float64Array | Int32Array,
  part: ConvolutionPart,
  args: ConvolutionArgs,
  times: (a: number, b: number) => number,
): void {
  const bytes = v.BYTES_PER_ELEMENT
  const [x0, w0, y0] = [args.x / bytes, args.w / bytes, args.y / bytes]
  const [count, plane] = written(part, args)
  const sums = new Float64Array(count)
  if (args.bias !== 0) {
    const channels = part === 'input' ? args.inputChannels : args.outputChannels
    for (let i = 0; i < count; i++) sums[i] = v[args.bias / bytes + (Math.floor(i / plane) % channels)]
  }
  eachTerm(args, (x, w, y) => {
    if (part === 'output') sums[y] += times(v[x0 + x], v[w0 + w])
    else if (part === 'input') sums[x] += times(v[y0 + y], v[w0 + w])
    else sums[w] += times(v[y0 + y], v[x0 + x])
  })
  const to = part === 'output' ? y0 : part === 'input' ? x0 : w0
  for (let i = 0; i < count; i++) v[to + i] = v instanceof Int32Array ? sums[i] | 0 : sums[i]
}

function integers(v: BigInt64Array, part: ConvolutionPart, args: ConvolutionArgs): void {
  const [x0, w0, y0] = [args.x / 8, args.w / 8, args.y / 8]
  const [count, plane] = written(part, args)
  const sums = new BigInt64Array(count)
  if (args.bias !== 0) {
    const channels = part === 'input' ? args.inputChannels : args.outputChannels
    for (let i = 0; i < count; i++) sums[i] = v[args.bias / 8 + (Math.floor(i / plane) % channels)]
  }
  eachTerm(args, (x, w, y) => {
    if (part === 'output') sums[y] += v[x0 + x] * v[w0 + w]
    else if (part === 'input') sums[x] += v[y0 + y] * v[w0 + w]
    else sums[w] += v[y0 + y] * v[x0 + x]
  })
  const to = part === 'output' ? y0 : part === 'input' ? x0 : w0
  for (let i = 0; i < count; i++) v[to + i] = sums[i]
}
