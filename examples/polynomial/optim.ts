// The same fit with an optimizer: RMSprop takes the steps.
import * as torch from 'tytorch'

torch.manualSeed(0)
const x = torch.linspace(-Math.PI, Math.PI, 2000)
const y = torch.sin(x)
const xx = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3])) // [2000, 3]

const model = new torch.nn.Sequential(new torch.nn.Linear(3, 1), new torch.nn.Flatten(0, 1))
const criterion = new torch.nn.MSELoss({ reduction: 'sum' })
const optimizer = new torch.optim.RMSprop(model.parameters(), { lr: 1e-3 })

for (let t = 0; t < 2000; t++) {
  const loss = criterion(model(xx), y)
  if (t % 100 === 99) console.log(t, loss.item())
  optimizer.zeroGrad()
  loss.backward()
  optimizer.step()
}
const layer = model.at(0) as torch.nn.Linear
const weight = (i: number) => layer.weight.at(':', i).item()
console.log(`Result: y = ${layer.bias!.item()} + ${weight(0)} x + ${weight(1)} x^2 + ${weight(2)} x^3`)
