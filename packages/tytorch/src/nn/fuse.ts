// Layers joined with the batch norm that follows them, for inference.
import { onesLike, zerosLike } from '../ops/create.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { BatchNorm1d, BatchNorm2d, BatchNorm3d } from './batchnorm.ts'
import type { ConvNd } from './conv.ts'
import { copied } from './deepcopy.ts'
import type { Linear } from './linear.ts'
import type { Module } from './module.ts'
import { Parameter } from './parameter.ts'

type BatchNorm = BatchNorm1d | BatchNorm2d | BatchNorm3d

/** Weight and bias of a convolution (its transpose with `transpose`) followed by a batch norm, as one convolution's. */
export function fuseConvBnWeights(
  convW: Tensor,
  convB: Tensor | null,
  bnRm: Tensor,
  bnRv: Tensor,
  bnEps: number,
  bnW: Tensor | null,
  bnB: Tensor | null,
  transpose = false,
): [weight: Parameter, bias: Parameter] {
  const bias = convB ?? zerosLike(bnRm)
  const scale = (bnW ?? onesLike(bnRm)).mul(bnRv.add(bnEps).rsqrt())
  const rest = convW.sizes.slice(2).map(() => 1)
  const weight = convW.mul(scale.reshape(transpose ? [1, -1, ...rest] : [-1, 1, ...rest])).to(convW.dtype)
  const shifted = bias
    .sub(bnRm)
    .mul(scale)
    .add(bnB ?? zerosLike(bnRm))
  return [
    new Parameter(weight.detach(), convW.requiresGrad),
    new Parameter(shifted.to((convB ?? convW).dtype).detach(), bias.requiresGrad),
  ]
}

/** As `fuseConvBnWeights` for a linear layer. */
export function fuseLinearBnWeights(
  linearW: Tensor,
  linearB: Tensor | null,
  bnRm: Tensor,
  bnRv: Tensor,
  bnEps: number,
  bnW: Tensor | null,
  bnB: Tensor | null,
): [weight: Parameter, bias: Parameter] {
  return fuseConvBnWeights(linearW, linearB, bnRm, bnRv, bnEps, bnW, bnB)
}

function statistics(layer: Module, bn: BatchNorm): [mean: Tensor, variance: Tensor] {
  if (layer.training || bn.training) throw new Error('Fusion only for eval!')
  if (!bn.runningMean || !bn.runningVar) throw new Error('bn.running_mean and bn.running_var must not be None')
  return [bn.runningMean, bn.runningVar]
}

/** A copy of `conv` that does what `conv` and then `bn` do. Throws Error while training or without running statistics. */
export function fuseConvBnEval<C extends ConvNd>(conv: C, bn: BatchNorm, transpose = false): C {
  const [mean, variance] = statistics(conv, bn)
  const fused = copied(conv)
  const [weight, bias] = fuseConvBnWeights(
    conv.weight,
    conv.bias,
    mean,
    variance,
    bn.eps,
    bn.weight,
    bn.bias,
    transpose,
  )
  fused.weight = weight
  fused.bias = bias
  return fused
}

/** As `fuseConvBnEval` for a linear layer. */
export function fuseLinearBnEval<L extends Linear>(linear: L, bn: BatchNorm): L {
  const [mean, variance] = statistics(linear, bn)
  if (linear.outFeatures !== bn.numFeatures && bn.numFeatures !== 1) {
    throw new Error(
      `To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got linear.out_features=${linear.outFeatures} and bn.num_features=${bn.numFeatures}`,
    )
  }
  const fused = copied(linear)
  const [weight, bias] = fuseLinearBnWeights(linear.weight, linear.bias, mean, variance, bn.eps, bn.weight, bn.bias)
  fused.weight = weight
  fused.bias = bias
  return fused
}
