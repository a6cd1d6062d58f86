// The options that say which network is meant.

import { type Command, Option } from 'commander'
import { maskList, numberList } from '../study/text.js'
import { parsedBy, wholeNumber } from './command.js'

export { architectureFrom, formatFunctions, type NetworkOptions } from '../../graphs/describe.js'

/** Gives a command the options that say which network is meant: its blocks, functions, widths and classes. */
export function addNetworkOptions(command: Command): Command {
  const kinds = 'two 3×3 convolutions, or 1×1, 3×3, 1×1 (default: by --functions, else basic)'
  return command
    .option('--arch <name>', 'a network of the zoo')
    .addOption(new Option('--block <kind>', kinds).choices(['basic', 'bottleneck']))
    .option(
      '--depth <layers>',
      'layers of the network: 6n + 2 (basic) or 9n + 2 (bottleneck)',
      parsedBy(wholeNumber(2, 100_000)),
    )
    .option('--blocks <counts>', 'blocks of each stage, instead of --depth', parsedBy(numberList))
    .option('--r <count>', 'residual functions a block (default: 1)', parsedBy(wholeNumber(1, 1000)))
    .option(
      '--relu-drop <count>',
      'how many of them drop their first ReLUs (default: 0)',
      parsedBy(wholeNumber(0, 1000)),
    )
    .option('--functions <masks>', 'each residual function: 1 keeps a ReLU, 0 drops it (11,01)', parsedBy(maskList))
    .option('--widths <channels>', 'width of each stage (default: 16,32,64)', parsedBy(numberList))
    .option('--classes <count>', 'classes (default: 10)', parsedBy(wholeNumber(2, 256)))
}
