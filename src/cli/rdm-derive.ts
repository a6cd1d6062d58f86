// rdm-derive: from a network of an ONNX file to a file that trains it.

import { Option } from 'commander'
import writeFileAtomic from 'write-file-atomic'
import { z } from 'zod'
import { pixelStatistics } from '../../graphs/pixels.js'
import { withOpenBatch } from '../core/derive/batch.js'
import { derive, fineTuning, prepared } from '../core/derive/derive.js'
import { type Explanation, explained } from '../core/derive/explain.js'
import { imagenetPixels, type PixelStatistics } from '../core/derive/pixels.js'
import { UserError } from '../core/errors.js'
import type { Graph } from '../core/graph/graph.js'
import type { Dim } from '../core/graph/shape.js'
import { lossFor } from '../core/losses/combined.js'
import { crossEntropy } from '../core/losses/crossEntropy.js'
import { photoAugmentation, type Recipe } from '../core/model/recipe.js'
import { type Part, parts } from '../core/model/write.js'
import { type NetworkOptions, readNetwork } from '../core/onnx/network.js'
import { OPSET, writableOpsets } from '../core/onnx/opsets.js'
import { ModelError } from '../core/onnx/refusals.js'
import { levelNames, type PortableLevel } from '../core/targets/portable/basic.js'
import { grouped, table } from '../driver/format/table.js'
import { collectedBy, createProgram, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { readInput } from './input.js'
import { addStepOptions, type StepFlags, stepFrom } from './stepOptions.js'

interface Options extends StepFlags {
  readonly explain?: true
  readonly train?: readonly (readonly string[])[]
  readonly freeze?: readonly (readonly string[])[]
  readonly trainLast?: number
  readonly head?: number
  readonly output?: string
  readonly batchNorm: 'train' | 'frozen'
  readonly normalize?: string
  readonly shape?: readonly (readonly [string, readonly Dim[]])[]
  readonly value?: readonly (readonly [string, number])[]
  readonly seed?: number
  readonly part: Part
  readonly inline?: true
  readonly portableLevel?: PortableLevel
  readonly opset?: number
  readonly out?: string
}

/** What images of a data set are normalized by, and how they are augmented. */
const normalizations: Readonly<Record<string, { readonly pixels: PixelStatistics } & Pick<Recipe, 'augment'>>> = {
  imagenet: { pixels: imagenetPixels, augment: [...photoAugmentation] },
  cifar10: { pixels: pixelStatistics.cifar10, augment: true },
  cifar100: { pixels: pixelStatistics.cifar100, augment: true },
}

/** Text like `fc.*,layer4.*`. */
const patterns = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

/** Text like `image=batch,3,224,224`. */
const namedShape: z.ZodType<readonly [string, readonly Dim[]], string> = z.string().transform((text, context) => {
  const [, name, sizes] = /^(.+)=([^=]+)$/.exec(text) ?? []
  const dims = sizes?.split(',').map((size) => size.trim())
  if (name !== undefined && dims?.every((size) => /^([1-9]\d*|[A-Za-z_]\w*)$/.test(size)))
    return [name, dims.map((size) => (/^\d/.test(size) ? Number(size) : size))] as const
  context.addIssue(`"${text}" is no shape of an input: write NAME=SIZE,SIZE,…, as in image=batch,3,224,224`)
  return z.NEVER
})

/** Text like `rate=16000`; names of inputs may have any sign in them. */
const namedValue: z.ZodType<readonly [string, number], string> = z.string().transform((text, context) => {
  const [, name, value] = /^(.+)=\s*(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i.exec(text) ?? []
  if (name !== undefined && value !== undefined) return [name, Number(value)] as const
  context.addIssue(`"${text}" gives an input no value: write NAME=NUMBER, as in rate=16000`)
  return z.NEVER
})

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-derive', 'Write a file that trains a network of another file.', [
    'rdm-derive resnet18.onnx --explain',
    "rdm-derive resnet18.onnx --head 5 --train 'fc.*' --normalize imagenet > pets.onnx",
    'rdm-derive resnet18.onnx --train-last 3 --shape image=batch,3,224,224 > tuned.onnx',
    'rdm-derive mlp.onnx --loss mse --optimizer adamw > fit.onnx',
    'rdm-derive gpt2.onnx --loss cross-entropy:axis=-1 > next-token.onnx',
  ])
  addStepOptions(program)
    .argument('<model>', 'the ONNX file; - for standard input')
    .option('--explain', 'say what it is, what trains, and what stands in the way, instead of writing it')
    .option(
      '--train <patterns>',
      "names of the weights that train, such as 'fc.*,layer4.*' (default: all)",
      collectedBy(patterns),
    )
    .option('--freeze <patterns>', 'names of weights that do not', collectedBy(patterns))
    .option('--train-last <layers>', 'only so many layers at the end train', parsedBy(wholeNumber(1, 100_000)))
    .option('--head <classes>', 'a fresh last layer for so many classes', parsedBy(wholeNumber(1, 1_000_000)))
    .option(
      '--output <name>',
      'what the loss is for: an output (default: logits, or the only one of floats), or a value that a node makes, at which ' +
        'the network then ends',
    )
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
    .option(
      '--shape <name=sizes>',
      'sizes that the file leaves open, such as image=batch,3,224,224; repeatable',
      collectedBy(namedShape),
    )
    .option(
      '--value <name=number>',
      'an input of which every number is always this one, such as rate=16000; repeatable',
      collectedBy(namedValue),
    )
    .option('--seed <number>', 'draws the weights of a new head (default: 1)', parsedBy(seedNumber))
    .addOption(
      new Option('--part <part>', 'the whole file, or one part as a plain model').choices(parts).default('all'),
    )
    .option('--inline', 'no local functions: their bodies in place')
    .addOption(new Option('--portable-level <level>', 'which operators the step is written in').choices(levelNames))
    .option(
      '--opset <version>',
      `version of ONNX's operators, ${writableOpsets.from} to ${writableOpsets.to} (default: ${OPSET})`,
      parsedBy(wholeNumber(writableOpsets.from, writableOpsets.to)),
    )
    .option('--out <file>', 'write here instead of standard output')
    .action(run)
  await runProgram(program, argv)
}

interface ReadFile {
  readonly file: Graph
  /** Operators behind the value that the network ends at. */
  readonly leftOut: readonly string[]
}

/** The network of a file; where it has no such output, or others than that cannot be read, it ends at the value of that name. */
function readUpTo(bytes: Uint8Array, output: string | undefined, options: NetworkOptions): ReadFile {
  try {
    const file = readNetwork(bytes, options)
    if (output === undefined || file.outputs.has(output)) return { file, leftOut: [] }
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    if (output === undefined)
      throw new UserError(`${error.message}; --output NAME ends the network at a value before it`)
  }
  let leftOut: readonly string[] = []
  const file = readNetwork(bytes, {
    ...options,
    outputs: [output],
    leftOut(operators) {
      leftOut = operators
    },
  })
  return { file, leftOut }
}

async function run(path: string, options: Options): Promise<void> {
  const { shape = [], value = [], train, freeze, trainLast, head, normalize, seed, output, out } = options
  if (seed !== undefined && head === undefined)
    throw new UserError('--seed draws the weights of a new head: add --head, or leave it out')
  const { step, recipe } = await stepFrom(options, fineTuning)
  const { loss: chosenLoss = crossEntropy(), ...rest } = step
  const loss = output === undefined ? chosenLoss : lossFor(output, chosenLoss)
  const chosen = { ...rest, loss, batchNorm: options.batchNorm === 'train' ? 'batch' : 'running' } as const
  const { pixels, augment = false } = normalize === undefined ? {} : normalizations[normalize]!
  const preparation = { train: train?.flat(), freeze: freeze?.flat(), trainLast, head, pixels }

  const { file, leftOut } = readUpTo(await readInput(path), output, {
    shapes: Object.fromEntries(shape),
    fills: Object.fromEntries(value),
  })
  const isFixed = shape.some(([, [batch]]) => typeof batch === 'number')
  const network = (isFixed ? undefined : withOpenBatch(file)) ?? file
  if (options.explain) {
    const hasWeights = network.parameters.some(({ origin }) => origin.trainable)
    process.stdout.write(described(explained(hasWeights ? prepared(network, preparation) : network, chosen), leftOut))
    return
  }
  if (!out && process.stdout.isTTY)
    throw new UserError('an ONNX file is no text for a terminal: redirect it (> model.onnx), or give --out FILE')
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
  if (out) await writeFileAtomic(out, Buffer.from(bytes))
  else process.stdout.write(bytes)
}

function described(explanation: Explanation, leftOut: readonly string[]): string {
  const { inputs, outputs, compared, nodes, weights, obstacles, hasOpenSizes } = explanation
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
    ...(leftOut.length === 0 ? [] : [`what follows is left out: ${leftOut.join(', ')}`]),
    ...(compared.length === 0 ? [] : [`its loss compares ${compared.join(' and ')}`]),
    `${nodes} nodes, ${weights.length} weights of ${count(weights)} numbers, of which ${count(training)} train`,
    ...(weights.length === 0 ? [] : ['', table([['weight', 'shape', 'numbers', 'trains'], ...rows])]),
    ...(obstacles.length === 0
      ? ['It can be trained.']
      : ['It cannot be trained as it is:', ...obstacles.map((obstacle) => `- ${obstacle}`)]),
    ...(hasOpenSizes && obstacles.some((obstacle) => /needs known|known before/.test(obstacle))
      ? ['Sizes that the file leaves open can be said, as in --shape image=batch,3,224,224.']
      : []),
    '',
  ].join('\n')
}
