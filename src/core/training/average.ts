// An average of the weights: what the network predicts with is the average of what trains. For each averaged tensor NAME of the
// network, NAME.fast is the one that trains.

import type { Graph } from '../graph/graph.js'
import { rewriteOutputs } from '../graph/rewrite.js'
import { input, type Parameter, parameter, rootScope, type Value } from '../graph/value.js'
import { add, div, equal, floor, mul, sub, where } from '../ops/index.js'

/** Of what the average keeps of itself. */
export const AVERAGE_DECAY = 'average_decay'
export const FAST = '.fast'

/** An average of the weights, kept beside them and evaluated in their place. */
export interface Average {
  /**
   * From 0 to 1, what the average keeps of itself at each update of it: average′ = decay · average + (1 − decay) · weight. A
   * hyperparameter of the step, `average_decay`.
   */
  readonly decay: number
  /** Optimizer steps from one update of the average to the next; 1 unless given. */
  readonly every?: number
  /** Lookahead (Zhang et al. 2019): training goes on from the average after each update of it. */
  readonly lookahead?: boolean
}

export interface Averaged {
  readonly outputs: ReadonlyMap<string, Value>
  /** Each state, and the output that replaces it. */
  readonly next: ReadonlyMap<Parameter, Value>
  readonly hyperparameter: Value
}

/**
 * @param source the nodes and outputs of a step that trains the parameters of the network themselves
 * @param next what replaces each state, a value of the source
 * @param averaged the parameters of the network among the states
 * @param count optimizer steps so far, this one counted, float32 []
 */
export function withAverage(
  source: Pick<Graph, 'nodes'>,
  outputs: ReadonlyMap<string, Value>,
  next: ReadonlyMap<Parameter, Value>,
  averaged: readonly Parameter[],
  count: Value,
  { every = 1, lookahead = false }: Pick<Average, 'every' | 'lookahead'>,
): Averaged {
  const fast = new Map(averaged.map((slow) => [slow, fastOf(slow)]))
  const names = new Map([...next].map(([state, value]) => [`${state.origin.name}.next`, { state, value }]))
  const all = new Map([...outputs, ...[...names].map(([name, { value }]): [string, Value] => [name, value])])
  const moved = rewriteOutputs({ nodes: source.nodes, outputs: new Map([...all, ['count', count]]) }, () => undefined, {
    leaves: fast,
  })
  const decay = input(AVERAGE_DECAY, 'float32', [])
  const due =
    every === 1
      ? undefined
      : rootScope('average/due', () => {
          const done = moved.get('count')!
          return equal(sub(done, mul(floor(div(done, every)), every)), 0)
        })
  const when = (fresh: Value, old: Value) => (due ? where(due, fresh, old) : fresh)
  const results = new Map<Parameter, Value>()
  for (const [name, { state }] of names) {
    const trained = moved.get(name)!
    const own = fast.get(state)
    if (!own) {
      results.set(state, trained)
      continue
    }
    const slow = rootScope(`average/${state.origin.name}`, () =>
      when(add(mul(state, decay), mul(trained, sub(1, decay))), state),
    )
    results.set(state, slow)
    results.set(own, lookahead ? rootScope(`average/${own.origin.name}`, () => when(slow, trained)) : trained)
  }
  return {
    outputs: new Map([...outputs.keys()].map((name) => [name, moved.get(name)!])),
    next: results,
    hyperparameter: decay,
  }
}

/** What trains in the place of a parameter; it begins where that does. */
const fastOf = (slow: Parameter): Parameter =>
  rootScope('', () =>
    parameter(
      `${slow.origin.name}${FAST}`,
      slow.shape as readonly number[],
      { kind: 'copy', of: slow },
      {
        trainable: slow.origin.trainable,
        dtype: slow.dtype,
      },
    ),
  )
