// Every command that writes is killed at drawn moments.

import { join } from 'node:path'
import { killFetches } from './killed/fetches.mjs'
import { killFits } from './killed/fits.mjs'
import { killOutputs } from './killed/outputs.mjs'
import { endAll } from './support/children.mjs'

export const killed = {
  title: 'Killed',
  about:
    'SIGKILL at drawn moments of each command’s life, half of them anywhere between its first instruction and its last, half right after ' +
    'a file changed. Runs are taken up again by `--resume`, perhaps killed again, and must end in the bytes of the undisturbed run: ' +
    'model, metrics, checkpoint, curves, configuration. At every kill each file that has its final name must be whole; every other ' +
    'command is done again, and must end in the bytes that it gives undisturbed.',
  async run({ short, seed, folder, say }) {
    // What the runs find out about this machine is theirs.
    const env = { XDG_CACHE_HOME: join(folder, 'cache') }
    const shared = { short, seed, folder, say, env, limit: 3 }
    try {
      const parts = [await killFits(shared), await killOutputs(shared), await killFetches(shared)]
      return {
        columns: ['what', 'runs', 'kills', 'the same bytes in the end, no half file at a kill'],
        rows: parts.flatMap(({ rows }) => rows),
        faults: parts.flatMap(({ faults }) => faults),
      }
    } finally {
      await endAll()
    }
  },
}
