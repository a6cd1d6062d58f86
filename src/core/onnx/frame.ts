// What a node of a file is read in: the names, attributes and version in force there.

import { messageOf, UserError } from '../errors.js'
import type { Operator } from '../graph/operator.js'
import type { AttributeProto, FunctionProto } from './protos.js'
import type { Named } from './sequences.js'

/** Names in force where a node is read. */
export interface Frame {
  readonly values: Map<string, Named>
  /** Attributes of the function call that is being read; `ref_attr_name` refers to them. */
  readonly attributes: ReadonlyMap<string, AttributeProto>
  /** Prefix of node names, of inlined calls. */
  readonly scope: string
  /** How many function calls this frame lies in. */
  readonly depth: number
  /** Of ONNX's operators. */
  readonly version: number
  /** The function whose body is read; none in a graph. */
  readonly body?: FunctionProto
}

/**
 * What a record says of a node before the node is made, and with that checked: there inputs and attributes that its version demands are
 * taken for granted.
 */
export function asDemanded<T>({ name }: Pick<Operator, 'name'>, { version }: Frame, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(
      `is not as version ${version} has ${name} (${messageOf(error)}); check its inputs and attributes`,
    )
  }
}

/** An attribute as it stands at this call: a reference is looked up, and left out where the call does not give it. */
export function resolved(proto: AttributeProto, { attributes, body }: Frame): AttributeProto[] {
  if (!proto.refAttrName) return [proto]
  const given = attributes.get(proto.refAttrName)
  if (given) return [{ ...given, name: proto.name ?? '' }]
  if (body?.attribute?.includes(proto.refAttrName)) return []
  throw new UserError(
    `the attribute '${proto.name}' refers to '${proto.refAttrName}', which neither the call gives nor the function has a default for; give it at the call`,
  )
}
