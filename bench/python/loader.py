# The data loader in PyTorch: see ../loader.ts. In memory the better of 0 and 2 workers counts.
import json, sys, time
import torch
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(int(sys.argv[1]))
COUNT, BUSY, STEP = 60000, 200, 0.020


class Digits(Dataset):
    def __init__(self):
        self.images = torch.randint(0, 256, (COUNT, 28, 28), dtype=torch.uint8)
        self.labels = torch.randint(0, 10, (COUNT,)).tolist()

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        return self.images[index].float().div(255), self.labels[index]


class DigitBatches(Digits):
    def __init__(self):
        super().__init__()
        self.targets = torch.tensor(self.labels)

    def __getitems__(self, indices):
        return self.images[indices].float().div(255), self.targets[indices]


class Busy(Dataset):
    def __len__(self):
        return BUSY

    def __getitem__(self, index):
        end = time.perf_counter() + 0.005
        while time.perf_counter() < end:
            pass
        return torch.full((16,), index)


def seconds(loader, step=0):
    start = time.perf_counter()
    for _ in loader:
        end = time.perf_counter() + step
        while time.perf_counter() < end:
            pass
    return time.perf_counter() - start


digits, batches, busy = Digits(), DigitBatches(), Busy()
whole = {"batch_size": 128, "shuffle": True, "collate_fn": lambda batch: batch}
for _ in sys.stdin:
    single = min(seconds(DataLoader(digits, 128, True, num_workers=n)) for n in (0, 2))
    batched = min(seconds(DataLoader(batches, num_workers=n, **whole)) for n in (0, 2))
    none = seconds(DataLoader(busy, 4))
    two = DataLoader(busy, 4, num_workers=2, persistent_workers=True)
    one = DataLoader(busy, 4, num_workers=1, persistent_workers=True)
    seconds(two), seconds(one)
    both, loading, training = seconds(two), seconds(one), seconds(one, STEP)
    print(json.dumps({
        "single": COUNT / single / 1000,
        "whole": COUNT / batched / 1000,
        "workers": none / both,
        "overlap": training / max(loading, STEP * BUSY / 4),
    }), flush=True)
