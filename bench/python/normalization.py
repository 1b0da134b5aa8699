# Normalisation, attention and embedding in PyTorch: see ../normalization.ts.
import json, sys, time
import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))


def microseconds(fn):
    fn()
    start = time.perf_counter()
    fn()
    calls = max(1, min(200, int(0.01 / max(time.perf_counter() - start, 1e-6))))
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(calls):
            fn()
        best = min(best, (time.perf_counter() - start) / calls)
    return best * 1e6


def pair(name, inputs, fn):
    """Times `fn`, and `fn` with its gradients, of tensors that require them."""
    g = torch.ones_like(fn())
    with torch.no_grad():
        forward = microseconds(fn)
    both = microseconds(lambda: torch.autograd.grad(fn(), inputs, g))
    return {f"{name} forward": forward, f"{name} and back": both}


def leaf(*sizes):
    return torch.randn(*sizes).requires_grad_()


def layer(n):
    x, w, b = leaf(1024, n), leaf(n), leaf(n)
    return pair(f"layer norm 1024x{n}", [x, w, b], lambda: F.layer_norm(x, [n], w, b))


def batch():
    x, w, b = leaf(32, 64, 16, 16), leaf(64), leaf(64)
    m, v = torch.zeros(64), torch.ones(64)
    return pair("batch norm 32x64x16x16", [x, w, b], lambda: F.batch_norm(x, m, v, w, b, True))


def attention(name, sizes, causal):
    q, k, v = leaf(*sizes), leaf(*sizes), leaf(*sizes)
    return pair(name, [q, k, v], lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal))


def embedding():
    w = leaf(96, 128)
    i = torch.arange(1024) * 7 % 96
    return pair("embedding 1024 of 96x128", [w], lambda: F.embedding(i, w))


for _ in sys.stdin:
    figures = {}
    for part in (
        layer(1024),
        layer(128),
        batch(),
        attention("attention 16x4x64x32", (16, 4, 64, 32), False),
        attention("causal 16x4x64x32", (16, 4, 64, 32), True),
        attention("causal 1x4x512x64", (1, 4, 512, 64), True),
        embedding(),
    ):
        figures.update(part)
    print(json.dumps(figures), flush=True)
