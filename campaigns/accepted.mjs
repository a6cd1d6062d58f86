// Models that every reader accepts, and that are extreme: derived, differentiated, trained and evaluated by the commands.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { randomStream } from '../dist/src/core/random.js'
import { extremes } from './accepted/graphs.mjs'
import { pick } from './inputs/bytes.mjs'
import { changedModel } from './inputs/models.mjs'
import { command, inParallel, problemOf } from './support/commands.mjs'

export const title = 'Models that are accepted, and are extreme'
export const about =
  'Valid networks that are each extreme in one way, and networks made wrong that are valid all the same, are derived, differentiated, ' +
  'trained and evaluated. What brings the runtime down or never ends does so in a process of its own: the command says it in one line, ' +
  'and ends with exit code 2. A run of the model that does not end is ended after RDM_RUN_SECONDS, 10 here.'

const jobs = Math.min(2, availableParallelism())
const runSeconds = 10
/** Of one command: several runs of the model, and what the command itself takes on a busy machine. */
const mostSeconds = 150
/** What a slow machine does not reach in this time, its row says. */
const longestSeconds = Number(process.env.RDM_CAMPAIGN_SECONDS ?? 1800)
const mutants = { long: 60, short: 3 }
/** Those of the short form: what crashes, what does not end, what is too large, and what trains. */
const few = [
  'a loop that never ends',
  'a loop of 1,000 iterations',
  'Expand by what an input says',
  'the least whole number by -1',
]

const table = (random, count) =>
  [
    'a,b,c,d,e',
    ...Array.from({ length: count }, () =>
      Array.from({ length: 5 }, () => (1 + random.uniform()).toFixed(3)).join(','),
    ),
    '',
  ].join('\n')

/** How often each command ended how. */
class Ends {
  #rows = new Map()
  add(name, what) {
    const row = this.#rows.get(name) ?? { done: 0, refused: 0, ended: 0, slowest: 0 }
    row.done += what.code === 0 ? 1 : 0
    row.refused += what.code === 2 ? 1 : 0
    row.ended += /the process that runs the model|one run of the model has not ended/.test(what.err) ? 1 : 0
    row.slowest = Math.max(row.slowest, what.seconds)
    this.#rows.set(name, row)
  }
  get rows() {
    return [...this.#rows].map(([name, { done, refused, ended, slowest }]) => [
      name,
      done + refused,
      done,
      refused,
      ended,
      slowest.toFixed(1),
    ])
  }
}

export async function run({ short, seed, folder, say }) {
  const random = randomStream(seed, 'accepted')
  const data = join(folder, 'table.csv')
  writeFileSync(data, table(random, 20))
  const faults = []
  const ends = new Ends()
  const all = Object.entries(extremes()).filter(([name]) => !short || few.includes(name))
  const good = extremes()
  const valid = ['a chain of 300 nodes', 'a loop of 1,000 iterations', 'branches 20 deep', 'a padding of 10^9'].map(
    (name) => good[name],
  )
  for (let i = 0; i < mutants[short ? 'short' : 'long']; i++)
    all.push([`changed ${i}`, changedModel(randomStream(seed, 'accepted', i), pick(random, valid), valid)[1]])

  async function told(what, name, args) {
    const result = await command(name, args, { seconds: mostSeconds, env: { RDM_RUN_SECONDS: `${runSeconds}` } })
    ends.add(name, result)
    const problem = problemOf(result)
    if (problem) {
      faults.push(`${name} of ${what}: ${problem}`)
      say(faults.at(-1))
    }
    return result
  }

  const begun = performance.now()
  let networks = 0
  await inParallel(all.length, jobs, async (at) => {
    if (performance.now() - begun > longestSeconds * 1000) return
    networks++
    const [what, bytes] = all[at]
    const place = join(folder, `${at}`)
    mkdirSync(place)
    const path = (name) => join(place, name)
    writeFileSync(path('network.onnx'), bytes)
    const inputs = ['--input', 'x=a,b,c']
    await told(what, 'rdm-grad', [path('network.onnx'), '--out', path('gradient.onnx')])
    await told(what, 'rdm-eval', [
      path('network.onnx'),
      '--data',
      data,
      '--loss',
      'mse',
      ...inputs,
      '--input',
      'targets=d,e',
    ])
    const derived = await told(what, 'rdm-derive', [path('network.onnx'), '--loss', 'mse', '--out', path('step.onnx')])
    if (derived.code !== 0) return
    const fit = [
      '--data',
      data,
      '--out',
      path('run'),
      '--epochs',
      '1',
      '--batch',
      '8',
      ...inputs,
      '--input',
      'targets=d,e',
    ]
    const trained = await told(what, 'rdm-fit', [path('step.onnx'), ...fit])
    if (trained.code === 0 && !(existsSync(path('run/model.onnx')) && statSync(path('run/model.onnx')).size > 0))
      faults.push(`rdm-fit of ${what}: ended well without a trained model`)
    if (trained.code === 0 && /NaN/.test(readFileSync(path('run/metrics.jsonl'), 'utf8')))
      faults.push(`rdm-fit of ${what}: NaN in its metrics`)
  })
  return {
    columns: [
      'command',
      'networks',
      'done',
      'refused in a line',
      'of these: ended with the process of the model',
      'slowest, s',
    ],
    rows: [...ends.rows, [`all: ${networks} of ${all.length} networks`, '', '', '', '', '']],
    faults,
  }
}
