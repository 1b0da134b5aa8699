// torch.stft and torch.istft against PyTorch's numbers: moments of values and of gradients, shapes, and errors.
import { describe, expect, test, vi } from 'vitest'
import type { Tensor } from '../src/index.ts'
import * as torch from '../src/index.ts'

vi.spyOn(console, 'warn').mockImplementation(() => {})

type Row = [
  kind: string,
  shape: number[],
  complex: number,
  sizes: [n: number, hop: number | null, win: number | null],
  window: number | null,
  complexWindow: number,
  center: boolean,
  mode: string | null,
  normalized: boolean,
  onesided: boolean | null,
  returnComplex: boolean | null,
  align: boolean | null,
  length: number | null,
  out: number[],
  values: number[],
  slopes: number[],
]

/** What record printed for sin(k^2 0.37 + k) as a signal or a spectrum: PyTorch 2.13 in float64. */
const ROWS = [
  ['stft', [20], 0, [8, null, null], 8, 0, true, 'reflect', false, null, true, null, null, [5, 11], [-40.65986293882714, -5.774150310935163, 529.8359429230351, 1.1227766335366463, 0.0], [12.93272839126974, 6.871545263445796, 424.3043282895515, 5.531365744951678, -5.393213257653512]],
  ['stft', [2, 20], 0, [8, 3, 6], 6, 0, true, 'constant', true, null, true, null, null, [2, 5, 7], [1.1262080165421928, -8.339279183925655, 80.15534860823323, 0.3921264294285515, 0.0], [-0.23279117063240662, 8.68039581300744, 106.00077276737917, -1.5989737097552716, 0.244909664111071]],
  ['stft', [2, 20], 0, [9, 4, 5], 5, 0, true, 'replicate', false, false, true, null, null, [2, 9, 5], [5.329070518200751e-15, 1.195047378305528, 765.7020185518791, 1.2663306594444361, -2.0317919919209553], [-13.10564932204412, 37.73959401410603, 1267.8007284882679, 8.023738007683866, 0.0]],
  ['stft', [20], 0, [8, 5, null], null, 0, false, 'reflect', false, true, false, null, null, [5, 3, 2], [1.7941645091916667, 3.7762011433586307, 52.24961743163398, 1.6636754836009846, 0.0], [-0.5583236592860352, -0.23145222022861134, 81.63060552671094, 3.888519960963935, 0.0]],
  ['stft', [2, 20], 0, [8, 2, 5], 5, 0, false, 'reflect', false, null, true, true, null, [2, 5, 8], [22.631875810321684, 15.501788379080981, 716.5282822049776, 0.7824225094591308, 0.0], [20.854652574797882, 4.203464512786734, 834.5595330160111, 0.8336267363183855, 0.0]],
  ['stft', [20], 1, [8, 3, null], 8, 0, true, 'reflect', true, null, null, null, null, [8, 7], [-10.256152011520019, -1.9937101078525084, 143.86914523502506, -0.20686343827498754, 0.8011877910219597], [6.470135959166682, -20.298113863737445, 224.82948789205372, -0.4261357578973253, 0.12384259487267232]],
  ['stft', [3, 20], 0, [8, 3, null], 8, 1, true, 'reflect', false, null, null, null, null, [3, 8, 7], [18.10913899042653, -6.806551765672005, 2213.200291797023, 1.1227766335366463, -4.073343883158881], [7.728955798805977, 38.02908346223068, 3103.7009317705406, -0.549514492729418, -0.42052838428104117]],
  ['stft', [20], 0, [7, 3, 4], null, 0, true, 'circular', false, null, true, null, null, [4, 7], [0.9439666217737588, 2.0442986061381565, 45.3698798990151, 1.616453413833205, 0.8180959952794367], [4.046251964583284, 11.484197171458362, 63.81421434560254, -0.4307999589751065, 3.134000420082888]],
  ['istft', [5, 6], 1, [8, 2, null], 8, 0, true, null, false, null, null, null, null, [10], [0.1606959426636827, 0.4278914210721718, 0.16560185309899414, -0.13826002156913483, 0.01204317350655806], [0.03169537406754826, -0.27519604664258795, 0.13652754272274403, 0.013462718266175816, 0.0]],
  ['istft', [2, 5, 6], 1, [8, 3, null], 8, 0, true, null, true, null, null, null, 30, [2, 30], [-4.352001251842274, -4.582495921150084, 13.858501950697304, -0.5337138816045844, 0.0], [-1.1265108096949648, -0.9480889322523152, 11.678012760574198, 0.07254650275087382, 0.0]],
  ['istft', [2, 5, 6], 1, [9, 4, 8], 8, 0, true, null, false, true, null, null, 11, [2, 11], [-0.019637384021046866, -0.2852479938191097, 0.3890152076130228, -0.05921785735827926, -0.04352839743159353], [0.023961955655864786, -0.07447968038350179, 0.43524801615783126, 0.0070034665981535725, 0.0]],
  ['istft', [2, 8, 4], 1, [8, 2, null], 8, 0, false, null, false, false, null, null, null, [2, 14], [-1.02845133491499, 0.49274236992505327, 1.4142868331640823, -0.12710920261370603, -0.6652608481613694], [1.2217296363376042, -0.3159506090315201, 1.2054290123463218, 0.057535413976158474, 0.0]],
  ['istft', [8, 4], 1, [8, 3, null], 8, 1, true, null, false, null, true, null, null, [9], [-0.24218525850509767, 0.3144087180154991, 0.17427392408551767, 0.07982857339390384, 0.04075752914005231], [-0.45488776210897464, -0.1185110871934608, 0.1689094548256407, 0.028575449045839075, 0.047719754691237654]],
  ['istft', [2, 5, 6], 1, [5, 2, null], null, 0, true, null, true, null, true, null, null, [2, 11], [3.503496254986315, 0.26700033911650917, 7.315016255405148, -0.48805457868891433, 0.43986346679945876], [-0.0027151103294007495, 1.9768463998436996, 9.707617703795206, 0.03311409828187949, -0.32329965571884794]]
] as unknown as Row[] // biome-ignore format: a table

const steps = (n: number): Tensor => torch.arange(n, { dtype: torch.float64 })

/** The sum, a weighted sum, the sum of squares, and both ends. */
function moments(t: Tensor): number[] {
  const f = (t.dtype.isComplex ? torch.viewAsReal(t) : t).detach().contiguous().flatten()
  const n = f.numel()
  const all = [f.sum(), f.mul(steps(n).mul(0.7).cos()).sum(), f.mul(f).sum(), f.at(0), f.at(n - 1)]
  return all.map((v) => v.item<number>())
}

function signal(shape: number[], complex: number): Tensor {
  const k = steps(shape.reduce((a, b) => a * b, complex ? 2 : 1))
  const x = k.mul(k).mul(0.37).add(k).sin()
  return (complex ? torch.viewAsComplex(x.view([...shape, 2])) : x.view(shape)).clone().requiresGrad_()
}

function windowOf(size: number | null, complex: number): Tensor | null {
  if (size === null) return null
  const w = steps(size).mul(0.3).cos().add(1.2)
  return complex ? torch.complex(w, w.flip(0).mul(0.5)) : w
}

test.each(ROWS)('%s of %j', (...row) => {
  const [kind, shape, complex, [n, hop, win], wide, complexWindow, center, mode, normalized, onesided] = row
  const [returnComplex, alignToWindow, length, sizes, values, slopes] = row.slice(10) as never[]
  const x = signal(shape, complex)
  const window = windowOf(wide, complexWindow)
  const args = { hopLength: hop, winLength: win, window, center, normalized, onesided }
  const y =
    kind === 'stft'
      ? torch.stft(x, n, { ...args, padMode: (mode ?? 'reflect') as 'reflect', returnComplex, alignToWindow })
      : torch.istft(x, n, { ...args, length, returnComplex: returnComplex ?? false })
  expect(y.shape).toEqual(sizes)
  const close = (found: number[], right: number[]): void => {
    found.forEach((v, i) => {
      expect(Math.abs(v - right[i])).toBeLessThan(1e-9 * (1 + Math.abs(right[i])))
    })
  }
  close(moments(y), values)
  const real = y.dtype.isComplex ? torch.viewAsReal(y) : y
  real.mul(steps(real.numel()).cos().view(real.shape)).sum().backward()
  close(moments(x.grad as Tensor), slopes)
})

describe('the inverse', () => {
  test.each([
    [16, 4, true],
    [15, 4, true],
    [16, 8, false],
  ])('of frames of %i, %i apart', (n, hop, center) => {
    const x = torch.randn([3, 96])
    const window = torch.hannWindow(n).add(center ? 0 : 0.1)
    const z = torch.stft(x, n, { hopLength: hop, window, center, returnComplex: true })
    const y = torch.istft(z, n, { hopLength: hop, window, center, length: 96 })
    expect(y.sub(x).abs().max().item()).toBeLessThan(3e-6)
    expect(z.stride().at(-2)).toBe(1)
  })

  test('is differentiable twice', () => {
    const window = torch.tensor([0.5, 1, 1.5, 1], { dtype: torch.float64 })
    const f = (x: Tensor): Tensor =>
      torch.istft(torch.stft(x, 4, 2, 4, window, { returnComplex: true }).mul(2), 4, 2, 4, window)
    const x = torch.randn([10], { dtype: torch.float64, requiresGrad: true })
    expect(torch.autograd.gradcheck(f, [x])).toBe(true)
    expect(torch.autograd.gradgradcheck((x: Tensor) => f(x).pow(2), [x])).toBe(true)
  })
})

test('errors are those of PyTorch', () => {
  const x = torch.randn([20])
  const w = torch.hannWindow(8)
  const z = torch.stft(torch.randn([2, 20]), 8, 2, { window: w, returnComplex: true })
  const wide = w.to(torch.complex64)
  const rows: [() => unknown, string][] = [
    [() => torch.stft(x, 8), 'stft requires the return_complex parameter be given for real inputs, and will further require'],
    [() => torch.stft(x.to(torch.complex64), 8, { onesided: true }), 'Cannot have onesided output if window or input is complex'],
    [() => torch.stft(x.to(torch.int64), 8, { returnComplex: true, center: false }), 'stft(torch.LongTensor[20], n_fft=8, hop_length=2, win_length=8, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected a tensor of floating point or complex values'],
    [() => torch.stft(x.half(), 8, { returnComplex: true }), "MKL FFT doesn't support tensors of type: Half"],
    [() => torch.stft(torch.randn([2, 2, 20]), 8, { returnComplex: true, center: false }), ': expected a 1D or 2D tensor'],
    [() => torch.stft(x, 50, { returnComplex: true }), 'Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (25, 25) at dimension 2 of input [1, 1, 20]'],
    [() => torch.stft(x, 30, { returnComplex: true, center: false }), 'hop_length=7, win_length=30, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected 0 < n_fft < 20, but got n_fft=30'],
    [() => torch.stft(x, 8, 0, { window: w, returnComplex: true }), 'stft(torch.FloatTensor[28], n_fft=8, hop_length=0, win_length=8, window=torch.FloatTensor{[8]}, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected hop_length > 0, but got hop_length=0'],
    [() => torch.stft(x, 8, 2, 10, { window: w, returnComplex: true }), ': expected 0 < win_length <= n_fft, but got win_length=10'],
    [() => torch.stft(x, 8, 2, 6, { window: w, returnComplex: true }), ': expected a 1D window tensor of size equal to win_length=6, but got window with size [8]'],
    [() => torch.stft(x, 8, { window: w, returnComplex: true, alignToWindow: true }), 'stft align_to_window should only be set when center = false'],
    [() => torch.stft(x, 9, 2, 4, { returnComplex: true, center: false, alignToWindow: true }), 'setStorage: sizes [1, 9, 9], strides [24, 2, 1], storage offset 0, and itemsize 4 requiring a storage size of 100 are out of bounds for storage of size 96'],
    [() => torch.istft(x, 8), 'istft requires a complex-valued input tensor matching the output from stft with return_complex=True.'],
    [() => torch.istft(z, 8, 2, { window: w, center: false }), 'istft(CPUComplexFloatType[2, 5, 11], n_fft=8, hop_length=2, win_length=8, window=torch.FloatTensor{[8]}, center=0, normalized=0, onesided=None, length=None, return_complex=0) window overlap add min: 1\n[ CPUBoolType{} ]'],
    [() => torch.istft(z, 8, 9, { window: w }), ': expected 0 < hop_length <= win_length'],
    [() => torch.istft(z, 8, 2, 9), ': expected 0 < win_length <= n_fft'],
    [() => torch.istft(z, 8, 2, 4, { window: w }), ': Invalid window shape. window has to be 1D and length of `win_length`'],
    [() => torch.istft(z, 10, 2), ': expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when onesided=True, but got 5'],
    [() => torch.istft(z, 8, 2, { onesided: false }), 'to match n_fft when onesided=False, but got 5'],
    [() => torch.istft(z, 8, 2, { returnComplex: true }), 'Cannot have onesided output if window or input is complex'],
    [() => torch.istft(z, 8, 2, { window: wide }), 'Complex windows are incompatible with return_complex=False'],
    [() => torch.istft(z.narrow(2, 0, 0), 8, 2), ': input tensor cannot be empty.'],
    [() => torch.istft(z.at(0).at(0), 8), 'Dimension out of range (expected to be in range of [-2, 1], but got -3)'],
    [() => torch.istft(z, 8, 2, { window: w, length: 0 }), 'min(): Expected reduction dim to be specified'],
  ] // biome-ignore format: a table
  for (const [run, text] of rows) expect(run).toThrow(text)
})

test('they are methods too', () => {
  const x = torch.randn([40])
  const window = torch.hannWindow(8)
  const z = x.stft(8, 2, { window, returnComplex: true })
  expect(
    z
      .sub(torch.stft(x, 8, 2, { window, returnComplex: true }))
      .abs()
      .max()
      .item(),
  ).toBe(0)
  expect(z.istft(8, 2, { window }).sub(x).abs().max().item()).toBeLessThan(3e-6)
})
