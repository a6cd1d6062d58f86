// The disk fills, turns read-only, goes away; the clock goes backwards; two write at once.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { endAll, startProgram } from './support/children.mjs'

const inside = join(import.meta.dirname, 'disk/inside.mjs')
/** Mounts that nobody else sees, and that go with the process, whatever ends it. */
const ownMounts = ['--map-root-user', '--mount', '--kill-child']

const canMount = (folder) =>
  spawnSync('unshare', [...ownMounts, 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', folder]).status === 0

export const disk = {
  title: 'Disks and clocks',
  about:
    'A file system (tmpfs) of each size up to what a run needs, page by page, so that space ends at every one of its writes; likewise ' +
    'of each number of files; one that turns read-only, and a folder that goes away, in the middle of a run; a clock that goes backwards; several ' +
    'processes that begin or take up one run at a time. The command must end with exit code 2 and one line, what has its final name must be ' +
    'whole, and once there is space, the run taken up by `--resume` must end in the bytes of the undisturbed run.',
  async run({ short, seed, folder, say }) {
    const mounts = canMount(folder)
    const argv = [inside, JSON.stringify({ short, seed, folder, mounts })]
    try {
      // The last line is the result.
      const lines = []
      const onLine = (line) => (line.startsWith('{') ? lines.push(line) : say(line))
      const program = mounts ? ['unshare', [...ownMounts, process.execPath, ...argv]] : [process.execPath, argv]
      const { code, signal, err } = await startProgram(...program, { onLine }).finished
      if (code !== 0) throw new Error(`the campaign ended with ${code ?? signal}: ${err}`)
      return { columns: ['what', 'times', 'came of it'], ...JSON.parse(lines.at(-1)) }
    } finally {
      await endAll()
    }
  },
}
