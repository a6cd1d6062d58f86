// The training step in ONNX Runtime and nothing around it: the model, the options of the session and the batches of the
// run that fit.mjs makes, all of it made before a step is timed. `node bare.mjs --case FOLDER`

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { planStep, readTrainableModel } from 'rdm-onnx'
import { zeros } from '../../dist/src/core/graph/tensor.js'
import { openBatches } from '../../dist/src/driver/data/batchSource.js'
import { bindColumns } from '../../dist/src/driver/data/bind.js'
import { transformsOf } from '../../dist/src/driver/data/transforms.js'
import { newConfig } from '../../dist/src/driver/fit/config.js'
import { Feeds } from '../../dist/src/driver/fit/feeds.js'
import { hyperparametersOf } from '../../dist/src/driver/fit/hyperparameters.js'
import { createSession, toOrt } from '../../dist/src/driver/runtime/ort.js'
import { dataOf } from '../common.mjs'
import { readCase, serve } from './protocol.mjs'

const { values } = parseArgs({ options: { case: { type: 'string' } } })
const { dataFolder, synthetic, batch, threads, steps } = readCase(values.case)
const data = await dataOf(dataFolder, synthetic)
const model = readTrainableModel(readFileSync(join(values.case, 'model.onnx')))
const { state } = model
const config = newConfig(model.recipe, { batchSize: batch, threads })
const { plan, models, optimize, signature } = await planStep({ model, batch, threads, wanted: config.target })
const carried = signature.updates
const session = await createSession(models(batch), { threads, optimize })

const mapValues = (record, change) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
const { seed, dropLast, augment } = config
const transforms = transformsOf(augment)
const source = await openBatches(data.train, bindColumns(signature, data), {
  ...{ batchSize: batch, dropLast, seed, transforms },
})
const hyperparameters = hyperparametersOf(signature, config)
const feeds = new Feeds({ signature, source, hyperparameters, seed, totalSteps: config.epochs * source.stepsPerEpoch })
const waiting = []
for (let step = 0; step < steps; step++) waiting.push(mapValues((await feeds.of(0, step)).tensors, toOrt))
await source.close()
// Two sets of the state: a step reads one and writes the other.
let current = mapValues(state, toOrt)
let next = mapValues(state, ({ dtype, shape }) => toOrt(zeros(dtype, shape)))
const visible = session.outputNames.filter((name) => carried[name] === undefined)

async function step() {
  const fetches = {
    ...Object.fromEntries(visible.map((name) => [name, null])),
    ...mapValues(carried, (name) => next[name]),
  }
  const results = await session.run({ ...current, ...waiting.shift() }, fetches)
  ;[current, next] = [next, current]
  return results[signature.loss].data[0]
}

await serve(step, { target: plan.target })
