// What a network of a file is, what of it trains, and all that stands in the way.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isStatic } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { constant, formatType, nameOf, type Parameter } from '../graph/value.js'
import type { Loss } from '../losses/loss.js'
import { activationOf } from '../losses/scoring.js'
import { add, cast, reduceSum } from '../ops/index.js'
import { type BackwardOptions, backward, scored } from '../training/backward.js'

export interface Weight {
  readonly name: string
  readonly shape: readonly number[]
  readonly count: number
  readonly trains: boolean
}

export interface Explanation {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** What the loss compares: outputs of the network, and targets that it is fed besides; none where the loss does not fit. */
  readonly compared: readonly string[]
  readonly nodes: number
  /** Inputs with sizes beside the batch that only the run knows: `image=batch,3,height,width`. */
  readonly openInputs: readonly string[]
  /** Weights and running statistics, in the order of their use. */
  readonly weights: readonly Weight[]
  /** Why it cannot train as it is, node by node; none where it can. */
  readonly obstacles: readonly string[]
}

const described = ({ shape, origin: { name, trainable } }: Parameter): Weight => {
  const sizes = shape as readonly number[]
  return { name, shape: sizes, count: sizes.reduce((product, size) => product * size, 1), trains: trainable }
}

const refusalOf = (attempt: () => void): readonly string[] => {
  try {
    attempt()
    return []
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return [error.message]
  }
}

/** The sum of every float output: what a loss of any of them goes back through. */
const ofEveryOutput: Loss = ({ outputs }) => ({
  loss: [...outputs.values()]
    .filter(({ dtype }) => isFloat(dtype))
    .map((value) => cast(reduceSum(value, undefined, { keepdims: 0 }), 'float32'))
    .reduce((total, part) => add(total, part), constant('float32', 0)),
})

const SHOWN = 3

/** Nodes that no gradient passes: those of one operator with one reason together, since a file has many. */
function refusedNodes(network: Graph, options: BackwardOptions): readonly string[] {
  const alike = new Map<string, { readonly name: string; readonly messages: string[]; readonly places: string[] }>()
  const failed = refusalOf(() =>
    backward(network, {
      ...options,
      refused({ message }, { operator: { name }, scope }, reason) {
        // What it got instead has another name at each.
        const key = `: ${reason.replace(/, got .*/, '')}`
        const known = alike.get(name + key) ?? { name, messages: [], places: [] }
        alike.set(name + key, known)
        known.messages.push(message)
        if (scope !== '') known.places.push(scope)
      },
    }),
  )
  const told = [...alike].map(([key, { name, messages, places }]) => {
    const more = messages.length - SHOWN
    const shown = `${places.slice(0, SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
    const where = `${messages.length} nodes${places.length > 0 ? ` (${shown})` : ''}`
    return messages.length === 1 ? messages[0]! : `gradient of ${name} in ${where}${key.slice(name.length)}`
  })
  return [...failed, ...told]
}

/** Every reason why a network does not train by this loss; of one that does not fit, also why none of its outputs could. */
function obstaclesOf(network: Graph, options: BackwardOptions): readonly string[] {
  if (!network.parameters.some(({ origin }) => origin.trainable)) return ['the network has no weights that could train']
  const unfit = refusalOf(() => scored(network, options.loss, 'train'))
  if (unfit.length === 0) return refusedNodes(network, options)
  return [...unfit, ...refusedNodes(network, { ...options, loss: ofEveryOutput })]
}

/** What a loss compares, as a user has to feed it. */
function comparedBy(network: Graph, loss: Loss): readonly string[] {
  const { scoring } = scored(network, loss, 'train')
  const targets = new Map(scoring.targets.map((target) => [target.name, target]))
  return scoring.graph.inputs.map((value) => {
    const name = nameOf(value)
    const classes = targets.get(name)?.classes
    const output = targets.has(name) ? undefined : network.outputs.get(name)
    const activation = output && activationOf(output)
    const said = classes === undefined ? activation && `a ${activation.kind}` : `classes 0 to ${classes - 1}`
    return `${name} ${formatType(value)}${said ? `, ${said}` : ''}`
  })
}

/** @param network as `prepared` gives it */
export function explained(network: Graph, options: BackwardOptions): Explanation {
  let compared: readonly string[] = []
  refusalOf(() => {
    compared = comparedBy(network, options.loss)
  })
  return {
    inputs: network.inputs.map((value) => `${nameOf(value)} ${formatType(value)}`),
    outputs: [...network.outputs].map(([name, value]) => `${name} ${formatType(value)}`),
    compared,
    nodes: network.nodes.length,
    openInputs: network.inputs
      .filter(({ shape: [, ...sizes] }) => !isStatic(sizes))
      .map((value) => `${nameOf(value)}=${value.shape.join()}`),
    weights: network.parameters.map(described),
    obstacles: obstaclesOf(network, options),
  }
}
