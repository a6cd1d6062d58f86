// rdm-doctor: what this machine has for training, on its CPU and on GPUs.

import type { Command } from 'commander'
import { examine } from '../study/doctor/examine.js'
import { report } from '../study/doctor/report.js'
import { thisSystem } from '../study/doctor/system.js'
import { createProgram, parsedBy, runProgram, wholeNumber } from './command.js'
import { print } from './output.js'

/** Exit code when something does not work that should. */
const PROBLEM = 1

interface DoctorFlags {
  readonly device: number
  readonly json?: true
}

const doctorCommand = (): Command =>
  createProgram(
    'rdm-doctor',
    'Tell what this machine has for training: Node, ONNX Runtime, NVIDIA GPUs, CUDA, WebGPU; what works, and what to install. ' +
      'Ends with code 1 when something does not work that should.',
    ['rdm-doctor', 'rdm-doctor --device 1', 'rdm-doctor --json | jq .diagnosis'],
  )
    .option('--device <number>', 'the GPU to try by CUDA, counted from 0', parsedBy(wholeNumber(0, 255)), 0)
    .option('--json', 'print one JSON object')
    .action(async ({ device, json }: DoctorFlags) => {
      const examination = await examine(thisSystem(), device)
      print(json ? `${JSON.stringify(examination)}\n` : report(examination))
      if (examination.diagnosis.problems.length > 0) process.exitCode = PROBLEM
    })

export async function main(argv: string[]): Promise<void> {
  await runProgram(doctorCommand(), argv)
}
