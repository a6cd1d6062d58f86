// What was measured along sampled paths, length by length, as people and other programs read it.

import { type Architecture, convolutionsOf, totalBlocks } from '../../../graphs/residual.js'
import { gradientRange, gradientShares, meanGradient, rangeSpread } from './gradientShares.js'
import { pathLengths } from './lengths.js'
import type { LengthSamples } from './measure.js'
import { multiplicity } from './multiplicity.js'

export interface GradientReportOptions {
  /** The part of the gradient that the range of lengths is to carry. */
  readonly share: number
  readonly seed: number
}

/** Ranges and lengths are in layers. @throws UserError when no gradient arrives at all */
export function gradientReport(
  architecture: Architecture,
  samples: readonly LengthSamples[],
  { share, seed }: GradientReportOptions,
) {
  const { name, functions } = architecture
  const [r, blocks, layersPerFunction] = [functions.length, totalBlocks(architecture), convolutionsOf(architecture)]
  const paths = pathLengths(r, blocks)
  const gradients = samples.map(meanGradient)
  const shares = gradientShares(
    paths,
    gradients.map(({ mean }) => mean),
  )
  const range = gradientRange(shares, share)
  const spread = rangeSpread(samples, paths, share, seed)
  const layers = (ends: readonly [number, number]) => ends.map((length) => length * layersPerFunction)
  return {
    name,
    functions,
    blocks,
    layersPerFunction,
    multiplicity: multiplicity(r, blocks),
    lengths: gradients.map((gradient, k) => ({
      functions: k,
      layers: k * layersPerFunction,
      paths: paths[k]!,
      samples: samples[k]!.norms.length,
      complete: samples[k]!.complete,
      gradient: gradient.mean,
      standardError: Number.isNaN(gradient.standardError) ? null : gradient.standardError,
      share: shares[k]!,
    })),
    range: {
      wanted: share,
      from: range.first * layersPerFunction,
      to: range.last * layersPerFunction,
      share: shares.slice(range.first, range.last + 1).reduce((sum, part) => sum + part, 0),
      spread: { from: layers(spread.first), to: layers(spread.last), same: spread.same },
    },
  }
}

export type GradientReport = ReturnType<typeof gradientReport>
