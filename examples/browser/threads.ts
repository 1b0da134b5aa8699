// Trainings whose kernels run on threads, which are workers in a page. The same code runs in a page and in Node.
import * as torch from 'tytorch'

const { nn, optim } = torch

/** The network of examples/lesson. */
class Lesson extends nn.Module {
  fc1 = new nn.Linear(4, 1024)
  fc2 = new nn.Linear(1024, 3)

  forward(x: torch.Tensor): torch.Tensor {
    return this.fc2(nn.functional.relu(this.fc1(x))) // [rows, 3]
  }
}

/** A perceptron for images of 28x28, whose products are large enough for two threads. */
class Perceptron extends nn.Module {
  fc1 = new nn.Linear(784, 256)
  fc2 = new nn.Linear(256, 128)
  fc3 = new nn.Linear(128, 10)

  forward(x: torch.Tensor): torch.Tensor {
    return this.fc3(nn.functional.relu(this.fc2(nn.functional.relu(this.fc1(x))))) // [rows, 10]
  }
}

/** Steps of each training. */
const STEPS = 40

/** Lets the host do what waits for the end of a job: a page starts its threads and collects its garbage only then. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

/** The losses of all steps, which on one thread are equal to the last bit on every host with the same vectors. */
async function losses(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, compiled: boolean): Promise<number[]> {
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 })
  const criterion = new nn.CrossEntropyLoss()
  const step = (x: torch.Tensor, y: torch.Tensor): torch.Tensor => {
    optimizer.zeroGrad()
    const loss = criterion((model as Lesson | Perceptron)(x), y)
    loss.backward()
    optimizer.step()
    return loss
  }
  const run = compiled ? torch.compile(step) : step
  const found: number[] = []
  for (let i = 0; i < STEPS; i++) {
    found.push(run(x, y).item())
    if (i % 10 === 0) await turn()
  }
  return found
}

/** The losses of both networks, step by step and as compiled steps. */
export type Losses = { [training: string]: number[] }

/** Trains both networks on so many threads; a page without shared memory has one. */
export async function trainOn(threads: number): Promise<Losses> {
  const before = torch.getNumThreads()
  torch.setNumThreads(threads)
  const found: Losses = {}
  for (const compiled of [false, true]) {
    const suffix = compiled ? ', compiled' : ''
    torch.manualSeed(0)
    found[`lesson${suffix}`] = await losses(new Lesson(), torch.rand(112, 4), torch.randint(0, 3, [112]), compiled)
    torch.manualSeed(0)
    const [x, y] = [torch.randn(64, 784), torch.randint(0, 10, [64])]
    found[`perceptron${suffix}`] = await losses(new Perceptron(), x, y, compiled)
  }
  torch.setNumThreads(before)
  return found
}
