// rdm-paths measure: how much gradient the paths of each length carry in a trained model.

import type { Command } from 'commander'
import { convolutionsOf, totalBlocks } from '../../../graphs/residual.js'
import { logitsOf } from '../../driver/evaluation/classifier.js'
import { grouped, table } from '../../driver/format/table.js'
import { openSession, type Session } from '../../driver/runtime/session.js'
import type { OwnLogits } from '../../study/paths/gatedRun.js'
import { pathNames } from '../../study/paths/gradient.js'
import { gradientRange, gradientShares, meanGradient, rangeSpread } from '../../study/paths/gradientShares.js'
import { pathLengths } from '../../study/paths/lengths.js'
import { feedsOf, type LengthSamples, measurePaths } from '../../study/paths/measure.js'
import { multiplicity } from '../../study/paths/multiplicity.js'
import { checkSame, pathModel, type ResidualModel } from '../../study/paths/residualModel.js'
import { formatFunctions } from '../architecture.js'
import { createProgram, decimalNumber, parsedBy } from '../command.js'
import { print } from '../output.js'
import { formatCount, formatRange, jsonLine, percent } from './format.js'
import {
  addMeasuringOptions,
  type Chosen,
  checkPicture,
  chosenImages,
  type MeasuringFlags,
  sessionSettings,
  watched,
  writePicture,
} from './measuring.js'
import { ownLogits, readResidualModel } from './model.js'

interface MeasureFlags extends MeasuringFlags {
  readonly share: number
}

export const measureCommand = (): Command =>
  addMeasuringOptions(
    createProgram(
      'measure',
      'Measure how much gradient the paths of each length carry in a trained model (Veit et al. 2016).',
      [
        'rdm-paths measure runs/rdm56/model.onnx --data cifar-10-batches-bin',
        'rdm-paths measure model.onnx --data cifar-10-batches-bin --samples 200 --share 0.9 --out gradient.svg',
      ],
    ),
    { split: 'train', samples: 1000, of: 'for each length, pairs of a random path and a random image' },
  )
    .option(
      '--share <part>',
      'find the range of lengths that carries this part of the gradient',
      parsedBy(decimalNumber(0.01, 1)),
      0.95,
    )
    .action(run)

async function run(path: string, flags: MeasureFlags): Promise<void> {
  checkPicture(flags.out)
  const model = await readResidualModel(path)
  const chosen = await chosenImages(flags)
  const settings = sessionSettings(flags)
  const own = await ownLogits(model, chosen.set, settings)
  const session = await openSession(pathModel(model), settings)
  const samples = await (async () => {
    try {
      await checkLogits(session, model, own)
      return await sampled(session, model, own, chosen, flags)
    } finally {
      await session.close()
    }
  })()
  // Undefined when a signal stopped it.
  if (samples) await show(report(model, chosen, samples, flags), flags)
}

/** The forward pass of the graph that is differentiated is that of the file. */
async function checkLogits(session: Session, model: ResidualModel, { names, images, logits }: OwnLogits) {
  const edges = 1 + model.architecture.functions.length
  const path = new Uint16Array(totalBlocks(model.architecture))
  const samples = Array.from({ length: images.count }, (_, image) => ({ path, image }))
  const outputs = await session.run(feedsOf(samples, names.images, images, edges))
  checkSame(model, logits, logitsOf(outputs, pathNames.logits, images.count, images))
}

const sampled = (
  session: Session,
  { architecture }: ResidualModel,
  { names }: OwnLogits,
  { set, indices }: Chosen,
  { samples, seed }: MeasureFlags,
) =>
  watched('paths', (watch) =>
    measurePaths(session, names.images, {
      ...watch,
      blocks: totalBlocks(architecture),
      r: architecture.functions.length,
      set,
      images: indices,
      samples,
      seed,
    }),
  )

function report(
  { architecture }: ResidualModel,
  { indices }: Chosen,
  samples: readonly LengthSamples[],
  { share, seed, split }: MeasureFlags,
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
    split,
    images: indices.length,
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
export type MeasureReport = ReturnType<typeof report>

async function show(measured: MeasureReport, { out, json }: MeasureFlags): Promise<void> {
  if (out !== undefined) {
    // Loaded where it is needed: the library for charts takes longer to start than all the rest.
    const { gradientSvg } = await import('../../study/paths/gradientPicture.js')
    await writePicture(out, gradientSvg(measured))
  }
  print(json ? jsonLine(measured) : text(measured))
}

const part = (share: number) => (100 * share).toFixed(2)
const scientific = (value: number) => value.toExponential(2)

function text(measured: MeasureReport): string {
  const { name, functions, blocks, lengths, range, split, images, multiplicity: all } = measured
  const rows = lengths.map(({ functions: k, layers, paths, samples, complete, gradient, standardError, share }) => [
    `${k}`,
    `${layers}`,
    formatCount(paths),
    percent(paths, all),
    complete ? `all ${grouped(samples)}` : grouped(samples),
    `${scientific(gradient)}${complete || standardError === null ? '' : ` ± ${scientific(standardError)}`}`,
    part(share),
    layers >= range.from && layers <= range.to ? 'effective' : '',
  ])
  const { from, to } = range.spread
  return [
    `${name}: ${blocks} blocks of ${1 + functions.length} edges (${formatFunctions(functions)}), ` +
      `${formatCount(all)} paths; ${grouped(images)} ${split === 'train' ? 'training' : 'test'} images\n`,
    'gradient: norm of the loss of one image, at its normalised pixels, along one path (± standard error)\n\n',
    table([['functions', 'layers', 'paths', 'share %', 'samples', 'gradient', 'paths · gradient %', ''], ...rows]),
    `\n${part(range.wanted)} % of the gradient: paths of ${formatRange(range)} (--range ${range.from}:${range.to}), ` +
      `which carry ${part(range.share)} %\n`,
    samplesAreAll(measured)
      ? 'every path was taken with every image\n'
      : `in 95 % of bootstrap resamples it begins at ${from[0]} to ${from[1]} and ends at ${to[0]} to ${to[1]} layers; ` +
        `${part(range.spread.same)} % of them give this very range\n`,
  ].join('')
}

const samplesAreAll = ({ lengths }: MeasureReport) => lengths.every(({ complete }) => complete)
