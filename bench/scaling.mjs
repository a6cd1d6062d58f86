// How a training step grows with the batch, the network and the threads: `npm run build && node bench/scaling.mjs`.
// The networks are RDM-ResNets (basic blocks, functions 11 and 01) with n blocks in each of three stages; n = 9 is
// RDM-56. Each point is a process of its own, so that its peak of memory is its own; each round gives every point one
// step, so that a slow moment of the machine falls on all of them.

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { exportModel, findNetwork, recipes, residualNetwork, synthesize, targetNames } from 'rdm-onnx'
import { encodeSafetensors } from '../dist/src/driver/run/safetensors.js'
import {
  countOf,
  countsOf,
  fail,
  median,
  option,
  printTable,
  quartiles,
  temporaryFolder,
  writeReport,
  writeResult,
} from './common.mjs'
import { Contestant } from './contestants.mjs'
import { scalingSvg } from './scalingChart.mjs'

const STAGES = 3
const WARM_UP = 2
const LEARNING_RATE = 1e-3
const SEED = 1

function readOptions() {
  const { values } = parseArgs({
    options: {
      /** Blocks of each stage; at --batch, and with each of --threads. */
      n: option('1,3,9,18'),
      batch: option(128),
      threads: option([...new Set([1, Math.min(2, availableParallelism())])]),
      /** At --batches-n, and with the most of --threads. */
      batches: option('32,64,128,256,512'),
      'batches-n': option(3),
      rounds: option(9),
      target: option('ort-cpu'),
    },
  })
  const { target } = values
  // ort-training is for another runtime.
  const targets = targetNames.filter((name) => name !== 'auto' && name !== 'ort-training')
  if (!targets.includes(target)) fail(`no target is called '${target}'; there are ${targets.join(', ')}`)
  const [ns, threads, batches] = ['n', 'threads', 'batches'].map((name) => countsOf(values, name))
  const [batch, batchesN, rounds] = ['batch', 'batches-n', 'rounds'].map((name) => countOf(values, name))
  for (const [name, counts] of Object.entries({ n: ns, batches }))
    if (new Set(counts).size < 2) fail(`--${name} takes two numbers or more: a line is drawn through them`)
  return { ns, threads, batches, batch, batchesN, rounds, target }
}

/** Every point once. */
function pointsOf({ ns, threads, batches, batch, batchesN }) {
  const most = Math.max(...threads)
  const all = [
    ...threads.flatMap((t) => ns.map((n) => ({ n, batch, threads: t }))),
    ...batches.map((b) => ({ n: batchesN, batch: b, threads: most })),
  ]
  return [...new Map(all.map((point) => [nameOf(point), point])).values()]
}

const nameOf = ({ n, batch, threads }) => `n = ${n}, batch ${batch}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`

/** Writes what the process of a point is given: the model, and one batch. */
function writePoint(folder, { n, batch, threads }) {
  const architecture = { ...findNetwork('rdm56').architecture, name: `rdm-n${n}`, blocks: Array(STAGES).fill(n) }
  const { train } = synthesize({ train: batch, test: 10, seed: SEED })
  const tensors = {
    images: { dtype: 'uint8', shape: [batch, train.channels, train.height, train.width], data: train.images },
    labels: { dtype: 'int64', shape: [batch], data: BigInt64Array.from(train.labels, BigInt) },
  }
  const files = {
    'model.onnx': exportModel(residualNetwork(architecture), { recipe: recipes.paper, seed: SEED, architecture }),
    'batch.safetensors': encodeSafetensors({ tensors, metadata: {} }),
    'case.json': JSON.stringify({ threads, batch, learningRate: LEARNING_RATE }),
  }
  mkdirSync(folder)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
}

/** a + b·x by least squares of relative errors: a timing is off by a part of itself, not by so many milliseconds. */
function line(points) {
  let [w, wx, wxx, wy, wxy] = [0, 0, 0, 0, 0]
  for (const [x, y] of points) {
    const weight = 1 / y ** 2
    w += weight
    wx += weight * x
    wxx += weight * x * x
    wy += weight * y
    wxy += weight * x * y
  }
  const each = (w * wxy - wx * wy) / (w * wxx - wx * wx)
  const fixed = (wy - each * wx) / w
  return { fixed, each, worst: Math.max(...points.map(([x, y]) => Math.abs((fixed + each * x) / y - 1))) }
}

async function measure({ target, rounds, ...options }) {
  const points = pointsOf(options)
  const folder = temporaryFolder()
  const script = fileURLToPath(new URL('peers/ours.mjs', import.meta.url))
  const command = { command: process.execPath, args: [script, '--target', target] }
  const running = []
  for (const [i, point] of points.entries()) {
    const own = join(folder, String(i))
    writePoint(own, point)
    // Tuning belongs to neither time nor memory: a process before finds the timings that this one reads from the cache.
    const tuning = await Contestant.start(nameOf(point), command, own)
    tuning.end()
    const contestant = await Contestant.start(nameOf(point), command, own)
    await contestant.steps(WARM_UP)
    console.log(`${nameOf(point)}: ready`)
    running.push({ point, contestant, ms: [] })
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < running.length; i++) {
      const { contestant, ms } = running[(round + i) % running.length]
      ms.push(...(await contestant.steps(1)).ms)
    }
  }
  return running.map(({ point, contestant, ms }) => {
    const { peakBytes } = contestant
    contestant.end()
    return { ...point, median: median(ms), quartiles: quartiles(ms), peakBytes, ms }
  })
}

/** What the points say: lines over the images of a batch, and over the blocks for each number of threads. */
function fits({ threads, batch, batchesN }, results) {
  const most = Math.max(...threads)
  const over = (chosen, x, y) => line(chosen.map((result) => [x(result), y(result)]))
  const both = (chosen, x) => ({
    ms: over(chosen, x, (result) => result.median),
    bytes: over(chosen, x, ({ peakBytes }) => peakBytes),
  })
  const batches = results.filter((result) => result.n === batchesN && result.threads === most)
  return {
    images: { n: batchesN, threads: most, ...both(batches, (result) => result.batch) },
    blocks: threads.map((count) => {
      const chosen = results.filter((result) => result.batch === batch && result.threads === count)
      return { batch, threads: count, ...both(chosen, ({ n }) => STAGES * n) }
    }),
  }
}

const mib = (bytes) => bytes / 2 ** 20
const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`

function print(results, { images, blocks }) {
  console.log()
  printTable([
    ['n', 'batch', 'threads', 'ms a step', 'quartiles', 'ms an image', 'peak memory, MiB'],
    ...results.map(({ n, batch, threads, median, quartiles, peakBytes }) => [
      ...[n, batch, threads].map(String),
      median.toFixed(0),
      `(${quartiles.map((ms) => ms.toFixed(0)).join('–')})`,
      (median / batch).toFixed(2),
      mib(peakBytes).toFixed(0),
    ]),
  ])
  const { n, threads, ms, bytes } = images
  console.log(`\nn = ${n}, ${threads} threads, lines through the batches:`)
  console.log(`  ${ms.fixed.toFixed(1)} ms + ${ms.each.toFixed(3)} ms an image, off by ${percent(ms.worst)} at most`)
  console.log(
    `  ${mib(bytes.fixed).toFixed(0)} MiB + ${mib(bytes.each).toFixed(2)} MiB an image, off by ${percent(bytes.worst)} at most`,
  )
  console.log(`batch ${blocks[0].batch}, lines through n, by threads:`)
  for (const { batch, threads, ms, bytes } of blocks) {
    const [fixed, each] = [ms.fixed, ms.each].map((value) => (1000 * value) / batch)
    console.log(
      `  ${threads}: ${fixed.toFixed(0)} µs an image + ${each.toFixed(1)} µs an image and block, off by ${percent(ms.worst)} at most; ` +
        `${mib(bytes.fixed).toFixed(0)} MiB + ${mib(bytes.each).toFixed(1)} MiB a block`,
    )
  }
}

async function main() {
  const options = readOptions()
  const results = await measure(options)
  const fitted = fits(options, results)
  print(results, fitted)
  const { rounds, target } = options
  writeReport('scaling.json', { target, rounds, stages: STAGES, fits: fitted, results })
  writeResult('scaling.svg', scalingSvg({ stages: STAGES, results, fits: fitted }))
}

main().catch(({ message }) => fail(message))
