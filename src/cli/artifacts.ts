// rdm-export --artifacts: the files of ONNX Runtime's training API.

import { join } from 'node:path'
import { type Command, Option } from 'commander'
import writeFileAtomic from 'write-file-atomic'
import { messageOf, UserError } from '../core/errors.js'
import type { Graph } from '../core/graph/graph.js'
import { trainingArtifacts } from '../driver/artifacts/index.js'
import { type OptimizerName, optimizerNames } from '../driver/artifacts/optimizer.js'
import { makeFolder } from '../driver/folders.js'
import { decimalNumber, parsedBy } from './command.js'

export interface ArtifactsOptions {
  readonly artifacts?: string
  readonly optimizer?: OptimizerName
  readonly lr?: number
}

/** Those of `rdm-export` that mean something to the artifacts, or must not be there. */
interface GivenOptions extends ArtifactsOptions {
  readonly seed: number
  readonly recompute: boolean
  readonly weightDecay?: number
  readonly part: string
  readonly target: string
  readonly momentum?: number
  readonly nesterov?: true
  readonly gates?: true
  readonly recipe?: string
  readonly inline?: true
  readonly portableLevel?: string
  readonly opset?: number
  readonly out?: string
  readonly list?: true
  readonly describe?: true
}

export const addArtifactsOptions = (program: Command): Command =>
  program
    .option('--artifacts <folder>', "write the four files of ONNX Runtime's training API there")
    .addOption(
      new Option(
        '--optimizer <name>',
        'with --artifacts: AdamW, or SGD without momentum and weight decay (default: adamw)',
      ).choices(optimizerNames),
    )
    .option(
      '--lr <rate>',
      "with --artifacts: a fixed learning rate (default: the API's, 0.001 until it is set; a browser cannot set it)",
      parsedBy(decimalNumber(0, 1000)),
    )

/** @throws UserError for options that do not go together */
export function checkArtifactsOptions(options: GivenOptions): void {
  const { artifacts, optimizer, lr, part, target, weightDecay } = options
  if (artifacts === undefined) {
    const lonely = optimizer !== undefined ? '--optimizer' : lr !== undefined ? '--lr' : undefined
    if (lonely) throw new UserError(`${lonely} is for --artifacts: add --artifacts DIR, or leave it out`)
    return
  }
  const given: Readonly<Record<string, boolean>> = {
    '--part': part !== 'all',
    '--target': target !== 'portable',
    '--out': options.out !== undefined,
    '--inline': options.inline !== undefined,
    '--portable-level': options.portableLevel !== undefined,
    '--opset': options.opset !== undefined,
    '--list': options.list !== undefined,
    '--describe': options.describe !== undefined,
    '--recipe': options.recipe !== undefined,
    '--momentum': options.momentum !== undefined,
    '--nesterov': options.nesterov !== undefined,
    '--gates': options.gates !== undefined,
  }
  const clash = Object.keys(given).find((flag) => given[flag])
  if (clash)
    throw new UserError(
      `--artifacts writes four files for ONNX Runtime's training API, to which ${clash} means nothing: leave one of them out`,
    )
  if (optimizer === 'sgd' && weightDecay !== undefined)
    throw new UserError(
      "--weight-decay is not for --optimizer sgd: ONNX Runtime's has none; leave it out, or take --optimizer adamw",
    )
}

/** @throws UserError when the folder cannot be made */
export async function writeArtifacts(
  network: Graph,
  architecture: unknown,
  folder: string,
  { optimizer = 'adamw', lr, weightDecay, seed, recompute }: GivenOptions,
): Promise<void> {
  const files = trainingArtifacts(network, {
    optimizer,
    seed,
    recompute,
    architecture,
    ...(lr === undefined ? {} : { learningRate: lr }),
    ...(weightDecay === undefined ? {} : { weightDecay }),
  })
  await makeFolder(folder).catch((error: unknown) => {
    throw new UserError(`the folder of --artifacts cannot be made (${messageOf(error)}); name one that can`)
  })
  for (const [name, bytes] of Object.entries(files)) await writeFileAtomic(join(folder, name), Buffer.from(bytes))
}
