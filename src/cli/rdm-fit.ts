// rdm-fit: trains a model on a data set, by the training step that is in its file.

import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { UserError } from '../core/errors.js'
import { readTrainableModel } from '../core/model/read.js'
import { type TestAugment, testAugments } from '../core/model/recipe.js'
import { type Schedule, scheduleText } from '../core/training/schedule.js'
import { readDataset } from '../driver/data/readers.js'
import { type FitOverrides, newConfig } from '../driver/fit/config.js'
import { fit } from '../driver/fit/fit.js'
import { checkRate } from '../driver/fit/hyperparameters.js'
import { hasBroughtRun, readRunInfo, runFiles } from '../driver/run/runFolder.js'
import { type Precision, precisions } from '../driver/targets/target.js'
import { seedList } from '../study/text.js'
import {
  collectedBy,
  createProgram,
  decimalNumber,
  namedColumn,
  parsedBy,
  runProgram,
  seedNumber,
  wholeNumber,
} from './command.js'
import { holdOutOption } from './data.js'
import { readFirstModel, readInput } from './input.js'
import { explain, profile } from './inspect.js'
import { addMachineOptions, type MachineFlags, machineSettings } from './machine.js'
import { print } from './output.js'
import { jsonReporter, type ProgressReporter, textReporter } from './progress/progress.js'
import { seedsJsonReporter, seedsTextReporter } from './progress/seedsProgress.js'
import { reporting } from './reporting.js'
import { chosenSeeds, printSummary, trainSeeds } from './seeds.js'

interface FitFlags extends MachineFlags {
  readonly data?: string
  readonly holdOut?: number
  readonly out?: string
  readonly epochs?: number
  readonly batch?: number
  readonly lr?: Schedule
  readonly seed?: number
  readonly seeds?: readonly number[]
  readonly jobs?: number
  readonly steps?: number
  readonly precision?: Precision
  readonly set?: readonly (readonly [string, Schedule])[]
  readonly input?: readonly (readonly [string, string])[]
  readonly accumulate?: number
  readonly dropLast?: true
  readonly testAugment?: TestAugment
  readonly augment: boolean
  readonly resume?: true
  readonly profile?: number | true
  readonly explain?: true
  readonly json?: true
}

/** Text like `momentum=0:0.85,5:0.95`. */
const namedSchedule: z.ZodType<readonly [string, Schedule], string> = z.string().transform((text, context) => {
  const at = text.indexOf('=')
  const read = scheduleText.safeParse(text.slice(at + 1))
  if (at > 0 && read.success) return [text.slice(0, at).trim(), read.data] as const
  context.addIssue(`"${text}" sets nothing: write NAME=VALUE or NAME=SCHEDULE, as in momentum=0.85`)
  return z.NEVER
})

const fitCommand = (): Command =>
  createProgram('rdm-fit', 'Train a model with ONNX Runtime, by the training step that is in its file.', [
    'rdm-export --arch rdm56 > model.onnx && rdm-fit model.onnx --data cifar-10-batches-bin --out runs/rdm56',
    'rdm-export --block basic --depth 8 --functions 11,01 | rdm-fit - --data cifar-10-batches-bin --out runs/rdm8 --epochs 5 --lr 0:0.01,1:0.1,4:0.01',
    'rdm-fit regression.onnx --data houses.csv --input x=area,rooms --input targets=price --out runs/houses',
    'rdm-fit --resume --out runs/rdm8',
    'rdm-fit --resume --out runs/rdm8 --epochs 10',
    'rdm-fit model.onnx --data cifar-10-batches-bin --out runs/gpu --ep cuda --precision fp16',
    'rdm-fit model.onnx --data cifar-10-batches-bin --out runs/gpu --ep webgpu',
    'rdm-fit model.onnx --data cifar-10-batches-bin --out runs/five --seeds 1..5 --jobs 2',
    'rdm-fit model.onnx --data cifar-10-batches-bin --out runs/web --runtime web-training',
    'rdm-fit --resume --out runs/five --seeds 1..8',
    'rdm-fit model.onnx --explain',
    'rdm-fit model.onnx --data cifar-10-batches-bin --profile',
  ])
    .argument('[model]', 'an ONNX model with training information, as rdm-export writes it; - reads standard input')
    .option('--data <path>', 'the data set: a file or a folder that rdm-data info can read')
    .addOption(holdOutOption())
    .option('--out <folder>', 'run folder: checkpoints, metrics, curves and the trained model')
    .option(
      '--epochs <count>',
      "passes over the training data, such as 10 or 9.5 (default: the model's recipe)",
      parsedBy(decimalNumber(1e-9, 1_000_000)),
    )
    .option(
      '--batch <images>',
      "examples in a mini-batch (default: the model's recipe)",
      parsedBy(wholeNumber(1, 65_536)),
    )
    .option(
      '--lr <schedule>',
      'learning rate: epoch:rate pairs, one rate, steps:…, cosine:max=0.1,warmup=5, one-cycle:max=0.1,warmup=30%, linear:… ' +
        "(default: the model's recipe)",
      parsedBy(scheduleText),
    )
    .option(
      '--set <name=schedule>',
      "another hyperparameter of the step, such as momentum=0.85 or momentum='0:0.5,5:0.9'; repeatable",
      collectedBy(namedSchedule),
    )
    .option(
      '--input <input=column>',
      'which column of the data feeds which input; x=a,b,c: the numbers of several, x=*: of all that feed nothing else; repeatable',
      collectedBy(namedColumn),
    )
    .option(
      '--accumulate <batches>',
      'batches whose gradients make one update (default: 1)',
      parsedBy(wholeNumber(1, 1_000_000)),
    )
    .option('--drop-last', 'leave out the smaller batch at the end of an epoch')
    .option(
      '--seed <number>',
      'seed of order, augmentation, gates and dropout (default: 1); the first weights are those in the file',
      parsedBy(seedNumber),
    )
    .option(
      '--seeds <list>',
      'a run for each seed, 1..5 or 1,2,7, in the folder seed-<number> of --out; each draws first weights of its own, ' +
        'by the initialization in the file, and the end is the median of their test errors',
      parsedBy(seedList),
    )
    .option(
      '--jobs <count>',
      'how many of the runs of --seeds at a time (default: all of them with --ep cuda, else 1)',
      parsedBy(wholeNumber(1, 1024)),
    )
    .option('--steps <count>', 'end after so many steps in all', parsedBy(wholeNumber(1, Number.MAX_SAFE_INTEGER)))
    .option('--no-augment', 'take the images as they are, without random crops and flips')
    .addOption(
      new Option(
        '--test-augment <variants>',
        'after the last epoch average predictions over variants of each image (default: none)',
      ).choices(testAugments),
    )
    .addOption(
      new Option(
        '--precision <name>',
        'of convolutions and matrix products, with target ort-cuda (default: fp32)',
      ).choices(precisions),
    )
    .option('--resume', 'go on with the run in the folder; model, data and settings are taken from it')
    .option(
      '--profile [steps]',
      'train nothing: take some steps (default: 5) and print where their time goes, by operator and by layer',
      parsedBy(wholeNumber(1, 1000)),
    )
    .option('--explain', 'train nothing: print how the step is written on this machine, and why')
    .option('--json', 'print one JSON object a line: steps, epochs, the end')
    .action(runFit)

async function runFit(modelPath: string | undefined, flags: FitFlags): Promise<void> {
  if (flags.profile !== undefined || flags.explain) return inspect(modelPath, flags)
  const resume = flags.resume ?? false
  const { out } = flags
  if (out === undefined) throw new UserError('where to? Give a folder for the run with --out')
  const seeds = await chosenSeeds(out, flags)
  if (seeds) {
    const { data: dataPath, holdOut, jobs, json = false } = flags
    const request = { modelPath, dataPath, holdOut, out, seeds, jobs, resume, config: overridesOf(flags) }
    const output = { out: process.stdout, err: process.stderr, folder: out }
    const summary = await reporting(json ? seedsJsonReporter(output) : seedsTextReporter(output), (signal, onEvent) =>
      trainSeeds({ ...request, signal, onEvent }),
    )
    printSummary(summary, out, json)
    return
  }
  // A checkpoint alone, of a run that began in a page.
  const brought = resume && hasBroughtRun(out)
  const info = resume && !brought ? await readRunInfo(out) : undefined
  const dataPath = flags.data ?? info?.data.path ?? undefined
  if (dataPath === undefined) throw new UserError('which data? Give their file or folder with --data')
  if (modelPath === undefined && !info) throw new UserError('which model? Give its file, or - to read standard input')

  // A run goes on from its own first weights even when it was stopped before the first checkpoint.
  const initial = join(out, runFiles.initial)
  const source = info ? initial : modelPath!
  const bytes = await (info ? readFirstModel(out) : readInput(source))
  const model = readTrainableModel(bytes, source === '-' ? 'standard input' : source)
  if (info && modelPath !== undefined) {
    const { fingerprint } = readTrainableModel(await readInput(modelPath), modelPath)
    if (fingerprint !== model.fingerprint) {
      throw new UserError(
        `the run in ${out} belongs to another model than ${modelPath}: leave out the model to go on with ${initial}, ` +
          'or choose another folder',
      )
    }
  }
  const data = await readDataset(dataPath, { holdOut: flags.holdOut ?? info?.data.heldOut })

  await reporting(reporterFor(flags, out), async (signal, onEvent) => {
    const result = await fit({
      model,
      data,
      dataPath,
      out,
      config: overridesOf(flags),
      resume,
      signal,
      onEvent,
    })
    // The signal came too late to interrupt anything.
    if (result.reason !== 'interrupted') process.exitCode = 0
  })
}

const reporterFor = (flags: FitFlags, folder: string): ProgressReporter => {
  const output = { out: process.stdout, err: process.stderr, folder }
  return flags.json ? jsonReporter(output) : textReporter(output)
}

/** --profile and --explain: the model is looked at, and no run is made. */
async function inspect(modelPath: string | undefined, flags: FitFlags): Promise<void> {
  const option = flags.explain ? '--explain' : '--profile'
  if (flags.explain && flags.profile !== undefined)
    throw new UserError('--explain and --profile print different things: give one of them')
  if (modelPath === undefined) throw new UserError('which model? Give its file, or - to read standard input')
  const training = (['resume', 'out', 'seeds', 'jobs'] as const).find((name) => flags[name] !== undefined)
  if (training) throw new UserError(`${option} trains nothing: leave out --${training}`)
  if (!flags.explain && flags.data === undefined)
    throw new UserError('which data? Give their file or folder with --data')
  const model = readTrainableModel(await readInput(modelPath), modelPath === '-' ? 'standard input' : modelPath)
  const overrides = overridesOf(flags)
  checkRate(model, overrides)
  const config = newConfig(model.recipe, overrides)
  const data = flags.explain ? undefined : await readDataset(flags.data!, { holdOut: flags.holdOut })
  await reporting(reporterFor(flags, ''), async (signal, onEvent) => {
    const options = { model, config, json: flags.json ?? false, signal, onEvent }
    const steps = typeof flags.profile === 'number' ? flags.profile : 5
    const text = data ? await profile(options, data, steps) : await explain(options)
    if (text !== undefined) print(text)
  })
}

function overridesOf(flags: FitFlags): FitOverrides {
  return {
    ...machineSettings(flags),
    epochs: flags.epochs,
    batchSize: flags.batch,
    learningRate: flags.lr,
    schedules: flags.set && Object.fromEntries(flags.set),
    inputs: flags.input && Object.fromEntries(flags.input),
    accumulate: flags.accumulate,
    dropLast: flags.dropLast,
    testAugment: flags.testAugment,
    seed: flags.seed,
    steps: flags.steps,
    precision: flags.precision,
    augment: flags.augment ? undefined : false,
  }
}

export async function main(argv: string[]): Promise<void> {
  await runProgram(addMachineOptions(fitCommand()), argv)
}
