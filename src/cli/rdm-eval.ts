// rdm-eval: how well a trained model does on the images of a data set.
import { type Command, Option } from 'commander'
import { readDataset } from '../driver/data/cifar.js'
import { classifierOf, type Evaluation, evaluate } from '../driver/evaluation/evaluate.js'
import { checkRuntime } from '../driver/fit/config.js'
import { type Provider, providers, type RuntimeName } from '../driver/runtime/protocol.js'
import { openSession } from '../driver/runtime/session.js'
import { createProgram, parsedBy, runProgram, wholeNumber } from './command.js'
import { readInput } from './input.js'
import { runtimeOption } from './machine.js'

interface EvalFlags {
  readonly data: string
  readonly split: 'test' | 'train'
  readonly threads?: number
  readonly runtime?: RuntimeName
  readonly ep: Provider
  readonly json?: true
}

const evalCommand = (): Command =>
  createProgram('rdm-eval', 'Tell the error, the loss and the confusion matrix of a model on a data set.', [
    'rdm-eval runs/x/model.onnx --data cifar-10-batches-bin',
    'rdm-eval runs/x/model.onnx --data cifar-10-batches-bin --split train --json',
  ])
    .argument(
      '<model>',
      'an ONNX model that takes images (uint8 [batch, 3, height, width]) and gives logits; - reads standard input',
    )
    .requiredOption('--data <folder>', 'folder of the data set, in the CIFAR-10 or CIFAR-100 binary format')
    .addOption(new Option('--split <name>', 'which images').choices(['test', 'train']).default('test'))
    .option('--threads <count>', 'threads (default: all cores)', parsedBy(wholeNumber(1, 1024)))
    .addOption(runtimeOption())
    .addOption(new Option('--ep <provider>', 'execution provider').choices(providers).default('cpu'))
    .option('--json', 'print one JSON object')
    .action(async (model: string, flags: EvalFlags) => {
      const bytes = await readInput(model)
      const set = (await readDataset(flags.data))[flags.split]
      const { ep: provider, runtime = 'node', threads } = flags
      checkRuntime({ runtime, provider })
      const settings = { runtime, provider, ...(threads === undefined ? {} : { threads }) }
      const session = await openSession(bytes, settings)
      try {
        const result = await evaluate(session, classifierOf(session, set), set)
        if (!result) return
        process.stdout.write(
          flags.json ? `${JSON.stringify(asJson(result, set.classes))}\n` : report(result, set.classes),
        )
      } finally {
        await session.close()
      }
    })

/** Error of each class: the part of its images that were taken for another. Null where it has no images. */
const classErrors = ({ confusion }: Evaluation): (number | null)[] =>
  confusion.map((row, label) => {
    const images = row.reduce((sum, count) => sum + count, 0)
    return images === 0 ? null : (images - row[label]!) / images
  })

const asJson = (result: Evaluation, classes: readonly string[]) => ({
  images: result.images,
  wrong: result.wrong,
  error: result.error,
  loss: result.loss,
  classes: classErrors(result).map((error, label) => ({ name: classes[label]!, error })),
  confusion: result.confusion,
})

/** Matrices wider than this do not fit a terminal. */
const widestMatrix = 20

function report(result: Evaluation, classes: readonly string[]): string {
  const percent = (fraction: number | null) => (fraction === null ? '-' : `${(fraction * 100).toFixed(2)} %`)
  const lines = [
    `error ${percent(result.error)} (${result.wrong} of ${result.images} images), loss ${result.loss.toFixed(4)}`,
    '',
  ]
  const errors = classErrors(result)
  const nameWidth = Math.max(...classes.map((name) => name.length))
  if (classes.length > widestMatrix) {
    lines.push('error by class:')
    classes.forEach((name, label) => {
      lines.push(`  ${name.padEnd(nameWidth)}  ${percent(errors[label]!).padStart(8)}`)
    })
    return `${lines.join('\n')}\n\nThe confusion matrix of ${classes.length} classes is in the output of --json.\n`
  }
  const cells = result.confusion.map((row) => row.map(String))
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
    lines.push([head, percent(errors[label]!).padStart(8), ...counts].join(' '))
  })
  return `${lines.join('\n')}\n`
}

export async function main(argv: string[]): Promise<void> {
  await runProgram(evalCommand(), argv)
}
