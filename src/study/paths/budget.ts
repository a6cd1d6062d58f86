// Which residual networks a budget of edges or parameters allows.

/**
 * What a network of r functions a block and n units of blocks costs, each of these terms for itself:
 * fixed + perFunction · r + perUnit · n + perFunctionAndUnit · r · n.
 */
export interface Cost {
  readonly fixed: number
  readonly perFunction: number
  readonly perUnit: number
  readonly perFunctionAndUnit: number
  /** Blocks of a unit: 1, or as many as there are stages where stages are to be equal. */
  readonly blocksPerUnit: number
}

/** b blocks of 1 + r edges each: E = b + r · b (the paper, Appendix A). */
export const edgeCost: Cost = { fixed: 0, perFunction: 0, perUnit: 1, perFunctionAndUnit: 1, blocksPerUnit: 1 }

/** From the costs of four networks, at r and n of 1 and 2. */
export function costFrom(at: (r: number, n: number) => number, blocksPerUnit: number): Cost {
  const [one, function2, unit2, both2] = [at(1, 1), at(2, 1), at(1, 2), at(2, 2)]
  const perFunctionAndUnit = both2 - function2 - unit2 + one
  const perFunction = function2 - one - perFunctionAndUnit
  const perUnit = unit2 - one - perFunctionAndUnit
  const fixed = one - perFunction - perUnit - perFunctionAndUnit
  return { fixed, perFunction, perUnit, perFunctionAndUnit, blocksPerUnit }
}

export const costOf = (cost: Cost, r: number, n: number): number =>
  cost.fixed + cost.perFunction * r + cost.perUnit * n + cost.perFunctionAndUnit * r * n

/** Units that use the limit up to the last, were there parts of units. */
export const unitsFor = (cost: Cost, limit: number, r: number): number =>
  (limit - cost.fixed - cost.perFunction * r) / (cost.perUnit + cost.perFunctionAndUnit * r)

/** A network that a budget allows. */
export interface Configuration {
  /** Residual functions a block. */
  readonly r: number
  readonly blocks: number
  readonly cost: number
  /** Neither one more function a block nor one more unit of blocks would leave it within the limit. */
  readonly full: boolean
}

/**
 * The networks with at least one unit of blocks that cost no more than the limit, by rising r and then by rising blocks.
 * Of those with the most paths of some length at least one is full: one more function, or block, takes away no path.
 */
export function configurationsWithin(cost: Cost, limit: number): Configuration[] {
  const found: Configuration[] = []
  const most = (r: number) => Math.floor(unitsFor(cost, limit, r))
  for (let r = 1; most(r) >= 1; r++) {
    for (let n = 1; n <= most(r); n++) {
      const full = n === most(r) && most(r + 1) < n
      found.push({ r, blocks: n * cost.blocksPerUnit, cost: costOf(cost, r, n), full })
    }
  }
  return found
}

/** The place of each value, 1 for the largest; equal values share one. */
export function ranks(values: readonly bigint[]): number[] {
  const falling = [...values].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0))
  const places = new Map<bigint, number>()
  falling.forEach((value, i) => {
    if (!places.has(value)) places.set(value, i + 1)
  })
  return values.map((value) => places.get(value)!)
}
