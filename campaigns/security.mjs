// Hostile names, paths and files: nothing gets in or out.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { probeArchives, probePlans, probeRunFolders, probeStore } from './security/folders.mjs'
import { probeExternalData, probeNames } from './security/models.mjs'
import { probePages } from './security/pages.mjs'
import { guard } from './security/probes.mjs'
import { endAll, runCommand } from './support/children.mjs'

export const security = {
  title: 'Hostile names and files',
  about:
    'Models, data sets, archives, plans, stores and folders of runs that somebody else has made, with paths that lead outside, ' +
    'links, pipes, devices, bombs, scripts, terminal escapes and text that runs backwards in their names. Each command is to end ' +
    'in time, with what it was made for or a refusal in one line; to leave everything outside as it is and unread; and to print no ' +
    'control character. The report and the lab, in Chromium, are to run no script of a name and to ask nothing of elsewhere. The ' +
    'server of the lab is to answer this machine alone.',
  async run({ short, folder, say }) {
    const guarded = guard(folder)
    const found = []
    try {
      const data = join(folder, 'data')
      await runCommand('rdm-data', ['synth', data, '--train', '40', '--test', '20'])
      const plan = join(folder, 'tiny.yaml')
      writeFileSync(
        plan,
        'format: rdm-onnx plan 1\nseeds: 1\nepochs: 1\nbatch: 8\nmodels:\n  - {name: plain, blocks: [1, 1], widths: [2, 2]}\n',
      )
      const experiment = join(folder, 'experiment')
      const small = ['--threads', '1', '--target', 'portable']
      await runCommand('rdm-repro', [plan, '--data', data, '--out', experiment, ...small])
      const made = { experiment, run: join(experiment, 'plain/seed-1'), short }
      const parts = {
        'the pages': () => probePages(guarded, made, { short }),
        'tensors elsewhere': () => probeExternalData(guarded, { short }),
        'names on a terminal': () => probeNames(guarded, { short }),
        'folders of runs': () => probeRunFolders(guarded, made),
        plans: () => probePlans(guarded, data, { short }),
        archives: () => probeArchives(guarded),
        stores: () => probeStore(guarded),
      }
      for (const [name, probe] of Object.entries(parts)) {
        say(name)
        await probe()
        for (const fault of guarded.faults.splice(0)) {
          say(`FAULT ${fault}`)
          found.push(fault)
        }
      }
      return { columns: ['what', 'probes', 'what came of it'], rows: guarded.rows, faults: found }
    } finally {
      await endAll()
    }
  },
}
