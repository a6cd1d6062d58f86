// The training step against its peers: `npm run build && node bench/step.mjs --arch rdm56`, after bench/peers/setup.sh.
// All contestants start from the same weights and train on the same batch; they are timed only if their first losses
// agree. Then each round gives every contestant one step, so that a slow moment of the machine falls on all of them.

import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { synthesize } from 'rdm-onnx'
import { writeCase, writeTensors } from './case.mjs'
import { countOf, fail, median, networkOf, option, quartiles, temporaryFolder, writeReport } from './common.mjs'
import {
  Contestant,
  contestants,
  isInstalled,
  lossDifference,
  oursBy,
  sgemm,
  takeTurns,
  usual,
} from './contestants.mjs'
import { stepFlops } from './flops.mjs'
import { verdicts } from './verdicts.mjs'

/** Steps whose losses must agree before anything is timed; they also warm up. */
const CHECKED = 3
const TOLERANCE = 1e-3
// A tenth of the recipe's first rate, which makes a step no cheaper. At 0.01 rounding grows so fast that the third losses of
// RDM-83 in four float32 implementations lie up to 7e-3 apart, and up to 6e-3 from float64; at 0.001, 1e-4 and 6e-5.
const LEARNING_RATE = 1e-3
const SEED = 1

function readOptions() {
  const { values } = parseArgs({
    options: {
      arch: option('rdm56'),
      /** Blocks of each stage in place of the network's own, such as 1,1,1: a smaller one for a quick look. */
      blocks: { type: 'string' },
      batch: option(128),
      threads: option(availableParallelism()),
      rounds: option(9),
      /** Fresh processes for the time to the first step. */
      starts: option(3),
      contestants: option(usual.join(',')),
    },
  })
  const names = values.contestants.split(',')
  const unknown = names.find((name) => !Object.hasOwn(contestants, name))
  if (unknown !== undefined)
    fail(`no contestant is called '${unknown}'; there are ${Object.keys(contestants).join(', ')}`)
  if (names[0] !== oursBy('portable')) fail(`'${oursBy('portable')}' comes first: the others are checked against it`)
  const missing = names.find((name) => !isInstalled(name))
  if (missing !== undefined) fail(`'${missing}' is not installed: run bench/peers/setup.sh, or leave it out`)
  const { architecture, recipe } = networkOf(values)
  // The peers have none: a step that draws at random does not compare.
  if (architecture.stochasticDepth !== undefined) fail('networks with stochastic depth are not compared')
  const [batch, threads, rounds, starts] = ['batch', 'threads', 'rounds', 'starts'].map((name) => countOf(values, name))
  return { architecture, recipe, batch, threads, rounds, starts, names }
}

/** Writes what every contestant is given, one batch in it; returns the FLOPs of a step. */
function writeStep(folder, { architecture, recipe, batch, threads }) {
  const network = writeCase(folder, { architecture, recipe, learningRate: LEARNING_RATE, batch, threads })
  const { train } = synthesize({ train: batch, test: 10, seed: SEED })
  writeTensors(folder, 'batch.safetensors', {
    images: { dtype: 'uint8', shape: [batch, train.channels, train.height, train.width], data: train.images },
    labels: { dtype: 'int64', shape: [batch], data: BigInt64Array.from(train.labels, BigInt) },
  })
  return stepFlops(network, batch)
}

async function startAll(names, folder) {
  const started = []
  for (const name of names) {
    const contestant = await Contestant.start(name, contestants[name], folder)
    const { loss: losses } = await contestant.steps(CHECKED)
    started.push({ name, contestant, losses, ms: [] })
    const off = lossDifference(losses, started[0].losses)
    console.log(
      `${name.padEnd(20)} losses ${losses.map((loss) => loss.toFixed(6)).join(' ')}, off by ${off.toExponential(1)}`,
    )
    // Written so that NaN fails, too.
    if (!(off <= TOLERANCE))
      fail(`${name} computes another step than ${names[0]}: losses differ by more than ${TOLERANCE}; nothing is timed`)
  }
  return started
}

/** Seconds from the start of a process to the end of its first step; what a target caches is there by now. */
async function firstStep(name, folder) {
  const started = performance.now()
  const contestant = await Contestant.start(name, contestants[name], folder)
  await contestant.steps(1)
  contestant.end()
  return (performance.now() - started) / 1000
}

function nodeStart() {
  const started = performance.now()
  spawnSync(process.execPath, ['-e', '0'])
  return (performance.now() - started) / 1000
}

async function measure(options, folder) {
  const { architecture, names, rounds, starts, batch } = options
  const flops = writeStep(folder, options)
  const gflopAnImage = flops / batch / 1e9
  console.log(
    `${architecture.name}, batch ${batch}, ${options.threads} threads; ${gflopAnImage.toFixed(3)} GFLOP an image`,
  )
  const running = await startAll(names, folder)
  const peak = await Contestant.start('sgemm', sgemm, folder)
  await peak.steps(1)
  const gflops = []
  await takeTurns(running, rounds, async () => gflops.push(...(await peak.steps(1)).loss))
  peak.end()
  const results = running.map(({ name, contestant, losses, ms }) => ({
    name,
    version: contestant.ready.version,
    median: median(ms),
    quartiles: quartiles(ms),
    peakBytes: contestant.peakBytes,
    // What the libraries hold before there is a network; reported where it is not ours to count against.
    libraryBytes: contestant.ready.libraryBytes ?? 0,
    losses,
    difference: lossDifference(losses, running[0].losses),
    ms,
  }))
  for (const { contestant } of running) contestant.end()

  const ours = names.includes(oursBy('ort-cpu')) ? oursBy('ort-cpu') : names[0]
  const seconds = []
  for (let start = 0; start < starts; start++) seconds.push(await firstStep(ours, folder))
  return {
    ours,
    flops,
    sgemm: { peak: Math.max(...gflops), median: median(gflops), gflops },
    firstStep: { median: median(seconds), seconds, node: median(Array.from({ length: starts }, nodeStart)) },
    results,
  }
}

function print({ ours, flops, sgemm, firstStep, results }, table) {
  const own = results.find(({ name }) => name === ours)
  const gib = (bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`
  const whole = (ms) => ms.toFixed(0)
  console.log('\n                        ms a step   quartiles     × ours   GFLOP/s   peak memory')
  for (const { name, median, quartiles, peakBytes, libraryBytes } of results) {
    const cells = [
      name.padEnd(20),
      whole(median).padStart(13),
      `(${quartiles.map(whole).join('–')})`.padStart(14),
      (median / own.median).toFixed(2).padStart(8),
      whole(flops / median / 1e6).padStart(9),
      `   ${gib(peakBytes)}${libraryBytes ? `, ${gib(libraryBytes)} of it before there is a network` : ''}`,
    ]
    console.log(cells.join(' '))
  }
  console.log(`sgemm: at best ${whole(sgemm.peak)} GFLOP/s, median ${whole(sgemm.median)}`)
  console.log(
    `first step: ${firstStep.seconds.map((s) => s.toFixed(1)).join(', ')} s, of it Node ${firstStep.node.toFixed(2)} s`,
  )
  console.log(`\n'${ours}':`)
  for (const { what, got, must, aim, unit, verdict } of table)
    console.log(
      `  ${what.padEnd(52)} ${`${got.toFixed(2)}${unit}`.padStart(9)}   must ${must}${unit}, aim ${aim}${unit}: ${verdict}`,
    )
}

async function main() {
  const options = readOptions()
  const folder = temporaryFolder()
  const measured = await measure(options, folder)
  const table = verdicts(options.architecture.name, measured)
  print(measured, table)

  const { architecture, batch, threads, rounds } = options
  writeReport(`step-${architecture.name}.json`, {
    ...{ architecture: architecture.name, batch, threads, rounds },
    ...measured,
    table,
  })
}

main().catch(({ message }) => fail(message))
