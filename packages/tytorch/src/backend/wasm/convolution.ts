// The convolution of the WebAssembly device: picks the routine by shape.
import type { ConvolutionArgs, ConvolutionPart } from '../device.ts'
import { depthwise, isDepthwise } from './convdepth.ts'
import { Direct } from './convdirect.ts'
import { shift, shifts } from './convshift.ts'
import { isSmall, small } from './convsmall.ts'
import { type Element, elementOf, type MatmulDType } from './element.ts'
import type { Host } from './features.ts'

/** Computes one part of a convolution, as `Device.convolution`. */
export type Convolution = (dtype: MatmulDType, part: ConvolutionPart, args: ConvolutionArgs) => void

/** The convolution with the kernels that suit a host. */
export function createConvolution(host: Host): Convolution {
  const routines: Partial<Record<MatmulDType, Direct>> = {}
  const elements: Partial<Record<MatmulDType, Element>> = {}
  return (dtype, part, args) => {
    const element = (elements[dtype] ??= elementOf(dtype, host))
    if (isDepthwise(part, args, element)) {
      depthwise(dtype, host, part, args)
      return
    }
    if (isSmall(part, args, element)) {
      small(dtype, host, part, args)
      return
    }
    if (part !== 'weight' && shifts(part, args, element)) {
      shift(dtype, host, part, args)
      return
    }
    routines[dtype] ??= new Direct(dtype, host)
    routines[dtype].run(part, args)
  }
}
