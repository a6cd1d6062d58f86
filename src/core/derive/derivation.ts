// What of a network is differentiated, by what.

import { UserError } from '../errors.js'
import { ancestors, type Graph } from '../graph/graph.js'
import { isFloat } from '../graph/tensor.js'
import { formatType, type GraphError, nameOf, type Value } from '../graph/value.js'
import { meant } from '../near.js'
import { Namer } from '../onnx/names.js'
import { matching } from '../training/groups.js'

/** Vector-Jacobian (reverse mode), Jacobian-vector (forward mode) and Hessian-vector products. */
export const products = ['vjp', 'jvp', 'hvp'] as const
/** `vjp`: vector-Jacobian product, reverse mode. `jvp`: Jacobian-vector product, forward mode. `hvp`: Hessian-vector product. */
export type Product = (typeof products)[number]

/** A value, and what the file calls it. */
export interface Named {
  readonly name: string
  readonly value: Value
}

/** What is differentiated, by what. */
export interface Derivation {
  readonly network: Graph
  readonly of: readonly Named[]
  readonly wrt: readonly Named[]
  readonly product: Product
  /** Is told of each node that no gradient passes. */
  readonly refused: (error: GraphError) => void
}

export interface Choice {
  /** Names of outputs; all of floats unless given. */
  readonly of?: readonly string[] | undefined
  /**
   * Names of inputs, of weights or of outputs (those that `readNetwork` was asked for among them), and patterns of names (`fc.*`) of
   * inputs and weights; all inputs of floats unless given.
   */
  readonly wrt?: readonly string[] | undefined
}

/**
 * The values that are named.
 * @throws UserError for names that are not there, for what is no float, and where no X leads to any Y
 */
export function chosen(network: Graph, { of, wrt }: Choice): Pick<Derivation, 'of' | 'wrt'> {
  const listed = (values: Iterable<Value>) => [...values].map((value): [string, Value] => [nameOf(value), value])
  const fed = listed(network.inputs)
  const leaves = new Map([...fed, ...listed(network.parameters)])
  const values = new Map([...network.outputs, ...leaves])
  const ys = unique((of ?? floats(network.outputs)).map((name) => found(name, network.outputs, 'output')))
  const reached = new Set(ancestors(ys.map(({ value }) => value)).flatMap(({ inputs }) => inputs))
  for (const { value } of ys) reached.add(value)
  const named = wrt?.flatMap((name) =>
    values.has(name) || !name.includes('*') ? [name] : matching(name, [...leaves.keys()]),
  )
  const xs = unique((named ?? floats(new Map(fed))).map((name) => found(name, values, 'input, weight or value')))
  const names = ys.map(({ name }) => `'${name}'`).join(', ')
  const given = (values: ReadonlyMap<string, Value>) =>
    [...values].map(([name, value]) => `'${name}' ${formatType(value)}`).join(', ') || 'nothing'
  if (ys.length === 0)
    throw new UserError(
      `the network gives ${given(network.outputs)}; only floats have derivatives: name an inner value (--of)`,
    )
  if (xs.length === 0)
    throw new UserError(
      `the network takes ${given(new Map(fed))}; only floats have derivatives: name weights or inner values (--wrt)`,
    )
  const apart = wrt && xs.find(({ value }) => !reached.has(value))
  if (apart) throw new UserError(`'${apart.name}' does not lead to ${names}: there is nothing to differentiate`)
  return { of: ys, wrt: xs }
}

const floats = (values: ReadonlyMap<string, Value>): readonly string[] =>
  [...values].filter(([, { dtype }]) => isFloat(dtype)).map(([name]) => name)

const unique = (all: readonly Named[]): readonly Named[] => [...new Map(all.map((one) => [one.name, one])).values()]

function found(name: string, values: ReadonlyMap<string, Value>, what: string): Named {
  const value = values.get(name)
  if (!value) throw new UserError(`the network has no ${what} '${name}'; ${meant(name, [...values.keys()])}`)
  if (!isFloat(value.dtype))
    throw new UserError(
      `'${name}' is ${formatType(value)}; only floats have derivatives: take ${
        floats(values)
          .slice(0, 3)
          .map((other) => `'${other}'`)
          .join(', ') || 'another'
      }`,
    )
  return { name, value }
}

/** Names that nothing of a network has. */
export function namerFor({ inputs, parameters, outputs }: Graph): Namer {
  const namer = new Namer()
  for (const value of [...inputs, ...parameters]) namer.reserve(nameOf(value))
  for (const name of outputs.keys()) namer.reserve(name)
  return namer
}
