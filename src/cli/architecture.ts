// The network that rdm-export's options describe: one of the zoo by name, or any other by its parts.

import { type Command, Option } from 'commander'
import leven from 'leven'
import { z } from 'zod'
import { base } from '../../graphs/entry.js'
import { pixelStatistics } from '../../graphs/pixels.js'
import type { RecipeName } from '../../graphs/recipes.js'
import { type Architecture, architectureSchema, convolutionsOf, depthOf } from '../../graphs/residual.js'
import { findNetwork, networkNames } from '../../graphs/zoo.js'
import { UserError } from '../errors.js'
import { parsedBy, wholeNumber } from './command.js'

export interface NetworkOptions {
  readonly arch?: string
  readonly block?: Architecture['block']
  readonly depth?: number
  readonly blocks?: readonly number[]
  readonly r?: number
  readonly reluDrop?: number
  readonly functions?: readonly string[]
  readonly widths?: readonly number[]
  readonly classes?: number
  readonly imageSize?: number
  readonly activation?: Architecture['activation']
  readonly shortcut?: Architecture['shortcut']
  readonly stochasticDepth?: number
  readonly pixels?: keyof typeof pixelStatistics
}

/** Text like `9,9,9`. */
export const numberList = z
  .string()
  .regex(/^\d{1,6}(,\d{1,6})*$/, { error: 'Expected whole numbers with commas between them, such as 9,9,9' })
  .transform((text) => text.split(',').map(Number))
const maskList = z
  .string()
  .regex(/^[01]+(,[01]+)*$/, { error: 'Expected masks with commas between them, such as 11,01' })
  .transform((text) => text.split(','))

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

/** The names most like a wrong one. */
export function nearest(name: string, names: readonly string[], count = 3): string[] {
  const distance = new Map(names.map((candidate) => [candidate, leven(name.toLowerCase(), candidate)]))
  return [...names].sort((a, b) => distance.get(a)! - distance.get(b)!).slice(0, count)
}

/** Blocks of each stage for a depth of 6n + 2 or 9n + 2 layers. */
function blocksForDepth(depth: number, block: Architecture['block'], stages: number): number[] {
  const perBlock = convolutionsOf({ block })
  const period = perBlock * stages
  const n = (depth - 2) / period
  if (Number.isInteger(n) && n >= 1) return new Array<number>(stages).fill(n)
  const below = Math.max(1, Math.floor(n))
  const possible = [...new Set([below, below + 1])].map((count) =>
    depthOf({ block, blocks: new Array<number>(stages).fill(count) }),
  )
  throw new UserError(
    `--depth ${depth} is not possible for ${block} blocks in ${stages} equal stages: expected ${period}n + 2, nearest are ` +
      `${possible.join(' and ')}; or give the blocks of each stage with --blocks`,
  )
}

/** r masks, the last `dropped` of them without their first ReLUs, as the paper drops them: 01, 001. */
function masks(block: Architecture['block'], r: number, dropped: number): string[] {
  if (dropped > r)
    throw new UserError(`--relu-drop ${dropped} is more than the ${r} residual functions of --r; expected 0 to ${r}`)
  const length = convolutionsOf({ block })
  return Array.from({ length: r }, (_, i) => (i < r - dropped ? '1'.repeat(length) : `${'0'.repeat(length - 1)}1`))
}

function fromParts(options: NetworkOptions): Architecture {
  const { r, reluDrop, functions, depth, blocks } = options
  // Masks of three digits can only belong to bottlenecks.
  const block = options.block ?? (functions?.every((mask) => mask.length === 3) ? 'bottleneck' : 'basic')
  if (functions && (r !== undefined || reluDrop !== undefined)) {
    throw new UserError('--functions already says each residual function: leave out --r and --relu-drop')
  }
  if (depth !== undefined && blocks) throw new UserError('--depth and --blocks say the same: give one of them')
  if (depth === undefined && !blocks) {
    throw new UserError(
      'no network is given: name one with --arch (see rdm-export --list), or describe one with --block and --depth or --blocks',
    )
  }
  const widths = [...(options.widths ?? base.widths)]
  const chosen = functions ? [...functions] : masks(block, r ?? 1, reluDrop ?? 0)
  const counts = blocks ? [...blocks] : blocksForDepth(depth!, block, widths.length)
  return {
    ...base,
    name: `${block}-${counts.join('-')}x${chosen.join('-')}`,
    block,
    blocks: counts,
    functions: chosen,
    widths,
  }
}

const describing = ['block', 'depth', 'blocks', 'r', 'reluDrop', 'functions'] as const

/**
 * The architecture, and the recipe that belongs to it.
 * @throws UserError for an unknown name (with the nearest), an impossible depth (with the nearest), a mask that does not fit
 */
export function architectureFrom(options: NetworkOptions): { architecture: Architecture; recipe: RecipeName } {
  const entry = options.arch === undefined ? undefined : findNetwork(options.arch)
  if (options.arch !== undefined && !entry) {
    throw new UserError(
      `there is no network '${options.arch}'; nearest are ${nearest(options.arch, networkNames()).join(', ')} (rdm-export --list shows all)`,
    )
  }
  const clash = entry && describing.find((key) => options[key] !== undefined)
  if (clash)
    throw new UserError(
      `--arch ${options.arch} already says its ${clash === 'reluDrop' ? 'relu-drop' : clash}: leave one of the two out`,
    )
  const found = entry?.architecture ?? fromParts(options)
  const { classes, imageSize, activation, shortcut, stochasticDepth, widths } = options
  const pixels = options.pixels ?? (classes === 100 ? 'cifar100' : 'cifar10')
  const given = { classes, imageSize, activation, shortcut, stochasticDepth, ...(entry ? { widths } : {}) }
  const changed = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const result = architectureSchema.safeParse({ ...found, ...changed, pixels: pixelStatistics[pixels] })
  if (!result.success) throw new UserError(result.error.issues.map((issue) => describeIssue(issue)).join('; '))
  return { architecture: result.data, recipe: entry?.recipe ?? 'paper' }
}

const describeIssue = ({ path, message }: z.core.$ZodIssue) =>
  path.length > 0 ? `${path.join('.')}: ${message}` : message

/** Masks as they come; more than two equal ones in a row are counted: 23 × 11. */
export function formatFunctions(functions: readonly string[]): string {
  const runs: { mask: string; count: number }[] = []
  for (const mask of functions) {
    const last = runs.at(-1)
    if (last?.mask === mask) last.count++
    else runs.push({ mask, count: 1 })
  }
  const texts = runs.flatMap(({ mask, count }) => (count > 2 ? `${count} × ${mask}` : new Array(count).fill(mask)))
  return texts.join(',')
}
