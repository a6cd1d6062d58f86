/**
 * 2/√π · ∫₀ˣ e^(−t²) dt, by 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1)/(1·3·5…(2n+1)) (Abramowitz and Stegun 7.1.6), whose terms are all of
 * one sign.
 */
export function errorFunction(x: number): number {
  // Beyond it, 1 − erf is less than half of the last digit of 1.
  if (Math.abs(x) >= 6) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > Number.EPSILON * Math.abs(sum) * 0.1; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}
