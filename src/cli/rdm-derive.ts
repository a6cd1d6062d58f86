// rdm-derive: from a network of an ONNX file to a file that trains it.

import { type Command, Option } from 'commander'
import { type Normalization, normalization, normalizations } from '../../graphs/normalization.js'
import { withOpenBatch } from '../core/derive/batch.js'
import { derive, fineTuning, prepared } from '../core/derive/derive.js'
import { explained } from '../core/derive/explain.js'
import { mergedModel } from '../core/derive/merged.js'
import { type ReadFile, readUpTo } from '../core/derive/source.js'
import { UserError } from '../core/errors.js'
import { lossFor } from '../core/losses/combined.js'
import { crossEntropy } from '../core/losses/crossEntropy.js'
import { metadataOf } from '../core/model/metadata.js'
import { type Part, parts } from '../core/model/write.js'
import type { NetworkOptions } from '../core/onnx/network.js'
import { ModelError } from '../core/onnx/refusals.js'
import { type ArtifactsOptions, addArtifactsOptions, checkArtifactsOptions, writeArtifacts } from './artifacts.js'
import { collectedBy, createProgram, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { type AdapterFlags, adaptersFrom, addAdapterOptions } from './derive/adapters.js'
import { described } from './derive/explanation.js'
import { type HeadFlags, headClasses, headFrom } from './derive/head.js'
import { checkAlone, writeAdapter } from './derive/trained.js'
import { addFileOptions, type FileFlags, nameList, readingOf, requireDestination, writeOut } from './fileOptions.js'
import { readInput } from './input.js'
import { print } from './output.js'
import { addStepOptions, type StepFlags, stepFrom } from './stepOptions.js'

interface Options extends StepFlags, FileFlags, ArtifactsOptions, HeadFlags, AdapterFlags {
  readonly explain?: true
  readonly train?: readonly (readonly string[])[]
  readonly freeze?: readonly (readonly string[])[]
  readonly trainLast?: number
  readonly output?: string
  readonly batchNorm: 'train' | 'frozen'
  readonly normalize?: Normalization
  readonly seed?: number
  readonly part: Part
}

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-derive', 'Write an ONNX file that trains the network of another ONNX file.', [
    'rdm-derive resnet18.onnx --explain',
    "rdm-derive resnet18.onnx --head 5 --train 'fc.*' --normalize imagenet > pets.onnx",
    'rdm-derive resnet18.onnx --train-last 3 --shape image=batch,3,224,224 > tuned.onnx',
    'rdm-derive mlp.onnx --loss mse --optimizer adamw > fit.onnx',
    "rdm-derive bert.onnx --lora 8 --lora-on '*.query,*.value' > lora.onnx",
    'rdm-derive --merge runs/lora/model.onnx > merged.onnx',
    'rdm-derive gpt2.onnx --optimizer adamw > next-token.onnx',
  ])
  addStepOptions(program)
    .argument('<model>', 'the ONNX file; - for standard input')
    .option('--explain', 'say what it is, what trains, and what stands in the way, instead of writing it')
    .option(
      '--train <patterns>',
      "names of the weights that train, such as 'fc.*,layer4.*' (default: all)",
      collectedBy(nameList),
    )
    .option('--freeze <patterns>', 'names of the weights that do not train', collectedBy(nameList))
    .option('--train-last <layers>', 'only so many layers at the end train', parsedBy(wholeNumber(1, 100_000)))
    .option(
      '--head <classes>',
      'a fresh last layer for so many classes, or for those of these names: cat,dog,bird',
      parsedBy(headClasses),
    )
    .option('--data <path>', 'a fresh last layer for the classes of this data set')
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
    .option(
      '--normalize <how>',
      `the network takes pixels, and normalizes them: ${Object.keys(normalizations).join(', ')} (0 to 255 as they are), or a mean and a deviation of pixels from 0 to 1, as in mean=0.5,std=0.5`,
      parsedBy(normalization),
    )
    .option('--seed <number>', 'draws the weights of a new head and of adapters (default: 1)', parsedBy(seedNumber))
    .addOption(
      new Option('--part <part>', 'the whole file, or one part as a plain model').choices(parts).default('all'),
    )
  addArtifactsOptions(addFileOptions(addAdapterOptions(program), 'the step')).action(run)
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
  const { loss: given = crossEntropy(), ...rest } = step
  const loss = output === undefined ? given : lossFor(output, given)
  const chosen = { ...rest, loss, classes, batchNorm: options.batchNorm === 'train' ? 'batch' : 'running' } as const
  const { pixels, augment = false } = normalize ?? {}
  const preparation = { train: train?.flat(), freeze: freeze?.flat(), trainLast, head, pixels, lora }

  const bytes = await readInput(path)
  const { file, leftOut } = readFor(bytes, output, readingOf(options))
  const isFixed = shape.some(([, [batch]]) => typeof batch === 'number')
  const network = (isFixed ? undefined : withOpenBatch(file)) ?? file
  if (options.explain) {
    const hasWeights = network.parameters.some(({ origin }) => origin.trainable)
    print(described(explained(hasWeights ? prepared(network, preparation) : network, chosen), leftOut))
    return
  }
  if (options.artifacts !== undefined)
    return writeArtifacts(prepared(network, preparation), options.artifacts, options, { seed: seed ?? 1, ...chosen })
  requireDestination(options)
  const { part, inline = false, opset, portableLevel: level } = options
  const written = derive(network, {
    ...chosen,
    ...preparation,
    metadata: metadataOf(bytes),
    recipe: { ...recipe, augment },
    seed,
    part,
    inline,
    opset,
    level,
  })
  await writeOut(written, options)
}

/** Says what to do about a file that cannot be read to its end. */
function readFor(bytes: Uint8Array, output: string | undefined, options: NetworkOptions): ReadFile {
  try {
    return readUpTo(bytes, output, options)
  } catch (error) {
    if (!(error instanceof ModelError) || output !== undefined) throw error
    throw new UserError(`${error.message}; --output NAME ends the network at a value before it`)
  }
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
