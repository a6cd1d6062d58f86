// npm start: the whole way at a small size. Draws a data set, exports a small RDM-ResNet, trains it, and says what it wrote.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { base } from '../../graphs/entry.js'
import { recipes } from '../../graphs/recipes.js'
import { residualNetwork } from '../../graphs/residual.js'
import { readTrainableModel } from '../core/model/read.js'
import { exportModel } from '../core/model/write.js'
import { synthesize } from '../driver/data/synth.js'
import { writeCifar10 } from '../driver/data/writeCifar.js'
import { fit } from '../driver/fit/fit.js'
import { makeFolder } from '../driver/folders.js'
import { writeOutput } from '../driver/output.js'
import { createProgram, runProgram } from './command.js'
import { print } from './output.js'
import { textReporter } from './progress/progress.js'

const architecture = {
  ...base,
  name: 'rdm8',
  block: 'basic' as const,
  blocks: [1, 1, 1],
  functions: ['11', '01'],
  widths: [8, 16, 32],
}

/** Short, and with a last epoch at a small rate, which is what brings the error down. */
const config = {
  epochs: 5,
  batchSize: 50,
  learningRate: [
    [0, 0.02],
    [1, 0.1],
    [4, 0.01],
  ] as [number, number][],
}

/** `runs/start`, or `runs/start-2` and so on where that is taken: nothing that is there is touched. */
function freeFolder(): string {
  let folder = join('runs', 'start')
  for (let count = 2; existsSync(folder); count++) folder = join('runs', `start-${count}`)
  return folder
}

async function start(): Promise<void> {
  const folder = freeFolder()
  const [dataFolder, modelFile, runFolder] = [join(folder, 'data'), join(folder, 'rdm8.onnx'), join(folder, 'fit')]
  await makeFolder(folder)
  const data = synthesize({ train: 4000, test: 1000, seed: 1 })
  await writeCifar10(dataFolder, data)
  const bytes = exportModel(residualNetwork(architecture), { recipe: recipes.paper, seed: 1, architecture })
  await writeOutput(modelFile, bytes)
  print(
    `Training RDM-ResNet-8 (two residual functions a block, the second without its first ReLU) on ${data.train.count} ` +
      `synthetic images of ${data.train.classes.length} classes.\n` +
      `Chance is 90 % error. ${config.epochs} epochs take about a minute on two cores.\n\n`,
  )
  const reporter = textReporter({ out: process.stdout, err: process.stderr, folder: runFolder })
  try {
    await fit({
      model: readTrainableModel(bytes, modelFile),
      data,
      dataPath: dataFolder,
      out: runFolder,
      config,
      onEvent: reporter.onEvent,
    })
  } finally {
    reporter.stop()
  }
  print(
    `
Written:
  ${modelFile.padEnd(30)} the network and its training step, before training
  ${join(runFolder, 'model.onnx').padEnd(30)} the same with trained weights: any ONNX runtime predicts with it
  ${join(runFolder, 'curves.svg').padEnd(30)} error by epoch
  ${dataFolder.padEnd(30)} the images, in CIFAR-10's binary format

Next:
  npx rdm-eval ${join(runFolder, 'model.onnx')} --data ${dataFolder}
  npx rdm-export --list
  npx rdm-data fetch cifar10
  npx rdm-export --arch rdm56 > rdm56.onnx && npx rdm-fit rdm56.onnx --data data/cifar-10-batches-bin --out runs/rdm56
`,
  )
}

await runProgram(
  createProgram('npm start', 'The whole way at a small size.', ['npm start']).action(start),
  process.argv.slice(2),
)
