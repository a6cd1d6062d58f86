// rdm-paths measure: how much gradient the paths of each length carry in a trained model.

import type { Command } from 'commander'
import { grouped, table } from '../../driver/format/table.js'
import { openSession } from '../../driver/runtime/session.js'
import { gradientReport } from '../../study/paths/gradientReport.js'
import { type LengthSamples, measureModel } from '../../study/paths/measure.js'
import { pathModel, type ResidualModel } from '../../study/paths/residualModel.js'
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
      return await watched('paths', (watch) =>
        measureModel(session, model, own, {
          ...{ ...watch, set: chosen.set, images: chosen.indices },
          ...{ samples: flags.samples, seed: flags.seed },
        }),
      )
    } finally {
      await session.close()
    }
  })()
  // Undefined when a signal stopped it.
  if (samples) await show(report(model, chosen, samples, flags), flags)
}

const report = (
  { architecture }: ResidualModel,
  { indices }: Chosen,
  samples: readonly LengthSamples[],
  { share, seed, split }: MeasureFlags,
) => ({ ...gradientReport(architecture, samples, { share, seed }), split, images: indices.length })
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
