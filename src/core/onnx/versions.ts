// Versions of ONNX's operators that are older than the records. What they lack is said otherwise before a graph is written;
// an input of a record that is an attribute in them is written and read as one. The table is `since` and `before` of the
// records, from the operators' changelog (docs/Changelog.md of the onnx repository).

import { UserError } from '../errors.js'
import { ancestors, type Graph } from '../graph/graph.js'
import {
  type Body,
  isBody,
  ML_DOMAIN,
  type OlderForm,
  ONNX_DOMAIN,
  type Operator,
  PREVIEW_DOMAIN,
  PREVIEW_TRAINING_DOMAIN,
} from '../graph/operator.js'
import { rebuild, rewrite, rewriteOutputs } from '../graph/rewrite.js'
import { apply, constant, GraphError, type Node, requireConstant, type Value } from '../graph/value.js'
import { type AttributeProto, AttributeType } from './protos.js'
import { toNumber } from './tensors.js'

const isPreview = (domain: string): boolean => domain === PREVIEW_DOMAIN || domain === PREVIEW_TRAINING_DOMAIN

const isLater = ({ domain, since }: Operator, version: number): boolean =>
  isPreview(domain) || domain === ML_DOMAIN || (domain === ONNX_DOMAIN && version < since)

/** Whether a version of ONNX's operators has no more what others make up. */
const isGone = ({ domain, until, body }: Operator, version: number): boolean =>
  domain === ONNX_DOMAIN && until !== undefined && version > until && body !== undefined

/** What a version of ONNX's operators has in the place of a record; undefined where it has the record itself. */
const olderForm = (operator: Operator, version: number): OlderForm<never> | undefined =>
  isLater(operator, version) && operator.before !== 'nothing' ? operator.before : undefined

/** Whether a graph holds an operator that came after a version. */
const needsLater = ({ nodes }: Pick<Graph, 'nodes'>, version: number): boolean =>
  nodes.some(
    ({ operator, attributes }) =>
      isLater(operator, version) ||
      isGone(operator, version) ||
      Object.values(attributes).some((value) => isBody(value) && needsLater(value.graph, version)),
  )

/** Whether the outputs are the same values, so that all behind them is. */
const isSame = (a: Graph, b: Graph): boolean =>
  [...a.outputs.values()].every((value, i) => value === [...b.outputs.values()][i])

/**
 * A pass after which a graph needs nothing that the version lacks: of a composite its body takes the place. Graphs that share
 * nodes share them afterwards too.
 */
export function atVersion(version: number): (source: Graph) => Graph {
  const said = new Map<Node, readonly Value[]>()
  const kept = (node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] => {
    const bodies = Object.entries(node.attributes).filter((entry): entry is [string, Body] => isBody(entry[1]))
    const passed = bodies.map(([name, body]): [string, Body] => [name, { ...body, graph: pass(body.graph) }])
    if (passed.every(([, { graph }], i) => isSame(graph, bodies[i]![1].graph))) return rebuild(node, inputs)
    return apply(node.operator, inputs, { ...node.attributes, ...Object.fromEntries(passed) })
  }
  const pass = (source: Graph): Graph =>
    rewrite(source, (node, inputs) => {
      const outputs = said.get(node) ?? instead(node, inputs) ?? kept(node, inputs)
      said.set(node, outputs)
      return outputs
    })
  const instead = ({ operator, attributes }: Node, inputs: readonly (Value | undefined)[]) => {
    const later = isLater(operator, version)
    if (!later && !isGone(operator, version)) return undefined
    const { name, since, before } = operator
    if (later && before === 'nothing')
      throw new GraphError(
        `${name} came with version ${since} of the ONNX operators, and nothing before says the same; ask for that version`,
      )
    const outputs =
      later && before && before !== 'nothing'
        ? before.instead(inputs, attributes as never, version)
        : operator.body?.(inputs as readonly Value[], attributes as never)
    // Its own operators may be later ones as well.
    return outputs && inner(outputs, inputs)
  }
  /** What took a node's place, at the version. */
  const inner = (outputs: readonly Value[], inputs: readonly (Value | undefined)[]): readonly Value[] => {
    const from = new Set(inputs.filter((value) => value !== undefined))
    const named = new Map(outputs.map((value, i) => [String(i), value]))
    const nodes = ancestors(outputs, from)
    if (!needsLater({ nodes }, version)) return outputs
    return [
      ...rewriteOutputs(
        { nodes, outputs: named },
        (node, operands) => instead(node, operands) ?? kept(node, operands),
      ).values(),
    ]
  }
  return (source) => (needsLater(source, version) ? pass(source) : source)
}

/** What a node is made of in a file. */
export interface Spelling {
  readonly inputs: readonly (Value | undefined)[]
  readonly attributes: readonly AttributeProto[]
}

/** The inputs of a node as a version has them: those that are attributes there, and the rest. */
export function toVersion(version: number, { operator, inputs }: Node): Spelling {
  const moved = Object.entries(olderForm(operator, version)?.inputsAsAttributes ?? {})
  const attributes = moved.flatMap(([name, place]): AttributeProto[] => {
    const value = inputs[place]
    return value ? [{ name, type: AttributeType.INTS, ints: [...requireConstant(value, name)] }] : []
  })
  return { inputs: inputs.filter((_, i) => !moved.some(([, place]) => place === i)), attributes }
}

/**
 * What a node of a file has by the version of the file, as the record has it.
 * @throws UserError for an input or an attribute that came later
 */
export function fromVersion(version: number, record: Operator, { inputs, attributes }: Spelling): Spelling {
  const form = olderForm(record, version)
  if (!form) return { inputs, attributes }
  const { inputsAsAttributes = {}, mostInputs = inputs.length, lacks = [] } = form
  const came = `came with version ${record.since} of the ONNX operators, and this is version ${version}: leave it out`
  if (inputs.length > mostInputs) throw new UserError(`its input ${mostInputs} ${came}`)
  const newer = attributes.find(({ name }) => lacks.includes(name ?? ''))
  if (newer) throw new UserError(`the attribute '${newer.name}' ${came}`)
  const all = [...inputs]
  const own = attributes.filter(({ name, type, ints }) => {
    if (!name || !Object.hasOwn(inputsAsAttributes, name)) return true
    if (type !== AttributeType.INTS) throw new UserError(`the attribute '${name}' should be of type ints`)
    all[inputsAsAttributes[name]!] = constant('int64', (ints ?? []).map(toNumber))
    return false
  })
  return { inputs: all, attributes: own }
}
