// The models of the workloads, as a PyTorch user writes them.
import * as torch from 'tytorch'

const { nn } = torch
const F = nn.functional
type Tensor = torch.Tensor

/** The lesson's network. */
export class Lesson extends nn.Module {
  fc1 = new nn.Linear(4, 1024)
  fc2 = new nn.Linear(1024, 3)
  forward(x: Tensor): Tensor {
    return this.fc2(F.relu(this.fc1(x))) // [N, 4] -> [N, 3]
  }
}

export class MLP extends nn.Module {
  fc1 = new nn.Linear(784, 256)
  fc2 = new nn.Linear(256, 128)
  fc3 = new nn.Linear(128, 10)
  forward(x: Tensor): Tensor {
    return this.fc3(F.relu(this.fc2(F.relu(this.fc1(x))))) // [N, 784] -> [N, 10]
  }
}

/** LeNet of PyTorch's neural networks tutorial, for colour images of 32x32. */
export class LeNet extends nn.Module {
  conv1 = new nn.Conv2d(3, 6, 5)
  conv2 = new nn.Conv2d(6, 16, 5)
  fc1 = new nn.Linear(400, 120)
  fc2 = new nn.Linear(120, 84)
  fc3 = new nn.Linear(84, 10)
  forward(input: Tensor): Tensor {
    let x = F.maxPool2d(F.relu(this.conv1(input)), 2) // [N, 6, 14, 14]
    x = F.maxPool2d(F.relu(this.conv2(x)), 2) // [N, 16, 5, 5]
    x = F.relu(this.fc1(x.flatten(1)))
    return this.fc3(F.relu(this.fc2(x))) // [N, 10]
  }
}

class Block extends nn.Module {
  conv1: torch.nn.Conv2d
  bn1: torch.nn.BatchNorm2d
  conv2: torch.nn.Conv2d
  bn2: torch.nn.BatchNorm2d
  downsample: torch.nn.Sequential | null
  constructor(inputs: number, outputs: number, stride: number) {
    super()
    this.conv1 = new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false })
    this.bn1 = new nn.BatchNorm2d(outputs)
    this.conv2 = new nn.Conv2d(outputs, outputs, 3, { padding: 1, bias: false })
    this.bn2 = new nn.BatchNorm2d(outputs)
    this.downsample =
      stride === 1 && inputs === outputs
        ? null
        : new nn.Sequential(new nn.Conv2d(inputs, outputs, 1, { stride, bias: false }), new nn.BatchNorm2d(outputs))
  }
  forward(x: Tensor): Tensor {
    const out = this.bn2(this.conv2(F.relu(this.bn1(this.conv1(x)))))
    return F.relu(out.add(this.downsample ? this.downsample(x) : x))
  }
}

/** ResNet-18 (https://arxiv.org/abs/1512.03385) with 1000 classes. */
export class ResNet18 extends nn.Module {
  conv1 = new nn.Conv2d(3, 64, 7, { stride: 2, padding: 3, bias: false })
  bn1 = new nn.BatchNorm2d(64)
  maxpool = new nn.MaxPool2d(3, { stride: 2, padding: 1 })
  layer1 = new nn.Sequential(new Block(64, 64, 1), new Block(64, 64, 1))
  layer2 = new nn.Sequential(new Block(64, 128, 2), new Block(128, 128, 1))
  layer3 = new nn.Sequential(new Block(128, 256, 2), new Block(256, 256, 1))
  layer4 = new nn.Sequential(new Block(256, 512, 2), new Block(512, 512, 1))
  avgpool = new nn.AdaptiveAvgPool2d(1)
  fc = new nn.Linear(512, 1000)
  forward(input: Tensor): Tensor {
    const x = this.maxpool(F.relu(this.bn1(this.conv1(input)))) // [N, 64, H/4, W/4]
    const features = this.layer4(this.layer3(this.layer2(this.layer1(x)))) // [N, 512, H/32, W/32]
    return this.fc(this.avgpool(features).flatten(1)) // [N, 1000]
  }
}

class Attention extends nn.Module {
  qkv: torch.nn.Linear
  proj: torch.nn.Linear
  heads: number
  constructor(width: number, heads: number) {
    super()
    this.heads = heads
    this.qkv = new nn.Linear(width, 3 * width)
    this.proj = new nn.Linear(width, width)
  }
  forward(x: Tensor): Tensor {
    const [b, t, d] = x.shape
    const parts = this.qkv(x).split(d, 2) // three of [B, T, D]
    const [q, k, v] = parts.map((p) => p.view(b, t, this.heads, d / this.heads).transpose(1, 2)) // [B, H, T, D / H]
    const out = F.scaledDotProductAttention(q, k, v, { isCausal: true })
    return this.proj(out.transpose(1, 2).reshape(b, t, d))
  }
}

class Layer extends nn.Module {
  ln1: torch.nn.LayerNorm
  attention: Attention
  ln2: torch.nn.LayerNorm
  fc: torch.nn.Linear
  proj: torch.nn.Linear
  constructor(width: number, heads: number) {
    super()
    this.ln1 = new nn.LayerNorm(width)
    this.attention = new Attention(width, heads)
    this.ln2 = new nn.LayerNorm(width)
    this.fc = new nn.Linear(width, 4 * width)
    this.proj = new nn.Linear(4 * width, width)
  }
  forward(input: Tensor): Tensor {
    const x = input.add(this.attention(this.ln1(input)))
    return x.add(this.proj(F.gelu(this.fc(this.ln2(x)))))
  }
}

/** A GPT of `layers` blocks (https://arxiv.org/abs/1706.03762, with the norms first). */
export class GPT extends nn.Module {
  tokens: torch.nn.Embedding
  positions: torch.nn.Embedding
  blocks: torch.nn.ModuleList
  norm: torch.nn.LayerNorm
  head: torch.nn.Linear
  constructor(vocabulary: number, length: number, layers: number, heads: number, width: number) {
    super()
    this.tokens = new nn.Embedding(vocabulary, width)
    this.positions = new nn.Embedding(length, width)
    this.blocks = new nn.ModuleList(Array.from({ length: layers }, () => new Layer(width, heads)))
    this.norm = new nn.LayerNorm(width)
    this.head = new nn.Linear(width, vocabulary)
  }
  forward(ids: Tensor): Tensor {
    let x = this.tokens(ids).add(this.positions(torch.arange(ids.size(1)))) // [B, T, D]
    for (const block of this.blocks) x = (block as Layer)(x)
    return this.head(this.norm(x)) // [B, T, vocabulary]
  }
}
