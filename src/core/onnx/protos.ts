// The small messages of a file: attributes, types of values, imports of operator sets.

import {
  type AttributeKind,
  type AttributeValue,
  type Body,
  ONNX_DOMAIN,
  TRAINING_DOMAIN,
  type Type,
} from '../graph/operator.js'
import { isUnknown } from '../graph/shape.js'
import { type Numbers, narrow, type Tensor } from '../graph/tensor.js'
import type { Node } from '../graph/value.js'
import { onnxTypes } from '../ops/elementwise.js'
import { OTHER_VERSION } from './opsets.js'
import {
  type AttributeProto,
  AttributeType,
  type FunctionProto,
  type GraphProto,
  type NodeProto,
  type OperatorSetIdProto,
  type ValueInfoProto,
} from './schema.js'
import { tensorToProto } from './tensors.js'

export { type AttributeProto, AttributeType, type FunctionProto, type GraphProto, type NodeProto }
export type ValueInfo = ValueInfoProto

/** @param writeBody writes a graph that is an attribute */
export function attributeProto(
  name: string,
  kind: AttributeKind,
  value: AttributeValue,
  writeBody: (body: Body) => GraphProto,
): AttributeProto {
  switch (kind) {
    case 'int':
      return { name, type: AttributeType.INT, i: value as number }
    case 'float':
      return { name, type: AttributeType.FLOAT, f: value as number }
    case 'string':
      return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value as string) }
    case 'ints':
      return { name, type: AttributeType.INTS, ints: [...(value as readonly number[])] }
    case 'floats':
      return { name, type: AttributeType.FLOATS, floats: [...(value as readonly number[])] }
    case 'strings':
      return {
        name,
        type: AttributeType.STRINGS,
        strings: (value as readonly string[]).map((s) => new TextEncoder().encode(s)),
      }
    case 'tensor':
      return { name, type: AttributeType.TENSOR, t: tensorToProto('', narrow(value as Tensor | Numbers)) }
    case 'graph':
      return { name, type: AttributeType.GRAPH, g: writeBody(value as Body) }
  }
}

type Entry = [name: string, kind: AttributeKind, value: AttributeValue]

const isUsual = ({ operator }: Node, [name, , value]: Entry): boolean =>
  String(value) === String(operator.attributes[name]!.default)

/** The attributes that are given. */
function* givenAttributes({ operator, attributes }: Node): Generator<Entry> {
  for (const [name, { kind }] of Object.entries(operator.attributes)) {
    const value = attributes[name]
    if (value !== undefined) yield [name, kind, value]
  }
}

/** The attributes that are given and not the usual ones. */
export const unusualAttributes = (node: Node): Entry[] =>
  [...givenAttributes(node)].filter((entry) => !isUsual(node, entry))

/**
 * What a file says of a node. A call gives all attributes that its function lists, as ONNX wants it. Windows are said in full,
 * as all exporters do: rten 0.27 knows no usual strides of two dimensions.
 */
export function writtenAttributes(node: Node): Entry[] {
  const { domain } = node.operator
  return [...givenAttributes(node)].filter(
    (entry) => !isUsual(node, entry) || domain === TRAINING_DOMAIN || (domain === ONNX_DOMAIN && entry[1] === 'ints'),
  )
}

export function valueInfo(name: string, { dtype, shape }: Type, docString: string | null = null): ValueInfo {
  const dim = shape.map((size) =>
    typeof size === 'number' ? { dimValue: size } : isUnknown(size) ? {} : { dimParam: size },
  )
  return { name, docString, type: { tensorType: { elemType: onnxTypes[dtype], shape: { dim } } } }
}

/** A version of ONNX's own operators, and every other domain that the nodes name. */
export function opsetImport(version: number, nodes: readonly NodeProto[] = []): OperatorSetIdProto[] {
  const others = new Set<string>()
  const collect = ({ domain, attribute }: NodeProto): void => {
    if (domain) others.add(domain)
    for (const { g } of attribute ?? []) g?.node?.forEach(collect)
  }
  nodes.forEach(collect)
  return [{ domain: ONNX_DOMAIN, version }, ...[...others].map((domain) => ({ domain, version: OTHER_VERSION }))]
}
