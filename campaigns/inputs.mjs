// Wrong files of every kind that a command reads: thousands by the functions that commands read with, some hundred by the commands.

import { fork } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { randomStream } from '../dist/src/core/random.js'
import { write } from './inputs/good.mjs'
import { dataPath, kindsOf, wrongFiles } from './inputs/kinds.mjs'
import { command, inParallel, kept, problemOf } from './support/commands.mjs'

export const title = 'Files made wrong'
export const about =
  'Files are changed at random, in their bytes and in what they say, and read. Reading ends within 10 s, in memory of ten times the ' +
  'file and 200 MB, with what it holds or with one line that says what is wrong; a command ends with exit code 2 and that line. ' +
  'What none of our readers refuses is right for all it says (another pixel, another weight).'

const mostSeconds = 10
const heapMB = 1024
const counts = { long: [30_000, 300], short: [1_200, 24] }
/** What a slow machine does not reach in this time, its row says. */
const minutes = Number(process.env.RDM_CAMPAIGN_SECONDS ?? 1800) / 60
const longestSeconds = { files: 45 * minutes, commands: 15 * minutes }
const jobs = Math.min(2, availableParallelism())

/** A run folder with all its files. */
async function someRun(folder) {
  const [data, model, out] = ['data', 'model.onnx', 'run'].map((name) => join(folder, name))
  const must = async (name, args) => {
    const done = await command(name, args, { seconds: 300 })
    if (done.code !== 0) throw new Error(`${name} ${args.join(' ')}: ${done.err}`)
  }
  await must('rdm-data', ['synth', data, '--train', '20', '--test', '10'])
  await must('rdm-export', [
    '--block',
    'basic',
    '--depth',
    '8',
    '--functions',
    '01',
    '--widths',
    '2,2,2',
    '--out',
    model,
  ])
  await must('rdm-fit', [model, '--data', data, '--out', out, '--epochs', '2', '--batch', '10', '--target', 'portable'])
  return out
}

/** One process that reads wrong files; another takes its place when it is lost. */
class Reader {
  #child
  #heard = () => {}
  constructor(...args) {
    this.args = args.map(String)
  }

  #next(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ problem: `does not end within ${seconds} s` }), seconds * 1000)
      this.#heard = (message) => {
        clearTimeout(timer)
        resolve(message)
      }
    })
  }

  async start() {
    const execArgv = [`--max-old-space-size=${heapMB}`]
    const child = kept(
      fork(join(import.meta.dirname, 'inputs/child.mjs'), this.args, {
        execArgv,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    )
    this.#child = child
    child.on('message', (message) => this.#heard(message))
    child.on(
      'exit',
      (code, signal) =>
        this.#child === child && this.#heard({ problem: `the process ended: ${signal ?? code}`, lost: true }),
    )
    return this.#next(120)
  }

  async read(at, number) {
    this.#child.send({ at, number })
    const result = await this.#next(mostSeconds)
    if ('read' in result || !('seconds' in result)) {
      if ('seconds' in result) return result
      this.end()
      await this.start()
    }
    return { seconds: mostSeconds, used: 0, ...result }
  }

  end() {
    const child = this.#child
    this.#child = undefined
    child.kill('SIGKILL')
  }
}

/** Which kind a number is of: each as often as its share says. */
const turnsOf = (kinds) => kinds.flatMap(({ share }, at) => Array(share).fill(at))

/** The command that reads a kind. */
function commandFor(kind, folder, name, random) {
  const path = join(folder, name)
  const out = join(folder, 'out')
  if (kind.startsWith('ONNX') || kind.startsWith('adapters'))
    return [
      ['rdm-derive', [path, '--loss', 'mse', '--out', out]],
      ['rdm-grad', [path, '--out', out]],
      ['rdm-fit', [path, '--explain', '--target', 'portable']],
    ][random.below(3)]
  if (kind === 'plans') return ['rdm-repro', [path, '--data', join(folder, 'none'), '--out', out]]
  if (kind === 'plan.json of an experiment') return ['rdm-repro', ['status', folder]]
  if (kind === 'run folders')
    return random.below(2) ? ['rdm-report', [folder, '--out', out]] : ['rdm-fit', ['--resume', '--out', folder]]
  if (kind === 'tar archives') return undefined
  return ['rdm-data', ['info', dataPath(folder, name)]]
}

export async function run({ short, seed, folder, say }) {
  const [files, commands] = counts[short ? 'short' : 'long']
  const faults = []
  const good = await someRun(folder)
  const readers = Array.from({ length: jobs }, (_, i) => new Reader(join(folder, `reader-${i}`), good, seed))
  const scratch = join(folder, 'commands')
  for (const at of [...readers.keys()].map((i) => join(folder, `reader-${i}`)).concat(scratch)) mkdirSync(at)
  const [{ kinds, problem: unready }] = await Promise.all(readers.map((reader) => reader.start()))
  if (!kinds) throw new Error(`the files cannot be made: ${unready}`)
  const turns = turnsOf(kinds)
  const sums = kinds.map(() => ({ files: 0, read: 0, seconds: 0, used: 0 }))
  const free = [...readers]
  try {
    const begun = performance.now()
    await inParallel(files, jobs, async (number) => {
      if (performance.now() - begun > longestSeconds.files * 1000) return
      const reader = free.pop()
      const at = turns[number % turns.length]
      const result = await reader.read(at, number)
      free.push(reader)
      const sum = sums[at]
      sum.files++
      sum.read += result.read ? 1 : 0
      sum.seconds = Math.max(sum.seconds, result.seconds)
      sum.used = Math.max(sum.used, result.used)
      if (result.problem) {
        faults.push(`${kinds[at].kind} ${number}${result.name ? ` (${result.name})` : ''}: ${result.problem}`)
        say(faults.at(-1))
      }
      if ((number + 1) % 2000 === 0) say(`${number + 1} of ${files}`)
    })
  } finally {
    for (const reader of readers) reader.end()
  }
  const said = await byCommands({ commands, seed, scratch, good, faults, say })
  const rows = kinds.map(({ kind }, at) => {
    const { files, read, seconds, used } = sums[at]
    return [kind, files, files - read, seconds.toFixed(2), Math.round(used / 1e6)]
  })
  const total = (of) => sums.reduce((sum, each) => sum + of(each), 0)
  const done = total((s) => s.files)
  const most = (of) => Math.max(...sums.map(of))
  return {
    columns: ['files', 'made wrong', 'refused in a line', 'slowest, s', 'most memory, MB'],
    rows: [
      ...rows,
      [
        'all',
        done === files ? done : `${done} of ${files}`,
        total((s) => s.files - s.read),
        most((s) => s.seconds).toFixed(2),
        Math.round(most((s) => s.used) / 1e6),
      ],
      ['by a command', said.tried, said.refused, said.slowest.toFixed(2), '-'],
    ],
    faults,
  }
}

async function byCommands({ commands, seed, scratch, good, faults, say }) {
  const kinds = await kindsOf(scratch, good)
  const turns = turnsOf(kinds)
  const sum = { tried: 0, refused: 0, slowest: 0 }
  const begun = performance.now()
  await inParallel(commands, jobs, async (number) => {
    if (performance.now() - begun > longestSeconds.commands * 1000) return
    const random = randomStream(seed, 'command', number)
    const kind = kinds[turns[number % turns.length]]
    const { name, files } = wrongFiles(kind, seed, 1e6 + number)
    const place = join(scratch, `${number}`)
    const asked = commandFor(kind.kind, place, name, random)
    if (!asked) return
    write(place, files)
    const result = await command(...asked, { seconds: 40 })
    sum.tried++
    if (result.code === 2) sum.refused++
    sum.slowest = Math.max(sum.slowest, result.seconds)
    const problem = problemOf(result)
    if (problem) {
      faults.push(`${asked[0]} ${asked[1].join(' ')} (${kind.kind}): ${problem}`)
      say(faults.at(-1))
    }
  })
  return sum
}
