// A run on file systems that are too small for it, by space and by number of files.

import { join } from 'node:path'
import pLimit from 'p-limit'
import { startCommand } from '../support/children.mjs'
import { toItsEnd } from '../support/moments.mjs'
import { halfFiles } from '../support/wholeFiles.mjs'
import { evenly, goOn, mountAt, refusalFaults, remount, rowOf, skipped, unmount } from './trial.mjs'

const PAGE = 4096
const plenty = 'size=64m,nr_inodes=1000'

/** @returns what went wrong, and whether the disk was full before the run came to its end */
async function onSmallDisk(shared, limits, name) {
  const place = join(shared.folder, name)
  const out = join(place, 'run')
  mountAt(place, limits)
  try {
    const end = await toItsEnd(() => startCommand('rdm-fit', shared.fit.begin(out), { env: shared.env }))
    // That it fits is no fault.
    const faults = end.code === 0 ? [] : refusalFaults(end, place)
    faults.push(...halfFiles(out))
    if (!remount(place, plenty)) throw new Error(`cannot give ${place} more space`)
    faults.push(...(await goOn(shared, out)))
    return { wasFull: end.code !== 0, faults: faults.map((fault) => `rdm-fit with ${limits}: ${fault}`) }
  } finally {
    unmount(place)
  }
}

export async function fullDisks(shared) {
  const { short, mounts, bytes, say } = shared
  if (!mounts) return skipped('rdm-fit on a disk that is full')
  // A file being written and the one that it takes the place of are there at once.
  const pages = bytes.reduce((sum, length) => sum + Math.ceil(length / PAGE), 2) + Math.ceil(Math.max(...bytes) / PAGE)
  const kinds = [
    ['a disk of each size in pages, up to what it needs', pages, (n) => `size=${n * PAGE},nr_inodes=1000`],
    // The folder itself is a file to it.
    ['a disk of each number of files', bytes.length + 3, (n) => `size=64m,nr_inodes=${n}`],
  ]
  const rows = []
  const faults = []
  for (const [what, most, limitsOf] of kinds) {
    const sizes = evenly(most, short ? 3 : 60)
    const trial = (n) => onSmallDisk(shared, limitsOf(n), `small-${what.length}-${n}`)
    const results = await pLimit(3).map(sizes, trial)
    const full = results.filter(({ wasFull }) => wasFull).length
    if (full === 0) faults.push(`${what}: never was full`)
    say(`${what}: ${full} of ${sizes.length} were full`)
    const good = `${full} were full; exit code 2, one line, the same bytes once there was space`
    rows.push(
      rowOf(
        `rdm-fit on ${what}`,
        good,
        results.map((result) => result.faults),
      ),
    )
    faults.push(...results.flatMap((result) => result.faults))
  }
  return { rows, faults }
}
