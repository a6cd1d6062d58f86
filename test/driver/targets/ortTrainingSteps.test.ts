// Whole training steps by the target `ort-training`: in float64 against the reference of the step itself, and three in a row in
// both training builds and in a page.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { ONNX_DOMAIN } from '../../../src/core/graph/operator.js'
import { widen } from '../../../src/core/graph/tensor.js'
import { input, type Value } from '../../../src/core/graph/value.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { batchNormTraining, softmaxCrossEntropy } from '../../../src/core/ops/index.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import type { TrainingStep } from '../../../src/core/training/step.js'
import { ortTraining } from '../../../src/driver/targets/ort-training/index.js'
import { run as runCommand } from '../../cli/support.js'
import { hasBrowser, openPage } from '../../support/browser.js'
import { networkNames, networks } from '../../support/models.js'
import { disturbed, tinyBatch } from '../../support/networks.js'
import { expectClose, modelOf, type Tensors } from '../../support/runtime.js'
import { sgdStep, stateAfter } from '../../support/steps.js'
import { rootFile, trainingBuilds } from '../../support/trainingBuilds.js'

const STEPS = 3
const BATCH = 6

const steps = networkNames.map((name) =>
  sgdStep(networks[name]!(), { momentum: 0.9, weightDecay: 1e-4, nesterov: name === 'RDM basic' }),
)
const batchesOf = ({ graph }: TrainingStep): readonly Tensors[] =>
  Array.from({ length: STEPS }, (_, index) => tinyBatch(graph, 100 + index, { size: BATCH }))
const firstState = ({ graph }: TrainingStep): Tensors => disturbed(graph, 5)

/** Three steps, each from the state that the one before left. */
function reference(step: TrainingStep): readonly Tensors[] {
  let state = firstState(step)
  return batchesOf(step).map((batch) => {
    const outputs = evaluate(step.graph, new Map([...state, ...batch]))
    state = stateAfter(step, outputs)
    return outputs
  })
}
const expected = steps.map(reference)

/** Some momenta have gradients that are nothing but rounding: their floor is a tenth of the largest that there are here. */
const floorOf = (name: string) => (name.endsWith('.momentum.next') ? 0.05 : 1e-3)

it.each(networkNames)('%s: the same step, written otherwise', (name) => {
  const index = networkNames.indexOf(name)
  const step = steps[index]!
  const lowered = ortTraining.lower(step.graph)
  expect(lowered.nodes.filter(isPrimitive)).toEqual([])
  const actual = evaluate(lowered, new Map([...firstState(step), ...batchesOf(step)[0]!]))
  for (const [output, value] of expected[index]![0]!)
    expectClose(actual.get(output)!, value, output, 1e-8, floorOf(output))
})

it('in float64, which the kernels do not take, is the portable step', () => {
  const vectors = ['scale', 'shift', 'mean', 'variance'].map((name) => input(name, 'float64', [3]))
  const [scale, shift, mean, variance] = vectors as [Value, Value, Value, Value]
  const x = input('x', 'float64', [4, 3])
  const labels = input('labels', 'int64', [4])
  const [logits] = batchNormTraining(x, { scale, shift, mean, variance })
  const [loss] = softmaxCrossEntropy(logits!, labels)
  const [dx] = gradients(loss, [x])
  const lowered = ortTraining.lower(graph('wide', [x, labels, ...vectors], { loss, dx: dx! }))
  expect(lowered.nodes.filter(isPrimitive)).toEqual([])
  expect(lowered.nodes.filter(({ operator }) => operator.domain !== ONNX_DOMAIN)).toEqual([])
})

describe.each(Object.entries(trainingBuilds))('%s', (_, run) => {
  it('takes three steps of each network', async () => {
    const actual = await run(
      steps.map((step) => ({
        model: modelOf(ortTraining.lower(step.graph), 'inline'),
        state: firstState(step),
        updates: step.signature.updates,
        batches: batchesOf(step),
      })),
    )
    expected.forEach((runs, at) => {
      runs.forEach((outputs, index) => {
        for (const [output, value] of outputs) {
          const what = `${networkNames[at]}, step ${index + 1}, ${output}`
          expectClose(actual[at]![index]!.get(output)!, value, what, 1e-4, floorOf(output))
        }
      })
      expect(runs[0]!.get('loss')!.data[0]).not.toEqual(runs[2]!.get('loss')!.data[0])
    })
  })
})

it.runIf(hasBrowser)('a page takes three steps of a file that rdm-export writes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-page-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const network = ['--blocks', '1,1', '--widths', '4,6', '--functions', '11,01', '--stochastic-depth', '0.5']
  const file = (name: string, ...argv: string[]) => {
    const path = join(folder, name)
    const exported = runCommand('rdm-export', [...network, '--image-size', '8', ...argv, '--out', path])
    expect(exported).toMatchObject({ code: 0, err: '' })
    return path
  }
  file('step.onnx', '--part', 'train', '--target', 'ort-training')
  const model = readTrainableModel(readFileSync(file('model.onnx')))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Training</title>')
  const step = model.graph()
  const batches = Array.from({ length: STEPS }, (_, index) => tinyBatch(step, 200 + index, { size: BATCH }))
  let state = new Map(Object.entries(model.state).map(([name, value]) => [name, widen(value)]))
  const plain = (tensors: Tensors) =>
    [...tensors].map(([name, { dtype, shape, data }]) => [name, dtype, shape, [...data]])
  // The file says what the optimizer's hyperparameters are, and this build then takes no other value.
  const needed = (batch: Tensors) =>
    new Map([...batch].filter(([name]) => (model.signature.hyperparameters[name] ?? null) === null))
  const job = JSON.stringify({
    state: plain(state),
    batches: batches.map((batch) => plain(needed(batch))),
    carried: model.signature.updates,
  })

  const { page, messages, close } = await openPage(
    'index.html',
    folder,
    rootFile('node_modules/onnxruntime-web-training/dist'),
  )
  onTestFinished(close)
  const results = (await page.evaluate(`(async () => {
    const { env, InferenceSession, Tensor } = await import('/ort.training.wasm.min.mjs')
    env.wasm.numThreads = 2
    const { state, batches, carried } = ${job}
    const arrays = { float32: Float32Array, uint8: Uint8Array, int64: { from: (data) => BigInt64Array.from(data, BigInt) } }
    const feedsOf = (tensors) =>
      Object.fromEntries(tensors.map(([name, dtype, shape, data]) => [name, new Tensor(dtype, arrays[dtype].from(data), shape)]))
    const session = await InferenceSession.create('step.onnx')
    let feeds = feedsOf(state)
    const results = []
    for (const batch of batches) {
      const outputs = await session.run({ ...feeds, ...feedsOf(batch) })
      feeds = Object.fromEntries(Object.entries(carried).map(([output, name]) => [name, outputs[output]]))
      results.push(Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data, Number)])))
    }
    return results
  })()`)) as Record<string, number[]>[]
  for (const [index, batch] of batches.entries()) {
    const outputs = evaluate(step, new Map([...state, ...batch]))
    for (const [output, value] of outputs) {
      const actual = { ...value, data: Float64Array.from(results[index]![output]!) }
      expectClose(actual, value, `step ${index + 1}, ${output}`, 1e-4, floorOf(output))
    }
    state = new Map(Object.entries(model.signature.updates).map(([output, name]) => [name, outputs.get(output)!]))
  }
  // It says so of inputs with a value of their own, once for each.
  const others = messages.filter((message) => !/Initializer \w+ appears in graph inputs/.test(message))
  expect(others).toEqual([])
})
