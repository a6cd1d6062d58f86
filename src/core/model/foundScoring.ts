// The loss of a step by itself, where the file does not say it: cut out of the step behind what the network gives.

import { UserError } from '../errors.js'
import { ancestors, type Graph, graph } from '../graph/graph.js'
import { rewriteOutputs } from '../graph/rewrite.js'
import { unifyShapes } from '../graph/shape.js'
import { input, nameOf, type Value } from '../graph/value.js'

export interface FoundScoring {
  /** From outputs of the network, its inputs and the targets to the loss and what the metrics are made from. */
  readonly scoring: Graph
  /** The network, with more outputs where the loss needs them. */
  readonly network: Graph
}

/** What the nodes before some values begin with, where these are taken as they are. */
const leavesOf = (values: readonly Value[], from: ReadonlySet<Value>): ReadonlySet<Value> => {
  const nodes = ancestors(values, from)
  const made = new Set(nodes.flatMap(({ outputs }) => outputs))
  const used = [...values, ...nodes.flatMap(({ inputs }) => inputs)]
  return new Set(used.filter((value): value is Value => value !== undefined && (from.has(value) || !made.has(value))))
}

/** Values that depend on one of some others, these included. */
function dependent(nodes: Graph['nodes'], on: readonly Value[]): ReadonlySet<Value> {
  const found = new Set(on)
  for (const { inputs, outputs } of nodes)
    if (inputs.some((value) => value && found.has(value))) for (const value of outputs) found.add(value)
  return found
}

/**
 * Cuts the loss out of a step: behind the outputs of the network; else behind values inside the network, which become outputs
 * of it, and numbers that follow from the weights alone; else, where a step has a forward pass of its own (batch norms in
 * training form), behind what has the type of an output.
 * @param measured what is wanted, by its names: the loss, and what the metrics are made from. Metrics that need more than the
 *   network gives are left out
 * @throws UserError where the loss does
 */
export function foundScoring(
  network: Graph,
  step: Graph,
  targets: readonly Value[],
  loss: string,
  measured: ReadonlyMap<string, Value>,
): FoundScoring {
  const value = measured.get(loss)!
  const given = new Set<Value>([...targets, ...network.inputs])
  const isGiven = (leaf: Value, from: ReadonlySet<Value>) =>
    from.has(leaf) || given.has(leaf) || leaf.origin.kind === 'constant'
  const fits = (wanted: Value, from: ReadonlySet<Value>) =>
    [...leavesOf([wanted], from)].every((leaf) => isGiven(leaf, from))
  const own = new Map([...network.outputs].map(([name, output]) => [output, name]))
  const cuts = [() => own, () => inside(network, step, own), () => alike(network, step, targets, value, own)]
  for (const cut of cuts) {
    const names = cut()
    const from = new Set(names.keys())
    if (fits(value, from))
      return scoringFrom(
        network,
        targets,
        names,
        kept(measured, (wanted) => fits(wanted, from)),
      )
  }
  throw new UserError(
    `the loss '${loss}' of the training step does not follow from what the network gives, so that nothing could be evaluated: let it be computed from outputs of the inference graph`,
  )
}

const kept = (values: ReadonlyMap<string, Value>, keeps: (value: Value) => boolean) =>
  new Map([...values].filter(([, value]) => keeps(value)))

/** All values inside the network, and the numbers of the step that follow from weights alone, with names of their own. */
function inside(network: Graph, step: Graph, own: ReadonlyMap<Value, string>): ReadonlyMap<Value, string> {
  const fed = dependent(step.nodes, step.inputs)
  const numbers = step.nodes.flatMap(({ outputs }) =>
    outputs.filter((value) => value.shape.length === 0 && !fed.has(value)),
  )
  const inner = [...network.nodes.flatMap(({ outputs }) => outputs), ...numbers].filter((value) => !own.has(value))
  const taken = new Set([...step.outputs.keys(), ...own.values()])
  const names = inner.map((_, i) => `inner.${i}`).filter((name) => !taken.has(name))
  return new Map([...own, ...inner.slice(0, names.length).map((value, i) => [value, names[i]!] as const)])
}

/** What the loss compares with the targets, each as the only output of the network of its type. */
function alike(
  { outputs }: Graph,
  step: Graph,
  targets: readonly Value[],
  loss: Value,
  own: ReadonlyMap<Value, string>,
): ReadonlyMap<Value, string> {
  const compared = dependent(step.nodes, targets)
  const nodes = ancestors([loss]).filter((node) => node.outputs.some((value) => compared.has(value)))
  const predicted = nodes.flatMap(({ inputs }) => inputs.filter((value) => value && !compared.has(value))) as Value[]
  const names = predicted.flatMap((value): [Value, string][] => {
    const same = [...outputs].filter(
      ([, output]) => output.dtype === value.dtype && unifyShapes(output.shape, value.shape),
    )
    return value.origin.kind === 'node' && same.length === 1 ? [[value, same[0]![0]]] : []
  })
  return new Map([...own, ...names])
}

function scoringFrom(
  network: Graph,
  targets: readonly Value[],
  names: ReadonlyMap<Value, string>,
  measured: ReadonlyMap<string, Value>,
): FoundScoring {
  const from = new Set(names.keys())
  const values = [...measured.values()]
  const leaves = [...leavesOf(values, from)].filter(({ origin }) => origin.kind !== 'constant')
  const fed = new Map<Value, Value>()
  const byName = new Map<string, Value>()
  for (const leaf of leaves) {
    const name = names.get(leaf) ?? nameOf(leaf)
    const known = byName.get(name) ?? input(name, leaf.dtype, leaf.shape)
    byName.set(name, known)
    fed.set(leaf, known)
  }
  const unused = targets.filter((target) => !fed.has(target))
  const outputs = rewriteOutputs({ nodes: ancestors(values, from), outputs: measured }, () => undefined, {
    leaves: fed,
  })
  const more = leaves.flatMap((leaf): [string, Value][] => {
    const name = names.get(leaf)
    return name === undefined || network.outputs.has(name) ? [] : [[name, leaf]]
  })
  return {
    scoring: graph(`${network.name}.loss`, [...byName.values(), ...unused], outputs),
    network: more.length === 0 ? network : graph(network.name, network.inputs, new Map([...network.outputs, ...more])),
  }
}
