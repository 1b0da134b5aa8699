# The JPEG folder in PyTorch, with Pillow: see ../images.ts. Threads are those of the main process; workers are two.
import glob, json, os, sys, time
import numpy as np
import torch
from PIL import Image

torch.set_num_threads(int(sys.argv[1]))
files = sorted(glob.glob(os.path.join(os.environ["BENCH_IMAGES"], "*", "*.jpg")))
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return len(files)

    def __getitem__(self, i):
        with Image.open(files[i]) as f:
            image = f.convert("RGB").resize((224, 224), Image.BILINEAR)
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        return x.sub(MEAN).div(STD), 0


def run():
    loader = torch.utils.data.DataLoader(Images(), batch_size=32, num_workers=2)
    start = time.perf_counter()
    n = sum(x.shape[0] for x, _ in loader)
    assert n == len(files)
    return {"rate": n / (time.perf_counter() - start)}


if __name__ == "__main__":
    for _ in sys.stdin:
        print(json.dumps(run()), flush=True)
