// Target ort-training against portable, in ONNX Runtime's last training builds, with each of their kernels replaced or not:
// `npm run build && node bench/trainingBuilds.mjs`; Python's build after test/support/ortTraining.sh. Each round takes one step
// of every variant, so that a slow moment of the machine falls on all of them. With one thread the processor's time, which other
// programs on the machine disturb less, is a measure too.

import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  cifarArchitecture,
  expandPrimitives,
  exportModel,
  ortTraining,
  portable,
  readTrainableModel,
  recipes,
  residualNetwork,
  synthesize,
} from 'rdm-onnx'
import { apply1 } from '../dist/src/core/graph/value.js'
import { load } from '../dist/src/driver/runtime/ortWeb.js'
import { fuseConvGradients } from '../dist/src/driver/targets/ort-training/convGradients.js'
import {
  countOf,
  countsOf,
  fail,
  feedsOf,
  median,
  option,
  printTable,
  quartiles,
  temporaryFolder,
  writeReport,
} from './common.mjs'

const python = fileURLToPath(new URL('../.venv/ort-training/bin/python', import.meta.url))

/** The build's ReLU gradient, which the target does not take. */
const ReluGrad = {
  name: 'ReluGrad',
  domain: 'com.microsoft',
  since: 1,
  attributes: {},
  arity: [2, 2],
  infer: ([dy]) => [dy],
  gradient: { forbidden: 'differentiate the network' },
  evaluate: () => fail('only a runtime evaluates it'),
  samples: [],
}

const nowhere = () => false
const wide = ({ attributes }) => attributes.kernel_shape.some((size) => size > 1)
/** `portable` with some primitives by kernels; convolutions whose weight gradient `pays` has by ConvGrad. */
const variant = (expansions, pays = nowhere) => ({
  name: 'variant',
  lower: (graph) =>
    expandPrimitives(fuseConvGradients(graph, pays), {
      name: 'variant',
      expansions: { ...portable.expansions, ...expansions },
    }),
})
const taken = (...names) => Object.fromEntries(names.map((name) => [name, ortTraining.expansions[name]]))
const relu = { ReluGrad: ([dy, y]) => [apply1(ReluGrad, [dy, y])] }

/** The first is what the others are compared with. */
const variants = {
  portable,
  'ort-training': ortTraining,
  BatchNormInternal: variant(taken('BatchNormTraining')),
  BatchNormalizationGrad: variant(taken('BatchNormGrad')),
  'SoftmaxCrossEntropyLossInternal, …Grad': variant(taken('SoftmaxCrossEntropy', 'SoftmaxCrossEntropyGrad')),
  'ConvGrad, strides': variant({}, (node) => wide(node) && node.attributes.strides.some((stride) => stride > 1)),
  'ConvGrad, 3×3': variant({}, wide),
  'ConvGrad, all': variant({}, () => true),
  ReluGrad: variant(relu),
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      /** Layers, 6n + 2, of networks with functions 11,01. */
      depth: option(8),
      batch: option(128),
      threads: option([...new Set([1, availableParallelism()])].join()),
      rounds: option(9),
      builds: option('web,python'),
      /** Names of variants, with | between; all unless given. */
      only: { type: 'string' },
    },
  })
  const names = values.only?.split('|') ?? Object.keys(variants)
  const unknown = names.find((name) => !Object.hasOwn(variants, name))
  if (unknown !== undefined) fail(`no variant is called '${unknown}'; there are ${Object.keys(variants).join(' | ')}`)
  const builds = values.builds.split(',')
  if (builds.includes('python') && !existsSync(python))
    fail("Python's build is not installed: run test/support/ortTraining.sh, or give --builds web")
  const [batch, rounds] = ['batch', 'rounds'].map((name) => countOf(values, name))
  return { depths: countsOf(values, 'depth'), batch, threads: countsOf(values, 'threads'), rounds, builds, names }
}

/** A step of every variant, and what it is fed. */
function writeCase(depth, batch, names) {
  const blocks = Array(3).fill((depth - 2) / 6)
  if (!Number.isInteger(blocks[0])) fail(`--depth takes 6n + 2, got ${depth}`)
  const network = residualNetwork({
    ...cifarArchitecture,
    name: `rdm${depth}`,
    block: 'basic',
    blocks,
    functions: ['11', '01'],
  })
  const model = readTrainableModel(exportModel(network, { recipe: recipes.paper, seed: 1 }))
  const { signature, state } = model
  const { train } = synthesize({ train: batch, test: 10, seed: 1 })
  const feeds = {
    ...state,
    ...feedsOf(
      signature,
      {
        images: { dtype: 'uint8', shape: [batch, 3, 32, 32], data: train.images },
        labels: { dtype: 'int64', shape: [batch], data: BigInt64Array.from(train.labels, BigInt) },
      },
      0.01,
    ),
  }
  return { feeds, loss: signature.loss, models: names.map((name) => [name, model.step(variants[name])]) }
}

/** Rounds before the first that counts: WebAssembly is compiled for speed as it runs. */
const WARM_UP = 4

/** Milliseconds of each round and variant, by the clock and of the processor; the losses must agree. */
async function measureWeb({ feeds, loss, models }, threads, rounds) {
  const loaded = []
  for (const [name, bytes] of models) {
    const model = await load(bytes, { threads })
    loaded.push({
      name,
      model,
      fetches: Object.fromEntries(model.outputs.map((output) => [output.name, null])),
      ms: [],
      cpu: [],
    })
  }
  for (let round = -WARM_UP; round < rounds; round++) {
    for (let i = 0; i < loaded.length; i++) {
      const one = loaded[(round + WARM_UP + i) % loaded.length]
      const [begun, used] = [performance.now(), process.cpuUsage()]
      const outputs = await one.model.run(feeds, one.fetches)
      one.loss = outputs[loss].data[0]
      if (round < 0) continue
      one.ms.push(performance.now() - begun)
      const { user, system } = process.cpuUsage(used)
      one.cpu.push((user + system) / 1000)
    }
  }
  for (const { model } of loaded) await model.release()
  return loaded.map(({ name, loss, ms, cpu }) => ({ name, loss, ms, cpu }))
}

function measurePython({ feeds, loss, models }, threads, rounds) {
  const folder = temporaryFolder()
  const file = (name, bytes) => {
    writeFileSync(join(folder, name), bytes)
    return join(folder, name)
  }
  const job = {
    models: models.map(([name, bytes], i) => [name, file(`${i}.onnx`, bytes)]),
    feeds: Object.entries(feeds).map(([name, { dtype, shape, data }], i) => [
      name,
      dtype,
      shape,
      file(`${i}.bin`, data),
    ]),
    ...{ loss, threads, rounds },
  }
  const script = fileURLToPath(new URL('peers/training_builds.py', import.meta.url))
  const { status, stdout, stderr } = spawnSync(python, [script], {
    input: JSON.stringify(job),
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  return status === 0 ? JSON.parse(stdout) : fail(`Python's build: ${stderr}`)
}

const measures = { web: measureWeb, python: measurePython }

/** As a part of this process: the threads of a build are settled by its first session. */
async function measureOne(text) {
  const { build, depth, batch, threads, rounds, names } = JSON.parse(text)
  const results = await measures[build](writeCase(depth, batch, names), threads, rounds)
  const off = Math.max(...results.map((one) => Math.abs(one.loss - results[0].loss) / results[0].loss))
  if (!(off <= 1e-3)) fail(`the losses of ${build} differ by ${off}: ${results.map((one) => one.loss)}`)
  process.stdout.write(JSON.stringify(results))
}

function main() {
  const { depths, batch, threads: counts, rounds, builds, names } = readOptions()
  const figures = []
  for (const depth of depths)
    for (const build of builds)
      for (const threads of counts) {
        const job = JSON.stringify({ build, depth, batch, threads, rounds, names })
        const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--one', job], {
          encoding: 'utf8',
          maxBuffer: 1e8,
        })
        if (status !== 0) fail(stderr)
        const results = JSON.parse(stdout)
        figures.push({ build, depth, batch, threads, results })
        console.log(`\n${build}, rdm${depth}, batch ${batch}, ${threads} threads, ${rounds} rounds`)
        const [first] = results
        printTable([
          ['variant', 'ms', 'quartiles', 'ratio', 'processor ms', 'ratio'],
          ...results.map(({ name, ms, cpu }) => [
            name,
            median(ms).toFixed(0),
            quartiles(ms)
              .map((value) => value.toFixed(0))
              .join('–'),
            (median(ms) / median(first.ms)).toFixed(3),
            median(cpu).toFixed(0),
            (median(cpu) / median(first.cpu)).toFixed(3),
          ]),
        ])
      }
  writeReport('training-builds.json', { rounds, figures })
}

if (process.argv[2] === '--one') await measureOne(process.argv[3])
else main()
