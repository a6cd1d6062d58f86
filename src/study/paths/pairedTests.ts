// Two tests for pairs, exact at any size: the p-value is a count of outcomes, not an approximation. Both are two-sided: twice
// the smaller tail, at most 1.

/** ln C(n, k) */
function logChoices(n: number, k: number): number {
  let sum = 0
  for (let i = 1; i <= k; i++) sum += Math.log((n - i + 1) / i)
  return sum
}

/**
 * The sign test: of positive + negative differences, either sign is as likely. With the images that one of two classifiers
 * gets wrong and the other right, it is McNemar's test.
 * @returns 2 · P(X ≤ the fewer), X ~ Bin(positive + negative, ½), at most 1
 */
export function signTest(positive: number, negative: number): number {
  const n = positive + negative
  const fewer = Math.min(positive, negative)
  // From the largest term down: C(n, i − 1) = C(n, i) · i / (n − i + 1).
  let [term, sum] = [1, 0]
  for (let i = fewer; i >= 0; i--) {
    sum += term
    term *= i / (n - i + 1)
  }
  return Math.min(1, 2 * sum * Math.exp(logChoices(n, fewer) - n * Math.LN2))
}

/** Twice the rank of each value by size, from 2; equal values share the mean of their ranks, so that all are whole. */
function doubledRanks(sizes: readonly number[]): number[] {
  const sorted = [...sizes].sort((a, b) => a - b)
  return sizes.map((size) => sorted.indexOf(size) + sorted.lastIndexOf(size) + 2)
}

/**
 * Wilcoxon's signed-rank test: the differences are as likely to be negative as positive, large ones too. Differences of 0
 * are left out, ties share their rank, and the distribution is that of these very ranks (Pratt & Gibbons 1981).
 * @returns two-sided p; 1 when nothing differs
 */
export function wilcoxonTest(differences: readonly number[]): number {
  const given = differences.filter((difference) => difference !== 0)
  const ranks = doubledRanks(given.map(Math.abs))
  const all = ranks.reduce((sum, rank) => sum + rank, 0)
  const positive = ranks.reduce((sum, rank, i) => (given[i]! > 0 ? sum + rank : sum), 0)
  // probability[s]: that the ranks with a positive sign add up to s, each sign with probability ½.
  let probability = new Float64Array(all + 1)
  probability[0] = 1
  for (const rank of ranks)
    probability = probability.map((p, sum) => (p + (sum >= rank ? probability[sum - rank]! : 0)) / 2)
  const tail = probability.slice(0, Math.min(positive, all - positive) + 1).reduce((sum, p) => sum + p, 0)
  return Math.min(1, 2 * tail)
}
