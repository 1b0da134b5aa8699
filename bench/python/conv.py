# Times parts of convolutions: `python conv.py THREADS` reads lines `part n c size o kernel stride padding ms` and
# answers the seconds that one takes.
import functools
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))


@functools.lru_cache(maxsize=4)
def operands(n, c, size, o, kernel, stride, padding):
    x, w, b = torch.randn(n, c, size, size), torch.randn(o, c, kernel, kernel), torch.randn(o)
    y = torch.conv2d(x, w, b, stride, padding)
    return x, w, b, torch.randn_like(y)


for line in sys.stdin:
    part, *numbers = line.split()
    *shape, ms = map(int, numbers)
    x, w, b, g = operands(*shape)
    stride, padding = shape[5:]
    wanted = [part == "input", part == "weight", False]

    def run():
        if part == "output":
            torch.conv2d(x, w, b, stride, padding)
        else:
            torch.ops.aten.convolution_backward(
                g, x, w, [len(b)], [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, wanted
            )

    run()
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed * 1000 >= ms:
            break
    print(elapsed / count, flush=True)
