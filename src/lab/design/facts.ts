// The numbers of a network that the page shows beside it.

import { type Architecture, convolutionsOf, depthOf, residualNetwork, totalBlocks } from '../../../graphs/residual.js'
import { multiplyAdds, parameterCount } from '../../core/model/cost.js'
import { rounded } from '../../driver/format/table.js'
import { effectivePaths, type LayerRange, log10, pathLengths } from '../../study/paths/lengths.js'
import { multiplicity } from '../../study/paths/multiplicity.js'

/** Paths of one length. */
export interface PathLength {
  readonly layers: number
  /** Of all paths, from 0 to 1. */
  readonly share: number
  readonly paths: string
}

export interface Facts {
  readonly name: string
  readonly depth: number
  readonly blocks: number
  readonly r: number
  readonly edges: number
  readonly parameters: number
  /** Of one image. */
  readonly multiplyAdds: number
  readonly multiplicity: string
  /** Decimal logarithm of the multiplicity. */
  readonly magnitude: number
  /** Layers of a path, on average: the first and the last of the network do not count. */
  readonly meanLayers: number
  readonly lengths: readonly PathLength[]
  readonly effective: { readonly paths: string; readonly share: number }
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹'
export const superscript = (power: number): string =>
  [...String(power)].map((digit) => superscripts[Number(digit)]).join('')

/** Exact up to ten digits, then rounded: 7.63 × 10¹². */
const countText = (count: bigint): string =>
  rounded(count, 10).replace(/e(\d+)$/, (_, power: string) => ` × 10${superscript(Number(power))}`)

/** The quotient of two whole numbers, however long. */
const ratio = (part: bigint, whole: bigint): number => (part === 0n ? 0 : 10 ** (log10(part) - log10(whole)))

/** @param range layers of the paths that count as effective */
export function factsOf(architecture: Architecture, range: LayerRange): Facts {
  const { name, functions } = architecture
  const [r, blocks, layers] = [functions.length, totalBlocks(architecture), convolutionsOf(architecture)]
  const all = multiplicity(r, blocks)
  const counts = pathLengths(r, blocks)
  const effective = effectivePaths(counts, range, layers)
  return {
    ...{ name, depth: depthOf(architecture), blocks, r, edges: blocks * (1 + r), ...costOf(architecture) },
    multiplicity: countText(all),
    magnitude: log10(all),
    meanLayers: ((blocks * r) / (1 + r)) * layers,
    lengths: counts.map((paths, k) => ({
      layers: k * layers,
      share: ratio(paths, all),
      paths: countText(paths),
    })),
    effective: { paths: countText(effective), share: ratio(effective, all) },
  }
}

/** Linear in r, whatever ReLUs are dropped: networks of one function and of two tell those of a thousand. */
function costOf(architecture: Architecture): Pick<Facts, 'parameters' | 'multiplyAdds'> {
  const [mask = ''] = architecture.functions
  const [one, two] = [1, 2].map((r) => residualNetwork({ ...architecture, functions: new Array<string>(r).fill(mask) }))
  const more = architecture.functions.length - 1
  const extended = (count: typeof parameterCount) => count(one!) + (count(two!) - count(one!)) * more
  return { parameters: extended(parameterCount), multiplyAdds: extended(multiplyAdds) }
}
