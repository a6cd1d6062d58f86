// How long the paths through a residual network are, all of them counted exactly.
//
// The length of a path is the number of residual functions that it goes through; times the layers of a function it is
// the number of layers. The first and the last layer of the network, which all paths share, and convolutions on
// shortcuts do not count (the paper, Appendix B).

/**
 * Paths by length: entry k is the number of those through exactly k functions, C(b, k) · r^k, for k = 0 … b or up to `longest`.
 * With all paths alike likely, k ~ Bin(b, r / (1 + r)) (Appendix B).
 */
export function pathLengths(r: number, blocks: number, longest = blocks): bigint[] {
  const counts = [1n]
  for (let k = 0; k < Math.min(blocks, longest); k++)
    counts.push((counts[k]! * BigInt(r) * BigInt(blocks - k)) / BigInt(k + 1))
  return counts
}

/** Layers of a path, both ends included. */
export interface LayerRange {
  readonly from: number
  readonly to: number
}

/** Lengths k with from ≤ layersPerFunction · k ≤ to; there is none where `last` is below `first`. */
export const lengthsWithin = (
  { from, to }: LayerRange,
  layersPerFunction: number,
): { first: number; last: number } => ({
  first: Math.ceil(from / layersPerFunction),
  last: Math.floor(to / layersPerFunction),
})

/** Paths whose layers lie in the range: the sum of C(b, k) · r^k over the lengths within (Appendix B). */
export function effectivePaths(lengths: readonly bigint[], range: LayerRange, layersPerFunction: number): bigint {
  const { first, last } = lengthsWithin(range, layersPerFunction)
  return lengths.slice(first, Math.max(first, last + 1)).reduce((sum, count) => sum + count, 0n)
}

/** Decimal logarithm of a count above 0, however long. */
export function log10(count: bigint): number {
  const digits = count.toString()
  const head = digits.slice(0, 15)
  return Math.log10(Number(head)) + digits.length - head.length
}
