# The ops of ../ops.ts in PyTorch: each line asks for one by name, and gets the microseconds of a call.
import json, sys, time
import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
ROUND = 0.006

x, y = torch.randn(256, 256), torch.randn(256, 256)
p = x.abs() + 0.1
u = torch.rand(256, 256) * 1.8 - 0.9
m = x > 0
i = torch.randint(0, 256, (256, 256))
rows = torch.randint(0, 256, (256,))
t = torch.randint(0, 256, (256,))
signal, w1 = torch.randn(8, 16, 512), torch.randn(32, 16, 5)
image, w2 = torch.randn(8, 16, 32, 32), torch.randn(32, 16, 3, 3)
grid = torch.rand(8, 32, 32, 2) * 2 - 1
volume, w3 = torch.randn(2, 8, 12, 12, 12), torch.randn(16, 8, 3, 3, 3)
w2t = torch.randn(16, 32, 3, 3)
b1, b2 = torch.randn(16, 64, 64), torch.randn(16, 64, 64)
a = torch.randn(128, 128) + 12 * torch.eye(128)
s = a @ a.T + torch.eye(128)
rhs = torch.randn(128, 16)
large = torch.randn(512, 512) + 25 * torch.eye(512)
spd = large @ large.T + torch.eye(512)
many = torch.randn(1000, 8, 8) + 3 * torch.eye(8)
g, h = torch.ones(16), torch.zeros(16)
one = torch.ones(256)
chance = torch.rand(256, 256)
z = torch.complex(x, y)
wave, waves, long = torch.complex(torch.randn(1000), torch.randn(1000)), torch.randn(64, 1024), torch.randn(65536)
half = torch.fft.rfft(waves)
hann = torch.hann_window(1024)

OPS = {
    "add": lambda: x + y,
    "div": lambda: x / y,
    "pow": lambda: torch.pow(p, 2.5),
    "exp": lambda: torch.exp(x),
    "log": lambda: torch.log(p),
    "sin": lambda: torch.sin(x),
    "tanh": lambda: torch.tanh(x),
    "fmod": lambda: torch.fmod(x, p),
    "remainder": lambda: torch.remainder(x, p),
    "tan": lambda: torch.tan(x),
    "square": lambda: torch.square(x),
    "lerp": lambda: torch.lerp(x, y, 0.3),
    "nanToNum": lambda: torch.nan_to_num(x),
    "sum of a transpose": lambda: x.t().sum(),
    "erf": lambda: torch.erf(x),
    "erfinv": lambda: torch.erfinv(u),
    "lgamma": lambda: torch.lgamma(p),
    "gelu": lambda: F.gelu(x),
    "where": lambda: torch.where(m, x, y),
    "clamp": lambda: torch.clamp(x, -1, 1),
    "maskedFill": lambda: x.masked_fill(m, 0),
    "maskedSelect": lambda: torch.masked_select(x, m),
    "nonzero": lambda: torch.nonzero(m),
    "transpose copy": lambda: x.t().contiguous(),
    "flip": lambda: torch.flip(x, [1]),
    "cat": lambda: torch.cat([x, y], 1),
    "tril": lambda: torch.tril(x),
    "sum": lambda: x.sum(),
    "sum dim 0": lambda: x.sum(0),
    "mean dim 1": lambda: x.mean(1),
    "var dim 1": lambda: x.var(1),
    "prod dim 1": lambda: x.prod(1),
    "amax dim 1": lambda: x.amax(1),
    "argmax dim 1": lambda: x.argmax(1),
    "norm": lambda: torch.linalg.vector_norm(x),
    "logsumexp dim 1": lambda: torch.logsumexp(x, 1),
    "softmax": lambda: torch.softmax(x, 1),
    "cumsum dim 1": lambda: x.cumsum(1),
    "cumsum dim 0": lambda: x.cumsum(0),
    "cumprod dim 1": lambda: x.cumprod(1),
    "sort": lambda: x.sort(1),
    "argsort dim 0": lambda: x.argsort(0),
    "topk 8": lambda: x.topk(8, 1),
    "kthvalue": lambda: x.kthvalue(100, 1),
    "median": lambda: x.median(1),
    "unique": lambda: torch.unique(i),
    "searchsorted": lambda: torch.searchsorted(rowsSorted, x),
    "bincount": lambda: torch.bincount(i.flatten()),
    "histc": lambda: torch.histc(x, 64, -3, 3),
    "gather": lambda: x.gather(1, i),
    "take": lambda: x.take(i),
    "scatterAdd": lambda: torch.zeros(256, 256).scatter_add(1, i, x),
    "indexSelect": lambda: x.index_select(0, rows),
    "indexAdd": lambda: x.index_add(0, rows, y),
    "index with a tensor": lambda: x[rows],
    "index with two tensors": lambda: x[i, i],
    "embedding": lambda: F.embedding(i[:16], x),
    "oneHot": lambda: F.one_hot(rows, 256),
    "randn": lambda: torch.randn(256, 256),
    "randn of a million": lambda: torch.randn(1024, 1024),
    "rand": lambda: torch.rand(256, 256),
    "bernoulli": lambda: torch.bernoulli(chance),
    "randint": lambda: torch.randint(0, 1000, (256, 256)),
    "randperm": lambda: torch.randperm(65536),
    "dropout": lambda: F.dropout(x, 0.5),
    "fft of 1000": lambda: torch.fft.fft(wave),
    "rfft of 64 rows": lambda: torch.fft.rfft(waves),
    "irfft of 64 rows": lambda: torch.fft.irfft(half),
    "rfft of 65536": lambda: torch.fft.rfft(long),
    "fft2": lambda: torch.fft.fft2(z),
    "fft dim 0": lambda: torch.fft.fft(z, dim=0),
    "stft": lambda: torch.stft(long, 1024, window=hann, return_complex=True),
    "matmul": lambda: x @ y,
    "bmm": lambda: torch.bmm(b1, b2),
    "einsum": lambda: torch.einsum("bij,bkj->bik", b1, b2),
    "cdist": lambda: torch.cdist(x, y),
    "conv1d": lambda: F.conv1d(signal, w1, padding=2),
    "conv2d": lambda: F.conv2d(image, w2, padding=1),
    "conv3d": lambda: F.conv3d(volume, w3, padding=1),
    "convTranspose2d": lambda: F.conv_transpose2d(image, w2t, stride=2),
    "maxPool2d": lambda: F.max_pool2d(image, 2),
    "avgPool2d": lambda: F.avg_pool2d(image, 3, 2, 1),
    "adaptiveAvgPool2d": lambda: F.adaptive_avg_pool2d(image, 7),
    "layerNorm": lambda: F.layer_norm(x, [256]),
    "batchNorm": lambda: F.batch_norm(image, h, g, g, h),
    "groupNorm": lambda: F.group_norm(image, 4, g, h),
    "crossEntropy": lambda: F.cross_entropy(x, t),
    "mseLoss": lambda: F.mse_loss(x, y),
    "smoothL1Loss": lambda: F.smooth_l1_loss(x, y),
    "binaryCrossEntropyWithLogits": lambda: F.binary_cross_entropy_with_logits(x, m.float()),
    "interpolate nearest": lambda: F.interpolate(image, scale_factor=2),
    "interpolate bilinear": lambda: F.interpolate(image, scale_factor=2, mode="bilinear"),
    "gridSample": lambda: F.grid_sample(image, grid, align_corners=False),
    "pad": lambda: F.pad(image, [1, 2, 1, 2]),
    "pad reflect": lambda: F.pad(image, [1, 2, 1, 2], mode="reflect"),
    "unfold": lambda: F.unfold(image, 3, padding=1),
    "linalg.solve": lambda: torch.linalg.solve(a, rhs),
    "linalg.inv": lambda: torch.linalg.inv(a),
    "linalg.det": lambda: torch.linalg.det(a),
    "linalg.cholesky": lambda: torch.linalg.cholesky(s),
    "linalg.qr": lambda: torch.linalg.qr(a),
    "linalg.lstsq": lambda: torch.linalg.lstsq(a, rhs),
    "linalg.solveTriangular": lambda: torch.linalg.solve_triangular(a, rhs, upper=True),
    "linalg.solve of 512": lambda: torch.linalg.solve(large, large),
    "linalg.cholesky of 512": lambda: torch.linalg.cholesky(spd),
    "linalg.qr of 512": lambda: torch.linalg.qr(large),
    "linalg.inv of 1000": lambda: torch.linalg.inv(many),
    "linalg.det of 1000": lambda: torch.linalg.det(many),
    "linalg.qr of 1000": lambda: torch.linalg.qr(many),
    "linalg.svd": lambda: torch.linalg.svd(a),
    "linalg.eigh": lambda: torch.linalg.eigh(s),
}
rowsSorted = x.sort(1)[0]


def microseconds(run):
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed >= ROUND:
            return elapsed / count * 1e6


for line in sys.stdin:
    print(json.dumps({"us": microseconds(OPS[line.strip()])}), flush=True)
