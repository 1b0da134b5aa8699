// The smallest program: one op, one result.
import * as torch from 'tytorch'

console.log(torch.ones(3).add(1).toString())
