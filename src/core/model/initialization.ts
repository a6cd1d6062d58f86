// Drawing first values anew: the file's own initialization, with seeds that follow from the seed of a run.

import { UserError } from '../errors.js'
import { ancestors, type Graph, graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { apply, type Node } from '../graph/value.js'
import type { ReadTrainingModel } from '../onnx/trainingInfo.js'
import { randomStream } from '../random.js'

export interface SeededInitialization {
  /** No inputs. */
  readonly graph: Graph
  /** Output → the state tensor whose first value it is. */
  readonly initial: Readonly<Record<string, string>>
}

/** ONNX's random operators, and no others, have the attribute `seed`. */
const isRandom = (node: Node): boolean => node.operator.attributes.seed !== undefined

/** Whole numbers, no two the same, that a float32 holds exactly; 0 is left out, which some generators take for 1. */
function distinctSeeds(seed: number, count: number): number[] {
  const random = randomStream(seed, 'initialization')
  const seeds = new Set<number>()
  while (seeds.size < count) seeds.add(1 + random.below(2 ** 24 - 1))
  return [...seeds]
}

/**
 * The part of the initialization that draws state, each random operator with a seed of its own: the same seed gives the
 * same numbers in the same runtime, another seed others.
 * @throws UserError when the file has no initialization, or one that draws nothing
 */
export function seededInitialization(
  { initialization, initial, updates }: Pick<ReadTrainingModel, 'initialization' | 'initial' | 'updates'>,
  seed: number,
): SeededInitialization {
  const bound = [...initial].filter(([name]) => updates.has(name))
  const outputs = new Map(bound.map(([, output]) => [output, initialization.outputs.get(output)!]))
  const drawn = ancestors(outputs.values()).filter(isRandom)
  if (drawn.length === 0) {
    throw new UserError(
      `the model ${bound.length === 0 ? 'has no initialization' : 'has an initialization that draws nothing'}, so its ` +
        'runs would all begin with the same weights: export it anew with rdm-export, or train it with --seed, which ' +
        'begins with the weights in the file',
    )
  }
  const seeds = distinctSeeds(seed, drawn.length)
  return {
    graph: rewrite(graph(initialization.name, [], outputs), (node, inputs) => {
      const index = drawn.indexOf(node)
      return index < 0 ? undefined : apply(node.operator, inputs, { ...node.attributes, seed: seeds[index]! })
    }),
    initial: Object.fromEntries(bound.map(([name, output]) => [output, name])),
  }
}
