// Attributes of a node, as its operator's record has them.

import { UserError } from '../errors.js'
import type { Attributes, AttributeValue, Operator } from '../graph/operator.js'
import { constant, constantTensor, type Value } from '../graph/value.js'
import { type AttributeProto, AttributeType } from './protos.js'
import { denseFromSparse } from './sparse.js'
import { type ExternalData, shortestFloat, tensorFromProto, toNumber } from './tensors.js'

const text = (bytes: Uint8Array | null | undefined): string => new TextDecoder().decode(bytes ?? new Uint8Array())

function attributeValue(proto: AttributeProto): AttributeValue | undefined {
  switch (proto.type) {
    case AttributeType.INT:
      return toNumber(proto.i ?? 0)
    case AttributeType.FLOAT:
      return shortestFloat(proto.f ?? 0)
    case AttributeType.STRING:
      return text(proto.s)
    case AttributeType.INTS:
      return (proto.ints ?? []).map(toNumber)
    case AttributeType.FLOATS:
      return (proto.floats ?? []).map(shortestFloat)
    case AttributeType.STRINGS:
      return (proto.strings ?? []).map(text)
    case AttributeType.TENSOR:
      return tensorFromProto(proto.t ?? {}, `the attribute '${proto.name}'`)
    default:
      return undefined
  }
}

const typeNames = {
  int: AttributeType.INT,
  float: AttributeType.FLOAT,
  string: AttributeType.STRING,
  ints: AttributeType.INTS,
  floats: AttributeType.FLOATS,
  strings: AttributeType.STRINGS,
  tensor: AttributeType.TENSOR,
  graph: AttributeType.GRAPH,
}

/** What a Constant node holds. */
export function constantOf(attribute: AttributeProto | undefined, external?: ExternalData): Value {
  switch (attribute?.name) {
    case 'value':
      return constantTensor(tensorFromProto(attribute.t ?? {}, 'its value', external))
    case 'sparse_value':
      return constantTensor(denseFromSparse(attribute.sparseTensor ?? {}, 'its value', external))
    case 'value_float':
      return constant('float32', attribute.f ?? 0)
    case 'value_floats':
      return constant('float32', attribute.floats ?? [])
    case 'value_int':
      return constant('int64', toNumber(attribute.i ?? 0))
    case 'value_ints':
      return constant('int64', (attribute.ints ?? []).map(toNumber))
    default:
      throw new UserError(`a constant given by '${attribute?.name ?? 'nothing'}' is not supported; use 'value'`)
  }
}

/** What a node is read by. */
export type Held = Pick<Operator, 'name' | 'attributes' | 'graphs'>

/**
 * The attributes of a node that are no graphs, by their record.
 * @throws UserError for one that the record does not have, or of another type
 */
export function readAttributes(protos: readonly AttributeProto[], record: Held): Attributes {
  const specs = record.attributes
  const read: Record<string, AttributeValue> = {}
  for (const proto of protos) {
    const name = proto.name ?? ''
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    const value = attributeValue(proto)
    if (!spec) {
      const known = Object.keys(specs).join(', ') || 'none'
      throw new UserError(`the attribute '${name}' (${String(value)}) is not supported; ${record.name} takes ${known}`)
    }
    if (value === undefined || typeNames[spec.kind] !== proto.type)
      throw new UserError(`the attribute '${name}' should be of type ${spec.kind}`)
    read[name] = value
  }
  return read
}
