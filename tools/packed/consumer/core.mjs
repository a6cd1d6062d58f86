// A network described, differentiated and written as files: what needs no runtime.
import { writeFileSync } from 'node:fs'
import { adam, exportModel, graph, input, linear, meanSquaredError, recipeSchema, tanh } from 'rdm-onnx/core'

const x = input('x', 'float32', ['batch', 2])
const network = graph('sum', [x], { y: linear(tanh(linear(x, 'hidden', 8)), 'out', 1) })
const recipe = recipeSchema.parse({ epochs: 1, batchSize: 16, learningRate: [[0, 0.01]], augment: false })
for (const part of ['init', 'train', 'infer', 'all']) {
  const options = { recipe, seed: 1, part, loss: meanSquaredError(), optimizer: adam() }
  writeFileSync(`${part}.onnx`, exportModel(network, options))
}
console.log('core: wrote a training step')
