// rdm-export: writes a network as an ONNX file that trains.

import { Option } from 'commander'
import writeFileAtomic from 'write-file-atomic'
import { pixelStatistics } from '../../graphs/pixels.js'
import { type RecipeName, recipeNames, recipes } from '../../graphs/recipes.js'
import { type Architecture, depthOf, residualNetwork, totalBlocks } from '../../graphs/residual.js'
import { zoo } from '../../graphs/zoo.js'
import { UserError } from '../core/errors.js'
import { printGraph } from '../core/graph/print.js'
import type { Init } from '../core/layers/index.js'
import { multiplyAdds, parameterCount } from '../core/model/cost.js'
import { readTrainableModel } from '../core/model/read.js'
import type { Recipe } from '../core/model/recipe.js'
import { exportModel, type Part, parts } from '../core/model/write.js'
import { OPSET, writableOpsets } from '../core/onnx/opsets.js'
import { levelNames, type PortableLevel } from '../core/targets/portable/basic.js'
import { grouped, rounded, table } from '../driver/format/table.js'
import { planStep, type TargetName, targetNames } from '../driver/planning/plan.js'
import { type Precision, precisions } from '../driver/targets/ort-cuda/index.js'
import { trainingSteps } from '../driver/targets/ort-cuda/steps.js'
import { ortTraining } from '../driver/targets/ort-training/index.js'
import { multiplicity } from '../study/paths/multiplicity.js'
import { addNetworkOptions, architectureFrom, formatFunctions, type NetworkOptions } from './architecture.js'
import { type ArtifactsOptions, addArtifactsOptions, checkArtifactsOptions, writeArtifacts } from './artifacts.js'
import { createProgram, decimalNumber, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { textReporter } from './progress/progress.js'

interface Options extends NetworkOptions, ArtifactsOptions {
  readonly seed: number
  readonly init: Init
  readonly gates?: true
  readonly recipe?: RecipeName
  readonly momentum?: number
  readonly weightDecay?: number
  readonly nesterov?: true
  readonly part: Part
  readonly inline?: true
  readonly portableLevel?: PortableLevel
  readonly opset?: number
  readonly target: Exclude<TargetName, 'auto'>
  readonly precision?: Precision
  readonly batch?: number
  readonly recompute: boolean
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
    'rdm-export --arch rdm56 --part train --target ort-training > step.onnx',
    'rdm-export --arch rdm56 --gates > model.onnx',
    'rdm-export --depth 8 --functions 11,01 --artifacts artifacts --optimizer adamw',
    'rdm-export --block basic --depth 8 --functions 11,01 --describe',
  ])
  addArtifactsOptions(addNetworkOptions(program))
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
      choice('--init <rule>', 'He normal by fan-out, or uniform in ±1/√fan-in', ['he', 'uniform']).default('he'),
    )
    .option(
      '--gates',
      'a gate on every residual function: the network takes function_gates, float32 [functions], 1 unless given',
    )
    .addOption(choice('--recipe <name>', 'how to train it (default: that of --arch, else paper)', recipeNames))
    .option('--momentum <factor>', 'momentum of SGD, instead of the recipe’s', parsedBy(decimalNumber(0, 0.999999)))
    .option('--weight-decay <factor>', 'weight decay, instead of the recipe’s', parsedBy(decimalNumber(0, 1)))
    .option('--nesterov', 'Nesterov momentum')
    .addOption(choice('--part <part>', 'the whole file, or one part as a plain model', parts).default('all'))
    .addOption(
      choice(
        '--target <name>',
        'with --part train: the step for any runtime, as rdm-fit runs it on this CPU, many steps a run for a GPU, or the ' +
          "step with the kernels of ONNX Runtime's training builds",
        targetNames.filter((name) => name !== 'auto'),
      ).default('portable'),
    )
    .addOption(choice('--precision <name>', 'with --target ort-cuda: of convolutions (default: fp32)', precisions))
    .option(
      '--batch <images>',
      "with --target ort-cpu: images in a batch (default: the recipe's)",
      parsedBy(wholeNumber(1, 65_536)),
    )
    .option('--inline', 'no local functions: their bodies in place')
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
    .option('--no-recompute', 'keep all activations for the backward pass: twice the memory, a little faster')
    .option('--out <file>', 'write here instead of standard output')
    .option('--list', 'list the zoo')
    .option('--json', 'with --list: as JSON')
    .option('--describe', 'print the network, node by node with shapes, instead of writing it')
    .action(run)
  await runProgram(program, argv)
}

async function run(options: Options): Promise<void> {
  checkArtifactsOptions(options)
  if (options.json && !options.list) throw new UserError('--json goes with --list: add it, or leave out --json')
  const printed = options.list ? '--list' : '--describe'
  if (options.out && (options.list || options.describe))
    throw new UserError(`${printed} prints text and --out is for a model: leave one of them out`)
  if (options.list)
    return void process.stdout.write(options.json ? `${JSON.stringify(listing(), null, 2)}\n` : listTable())
  const chosen = architectureFrom(options)
  const { architecture } = chosen
  const network = residualNetwork(architecture, options.init, options.gates)
  if (options.describe) return void process.stdout.write(`${summary(architecture)}\n${printGraph(network)}`)
  if (options.artifacts !== undefined) return writeArtifacts(network, architecture, options.artifacts, options)
  if (!options.out && process.stdout.isTTY) {
    throw new UserError('an ONNX file is no text for a terminal: redirect it (> model.onnx), or give --out FILE')
  }
  const { target } = options
  if (options.gates && (options.part === 'train' || options.part === 'init'))
    throw new UserError(`--gates are for the network, and --part ${options.part} has none in it: leave one of them out`)
  const forCpu = target === 'ort-cpu'
  const forCuda = target === 'ort-cuda'
  if (target !== 'portable' && options.part !== 'train')
    throw new UserError(`--target ${target} writes a training step for one runtime alone: add --part train`)
  if (options.precision !== undefined && !forCuda)
    throw new UserError(
      `--precision ${options.precision} is for target ort-cuda: add --target ort-cuda, or leave it out`,
    )
  if (options.batch !== undefined && !forCpu)
    throw new UserError(`the batch size of --target ${target} is symbolic: leave out --batch, or add --target ort-cpu`)
  const { portableLevel: level } = options
  if (level !== undefined && target !== 'portable')
    throw new UserError(`--portable-level ${level} is for target portable: leave out --target ${target}, or the level`)
  if (options.opset !== undefined && target !== 'portable')
    throw new UserError(`--opset is for target portable, and ${target} has an opset of its own: leave one of them out`)
  const recipe = recipeFrom(recipes[options.recipe ?? chosen.recipe], options)
  const { seed, recompute, inline = false, opset } = options
  const part = target === 'portable' ? options.part : 'all'
  const model = exportModel(network, {
    recipe,
    seed,
    part,
    inline,
    level,
    recompute,
    architecture,
    opset,
  })
  const lowered = {
    portable: () => model,
    'ort-cpu': () => stepForCpu(model, options.batch ?? recipe.batchSize),
    'ort-cuda': () => stepsForCuda(model, options.precision),
    'ort-training': () => readTrainableModel(model).step(ortTraining),
  }
  const bytes = await lowered[target]()
  if (options.out) await writeFileAtomic(options.out, Buffer.from(bytes))
  else process.stdout.write(bytes)
}

/** The step as rdm-fit would run it here: with the ways to write convolutions that are fastest on this machine. */
async function stepForCpu(file: Uint8Array, batch: number): Promise<Uint8Array> {
  const progress = textReporter({ out: process.stderr, err: process.stderr, folder: '' })
  try {
    const planned = await planStep({
      model: readTrainableModel(file),
      batch,
      wanted: 'ort-cpu',
      onProgress: (done, total) => progress.onEvent({ event: 'tuning', done, total }),
    })
    if (!planned) throw new UserError('stopped')
    return planned.models(batch)
  } finally {
    progress.stop()
  }
}

/** Many steps a run: the data set, its labels and where batches are cut from it are inputs. */
function stepsForCuda(file: Uint8Array, precision: Precision | undefined): Uint8Array {
  const model = readTrainableModel(file)
  const options = precision === undefined ? {} : { precision }
  const { graph, carried } = trainingSteps(model.graph(), model.signature, model.carried, options)
  return model.encode(graph, { carried })
}

const recipeFrom = (recipe: Recipe, { momentum, weightDecay, nesterov }: Options): Recipe => ({
  ...recipe,
  momentum: momentum ?? recipe.momentum,
  weightDecay: weightDecay ?? recipe.weightDecay,
  nesterov: nesterov ?? recipe.nesterov,
})

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
