// Roots of unity, and the factors of lengths: what plans of Fourier transforms are made from.

/** cos and sin of 2 pi e / (8 n), 0 <= e <= 8 n, from an angle of an eighth of the circle at the most. */
export function unit(e: number, n: number): [number, number] {
  if (e > 4 * n) {
    const [c, s] = unit(8 * n - e, n)
    return [c, -s]
  }
  if (e > 2 * n) {
    const [c, s] = unit(4 * n - e, n)
    return [-c, s]
  }
  if (e > n) {
    const [c, s] = unit(2 * n - e, n)
    return [s, c]
  }
  const angle = (Math.PI * e) / (4 * n)
  return [Math.cos(angle), Math.sin(angle)]
}

/** Prime factors up to here are summed directly. */
const DIRECT = 61

/** `n` as a product of fours and primes, or null if one of them is too large to be summed directly. */
export function radicesOf(n: number): number[] | null {
  const radices: number[] = []
  let rest = n
  for (const p of [4, 2, 3, 5]) {
    while (rest % p === 0) {
      radices.push(p)
      rest /= p
    }
  }
  for (let p = 7; p <= DIRECT && rest > 1; p += 2) {
    while (rest % p === 0) {
      radices.push(p)
      rest /= p
    }
  }
  return rest === 1 ? radices : null
}
