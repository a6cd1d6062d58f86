// Sequences and optionals, which no graph here has: a sequence whose places are known when a file is read is a list of values, and
// an optional is there or not.

import { UserError } from '../errors.js'
import { knownIn } from '../graph/dims.js'
import { type AttributeSpecs, type AttributesOf, int, optional, required } from '../graph/operator.js'
import { isKnown } from '../graph/shape.js'
import { apply, constant, type Value, withDefaults } from '../graph/value.js'
import { concat, identity, requireAxes, Split, split, squeeze, unsqueeze } from '../ops/index.js'
import { readAttributes } from './attributes.js'
import type { AttributeProto } from './protos.js'

/** The values of a sequence; none of an optional that holds nothing. */
export interface Sequence {
  readonly elements: readonly Value[] | undefined
}
/** What a name of a file stands for. */
export type Named = Value | Sequence
type Inputs = readonly (Named | undefined)[]

export const isSequence = (named: Named): named is Sequence => 'elements' in named

/** The values behind names. */
export const valuesOf = (names: Iterable<Named>): Value[] =>
  [...names].flatMap((named) => (isSequence(named) ? (named.elements ?? []) : [named]))

/** @throws UserError for a name that stands for no tensor */
export function requireValue(named: Named, name: string | undefined): Value {
  if (!isSequence(named)) return named
  throw new UserError(`'${name}' is a sequence or an optional; expected a tensor`)
}

/** The value, or, where it has a name already (a Dropout gives what it gets), the same numbers as a value of their own. */
export const ownValue = (made: Named, names: ReadonlyMap<string, Named>): Named =>
  !isSequence(made) && [...names.values()].includes(made) ? identity(made) : made

/** Files of longer sequences would fill our memory: each operator makes a list of its own. */
const MOST = 4096

interface SequenceOperator {
  readonly attributes: AttributeSpecs
  read(inputs: Inputs, attributes: never): Named
}
const reading = <const S extends AttributeSpecs>(
  attributes: S,
  read: (inputs: Inputs, attributes: AttributesOf<S>) => Named,
): SequenceOperator => ({ attributes, read })

function elementsOf(named: Named | undefined): readonly Value[] {
  if (named && isSequence(named) && named.elements) return named.elements
  throw new UserError('needs a sequence, which is made in the same file and no input of it')
}

function tensorOf(named: Named | undefined): Value {
  if (named && !isSequence(named)) return named
  throw new UserError('needs a tensor')
}

/** @throws UserError for values of two types, and for too many */
function sequence(elements: readonly Value[]): Sequence {
  if (elements.length > MOST) throw new UserError(`a sequence of ${elements.length} values; at most ${MOST} are read`)
  const types = [...new Set(elements.map(({ dtype }) => dtype))]
  if (types.length > 1) throw new UserError(`a sequence holds ${types.join(' and ')}; expected one type`)
  return { elements }
}

/** A place from the front, of so many: it is counted from the back where it is negative, and the last one unless given. */
function placeOf(named: Named | undefined, count: number): number {
  const [place] = named ? (knownIn(tensorOf(named)) ?? []) : [-1]
  if (place === undefined)
    throw new UserError(
      'needs a position that is known when the file is read: a constant, or computed from known shapes',
    )
  const from = place < 0 ? place + count : place
  if (from >= 0 && from < count) return from
  throw new UserError(`position ${place} is out of range for ${count} places`)
}

/** Parts of one length, the last one shorter where it does not go in; or of as many lengths as are given. */
function parts(x: Value, lengths: Value | undefined, axis: number): readonly Value[] {
  if (lengths && lengths.shape.length > 0) return apply(Split, [x, lengths], { axis })
  const length = x.shape[axis]!
  const size = lengths ? knownIn(lengths)?.[0] : 1
  if (!isKnown(length) || size === undefined || size < 1)
    throw new UserError('needs an axis of known length and parts of a known one, 1 or more')
  const count = Math.ceil(length / size)
  if (count > MOST) throw new UserError(`splits into ${count} parts; at most ${MOST} are read`)
  return count === 0
    ? []
    : split(
        x,
        Array.from({ length: count }, (_, i) => Math.min(size, length - i * size)),
        axis,
      )
}

const operators: Readonly<Record<string, SequenceOperator>> = {
  SequenceEmpty: reading({ dtype: optional('int') }, () => sequence([])),
  SequenceConstruct: reading({}, (inputs) => sequence(inputs.map(tensorOf))),
  SequenceInsert: reading({}, ([given, added, position]) => {
    const elements = [...elementsOf(given)]
    // Behind the last one is a place as well; −1 is that before the last.
    const count = elements.length
    const isBehind = !position || knownIn(tensorOf(position))?.[0] === count
    const at = isBehind ? count : placeOf(position, count)
    elements.splice(at, 0, tensorOf(added))
    return sequence(elements)
  }),
  SequenceErase: reading({}, ([given, position]) => {
    const elements = elementsOf(given)
    const at = placeOf(position, elements.length)
    return sequence(elements.filter((_, i) => i !== at))
  }),
  SequenceAt: reading({}, ([given, position]) => {
    const elements = elementsOf(given)
    return elements[placeOf(position, elements.length)]!
  }),
  SequenceLength: reading({}, ([given]) => constant('int64', elementsOf(given).length)),
  ConcatFromSequence: reading({ axis: required('int'), new_axis: int(0) }, ([given], { axis, new_axis }) => {
    const elements = elementsOf(given)
    if (elements.length === 0) throw new UserError('needs a sequence of one tensor or more')
    return concat(new_axis ? elements.map((value) => unsqueeze(value, axis)) : elements, axis)
  }),
  SplitToSequence: reading({ axis: int(0), keepdims: int(1) }, ([given, lengths], { axis, keepdims }) => {
    const x = tensorOf(given)
    const [along] = requireAxes([axis], x.shape.length)
    const all = parts(x, lengths && tensorOf(lengths), along!)
    return sequence(keepdims || lengths ? all : all.map((part) => squeeze(part, along!)))
  }),
  Optional: reading({}, ([given]) => given ?? { elements: undefined }),
  OptionalHasElement: reading({}, ([given]) =>
    constant('bool', Number(given !== undefined && (!isSequence(given) || given.elements !== undefined))),
  ),
  OptionalGetElement: reading({}, ([given]) => {
    if (given && (!isSequence(given) || given.elements)) return given
    throw new UserError('the optional holds nothing')
  }),
}

/**
 * What an operator on sequences or optionals gives; undefined for any other operator.
 * @throws UserError where it depends on what only a run knows
 */
export function readSequence(opType: string, inputs: Inputs, protos: readonly AttributeProto[]): Named | undefined {
  const operator = Object.hasOwn(operators, opType) ? operators[opType] : undefined
  // The type of an empty optional says nothing of what is there.
  const given = protos.filter(({ name }) => opType !== 'Optional' || name !== 'type')
  if (!operator) return undefined
  const attributes = readAttributes(given, { ...operator, name: opType })
  return operator.read(inputs, withDefaults(operator, attributes) as never)
}
