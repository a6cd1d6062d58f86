// The primitives of a model as local functions: FunctionProtos.

import { type Graph, graph } from '../graph/graph.js'
import { type Doc, TRAINING_DOMAIN } from '../graph/operator.js'
import { textOf } from '../graph/tensor.js'
import { input, type Node, rootScope, type Value } from '../graph/value.js'
import { Namer } from './names.js'
import { type FunctionProto, type NodeProto, opsetImport, unusualAttributes } from './protos.js'
import { encodeMessage } from './wire.js'

/** Writes primitives out: the body of a function. */
export type ExpandNode = (node: Node, inputs: readonly (Value | undefined)[]) => readonly Value[] | undefined

/** `ConvWeightGrad_k3x3_s2x2`: the primitive, then each attribute that is not the usual one. */
function variantName(node: Node): string {
  const parts = unusualAttributes(node).map(([name, , value]) => {
    const text = String(value).replaceAll(',', 'x').replaceAll('.', 'p').replaceAll('-', 'm')
    return `${name[0]}${text}`
  })
  return [node.operator.name, ...parts].join('_')
}

/** What the function of a composite that does not say it is written with. */
export function usualDoc({ operator, inputs, outputs }: Node): Doc | undefined {
  if (!operator.body || operator.domain !== TRAINING_DOMAIN) return undefined
  const named = (letter: string, values: readonly unknown[]) => values.map((_, i) => `${letter}${i + 1}`)
  return { inputs: named('x', inputs), outputs: named('y', outputs), text: `${operator.name}.` }
}

/** One function for each distinct body, whatever shapes it is called with. */
export class FunctionTable {
  private readonly byBody = new Map<string, FunctionProto>()
  private readonly namer = new Namer()

  /**
   * @param version of ONNX's operators
   * @param writeBody writes the nodes of a body
   */
  constructor(
    private readonly version: number,
    private readonly expand: ExpandNode,
    private readonly writeBody: (body: Graph) => NodeProto[],
  ) {}

  /** The name of the function that computes this node. */
  call(node: Node, doc: Doc): string {
    const inputs = node.inputs.map((value, i) => value && input(doc.inputs[i]!, value.dtype, value.shape))
    const outputs = rootScope('', () => this.expand(node, inputs))
    if (!outputs) throw new Error(`${node.operator.name} has no body to write`)
    const body = graph(
      node.operator.name,
      inputs.filter((value) => value !== undefined),
      Object.fromEntries(outputs.map((value, i) => [doc.outputs[i]!, value])),
    )
    const proto: FunctionProto = {
      domain: TRAINING_DOMAIN,
      docString: doc.text,
      input: doc.inputs.slice(0, inputs.length),
      output: [...doc.outputs],
      attribute: Object.keys(node.operator.attributes).filter((name) => node.attributes[name] !== undefined),
      opsetImport: opsetImport(this.version),
      node: this.writeBody(body),
    }
    const encoded = encodeMessage('FunctionProto', { ...proto, name: variantName(node) })
    const key = textOf(encoded)
    const known = this.byBody.get(key)
    if (known) return known.name!
    const name = this.namer.unique(variantName(node))
    this.byBody.set(key, { ...proto, name })
    return name
  }

  protos(): FunctionProto[] {
    return [...this.byBody.values()]
  }
}
