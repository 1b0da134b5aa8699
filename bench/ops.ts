// Microseconds of forward calls of many ops at a middling size, in turns with PyTorch at 1 and 2 threads, with the reason
// beside what takes more than three times as long as PyTorch's better figure. Arguments: names of ops (a part will do).
import * as torch from 'tytorch'
import { python, Rival } from './rival.ts'

const { linalg } = torch
const F = torch.nn.functional

const ROUND_MS = 6
const ROUNDS = 5
const SLOW = 3

torch.manualSeed(0)
const [x, y] = [torch.randn([256, 256]), torch.randn([256, 256])]
const p = x.abs().add(0.1)
const u = torch.rand([256, 256]).mul(1.8).sub(0.9)
const m = x.gt(0)
const i = torch.randint(0, 256, [256, 256])
const rows = torch.randint(0, 256, [256])
const t = torch.randint(0, 256, [256])
const [signal, w1] = [torch.randn([8, 16, 512]), torch.randn([32, 16, 5])]
const [image, w2] = [torch.randn([8, 16, 32, 32]), torch.randn([32, 16, 3, 3])]
const grid = torch.rand([8, 32, 32, 2]).mul(2).sub(1)
const [volume, w3] = [torch.randn([2, 8, 12, 12, 12]), torch.randn([16, 8, 3, 3, 3])]
const w2t = torch.randn([16, 32, 3, 3])
const [b1, b2] = [torch.randn([16, 64, 64]), torch.randn([16, 64, 64])]
const a = torch.randn([128, 128]).add(torch.eye(128).mul(12))
const s = a.matmul(a.t()).add(torch.eye(128))
const rhs = torch.randn([128, 16])
const large = torch.randn([512, 512]).add(torch.eye(512).mul(25))
const spd = large.matmul(large.t()).add(torch.eye(512))
const many = torch.randn([1000, 8, 8]).add(torch.eye(8).mul(3))
const [g, h] = [torch.ones([16]), torch.zeros([16])]
const { values: sorted } = x.sort(1)
const chance = torch.rand([256, 256])
const z = torch.complex(x, y)
const [wave, waves, long] = [
  torch.complex(torch.randn(1000), torch.randn(1000)),
  torch.randn([64, 1024]),
  torch.randn(65536),
]
const half = torch.fft.rfft(waves)
const hann = torch.hannWindow(1024)

/** By name, as in python/ops.py. */
const OPS: Readonly<Record<string, () => unknown>> = {
  add: () => x.add(y),
  div: () => x.div(y),
  pow: () => torch.pow(p, 2.5),
  exp: () => torch.exp(x),
  log: () => torch.log(p),
  sin: () => torch.sin(x),
  tanh: () => torch.tanh(x),
  fmod: () => torch.fmod(x, p),
  remainder: () => torch.remainder(x, p),
  tan: () => torch.tan(x),
  square: () => torch.square(x),
  lerp: () => torch.lerp(x, y, 0.3),
  nanToNum: () => torch.nanToNum(x),
  'sum of a transpose': () => x.t().sum(),
  erf: () => torch.erf(x),
  erfinv: () => torch.erfinv(u),
  lgamma: () => torch.lgamma(p),
  gelu: () => F.gelu(x),
  where: () => torch.where(m, x, y),
  clamp: () => torch.clamp(x, -1, 1),
  maskedFill: () => x.maskedFill(m, 0),
  maskedSelect: () => torch.maskedSelect(x, m),
  nonzero: () => torch.nonzero(m),
  'transpose copy': () => x.t().contiguous(),
  flip: () => torch.flip(x, [1]),
  cat: () => torch.cat([x, y], 1),
  tril: () => torch.tril(x),
  sum: () => x.sum(),
  'sum dim 0': () => x.sum(0),
  'mean dim 1': () => x.mean(1),
  'var dim 1': () => torch.var(x, 1),
  'prod dim 1': () => x.prod(1),
  'amax dim 1': () => x.amax(1),
  'argmax dim 1': () => x.argmax(1),
  norm: () => linalg.vectorNorm(x),
  'logsumexp dim 1': () => torch.logsumexp(x, 1),
  softmax: () => torch.softmax(x, 1),
  'cumsum dim 1': () => x.cumsum(1),
  'cumsum dim 0': () => x.cumsum(0),
  'cumprod dim 1': () => x.cumprod(1),
  sort: () => x.sort(1),
  'argsort dim 0': () => x.argsort(0),
  'topk 8': () => x.topk(8, 1),
  kthvalue: () => x.kthvalue(100, 1),
  median: () => x.median(1),
  unique: () => torch.unique(i),
  searchsorted: () => torch.searchsorted(sorted, x),
  bincount: () => torch.bincount(i.flatten()),
  histc: () => torch.histc(x, 64, -3, 3),
  gather: () => x.gather(1, i),
  take: () => x.take(i),
  scatterAdd: () => torch.zeros([256, 256]).scatterAdd(1, i, x),
  indexSelect: () => x.indexSelect(0, rows),
  indexAdd: () => x.indexAdd(0, rows, y),
  'index with a tensor': () => x.at(rows),
  'index with two tensors': () => x.at(i, i),
  embedding: () => F.embedding(i.narrow(0, 0, 16), x),
  oneHot: () => F.oneHot(rows, 256),
  randn: () => torch.randn([256, 256]),
  'randn of a million': () => torch.randn([1024, 1024]),
  rand: () => torch.rand([256, 256]),
  bernoulli: () => torch.bernoulli(chance),
  randint: () => torch.randint(0, 1000, [256, 256]),
  randperm: () => torch.randperm(65536),
  dropout: () => F.dropout(x, 0.5),
  'fft of 1000': () => torch.fft.fft(wave),
  'rfft of 64 rows': () => torch.fft.rfft(waves),
  'irfft of 64 rows': () => torch.fft.irfft(half),
  'rfft of 65536': () => torch.fft.rfft(long),
  fft2: () => torch.fft.fft2(z),
  'fft dim 0': () => torch.fft.fft(z, { dim: 0 }),
  stft: () => torch.stft(long, 1024, { window: hann, returnComplex: true }),
  matmul: () => x.matmul(y),
  bmm: () => torch.bmm(b1, b2),
  einsum: () => torch.einsum('bij,bkj->bik', b1, b2),
  cdist: () => torch.cdist(x, y),
  conv1d: () => F.conv1d(signal, w1, { padding: 2 }),
  conv2d: () => F.conv2d(image, w2, { padding: 1 }),
  conv3d: () => F.conv3d(volume, w3, { padding: 1 }),
  convTranspose2d: () => F.convTranspose2d(image, w2t, { stride: 2 }),
  maxPool2d: () => F.maxPool2d(image, 2),
  avgPool2d: () => F.avgPool2d(image, 3, 2, 1),
  adaptiveAvgPool2d: () => F.adaptiveAvgPool2d(image, 7),
  layerNorm: () => F.layerNorm(x, [256]),
  batchNorm: () => F.batchNorm(image, h, g, g, h),
  groupNorm: () => F.groupNorm(image, 4, g, h),
  crossEntropy: () => F.crossEntropy(x, t),
  mseLoss: () => F.mseLoss(x, y),
  smoothL1Loss: () => F.smoothL1Loss(x, y),
  binaryCrossEntropyWithLogits: () => F.binaryCrossEntropyWithLogits(x, m.to(torch.float32)),
  'interpolate nearest': () => F.interpolate(image, { scaleFactor: 2 }),
  'interpolate bilinear': () => F.interpolate(image, { scaleFactor: 2, mode: 'bilinear' }),
  gridSample: () => F.gridSample(image, grid, { alignCorners: false }),
  pad: () => F.pad(image, [1, 2, 1, 2]),
  'pad reflect': () => F.pad(image, [1, 2, 1, 2], { mode: 'reflect' }),
  unfold: () => F.unfold(image, 3, { padding: 1 }),
  'linalg.solve': () => linalg.solve(a, rhs),
  'linalg.inv': () => linalg.inv(a),
  'linalg.det': () => linalg.det(a),
  'linalg.cholesky': () => linalg.cholesky(s),
  'linalg.qr': () => linalg.qr(a),
  'linalg.lstsq': () => linalg.lstsq(a, rhs),
  'linalg.solveTriangular': () => linalg.solveTriangular(a, rhs, { upper: true }),
  'linalg.solve of 512': () => linalg.solve(large, large),
  'linalg.cholesky of 512': () => linalg.cholesky(spd),
  'linalg.qr of 512': () => linalg.qr(large),
  'linalg.inv of 1000': () => linalg.inv(many),
  'linalg.det of 1000': () => linalg.det(many),
  'linalg.qr of 1000': () => linalg.qr(many),
  'linalg.svd': () => linalg.svd(a),
  'linalg.eigh': () => linalg.eigh(s),
}

const DOUBLES =
  'all in doubles, and the iterations on the reduced matrix in plain TypeScript; PyTorch calls LAPACK in floats'
const PRODUCT = 'on two threads the pieces seldom both run on a busy machine; about equal on one'

/** Why it takes so long, for what is (or on some runs is) slow. */
const WHY: Readonly<Record<string, string>> = {
  matmul: PRODUCT,
  bmm: PRODUCT,
  einsum: PRODUCT,
  conv1d: PRODUCT,
  'linalg.svd': DOUBLES,
  'linalg.eigh': DOUBLES,
}

function microseconds(run: () => unknown): number {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < ROUND_MS) {
    torch.scope(() => void run())
    count++
    elapsed = performance.now() - start
  }
  return (elapsed / count) * 1000
}

const path = python()
const rivals = path ? [1, 2].map((threads) => new Rival(path, 'ops', threads)) : []
const wanted = process.argv.slice(2).filter((name) => name !== 'ops')
const text = (value: number): string => value.toFixed(1).padStart(10)
console.log(`${'microseconds'.padEnd(30)}${'TyTorch'.padStart(10)}${path ? '   PyTorch    slower  why' : ''}`)
let slow = 0
let failed = 0
try {
  for (const [name, run] of Object.entries(OPS)) {
    if (wanted.length > 0 && !wanted.some((w) => name.includes(w))) continue
    const ours: number[] = []
    const theirs: number[][] = rivals.map(() => [])
    try {
      for (let k = 0; k < 3; k++) microseconds(run)
    } catch (error) {
      failed++
      console.log(`${name.padEnd(30)} ${String(error)}`)
      continue
    }
    for (const r of rivals) await r.run(name)
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(microseconds(run))
      for (const [k, r] of rivals.entries()) theirs[k].push((await r.run(name)).us)
    }
    // The least of all rounds: what else runs on the machine only adds to it.
    const own = Math.min(...ours)
    const best = Math.min(...theirs.flat())
    const ratio = own / best
    if (ratio > SLOW) slow++
    const why = ratio > SLOW ? `  ${WHY[name] ?? 'not looked into'}` : ''
    console.log(`${name.padEnd(30)}${text(own)}${path ? `${text(best)}${text(ratio)}${why}` : ''}`)
  }
} finally {
  for (const r of rivals) r.close()
}
if (path) console.log(`${slow} take more than ${SLOW} times as long as PyTorch's better figure of 1 and 2 threads`)
if (failed > 0) process.exitCode = 1
