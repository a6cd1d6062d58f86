// What the recurrent layers share: directions, lengths of sequences, layout, activation functions.

import { int, optional, string } from '../graph/operator.js'
import { isKnown, type Shape, unifyDims } from '../graph/shape.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { reverseSequence } from './choose.js'
import {
  abs,
  add,
  cast,
  div,
  exp,
  greater,
  hardSigmoid,
  less,
  log,
  max,
  min,
  mul,
  relu,
  sigmoid,
  sub,
  tanh,
  where,
} from './elementwise.js'
import { placesAlong } from './generate.js'
import { gather } from './indexing.js'
import { loop } from './loop.js'
import { matmul } from './matmul.js'
import { Expand, shapeVector, squeeze, transpose, unsqueeze } from './shape.js'
import { concat, flip, slice, split } from './slice.js'

/** Sequences of a known length up to this are unrolled: runtimes are faster on nodes than on iterations of a loop. */
const UNROLLED = 64

export const recurrentAttributes = {
  activation_alpha: optional('floats'),
  activation_beta: optional('floats'),
  clip: optional('float'),
  direction: string('forward'),
  hidden_size: optional('int'),
  layout: int(0),
}

export interface Recurrent {
  readonly activations?: readonly string[] | undefined
  readonly activation_alpha?: readonly number[] | undefined
  readonly activation_beta?: readonly number[] | undefined
  readonly clip?: number | undefined
  readonly direction: string
  readonly hidden_size?: number | undefined
  readonly layout: number
}

export type Activation = (x: Value) => Value
type Parametric = (x: Value, alpha: number, beta: number) => Value

interface Curve {
  readonly call: Parametric
  /** Usual values of the parameters that it has; none where they have to be given. */
  readonly alpha?: number | 'given'
  readonly beta?: number | 'given'
}
const functions: Readonly<Record<string, Curve>> = {
  relu: { call: relu },
  tanh: { call: tanh },
  sigmoid: { call: sigmoid },
  softsign: { call: (x) => div(x, add(abs(x), 1)) },
  softplus: { call: (x) => add(max(x, 0), log(add(exp(sub(0, abs(x))), 1))) },
  hardsigmoid: { call: (x, alpha, beta) => hardSigmoid(x, { alpha, beta }), alpha: 0.2, beta: 0.5 },
  leakyrelu: { call: (x, alpha) => where(less(x, 0), mul(x, alpha), x), alpha: 0.01 },
  thresholdedrelu: { call: (x, alpha) => where(greater(x, alpha), x, mul(x, 0)), alpha: 1 },
  elu: { call: (x, alpha) => where(less(x, 0), mul(sub(exp(min(x, 0)), 1), alpha), x), alpha: 1 },
  affine: { call: (x, alpha, beta) => add(mul(x, alpha), beta), alpha: 'given', beta: 'given' },
  scaledtanh: { call: (x, alpha, beta) => mul(tanh(mul(x, beta)), alpha), alpha: 'given', beta: 'given' },
}

const directions: Readonly<Record<string, readonly boolean[]>> = {
  forward: [false],
  reverse: [true],
  bidirectional: [false, true],
}

/** Whether each direction runs backwards. */
export function directionsOf({ direction }: Recurrent): readonly boolean[] {
  const reversed = Object.hasOwn(directions, direction) ? directions[direction] : undefined
  if (!reversed) throw new GraphError(`direction '${direction}' must be one of ${Object.keys(directions).join(', ')}`)
  return reversed
}

/** The activation functions, direction by direction; parameters are consumed by those that have them, in their order. */
function activationsOf(given: Recurrent, usual: readonly string[]): readonly (readonly Activation[])[] {
  const reversed = directionsOf(given)
  const names = given.activations ?? reversed.flatMap(() => usual)
  if (names.length < reversed.length * usual.length)
    throw new GraphError(`needs ${reversed.length * usual.length} activation functions, got ${names.length}`)
  const alphas = [...(given.activation_alpha ?? [])]
  const betas = [...(given.activation_beta ?? [])]
  const parameter = (usual: number | 'given' | undefined, from: number[], name: string): number => {
    const value = usual === undefined ? 0 : (from.shift() ?? usual)
    if (value === 'given') throw new GraphError(`the activation function ${name} needs its alpha and beta`)
    return value
  }
  const clipped = (x: Value) => (given.clip ? max(min(x, given.clip), -given.clip) : x)
  const all = names.map((name): Activation => {
    const key = name.toLowerCase()
    const found = Object.hasOwn(functions, key) ? functions[key] : undefined
    if (!found) throw new GraphError(`the activation function '${name}' is not known`)
    const [alpha, beta] = [parameter(found.alpha, alphas, name), parameter(found.beta, betas, name)]
    return (x) => found.call(clipped(x), alpha, beta)
  })
  return reversed.map((_, i) => all.slice(i * usual.length, (i + 1) * usual.length))
}

/** One direction's weights: [gates · hidden, …], biases [gates · hidden] or none. */
export interface Weights {
  readonly w: Value
  readonly r: Value
  readonly inputBias: Value | undefined
  readonly recurrentBias: Value | undefined
  /** Of the LSTM. */
  readonly peepholes: Value | undefined
}

/** What a layer does in a step. */
export interface Cell {
  /** What does not depend on the state, of all steps: each [steps, batch, …]. */
  readonly sequences: readonly Value[]
  /** From the rows of a step and the state, [batch, hidden] each, to the next state, whose first part comes out. */
  step(rows: readonly Value[], state: readonly Value[]): readonly Value[]
}

export interface Layer {
  /** How many gates' weights stand in a matrix. */
  readonly gates: number
  /** The usual activation functions. */
  readonly activations: readonly string[]
  cell(x: Value, weights: Weights, hidden: number, activations: readonly Activation[]): Cell
}

/** Inputs of a layer after the lengths: its first states, then peepholes. */
export interface Operands {
  readonly x: Value
  readonly w: Value
  readonly r: Value
  readonly b: Value | undefined
  readonly lengths: Value | undefined
  readonly initial: readonly (Value | undefined)[]
  readonly peepholes?: Value | undefined
}

export function hiddenOf({ r }: Pick<Operands, 'r'>, { hidden_size }: Recurrent): number {
  const hidden = r.shape[2]
  if (r.shape.length !== 3 || !isKnown(hidden!))
    throw new GraphError('needs recurrence weights [directions, gates · hidden, hidden]')
  if (hidden_size !== undefined && hidden_size !== hidden)
    throw new GraphError(`hidden_size=${hidden_size}, and the recurrence weights have ${hidden}`)
  return hidden
}

/** [steps, batch, directions, hidden] and, for each state, [batch, directions, hidden], in the order of the layout. */
export function shapesOf({ x, w, r, lengths }: Operands, given: Recurrent, { gates }: Layer) {
  if (x.shape.length !== 3 || w.shape.length !== 3)
    throw new GraphError('needs x [steps, batch, features] and w [directions, gates · hidden, features]')
  const hidden = hiddenOf({ r }, given)
  const count = directionsOf(given).length
  const fits =
    unifyDims(w.shape[0]!, count) !== undefined &&
    unifyDims(r.shape[0]!, count) !== undefined &&
    unifyDims(w.shape[1]!, gates * hidden) !== undefined &&
    unifyDims(r.shape[1]!, gates * hidden) !== undefined &&
    unifyDims(w.shape[2]!, x.shape[2]!) !== undefined
  if (!fits) throw new GraphError(`needs weights [${count}, ${gates * hidden}, …] for x [${x.shape}]`)
  if (lengths && lengths.shape.length !== 1) throw new GraphError('needs one length for each of the batch')
  const [steps, batch] = given.layout ? [x.shape[1]!, x.shape[0]!] : [x.shape[0]!, x.shape[1]!]
  const all: Shape = given.layout ? [batch, steps, count, hidden] : [steps, count, batch, hidden]
  const last: Shape = given.layout ? [batch, count, hidden] : [count, batch, hidden]
  return { all, last }
}

/** All outputs of a layer: those of all steps, then each state after the last. */
export function recurrent(operands: Operands, given: Recurrent, layer: Layer): readonly Value[] {
  const { layout } = given
  const x = layout ? transpose(operands.x, [1, 0, 2]) : operands.x
  const hidden = hiddenOf(operands, given)
  const activations = activationsOf(given, layer.activations)
  const zero = () =>
    apply1(Expand, [
      constant(x.dtype, 0),
      shapeVector([x.shape[1]!, hidden], [x, ...(operands.lengths ? [operands.lengths] : [])]),
    ])
  const lengths = operands.lengths && cast(operands.lengths, 'int64')
  const runs = directionsOf(given).map((reversed, d) => {
    const of = (value: Value) => gather(value, constant('int64', d))
    const bias = operands.b && split(of(operands.b), [layer.gates * hidden, layer.gates * hidden])
    const weights: Weights = {
      w: of(operands.w),
      r: of(operands.r),
      inputBias: bias?.[0],
      recurrentBias: bias?.[1],
      peepholes: operands.peepholes && of(operands.peepholes),
    }
    const turned = (sequence: Value) =>
      !reversed ? sequence : lengths ? reverseSequence(sequence, lengths) : flip(sequence, 0)
    const cell = layer.cell(turned(x), weights, hidden, activations[d]!)
    const initial = operands.initial.map((state) =>
      state ? (layout ? gather(state, constant('int64', d), 1) : of(state)) : zero(),
    )
    const { outputs, last } = unrolledOrLooped(cell, initial, x, lengths)
    return { outputs: turned(outputs), last }
  })
  const joined = (values: readonly Value[], axis: number) =>
    concat(
      values.map((value) => unsqueeze(value, axis)),
      axis,
    )
  const all = joined(
    runs.map(({ outputs }) => outputs),
    1,
  )
  return [
    layout ? transpose(all, [2, 0, 1, 3]) : all,
    ...operands.initial.map((_, i) =>
      joined(
        runs.map(({ last }) => last[i]!),
        layout ? 1 : 0,
      ),
    ),
  ]
}

/** Runs a cell over all steps. After the end of its sequence a state stays, and zeros come out. */
function unrolledOrLooped(cell: Cell, initial: readonly Value[], x: Value, lengths: Value | undefined) {
  const [steps] = x.shape
  const stepped = (rows: readonly Value[], state: readonly Value[], at: Value | number) => {
    const next = cell.step(rows, state)
    if (!lengths) return { output: next[0]!, next }
    const runs = unsqueeze(greater(lengths, at), 1)
    return {
      output: where(runs, next[0]!, 0),
      next: next.map((value, i) => where(runs, value, state[i]!)),
    }
  }
  if (isKnown(steps!) && steps <= UNROLLED) {
    const rows = cell.sequences.map((sequence) =>
      split(sequence, new Array<number>(steps).fill(1)).map((row) => squeeze(row, 0)),
    )
    let state = initial
    const outputs: Value[] = []
    for (let t = 0; t < steps; t++) {
      const { output, next } = stepped(
        rows.map((row) => row[t]!),
        state,
        t,
      )
      outputs.push(unsqueeze(output, 0))
      state = next
    }
    return { outputs: concat(outputs, 0), last: state }
  }
  const count = isKnown(steps!) ? constant('int64', steps) : lengthOf(x)
  const named = (values: readonly Value[]) => Object.fromEntries(values.map((value, i) => [`state${i}`, value]))
  const { carried, stacked } = loop(count, named(initial), (t, state) => {
    const rows = cell.sequences.map((sequence) => gather(sequence, t))
    const { output, next } = stepped(rows, Object.values(state), t)
    return { carried: named(next), stacked: { outputs: output } }
  })
  return { outputs: stacked.outputs!, last: Object.values(carried) }
}

const lengthOf = (x: Value) => add(gather(placesAlong(x, 0), constant('int64', -1)), 1)

/** x · wᵀ of all steps, with a bias where there is one. */
export function projected(x: Value, w: Value, ...biases: readonly (Value | undefined)[]): Value {
  return biases.reduce<Value>((sum, bias) => (bias ? add(sum, bias) : sum), matmul(x, transpose(w)))
}

/** Gates side by side, apart; each [batch, hidden]. */
export const gatesOf = (values: Value, hidden: number): readonly Value[] =>
  split(values, new Array<number>((values.shape.at(-1) as number) / hidden).fill(hidden), -1)

/** Rows of so many gates, [gates · hidden, …]. */
export const gateRows = (values: Value, hidden: number, from: number, to: number): Value =>
  slice(values, [0], [from * hidden], [to * hidden])
