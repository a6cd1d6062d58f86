// rdm-paths count --budget: each r and depth within so many edges or parameters, and which of them has the most paths.
import { z } from 'zod'
import { type Architecture, convolutionsOf, residualNetwork } from '../../../graphs/residual.js'
import { UserError } from '../../core/errors.js'
import { parameterCount } from '../../core/model/cost.js'
import { grouped, table } from '../../driver/format/table.js'
import {
  type Configuration,
  type Cost,
  configurationsWithin,
  costFrom,
  costOf,
  edgeCost,
  ranks,
  unitsFor,
} from '../../study/paths/budget.js'
import { effectivePaths, type LayerRange, lengthsWithin, pathLengths } from '../../study/paths/lengths.js'
import { multiplicity } from '../../study/paths/multiplicity.js'
import { architectureFrom, type NetworkOptions } from '../architecture.js'
import { type Counted, checkRange, formatCount, formatRange } from './format.js'

const kinds = ['edges', 'params'] as const

export interface Budget {
  readonly kind: (typeof kinds)[number]
  /** The most that fits. */
  readonly limit: number
}

/**
 * Text like `edges=54` or `params=1.7M`. A plain number is the limit itself. One with k or M is rounded, as papers give
 * the sizes of networks, and everything that rounds to it fits: 1.7M is up to 1,749,999.
 */
export const budget: z.ZodType<Budget, string> = z.string().transform((text, context) => {
  const fail = (reason: string): never => {
    context.addIssue(reason)
    return z.NEVER
  }
  const [, name, number = ''] = /^([^=]*)=(.*)$/.exec(text) ?? []
  const kind = kinds.find((known) => known === name)
  if (!kind) return fail('Expected edges=COUNT or params=COUNT, such as edges=54 or params=1.7M')
  const [, whole, decimals = '', unit = ''] = /^(\d{1,9})(?:\.(\d{1,6}))?([kM]?)$/.exec(number) ?? []
  const zeros = (unit === 'M' ? 6 : unit === 'k' ? 3 : 0) - decimals.length
  if (whole === undefined || zeros < 0) return fail(`Expected a whole number after ${kind}=, such as 54, 97k or 1.7M`)
  const step = 10 ** zeros
  return { kind, limit: Number(`${whole}${decimals}`) * step + Math.ceil(step / 2) - 1 }
})

/** More edges than any network of the literature; the counts then have up to 1600 digits. */
const mostEdges = 10_000
/** What a network can be described with: residual functions a block, blocks a stage. */
const largest = 1000

const networkOptions = {
  edges: ['block'],
  params: ['block', 'widths', 'classes'],
} as const satisfies Record<Budget['kind'], readonly (keyof NetworkOptions)[]>

/** @throws UserError for an option that says what the budget is to find, or that it has no use for */
function checkOptions({ kind }: Budget, options: NetworkOptions): void {
  const names = ['arch', 'block', 'depth', 'blocks', 'r', 'reluDrop', 'functions', 'widths', 'classes'] as const
  const used: readonly string[] = networkOptions[kind]
  const clash = names.find((name) => options[name] !== undefined && !used.includes(name))
  if (clash)
    throw new UserError(
      `--budget ${kind} goes through networks by itself, and takes only ${used.map((name) => `--${name}`).join(', ')} ` +
        `with it: leave out --${clash === 'reluDrop' ? 'relu-drop' : clash}`,
    )
}

/**
 * What networks cost by r and depth. Their parameters are linear in r and in the blocks of a stage, so that four small
 * networks tell those of all.
 */
function costByBudget({ kind }: Budget, options: NetworkOptions): { cost: Cost; block: Architecture['block'] } {
  const { block = 'basic' } = options
  if (kind === 'edges') return { cost: edgeCost, block }
  const stages = options.widths?.length ?? 3
  const parametersOf = (r: number, n: number) => {
    const described = { ...options, block, r, blocks: new Array<number>(stages).fill(n) }
    return parameterCount(residualNetwork(architectureFrom(described).architecture))
  }
  return { cost: costFrom(parametersOf, stages), block }
}

/** @throws UserError for a budget that nothing fits, or one beyond what is counted */
function checkBudget({ kind, limit }: Budget, cost: Cost): void {
  const smallest = costOf(cost, 1, 1)
  if (limit < smallest)
    throw new UserError(
      `no network fits --budget ${kind}=${limit}: the smallest, one function a block and ` +
        `${cost.blocksPerUnit === 1 ? 'one block' : `${cost.blocksPerUnit} blocks`}, takes ${smallest}`,
    )
  if (kind === 'edges' && limit > mostEdges)
    throw new UserError(`a budget of ${grouped(limit)} edges is too large: expected at most ${grouped(mostEdges)}`)
  if (kind === 'params' && (unitsFor(cost, limit, 1) >= largest + 1 || unitsFor(cost, limit, largest + 1) >= 1))
    throw new UserError(
      `a budget of ${grouped(limit)} parameters is too large: it allows more than ${largest} residual functions a block ` +
        `or ${largest} blocks a stage`,
    )
}

export interface BudgetRequest {
  readonly range: LayerRange | undefined
  /** Also networks that are not full. */
  readonly all: boolean
}

/** @throws UserError for a budget that nothing fits, a range beyond all that fits, an option that does not go with it */
export function countBudget(budget: Budget, options: NetworkOptions, { range, all }: BudgetRequest): Counted {
  const { kind, limit } = budget
  checkOptions(budget, options)
  const { cost, block } = costByBudget(budget, options)
  checkBudget(budget, cost)
  const layersPerFunction = convolutionsOf({ block })
  const found = configurationsWithin(cost, limit).filter(({ full }) => all || full)
  const longest = Math.max(...found.map(({ blocks }) => blocks)) * layersPerFunction
  if (range) checkRange(range, longest, 'the networks that fit')
  const networks = ranked(found, layersPerFunction, range)
  const things = kind === 'edges' ? 'edges' : 'parameters'
  const title = `${block} blocks within ${grouped(limit)} ${things}`
  const winners = [`most paths: ${placedFirst(networks, 'rank')}`]
  if (range) {
    const some = networks.some(({ effectivePaths: count }) => count)
    const first = some ? placedFirst(networks, 'effectiveRank') : 'none has any'
    winners.push(`most effective paths, of ${formatRange(range)}: ${first}`)
  }
  return {
    text: `${title}\n${winners.join('\n')}\n\n${networkTable(networks, things, range !== undefined)}`,
    json: {
      budget,
      block,
      layersPerFunction,
      range: range ?? null,
      networks: networks.map(({ cost: used, ...rest }) => ({ ...rest, [things]: used })),
    },
    picture: ({ budgetSvg }) =>
      budgetSvg({
        title,
        subtitle: winners.join('; '),
        cost,
        limit,
        // The others lie below these.
        networks: networks.filter(({ full }) => full).sort((a, b) => a.r - b.r),
        range: range && formatRange(range),
      }),
  }
}

interface Ranked extends Configuration {
  readonly depth: number
  readonly multiplicity: bigint
  /** 1 has the most paths. */
  readonly rank: number
  /** Null, both, without a range. */
  readonly effectivePaths: bigint | null
  readonly effectiveRank: number | null
}

/** By falling multiplicity. */
function ranked(found: readonly Configuration[], layersPerFunction: number, range: LayerRange | undefined): Ranked[] {
  const paths = found.map(({ r, blocks }) => multiplicity(r, blocks))
  const effective =
    range &&
    found.map(({ r, blocks }) => {
      const lengths = pathLengths(r, blocks, lengthsWithin(range, layersPerFunction).last)
      return effectivePaths(lengths, range, layersPerFunction)
    })
  const [places, effectivePlaces] = [ranks(paths), effective && ranks(effective)]
  return found
    .map((configuration, i) => ({
      ...configuration,
      depth: configuration.blocks * layersPerFunction + 2,
      multiplicity: paths[i]!,
      rank: places[i]!,
      effectivePaths: effective?.[i] ?? null,
      effectiveRank: effectivePlaces?.[i] ?? null,
    }))
    .sort((a, b) => a.rank - b.rank)
}

const placedFirst = (networks: readonly Ranked[], key: 'rank' | 'effectiveRank') =>
  networks
    .filter((network) => network[key] === 1)
    .map(({ r, depth }) => `r = ${r} (depth ${depth})`)
    .join(', ')

function networkTable(networks: readonly Ranked[], things: string, withEffective: boolean): string {
  const header = ['rank', 'r', 'blocks', 'depth', things, 'multiplicity']
  const rows = networks.map((network) => [
    `${network.rank}`,
    `${network.r}`,
    `${network.blocks}`,
    `${network.depth}`,
    grouped(network.cost),
    formatCount(network.multiplicity),
    ...(withEffective ? [formatCount(network.effectivePaths!), `${network.effectiveRank}`] : []),
  ])
  return table([withEffective ? [...header, 'effective paths', 'rank'] : header, ...rows])
}
