// Training steps of networks that others wrote, against PyTorch's own: `npm run build && node bench/networks.mjs`, after
// bench/peers/setup.sh. PyTorch exports each network with random weights; rdm-derive's library makes a step of the file; all train
// from the same weights on the same batch by SGD with momentum, and are timed, in turns, where their first losses agree.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { derive, fineTuning, readNetwork } from 'rdm-onnx'
import { countOf, fail, median, option, printTable, quartiles, short, temporaryFolder, writeReport } from './common.mjs'
import { Contestant, exporter, lossDifference, networkContestants, oursBy, takeTurns } from './contestants.mjs'

/** Steps whose losses must agree before anything is timed; they also warm up. */
const CHECKED = 3
const TOLERANCE = 1e-3
const LEARNING_RATE = 1e-3

/** `frozen`: batch norms keep the statistics of the file; else they take those of the batch. */
const networks = {
  resnet18: { images: true },
  'resnet18, frozen statistics': { network: 'resnet18', images: true, frozen: true },
  mobilenet_v3_small: { images: true },
  'mobilenet_v3_small, frozen statistics': { network: 'mobilenet_v3_small', images: true, frozen: true },
  vit_tiny: { images: true },
  bert: {},
  lstm_tagger: {},
}

function chosen(text, table, what) {
  const names = text === '' ? Object.keys(table) : text.split(';').map((name) => name.trim())
  const unknown = names.find((name) => !Object.hasOwn(table, name))
  return unknown === undefined
    ? names
    : fail(`no ${what} is called '${unknown}'; there are ${Object.keys(table).join('; ')}`)
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      /** Some of them, with semicolons between; all unless given. */
      networks: option(''),
      contestants: option(''),
      batch: option(32),
      threads: option(availableParallelism()),
      rounds: option(15),
      /** The file in bench/results. */
      out: option('networks.json'),
    },
  })
  const subjects = chosen(values.networks, networks, 'network')
  const names = chosen(values.contestants, networkContestants, 'contestant')
  const missing = [exporter, ...names.map((name) => networkContestants[name])].find(
    ({ command }) => !existsSync(command),
  )
  if (missing) fail('PyTorch or onnxsim is not installed: run bench/peers/setup.sh, or leave it out')
  const [batch, threads, rounds] = ['batch', 'threads', 'rounds'].map((name) => countOf(values, name))
  return { subjects, names, batch, threads, rounds, out: values.out }
}

/** What every contestant is given: the file that PyTorch wrote, the batch, and the model file that we derive. */
function writeCase(folder, subject, { batch, threads }) {
  const { network = subject, frozen = false } = networks[subject]
  mkdirSync(folder)
  const { command, args } = exporter
  const exported = spawnSync(command, [...args, network, folder, '--batch', String(batch)], { encoding: 'utf8' })
  if (exported.status !== 0) throw new Error(`PyTorch does not export ${network}: ${exported.stderr.slice(-500)}`)
  const settings = { network, frozen, batch, threads, learningRate: LEARNING_RATE }
  writeFileSync(join(folder, 'case.json'), JSON.stringify(settings))
  const model = derive(readNetwork(readFileSync(join(folder, 'network.onnx'))), {
    recipe: { ...fineTuning, batchSize: batch },
    batchNorm: frozen ? 'running' : 'batch',
  })
  writeFileSync(join(folder, 'model.onnx'), model)
}

/** Starts a contestant and checks its losses. @returns what it is, `failed` where it takes no part */
async function start(name, folder, expected) {
  let contestant
  try {
    contestant = await Contestant.start(name, networkContestants[name], folder)
    const { loss: losses } = await contestant.steps(CHECKED)
    const off = expected ? lossDifference(losses, expected) : 0
    console.log(
      `  ${name.padEnd(20)} losses ${losses.map((loss) => loss.toFixed(6)).join(' ')}, off by ${off.toExponential(1)}`,
    )
    // Written so that NaN fails, too.
    if (!(off <= TOLERANCE)) throw new Error(`it computes another step: its losses are off by ${off.toExponential(1)}`)
    return { name, contestant, losses, difference: off, ms: [] }
  } catch ({ message }) {
    contestant?.end()
    const failed = short(message.trim().split('\n').at(-1))
    console.log(`  ${name.padEnd(20)} ${failed}`)
    return { name, failed }
  }
}

async function measure(subject, folder, options) {
  console.log(subject)
  writeCase(folder, subject, options)
  const { images = false } = networks[subject]
  const started = []
  for (const name of options.names) {
    // Only images have channels to put last.
    if (name === 'torch channels_last' && !images) continue
    started.push(await start(name, folder, started.find(({ losses }) => losses)?.losses))
  }
  const running = started.filter(({ contestant }) => contestant)
  await takeTurns(running, options.rounds)
  return started.map(({ contestant, ...row }) => {
    if (!contestant) return row
    const { version, libraryBytes = 0 } = contestant.ready
    const { peakBytes } = contestant
    contestant.end()
    return { ...row, version, median: median(row.ms), quartiles: quartiles(row.ms), peakBytes, libraryBytes }
  })
}

/** Of ours to the fastest of the others: as many times as fast. */
function ratioOf(results, others) {
  const fastest = (names) =>
    Math.min(...results.flatMap(({ name, median }) => (median !== undefined && names(name) ? [median] : [])))
  const ratio = fastest((name) => name.startsWith(others)) / fastest((name) => name.startsWith('ours'))
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)} ×` : ''
}

function print(measured, names) {
  const cell = ({ median, quartiles: [low, high] = [], failed } = { failed: '' }) =>
    failed === undefined ? `${median.toFixed(0)} (${low.toFixed(0)}–${high.toFixed(0)})` : failed && '–'
  const rows = measured.map(({ subject, results }) => [
    subject,
    ...names.map((name) => cell(results.find((row) => row.name === name))),
    ratioOf(results, 'torch'),
    ratioOf(results, 'onnxsim'),
  ])
  printTable([['ms a step (quartiles)', ...names, 'to PyTorch', 'to onnxsim'], ...rows])
}

async function main() {
  const { out, ...options } = readOptions()
  if (options.names[0] !== oursBy('portable'))
    fail(`'${oursBy('portable')}' comes first: the others are checked against it`)
  const folder = temporaryFolder()
  const { batch, threads, rounds } = options
  const measured = []
  for (const [i, subject] of options.subjects.entries()) {
    measured.push({ subject, results: await measure(subject, join(folder, String(i)), options) })
    // Each time: the whole takes a quarter of an hour.
    writeReport(out, { batch, threads, rounds, learningRate: LEARNING_RATE, networks: measured })
  }
  print(measured, options.names)
}

main().catch(({ message }) => fail(message))
