// Commands that write over what they wrote before, on a disk that has no space for it: the old files stay as they were.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { runCommand, startCommand, startProgram } from '../support/children.mjs'
import { toItsEnd } from '../support/moments.mjs'
import { bytesOf, differences } from '../support/wholeFiles.mjs'
import { evenly, mountAt, refusalFaults, remount, rowOf, skipped, unmount } from './trial.mjs'

const network = join(import.meta.dirname, '../../test/fixtures/networks/keras_cnn.keras.onnx')
const exported = ['--blocks', '1,1', '--functions', '11', '--widths', '4,4']

/** What is written first and over it, below a folder; the second of one that refuses to write over anything is alone. */
const commands = (folder) => [
  {
    what: 'rdm-export --out',
    command: 'rdm-export',
    argv: (out, seed) => [...exported, '--seed', seed, '--out', join(out, 'model.onnx')],
  },
  {
    what: 'rdm-export --artifacts',
    command: 'rdm-export',
    argv: (out, seed) => [...exported, '--seed', seed, '--artifacts', join(out, 'artifacts')],
  },
  {
    what: 'rdm-derive --out',
    command: 'rdm-derive',
    argv: (out, seed) => [
      network,
      '--optimizer',
      'adam',
      '--head',
      '7',
      '--seed',
      seed,
      '--out',
      join(out, 'model.onnx'),
    ],
  },
  {
    what: 'rdm-report',
    command: 'rdm-report',
    argv: (out, seed) => [join(folder, 'reported', `seed-${seed}`), '--out', join(out, 'report')],
  },
  {
    what: 'rdm-data synth',
    command: 'rdm-data',
    argv: (out, seed) => ['synth', join(out, `patterns-${seed}`), '--train', '5', '--test', '5', '--seed', seed],
  },
]

/** Files that are old or new, as a whole, and none that is neither. */
function mixed(out, before, after) {
  const paths = new Set([...before.keys(), ...after.keys()])
  const found = bytesOf(out)
  return [...paths].flatMap((path) => {
    const there = found.get(path)
    const fits = [before, after].some((files) => files.get(path)?.equals(there ?? Buffer.alloc(0)))
    return fits || (there === undefined && !before.has(path)) ? [] : [`${path} is neither the old nor the new one`]
  })
}

async function onFullDisk({ what, command, argv, before, after, need, env, folder }, kilobytes) {
  const place = join(folder, `${what.replace(/\W+/g, '-')}-${kilobytes}`)
  mountAt(place, 'size=64m')
  try {
    const run = (seed) => toItsEnd(() => startCommand(command, argv(place, seed), { env }))
    const first = await run('1')
    if (first.code !== 0) throw new Error(`${what}: ${first.err}`)
    if (!remount(place, `size=${need + kilobytes}k`)) throw new Error(`cannot make ${place} smaller`)
    const end = await run('2')
    const faults = end.code === 0 ? [] : refusalFaults(end, place)
    faults.push(...mixed(place, before, after))
    remount(place, 'size=64m')
    // What had space for all of it refuses to write over it, where it is a whole data set.
    const last = end.code === 0 ? end : await run('2')
    if (last.code !== 0) faults.push(`done again it ended with ${last.code}: ${last.err.trim()}`)
    faults.push(...differences(place, after))
    const litter = readdirSync(place, { recursive: true }).filter((path) => !after.has(path) && /\.tmp/.test(path))
    if (litter.length > 0) faults.push(`leaves ${litter.join(', ')}`)
    return { wasFull: end.code !== 0, faults: faults.map((fault) => `${what} with ${kilobytes} kB: ${fault}`) }
  } finally {
    unmount(place)
  }
}

/** Kilobytes that files take, in pages and the folders above them. */
const usedBy = (files) => [...files.values()].reduce((sum, { length }) => sum + 4 * Math.ceil(length / 4096), 0)

export async function outputsOnFullDisks({ short, folder: root, mounts, say, env, model }) {
  if (!mounts) return skipped('commands that write, on a disk that is full')
  const folder = join(root, 'outputs')
  for (const seed of ['1', '2']) {
    const out = join(folder, 'reported', `seed-${seed}`)
    const run = [model.model, '--data', model.data, '--out', out, '--epochs', seed, '--threads', '1']
    await runCommand('rdm-fit', run, { env })
  }
  const rows = []
  const faults = []
  for (const item of commands(folder)) {
    const { what, command, argv } = item
    const whole = join(folder, `whole-${what.replace(/\W+/g, '-')}`)
    mountAt(whole, 'size=64m')
    const states = []
    for (const seed of ['1', '2']) {
      await runCommand(command, argv(whole, seed), { env })
      states.push(new Map([...bytesOf(whole)].map(([path, bytes]) => [path, Buffer.from(bytes)])))
    }
    const [before, after] = states
    unmount(whole)
    const need = usedBy(before)
    // Old and new are there at once for a moment.
    const extra = Math.max(8, usedBy(after) / 4)
    const sizes = [0, ...evenly(Math.ceil(extra), short ? 2 : 4).map((n) => 4 * n)]
    const results = await pLimit(3).map(sizes, (kilobytes) =>
      onFullDisk({ ...item, before, after, need, env, folder }, kilobytes),
    )
    const full = results.filter(({ wasFull }) => wasFull).length
    if (full === 0) faults.push(`${what}: the disk never was full`)
    const good = `${full} were full; exit code 2, one line, the old files whole, done again the new ones`
    rows.push(
      rowOf(
        `${what} over an earlier one, on a full disk`,
        good,
        results.map((result) => result.faults),
      ),
    )
    faults.push(...results.flatMap((result) => result.faults))
    say(`${what}: ${full} of ${sizes.length} were full`)
  }
  const piped = await intoFullDevice(env)
  return { rows: [...rows, ...piped.rows], faults: [...faults, ...piped.faults] }
}

/** What goes to standard output, into a device that is always full. */
async function intoFullDevice(env) {
  if (!existsSync('/dev/full')) return { rows: [], faults: [] }
  const bin = join(import.meta.dirname, '../../bin')
  const lines = [
    ['rdm-export', ...exported],
    ['rdm-derive', network],
    ['rdm-fit', '--help'],
  ]
  const results = []
  for (const [command, ...argv] of lines) {
    const script = 'exec "$0" "$@" > /dev/full'
    const file = join(bin, `${command}.js`)
    const end = await toItsEnd(() => startProgram('sh', ['-c', script, process.execPath, file, ...argv], { env }))
    results.push(refusalFaults(end, 'standard output').map((fault) => `${command} > /dev/full: ${fault}`))
  }
  return { rows: [rowOf('commands > /dev/full', 'exit code 2, one line', results)], faults: results.flat() }
}
