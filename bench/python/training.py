# W1 to W5 in PyTorch: see ../training.ts and ../models.ts.
import json, sys, time
import torch
from torch import nn
import torch.nn.functional as F

NAME = sys.argv[2]
torch.set_num_threads(int(sys.argv[1]))


class Lesson(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 1024)
        self.fc2 = nn.Linear(1024, 3)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 256)
        self.fc2 = nn.Linear(256, 128)
        self.fc3 = nn.Linear(128, 10)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (p.view(b, t, self.heads, d // self.heads).transpose(1, 2) for p in self.qkv(x).split(d, 2))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(out.transpose(1, 2).reshape(b, t, d))


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.ln2 = nn.LayerNorm(width)
        self.fc = nn.Linear(width, 4 * width)
        self.proj = nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.proj(F.gelu(self.fc(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self, vocabulary, length, layers, heads, width):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Layer(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def training_step(model, loss, optimizer):
    def step(x, y):
        (optimizer or model).zero_grad()
        out = loss(x, y)
        out.backward()
        if optimizer:
            optimizer.step()
        return out

    return step


def lesson():
    model = Lesson()
    criterion = nn.CrossEntropyLoss()
    loss = lambda x, y: criterion(model(x), y)
    return model, loss, training_step(model, loss, torch.optim.Adam(model.parameters(), lr=1e-4))


def flowers(rows):
    return torch.rand(rows, 4) * 6, torch.arange(rows) % 3


def classifier(make, x, y, lr):
    model = make()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9) if lr else None
    step = training_step(model, lambda x, y: criterion(model(x), y), optimizer)
    return lambda: step(x, y).item()


def w1():
    x, y = flowers(112)
    _, _, step = lesson()
    return 3000, lambda: step(x, y).item()


def w1b():
    x, y = flowers(112)
    vx, vy = flowers(38)
    model, loss, step = lesson()

    def epoch():
        model.train()
        value = step(x, y).item()
        model.eval()
        with torch.no_grad():
            loss(vx, vy).item()
        return value

    return 3000, epoch


def w1c():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*flowers(112)), batch_size=16, shuffle=True)
    _, _, step = lesson()

    def epoch():
        for bx, by in loader:
            last = step(bx, by).item()
        return last

    return 300, epoch


def w2():
    return 300, classifier(MLP, torch.randn(64, 784), torch.randint(0, 10, (64,)), 0.01)


def w3():
    return 100, classifier(LeNet, torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,)), 0.001)


def w4():
    return 10, classifier(ResNet18, torch.randn(8, 3, 64, 64), torch.randint(0, 1000, (8,)), None)


def w5():
    x, y = torch.randint(0, 96, (16, 64)), torch.randint(0, 96, (16, 64))
    model = GPT(96, 64, 4, 4, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    step = training_step(model, lambda x, y: F.cross_entropy(model(x).flatten(0, 1), y.flatten()), optimizer)
    return 15, lambda: step(x, y).item()


def run():
    torch.manual_seed(0)
    steps, step = {"W1": w1, "W1b": w1b, "W1c": w1c, "W2": w2, "W3": w3, "W4": w4, "W5": w5}[NAME]()
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    return {"time": time.perf_counter() - start, "loss": loss}


for _ in sys.stdin:
    print(json.dumps(run()), flush=True)
