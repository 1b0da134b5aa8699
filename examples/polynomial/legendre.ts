// The same fit as y = a + b P3(c + d x), P3 being the Legendre polynomial of degree three: a custom autograd function.
import * as torch from 'tytorch'

class LegendrePolynomial3 extends torch.autograd.Function {
  static forward(ctx: torch.autograd.FunctionContext, input: torch.Tensor): torch.Tensor {
    ctx.saveForBackward(input)
    return input.pow(3).mul(5).sub(input.mul(3)).mul(0.5)
  }

  static backward(ctx: torch.autograd.FunctionContext, gradOutput: torch.Tensor): torch.Tensor {
    const [input] = ctx.savedTensors
    return gradOutput.mul(1.5).mul(input.pow(2).mul(5).sub(1))
  }
}

const x = torch.linspace(-Math.PI, Math.PI, 2000)
const y = torch.sin(x)

const scalar = (value: number) => torch.full([], value, { dtype: torch.float32, requiresGrad: true })
const a = scalar(0)
const b = scalar(-1)
const c = scalar(0)
const d = scalar(0.3)

const learningRate = 5e-6
for (let t = 0; t < 2000; t++) {
  const P3 = (v: torch.Tensor) => LegendrePolynomial3.apply(v)
  const predicted = a.add(b.mul(P3(c.add(d.mul(x)))))
  const loss = predicted.sub(y).pow(2).sum()
  if (t % 100 === 99) console.log(t, loss.item())
  loss.backward()
  torch.noGrad(() => {
    for (const p of [a, b, c, d]) {
      p.sub_(p.grad!.mul(learningRate))
      p.grad = null
    }
  })
}
console.log(`Result: y = ${a.item()} + ${b.item()} * P3(${c.item()} + ${d.item()} x)`)
