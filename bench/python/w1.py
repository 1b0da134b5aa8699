# W1 in PyTorch: see ../w1.ts.
import json, sys, time
import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
EPOCHS = 3000


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(4, 1024)
        self.fc2 = torch.nn.Linear(1024, 3)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


def run():
    torch.manual_seed(0)
    x = torch.rand(112, 4) * 6
    y = torch.arange(112) % 3
    model = Net()
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        out = criterion(model(x), y)
        out.backward()
        optimizer.step()
        loss = out.item()
    return {"time": time.perf_counter() - start, "loss": loss}


for _ in sys.stdin:
    print(json.dumps(run()), flush=True)
