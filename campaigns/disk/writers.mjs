// Several processes that begin one run, or take it up, at the same time: one of them does, the others say so.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomStream } from '../../dist/src/core/random.js'
import { startCommand } from '../support/children.mjs'
import { drawMoment, killedAt, toItsEnd } from '../support/moments.mjs'
import { differences, halfFiles } from '../support/wholeFiles.mjs'
import { refusalFaults, rowOf } from './trial.mjs'

/** In use by another one, or there already when the other one was faster. */
const expected = /is in use|holds a run already/
const WRITERS = 3

/** Starts some at almost the same time. */
const together = (argvs, env, random) =>
  Promise.all(
    argvs.map(async (argv) => {
      await sleep(random.uniform() * 200)
      return toItsEnd(() => startCommand('rdm-fit', argv, { env }))
    }),
  )

function faultsOf(ends, out) {
  const done = ends.filter(({ code }) => code === 0)
  const refused = ends.filter(({ code }) => code !== 0)
  const faults = refused.flatMap((end) => {
    const wrong = refusalFaults(end, out)
    return wrong.length === 0 && !expected.test(end.err) ? [`one says: ${end.err.trim()}`] : wrong
  })
  // One that takes up a run when another one has come to its end finds it done.
  if (done.length === 0) faults.push(`none of ${ends.length} trained`)
  return faults
}

async function oneTrial({ fit, env, life, reference, seed, folder }, number) {
  const random = randomStream(seed, 'writers', number)
  const place = join(folder, `writers-${number}`)
  const out = join(place, 'run')
  mkdirSync(join(place, 'killed'), { recursive: true })
  const first = Array(WRITERS).fill(fit.begin(out))
  const faults = faultsOf(await together(first, env, random), out)
  faults.push(...differences(out, reference), ...halfFiles(out))
  // One that was killed left its lock; several take the run up at once.
  const left = join(place, 'killed', 'run')
  await killedAt(
    drawMoment(random, life),
    () => startCommand('rdm-fit', fit.begin(left), { env }),
    join(place, 'killed'),
  )
  const argv = existsSync(join(left, 'config.json')) ? fit.resume(left) : fit.begin(left)
  faults.push(...faultsOf(await together(Array(WRITERS).fill(argv), env, random), left))
  faults.push(...differences(left, reference), ...halfFiles(left))
  return faults.map((fault) => `${WRITERS} at a time: ${fault} (${place})`)
}

export async function writers(shared) {
  const results = []
  for (let number = 0; number < (shared.short ? 1 : 8); number++) results.push(await oneTrial(shared, number))
  shared.say(`${WRITERS} processes on one run: ${results.length} times`)
  const what = `${WRITERS} processes begin one run at a time, then ${WRITERS} take one up that was killed`
  return {
    rows: [rowOf(what, 'one trains, the others say that it is in use, the same bytes', results)],
    faults: results.flat(),
  }
}
