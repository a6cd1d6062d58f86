// rdm-paths count, of one network.
import { type Architecture, convolutionsOf, depthOf, residualNetwork, totalBlocks } from '../../../graphs/residual.js'
import { parameterCount } from '../../core/model/cost.js'
import { grouped, table } from '../../driver/format/table.js'
import { effectivePaths, type LayerRange, lengthsWithin, pathLengths } from '../../study/paths/lengths.js'
import { multiplicity } from '../../study/paths/multiplicity.js'
import { architectureFrom, formatFunctions, type NetworkOptions } from '../architecture.js'
import { type Counted, checkRange, formatCount, formatRange, fraction, percent } from './format.js'

/** @throws UserError for a network that is not possible, a range beyond it */
export function countNetwork(options: NetworkOptions, range: LayerRange | undefined): Counted {
  const { architecture } = architectureFrom(options)
  const { name, block, functions } = architecture
  const [r, blocks, layersPerFunction] = [functions.length, totalBlocks(architecture), convolutionsOf(architecture)]
  if (range) checkRange(range, blocks * layersPerFunction, name)
  const lengths = pathLengths(r, blocks)
  const count = {
    name,
    block,
    depth: depthOf(architecture),
    r,
    functions,
    parameters: parametersOf(architecture),
    blocks,
    edges: blocks * (1 + r),
    layersPerFunction,
    multiplicity: multiplicity(r, blocks),
    // The mean of Bin(b, r / (1 + r)).
    meanFunctions: (blocks * r) / (1 + r),
  }
  const effective = range ? effectivePaths(lengths, range, layersPerFunction) : undefined
  const share = effective === undefined ? undefined : percent(effective, count.multiplicity)
  const within = range && { ...lengthsWithin(range, layersPerFunction), text: `${formatRange(range)}: ${share} %` }
  const rows = lengths.map((paths, k) => [
    `${k}`,
    `${k * layersPerFunction}`,
    formatCount(paths),
    percent(paths, count.multiplicity),
    within && k >= within.first && k <= within.last ? 'effective' : '',
  ])
  const text = [
    `${name}: ${block} blocks, ${count.depth} layers, r = ${r} (${formatFunctions(functions)}), ` +
      `${grouped(count.parameters)} parameters\n`,
    `${blocks} blocks of ${1 + r} edges, ${grouped(count.edges)} in all: ` +
      `${1 + r}^${blocks} = ${formatCount(count.multiplicity)} paths\n`,
    `on average a path goes through ${count.meanFunctions.toFixed(2)} of ${blocks} functions at most, ` +
      `${(count.meanFunctions * layersPerFunction).toFixed(2)} of ${blocks * layersPerFunction} layers\n\n`,
    table([['functions', 'layers', 'paths', 'share %', ''], ...rows]),
    range ? `\neffective paths, of ${formatRange(range)}: ${formatCount(effective!)}, ${share} % of all\n` : '',
  ]
  return {
    text: text.join(''),
    json: {
      ...count,
      lengths: lengths.map((paths, k) => ({ functions: k, layers: k * layersPerFunction, paths })),
      effective: range ? { ...range, paths: effective, share: fraction(effective!, count.multiplicity) } : null,
    },
    picture: ({ lengthsSvg }) =>
      lengthsSvg({
        title: `${name}: ${1 + r}^${blocks} = ${formatCount(count.multiplicity)} paths`,
        lengths,
        layersPerFunction,
        within,
      }),
  }
}

/** Parameters are linear in r, whatever ReLUs are dropped: two networks tell those of a thousand functions a block. */
function parametersOf(architecture: Architecture): number {
  const [mask] = architecture.functions
  const count = (r: number) =>
    parameterCount(residualNetwork({ ...architecture, functions: new Array<string>(r).fill(mask!) }))
  const [one, two] = [count(1), count(2)]
  return one + (two - one) * (architecture.functions.length - 1)
}
