// The same fit as a module of its own: parameters are properties, and a method says what was found.
import * as torch from 'tytorch'

class Polynomial3 extends torch.nn.Module {
  a = new torch.nn.Parameter(torch.randn([]))
  b = new torch.nn.Parameter(torch.randn([]))
  c = new torch.nn.Parameter(torch.randn([]))
  d = new torch.nn.Parameter(torch.randn([]))

  forward(x: torch.Tensor): torch.Tensor {
    return this.a
      .add(this.b.mul(x))
      .add(this.c.mul(x.pow(2)))
      .add(this.d.mul(x.pow(3)))
  }

  string(): string {
    return `y = ${this.a.item()} + ${this.b.item()} x + ${this.c.item()} x^2 + ${this.d.item()} x^3`
  }
}

torch.manualSeed(0)
const x = torch.linspace(-Math.PI, Math.PI, 2000)
const y = torch.sin(x)

const model = new Polynomial3()
const criterion = new torch.nn.MSELoss({ reduction: 'sum' })
const optimizer = new torch.optim.SGD(model.parameters(), { lr: 1e-6 })
for (let t = 0; t < 2000; t++) {
  const loss = criterion(model(x), y)
  if (t % 100 === 99) console.log(t, loss.item())
  optimizer.zeroGrad()
  loss.backward()
  optimizer.step()
}
console.log(`Result: ${model.string()}`)
