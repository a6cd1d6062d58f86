// All of the campaign, in a process whose mounts are its own. Prints what it does, and the rows and faults as JSON in the end.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { endAll, startCommand } from '../support/children.mjs'
import { undisturbed } from '../support/moments.mjs'
import { fitOf, residualTiny } from '../support/tinyRuns.mjs'
import { bytesOf, filesBelow } from '../support/wholeFiles.mjs'
import { clocks } from './clock.mjs'
import { folders } from './folders.mjs'
import { fullDisks } from './full.mjs'
import { outputsOnFullDisks } from './outputs.mjs'
import { writers } from './writers.mjs'

const { short, seed, folder, mounts } = JSON.parse(process.argv[2])
const say = (text) => process.stdout.write(`${text}\n`)
const env = { XDG_CACHE_HOME: join(folder, 'cache') }

/** Of a run what does not depend on the time, nor on how often it was stopped. */
const isCompared = (path) => !/(timing\.jsonl|checkpoint\.previous\.safetensors|lock)$/.test(path)

// A classifier: reports are of those.
const model = await residualTiny(join(folder, 'models'), env)
const fit = fitOf(model, ['--accumulate', '2'], 2)
const whole = join(folder, 'whole')
mkdirSync(whole)
const out = join(whole, 'run')
const { end, life } = await undisturbed(() => startCommand('rdm-fit', fit.begin(out), { env }), whole)
if (end.code !== 0) throw new Error(end.err)
const shared = {
  ...{ short, seed, folder, mounts, say, env, fit, life, model },
  reference: bytesOf(out, filesBelow(out).filter(isCompared)),
  /** Every file of it, the ones that are not compared too. */
  bytes: [...bytesOf(out)].map(([, content]) => content.length),
}

try {
  const parts = []
  for (const part of [fullDisks, outputsOnFullDisks, folders, clocks, writers]) parts.push(await part(shared))
  say(JSON.stringify({ rows: parts.flatMap(({ rows }) => rows), faults: parts.flatMap(({ faults }) => faults) }))
} finally {
  await endAll()
}
