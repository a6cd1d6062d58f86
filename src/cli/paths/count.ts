// rdm-paths count: multiplicity, path lengths and effective paths, of one network or of all that a budget allows.

import type { Command } from 'commander'
import { UserError } from '../../core/errors.js'
import type { LayerRange } from '../../study/paths/lengths.js'
import { addNetworkOptions, type NetworkOptions } from '../architecture.js'
import { createProgram, parsedBy } from '../command.js'
import { print } from '../output.js'
import { type Budget, budget, countBudget } from './budget.js'
import { jsonLine, layerRange } from './format.js'
import { checkPicture, writePicture } from './measuring.js'
import { countNetwork } from './network.js'

interface CountOptions extends NetworkOptions {
  readonly range?: LayerRange
  readonly budget?: Budget
  readonly all?: true
  readonly out?: string
  readonly json?: true
}

export const countCommand = (): Command =>
  addNetworkOptions(
    createProgram('count', 'Count the paths through a network, or through each that a budget allows.', [
      'rdm-paths count --arch rdm56',
      'rdm-paths count --block bottleneck --depth 83 --r 2 --range 10:34 --out lengths.svg',
      'rdm-paths count --budget edges=54 --out edges.svg',
      'rdm-paths count --budget params=1.7M --range 10:34 --json',
    ]),
  )
    .option(
      '--range <n1:n2>',
      'count the effective paths, those of n1 to n2 layers; the first and the last of the network do not count',
      parsedBy(layerRange),
    )
    .option(
      '--budget <kind=limit>',
      'instead of one network, every r and depth within so many edges or params; ' +
        'with k or M whatever rounds to the limit fits: params=1.7M is up to 1,749,999',
      parsedBy(budget),
    )
    .option('--all', 'with --budget: also the networks that leave room for one more function or block')
    .option('--out <file>', 'write a picture, too: SVG or PNG, by the name')
    .option('--json', 'print one JSON object; whole numbers beyond 2^53 are strings')
    .action(run)

async function run({ budget: limit, all, range, out, json, ...network }: CountOptions): Promise<void> {
  if (all && !limit) throw new UserError('--all goes with --budget: add it, or leave out --all')
  checkPicture(out)
  const counted = limit ? countBudget(limit, network, { range, all: all === true }) : countNetwork(network, range)
  // Loaded where it is needed: the library for charts takes longer to start than all the rest.
  if (out !== undefined) await writePicture(out, counted.picture(await import('../../study/paths/pictures.js')))
  print(json ? jsonLine(counted.json) : counted.text)
}
