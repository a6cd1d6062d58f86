// RNN, GRU and LSTM.

import { evaluateBody } from '../graph/composite.js'
import {
  type AttributeSpecs,
  type AttributesOf,
  int,
  ONNX_DOMAIN,
  type Operator,
  operator,
  optional,
  type Tried,
} from '../graph/operator.js'
import { fixed, normal, type Sample, type SampleInput } from '../graph/sample.js'
import { apply, type Value } from '../graph/value.js'
import { add, mul, sub } from './elementwise.js'
import { matmul } from './matmul.js'
import {
  type Cell,
  gateRows,
  gatesOf,
  type Layer,
  type Operands,
  projected,
  type Recurrent,
  recurrent,
  recurrentAttributes,
  shapesOf,
} from './recurrent.js'
import { transpose } from './shape.js'

/** h′ = f(x·Wᵀ + h·Rᵀ + b) */
const simple: Layer = {
  gates: 1,
  activations: ['Tanh'],
  cell(x, { w, r, inputBias, recurrentBias }, _, [f]): Cell {
    const recurrence = transpose(r)
    return {
      sequences: [projected(x, w, inputBias, recurrentBias)],
      step: ([row], [h]) => [f!(add(row!, matmul(h!, recurrence)))],
    }
  },
}

/**
 * z = f(x·Wzᵀ + h·Rzᵀ + bz), r likewise, n = g(x·Wnᵀ + (r·h)·Rnᵀ + bn), h′ = (1 − z)·n + z·h. With linear_before_reset
 * n = g(x·Wnᵀ + r·(h·Rnᵀ + bRn) + bWn).
 */
const gated = (linearBeforeReset: boolean): Layer => ({
  gates: 3,
  activations: ['Sigmoid', 'Tanh'],
  cell(x, { w, r, inputBias, recurrentBias }, hidden, [f, g]): Cell {
    const part = (value: Value | undefined, from: number, to: number) => value && gateRows(value, hidden, from, to)
    const [gates, candidate] = [transpose(part(r, 0, 2)!), transpose(part(r, 2, 3)!)]
    const candidateBias = part(recurrentBias, 2, 3)
    return {
      sequences: [
        projected(x, part(w, 0, 2)!, part(inputBias, 0, 2), part(recurrentBias, 0, 2)),
        projected(x, part(w, 2, 3)!, part(inputBias, 2, 3), linearBeforeReset ? undefined : candidateBias),
      ],
      step([row, candidateRow], [h]) {
        const [z, reset] = gatesOf(add(row!, matmul(h!, gates)), hidden).map((gate) => f!(gate)) as [Value, Value]
        const linear = () => {
          const product = matmul(h!, candidate)
          return mul(reset, candidateBias ? add(product, candidateBias) : product)
        }
        const recurrence = linearBeforeReset ? linear() : matmul(mul(reset, h!), candidate)
        const n = g!(add(candidateRow!, recurrence))
        return [add(mul(sub(1, z), n), mul(z, h!))]
      },
    }
  },
})

/**
 * i = f(x·Wiᵀ + h·Riᵀ + pi·c + bi), forget gate likewise, or 1 − i with input_forget; n = g(x·Wnᵀ + h·Rnᵀ + bn);
 * c′ = forget·c + i·n; o = f(x·Woᵀ + h·Roᵀ + po·c′ + bo); h′ = o·k(c′). Weights are in the order i, o, f, n.
 * @param seen what the products see of x and h
 */
export const longShort = (inputForget: boolean, seen: (value: Value) => Value = (value) => value): Layer => ({
  gates: 4,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  cell(x, { w, r, inputBias, recurrentBias, peepholes }, hidden, [f, g, k]): Cell {
    const recurrence = transpose(r)
    const [pi, po, pf] = peepholes ? gatesOf(peepholes, hidden) : []
    const peeped = (gate: Value, peephole: Value | undefined, c: Value) =>
      peephole ? add(gate, mul(peephole, c)) : gate
    return {
      sequences: [projected(seen(x), w, inputBias, recurrentBias)],
      step([row], [h, c]) {
        const [i, o, forget, n] = gatesOf(add(row!, matmul(seen(h!), recurrence)), hidden) as [
          Value,
          Value,
          Value,
          Value,
        ]
        const input = f!(peeped(i, pi, c!))
        const kept = inputForget ? sub(1, input) : f!(peeped(forget, pf, c!))
        const cell = add(mul(kept, c!), mul(input, g!(n)))
        return [mul(f!(peeped(o, po, cell)), k!(cell)), cell]
      },
    }
  },
})

/** Places of the inputs: x, w, r, bias, lengths, first states, peepholes. */
export const operandsOf = (
  states: number,
  [x, w, r, b, lengths, ...rest]: readonly (Value | undefined)[],
): Operands => ({
  x: x!,
  w: w!,
  r: r!,
  b,
  lengths,
  initial: Array.from({ length: states }, (_, i) => rest[i]),
  peepholes: rest[states],
})

interface Rules<S extends AttributeSpecs> {
  readonly name: string
  readonly attributes: S
  readonly states: number
  readonly most: number
  layer(attributes: AttributesOf<S>): Layer
  readonly samples: readonly [Sample<AttributesOf<S>>, ...Sample<AttributesOf<S>>[]]
}

/** Outputs: those of all steps, then each state after the last. As a node in files, and step by step for its gradient. */
function recurrentLayer<const S extends AttributeSpecs>({ name, attributes, states, most, layer, samples }: Rules<S>) {
  const body = (inputs: readonly (Value | undefined)[], given: AttributesOf<S>) =>
    recurrent(operandsOf(states, inputs), given as unknown as Recurrent, layer(given))
  const record: Operator<S> = operator<S>({
    name,
    domain: ONNX_DOMAIN,
    since: 14,
    before: {
      lacks: ['layout'],
      instead(inputs, given) {
        if (!(given as unknown as Recurrent).layout) return undefined
        const swapped = inputs.map((value, i) =>
          value && (i === 0 || (i > 4 && i < 5 + states)) ? transpose(value, [1, 0, 2]) : value,
        )
        const [all, ...last] = apply(record, swapped, { ...given, layout: 0 } as never)
        return [transpose(all!, [2, 0, 1, 3]), ...last.map((state) => transpose(state, [1, 0, 2]))]
      },
    },
    attributes,
    arity: [3, most],
    requiredOutputs: 0,
    body,
    infer(inputs, given) {
      const { all, last } = shapesOf(operandsOf(states, inputs), given as unknown as Recurrent, layer(given))
      const { dtype } = inputs[0]!
      return [{ dtype, shape: all }, ...Array.from({ length: states }, () => ({ dtype, shape: last }))]
    },
    gradient: 'body',
    evaluate: (inputs, given) => evaluateBody(inputs, (values) => body(values, given)),
    samples,
  } as Operator<S> & Tried<S>)
  return record
}

/** x, w, r, bias: 3 steps, a batch of 2, 2 features, 2 hidden. */
const sampleInputs = (gates: number, directions = 1): SampleInput[] => [
  normal(3, 2, 2),
  normal(directions, gates * 2, 2),
  normal(directions, gates * 2, 2),
  normal(directions, gates * 4),
]
const lengths = fixed('int32', [2], [3, 2])

/** Simple recurrent layers. */
export const RNN = recurrentLayer({
  name: 'RNN',
  attributes: { ...recurrentAttributes, activations: { kind: 'strings', optional: false, default: ['Tanh', 'Tanh'] } },
  states: 1,
  most: 6,
  layer: () => simple,
  samples: [
    { inputs: sampleInputs(1).slice(0, 3), attributes: { hidden_size: 2 } },
    {
      inputs: [...sampleInputs(1, 2), lengths, normal(2, 2, 2)],
      attributes: { direction: 'bidirectional', hidden_size: 2, activations: ['Sigmoid', 'Softsign'], clip: 5 },
    },
  ],
})

/** Gated recurrent units (Cho et al. 2014). */
export const GRU = recurrentLayer({
  name: 'GRU',
  attributes: { ...recurrentAttributes, activations: optional('strings'), linear_before_reset: int(0) },
  states: 1,
  most: 6,
  layer: ({ linear_before_reset }) => gated(linear_before_reset !== 0),
  samples: [
    { inputs: sampleInputs(3), attributes: { hidden_size: 2 } },
    {
      inputs: [...sampleInputs(3, 2), lengths, normal(2, 2, 2)],
      attributes: { direction: 'bidirectional', hidden_size: 2, linear_before_reset: 1 },
    },
  ],
})

/** Long short-term memory (Hochreiter and Schmidhuber 1997). */
export const LSTM = recurrentLayer({
  name: 'LSTM',
  attributes: { ...recurrentAttributes, activations: optional('strings'), input_forget: int(0) },
  states: 2,
  most: 8,
  layer: ({ input_forget }) => longShort(input_forget !== 0),
  samples: [
    { inputs: sampleInputs(4), attributes: { hidden_size: 2 } },
    {
      inputs: [...sampleInputs(4), lengths, normal(1, 2, 2), normal(1, 2, 2), normal(1, 6)],
      attributes: { direction: 'reverse', hidden_size: 2 },
    },
    { inputs: sampleInputs(4, 2).slice(0, 3), attributes: { direction: 'bidirectional', hidden_size: 2 } },
  ],
})
