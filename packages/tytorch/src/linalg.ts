// torch.linalg: factorisations, systems of equations, norms and products of matrices.
export { LinAlgError } from './base/errors.ts'
export {
  linalgMatrixPower as matrixPower,
  linalgMultiDot as multiDot,
  matrixExp,
} from './ops/chain.ts'
export {
  linalgCholesky as cholesky,
  linalgCholeskyEx as choleskyEx,
  linalgLdlFactor as ldlFactor,
  linalgLdlFactorEx as ldlFactorEx,
  linalgLdlSolve as ldlSolve,
} from './ops/cholesky.ts'
export { linalgVecdot as vecdot } from './ops/contract.ts'
export { linalgCross as cross, linalgVander as vander } from './ops/covariance.ts'
export { linalgEig as eig, linalgEigvals as eigvals } from './ops/eigen.ts'
export { matmul } from './ops/linear.ts'
export {
  linalgDet as det,
  linalgLu as lu,
  linalgLuFactor as luFactor,
  linalgLuFactorEx as luFactorEx,
  linalgLuSolve as luSolve,
  linalgSlogdet as slogdet,
} from './ops/lu.ts'
export { linalgDiagonal as diagonal } from './ops/matrices.ts'
export {
  linalgCond as cond,
  linalgMatrixNorm as matrixNorm,
  linalgNorm as norm,
  linalgVectorNorm as vectorNorm,
} from './ops/norms.ts'
export { linalgLstsq as lstsq, linalgMatrixRank as matrixRank, linalgPinv as pinv } from './ops/pseudo.ts'
export { linalgHouseholderProduct as householderProduct, linalgQr as qr } from './ops/qr.ts'
export {
  linalgInv as inv,
  linalgInvEx as invEx,
  linalgSolve as solve,
  linalgSolveEx as solveEx,
  linalgTensorinv as tensorinv,
  linalgTensorsolve as tensorsolve,
} from './ops/solve.ts'
export {
  linalgEigh as eigh,
  linalgEigvalsh as eigvalsh,
  linalgSvd as svd,
  linalgSvdvals as svdvals,
} from './ops/spectrum.ts'
export { linalgSolveTriangular as solveTriangular } from './ops/triangular.ts'
