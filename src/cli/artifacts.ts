// --artifacts of rdm-export and rdm-derive: the files of ONNX Runtime's training API.

import { join } from 'node:path'
import type { Command } from 'commander'
import { messageOf, UserError } from '../core/errors.js'
import type { Graph } from '../core/graph/graph.js'
import type { Schedule } from '../core/training/schedule.js'
import { trainingArtifacts } from '../driver/artifacts/index.js'
import type { ModelOptions } from '../driver/artifacts/models.js'
import { type OptimizerName, optimizerNames } from '../driver/artifacts/optimizer.js'
import { makeFolder } from '../driver/folders.js'
import { writeOutput } from '../driver/output.js'
import type { StepFlags } from './stepOptions.js'

export interface ArtifactsOptions {
  readonly artifacts?: string
}

/** Those of a command that mean something to the artifacts, or must not be there. */
interface GivenOptions extends ArtifactsOptions, StepFlags {
  readonly part: string
  readonly inline?: true
  readonly portableLevel?: string
  readonly opset?: number
  readonly out?: string
}

export const addArtifactsOptions = (program: Command): Command =>
  program.option('--artifacts <folder>', "write the four files of ONNX Runtime's training API there")

const isOptimizer = (name: string): name is OptimizerName => (optimizerNames as readonly string[]).includes(name)

/** The rate of a schedule that has one. */
const fixedRate = (schedule: Schedule): number | undefined =>
  'kind' in schedule || schedule.length > 1 ? undefined : schedule[0]![1]

/**
 * @param others flags of the command that mean nothing beside the artifacts, and whether they were given
 * @throws UserError for options that do not go together
 */
export function checkArtifactsOptions(options: GivenOptions, others: Readonly<Record<string, boolean>>): void {
  const { artifacts, optimizer, part, weightDecay } = options
  if (artifacts === undefined) return
  const given: Readonly<Record<string, boolean>> = {
    ...others,
    '--part': part !== 'all',
    '--out': options.out !== undefined,
    '--inline': options.inline !== undefined,
    '--portable-level': options.portableLevel !== undefined,
    '--opset': options.opset !== undefined,
    '--momentum': options.momentum !== undefined,
    '--nesterov': options.nesterov !== undefined,
    '--set': options.set !== undefined,
    '--clip-norm': options.clipNorm !== undefined,
    '--ema': options.ema !== undefined,
    '--group': options.group !== undefined,
  }
  const clash = Object.keys(given).find((flag) => given[flag])
  if (clash)
    throw new UserError(
      `--artifacts writes four files for ONNX Runtime's training API, to which ${clash} means nothing: leave one of them out`,
    )
  if (optimizer !== undefined && !isOptimizer(optimizer))
    throw new UserError(`--artifacts knows the optimizers ${optimizerNames.join(' and ')}, not ${optimizer}`)
  if (options.lr !== undefined && fixedRate(options.lr) === undefined)
    throw new UserError('--artifacts takes one rate with --lr, which ONNX Runtime keeps: a schedule is for rdm-fit')
  if (optimizer === 'sgd' && weightDecay !== undefined)
    throw new UserError(
      "--weight-decay is not for --optimizer sgd: ONNX Runtime's has none; leave it out, or take --optimizer adamw",
    )
}

export interface ArtifactsSource extends ModelOptions {
  readonly seed: number
  readonly architecture?: unknown
}

/** @throws UserError when the folder cannot be made */
export async function writeArtifacts(
  network: Graph,
  folder: string,
  { optimizer = 'adamw', lr, weightDecay, recompute }: GivenOptions,
  source: ArtifactsSource,
): Promise<void> {
  const rate = lr && fixedRate(lr)
  const files = trainingArtifacts(network, {
    ...source,
    optimizer: optimizer as OptimizerName,
    recompute,
    ...(rate === undefined ? {} : { learningRate: rate }),
    ...(weightDecay === undefined ? {} : { weightDecay }),
  })
  await makeFolder(folder).catch((error: unknown) => {
    throw new UserError(`the folder of --artifacts cannot be made (${messageOf(error)}); name one that can`)
  })
  for (const [name, bytes] of Object.entries(files)) await writeOutput(join(folder, name), bytes)
}
