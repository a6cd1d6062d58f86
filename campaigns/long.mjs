// A run of very many steps: what it needs at its end is what it needed at its beginning.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomStream } from '../dist/src/core/random.js'
import { exportModel, graph, input, linear, relu } from '../dist/src/index.js'
import { endAll, median, residentOf, startCommand } from './support/children.mjs'

const BATCH = 4
const EPOCH_STEPS = 200
const HELD_OUT = 0.2

/** A table of points of two kinds, and a perceptron that tells them apart. */
function prepare(folder, seed) {
  const random = randomStream(seed, 'long')
  const lines = Array.from({ length: (BATCH * EPOCH_STEPS) / (1 - HELD_OUT) }, (_, i) => {
    const kind = i % 2
    return `${(kind + random.normal()).toFixed(3)},${(random.normal() - kind).toFixed(3)},${kind ? 'one' : 'other'}`
  })
  const data = join(folder, 'points.csv')
  writeFileSync(data, `a,b,kind\n${lines.join('\n')}\n`)
  const x = input('x', 'float32', ['batch', 2])
  const logits = linear(relu(linear(x, 'hidden', 8)), 'out', 2)
  const recipe = { epochs: 1, batchSize: BATCH, learningRate: [[0, 0.01]], augment: false }
  const model = join(folder, 'points.onnx')
  writeFileSync(model, exportModel(graph('points', [x], { logits }), { recipe, seed }))
  return { data, model }
}

/** Seconds of processors that a process has had. */
function processorSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

const sizesOf = (folder) => Object.fromEntries(readdirSync(folder).map((name) => [name, size(join(folder, name))]))
function size(path) {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

/** Tenths of a list, from 0. */
const tenth = (list, i) => list.slice(Math.floor((list.length * i) / 10), Math.floor((list.length * (i + 1)) / 10))
const percent = (share) => `${share >= 0 ? '+' : '−'}${Math.abs(100 * share).toFixed(1)} %`

/** What has a line for each epoch, or all of their figures in it, or draws them. */
const growing = [
  'metrics.jsonl',
  'timing.jsonl',
  'checkpoint.safetensors',
  'checkpoint.previous.safetensors',
  'curves.svg',
]

/** Bytes for an epoch in each of them. */
const MOST_OF_EPOCH = 600

export const long = {
  title: 'A hundred thousand steps',
  about:
    'A tiny network is trained by `rdm-fit`, with an evaluation after every 200 steps and a checkpoint a second. Memory (resident, ' +
    'its median over the second tenth of the steps against that over the last: the first is warm-up), the time of a step (the ' +
    'same medians; where other programs disturb the clock, that of the processors) are to stay within 5 %, and no file of the ' +
    'run folder may grow by more than what an epoch adds to the history of the run.',
  async run({ short, seed, folder, say }) {
    const steps = short ? 4000 : 100_000
    /** Of a short life, in which the compiler still works, more is let pass. */
    const most = short ? 0.5 : 0.05
    const { data, model } = prepare(folder, seed)
    const out = join(folder, 'run')
    const epochs = steps / EPOCH_STEPS
    const times = []
    const samples = []
    const epochSizes = []
    let ended
    const argv = [model, '--data', data, '--hold-out', `${HELD_OUT}`, '--input', 'x=a,b', '--epochs', `${epochs}`]
    try {
      const { child, finished } = startCommand(
        'rdm-fit',
        [...argv, '--out', out, '--threads', '1', '--target', 'portable', '--checkpoint-seconds', '1', '--json'],
        {
          onLine(line) {
            const event = JSON.parse(line)
            if (event.event === 'step') times.push(event.ms)
            if (event.event !== 'epoch') return
            epochSizes.push(sizesOf(out))
            if (epochSizes.length % Math.ceil(epochs / 10) === 0) say(`${times.length} steps`)
          },
        },
      )
      finished.then((result) => {
        ended = result
      })
      while (ended === undefined) {
        const resident = residentOf(child.pid)
        if (resident && times.length > 0)
          samples.push({ step: times.length, resident, processor: processorSeconds(child.pid) })
        await sleep(short ? 50 : 500)
      }
    } finally {
      await endAll()
    }
    const faults = []
    if (ended.code !== 0) faults.push(`rdm-fit ended with ${ended.code ?? ended.signal}: ${ended.err.trim()}`)
    if (times.length !== steps) faults.push(`${times.length} steps were told, not ${steps}`)

    const within = (from, to) => samples.filter(({ step }) => step >= steps * from && step <= steps * to)
    const parts = [within(0.1, 0.2), within(0.9, 1)]
    const memory = parts.map((part) => median(part.map(({ resident }) => resident)))
    const clock = [1, 9].map((i) => median(tenth(times, i)))
    const processor = parts.map((part) => {
      const [first, last] = [part[0], part.at(-1)]
      return (1000 * (last.processor - first.processor)) / (last.step - first.step)
    })
    const growth = ([before, after]) => after / before - 1
    if (growth(memory) > most) faults.push(`memory grew by ${percent(growth(memory))}`)
    if (Math.min(growth(clock), growth(processor)) > most)
      faults.push(
        `steps became slower: ${percent(growth(clock))} by the clock, ${percent(growth(processor))} of processors`,
      )

    const [early, late] = [epochSizes[Math.floor(epochs / 10)], sizesOf(out)]
    for (const [name, bytes] of Object.entries(late)) {
      const added = bytes - (early[name] ?? bytes)
      const allowed = growing.includes(name) ? MOST_OF_EPOCH * epochs : 0
      if (added > allowed) faults.push(`${name} grew by ${added} bytes`)
    }
    const unknown = Object.keys(late).filter((name) => !(name in early))
    if (unknown.length > 0) faults.push(`files were left: ${unknown.join(', ')}`)
    const megabytes = (value) => `${value.toFixed(1)} MB`
    const milliseconds = (value) => `${value.toFixed(3)} ms`
    const row = (what, pair, format) => [what, ...pair.map(format), percent(growth(pair))]
    return {
      columns: ['what', 'second tenth', 'last tenth', 'change'],
      rows: [
        ['steps', '', times.length, ''],
        ['evaluations', '', epochSizes.length, ''],
        row('resident memory', memory, megabytes),
        row('a step, by the clock', clock, milliseconds),
        row('a step, of processors, evaluation and checkpoints included', processor, milliseconds),
        ...Object.keys(late).map((name) => {
          const pair = [early[name] ?? 0, late[name]]
          return row(name, pair, (bytes) => `${(bytes / 1024).toFixed(1)} KiB`)
        }),
      ],
      faults,
    }
  },
}
