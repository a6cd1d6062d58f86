// rdm-paths: the paths through residual networks.

import { createProgram, runProgram } from './command.js'
import { countCommand } from './paths/count.js'
import { measureCommand } from './paths/measure.js'

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-paths', 'Count the paths through residual networks.', [
    'rdm-paths count --arch rdm56 --range 10:34',
    'rdm-paths count --budget params=1.7M',
  ])
  program.addCommand(countCommand()).addCommand(measureCommand())
  await runProgram(program, argv)
}
