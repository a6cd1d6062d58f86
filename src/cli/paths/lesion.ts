// rdm-paths lesion: the error of a trained model without some of its residual functions.

import type { Command } from 'commander'
import { totalBlocks } from '../../../graphs/residual.js'
import { UserError } from '../../core/errors.js'
import type { ImageSet } from '../../driver/data/dataset.js'
import { classifierBy } from '../../driver/evaluation/classifier.js'
import { grouped, table } from '../../driver/format/table.js'
import { percentage } from '../../driver/format/units.js'
import { openSession } from '../../driver/runtime/session.js'
import { spreadOf } from '../../driver/seeds/statistics.js'
import { gatedRun, guesses } from '../../study/paths/gatedRun.js'
import {
  compareKinds,
  countWrong,
  defaultCounts,
  type LesionOutcome,
  lesion,
  type Removed,
} from '../../study/paths/lesion.js'
import { blockNames, checkSame, gatedModel, pick, type ResidualModel } from '../../study/paths/residualModel.js'
import { numberList } from '../../study/text.js'
import { formatFunctions } from '../architecture.js'
import { createProgram, parsedBy } from '../command.js'
import { print } from '../output.js'
import {
  addMeasuringOptions,
  checkPicture,
  chosenImages,
  type MeasuringFlags,
  sessionSettings,
  watched,
  writePicture,
} from './measuring.js'
import { ownLogits, readResidualModel } from './model.js'

interface LesionFlags extends MeasuringFlags {
  readonly counts?: readonly number[]
}

export const lesionCommand = (): Command =>
  addMeasuringOptions(
    createProgram(
      'lesion',
      'Tell the error of a trained model without some of its residual functions: each alone, and several at random.',
      [
        'rdm-paths lesion runs/rdm56/model.onnx --data cifar-10-batches-bin --out lesion.svg',
        'rdm-paths lesion model.onnx --data cifar-10-batches-bin --counts 1,2,4,8 --samples 20 --images 1000',
      ],
    ),
    { split: 'test', samples: 10, of: 'for each count, random choices of functions to remove' },
  )
    .option(
      '--counts <numbers>',
      'how many functions to remove at once, such as 1,2,4 (default: about ten counts up to all)',
      parsedBy(numberList),
    )
    .action(run)

async function run(path: string, flags: LesionFlags): Promise<void> {
  checkPicture(flags.out)
  const model = await readResidualModel(path)
  const functions = totalBlocks(model.architecture) * model.architecture.functions.length
  const counts = [...new Set(flags.counts ?? defaultCounts(functions))].sort((a, b) => a - b)
  const impossible = counts.find((count) => count < 1 || count > functions)
  if (impossible !== undefined)
    throw new UserError(
      `--counts ${impossible}: the network has ${functions} residual functions; expected 1 to ${functions}`,
    )
  const { set: whole, indices } = await chosenImages(flags)
  const set = pick(whole, indices)
  const settings = sessionSettings(flags)
  const own = await ownLogits(model, set, settings)
  const session = await openSession(gatedModel(model), settings)
  try {
    const without = (removed: Removed) => gatedRun(session, functions, removed)
    const logits = await classifierBy(without([]), own.names, own.images).logits(0, own.images.count)
    checkSame(model, own.logits, logits)
    const outcome = await watched('lesions', (watch) =>
      lesion({
        ...watch,
        functions,
        counts,
        samples: flags.samples,
        seed: flags.seed,
        labels: set.labels,
        classify: (removed) => guesses(without(removed), own.names, set, watch.signal),
      }),
    )
    // Undefined when a signal stopped it.
    if (outcome) await show(report(model, outcome, set, flags), flags)
  } finally {
    await session.close()
  }
}

function report({ architecture }: ResidualModel, outcome: LesionOutcome, set: ImageSet, { split }: LesionFlags) {
  const { functions } = architecture
  const error = (wrong: number) => wrong / set.count
  const comparison = compareKinds(functions, outcome)
  const names = blockNames(architecture)
  const scaled = (spread: { median: number; mean: number; std: number | null }) => ({
    median: error(spread.median),
    mean: error(spread.mean),
    std: spread.std === null ? null : error(spread.std),
  })
  return {
    name: architecture.name,
    functions,
    split,
    images: set.count,
    error: error(outcome.wrong),
    removed: outcome.counts.map(({ count, wrong, complete }) => ({
      count,
      choices: wrong.length,
      complete,
      ...scaled(spreadOf(wrong)!),
      min: error(Math.min(...wrong)),
      max: error(Math.max(...wrong)),
    })),
    /** Each function alone. */
    alone: outcome.alone.map((wrong, i) => ({
      block: names[Math.floor(i / functions.length)]!,
      function: `f${(i % functions.length) + 1}`,
      mask: functions[i % functions.length]!,
      error: error(countWrong(wrong)),
      added: error(countWrong(wrong) - outcome.wrong),
    })),
    /** What removing full and ReLU-dropped functions adds to the error; null where all are of one kind. */
    comparison: comparison
      ? {
          ...comparison,
          full: scaled(comparison.full),
          dropped: scaled(comparison.dropped),
          difference: scaled(comparison.difference),
          pairs: comparison.pairs.map(({ block, full, dropped, p }) => ({
            block: names[block]!,
            full: error(full),
            dropped: error(dropped),
            p,
          })),
        }
      : null,
  }
}
export type LesionReport = ReturnType<typeof report>

async function show(measured: LesionReport, { out, json }: LesionFlags): Promise<void> {
  if (out !== undefined) {
    // Loaded where it is needed: the library for charts takes longer to start than all the rest.
    const { lesionSvg } = await import('../../study/paths/lesionPicture.js')
    await writePicture(out, lesionSvg(measured))
  }
  print(json ? `${JSON.stringify(measured)}\n` : text(measured))
}

const signed = (part: number) => `${part < 0 ? '−' : '+'}${percentage(Math.abs(part))}`
/** Three digits, and no 0 that is none. */
const formatP = (p: number) => (p >= 0.001 ? p.toFixed(3) : p.toExponential(1))

function text(measured: LesionReport): string {
  const { name, functions, images, split, error, removed, alone, comparison } = measured
  const r = functions.length
  const counts = removed.map(({ count, choices, complete, mean, std, min, max }) => [
    `${count}`,
    complete ? `all ${choices}` : `${choices}`,
    percentage(mean),
    std === null ? '-' : percentage(std),
    percentage(min),
    percentage(max),
  ])
  return [
    `${name}: ${alone.length} residual functions in ${alone.length / r} blocks (${formatFunctions(functions)}); ` +
      `${grouped(images)} ${split === 'train' ? 'training' : 'test'} images\n`,
    `error of the whole network: ${percentage(error)} %\n\n`,
    table([['removed', 'choices', 'mean error %', 'std', 'least', 'most'], ...counts]),
    '\nwhat removing one function adds to the error, in points:\n\n',
    aloneTable(measured),
    comparison ? `\n${conclusion(measured, comparison)}` : '',
  ].join('')
}

/** Functions of a block that a table has columns for. */
const mostColumns = 8

function aloneTable({ functions, alone, comparison }: LesionReport): string {
  const r = functions.length
  const wide = r > mostColumns
  const header = wide ? ['least', 'median', 'most'] : functions.map((mask, i) => `f${i + 1} (${mask})`)
  const rows = Array.from({ length: alone.length / r }, (_, block) => {
    const own = alone.slice(block * r, (block + 1) * r)
    const added = own.map((lesioned) => lesioned.added)
    const cells = wide ? [Math.min(...added), spreadOf(added)!.median, Math.max(...added)] : added
    const pair = comparison?.pairs[block]
    return [
      own[0]!.block,
      ...cells.map(signed),
      ...(pair ? [signed(pair.full - pair.dropped), pair.p === null ? '-' : formatP(pair.p)] : []),
    ]
  })
  return table([['block', ...header, ...(comparison ? ['full − dropped', 'p'] : [])], ...rows])
}

type ReportedComparison = NonNullable<LesionReport['comparison']>

function conclusion({ functions }: LesionReport, comparison: ReportedComparison): string {
  const { full, dropped, difference, more, less, pairs, signTest, wilcoxon } = comparison
  const masks = (kind: (mask: string) => boolean) => [...new Set(functions.filter(kind))].join(', ')
  const lines = [
    `a full function (${masks((mask) => !mask.includes('0'))}): ${signed(full.median)} points, the median of the blocks`,
    `a ReLU-dropped one (${masks((mask) => mask.includes('0'))}): ${signed(dropped.median)} points`,
    `difference within a block: ${signed(difference.median)} points; the full one costs more in ${more} of ${pairs.length} ` +
      `blocks, less in ${less}`,
    `p that such differences are chance, exact and two-sided: ${formatP(wilcoxon)} (Wilcoxon signed-rank), ` +
      `${formatP(signTest)} (sign test); with so many blocks at least ${formatP(leastP(more + less))}`,
  ]
  const perBlock = pairs.some(({ p }) => p !== null)
    ? 'p in the table: McNemar’s test on the images that one of the two lesions gets wrong and the other right\n'
    : ''
  return `${lines.join('\n')}\n${perBlock}`
}

/** The smallest two-sided p of n signs: all of them alike. */
const leastP = (n: number) => Math.min(1, 2 ** (1 - n))
