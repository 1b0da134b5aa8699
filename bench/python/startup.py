# Start-up of PyTorch: see ../startup.ts.
import json, subprocess, sys, time

for _ in sys.stdin:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch; print(torch.ones(3) + 1)"], check=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - start
    print(json.dumps({"published": seconds, "source": seconds}), flush=True)
