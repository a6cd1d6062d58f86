// rdm-fit killed at drawn moments and taken up again: it ends in the bytes of the undisturbed run.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { randomStream } from '../../dist/src/core/random.js'
import { startCommand } from '../support/children.mjs'
import { drawMoment, killedAt, toItsEnd, undisturbed, wasKilled } from '../support/moments.mjs'
import { deriveTiny, fitOf, residualTiny } from '../support/tinyRuns.mjs'
import { bytesOf, differences, filesBelow, halfFiles } from '../support/wholeFiles.mjs'

/** What trains, its model, more options, and how many runs are of it: of a hundred, and of the short form. */
const allKinds = [
  ['rdm-fit: a residual network, stochastic depth, Adam', 'residual', [], 16, 1],
  ['rdm-fit --accumulate 2: an MLP of PyTorch, Adam', 'mlp', ['--accumulate', '2'], 22, 1],
  ['rdm-fit: a network with dropout, Adam', 'dropout', [], 14, 1],
  ['rdm-fit: a classifier of scikit-learn, AdamW, averaged weights', 'scikit', [], 10, 0],
  ['rdm-fit: a GRU, clipped gradients', 'gru', [], 8, 0],
  ['rdm-fit: a text classifier of Keras, Muon', 'keras', [], 8, 0],
  ['rdm-fit: attention, low-rank adapters', 'attention', [], 8, 0],
  ['rdm-fit --seeds 1..2 --jobs 2', 'residual', ['--seeds', '1..2', '--jobs', '2'], 10, 1],
  ['rdm-fit --runtime web-training', 'mlp', ['--runtime', 'web-training'], 4, 0],
]
/** What a process that was killed says, when it is taken up, of a run that had not begun yet. */
const hadNotBegun = /leave out --resume to start/
const MOST_KILLS = 3

/** These name times or threads of the moment, or the checkpoint before the last one, which is another after a kill. */
const isCompared = (path) => !/(timing\.jsonl|checkpoint\.previous\.safetensors|lock)$/.test(path)

/** Kills a run up to three times and lets it end. @returns how often it was killed, and what was wrong */
async function oneRun({ fit, life, reference, env, random, folder }) {
  mkdirSync(folder)
  const out = join(folder, 'run')
  const begin = (argv) => () => startCommand('rdm-fit', argv, { env })
  let argv = fit.begin(out)
  let kills = 0
  for (;;) {
    const again = kills === 0 || (kills < MOST_KILLS && random.uniform() < 0.4)
    const moment = drawMoment(random, life)
    const end = await (again ? killedAt(moment, begin(argv), folder) : toItsEnd(begin(argv)))
    if (wasKilled(end)) {
      if (!again) return { kills, faults: ['goes on without end'] }
      kills++
      const half = halfFiles(out)
      if (half.length > 0) return { kills, faults: half }
    } else if (end.code === 2 && hadNotBegun.test(end.err)) {
      argv = fit.begin(out)
      continue
    } else if (end.code !== 0) return { kills, faults: [`ended with ${end.code}: ${end.err.trim()}`] }
    else return { kills, faults: differences(out, reference) }
    argv = fit.resume(out)
  }
}

/** Runs until one was hit: a moment of the undisturbed life may lie behind the end of a quicker one. */
async function oneHit(run, number) {
  for (let attempt = 0; ; attempt++) {
    const folder = `${run.folder}-${number}-${attempt}`
    const random = randomStream(run.seed, 'killed', run.name, number, attempt)
    const { kills, faults } = await oneRun({ ...run, random, folder })
    if (faults.length === 0) rmSync(folder, { recursive: true })
    if (kills > 0 || faults.length > 0 || attempt === 5)
      return { kills, faults: faults.map((fault) => `${run.name}: ${fault} (${folder})`) }
  }
}

export async function killFits({ seed, short, folder, say, limit, env }) {
  const kinds = short ? allKinds.filter(([, , , , times]) => times > 0) : allKinds
  const of = {}
  for (const name of new Set(kinds.map(([, model]) => model)))
    of[name] = await (name === 'residual' ? residualTiny : (at, given) => deriveTiny(at, name, given))(
      join(folder, 'models'),
      env,
    )
  const rows = await pLimit(limit).map(kinds, async ([name, model, more]) => {
    const fit = fitOf(of[model], more)
    const own = join(folder, name.replace(/\W+/g, '-'))
    mkdirSync(own)
    // The folder's name stands in the picture of the curves.
    const out = join(own, 'whole', 'run')
    const start = () => startCommand('rdm-fit', fit.begin(out), { env })
    // The first one finds out about the machine, which those after it know.
    const first = await toItsEnd(start)
    if (first.code !== 0) throw new Error(`${name}: ${first.err}`)
    const { life } = await undisturbed(
      () => startCommand('rdm-fit', fit.begin(join(own, 'second', 'run')), { env }),
      own,
    )
    return { name, fit, life, reference: bytesOf(out, filesBelow(out).filter(isCompared)), own }
  })
  const times = kinds.map(([, , , full, few]) => (short ? few : full))
  const trials = rows.flatMap((row, kind) =>
    Array.from({ length: times[kind] }, (_, number) => ({ row, kind, number })),
  )
  let done = 0
  const results = await pLimit(limit).map(trials, async ({ row, kind, number }) => {
    const run = { ...row, env, seed, folder: join(row.own, 'run') }
    const result = await oneHit(run, number)
    say(`${++done} of ${trials.length}: ${row.name}, killed ${result.kills} times`)
    return { ...result, kind }
  })
  return {
    rows: kinds.map(([name], kind) => {
      const own = results.filter((result) => result.kind === kind)
      const kills = own.reduce((sum, result) => sum + result.kills, 0)
      return [name, own.length, kills, `${own.filter(({ faults }) => faults.length === 0).length} of ${own.length}`]
    }),
    faults: results.flatMap(({ faults }) => faults),
  }
}
