// rdm-derive: from a network of an ONNX file to a file that trains it.

import { Option } from 'commander'
import { pixelStatistics } from '../../graphs/pixels.js'
import { withOpenBatch } from '../core/derive/batch.js'
import { derive, fineTuning, prepared } from '../core/derive/derive.js'
import { type Explanation, explained } from '../core/derive/explain.js'
import { imagenetPixels, type PixelStatistics } from '../core/derive/pixels.js'
import { UserError } from '../core/errors.js'
import { crossEntropy } from '../core/losses/crossEntropy.js'
import { photoAugmentation, type Recipe } from '../core/model/recipe.js'
import { type Part, parts } from '../core/model/write.js'
import { readNetwork } from '../core/onnx/network.js'
import { grouped, table } from '../driver/format/table.js'
import { collectedBy, createProgram, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { addFileOptions, type FileFlags, nameList, requireDestination, writeOut } from './fileOptions.js'
import { readInput } from './input.js'
import { addStepOptions, type StepFlags, stepFrom } from './stepOptions.js'

interface Options extends StepFlags, FileFlags {
  readonly explain?: true
  readonly train?: readonly (readonly string[])[]
  readonly freeze?: readonly (readonly string[])[]
  readonly trainLast?: number
  readonly head?: number
  readonly output?: string
  readonly batchNorm: 'train' | 'frozen'
  readonly normalize?: string
  readonly seed?: number
  readonly part: Part
}

/** What images of a data set are normalized by, and how they are augmented. */
const normalizations: Readonly<Record<string, { readonly pixels: PixelStatistics } & Pick<Recipe, 'augment'>>> = {
  imagenet: { pixels: imagenetPixels, augment: [...photoAugmentation] },
  cifar10: { pixels: pixelStatistics.cifar10, augment: true },
  cifar100: { pixels: pixelStatistics.cifar100, augment: true },
}

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-derive', 'Write a file that trains a network of another file.', [
    'rdm-derive resnet18.onnx --explain',
    "rdm-derive resnet18.onnx --head 5 --train 'fc.*' --normalize imagenet > pets.onnx",
    'rdm-derive resnet18.onnx --train-last 3 --shape image=batch,3,224,224 > tuned.onnx',
    'rdm-derive mlp.onnx --loss mse --optimizer adamw > fit.onnx',
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
    .option('--head <classes>', 'a fresh last layer for so many classes', parsedBy(wholeNumber(1, 1_000_000)))
    .option('--output <name>', 'the output that the loss is for (default: logits, or the only one of floats)')
    .addOption(
      new Option('--batch-norm <how>', 'train: by the statistics of the batch; frozen: by those of the file')
        .choices(['train', 'frozen'])
        .default('frozen'),
    )
    .addOption(
      new Option('--normalize <set>', 'the network takes pixels, and normalizes them as for this data set').choices(
        Object.keys(normalizations),
      ),
    )
    .option('--seed <number>', 'draws the weights of a new head (default: 1)', parsedBy(seedNumber))
    .addOption(
      new Option('--part <part>', 'the whole file, or one part as a plain model').choices(parts).default('all'),
    )
  addFileOptions(program, 'the step').action(run)
  await runProgram(program, argv)
}

async function run(path: string, options: Options): Promise<void> {
  const { shape = [], train, freeze, trainLast, head, normalize, seed, output } = options
  if (seed !== undefined && head === undefined)
    throw new UserError('--seed draws the weights of a new head: add --head, or leave it out')
  const { step, recipe } = await stepFrom(options, fineTuning)
  if (output !== undefined && step.loss)
    throw new UserError(`--output is for cross-entropy: write --loss '${output}=${options.loss}', or leave it out`)
  const { loss = crossEntropy(output === undefined ? {} : { output }), ...rest } = step
  const chosen = { ...rest, loss, batchNorm: options.batchNorm === 'train' ? 'batch' : 'running' } as const
  const { pixels, augment = false } = normalize === undefined ? {} : normalizations[normalize]!
  const preparation = { train: train?.flat(), freeze: freeze?.flat(), trainLast, head, pixels }

  const file = readNetwork(await readInput(path), { shapes: Object.fromEntries(shape) })
  const isFixed = shape.some(([, [batch]]) => typeof batch === 'number')
  const network = (isFixed ? undefined : withOpenBatch(file)) ?? file
  if (options.explain) {
    process.stdout.write(described(explained(prepared(network, preparation), chosen)))
    return
  }
  requireDestination(options)
  const { part, inline = false, opset, portableLevel: level } = options
  const bytes = derive(network, {
    ...chosen,
    ...preparation,
    recipe: { ...recipe, augment },
    seed,
    part,
    inline,
    opset,
    level,
  })
  await writeOut(bytes, options)
}

function described({ inputs, outputs, nodes, weights, obstacles, hasOpenSizes }: Explanation): string {
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
    ...(obstacles.length > 0 && hasOpenSizes
      ? ['Sizes that the file leaves open can be said, as in --shape image=batch,3,224,224.']
      : []),
    '',
  ].join('\n')
}
