// rdm-eval: how well a trained model does on a data set.

import { type Command, Option } from 'commander'
import { UserError } from '../core/errors.js'
import { isForeign } from '../core/model/metadata.js'
import { type TestAugment, testAugments } from '../core/model/recipe.js'
import { signatureOf } from '../core/onnx/signature.js'
import { decodeModel } from '../core/onnx/tensors.js'
import type { ImageSet, Split } from '../driver/data/dataset.js'
import { readDataset } from '../driver/data/readers.js'
import { classifierOf } from '../driver/evaluation/classifier.js'
import {
  classifierScoredBy,
  type Evaluation,
  evaluateModel,
  type Scored,
  scoredBy,
  scoredInFile,
} from '../driver/evaluation/evaluate.js'
import { checkRuntime } from '../driver/fit/config.js'
import { percent, scoresText } from '../driver/format/units.js'
import { type Provider, providers, type RuntimeName } from '../driver/runtime/protocol.js'
import { openSession, type Session } from '../driver/runtime/session.js'
import { collectedBy, createProgram, namedColumn, parsedBy, runProgram, wholeNumber } from './command.js'
import { holdOutOption } from './data.js'
import { readInput } from './input.js'
import { runtimeOption } from './machine.js'
import { print } from './output.js'
import { lossFrom } from './stepOptions.js'

interface EvalFlags {
  readonly data: string
  readonly holdOut?: number
  readonly split: 'test' | 'train'
  readonly loss?: string
  readonly input?: readonly (readonly [string, string])[]
  readonly testAugment?: TestAugment
  readonly threads?: number
  readonly runtime?: RuntimeName
  readonly ep: Provider
  readonly json?: true
}

const evalCommand = (): Command =>
  createProgram(
    'rdm-eval',
    'Tell the loss and the metrics of a model on a data set; of a classifier the confusion matrix too.',
    [
      'rdm-eval runs/x/model.onnx --data cifar-10-batches-bin',
      'rdm-eval runs/x/model.onnx --data cifar-10-batches-bin --split train --json',
      'rdm-eval regression.onnx --data houses.csv --loss mse',
    ],
  )
    .argument('<model>', 'an ONNX model; - reads standard input')
    .requiredOption('--data <path>', 'the data set: a file or a folder that rdm-data info can read')
    .addOption(holdOutOption())
    .addOption(new Option('--split <name>', 'which examples').choices(['test', 'train']).default('test'))
    .option(
      '--loss <loss>',
      "by name or from a file (.onnx), as of rdm-export (default: the file's own; for a classifier of images cross-entropy)",
    )
    .option(
      '--input <input=column>',
      'which column of the data feeds which input; x=a,b,c: the numbers of several, x=*: of all that feed nothing else; repeatable',
      collectedBy(namedColumn),
    )
    .addOption(
      new Option(
        '--test-augment <variants>',
        'average predictions over variants of each image (default: none)',
      ).choices(testAugments),
    )
    .option('--threads <count>', 'threads (default: all cores)', parsedBy(wholeNumber(1, 1024)))
    .addOption(runtimeOption())
    .addOption(new Option('--ep <provider>', 'execution provider').choices(providers).default('cpu'))
    .option('--json', 'print one JSON object')
    .action(async (path: string, flags: EvalFlags) => {
      const bytes = await readInput(path)
      const split = (await readDataset(flags.data, { holdOut: flags.holdOut }))[flags.split]
      const { ep: provider, runtime = 'node', threads } = flags
      checkRuntime({ runtime, provider })
      const settings = {
        runtime,
        provider,
        apart: isForeign(decodeModel(bytes).metadataProps),
        ...(threads === undefined ? {} : { threads }),
      }
      const session = await openSession(bytes, settings)
      try {
        const { scored, logits } = await scoredFor(bytes, session, split, flags)
        const result = await evaluateModel({
          ...{ session, scored, split, logits },
          name: flags.split === 'test' ? 'test' : 'training',
          inputs: flags.input && Object.fromEntries(flags.input),
          testAugment: flags.testAugment,
        })
        if (!result) return
        if (!Number.isFinite(result.loss))
          throw new UserError(`${path}: its loss is ${result.loss}: what it predicts is not finite`)
        const classes = classesOf(split, result)
        print(flags.json ? `${JSON.stringify(asJson(result, classes))}\n` : report(result, classes))
      } finally {
        await session.close()
      }
    })

/** The names of the classes; their numbers, where the data do not name so many. */
function classesOf({ columns }: Split, { confusion = [] }: Evaluation): readonly string[] {
  const names = Object.values(columns).find(({ classes }) => classes?.length === confusion.length)?.classes
  return names ?? confusion.map((_, label) => `${label}`)
}

/** How predictions are scored: as the file says, as the user says, or as those of a classifier. */
async function scoredFor(
  bytes: Uint8Array,
  session: Session,
  split: Split,
  { loss }: EvalFlags,
): Promise<{ readonly scored: Scored; readonly logits?: string }> {
  const chosen = loss === undefined ? undefined : await lossFrom({ loss })
  const scored = chosen ? scoredBy(chosen, session.outputs) : scoredInFile(bytes)
  if (scored) {
    const inputs = new Set(signatureOf(scored.scoring).inputs.map(({ name }) => name))
    const logits = session.outputs.find(({ name, shape }) => inputs.has(name) && shape.length === 2)
    return { scored, ...(logits ? { logits: logits.name } : {}) }
  }
  if (!('images' in split)) {
    throw new UserError('the file does not say its loss: say it with --loss, such as --loss mse')
  }
  const set = split as ImageSet
  const names = classifierOf(session, set)
  return { scored: await classifierScoredBy(session, names, set), logits: names.logits }
}

type Confusion = NonNullable<Evaluation['confusion']>

/** Error of each class: the part of its images that were taken for another. Null where it has no images. */
const classErrors = (confusion: Confusion): (number | null)[] =>
  confusion.map((row, label) => {
    const images = row.reduce((sum, count) => sum + count, 0)
    return images === 0 ? null : (images - row[label]!) / images
  })

/** How many were classified wrong. */
const wrongOf = (confusion: Confusion): number =>
  confusion.reduce(
    (sum, row, label) => sum + row.reduce((all, count, guess) => all + (guess === label ? 0 : count), 0),
    0,
  )

const asJson = ({ images, loss, scores, confusion }: Evaluation, classes: readonly string[]) => ({
  images,
  ...(confusion ? { wrong: wrongOf(confusion) } : {}),
  ...scores,
  loss,
  ...(confusion
    ? { classes: classErrors(confusion).map((error, label) => ({ name: classes[label]!, error })), confusion }
    : {}),
})

/** Matrices wider than this do not fit a terminal. */
const widestMatrix = 20

function report({ images, loss, scores, confusion }: Evaluation, classes: readonly string[]): string {
  const { error, ...metrics } = scores
  if (!confusion) {
    const measured = scoresText(error, metrics)
    return `loss ${loss.toFixed(4)}${measured === '' ? '' : `, ${measured}`} (${images} examples)\n`
  }
  const said = (fraction: number | null) => (fraction === null ? '-' : percent(fraction))
  const others = scoresText(undefined, metrics)
  const lines = [
    `error ${said(error ?? null)} (${wrongOf(confusion)} of ${images} images), loss ${loss.toFixed(4)}${others === '' ? '' : `, ${others}`}`,
    '',
  ]
  const errors = classErrors(confusion)
  const nameWidth = Math.max(...classes.map((name) => name.length))
  if (classes.length > widestMatrix) {
    lines.push('error by class:')
    classes.forEach((name, label) => {
      lines.push(`  ${name.padEnd(nameWidth)}  ${said(errors[label]!).padStart(8)}`)
    })
    return `${lines.join('\n')}\n\nThe confusion matrix of ${classes.length} classes is in the output of --json.\n`
  }
  const cells = confusion.map((row) => row.map(String))
  const widths = classes.map((_, column) => Math.max(4, `${column}`.length, ...cells.map((row) => row[column]!.length)))
  const number = (label: number) => `${label}`.padStart(`${classes.length - 1}`.length)
  lines.push('error by class, and how many images of each class (row) were taken for which (column):')
  lines.push(
    [
      ' '.repeat(nameWidth + 3 + number(0).length),
      ' '.repeat(8),
      ...widths.map((width, i) => `${i}`.padStart(width)),
    ].join(' '),
  )
  cells.forEach((row, label) => {
    const head = `  ${number(label)} ${classes[label]!.padEnd(nameWidth)}`
    const counts = row.map((cell, column) => cell.padStart(widths[column]!))
    lines.push([head, said(errors[label]!).padStart(8), ...counts].join(' '))
  })
  return `${lines.join('\n')}\n`
}

export async function main(argv: string[]): Promise<void> {
  await runProgram(evalCommand(), argv)
}
