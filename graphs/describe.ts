// The network that a user describes: one of the zoo by name, or any other by its parts. And how its functions are written.

import type { z } from 'zod'
import { UserError } from '../src/core/errors.js'
import { nearest } from '../src/core/near.js'
import { AIRBENCH } from './airbench.js'
import { base } from './entry.js'
import { pixelStatistics } from './pixels.js'
import type { RecipeName } from './recipes.js'
import { type Architecture, architectureSchema, convolutionsOf, depthOf } from './residual.js'
import { findNetwork, networkNames } from './zoo.js'

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

/** A key as users write it: relu-drop. */
export const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

type Spelled = (key: keyof NetworkOptions) => string
const asOption: Spelled = (key) => `--${kebab(key)}`

/** Blocks of each stage for a depth of 6n + 2 or 9n + 2 layers. */
function blocksForDepth(depth: number, block: Architecture['block'], stages: number, spelled: Spelled): number[] {
  const perBlock = convolutionsOf({ block })
  const period = perBlock * stages
  const n = (depth - 2) / period
  if (Number.isInteger(n) && n >= 1) return new Array<number>(stages).fill(n)
  const below = Math.max(1, Math.floor(n))
  const possible = [...new Set([below, below + 1])].map((count) =>
    depthOf({ block, blocks: new Array<number>(stages).fill(count) }),
  )
  throw new UserError(
    `${spelled('depth')} ${depth} is not possible for ${block} blocks in ${stages} equal stages: expected ${period}n + 2, nearest are ` +
      `${possible.join(' and ')}; or give the blocks of each stage with ${spelled('blocks')}`,
  )
}

/** r masks, the last `dropped` of them without their first ReLUs, as the paper drops them: 01, 001. */
function masks(block: Architecture['block'], r: number, dropped: number, spelled: Spelled): string[] {
  if (dropped > r)
    throw new UserError(
      `${spelled('reluDrop')} ${dropped} is more than the ${r} residual functions of ${spelled('r')}; expected 0 to ${r}`,
    )
  const length = convolutionsOf({ block })
  return Array.from({ length: r }, (_, i) => (i < r - dropped ? '1'.repeat(length) : `${'0'.repeat(length - 1)}1`))
}

function fromParts(options: NetworkOptions, spelled: Spelled): Architecture {
  const { r, reluDrop, functions, depth, blocks } = options
  // Masks of three digits can only belong to bottlenecks.
  const block = options.block ?? (functions?.every((mask) => mask.length === 3) ? 'bottleneck' : 'basic')
  if (functions && (r !== undefined || reluDrop !== undefined)) {
    throw new UserError(
      `${spelled('functions')} already says each residual function: leave out ${spelled('r')} and ${spelled('reluDrop')}`,
    )
  }
  if (depth !== undefined && blocks)
    throw new UserError(`${spelled('depth')} and ${spelled('blocks')} say the same: give one of them`)
  if (depth === undefined && !blocks) {
    throw new UserError(
      `no network is given: name one with ${spelled('arch')} (see rdm-export --list), or describe one with ` +
        `${spelled('block')} and ${spelled('depth')} or ${spelled('blocks')}`,
    )
  }
  const widths = [...(options.widths ?? base.widths)]
  const chosen = functions ? [...functions] : masks(block, r ?? 1, reluDrop ?? 0, spelled)
  const counts = blocks ? [...blocks] : blocksForDepth(depth!, block, widths.length, spelled)
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
 * @param spelled how the user gives a part, for messages
 * @throws UserError for an unknown name (with the nearest), an impossible depth (with the nearest), a mask that does not fit
 */
export function architectureFrom(
  options: NetworkOptions,
  spelled: Spelled = asOption,
): { architecture: Architecture; recipe: RecipeName } {
  const entry = options.arch === undefined ? undefined : findNetwork(options.arch)
  if (options.arch !== undefined && !entry) {
    throw new UserError(
      `there is no network '${options.arch}'; nearest are ${nearest(options.arch, [...networkNames(), AIRBENCH]).join(', ')} (rdm-export --list shows all)`,
    )
  }
  const clash = entry && describing.find((key) => options[key] !== undefined)
  if (clash)
    throw new UserError(`${spelled('arch')} ${options.arch} already says its ${kebab(clash)}: leave one of the two out`)
  const found = entry?.architecture ?? fromParts(options, spelled)
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
