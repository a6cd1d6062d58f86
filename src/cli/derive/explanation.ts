// --explain: what a network is, what of it trains, and what stands in the way, as text.

import type { Explanation } from '../../core/derive/explain.js'
import { grouped, table } from '../../driver/format/table.js'

/** @param leftOut operators behind the value that the network ends at */
export function described(explanation: Explanation, leftOut: readonly string[]): string {
  const { inputs, outputs, compared, nodes, weights, obstacles, openInputs } = explanation
  const count = (chosen: Explanation['weights']) => grouped(chosen.reduce((sum, { count }) => sum + count, 0))
  const training = weights.filter(({ trains }) => trains)
  const rows = weights.map(({ name, shape, count, trains }) => [
    name,
    `[${shape.join(', ')}]`,
    grouped(count),
    trains ? 'yes' : 'no',
  ])
  return [
    `takes ${inputs.join(', ')}`,
    `gives ${outputs.join(', ')}`,
    ...(leftOut.length === 0 ? [] : [`what follows is left out: ${leftOut.join(', ')}`]),
    ...(compared.length === 0 ? [] : [`its loss compares ${compared.join(' and ')}`]),
    `${nodes} nodes, ${weights.length} weights of ${count(weights)} numbers, of which ${count(training)} train`,
    ...(weights.length === 0 ? [] : ['', table([['weight', 'shape', 'numbers', 'trains'], ...rows])]),
    ...(obstacles.length === 0
      ? ['It can be trained.']
      : ['It cannot be trained as it is:', ...obstacles.map((obstacle) => `- ${obstacle}`)]),
    ...(openInputs.length > 0 && obstacles.some((obstacle) => /needs known|known before/.test(obstacle))
      ? [
          `Sizes that the file leaves open can be said, with numbers for names: --shape '${openInputs.join("' --shape '")}'.`,
        ]
      : []),
    '',
  ].join('\n')
}
