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
const [volume, w3] = [torch.randn([2, 8, 12, 12, 12]), torch.randn([16, 8, 3, 3, 3])]
const w2t = torch.randn([16, 32, 3, 3])
const [b1, b2] = [torch.randn([16, 64, 64]), torch.randn([16, 64, 64])]
const a = torch.randn([128, 128]).add(torch.eye(128).mul(12))
const s = a.matmul(a.t()).add(torch.eye(128))
const rhs = torch.randn([128, 16])
const [g, h] = [torch.ones([16]), torch.zeros([16])]
const { values: sorted } = x.sort(1)

/** By name, as in python/ops.py. */
const OPS: Readonly<Record<string, () => unknown>> = {
  add: () => x.add(y),
  div: () => x.div(y),
  pow: () => torch.pow(p, 2.5),
  exp: () => torch.exp(x),
  log: () => torch.log(p),
  sin: () => torch.sin(x),
  tanh: () => torch.tanh(x),
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
  scatterAdd: () => torch.zeros([256, 256]).scatterAdd(1, i, x),
  indexSelect: () => x.indexSelect(0, rows),
  indexAdd: () => x.indexAdd(0, rows, y),
  'index with a tensor': () => x.at(rows),
  embedding: () => F.embedding(i.narrow(0, 0, 16), x),
  oneHot: () => F.oneHot(rows, 256),
  randn: () => torch.randn([256, 256]),
  dropout: () => F.dropout(x, 0.5),
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
  pad: () => F.pad(image, [1, 2, 1, 2]),
  'pad reflect': () => F.pad(image, [1, 2, 1, 2], { mode: 'reflect' }),
  unfold: () => F.unfold(image, 3, { padding: 1 }),
  'linalg.solve': () => linalg.solve(a, rhs),
  'linalg.inv': () => linalg.inv(a),
  'linalg.det': () => linalg.det(a),
  'linalg.cholesky': () => linalg.cholesky(s),
  'linalg.qr': () => linalg.qr(a),
  'linalg.svd': () => linalg.svd(a),
  'linalg.eigh': () => linalg.eigh(s),
}

const HOSTED = 'its kernel calls JavaScript for each element'
const SCALAR = 'plain TypeScript in doubles, without blocks or SIMD; PyTorch calls LAPACK'
const PRODUCT = 'on two threads the pieces seldom both run on a busy machine; about equal on one'
const SORTS = 'a radix sort of each row on the host; PyTorch selects'

/** Why it takes so long, for what is (or on some runs is) slow. */
const WHY: Readonly<Record<string, string>> = {
  erfinv: HOSTED,
  lgamma: HOSTED,
  maskedSelect: 'positions are listed on the host, made offsets, then gathered',
  nonzero: 'positions are listed on the host, then taken apart into coordinates of 64 bits',
  'cumsum dim 1': 'scanned on the host, one addition waiting for the last',
  'cumsum dim 0': 'scanned on the host in doubles, without SIMD',
  'cumprod dim 1': 'scanned on the host, one product waiting for the last',
  'topk 8': 'keys and the best 8 of a row are found on the host, one element at a time',
  kthvalue: SORTS,
  median: SORTS,
  unique: 'a radix sort of 64-bit keys on the host; PyTorch hashes or sorts 32 bits at a time with SIMD',
  bincount: 'converted to doubles, checked, then counted on the host',
  histc: 'counted on the host in doubles',
  gather: 'indices are checked on the host first; WebAssembly has no gathering load',
  scatterAdd: 'indices are checked, converted to 32 bits, then added one by one on the host',
  indexAdd: 'rows are added on the host without SIMD',
  oneHot: 'the range of classes is read first, then bools are compared and converted',
  randn: "PyTorch's draws bit for bit: its fused multiply-adds are emulated in logarithm, sine and cosine",
  matmul: PRODUCT,
  bmm: PRODUCT,
  einsum: PRODUCT,
  conv1d: PRODUCT,
  groupNorm: 'sums in doubles, half as many lanes, and a second pass that scales',
  'linalg.solve': SCALAR,
  'linalg.inv': SCALAR,
  'linalg.det': SCALAR,
  'linalg.cholesky': SCALAR,
  'linalg.qr': SCALAR,
  'linalg.svd': SCALAR,
  'linalg.eigh': SCALAR,
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
