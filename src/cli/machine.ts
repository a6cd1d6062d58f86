// The options that say how fast and where something is trained.
import { type Command, Option } from 'commander'
import { type Provider, providers, type RuntimeName, runtimes } from '../driver/runtime/protocol.js'
import { type TargetName, targetNames } from '../driver/targets/index.js'
import type { MachineSettings } from '../study/repro/job.js'
import { decimalNumber, parsedBy, wholeNumber } from './command.js'

export interface MachineFlags {
  readonly threads?: number
  readonly runtime?: RuntimeName
  readonly ep?: Provider
  readonly device?: number
  readonly target?: TargetName
  readonly stepsPerRun?: number
  readonly checkpointSeconds?: number
}

export const runtimeOption = () =>
  new Option(
    '--runtime <name>',
    'onnxruntime-node, or the training build of onnxruntime-web in WebAssembly (default: node)',
  ).choices(runtimes)

export const machineFlagNames = [
  'threads',
  'runtime',
  'ep',
  'device',
  'target',
  'stepsPerRun',
  'checkpointSeconds',
] as const satisfies readonly (keyof MachineFlags)[]

/** Gives a command the options for `machineSettings`. */
export function addMachineOptions(command: Command): Command {
  return command
    .option(
      '--threads <count>',
      'threads of a run (default: all cores, divided by --jobs)',
      parsedBy(wholeNumber(1, 1024)),
    )
    .addOption(runtimeOption())
    .addOption(
      new Option('--ep <provider>', 'execution provider: cuda for NVIDIA, webgpu for any GPU (default: cpu)').choices(
        providers,
      ),
    )
    .option(
      '--device <number>',
      'GPU to train on with --ep cuda, counted from 0 (default: 0)',
      parsedBy(wholeNumber(0, 1023)),
    )
    .addOption(
      new Option('--target <name>', 'how the step is written for the runtime (default: auto)').choices(targetNames),
    )
    .option(
      '--steps-per-run <count>',
      'steps in one run, with target ort-cuda (default: 100 on a GPU, 10 elsewhere) or ort-webgpu (default: by their nodes, 16 at most)',
      parsedBy(wholeNumber(1, 1_000_000)),
    )
    .option(
      '--checkpoint-seconds <seconds>',
      'time between checkpoints within an epoch (default: 60)',
      parsedBy(decimalNumber(0, 1e6)),
    )
}

export const machineSettings = (flags: MachineFlags): MachineSettings => ({
  threads: flags.threads,
  runtime: flags.runtime,
  provider: flags.ep,
  device: flags.device,
  target: flags.target,
  stepsPerRun: flags.stepsPerRun,
  checkpointSeconds: flags.checkpointSeconds,
})
