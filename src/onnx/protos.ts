// The small messages of a file: attributes, types of values, imports of operator sets.

import onnxProto from 'onnx-proto'
import { type AttributeKind, type AttributeValue, type Body, ONNX_DOMAIN, type Type } from '../graph/operator.js'
import type { Node } from '../graph/value.js'
import { onnxTypes } from '../ops/elementwise.js'
import { OTHER_VERSION } from './opsets.js'

export type GraphProto = onnxProto.onnx.IGraphProto
export type NodeProto = onnxProto.onnx.INodeProto
export type FunctionProto = onnxProto.onnx.IFunctionProto
export type AttributeProto = onnxProto.onnx.IAttributeProto
export type ValueInfo = onnxProto.onnx.IValueInfoProto

export const { AttributeType } = onnxProto.onnx.AttributeProto

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
    case 'graph':
      return { name, type: AttributeType.GRAPH, g: writeBody(value as Body) }
  }
}

/** The attributes that are given and not the usual ones. */
export function* unusualAttributes({ operator, attributes }: Node): Generator<[string, AttributeKind, AttributeValue]> {
  for (const [name, { kind, default: usual }] of Object.entries(operator.attributes)) {
    const value = attributes[name]
    if (value !== undefined && String(value) !== String(usual)) yield [name, kind, value]
  }
}

export function valueInfo(name: string, { dtype, shape }: Type, docString: string | null = null): ValueInfo {
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }))
  return { name, docString, type: { tensorType: { elemType: onnxTypes[dtype], shape: { dim } } } }
}

/** A version of ONNX's own operators, and every other domain that the nodes name. */
export function opsetImport(version: number, nodes: readonly NodeProto[] = []): onnxProto.onnx.IOperatorSetIdProto[] {
  const others = new Set<string>()
  const collect = ({ domain, attribute }: NodeProto): void => {
    if (domain) others.add(domain)
    for (const { g } of attribute ?? []) g?.node?.forEach(collect)
  }
  nodes.forEach(collect)
  return [{ domain: ONNX_DOMAIN, version }, ...[...others].map((domain) => ({ domain, version: OTHER_VERSION }))]
}
