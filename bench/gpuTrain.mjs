// A slice of a long training run: starts the run in a folder or goes on with it, and stops it in time with a checkpoint.
// bench/gpu-train.sh starts it and says how it is used.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findNetwork, readDataset } from 'rdm-onnx'
import { keys } from '../dist/src/core/model/metadata.js'
import { decodeModel } from '../dist/src/core/onnx/tensors.js'
import { runFiles } from '../dist/src/driver/run/runFolder.js'
import { fail, temporaryFolder } from './common.mjs'
import { Events, ours, Processes } from './gpu/processes.mjs'
import { findData } from './gpu/settings.mjs'

const DEFAULT_NETWORK = 'rdm83'
/** What goes from machine to machine. */
const MOST_BYTES = 60e6
/** Before the end of the time: for the steps in progress and a checkpoint. */
const STOPPING_SECONDS = 20
const { env } = process

function readArguments() {
  const [folder, seconds, network, ...more] = process.argv.slice(2)
  if (folder === undefined || seconds === undefined || more.length > 0)
    fail('usage: gpu-train.sh STATE_FOLDER SECONDS [network or model file]')
  if (!/^\d{1,6}$/.test(seconds) || Number(seconds) < 5)
    fail(`the time is a whole number of seconds from 5, not '${seconds}'`)
  const data = findData()
  if (data === undefined) fail('there is no CIFAR-10: DATA names the folder of its binary version')
  return { folder, seconds: Number(seconds), network, data }
}

/** The name that the network of a run has, undefined where its file says none. */
function networkOfRun(folder) {
  const { metadataProps } = decodeModel(readFileSync(join(folder, runFiles.initial)))
  const architecture = metadataProps.find(({ key }) => key === keys.architecture)?.value
  return architecture === undefined ? undefined : JSON.parse(architecture).name
}

const isFile = (network) => network?.endsWith('.onnx') ?? false

/** The options that go on with the run; of the surroundings only how far it goes can be another than at its start. */
function resuming({ folder, network, data }) {
  const is = networkOfRun(folder)
  if (network !== undefined && !isFile(network) && is !== undefined && is !== network)
    fail(`the run in ${folder} trains ${is}, not ${network}: choose another folder for a new run`)
  // A model that is named must be the one that the run began with; rdm-fit looks at that.
  const options = ['--resume', '--out', folder, '--data', data]
  return [...(isFile(network) ? [network] : []), ...options, ...(env.EPOCHS ? ['--epochs', env.EPOCHS] : [])]
}

/** The options that begin it, the model exported if need be. */
async function beginning({ folder, network = DEFAULT_NETWORK, data }, processes) {
  let model = network
  if (!isFile(network)) {
    if (!findNetwork(network)) fail(`no network is called '${network}'; rdm-export --list names them`)
    model = join(temporaryFolder(), 'model.onnx')
    await processes.run(ours('rdm-export', ['--arch', network, '--seed', env.SEED || 1, '--out', model]))
  }
  const { EP = 'cuda', TARGET = 'ort-cuda', PRECISION = 'fp32', SEED = '1' } = env
  const given = { '--epochs': env.EPOCHS, '--batch': env.BATCH, '--lr': env.LR, '--steps-per-run': env.STEPS_PER_RUN }
  const optional = Object.entries(given).flatMap(([option, value]) => (value ? [option, value] : []))
  const target = TARGET === 'ort-cuda' ? ['--target', TARGET, '--precision', PRECISION] : ['--target', TARGET]
  const threads = ['--threads', env.THREADS || availableParallelism()]
  return [model, '--data', data, '--out', folder, '--ep', EP, ...target, '--seed', SEED, ...threads, ...optional]
}

const percent = (fraction) => `${(100 * fraction).toFixed(2)} %`

function duration(seconds) {
  const minutes = Math.round(seconds / 60)
  if (seconds < 100) return `${Math.round(seconds)} s`
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** What a slice has seen of the run. */
class Slice {
  /** Steps done in all, and when the first of this slice and the last so far came. */
  step = 0
  #first
  #last
  ended

  add(event) {
    const { at, ...rest } = event
    if (rest.event === 'end') this.ended = rest
    if (rest.step !== undefined) this.step = rest.step
    if (rest.event === 'step' || rest.event === 'epoch') {
      this.#first ??= { step: rest.step, at }
      this.#last = { step: rest.step, at }
    }
  }

  /** Seconds a step with all that lies between, evaluation too; undefined after fewer than two steps. */
  get secondsPerStep() {
    const steps = this.#last ? this.#last.step - this.#first.step : 0
    return steps > 0 ? (this.#last.at - this.#first.at) / 1000 / steps : undefined
  }
}

/** The epochs that the folder tells of. */
function completeEpochs(folder) {
  const path = join(folder, runFiles.metrics)
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

async function summary({ folder, data }, slice) {
  const history = completeEpochs(folder)
  const error = history.at(-1)?.testError
  if (slice.ended?.reason === 'finished') {
    console.log(`finished: test error ${percent(slice.ended.testError)} after ${history.length} epochs`)
    return
  }
  const { config } = JSON.parse(readFileSync(join(folder, runFiles.config), 'utf8'))
  const { train } = await readDataset(data)
  const all = config.epochs * Math.ceil(train.count / config.batchSize)
  const step = slice.ended?.step ?? slice.step
  const left = slice.secondsPerStep === undefined ? undefined : (all - step) * slice.secondsPerStep
  console.log(
    [
      `step ${step} of ${all}, ${history.length} of ${config.epochs} epochs`,
      error === undefined ? 'no test error yet' : `test error ${percent(error)}`,
      left === undefined ? 'too little done to say what remains' : `about ${duration(left)} of such training remain`,
    ].join('; '),
  )
}

/** What the folder holds. The trained model is there only of a finished run: a later epoch writes it again. */
function tidy(folder, finished) {
  if (!finished) rmSync(join(folder, runFiles.model), { force: true })
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  const verdict = bytes <= MOST_BYTES ? 'within' : 'MORE THAN'
  console.log(`${folder} holds ${(bytes / 1e6).toFixed(1)} MB, ${verdict} ${MOST_BYTES / 1e6} MB`)
}

async function main() {
  const begun = performance.now()
  const options = readArguments()
  const { folder, seconds } = options
  mkdirSync(folder, { recursive: true })
  const processes = new Processes()
  const goesOn = existsSync(join(folder, runFiles.config))
  const fit = goesOn ? resuming(options) : await beginning(options, processes)
  // In a process group of its own: Ctrl-C would reach it twice, and the second signal ends it without a checkpoint.
  const child = processes.spawn(ours('rdm-fit', [...fit, '--json']), {}, { detached: true })
  child.stdin.end()
  child.stderr.pipe(process.stderr)

  let signalled
  const stop = (signal) => {
    if (signalled === undefined) child.kill('SIGINT')
    signalled ??= signal
  }
  const timeLeft = () => 1000 * seconds - (performance.now() - begun)
  const margin = 1000 * Math.min(STOPPING_SECONDS, seconds / 4)
  const timers = [
    setTimeout(() => stop('time'), timeLeft() - margin),
    // It writes a checkpoint a minute: what is lost is what came after the last one.
    setTimeout(() => child.kill('SIGKILL'), timeLeft() - margin / 10),
  ]
  // The handlers of processes.mjs would end it where it stands.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal).on(signal, stop)

  const slice = new Slice()
  for await (const event of new Events(child)) {
    slice.add(event)
    if (event.event === 'epoch')
      console.log(`epoch ${event.epoch + 1}: test error ${percent(event.testError)}, ${duration(event.ms / 1000)}`)
  }
  const { code, reason } = await child.ended
  timers.forEach(clearTimeout)
  const killed = reason === 'SIGKILL'
  if (killed) {
    console.log('it did not stop in time: the next slice goes on from its last checkpoint')
    rmSync(join(folder, 'lock'), { force: true })
  }
  const stopped = signalled !== undefined && (code === 130 || reason === 'SIGINT')
  if (code !== 0 && !stopped && !killed) process.exit(code ?? 1)
  if (existsSync(join(folder, runFiles.config))) {
    await summary(options, slice)
    tidy(folder, slice.ended?.reason === 'finished')
  } else console.log('stopped before the run began')
  if (signalled === 'SIGINT' || signalled === 'SIGTERM' || signalled === 'SIGHUP') process.exit(130)
}

main().catch(({ message }) => fail(message))
