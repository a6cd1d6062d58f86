// The driver's own share of a training step: `npm run build && node bench/driver.mjs --data data/cifar-10-batches-bin`.
// A run of `fit` says of each step what lies before ONNX Runtime's run, in it and after it. Beside it the same steps are
// taken by ONNX Runtime with nothing around it, in another process, by turns; both must give the same losses.

import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { exportModel, readTrainableModel, residualNetwork } from 'rdm-onnx'
import { Batches } from '../dist/src/driver/data/batches.js'
import { bindColumns } from '../dist/src/driver/data/bind.js'
import { transformsOf } from '../dist/src/driver/data/transforms.js'
import { newConfig } from '../dist/src/driver/fit/config.js'
import { copyTensor } from '../dist/src/driver/runtime/tensor.js'
import {
  countOf,
  dataOf,
  fail,
  median,
  networkOf,
  option,
  printTable,
  quartiles,
  temporaryFolder,
  writeReport,
} from './common.mjs'
import { Contestant } from './contestants.mjs'

const WARM_UP = 2
/** Steps with a checkpoint after each. */
const SAVES = 7
/** Calls of what is timed alone. */
const CALLS = 200
const MUST = 0.03

function readOptions() {
  const { values } = parseArgs({
    options: {
      arch: option('rdm56'),
      /** Blocks of each stage in place of the network's own, such as 1,1,1. */
      blocks: { type: 'string' },
      batch: option(128),
      threads: option(availableParallelism()),
      rounds: option(10),
      /** Steps of a round. */
      steps: option(3),
      /** A folder in CIFAR-10's binary version; synthetic images without. */
      data: { type: 'string' },
    },
  })
  const [batch, threads, rounds, steps] = ['batch', 'threads', 'rounds', 'steps'].map((name) => countOf(values, name))
  return { ...networkOf(values), batch, threads, rounds, steps, dataFolder: values.data }
}

const peer = (name) => new URL(`peers/${name}`, import.meta.url)
const node = (...args) => ({ command: process.execPath, args })
const fitting = (...args) => node('--import', peer('clock.mjs').href, fileURLToPath(peer('fit.mjs')), ...args)

/** Milliseconds of a call. */
async function timeOf(call) {
  const times = []
  for (let i = 0; i < CALLS; i++) {
    const begun = performance.now()
    await call(i)
    times.push(performance.now() - begun)
  }
  return median(times)
}

/** What the driver does for a step, alone and on a machine that does nothing else. */
async function timeParts(model, data, { batch, threads }) {
  const config = newConfig(model.recipe, { batchSize: batch, threads })
  const { train } = data
  const batches = (transforms) =>
    new Batches(train, bindColumns(model.signature, data), { batchSize: batch, seed: config.seed, transforms })
  const timeBatches = (transforms) => {
    const made = batches(transforms)
    const whole = Math.floor(train.count / batch)
    return timeOf((i) => made.batch(0, i % whole))
  }
  const plain = await timeBatches([])
  const tensors = await batches([]).batch(0, 0)
  return {
    gather: plain,
    augment: (await timeBatches(transformsOf(config.augment))) - plain,
    copy: await timeOf(() => Object.values(tensors).map(copyTensor)),
  }
}

/** Steps of all of them by turns. */
async function interleave(contestants, rounds, steps) {
  const all = contestants.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      const turn = (round + i) % contestants.length
      all[turn].push(await contestants[turn].steps(steps))
    }
  }
  return all.map((answers) =>
    Object.fromEntries(Object.keys(answers[0]).map((key) => [key, answers.flatMap((answer) => answer[key])])),
  )
}

async function measure(options) {
  const { architecture, recipe, batch, threads, rounds, steps, dataFolder } = options
  const folder = temporaryFolder()
  const total = WARM_UP + rounds * steps
  const synthetic = { train: batch * (total + 1), test: 10 }
  const data = await dataOf(dataFolder, synthetic)
  const whole = Math.floor(data.train.count / batch)
  if (total >= whole) fail(`${total} steps are more than an epoch of ${whole} whole batches: give fewer --rounds`)
  const bytes = exportModel(residualNetwork(architecture), { recipe, seed: 1, architecture })
  writeFileSync(join(folder, 'model.onnx'), bytes)
  const description = { dataFolder, synthetic, batch, threads, steps: total }
  writeFileSync(join(folder, 'case.json'), JSON.stringify(description))

  const fit = await Contestant.start('fit', fitting(), folder)
  const bare = await Contestant.start('bare', node(fileURLToPath(peer('bare.mjs'))), folder)
  const [first, second] = [await fit.steps(WARM_UP), await bare.steps(WARM_UP)]
  const [own, runtime] = await interleave([fit, bare], rounds, steps)
  for (const contestant of [fit, bare]) contestant.end()
  const different = [first, own]
    .flatMap(({ loss }) => loss)
    .findIndex((loss, i) => loss !== [second, runtime].flatMap(({ loss }) => loss)[i])
  if (different >= 0) fail(`step ${different + 1} of the run and of ONNX Runtime alone have different losses`)

  const saving = await Contestant.start('saving', fitting('--out', 'saving', '--checkpoint-seconds', '0'), folder)
  await saving.steps(WARM_UP)
  const { before } = await saving.steps(SAVES)
  saving.end()
  const model = readTrainableModel(bytes)
  const parts = await timeParts(model, data, options)
  // A checkpoint is written after the step's event, before the next one's run.
  const checkpoint = median(before) - median(own.before)
  return { target: bare.ready.target, own, runtime, parts, checkpoint, recipe: model.recipe }
}

function summarize({ own, runtime, parts, checkpoint, recipe }) {
  const ms = median(own.ms)
  const { checkpointSeconds } = newConfig(recipe)
  const share = (list) => median(list.map((value, i) => value / own.ms[i]))
  const alone = (value) => ({ ms: value, share: value / ms })
  const rows = [
    { what: 'in ONNX Runtime', ms: median(own.inside), share: share(own.inside) },
    { what: 'before: copies, messages, state', ms: median(own.before), share: share(own.before), own: true },
    { what: 'after: messages, bookkeeping', ms: median(own.after), share: share(own.after), own: true },
    { what: 'beside: the next batch, alone', ...alone(parts.gather), own: true },
    { what: 'beside: its crops and flips, alone', ...alone(parts.augment), own: true },
    {
      what: `a checkpoint of ${checkpoint.toFixed(0)} ms each ${checkpointSeconds} s`,
      share: checkpoint / 1000 / checkpointSeconds,
      ms: (checkpoint / 1000 / checkpointSeconds) * ms,
      own: true,
    },
  ]
  const total = rows.filter((row) => row.own).reduce((sum, row) => sum + row.share, 0)
  return {
    step: { median: ms, quartiles: quartiles(own.ms) },
    bare: { median: median(runtime.ms), quartiles: quartiles(runtime.ms) },
    rows,
    share: total,
    againstBare: ms / median(runtime.ms) - 1,
    must: MUST,
    verdict: total < MUST ? 'holds' : 'does not hold',
  }
}

const percent = (share) => `${(100 * share).toFixed(2)} %`

function print(name, { batch, threads }, { target }, { step, bare, rows, share, againstBare, verdict }) {
  const range = (values) => values.map((value) => value.toFixed(0)).join('–')
  console.log(`${name}, batch ${batch}, ${threads} threads, target ${target}`)
  console.log(`a step of the run:     ${step.median.toFixed(1)} ms (${range(step.quartiles)})`)
  console.log(
    `ONNX Runtime alone:    ${bare.median.toFixed(1)} ms (${range(bare.quartiles)}); the run takes ${percent(againstBare)} more\n`,
  )
  printTable(rows.map(({ what, ms, share }) => [what, `${ms.toFixed(2)} ms`, percent(share)]))
  console.log(`\nthe driver's own share: ${percent(share)}, must be under ${percent(MUST)}: ${verdict}`)
}

async function main() {
  const options = readOptions()
  const measured = await measure(options)
  const summary = summarize(measured)
  const { architecture, batch, threads, rounds, steps, dataFolder } = options
  print(architecture.name, options, measured, summary)
  const { target, own, runtime, parts, checkpoint } = measured
  const data = dataFolder === undefined ? 'synthetic' : 'CIFAR'
  const what = { architecture: architecture.name, batch, threads, target, data, rounds, steps }
  writeReport(`driver-${architecture.name}.json`, { ...what, ...summary, parts, checkpoint, own, runtime })
}

main().catch(({ message }) => fail(message))
