// Runs whose clock goes backwards: they end in the same bytes, and their times are still times.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { randomStream } from '../../dist/src/core/random.js'
import { readTiming } from '../../dist/src/driver/run/timing.js'
import { startCommand } from '../support/children.mjs'
import { drawMoment, killedAt, toItsEnd } from '../support/moments.mjs'
import { differences } from '../support/wholeFiles.mjs'
import { goOn, rowOf } from './trial.mjs'

const preload = pathToFileURL(join(import.meta.dirname, 'badClock.mjs')).href

export async function clocks(shared) {
  const { short, seed, folder, fit, life, reference, say } = shared
  const results = []
  for (let number = 0; number < (short ? 2 : 8); number++) {
    const place = join(folder, `clock-${number}`)
    const out = join(place, 'run')
    mkdirSync(place)
    const env = { ...shared.env, NODE_OPTIONS: `--import=${preload}`, RDM_CAMPAIGN_SEED: `${seed + number}` }
    const begin = () => startCommand('rdm-fit', fit.begin(out), { env })
    const faults = []
    // Every other one is killed, too, and goes on at a time before it began.
    if (number % 2 === 1) {
      await killedAt(drawMoment(randomStream(seed, 'clocks', number), life), begin, place)
      faults.push(...(await goOn({ ...shared, env }, out)))
    } else {
      const end = await toItsEnd(begin)
      if (end.code !== 0 || end.err !== '') faults.push(`ended with ${end.code}: ${end.err.trim()}`)
      faults.push(...differences(out, reference))
    }
    const { unreadable } = await readTiming(out)
    if (unreadable > 0) faults.push(`timing.jsonl has ${unreadable} lines that say nothing`)
    results.push(faults.map((fault) => `a clock that goes backwards: ${fault}`))
  }
  say(`a clock that goes backwards: ${results.length} times`)
  const what = 'rdm-fit by a clock that goes backwards, every other one killed too'
  return { rows: [rowOf(what, 'the same bytes, times that can be read', results)], faults: results.flat() }
}
