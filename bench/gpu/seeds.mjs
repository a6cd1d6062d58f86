// Several seeds side by side on one GPU: images a second of all of them together, once every one of them trains.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportModel, residualNetwork } from 'rdm-onnx'
import { short } from '../common.mjs'
import { Monitor } from './monitor.mjs'
import { Events, ours } from './processes.mjs'
import { paceOf, Runs } from './runs.mjs'
import { LEARNING_RATE, network, stepOptions, threadsOf } from './settings.mjs'

const COUNTS = { full: [1, 8, 2, 4], small: [1, 2] }
/** As many as a run takes: with more, eight seeds of a run each would take long. */
const STEPS_PER_RUN = { full: 50, small: 2 }
const WINDOW_SECONDS = { full: 10, small: 2 }
/** With less time left the next count is left out. */
const RESERVE = 20_000

/** Images a second of several training runs together, from when each of them is warm: the sum of what each of them does. */
export class Throughput {
  #warmUp
  #windowMs
  #steps = new Map()
  #runs = new Map()

  /** @param count how many training runs; `warmUp` steps of each come before a window of so many seconds */
  constructor(count, warmUp, seconds) {
    this.count = count
    this.#warmUp = warmUp
    this.#windowMs = 1000 * seconds
  }

  /** @returns whether the window is over */
  add(event) {
    const { event: kind, seed, at } = event
    if (this.span) {
      this.#runs.get(seed)?.add(event)
      if (kind === 'step') this.span[1] = at
      const counted = [...this.#runs.values()].every(({ complete }) => complete.length >= 2)
      return counted && at - this.span[0] >= this.#windowMs
    }
    if (kind !== 'step') return false
    this.#steps.set(seed, (this.#steps.get(seed) ?? 0) + 1)
    const warm = [...this.#steps.values()].filter((steps) => steps >= this.#warmUp).length
    if (warm === this.count) {
      this.#runs = new Map([...this.#steps.keys()].map((seed) => [seed, new Runs()]))
      this.span = [at, at]
    }
    return false
  }

  get imagesPerSecond() {
    return [...this.#runs.values()].reduce((total, { complete }) => {
      const { images, wallMs } = paceOf(complete)
      return total + (1000 * images) / wallMs
    }, 0)
  }
}

async function measure(row, processes, given, { model, precision, size }) {
  const steps = given.stepsPerRun ?? STEPS_PER_RUN[size]
  const settings = { ...given, stepsPerRun: steps }
  const { seeds } = row
  const threads = Math.max(1, Math.floor(threadsOf(settings) / seeds))
  const out = join(settings.scratch, `seeds-${seeds}`)
  const long = ['--lr', LEARNING_RATE, '--epochs', 100_000, '--checkpoint-seconds', 1e6, '--json']
  // The last --threads counts.
  const options = [...stepOptions(settings, precision), '--threads', threads]
  const several = seeds === 1 ? ['--seed', 1] : ['--seeds', `1..${seeds}`, '--jobs', seeds]
  const fit = [model, '--data', settings.data, '--out', out, ...long, ...options, ...several]
  const child = processes.spawn(ours('rdm-fit', fit))
  const monitor = new Monitor(processes)
  const throughput = new Throughput(seeds, steps, WINDOW_SECONDS[size])
  for await (const event of new Events(child)) {
    if (!throughput.add(event)) continue
    Object.assign(row, {
      stepsPerRun: steps,
      imagesPerSecond: throughput.imagesPerSecond,
      gpu: monitor.over([throughput.span]),
    })
    child.kill('SIGKILL')
    return
  }
  throw new Error((await child.ended).reason)
}

export async function seedsSideBySide(report, processes, settings, timeLeft) {
  const size = settings.small ? 'small' : 'full'
  const { architecture, recipe } = network(settings.seedsArch, settings)
  const model = join(settings.scratch, 'seeds.onnx')
  writeFileSync(model, exportModel(residualNetwork(architecture), { recipe, seed: 1, architecture }))
  const { precision } = settings
  Object.assign(report, { architecture: architecture.name, batch: settings.batch, precision, results: [] })
  for (const seeds of COUNTS[size]) {
    const row = { seeds }
    report.results.push(row)
    if (timeLeft() < RESERVE && !settings.small) {
      row.verdict = 'not started: no time left'
      continue
    }
    try {
      await measure(row, processes, settings, { model, precision, size })
      row.verdict = 'timed'
    } catch ({ message }) {
      row.verdict = `failed: ${message}`
    }
  }
  report.results.sort((a, b) => a.seeds - b.seeds)
}

export function seedsTable({ results }) {
  const one = results.find(({ seeds }) => seeds === 1)?.imagesPerSecond
  return [
    ['seeds', 'images/s in all', 'of one seed', 'GPU busy', ''],
    ...results.map(({ seeds, imagesPerSecond, gpu, verdict }) => [
      String(seeds),
      imagesPerSecond?.toFixed(0) ?? '',
      imagesPerSecond && one ? `${(imagesPerSecond / one).toFixed(2)} ×` : '',
      gpu ? `${gpu.utilization.toFixed(0)} %` : '',
      short(verdict ?? 'not finished'),
    ]),
  ]
}
