// rdm-export: writes a network as an ONNX file that trains.

import { Option } from 'commander'
import { AIRBENCH, airbench94, airbenchRecipe, airbenchStep, WHITENING_IMAGES } from '../../graphs/airbench.js'
import { kebab } from '../../graphs/describe.js'
import { residualFrom, writeFile } from '../../graphs/exported.js'
import { pixelStatistics } from '../../graphs/pixels.js'
import { type RecipeName, recipeNames } from '../../graphs/recipes.js'
import { type Architecture, depthOf, residualNetwork, totalBlocks } from '../../graphs/residual.js'
import { zoo } from '../../graphs/zoo.js'
import { UserError } from '../core/errors.js'
import type { Graph } from '../core/graph/graph.js'
import { printGraph } from '../core/graph/print.js'
import { type Init, inits } from '../core/layers/index.js'
import { multiplyAdds, parameterCount } from '../core/model/cost.js'
import { readTrainableModel } from '../core/model/read.js'
import type { Recipe } from '../core/model/recipe.js'
import { type Part, parts, withDefaults } from '../core/model/write.js'
import { OPSET, writableOpsets } from '../core/onnx/opsets.js'
import { levelNames, type PortableLevel } from '../core/targets/portable/basic.js'
import type { StepOptions } from '../core/training/step.js'
import { readDataset } from '../driver/data/readers.js'
import { grouped, rounded, table } from '../driver/format/table.js'
import { writeOutput } from '../driver/output.js'
import { type OwnTargetName, ownTargetNames, targetOf } from '../driver/targets/index.js'
import { type Precision, precisions } from '../driver/targets/target.js'
import { multiplicity } from '../study/paths/multiplicity.js'
import { addNetworkOptions, formatFunctions, type NetworkOptions } from './architecture.js'
import { type ArtifactsOptions, addArtifactsOptions, checkArtifactsOptions, writeArtifacts } from './artifacts.js'
import { createProgram, decimalNumber, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { print } from './output.js'
import { textReporter } from './progress/progress.js'
import { addStepOptions, lossFrom, type StepFlags } from './stepOptions.js'

interface Options extends NetworkOptions, ArtifactsOptions, StepFlags {
  readonly data?: string
  readonly seed: number
  readonly init?: Init
  readonly gates?: true
  readonly recipe?: RecipeName
  readonly part: Part
  readonly inline?: true
  readonly portableLevel?: PortableLevel
  readonly opset?: number
  readonly target: OwnTargetName
  readonly precision?: Precision
  readonly batch?: number
  readonly out?: string
  readonly list?: true
  readonly json?: true
  readonly describe?: true
}

const choice = (flags: string, description: string, values: readonly string[]) =>
  new Option(flags, description).choices(values)

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-export', 'Write a residual network as an ONNX file that trains itself.', [
    'rdm-export --list',
    'rdm-export --arch rdm83 > model.onnx',
    'rdm-export --block bottleneck --depth 83 --r 2 --relu-drop 1 --out model.onnx',
    'rdm-export --functions 111,001 --blocks 9,9,9 --classes 100 > cifar100.onnx',
    'rdm-export --arch rdm56 --part train --inline > step.onnx',
    'rdm-export --arch rdm56 --part train --inline --portable-level basic > step.onnx',
    'rdm-export --arch rdm56 --part train --inline --opset 13 > step.onnx',
    'rdm-export --arch rdm56 --part train --target ort-cpu --batch 128 > step.onnx',
    'rdm-export --arch rdm56 --part train --target ort-cuda --precision fp16 > steps.onnx',
    'rdm-export --arch rdm56 --part train --target ort-webgpu --batch 64 > step.onnx',
    'rdm-export --arch rdm56 --part train --target ort-training > step.onnx',
    'rdm-export --arch rdm56 --gates > model.onnx',
    'rdm-export --arch rdm56 --optimizer adamw --weight-decay 0.05 --lr cosine:max=0.001,warmup=5 > model.onnx',
    "rdm-export --arch rdm56 --label-smoothing 0.1 --clip-norm 1 --ema 0.999 --group '*.shift:decay=0' > model.onnx",
    'rdm-export --arch airbench94 --data cifar-10-batches-bin | rdm-fit - --data cifar-10-batches-bin --out runs/airbench94',
    'rdm-export --depth 8 --functions 11,01 --artifacts artifacts --optimizer adamw',
    'rdm-export --block basic --depth 8 --functions 11,01 --describe',
  ])
  addStepOptions(addArtifactsOptions(addNetworkOptions(program)))
    .option('--data <path>', `with --arch ${AIRBENCH}: the data set that its first convolution is computed from`)
    .option('--image-size <pixels>', 'height and width of the images (default: 32)', parsedBy(wholeNumber(1, 1024)))
    .addOption(
      choice('--activation <order>', 'BN and ReLU before or after the convolution (default: pre)', ['pre', 'post']),
    )
    .addOption(
      choice('--shortcut <kind>', 'where shape changes: 1×1 convolution, or pooling and zeros', [
        'projection',
        'padding',
      ]),
    )
    .option(
      '--stochastic-depth <p>',
      'survival probability of the last block, such as 0.5',
      parsedBy(decimalNumber(1e-6, 1)),
    )
    .addOption(choice('--pixels <set>', 'whose pixel statistics (default: by --classes)', Object.keys(pixelStatistics)))
    .option('--seed <number>', 'draws the weights: the same seed, the same bytes', parsedBy(seedNumber), 1)
    .addOption(
      choice(
        '--init <rule>',
        'convolutions He normal by fan-out, or by fan-in; all uniform in ±1/√fan-in; he-all: the classifier as well ' +
          "(default: the recipe's)",
        inits,
      ),
    )
    .option(
      '--gates',
      'a gate on every residual function: the network takes function_gates, float32 [functions], 1 unless given',
    )
    .addOption(choice('--recipe <name>', 'how to train it (default: that of --arch, else paper)', recipeNames))
    .addOption(choice('--part <part>', 'the whole file, or one part as a plain model', parts).default('all'))
    .addOption(
      choice(
        '--target <name>',
        `with --part train: ${ownTargetNames.map((name) => `${name}, ${targetOf(name).about}`).join('; ')}`,
        ownTargetNames,
      ).default('portable'),
    )
    .addOption(
      choice(
        '--precision <name>',
        'with --target ort-cuda: of convolutions and matrix products (default: fp32)',
        precisions,
      ),
    )
    .option(
      '--batch <images>',
      "with --target ort-cpu or ort-webgpu: images in a batch (default: the recipe's)",
      parsedBy(wholeNumber(1, 65_536)),
    )
    .option('--inline', 'write the bodies of functions in place, for runtimes without local functions')
    .addOption(
      choice(
        '--portable-level <level>',
        'with target portable: basic writes the step in the operators that most runtimes have (default: standard)',
        levelNames,
      ),
    )
    .option(
      '--opset <version>',
      `version of ONNX's operators, ${writableOpsets.from} to ${writableOpsets.to} (default: ${OPSET})`,
      parsedBy(wholeNumber(writableOpsets.from, writableOpsets.to)),
    )
    .option('--out <file>', 'write here instead of standard output')
    .option('--list', 'list the zoo')
    .option('--json', 'with --list: as JSON')
    .option('--describe', 'print the network, node by node with shapes, instead of writing it')
    .action(run)
  await runProgram(program, argv)
}

async function run(options: Options): Promise<void> {
  checkArtifactsOptions(options, {
    '--target': options.target !== 'portable',
    '--list': options.list !== undefined,
    '--describe': options.describe !== undefined,
    '--recipe': options.recipe !== undefined,
    '--gates': options.gates !== undefined,
  })
  if (options.json && !options.list) throw new UserError('--json goes with --list: add it, or leave out --json')
  const printed = options.list ? '--list' : '--describe'
  if (options.out && (options.list || options.describe))
    throw new UserError(`${printed} prints text and --out is for a model: leave one of them out`)
  if (options.list) return void print(options.json ? `${JSON.stringify(listing(), null, 2)}\n` : listTable())
  const { network, architecture, about, ...chosen } = await choose(options)
  if (options.describe) return void print(`${about()}\n${printGraph(network)}`)
  if (options.artifacts !== undefined) {
    const loss = await lossFrom(options)
    return writeArtifacts(network, options.artifacts, options, { seed: options.seed, architecture, loss })
  }
  if (!options.out && process.stdout.isTTY) {
    throw new UserError('an ONNX file is no text for a terminal: redirect it (> model.onnx), or give --out FILE')
  }
  const target = targetOf(options.target)
  const { part } = options
  if (options.gates && (part === 'train' || part === 'init'))
    throw new UserError(`--gates are for the network, and --part ${part} has none in it: leave one of them out`)
  checkTarget(options)
  const isPlain = target.name === 'portable'
  const loss = await lossFrom(options)
  const model = writeFile({ network, architecture, ...chosen }, { ...options, part: isPlain ? part : 'all' }, loss)
  const bytes = isPlain
    ? model
    : await stepFor(target, model, options.batch ?? chosen.recipe.batchSize, options.precision)
  if (options.out) await writeOutput(options.out, bytes)
  else process.stdout.write(bytes)
}

interface Chosen {
  readonly network: Graph
  readonly recipe: Recipe
  readonly step?: StepOptions
  /** What the file says of where the network came from. */
  readonly architecture: unknown
  /** In a line, for people. */
  about(): string
}

async function choose(options: Options): Promise<Chosen> {
  if (options.arch === AIRBENCH) return chooseAirbench(options)
  if (options.data !== undefined)
    throw new UserError(`--data is for --arch ${AIRBENCH}, whose first convolution is computed from it: leave it out`)
  const residual = residualFrom(options)
  return { ...residual, about: () => summary(residual.architecture) }
}

/** What only residual networks have. */
const residualOptions = [
  ...([
    'block',
    'depth',
    'blocks',
    'r',
    'reluDrop',
    'functions',
    'widths',
    'classes',
    'imageSize',
    'activation',
  ] as const),
  ...(['shortcut', 'stochasticDepth', 'pixels', 'init', 'gates', 'recipe'] as const),
] as const

async function chooseAirbench(options: Options): Promise<Chosen> {
  const other = residualOptions.find((key) => options[key] !== undefined)
  if (other) throw new UserError(`--${kebab(other)} is for residual networks, not for ${AIRBENCH}: leave it out`)
  if (options.data === undefined)
    throw new UserError(`the first convolution of ${AIRBENCH} is computed from its training images: give --data`)
  const { images } = (await readDataset(options.data)).train.columns
  if (images?.kind !== 'tensor' || images.dtype !== 'uint8' || images.shape.join() !== '3,32,32')
    throw new UserError(`${AIRBENCH} takes images uint8 [3, 32, 32], which ${options.data} does not have`)
  const count = Math.min(WHITENING_IMAGES, images.data.length / 3072)
  const network = airbench94({ data: images.data as Uint8Array, shape: [count, 3, 32, 32] })
  return {
    network,
    recipe: airbenchRecipe,
    step: airbenchStep,
    architecture: { name: AIRBENCH },
    about: () =>
      `${AIRBENCH}: ${grouped(parameterCount(network))} parameters, ${grouped(multiplyAdds(network))} multiply-adds an image`,
  }
}

/** @throws UserError for options that the target does not have */
function checkTarget({ target: name, part, precision, batch, portableLevel, opset }: Options): void {
  const target = targetOf(name)
  const isPlain = name === 'portable'
  if (!isPlain && part !== 'train')
    throw new UserError(`--target ${name} writes a training step for one runtime alone: add --part train`)
  if (precision !== undefined && target.precisions.length === 1)
    throw new UserError(`--precision ${precision} is for target ort-cuda: add --target ort-cuda, or leave it out`)
  const fixing = ownTargetNames.filter((other) => targetOf(other).fixesBatch).join(' or ')
  if (batch !== undefined && !target.fixesBatch)
    throw new UserError(`the batch size of --target ${name} is symbolic: leave out --batch, or add --target ${fixing}`)
  if (portableLevel !== undefined && !isPlain)
    throw new UserError(
      `--portable-level ${portableLevel} is for target portable: leave out --target ${name}, or the level`,
    )
  if (opset !== undefined && !isPlain)
    throw new UserError(`--opset is for target portable, and ${name} has an opset of its own: leave one of them out`)
}

/** The step as rdm-fit would run it here, as its target writes it. */
async function stepFor(
  target: ReturnType<typeof targetOf>,
  file: Uint8Array,
  batch: number,
  precision: Precision = 'fp32',
): Promise<Uint8Array> {
  const progress = textReporter({ out: process.stderr, err: process.stderr, folder: '' })
  try {
    const model = readTrainableModel(file)
    const planned = await target.write({
      model,
      batch,
      precision,
      onProgress: (done, total) => progress.onEvent({ event: 'tuning', done, total }),
    })
    if (!planned) throw new UserError('stopped')
    return withDefaults(planned, model.signature)
  } finally {
    progress.stop()
  }
}

function describeNetwork(architecture: Architecture, recipe: RecipeName) {
  const network = residualNetwork(architecture)
  const { name, block, functions, stochasticDepth } = architecture
  return {
    name,
    block,
    depth: depthOf(architecture),
    r: functions.length,
    functions,
    parameters: parameterCount(network),
    multiplyAdds: multiplyAdds(network),
    multiplicity: multiplicity(functions.length, totalBlocks(architecture)).toString(),
    stochasticDepth: stochasticDepth ?? null,
    recipe,
  }
}

const listing = () => zoo.map(({ architecture, recipe = 'paper' }) => describeNetwork(architecture, recipe))

const formatMultiplicity = (m: string): string => rounded(BigInt(m), 10)

function listTable(): string {
  const header = ['name', 'block', 'depth', 'r', 'functions', 'parameters', 'multiply-adds', 'multiplicity', 'recipe']
  const rows = listing().map((network) => [
    network.name,
    network.block,
    String(network.depth),
    String(network.r),
    formatFunctions(network.functions),
    grouped(network.parameters),
    grouped(network.multiplyAdds),
    formatMultiplicity(network.multiplicity),
    network.recipe,
  ])
  return table([header, ...rows])
}

function summary(architecture: Architecture): string {
  const { name, block, depth, r, functions, parameters, multiplyAdds, multiplicity } = describeNetwork(
    architecture,
    'paper',
  )
  return (
    `${name}: ${block} blocks, ${depth} layers, r = ${r} (${formatFunctions(functions)}), ${grouped(parameters)} parameters, ` +
    `${grouped(multiplyAdds)} multiply-adds an image, ${formatMultiplicity(multiplicity)} paths`
  )
}
