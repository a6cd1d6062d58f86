// What evaluation between epochs costs: `npm run build && node bench/evaluation.mjs --data data/cifar-10-batches-bin`.
// As rdm-fit does it, against a plain session of `rdm-export --part infer` over the same images in batches of the same
// size, by turns; both from the creation of the session to its release.

import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import ort from 'onnxruntime-node'
import { classifierOf, evaluate, exportModel, openSession, readTrainableModel, residualNetwork } from 'rdm-onnx'
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

/** That of src/driver/evaluation. */
const BATCH = 200
const MUST = 1.2

function readOptions() {
  const { values } = parseArgs({
    options: {
      arch: option('rdm56'),
      /** Blocks of each stage in place of the network's own, such as 1,1,1. */
      blocks: { type: 'string' },
      threads: option(availableParallelism()),
      rounds: option(5),
      /** How many of the test images. */
      images: option(10_000),
      /** A folder in CIFAR-10's binary version; synthetic images without. */
      data: { type: 'string' },
    },
  })
  const [threads, rounds, images] = ['threads', 'rounds', 'images'].map((name) => countOf(values, name))
  return { ...networkOf(values), threads, rounds, images, dataFolder: values.data }
}

/** The evaluation between epochs. */
async function evaluateOurs({ model, test, threads }) {
  const session = await openSession(model.inference(model.state), { threads })
  const { wrong } = await evaluate(session, classifierOf(session, test), test)
  await session.close()
  return wrong
}

/** A plain session on the main thread, as anyone would write it. */
async function evaluatePlain({ file, test, threads }) {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: threads })
  const { channels, height, width, count, labels, images } = test
  const size = channels * height * width
  let wrong = 0
  for (let first = 0; first < count; first += BATCH) {
    const end = Math.min(first + BATCH, count)
    const pixels = images.subarray(first * size, end * size)
    const shape = [end - first, channels, height, width]
    const { logits } = await session.run({ images: new ort.Tensor('uint8', pixels, shape) })
    const classes = logits.dims[1]
    for (let i = first; i < end; i++) {
      const row = logits.data.subarray((i - first) * classes, (i - first + 1) * classes)
      if (row.indexOf(Math.max(...row)) !== labels[i]) wrong += 1
    }
  }
  await session.release()
  return wrong
}

async function measure({ architecture, recipe, threads, rounds, images, dataFolder }) {
  const network = residualNetwork(architecture)
  const file = join(temporaryFolder(), 'infer.onnx')
  writeFileSync(file, exportModel(network, { recipe, seed: 1, part: 'infer' }))
  const model = readTrainableModel(exportModel(network, { recipe, seed: 1, architecture }))
  const { test: all } = await dataOf(dataFolder, { train: 10, test: images })
  if (all.count < images) fail(`there are ${all.count} test images, not ${images}`)
  const test = { ...all, count: images }
  const ways = [
    { name: 'as rdm-fit does it', evaluate: () => evaluateOurs({ model, test, threads }), ms: [], wrong: [] },
    { name: 'a plain session', evaluate: () => evaluatePlain({ file, test, threads }), ms: [], wrong: [] },
  ]
  for (let round = 0; round < rounds; round++) {
    // Each goes first in every second round.
    for (const way of round % 2 === 0 ? ways : [...ways].reverse()) {
      const begun = performance.now()
      way.wrong.push(await way.evaluate())
      way.ms.push(performance.now() - begun)
    }
  }
  const counts = new Set(ways.flatMap(({ wrong }) => wrong))
  if (counts.size > 1) fail(`the two do not agree on how many images are classified wrong: ${[...counts].join(', ')}`)
  return ways.map(({ name, ms }) => ({ name, median: median(ms), quartiles: quartiles(ms), ms }))
}

async function main() {
  const options = readOptions()
  const { architecture, threads, rounds, images, dataFolder } = options
  const results = await measure(options)
  const [ours, plain] = results
  const ratios = ours.ms.map((ms, round) => ms / plain.ms[round])
  const ratio = ours.median / plain.median
  const verdict = ratio <= MUST ? 'holds' : 'does not hold'

  console.log(`${architecture.name}, ${images} images in batches of ${BATCH}, ${threads} threads\n`)
  const seconds = (ms) => (ms / 1000).toFixed(2)
  printTable([
    ['', 'seconds', 'quartiles', 'µs an image'],
    ...results.map(({ name, median, quartiles }) => [
      name,
      seconds(median),
      `(${quartiles.map(seconds).join('–')})`,
      ((1000 * median) / images).toFixed(0),
    ]),
  ])
  const spread = [Math.min(...ratios), Math.max(...ratios)].map((value) => value.toFixed(2)).join('–')
  console.log(`\nratio ${ratio.toFixed(3)} (by rounds ${spread}), must be at most ${MUST}: ${verdict}`)
  const data = dataFolder === undefined ? 'synthetic' : 'CIFAR'
  const what = { architecture: architecture.name, threads, data, images, batch: BATCH, rounds }
  writeReport(`evaluation-${architecture.name}.json`, { ...what, ratio, ratios, must: MUST, verdict, results })
}

main().catch(({ message }) => fail(message))
