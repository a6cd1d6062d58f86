// rdm-report: what an experiment, several runs or single ones came to, as a page.

import { join } from 'node:path'
import { UserError } from '../core/errors.js'
import { requirePackages } from '../driver/optional.js'
import { readFolders } from '../study/report/read.js'
import { reportOf } from '../study/report/report.js'
import { createProgram, runProgram } from './command.js'
import { print } from './output.js'

interface ReportFlags {
  readonly out?: string
}

export async function main(argv: string[]): Promise<void> {
  const program = createProgram(
    'rdm-report',
    'Write a page of what runs came to: Table 1, Figure 2, training curves, times, configuration.',
    ['rdm-report runs/small', 'rdm-report runs/five', 'rdm-report runs/rdm8 runs/rdm8-wide --out report'],
  )
    .argument('<folders...>', 'what rdm-repro or rdm-fit wrote: experiments, several runs, single runs, in any state')
    .option('--out <folder>', 'where to (default: the folder report in the given one)')
    .action(report)
  await runProgram(program, argv)
}

async function report(folders: readonly string[], { out }: ReportFlags): Promise<void> {
  const [first, ...others] = folders
  if (out === undefined && others.length > 0)
    throw new UserError('where to? Several folders have no place in common: give one with --out')
  requirePackages('a report needs', ['echarts', 'sharp'])
  const made = reportOf(await readFolders(folders))
  // The chart library takes most of a second to load, which a folder that is refused should not cost.
  const { writeReport } = await import('../study/report/write.js')
  const [page, ...pictures] = await writeReport(made, out ?? join(first!, 'report'))
  print(`${made.standing}\n`)
  for (const path of [page!, ...pictures]) print(`${path}\n`)
}
