// Versions 1 to 6 of ONNX's operators, said as version 7 has them: from docs/Changelog.md of the onnx repository.

import { UserError } from '../errors.js'
import { requireKnown } from '../graph/dims.js'
import type { Value } from '../graph/value.js'
import { int64, onnxTypes, unsqueeze } from '../ops/index.js'
import { type AttributeProto, AttributeType } from './protos.js'
import { toNumber } from './tensors.js'
import type { Spelling } from './versions.js'

/** Until version 7 the second operand of these has the shape of the first, or broadcasts to it where an attribute says so. */
const aligned: readonly string[] = 'Add Sub Mul Div Pow And Or Xor Equal Greater Less'.split(' ')

/** What says nothing of the result: which inputs may be overwritten, whether an output is wanted, which outputs there are. */
const hints: readonly string[] = ['consumed_inputs', 'output_sequence']

/** The attributes of a node, which are taken one by one. */
class Taken {
  constructor(readonly rest: AttributeProto[]) {}

  take(name: string): AttributeProto | undefined {
    const at = this.rest.findIndex((attribute) => attribute.name === name)
    return at < 0 ? undefined : this.rest.splice(at, 1)[0]
  }
  int(name: string): number | undefined {
    const attribute = this.take(name)
    return attribute && toNumber(attribute.i ?? 0)
  }
  add(name: string, type: number, value: Pick<AttributeProto, 'i' | 'f' | 'ints' | 'floats'>): void {
    if (!this.rest.some((attribute) => attribute.name === name)) this.rest.push({ name, type, ...value })
  }
}

type Change = (inputs: (Value | undefined)[], attributes: Taken, version: number) => void

/** From the axis of `a` on that is named, `b` has its dimensions; at the end unless an axis is named. */
const broadcast: Change = (inputs, attributes) => {
  const [a, b] = inputs
  const isAsked = attributes.int('broadcast') === 1
  const axis = attributes.int('axis')
  if (!isAsked || axis === undefined || !a || !b) return
  const from = axis < 0 ? axis + a.shape.length : axis
  const behind = a.shape.length - from - b.shape.length
  if (behind < 0)
    throw new UserError(`axis ${axis} leaves no place for the ${b.shape.length} dimensions of the second input`)
  if (behind > 0) inputs[1] = unsqueeze(b, ...Array.from({ length: behind }, (_, i) => b.shape.length + i))
}

const { INT, INTS, FLOAT, FLOATS } = AttributeType
const elementTypes: Readonly<Record<string, string>> = { DOUBLE: 'float64', FLOAT: 'float32' }

const changes: Readonly<Record<string, Change>> = {
  ...Object.fromEntries(aligned.map((name) => [name, broadcast])),
  Gemm: (_, attributes) => void attributes.take('broadcast'),
  // A slope for each channel.
  PRelu(inputs) {
    const [x, slope] = inputs
    if (x && slope && slope.shape.length === 1 && slope.shape[0] !== 1 && x.shape.length > 2)
      inputs[1] = unsqueeze(slope, ...x.shape.slice(2).map((_, i) => i + 1))
  },
  // Its outputs say it as well.
  BatchNormalization: (_, attributes) => void attributes.take('is_test'),
  Dropout(_, attributes) {
    if (attributes.int('is_test') !== 1)
      throw new UserError('is_test is not 1, so that it drops at random: set it where the file is written')
  },
  Cast(_, attributes, version) {
    const name = version < 6 ? new TextDecoder().decode(attributes.take('to')?.s ?? new Uint8Array()) : undefined
    if (name === undefined) return
    const dtype = elementTypes[name] ?? name.toLowerCase()
    if (!Object.hasOwn(onnxTypes, dtype)) throw new UserError(`to='${name}' is no element type known here`)
    attributes.add('to', INT, { i: onnxTypes[dtype as keyof typeof onnxTypes] })
  },
  Concat(_, attributes, version) {
    if (version < 4) attributes.add('axis', INT, { i: 1 })
  },
  Pad(_, attributes) {
    const paddings = attributes.take('paddings')
    if (paddings) attributes.add('pads', INTS, { ints: paddings.ints ?? [] })
  },
  Reshape(inputs, attributes) {
    const shape = attributes.take('shape')
    if (shape) inputs[1] = int64((shape.ints ?? []).map(toNumber))
  },
  Selu(_, attributes, version) {
    if (version >= 6) return
    attributes.add('alpha', FLOAT, { f: 1.6732 })
    attributes.add('gamma', FLOAT, { f: 1.0507 })
  },
  Split(inputs, attributes) {
    const [lengths] = inputs.splice(1)
    if (lengths) attributes.add('split', INTS, { ints: [...requireKnown(lengths, 'split')] })
  },
  Upsample(_, attributes) {
    const [height, width] = [attributes.take('height_scale'), attributes.take('width_scale')]
    if (height && width) attributes.add('scales', FLOATS, { floats: [1, 1, height.f ?? 0, width.f ?? 0] })
  },
}

/**
 * A node of version 6 or before as version 7 has it.
 * @throws UserError for what it does not have
 */
export function fromEarly(version: number, opType: string, { inputs, attributes }: Spelling): Spelling {
  if (version > 6) return { inputs, attributes }
  const taken = new Taken(attributes.filter(({ name }) => !hints.includes(name ?? '')))
  const operands = [...inputs]
  if (Object.hasOwn(changes, opType)) changes[opType]!(operands, taken, version)
  return { inputs: operands, attributes: taken.rest }
}
