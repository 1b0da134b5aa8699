// Recurrent layers beside PyTorch's numbers (seeded alike), packed sequences, and gradients of gradients.
import { describe, expect, it } from 'vitest'
import * as torch from '../src/index.ts'
import { gradcheck, gradgradcheck } from '../src/ops/gradcheck.ts'

const { nn } = torch
const { rnn } = nn.utils

describe('packed sequences', () => {
  it('run through a bidirectional LSTM of two layers as in PyTorch', () => {
    torch.manualSeed(0)
    const net = new nn.LSTM(2, 3, 2, { bidirectional: true })
    const sequences = [torch.randn(2, 2), torch.randn(4, 2), torch.randn(1, 2)]
    const [output, [h, c]] = net(rnn.packSequence(sequences, { enforceSorted: false }))
    const [padded, lengths] = rnn.padPackedSequence(output)
    padded.pow(2).sum().backward()
    expect(padded.sum().item()).toBeCloseTo(-3.9055094718933105, 5)
    expect(padded.sizes).toEqual([4, 3, 6])
    expect(lengths.tolist()).toEqual([2, 4, 1])
    expect((h.at(1).at(0).tolist() as number[])[0]).toBeCloseTo(-0.2814563512802124, 5)
    expect((h.at(1).at(2).tolist() as number[])[2]).toBeCloseTo(0.05540463700890541, 5)
    expect(c.sum().item()).toBeCloseTo(-7.835625648498535, 5)
    expect(net.getParameter('weight_hh_l0_reverse').grad?.sum().item()).toBeCloseTo(-0.03718821331858635, 5)
    expect(net.getParameter('weight_ih_l1').grad?.abs().sum().item()).toBeCloseTo(1.8689749240875244, 5)
  })

  it('are sorted, printed and unpacked', () => {
    const given = [torch.tensor([1, 2]), torch.tensor([3, 4, 5]), torch.tensor([6])]
    const packed = rnn.packSequence(given, { enforceSorted: false })
    expect(String(packed)).toBe(
      'PackedSequence(data=tensor([3, 1, 6, 4, 2, 5]), batch_sizes=tensor([3, 2, 1]), sorted_indices=tensor([1, 0, 2]), unsorted_indices=tensor([1, 0, 2]))',
    )
    expect(rnn.unpackSequence(packed).map((x) => x.tolist())).toEqual([[1, 2], [3, 4, 5], [6]])
    expect(() => rnn.packSequence(given)).toThrow('must be sorted in decreasing order')
    expect(() => rnn.packPaddedSequence(torch.zeros(3, 2), [3, 0])).toThrow('has to be greater than 0')
    expect(() => rnn.padPackedSequence(packed, { totalLength: 2 })).toThrow('Expected total_length to be at least')
    expect(rnn.padSequence(given, { batchFirst: true, paddingSide: 'left', paddingValue: 9 }).tolist()).toEqual([
      [9, 1, 2],
      [3, 4, 5],
      [9, 9, 6],
    ])
  })
})

describe('recurrent layers', () => {
  it('project and drop as in PyTorch', () => {
    torch.manualSeed(0)
    const net = new nn.LSTM(2, 4, 2, { projSize: 2, dropout: 0.5 })
    const [output, [h, c]] = net(torch.randn(3, 2, 2))
    expect(output.sum().item()).toBeCloseTo(-0.3367748260498047, 5)
    expect([h.sizes, c.sizes]).toEqual([
      [2, 2, 2],
      [2, 2, 4],
    ])
    expect(c.sum().item()).toBeCloseTo(0.919663667678833, 5)
  })

  it.each(['LSTM', 'GRU', 'RNN'] as const)('%s has right gradients, also of gradients, in both directions', (name) => {
    torch.manualSeed(3)
    const net = new nn[name](2, 1, { bidirectional: true, dtype: torch.float64 })
    const names = net.namedParameters().map(([key]) => key)
    const states = name === 'LSTM' ? 2 : 1
    const f = (x: torch.Tensor, ...rest: torch.Tensor[]): torch.Tensor => {
      const weights = rest.slice(states)
      const network = { LSTM: torch.lstm, GRU: torch.gru, RNN: torch.rnnTanh }[name] as unknown as (
        ...a: unknown[]
      ) => torch.Tensor[]
      const hx = states === 2 ? rest.slice(0, 2) : rest[0]
      const outs = network(x, hx, weights, true, 1, 0, false, true, false)
      return torch.cat(outs.map((out) => out.reshape(-1)))
    }
    const draw = (...sizes: number[]) => torch.randn(...sizes, { dtype: torch.float64 }).requiresGrad_()
    const inputs = [
      draw(2, 2, 2),
      ...Array.from({ length: states }, () => draw(2, 2, 1)),
      ...names.map((key) => net.getParameter(key)),
    ]
    expect(gradcheck(f as never, inputs as never)).toBe(true)
    expect(gradgradcheck(f as never, inputs as never)).toBe(true)
  })

  it('refuse what PyTorch refuses', () => {
    const net = new nn.LSTM(4, 5)
    expect(() => net(torch.randn(2, 3, 3))).toThrow('input.size(-1) must be equal to input_size. Expected 4, got 3')
    expect(() => net(torch.randn(2, 3, 4).double())).toThrow('RNN input dtype (torch.float64) does not match')
    expect(() => net(torch.randn(4))).toThrow('LSTM: Expected input to be 2D or 3D, got 1D instead')
    expect(() => net(torch.randn(0, 3, 4))).toThrow('Expected sequence length to be larger than 0 in RNN')
    expect(() => net(torch.randn(2, 3, 4), [torch.zeros(1, 2, 5), torch.zeros(1, 3, 5)])).toThrow(
      'Expected hidden[0] size (1, 3, 5), got [1, 2, 5]',
    )
    expect(() => new nn.GRU(0, 4)).toThrow('input_size must be greater than zero')
    expect(() => new nn.RNN(3, 4, { projSize: 2 } as never)).toThrow('proj_size argument is only supported for LSTM')
  })
})
