// Control flow: Scan, in terms of Loop.

import { closure } from '../graph/closure.js'
import { evaluateBody } from '../graph/composite.js'
import {
  type Attributes,
  type Body,
  ONNX_DOMAIN,
  type Operator,
  older,
  operator,
  optional,
  required,
  type Type,
} from '../graph/operator.js'
import { normal, type Sample } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { apply, constant, GraphError, input, type Value } from '../graph/value.js'
import { applied } from './body.js'
import { add, mul } from './elementwise.js'
import { gather } from './indexing.js'
import { loop } from './loop.js'
import { requireAxes, shapeOf, transpose } from './shape.js'
import { flip } from './slice.js'

const ints = optional('ints')
const attributes = {
  body: required('graph'),
  num_scan_inputs: required('int'),
  scan_input_axes: ints,
  scan_input_directions: ints,
  scan_output_axes: ints,
  scan_output_directions: ints,
}
interface ScanAttributes {
  readonly body: Body
  readonly num_scan_inputs: number
  readonly scan_input_axes?: readonly number[] | undefined
  readonly scan_input_directions?: readonly number[] | undefined
  readonly scan_output_axes?: readonly number[] | undefined
  readonly scan_output_directions?: readonly number[] | undefined
}

const axisOf = (axes: readonly number[] | undefined, i: number, rank: number) => requireAxes([axes?.[i] ?? 0], rank)[0]!

const lengthOf = (x: Value): Value => {
  const [length] = x.shape
  return isKnown(length!) ? constant('int64', length) : gather(shapeOf(x), constant('int64', 0))
}

/** The axis first. */
function first(x: Value, axis: number): Value {
  if (axis === 0) return x
  return transpose(x, [axis, ...x.shape.map((_, i) => i).filter((i) => i !== axis)])
}
/** The first axis to another place. */
function last(x: Value, axis: number): Value {
  if (axis === 0) return x
  const rest = x.shape.map((_, i) => i).slice(1)
  return transpose(x, [...rest.slice(0, axis), 0, ...rest.slice(axis)])
}

function scan(inputs: readonly Value[], given: ScanAttributes): readonly Value[] {
  const { body, num_scan_inputs } = given
  const own = inputs.length - body.captured
  const count = own - num_scan_inputs
  if (num_scan_inputs < 1 || count < 0 || body.graph.inputs.length !== inputs.length || body.graph.outputs.size < count)
    throw new GraphError('the body takes the states and a slice of each scanned input, and gives as many next states')
  const sequences = inputs.slice(count, own).map((x, i) => {
    const along = first(x, axisOf(given.scan_input_axes, i, x.shape.length))
    return given.scan_input_directions?.[i] ? flip(along, 0) : along
  })
  const states = Object.fromEntries(inputs.slice(0, count).map((value, i) => [`state${i}`, value]))
  const { carried, stacked } = loop(lengthOf(sequences[0]!), states, (step, carried) => {
    const rows = sequences.map((sequence) => gather(sequence, step))
    const results = applied(body, [...Object.values(carried), ...rows, ...inputs.slice(own)])
    return {
      carried: Object.fromEntries(results.slice(0, count).map((value, i) => [`state${i}`, value])),
      stacked: Object.fromEntries(results.slice(count).map((value, i) => [`row${i}`, value])),
    }
  })
  const stacks = Object.values(stacked).map((stack, i) => {
    const along = given.scan_output_directions?.[i] ? flip(stack, 0) : stack
    return last(along, axisOf(given.scan_output_axes, i, stack.shape.length))
  })
  return [...Object.values(carried), ...stacks]
}

/** Types of the states, and of the slices that a step gets. */
function slicesGiven(inputs: readonly Value[], { num_scan_inputs, scan_input_axes }: Attributes): readonly Type[] {
  const count = inputs.length - Number(num_scan_inputs)
  return inputs.map(({ dtype, shape }, i) => {
    if (i < count) return { dtype, shape }
    const axis = axisOf(scan_input_axes as readonly number[] | undefined, i - count, shape.length)
    return { dtype, shape: shape.filter((_, k) => k !== axis) }
  })
}

/**
 * Runs a body over the slices of inputs along an axis. Inputs: states, the scanned inputs, and what the body captures. Body:
 * states, slices → next states, and what is stacked. Outputs: the last states, then the stacks.
 */
export const Scan: Operator<typeof attributes> = operator({
  name: 'Scan',
  domain: ONNX_DOMAIN,
  since: 11,
  older: [
    // Before version 9 a batch is the first axis of everything, and each of it is scanned for itself.
    older({
      until: 8,
      attributes: { body: required('graph'), num_scan_inputs: required('int'), directions: ints },
      graphs: {
        given: (_, [, ...inputs], { num_scan_inputs }) =>
          slicesGiven(
            inputs.map((value) => ({ ...value!, shape: value!.shape.slice(1) })),
            { num_scan_inputs },
          ),
      },
      read([lengths, ...inputs], { body, num_scan_inputs, directions }) {
        if (lengths)
          throw new GraphError('lengths of sequences are not supported; convert the model to a later version')
        const own = inputs.length - body.captured
        const { stacked } = loop(lengthOf(inputs[0]!), {}, (i) => {
          const operands = inputs.map((value, k) => (k < own ? gather(value!, i) : value))
          const results = apply(Scan, operands, { body, num_scan_inputs, scan_input_directions: directions })
          return { carried: {}, stacked: Object.fromEntries(results.map((value, k) => [`y${k}`, value])) }
        })
        return Object.values(stacked)
      },
    }),
  ],
  attributes,
  arity: [1, Number.POSITIVE_INFINITY],
  graphs: { given: (_, inputs, given) => slicesGiven(inputs as readonly Value[], given) },
  body: scan,
  infer: scan,
  gradient: 'body',
  evaluate: (inputs, given) => evaluateBody(inputs, (values) => scan(values, given)),
  get samples() {
    return [sampleOf({}, [4, 3]), sampleOf({ scan_input_axes: [1], scan_input_directions: [1] }, [3, 4], true)] as const
  },
})

/** h ← h·w + x, and what comes times x. */
function sampleOf(given: Partial<ScanAttributes>, shape: readonly number[], back = false): Sample<ScanAttributes> {
  const [h, x, w] = [input('h', 'float32', [3]), input('x', 'float32', [3]), input('w', 'float32', [3])]
  const next = add(mul(h, w), x)
  const { body } = closure(
    'body',
    [h, x],
    new Map([
      ['next', next],
      ['product', mul(next, x)],
    ]),
  )
  return {
    inputs: [normal(3), normal(...shape), normal(3)],
    attributes: {
      body,
      num_scan_inputs: 1,
      ...given,
      ...(back ? { scan_output_axes: [-1], scan_output_directions: [1] } : {}),
    },
  }
}
