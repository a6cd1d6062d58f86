// rdm-derive: from a network of an ONNX file to a file that trains it.

import { type Command, Option } from 'commander'
import { z } from 'zod'
import { pixelStatistics } from '../../graphs/pixels.js'
import type { AdapterOptions } from '../core/derive/adapters.js'
import { withOpenBatch } from '../core/derive/batch.js'
import { derive, fineTuning, prepared } from '../core/derive/derive.js'
import { type Explanation, explained } from '../core/derive/explain.js'
import { imagenetPixels, type PixelStatistics } from '../core/derive/pixels.js'
import { UserError } from '../core/errors.js'
import { crossEntropy } from '../core/losses/crossEntropy.js'
import { metadataOf } from '../core/model/metadata.js'
import { photoAugmentation, type Recipe } from '../core/model/recipe.js'
import { type Part, parts } from '../core/model/write.js'
import { readNetwork } from '../core/onnx/network.js'
import { readDataset } from '../driver/data/readers.js'
import { grouped, table } from '../driver/format/table.js'
import { type ArtifactsOptions, addArtifactsOptions, checkArtifactsOptions, writeArtifacts } from './artifacts.js'
import { collectedBy, createProgram, decimalNumber, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { addFileOptions, type FileFlags, nameList, requireDestination, writeOut } from './fileOptions.js'
import { readInput } from './input.js'
import { addStepOptions, type StepFlags, stepFrom } from './stepOptions.js'
import { checkAlone, mergedModel, writeAdapter } from './trainedAdapters.js'

interface Options extends StepFlags, FileFlags, ArtifactsOptions {
  readonly explain?: true
  readonly train?: readonly (readonly string[])[]
  readonly freeze?: readonly (readonly string[])[]
  readonly trainLast?: number
  readonly head?: number | readonly string[]
  readonly data?: string
  readonly lora?: number
  readonly loraOn?: readonly (readonly string[])[]
  readonly loraAlpha?: number
  readonly merge?: true
  readonly adapter?: string
  readonly output?: string
  readonly batchNorm: 'train' | 'frozen'
  readonly normalize?: Normalization
  readonly seed?: number
  readonly part: Part
}

/** What images of a data set are normalized by, and how they are augmented. */
interface Normalization extends Pick<Recipe, 'augment'> {
  readonly pixels: PixelStatistics
}
const normalizations: Readonly<Record<string, Normalization>> = {
  imagenet: { pixels: imagenetPixels, augment: [...photoAugmentation] },
  cifar10: { pixels: pixelStatistics.cifar10, augment: true },
  cifar100: { pixels: pixelStatistics.cifar100, augment: true },
}

/** `imagenet`, or a mean and a deviation, of each channel or of all: `mean=0.5,std=0.5`, `mean=0.49;0.48;0.45,std=0.2;0.2;0.3`. */
const normalization: z.ZodType<Normalization, string> = z.string().transform((text, context) => {
  if (Object.hasOwn(normalizations, text)) return normalizations[text]!
  const numbers = '((?:\\d*\\.?\\d+)(?:;\\d*\\.?\\d+)*)'
  const [, ...lists] = new RegExp(`^mean=${numbers},std=${numbers}$`).exec(text) ?? []
  const [mean = [], std = []] = lists.map((list) => list.split(';').map(Number))
  if (mean.length > 0 && mean.length === std.length && std.every((value) => value > 0))
    return { pixels: { mean, std }, augment: false }
  context.addIssue(
    `"${text}" is no normalization: write ${Object.keys(normalizations).join(', ')}, or a mean and a deviation above 0, as in mean=0.5,std=0.5`,
  )
  return z.NEVER
})

const classCount = wholeNumber(1, 1_000_000)

/** Text like `5`, or names: `cat,dog,bird`. */
const headClasses: z.ZodType<number | readonly string[], string> = z.string().transform((text, context) => {
  const names = text.split(',').map((name) => name.trim())
  if (names.length > 1 && names.every((name) => name !== '') && new Set(names).size === names.length) return names
  const count = classCount.safeParse(text)
  if (count.success) return count.data
  context.addIssue(`"${text}" says no classes: write how many there are, or two names and more, as in cat,dog,bird`)
  return z.NEVER
})

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-derive', 'Write a file that trains a network of another file.', [
    'rdm-derive resnet18.onnx --explain',
    "rdm-derive resnet18.onnx --head 5 --train 'fc.*' --normalize imagenet > pets.onnx",
    'rdm-derive resnet18.onnx --train-last 3 --shape image=batch,3,224,224 > tuned.onnx',
    'rdm-derive mlp.onnx --loss mse --optimizer adamw > fit.onnx',
    "rdm-derive bert.onnx --lora 8 --lora-on '*.query,*.value' > lora.onnx",
    'rdm-derive --merge runs/lora/model.onnx > merged.onnx',
  ])
  addStepOptions(program)
    .argument('<model>', 'the ONNX file; - for standard input')
    .option('--explain', 'say what it is, what trains, and what stands in the way, instead of writing it')
    .option(
      '--train <patterns>',
      "names of the weights that train, such as 'fc.*,layer4.*' (default: all)",
      collectedBy(nameList),
    )
    .option('--freeze <patterns>', 'names of weights that do not', collectedBy(nameList))
    .option('--train-last <layers>', 'only so many layers at the end train', parsedBy(wholeNumber(1, 100_000)))
    .option(
      '--head <classes>',
      'a fresh last layer for so many classes, or for those of these names: cat,dog,bird',
      parsedBy(headClasses),
    )
    .option('--data <path>', 'a fresh last layer for the classes of this data set')
    .option(
      '--lora <rank>',
      'low-rank adapters of that rank: only they train, a new head, and what --train names',
      parsedBy(wholeNumber(1, 100_000)),
    )
    .option(
      '--lora-on <patterns>',
      "layers that have them, such as '*.query,*.value' (default: all linear ones and convolutions but the last)",
      collectedBy(nameList),
    )
    .option('--lora-alpha <factor>', 'they count factor/rank (default: the rank)', parsedBy(decimalNumber(1e-6, 1e6)))
    .option('--merge', 'of a trained network with adapters: the network with them in its weights')
    .option(
      '--adapter <file>',
      'of a trained network with adapters: write an adapter of ONNX Runtime there, and the model that takes it',
    )
    .option('--output <name>', 'the output that the loss is for (default: logits, or the only one of floats)')
    .addOption(
      new Option('--batch-norm <how>', 'train: by the statistics of the batch; frozen: by those of the file')
        .choices(['train', 'frozen'])
        .default('frozen'),
    )
    .option(
      '--normalize <how>',
      `the network takes pixels, and normalizes them as for ${Object.keys(normalizations).join(', ')}, or as in mean=0.5,std=0.5 (of pixels from 0 to 1)`,
      parsedBy(normalization),
    )
    .option('--seed <number>', 'draws the weights of a new head and of adapters (default: 1)', parsedBy(seedNumber))
    .addOption(
      new Option('--part <part>', 'the whole file, or one part as a plain model').choices(parts).default('all'),
    )
  addArtifactsOptions(addFileOptions(program, 'the step')).action(run)
  await runProgram(program, argv)
}

async function run(path: string, options: Options, command: Command): Promise<void> {
  if (options.merge || options.adapter !== undefined) return ofTrained(path, options, command)
  const { shape = [], train, freeze, trainLast, normalize, seed, output } = options
  const { head, classes } = await headFrom(options)
  if (seed !== undefined && head === undefined && options.lora === undefined)
    throw new UserError('--seed draws the weights of a new head or of adapters: add --head or --lora, or leave it out')
  checkArtifactsOptions(options, { '--explain': options.explain !== undefined })
  const lora = adaptersFrom(options)
  const { step, recipe } = await stepFrom(options, fineTuning)
  if (output !== undefined && step.loss)
    throw new UserError(`--output is for cross-entropy: write --loss '${output}=${options.loss}', or leave it out`)
  const { loss = crossEntropy(output === undefined ? {} : { output }), ...rest } = step
  const chosen = { ...rest, loss, classes, batchNorm: options.batchNorm === 'train' ? 'batch' : 'running' } as const
  const { pixels, augment = false } = normalize ?? {}
  const preparation = { train: train?.flat(), freeze: freeze?.flat(), trainLast, head, pixels, lora }

  const given = await readInput(path)
  const file = readNetwork(given, { shapes: Object.fromEntries(shape) })
  const isFixed = shape.some(([, [batch]]) => typeof batch === 'number')
  const network = (isFixed ? undefined : withOpenBatch(file)) ?? file
  if (options.explain) {
    process.stdout.write(described(explained(prepared(network, preparation), chosen)))
    return
  }
  if (options.artifacts !== undefined)
    return writeArtifacts(prepared(network, preparation), options.artifacts, options, { seed: seed ?? 1, ...chosen })
  requireDestination(options)
  const { part, inline = false, opset, portableLevel: level } = options
  const bytes = derive(network, {
    ...chosen,
    ...preparation,
    metadata: metadataOf(given),
    recipe: { ...recipe, augment },
    seed,
    part,
    inline,
    opset,
    level,
  })
  await writeOut(bytes, options)
}

/** How many classes a new head has, and their names where they are known. */
async function headFrom({ head, data }: Options): Promise<{ head?: number; classes?: readonly string[] }> {
  if (head !== undefined && data !== undefined)
    throw new UserError('--head and --data both say what the classes of the new head are: leave one of them out')
  if (typeof head === 'number') return { head }
  const classes = data === undefined ? head : await classesOf(data)
  return classes ? { head: classes.length, classes } : {}
}

async function classesOf(path: string): Promise<readonly string[]> {
  const { columns } = (await readDataset(path)).train
  const named = Object.values(columns).flatMap((column) =>
    column.kind === 'tensor' && column.classes ? [column.classes] : [],
  )
  if (named.length !== 1)
    throw new UserError(
      `${path} has ${named.length === 0 ? 'no column' : `${named.length} columns`} of named classes; say how many classes there are with --head`,
    )
  return named[0]!
}

/** @throws UserError for adapter options without adapters, or beside another choice of what trains */
function adaptersFrom({ lora, loraOn, loraAlpha, trainLast }: Options): AdapterOptions | undefined {
  const given = { '--lora-on': loraOn, '--lora-alpha': loraAlpha }
  const alone = Object.entries(given).find(([, value]) => value !== undefined)
  if (lora === undefined) {
    if (alone) throw new UserError(`${alone[0]} is for adapters: add --lora RANK, or leave it out`)
    return undefined
  }
  if (trainLast !== undefined)
    throw new UserError('--lora trains adapters, and --train-last the last layers: leave one of them out')
  return { rank: lora, on: loraOn?.flat(), alpha: loraAlpha }
}

async function ofTrained(path: string, options: Options, command: Command): Promise<void> {
  const { merge, adapter, opset } = options
  if (merge && adapter !== undefined)
    throw new UserError('--merge puts the adapters into the weights, and --adapter into a file: give one of them')
  checkAlone(merge ? '--merge' : '--adapter', command)
  requireDestination(options)
  const bytes = await readInput(path)
  await writeOut(adapter === undefined ? mergedModel(bytes, opset) : await writeAdapter(bytes, adapter, opset), options)
}

function described({ inputs, outputs, nodes, weights, obstacles, openInputs }: Explanation): string {
  const count = (chosen: Explanation['weights']) => grouped(chosen.reduce((sum, { count }) => sum + count, 0))
  const training = weights.filter(({ trains }) => trains)
  const rows = weights.map(({ name, shape, count, trains }) => [
    name,
    `[${shape.join(', ')}]`,
    grouped(count),
    trains ? 'yes' : 'no',
  ])
  return [
    `takes ${inputs.join(', ')}`,
    `gives ${outputs.join(', ')}`,
    `${nodes} nodes, ${weights.length} weights of ${count(weights)} numbers, of which ${count(training)} train`,
    '',
    table([['weight', 'shape', 'numbers', 'trains'], ...rows]),
    ...(obstacles.length === 0
      ? ['It can be trained.']
      : ['It cannot be trained as it is:', ...obstacles.map((obstacle) => `- ${obstacle}`)]),
    ...(obstacles.length > 0 && openInputs.length > 0
      ? [
          `Sizes that the file leaves open can be said, with numbers for names: --shape '${openInputs.join("' --shape '")}'.`,
        ]
      : []),
    '',
  ].join('\n')
}
