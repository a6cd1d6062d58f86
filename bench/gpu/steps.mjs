// Times of a training step on the GPU, ours against PyTorch's, of one network. Contestants are started one after the other,
// because cuDNN times its algorithms then; they are timed by turns of some seconds, and only if their first losses agree.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { readDataset } from 'rdm-onnx'
import { paperAugmentation } from '../../dist/src/core/model/recipe.js'
import { Batches } from '../../dist/src/driver/data/batches.js'
import { writeCase, writeTensors } from '../case.mjs'
import { median, quartiles, short } from '../common.mjs'
import { stepFlops } from '../flops.mjs'
import { CHECKED, contestants, warmCompiler } from './contestants.mjs'
import { Monitor } from './monitor.mjs'
import { stepNodes } from './nodes.mjs'
import { LEARNING_RATE, network, threadsOf } from './settings.mjs'

/** Relative difference of losses: of TF32 as of half precision, which have the same bits of fraction. */
const TOLERANCE = 2e-2
const ROUNDS = 3
const TURN_SECONDS = { full: 2.5, small: 0.5 }
/** Milliseconds in which a contestant may be ready: with less left no other one is started. */
const SHORTEST_START = 5000

/** The batches that rdm-fit takes first. */
async function firstBatches(data, batchSize) {
  const { train } = await readDataset(data)
  const bindings = ['images', 'labels'].map((name) => ({
    input: { name, dtype: name === 'images' ? 'uint8' : 'int64', shape: ['batch', ...train.columns[name].shape] },
    column: name,
  }))
  const batches = new Batches(train, bindings, { batchSize, seed: 1, transforms: paperAugmentation })
  return { tensors: await batches.stack(0, 0, CHECKED), first: await batches.batch(0, 0) }
}

/** Largest relative difference; NaN where one is not a number. */
const apart = (losses, expected) => Math.max(...losses.map((loss, i) => Math.abs(loss / expected[i] - 1)))

/** Waits for the promise as long as it may take; throws when that is over. */
async function within(ms, promise) {
  const over = new AbortController()
  const late = setTimeout(ms, undefined, { signal: over.signal }).then(
    () => Promise.reject(new Error(`not ready within ${Math.round(ms / 1000)} s`)),
    () => {},
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    over.abort()
  }
}

async function startAll(report, entries, turnSeconds, timeLeft) {
  const running = []
  let expected
  for (const { name, precision, make, warmUp } of entries) {
    const row = { name, precision, ms: [], turns: [] }
    report.results.push(row)
    // Two rounds must fit behind it.
    const limit = timeLeft() - 2 * 1500 * turnSeconds * (running.length + 1)
    if (limit < SHORTEST_START) {
      row.verdict = 'not started: no time left'
      continue
    }
    const contestant = make()
    try {
      const begun = performance.now()
      const { losses, version, device } = await within(limit, contestant.start(warmUp))
      contestant.pause()
      expected ??= losses
      const difference = apart(losses, expected)
      Object.assign(row, { version, device, losses, difference, startSeconds: (performance.now() - begun) / 1000 })
      if (!(difference <= TOLERANCE)) throw new Error(`its losses ${losses.join(', ')} are not ${expected.join(', ')}`)
      running.push({ row, contestant })
    } catch ({ message }) {
      contestant.end()
      row.verdict = `failed: ${message}`
    }
    console.log(`  ${name}: ${row.verdict ?? `ready in ${row.startSeconds.toFixed(0)} s`}`)
  }
  return running
}

/** Gives every contestant a turn; one that fails is out. */
async function round(running, turnSeconds, first) {
  for (let i = 0; i < running.length; i++) {
    const { row, contestant } = running[(first + i) % running.length]
    if (row.verdict !== undefined) continue
    const begin = performance.now()
    contestant.goOn()
    try {
      const turn = await contestant.turn(turnSeconds)
      row.ms.push(...turn.ms)
      row.turns.push({ ...turn, span: [begin, performance.now()] })
      contestant.pause()
    } catch ({ message }) {
      contestant.end()
      row.verdict = `failed: ${message}`
    }
  }
}

function summarize(row, monitor) {
  const { turns } = row
  delete row.turns
  if (row.ms.length === 0) return
  const total = (key) => turns.reduce((sum, turn) => sum + turn[key], 0)
  row.median = median(row.ms)
  row.quartiles = quartiles(row.ms)
  row.imagesPerSecond = (1000 * total('images')) / total('wallMs')
  row.stepsPerRun = turns[0].stepsPerRun
  row.gpu = monitor.over(turns.map(({ span }) => span))
  row.verdict ??= 'timed'
}

/** Kernels of PyTorch's steps, by its profiler: the time outside them is what remains of an undisturbed step. */
async function profile(running) {
  for (const { row, contestant } of running) {
    if (!contestant.profile || row.median === undefined) continue
    contestant.goOn()
    const { kernelMs, kernels } = await contestant.profile().catch(() => ({}))
    contestant.pause()
    if (kernelMs !== undefined) Object.assign(row, { kernelMs, kernels, outsideKernels: 1 - kernelMs / row.median })
  }
}

const cases = new Map()

/** The folder that the contestants of a network are given, written once; its architecture and the FLOPs of a step. */
function caseOf(arch, settings) {
  const write = async () => {
    const { architecture, recipe } = network(arch, settings)
    const { data, batch, scratch } = settings
    const folder = join(scratch, `steps-${arch}`)
    mkdirSync(folder)
    const threads = threadsOf(settings)
    const graph = writeCase(folder, { architecture, recipe, learningRate: LEARNING_RATE, batch, threads })
    const { tensors, first } = await firstBatches(data, batch)
    writeTensors(folder, 'batches.safetensors', tensors)
    writeTensors(folder, 'batch.safetensors', first)
    return { folder, architecture, flops: stepFlops(graph, batch) }
  }
  if (!cases.has(arch)) cases.set(arch, write())
  return cases.get(arch)
}

/** Beside what is not timed: has PyTorch compile the network, which takes a minute or more the first time. */
export async function prepareSteps(arch, processes, settings) {
  const { folder } = await caseOf(arch, settings)
  await warmCompiler(processes, settings, folder)
}

export async function stepTimes(arch, report, processes, settings, timeLeft) {
  const { folder, architecture, flops } = await caseOf(arch, settings)
  const { data, batch } = settings
  Object.assign(report, { architecture: architecture.name, batch, flops, tolerance: TOLERANCE, results: [] })
  report.nodes = await stepNodes(processes, settings, architecture)

  const monitor = new Monitor(processes)
  const turnSeconds = settings.small ? TURN_SECONDS.small : TURN_SECONDS.full
  const running = await startAll(report, contestants(processes, settings, { folder, data }), turnSeconds, timeLeft)
  // Each round begins with another one, so that none always follows the same.
  for (let i = 0, taken = 0; i < ROUNDS && timeLeft() > 1.2 * taken; i++) {
    const begun = performance.now()
    await round(running, turnSeconds, i)
    taken = performance.now() - begun
  }
  for (const row of report.results) summarize(row, monitor)
  await profile(running)
  for (const row of report.results) {
    if (row.median !== undefined) row.teraflops = flops / row.median / 1e9
  }
}

const percent = (share) => (share === undefined ? '' : `${(100 * share).toFixed(0)} %`)
const fixed = (value, digits) => (value === undefined ? '' : value.toFixed(digits))

/** Ratios are of the time of PyTorch's eager float32 step; in the last row, how many nodes our step is written in. */
export function stepsTable({ results, nodes }) {
  const eager = results.find(({ name }) => name === 'torch eager fp32')?.median
  return [
    ['', 'ms a step', 'quartiles', 'eager ÷ it', 'images/s', 'GPU busy', 'outside kernels', 'kernels', 'TFLOP/s', ''],
    ...results.map((row) => [
      row.name,
      fixed(row.median, 2),
      row.quartiles?.map((value) => value.toFixed(2)).join('–') ?? '',
      row.median && eager ? `${(eager / row.median).toFixed(2)} ×` : '',
      fixed(row.imagesPerSecond, 0),
      percent(row.gpu && row.gpu.utilization / 100),
      percent(row.outsideKernels),
      fixed(row.kernels, 0),
      fixed(row.teraflops, 2),
      short(row.verdict ?? 'not finished'),
    ]),
    ...Object.entries(nodes).map(([precision, { total, failed }]) => [
      ...[`ours ${precision}, nodes as written`, '', '', '', '', '', '', String(total ?? ''), '', short(failed ?? '')],
    ]),
  ]
}
