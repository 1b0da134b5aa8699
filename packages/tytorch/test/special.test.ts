// torch.special and torch.signal.windows: values beside mpmath's (30 digits) and PyTorch's, edges, errors.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'

const { special } = torch

/** Values in float64. */
const at = (fn: (x: torch.Tensor) => torch.Tensor, x: number[]): number[] =>
  fn(torch.tensor(x, { dtype: torch.float64 })).tolist() as number[]

function expectClose(got: number[], expected: number[], relative = 2e-14): void {
  expect(got.length).toBe(expected.length)
  got.forEach((v, i) => {
    const e = expected[i]
    if (Number.isFinite(e)) expect(Math.abs(v - e), `${i}: ${v} and ${e}`).toBeLessThanOrEqual(relative * Math.abs(e))
    else expect(v).toBe(e)
  })
}

const VALUES: [name: string, x: number[], expected: number[]][] = [
  [
    'airyAi',
    [-10, -3.5, -2.25, 0, 1, 2.5, 8],
    [
      0.04024123848644319, -0.37553382314043193, 0.06159865877700528, 0.3550280538878172, 0.13529241631288141,
      0.01572592338047049, 4.6922076160992316e-8,
    ],
  ],
  [
    'besselJ0',
    [0, 0.5, 2.4, 6, 9, -30],
    [1, 0.9384698072408129, 0.002507683297243859, 0.15064525725099692, -0.09033361118287614, -0.08636798358104021],
  ],
  [
    'besselJ1',
    [0, 0.5, 3.8, 6, 9, -30],
    [0, 0.2422684576748739, 0.0128210029267317, -0.27668385812756563, 0.24531178657332528, 0.11875106261662294],
  ],
  [
    'besselY0',
    [0.5, 1, 3, 6, 30],
    [-0.44451873350670656, 0.08825696421567696, 0.3768500100127904, -0.28819468398157916, -0.11729573168666403],
  ],
  [
    'besselY1',
    [0.5, 1, 3, 6, 30],
    [-1.471472392670243, -0.7812128213002887, 0.3246744247918, -0.17501034430039825, 0.08442557066174723],
  ],
  ['i0', [-3, 0, 8, 20], [4.8807925858650245, 1, 427.5641157218048, 43558282.559553534]],
  ['i0e', [-3, 0, 8, 900], [0.2430003541618254, 1, 0.14343178185685032, 0.013299924124068151]],
  ['i1', [-3, 0.1, 8, 20], [-3.9533702174026093, 0.050062526047092694, 399.8731367825601, 42454973.38512777]],
  ['i1e', [-3, 0.1, 8, 900], [-0.19682671329730086, 0.045298446808809324, 0.13414249329269817, 0.013292533222590655]],
  ['modifiedBesselK0', [0.1, 2, 9], [2.4270690247020164, 0.11389387274953344, 5.0881312956459246e-5]],
  ['modifiedBesselK1', [0.1, 2, 9], [9.853844780870606, 0.13986588181652243, 5.363701637945195e-5]],
  ['scaledModifiedBesselK0', [0.1, 2, 900], [2.6823261022628944, 0.8415682150707714, 0.04177133915254879]],
  ['scaledModifiedBesselK1', [0.1, 2, 900], [10.890182683049696, 1.0334768470686886, 0.041794539013033705]],
  ['sphericalBesselJ0', [0, 0.25, 4], [1, 0.9896158370180917, -0.18920062382698205]],
  ['ndtr', [-30, -2, 0, 1.5], [4.906713927148187e-198, 0.02275013194817921, 0.5, 0.9331927987311419]],
  ['logNdtr', [-30, -2, 0, 1.5], [-454.3212439563432, -3.783184333682032, -Math.LN2, -0.06914345561223398]],
  [
    'ndtri',
    [1e-300, 1e-20, 1e-5, 0.1, 0.4, 0.75, 0.99],
    [
      -37.0470962993612, -9.262340089798407, -4.264890793922825, -1.2815515655446004, -0.2533471031357997,
      0.6744897501960817, 2.3263478740408408,
    ],
  ],
  [
    'erfcx',
    [-5, 0, 1, 27.5, 100],
    [144009798674.66104, 1, 0.427583576155807, 0.0205024473846148, 0.005641613782989433],
  ],
  ['entr', [0, 0.5, 3], [0, 0.34657359027997264, -3.295836866004329]],
  ['gammaln', [-2.5, 0.5, 3.7, 100], [-0.056243716497674054, 0.5723649429247001, 1.428072326665388, 359.1342053695754]],
  ['psi', [-2.5, 0.5, 3.7, 100], [1.103156640645243, -1.9635100260214235, 1.1671535393615113, 4.600161852738087]],
  ['erfinv', [-0.5, 0.9, 0.999999], [-0.4769362762044699, 1.1630871536766743, 3.458910737275499]],
]
/** a, x, and the lower and the upper function. */
const GAMMA = [
  [0.01, 0.2, 0.9877844094567542, 0.01221559054324581],
  [0.5, 1.05, 0.8527008613773239, 0.14729913862267605],
  [2, 0.3, 0.03693631311376677, 0.9630636868862332],
  [3, 7, 0.9703638361194782, 0.029636163880521777],
  [30, 25, 0.18210391597745512, 0.8178960840225449],
  [30, 40, 0.9567713178482644, 0.043228682151735566],
  [5000, 5050, 0.7609846747598249, 0.2390153252401751],
]
const ZETA = [1.6449340668482264, 0.1181020258208637, 10.213055360466601]
const POLYGAMMA = [
  [1.6449340668482264, 0.49035775610023485],
  [6.493939402266829, 0.22390584881725206],
]
const HERMITE = [-575.4518432617188, 5192.69091796875, -41.9642219543457]
const LEGENDRE = [4835.08837890625, -0.1810021549463272, 0.31206509470939636]
const WINDOWS: [name: string, args: unknown[], expected: number[]][] = [
  ['hann', [5], [0, 0.49999999999999994, 1, 0.5000000000000001, 0]],
  [
    'hamming',
    [5, { sym: false }],
    [0.08000000000000007, 0.3978521825875242, 0.9121478174124757, 0.9121478174124759, 0.3978521825875243],
  ],
  ['bartlett', [6], [0, 0.4, 0.8, 0.8, 0.4, 0]],
  [
    'blackman',
    [5, { sym: false }],
    [-1.3877787807814457e-17, 0.20077014326253045, 0.8492298567374694, 0.8492298567374695, 0.20077014326253056],
  ],
  ['cosine', [4, { sym: false }], [0.3090169943749474, 0.8090169943749475, 1, 0.8090169943749475]],
  [
    'exponential',
    [5, { tau: 2 }],
    [0.36787944117144233, 0.6065306597126334, 1, 0.6065306597126334, 0.36787944117144233],
  ],
  [
    'exponential',
    [5, { tau: 2, center: 1, sym: false }],
    [0.6065306597126334, 1, 0.6065306597126334, 0.36787944117144233, 0.22313016014842982],
  ],
  [
    'gaussian',
    [5, { std: 0.8, sym: false }],
    [0.007575677444259949, 0.17242162389375287, 0.8225775623986645, 0.8225775623986648, 0.172421623893753],
  ],
  [
    'kaiser',
    [6, { beta: 5, sym: false }],
    [0.036710892271286676, 0.32820195737232133, 0.7753221044454067, 1, 0.7753221044454067, 0.3282019573723211],
  ],
  [
    'nuttall',
    [6],
    [
      0.0003628000000000381, 0.11051525304987178, 0.7982580969501282, 0.7982580969501283, 0.11051525304987185,
      0.0003628000000000381,
    ],
  ],
  ['generalHamming', [5, { alpha: 0.6 }], [0.19999999999999996, 0.6, 1, 0.6000000000000001, 0.19999999999999996]],
  [
    'generalCosine',
    [5, { a: [0.3, 0.4, 0.2] }],
    [0.09999999999999998, 0.09999999999999998, 0.8999999999999999, 0.10000000000000003, 0.09999999999999998],
  ],
  ['hannWindow', [5], [0, 0.3454915028125263, 0.9045084971874737, 0.9045084971874737, 0.3454915028125264]],
  ['hannWindow', [5, false], [0, 0.49999999999999994, 1, 0.5000000000000001, 0]],
  [
    'hammingWindow',
    [5, true, 0.5, 0.4],
    [0.09999999999999998, 0.37639320225002104, 0.823606797749979, 0.823606797749979, 0.3763932022500211],
  ],
  ['blackmanWindow', [6], [0, 0.12999999999999995, 0.6299999999999999, 1, 0.6300000000000003, 0.13000000000000023]],
  ['bartlettWindow', [5], [0, 0.4, 0.8, 0.7999999999999998, 0.3999999999999999]],
  [
    'kaiserWindow',
    [5, false, 8],
    [0.002338830512733327, 0.36897272261583314, 1, 0.36897272261583314, 0.002338830512733327],
  ],
]

describe('values', () => {
  test.each(VALUES)('%s', (name, x, expected) => {
    expectClose(at((special as unknown as Record<string, (x: torch.Tensor) => torch.Tensor>)[name], x), expected)
  })

  test('incomplete gamma functions, where each expansion serves', () => {
    const a = torch.tensor(
      GAMMA.map((r) => r[0]),
      { dtype: torch.float64 },
    )
    const x = torch.tensor(
      GAMMA.map((r) => r[1]),
      { dtype: torch.float64 },
    )
    expectClose(
      torch.igamma(a, x).tolist() as number[],
      GAMMA.map((r) => r[2]),
      1e-12,
    )
    expectClose(
      torch.igammac(a, x).tolist() as number[],
      GAMMA.map((r) => r[3]),
      1e-12,
    )
  })

  test('incomplete gamma functions at the edges, as PyTorch', () => {
    const inf = Number.POSITIVE_INFINITY
    const a = torch.tensor([0, 0, 1, inf, inf, 1, -1, Number.NaN])
    const x = torch.tensor([0, 1, 0, 1, inf, inf, 1, 0])
    expect(torch.igamma(a, x).tolist()).toEqual([Number.NaN, 1, 0, 0, Number.NaN, 1, Number.NaN, 0])
    expect(torch.igammac(a, x).tolist()).toEqual([Number.NaN, 0, 1, 1, Number.NaN, 0, Number.NaN, 1])
  })

  test("Hurwitz' zeta function", () => {
    const x = torch.tensor([2, 3, 1.5, 1, 0.5, 2], { dtype: torch.float64 })
    const q = torch.tensor([1, 2.5, 0.25, 2, 2, -1], { dtype: torch.float64 })
    const inf = Number.POSITIVE_INFINITY
    expectClose(special.zeta(x, q).tolist() as number[], ZETA.concat([inf, Number.NaN, inf]))
    expect(special.zeta(2, torch.tensor([1])).item()).toBeCloseTo(Math.PI ** 2 / 6, 6)
  })

  test('polygamma takes its order first, also as a method of the tensor', () => {
    const x = torch.tensor([1, 2.5], { dtype: torch.float64 })
    expectClose(torch.polygamma(1, x).tolist() as number[], POLYGAMMA[0])
    expectClose(x.polygamma(3).tolist() as number[], POLYGAMMA[1])
    expect(() => torch.polygamma(-1, x)).toThrow('polygamma(n, x) does not support negative n.')
  })

  test('float32 polynomials round where the recurrence of PyTorch does', () => {
    const x = torch.tensor([1.7, -0.3, 0.62])
    const n = torch.tensor([9, 12, 7])
    expect(special.hermitePolynomialHe(x, n).tolist()).toEqual(HERMITE)
    expect(special.legendrePolynomialP(x, n).tolist()).toEqual(LEGENDRE)
    expect(special.hermitePolynomialH(x, 129).tolist()).toEqual([Number.NaN, Number.NaN, Number.NaN])
  })
})

test('a parameter without a derivative says so', () => {
  const a = torch.tensor([1.5], { requiresGrad: true })
  expect(() => torch.igamma(a, torch.tensor([2])).backward()).toThrow(
    "the derivative for 'igamma: input' is not implemented.",
  )
  expect(() => special.zeta(a, 2).backward()).toThrow("the derivative for 'zeta' is not implemented.")
})

test('integers and numbers are refused where PyTorch refuses them', () => {
  const whole = torch.tensor([1, 2], { dtype: torch.int64 })
  expect(() => torch.igamma(whole, whole)).toThrow('"igamma_cpu" not implemented for \'Long\'')
  expect(() => torch.mvlgamma(torch.ones(2), 0)).toThrow('p has to be greater than or equal to 1')
  expect(torch.lgamma(whole).dtype).toBe(torch.float32)
})

describe('windows', () => {
  test.each(WINDOWS)('%s', (name, args, expected) => {
    const space = name.endsWith('Window') ? torch : torch.signal.windows
    const fn = (space as unknown as Record<string, (...args: unknown[]) => torch.Tensor>)[name]
    const last = args[args.length - 1]
    const options = typeof last === 'object' ? last : {}
    const got = fn(...args.filter((x) => typeof x !== 'object'), { ...options, dtype: torch.float64 })
    ;(got.tolist() as number[]).forEach((v, i) => {
      expect(Math.abs(v - expected[i])).toBeLessThan(1e-12)
    })
    expect(got.numel()).toBe(expected.length)
  })

  test('lengths of 0 and 1, dtypes', () => {
    expect(torch.signal.windows.hann(0).shape).toEqual([0])
    expect(torch.signal.windows.kaiser(1).tolist()).toEqual([1])
    expect(torch.hannWindow(1).tolist()).toEqual([1])
    expect(() => torch.signal.windows.hann(3, { dtype: torch.int64 })).toThrow(
      'general_cosine expects float32 or float64 dtypes, got: torch.int64',
    )
    expect(() => torch.hannWindow(-1)).toThrow('hann_window requires non-negative window_length, got window_length=-1')
  })
})
