// What the runtimes are given, the parts of networks and a file of images; and what they have to make of it, in float64.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { architectureFrom } from '../dist/graphs/describe.js'
import { randomStream } from '../dist/src/core/random.js'
import {
  constantTensor,
  defaultsOf,
  evaluateGraph,
  exportGraph,
  exportModel,
  graph,
  initialize,
  ortTraining,
  readTrainableModel,
  recipes,
  residualNetwork,
  sgd,
  synthesize,
  tensor,
  trainingStep,
  withDefaults,
} from '../dist/src/index.js'
import { trainedForeign, trainForeign } from './foreign.mjs'

/** A network of ours: itself, its training step, and how a part of its file is written. */
function ours(widths) {
  const network = residualNetwork(architectureFrom({ depth: 8, functions: ['11', '01'], ...widths }).architecture)
  return {
    network,
    step: trainingStep(network, { optimizer: sgd(recipes.paper) }),
    write: (how) => exportModel(network, { recipe: recipes.paper, seed: SEED, ...how }),
  }
}

const runOf = (folder) => join(folder, 'resnet18-run')
const networks = {
  /** Whose numbers are compared: small enough for the reference. */
  tiny: () => ours({ widths: [2, 2, 4] }),
  /** Whose steps are timed: 8 layers, r = 2, widths 16, 32, 64. */
  rdm8: () => ours(),
  /** Not ours, and its numbers are compared. */
  resnet18: (folder) => trainedForeign(runOf(folder)),
}

/** How the training step is written, from what asks most of a runtime to what asks least. */
export const forms = {
  functions: {},
  inline: { inline: true },
  basic: { inline: true, level: 'basic' },
}
/** And for runtimes of one kind. */
const allForms = {
  ...forms,
  'opset 13': { inline: true, opset: 13 },
  'ort-training': { target: ortTraining },
}

const BATCH = 32
const RATE = Math.fround(0.05)
// Where rounding puts an activation of the tiny network on the other side of its ReLU, a gradient moves by some thousandths, which
// says nothing of the runtime; of 1.2 million activations in three steps, one or two are as near to zero as that. So each image stands
// four times in a row, which leaves a quarter of them, and of 2,000 seeds this is the one that keeps them farthest away: each is as
// far from zero as 4.9 times the largest error of such activations in its channel by ONNX Runtime 1.29, and 3.0 times by 1.6.
const SEED = 1773
const IMAGES = 25
const COPIES = 4
export const modelsOf = (folder, network, form) => join(folder, `${network}-${form.replace(' ', '-')}`)
const parts = ['init', 'train', 'infer']
/** The parts of the small networks in all forms that are ONNX's own operators. */
export const standardFiles = (folder) =>
  Object.entries(allForms)
    .filter(([, { target }]) => target === undefined)
    .flatMap(([form]) => ['tiny', 'resnet18'].map((name) => modelsOf(folder, name, form)))
    .flatMap((models) => parts.map((part) => join(models, `${part}.onnx`)))
export const imagesIn = (folder) => join(folder, 'data_batch_1.bin')

/** Writes images and the parts of the networks in all forms into a folder, in place of what is there. */
export async function writeNets(folder, names = Object.keys(networks)) {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(imagesIn(folder), imageRecords())
  if (names.includes('resnet18')) await trainForeign(dataset(), runOf(folder))
  for (const name of names) {
    const { write } = await networks[name](folder)
    for (const [form, { target, ...how }] of Object.entries(allForms)) {
      const models = modelsOf(folder, name, form)
      await mkdir(models, { recursive: true })
      for (const part of parts) {
        const model =
          target && part === 'train' ? stepBy(target, readTrainableModel(write(how))) : write({ ...how, part })
        await writeFile(join(models, `${part}.onnx`), model)
      }
      // The tiny one begins with the same state in every runtime; what is trained already does anyway.
      if (name === 'tiny') await writeFile(join(models, 'init.onnx'), exportGraph(givenState(), new Map(), how.opset))
    }
  }
}

const dataset = () => synthesize({ classes: 10, train: IMAGES, test: 10, seed: SEED })

/** Records of CIFAR-10: a label and the pixels. */
function imageRecords() {
  const { images, labels } = dataset().train
  const size = images.length / IMAGES
  const records = Array.from(labels, (label, i) => Buffer.from([label, ...images.subarray(i * size, (i + 1) * size)]))
  return Buffer.concat(records.flatMap((record) => Array(COPIES).fill(record)))
}

const stepBy = (target, model) => withDefaults(model.step(target), model.signature)

/**
 * A graph that gives the state to begin with. Batch norms and momenta are moved off their neutral first values, where rounding
 * is all that there is to compare.
 */
function givenState() {
  const { step } = networks.tiny()
  const outputs = [...initialize([step.graph], SEED)].map(([name, { dtype, shape, data }]) => {
    const random = randomStream(SEED, 'state', name)
    const moved = data.map((value) => {
      if (name.endsWith('.momentum')) return 0.01 * random.normal()
      if (/\.(scale|running_variance)$/.test(name)) return value * (0.75 + 0.5 * random.uniform())
      return /\.(shift|bias|running_mean)$/.test(name) ? value + 0.1 * random.normal() : value
    })
    return [`${name}.initial`, constantTensor(tensor(dtype, shape, moved.map(Math.fround)))]
  })
  return graph('state', [], new Map(outputs))
}

const rounded = ({ dtype, shape, data }) => tensor(dtype, shape, Float64Array.from(data, Math.fround))
const ending = (suffix, tensors) =>
  [...tensors].flatMap(([name, value]) => (name.endsWith(suffix) ? [[name.slice(0, -suffix.length), value]] : []))

/**
 * What the examples have to print and to write after so many steps of a network with the images in a folder, `tiny` or `resnet18`:
 * losses and right answers of each step, the state after the last, and the probabilities of the first batch by the weights in
 * infer.onnx.
 */
export async function reference(folder, steps, name = 'tiny') {
  const { network, step } = await networks[name](folder)
  const records = await readFile(imagesIn(folder))
  const size = 1 + 3 * 32 * 32
  const batchOf = (index) => {
    const chosen = Array.from({ length: BATCH }, (_, i) => {
      const at = ((index * BATCH + i) % (records.length / size)) * size
      return records.subarray(at, at + size)
    })
    const pixels = Float64Array.from(chosen.flatMap((record) => [...record.subarray(1)]))
    return new Map([
      ['images', tensor('uint8', [BATCH, 3, 32, 32], pixels)],
      [
        'labels',
        tensor(
          'int64',
          [BATCH],
          Float64Array.from(chosen, (record) => record[0]),
        ),
      ],
    ])
  }
  const drawn = (source) => new Map([...initialize([source], SEED)].map(([name, value]) => [name, rounded(value)]))
  let state = name === 'tiny' ? new Map(ending('.initial', evaluateGraph(givenState(), new Map()))) : drawn(step.graph)
  const rate = tensor('float32', [], [RATE])
  const losses = []
  const correct = []
  for (let index = 0; index < steps; index++) {
    const outputs = evaluateGraph(
      step.graph,
      new Map([...defaultsOf(step.signature), ...state, ...batchOf(index), ['learning_rate', rate]]),
    )
    losses.push(outputs.get('loss').data[0])
    correct.push(outputs.get('correct').data[0])
    state = new Map(ending('.next', outputs))
  }
  const probabilities = evaluateGraph(network, new Map([...drawn(network), ...batchOf(0)])).get('probabilities')
  return { losses, correct, state, probabilities }
}
