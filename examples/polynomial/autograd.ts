// Fits y = sin(x) by a third-order polynomial: autograd computes the gradients, the update is written by hand.
import * as torch from 'tytorch'

torch.manualSeed(0)
const x = torch.linspace(-Math.PI, Math.PI, 2000)
const y = torch.sin(x)

const a = torch.randn([], { requiresGrad: true })
const b = torch.randn([], { requiresGrad: true })
const c = torch.randn([], { requiresGrad: true })
const d = torch.randn([], { requiresGrad: true })

const learningRate = 1e-6
for (let t = 0; t < 2000; t++) {
  // y = a + b x + c x^2 + d x^3
  const predicted = a
    .add(b.mul(x))
    .add(c.mul(x.pow(2)))
    .add(d.mul(x.pow(3)))
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
console.log(`Result: y = ${a.item()} + ${b.item()} x + ${c.item()} x^2 + ${d.item()} x^3`)
