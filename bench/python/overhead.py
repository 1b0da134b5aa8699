# Op overhead in PyTorch: see ../overhead.ts.
import json, sys, time
import torch

torch.set_num_threads(int(sys.argv[1]))
a = torch.ones(10)
b = torch.ones(10)
w = torch.ones(10, requires_grad=True)
s = torch.ones((), requires_grad=True)


def nanoseconds(fn, calls):
    start = time.perf_counter()
    for _ in range(calls):
        fn()
    return (time.perf_counter() - start) / calls * 1e9


def chain():
    x = s
    for _ in range(50):
        x = x.mul(1.01).add(0.01)
    return x


def both():
    s.grad = None
    chain().backward()


for _ in sys.stdin:
    print(json.dumps({
        "add": nanoseconds(lambda: a.add(b), 50000),
        "addRecorded": nanoseconds(lambda: w.add(b), 50000),
        "sum": nanoseconds(lambda: a.sum(), 20000),
        "chainForward": nanoseconds(chain, 300) / 1000,
        "chainBackward": nanoseconds(both, 200) / 1000,
    }), flush=True)
