// A run whose folder turns read-only, goes away for a while, or is removed, at a drawn moment.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomStream } from '../../dist/src/core/random.js'
import { hasEnded, startCommand } from '../support/children.mjs'
import { toItsEnd } from '../support/moments.mjs'
import { halfFiles } from '../support/wholeFiles.mjs'
import { goOn, mountAt, refusalFaults, remount, rowOf, skipped, unmount } from './trial.mjs'

/** Runs with something happening in the middle. @param happen is given whether the process is still there */
async function disturbed({ fit, env, life, random }, out, happen) {
  const running = startCommand('rdm-fit', fit.begin(out), { env })
  await sleep(random.uniform() * life.ms)
  await happen(() => !hasEnded(running.child))
  return toItsEnd(() => running)
}

const kinds = [
  {
    what: 'a disk that turns read-only in the middle',
    mount: true,
    async happen(alive, { place }) {
      // Refused while a file is open for writing: the next moment will do.
      while (alive() && !remount(place, 'ro')) await sleep(1)
    },
    mend: ({ place }) => remount(place, 'rw'),
  },
  {
    what: 'a run folder that goes away in the middle, and is back later',
    happen: async (_, { place, out }) => existsSync(out) && renameSync(out, join(place, 'away')),
    mend: ({ place, out }) => existsSync(join(place, 'away')) && renameSync(join(place, 'away'), out),
  },
  {
    what: 'a run folder that is removed in the middle',
    happen: async (_, { out }) => rmSync(out, { recursive: true, force: true, maxRetries: 10, retryDelay: 1 }),
    // What a process wrote into it at that moment.
    mend: ({ out }) => rmSync(out, { recursive: true, force: true }),
    fresh: true,
  },
]

async function oneTrial(shared, { what, mount, happen, mend, fresh }, number) {
  const place = join(shared.folder, `${what.replace(/\W+/g, '-')}-${number}`)
  const out = join(place, 'run')
  if (mount) mountAt(place, 'size=64m')
  else mkdirSync(place)
  try {
    const at = { place, out }
    const random = randomStream(shared.seed, what, number)
    const end = await disturbed({ ...shared, random }, out, (alive) => happen(alive, at))
    const faults = end.code === 0 ? [] : refusalFaults(end, place)
    mend(at)
    if (!fresh) faults.push(...halfFiles(out))
    const rest = existsSync(out) ? await goOn(shared, out) : await begun(shared, out)
    return { hit: end.code !== 0, faults: [...faults, ...rest].map((fault) => `${what}: ${fault}`) }
  } finally {
    if (mount) unmount(place)
  }
}

/** Nothing of it is left: it is begun anew, which makes the folder that --resume goes on with. */
async function begun(shared, out) {
  const end = await toItsEnd(() => startCommand('rdm-fit', shared.fit.begin(out), { env: shared.env }))
  return end.code === 0 ? goOn(shared, out) : [`does not begin: ${end.err.trim()}`]
}

/** A folder in which nobody can write from the beginning. */
async function readOnlyFromTheBeginning(shared) {
  const what = 'a folder on a read-only disk'
  const place = join(shared.folder, 'read-only')
  mountAt(place, 'size=64m')
  remount(place, 'ro')
  const lines = [
    ['rdm-fit', shared.fit.begin(join(place, 'run'))],
    ['rdm-export', ['--blocks', '1,1', '--widths', '4,4', '--functions', '11', '--out', join(place, 'model.onnx')]],
    [
      'rdm-export',
      ['--blocks', '1,1', '--widths', '4,4', '--functions', '11', '--artifacts', join(place, 'artifacts')],
    ],
    ['rdm-data', ['synth', join(place, 'patterns'), '--train', '5', '--test', '5']],
    ['rdm-data', ['fetch', 'mnist', '--dir', place, '--from', 'http://127.0.0.1:9/']],
    ['rdm-report', [join(shared.folder, 'whole', 'run'), '--out', join(place, 'report')]],
  ]
  try {
    const results = []
    for (const [command, argv] of lines) {
      const end = await toItsEnd(() => startCommand(command, argv, { env: shared.env }))
      results.push(refusalFaults(end, place).map((fault) => `${command} into ${what}: ${fault}`))
    }
    return {
      rows: [rowOf(`commands that write into ${what}`, 'exit code 2, one line', results)],
      faults: results.flat(),
    }
  } finally {
    unmount(place)
  }
}

export async function folders(shared) {
  const { short, mounts, say } = shared
  const parts = []
  for (const kind of kinds) {
    if (kind.mount && !mounts) {
      parts.push(skipped(`rdm-fit on ${kind.what}`))
      continue
    }
    const results = []
    for (let number = 0; number < (short ? 1 : 12); number++) results.push(await oneTrial(shared, kind, number))
    const hit = results.filter((result) => result.hit).length
    say(`${kind.what}: ${hit} of ${results.length} in the middle`)
    const good = `${hit} ended with exit code 2 and one line, the others had done their work; the same bytes in the end`
    const faults = results.map((result) => result.faults)
    parts.push({ rows: [rowOf(`rdm-fit in ${kind.what}`, good, faults)], faults: faults.flat() })
  }
  parts.push(mounts ? await readOnlyFromTheBeginning(shared) : skipped('commands that write into a read-only folder'))
  return { rows: parts.flatMap(({ rows }) => rows), faults: parts.flatMap(({ faults }) => faults) }
}
