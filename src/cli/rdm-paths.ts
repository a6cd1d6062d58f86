// rdm-paths: the paths through residual networks, counted and measured.

import { createProgram, runProgram } from './command.js'
import { countCommand } from './paths/count.js'
import { lesionCommand } from './paths/lesion.js'
import { measureCommand } from './paths/measure.js'

export async function main(argv: string[]): Promise<void> {
  const program = createProgram(
    'rdm-paths',
    'Count the paths through residual networks, and look at them in trained ones.',
    [
      'rdm-paths count --arch rdm56 --range 10:34',
      'rdm-paths count --budget params=1.7M',
      'rdm-paths measure runs/rdm56/model.onnx --data cifar-10-batches-bin',
      'rdm-paths lesion runs/rdm56/model.onnx --data cifar-10-batches-bin',
    ],
  )
  program.addCommand(countCommand()).addCommand(measureCommand()).addCommand(lesionCommand())
  await runProgram(program, argv)
}
