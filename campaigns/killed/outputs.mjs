// Commands that write files, killed at drawn moments and done again.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { randomStream } from '../../dist/src/core/random.js'
import { runCommand, startCommand } from '../support/children.mjs'
import { drawMoment, killedAt, toItsEnd, undisturbed, wasKilled } from '../support/moments.mjs'
import { bytesOf, differences, filesBelow, halfFiles } from '../support/wholeFiles.mjs'

const network = join(import.meta.dirname, '../../test/fixtures/networks/keras_cnn.keras.onnx')

const plan = `format: rdm-onnx plan 1
seeds: 1..2
epochs: 2
batch: 8
lr: 0.01
models:
  - {name: plain, blocks: [1, 1], widths: [4, 4]}
  - {name: rdm, blocks: [1, 1], functions: [11, 01], widths: [4, 4]}
`

/** Unfinished files of a run are those of an earlier epoch: they are whole, and not what they will be. */
const grows = (out) => halfFiles(out)
/** A file that is there is there as it will be. */
const appears = (out, reference) => {
  const there = [...reference].filter(([path]) => existsSync(join(out, path)))
  return differences(out, new Map(there))
}
/** A folder is there with all its files, or not at all. */
const appearsAsOne = (out, reference) => (existsSync(out) ? differences(out, reference) : [])

const isCompared = (path) => !/(timing\.jsonl|checkpoint\.previous\.safetensors|lock)$/.test(path)

/** @param folder with the plan, its data, and an experiment that is done */
const commands = (folder) => {
  const said = [join(folder, 'tiny.yaml'), '--data', join(folder, 'patterns')]
  const settings = ['--threads', '1', '--checkpoint-seconds', '0']
  return [
    {
      what: 'rdm-repro, begun again',
      command: 'rdm-repro',
      argv: (out) => [...said, '--out', out, ...settings],
      check: grows,
      times: 12,
    },
    {
      what: 'rdm-report',
      command: 'rdm-report',
      argv: (out) => [join(folder, 'experiment'), '--out', out],
      check: appears,
      times: 12,
    },
    {
      what: 'rdm-export --out',
      command: 'rdm-export',
      argv: (out) => ['--depth', '20', '--functions', '11,01', '--out', join(out, 'model.onnx')],
      check: appears,
      times: 12,
    },
    {
      what: 'rdm-export --artifacts',
      command: 'rdm-export',
      argv: (out) => ['--depth', '8', '--functions', '11,01', '--artifacts', out],
      check: appears,
      times: 8,
    },
    {
      what: 'rdm-derive --out',
      command: 'rdm-derive',
      argv: (out) => [network, '--optimizer', 'adam', '--out', join(out, 'model.onnx')],
      check: appears,
      times: 12,
    },
    {
      what: 'rdm-data synth',
      command: 'rdm-data',
      argv: (out) => ['synth', join(out, 'patterns'), '--train', '500', '--test', '100'],
      check: (out, reference) => appearsAsOne(join(out, 'patterns'), reference),
      below: 'patterns',
      isDone: /is not empty/,
      times: 8,
    },
  ]
}

/** Kills a command once, looks at what it left, and does it again. */
async function oneKill({ what, command, argv, check, below = '', isDone, reference, life, env, folder }, random) {
  for (let attempt = 0; ; attempt++) {
    const parent = `${folder}-${attempt}`
    const out = join(parent, 'out')
    mkdirSync(out, { recursive: true })
    const begin = () => startCommand(command, argv(out), { env })
    const first = await killedAt(drawMoment(random, life), begin, parent)
    const hit = wasKilled(first)
    const half = hit ? check(out, reference) : []
    const last = hit ? await toItsEnd(begin) : first
    // What was killed after it had done its work finds it there, and may refuse to do it again.
    const faults =
      last.code === 0 || (last.code === 2 && isDone?.test(last.err))
        ? [...half, ...differences(join(out, below), reference)]
        : [...half, `ended with ${last.code ?? 'a hang'}: ${last.err.trim()}`]
    if (faults.length === 0) rmSync(parent, { recursive: true })
    if (hit || faults.length > 0 || attempt === 5)
      return { kills: Number(hit), faults: faults.map((fault) => `${what}: ${fault} (${parent})`) }
  }
}

export async function killOutputs({ seed, short, folder: root, say, limit, env }) {
  const folder = join(root, 'outputs')
  mkdirSync(folder)
  writeFileSync(join(folder, 'tiny.yaml'), plan)
  await runCommand('rdm-data', ['synth', join(folder, 'patterns'), '--train', '32', '--test', '8'], { env })
  const [repro] = commands(folder)
  await runCommand('rdm-repro', repro.argv(join(folder, 'experiment')), { env })

  const rows = []
  const faults = []
  for (const item of commands(folder)) {
    const { what, command, argv, below = '' } = item
    const own = join(folder, what.replace(/\W+/g, '-'))
    const out = join(own, 'whole')
    mkdirSync(out, { recursive: true })
    const { end, life } = await undisturbed(() => startCommand(command, argv(out), { env }), own)
    if (end.code !== 0) throw new Error(`${what}: ${end.err}`)
    const paths = filesBelow(join(out, below)).filter(isCompared)
    const reference = bytesOf(join(out, below), paths)
    const numbers = Array.from({ length: short ? 1 : item.times }, (_, number) => number)
    const results = await pLimit(limit).map(numbers, (number) => {
      const trial = { ...item, reference, life, env, folder: join(own, `${number}`) }
      return oneKill(trial, randomStream(seed, 'outputs', what, number))
    })
    const kills = results.reduce((sum, result) => sum + result.kills, 0)
    const good = results.filter((result) => result.faults.length === 0).length
    say(`${what}: killed ${kills} times`)
    rows.push([what, results.length, kills, `${good} of ${results.length}`])
    faults.push(...results.flatMap((result) => result.faults))
  }
  return { rows, faults }
}
