// Softmax cross-entropy against class labels, as torch.nn.CrossEntropyLoss means it.

import { formatShape, isKnown } from '../graph/shape.js'
import { constant, GraphError, scope, type Value } from '../graph/value.js'
import {
  add,
  argMax,
  cast,
  div,
  equal,
  gather,
  gatherElements,
  log,
  logSoftmax,
  max,
  mul,
  neg,
  reduceSum,
  size,
  softmaxCrossEntropy,
  squeeze,
  sub,
  unsqueeze,
  where,
} from '../ops/index.js'
import type { Loss, LossValues, Metric } from './loss.js'

/** What {@link crossEntropy} compares, and how. */
export interface CrossEntropyOptions {
  /** The output with the logits, [batch, classes] or [batch, classes, …], or with the classes on another axis. */
  readonly output?: string
  /** The axis of the classes; 1 unless given, or the last one where only its size is known: [batch, length, classes]. */
  readonly axis?: number
  /** The output holds probabilities; unless given, where the network ends in a softmax. */
  readonly probabilities?: boolean
  /** The target with the labels, int64 [batch] or [batch, …]; `labels` unless given. */
  readonly labels?: string
  /** ε: a label counts 1 − ε, and ε is shared by all classes (Szegedy et al. 2016, section 7). */
  readonly labelSmoothing?: number
  /** What each class counts. */
  readonly classWeights?: readonly number[]
  /** A label of places that do not count. */
  readonly ignoreIndex?: number
}

/** The smallest normal float32. */
const SMALLEST = 2 ** -126

/** Every axis said: runtimes that read few forms of an operator know this one. */
const total = (x: Value): Value => reduceSum(x, [...x.shape.keys()], { keepdims: 0 })

/**
 * Mean of −log softmax(logits)[label]; with weights divided by what the labels weigh together, as PyTorch divides. Metric
 * `error`: the part that was classified wrong.
 */
export const crossEntropy =
  ({ output, probabilities, labels = 'labels', ...options }: CrossEntropyOptions = {}): Loss =>
  ({ output: outputOf, activation, target }) => {
    const given = outputOf(output)
    const axis = axisOf(given, options.axis)
    const isProbabilities = probabilities ?? activation(given, axis) === 'softmax'
    // The softmax of their logarithm is what they are; below the smallest number of the type it has none.
    const logits = isProbabilities ? scope('loss.log', () => log(max(given, SMALLEST))) : given
    const classes = logits.shape[axis]
    if (classes === undefined || !isKnown(classes) || classes < 2) throw unfit(given, axis)
    const { labelSmoothing = 0, classWeights, ignoreIndex } = options
    const answers = target(labels, 'int64', logits.shape.toSpliced(axis, 1), classes, ignoreIndex)
    const isPlain = labelSmoothing === 0 && classWeights === undefined && ignoreIndex === undefined
    if (isPlain && logits.shape.length === 2) {
      const [loss] = scope('loss', () => softmaxCrossEntropy(logits, answers))
      return { loss, metrics: [errorOf(hits(logits, answers))] }
    }
    return general(logits, answers, { axis, classes, labelSmoothing, classWeights, ignoreIndex })
  }

/** Why an output holds no logits, and which loss or axis may be meant. */
function unfit({ shape }: Value, axis: number): GraphError {
  const last = shape.at(-1)
  const isLast = shape.length > 2 && axis === 1 && last !== undefined && isKnown(last) && last > 1
  const advice = isLast
    ? `: if the ${last} along the last axis are the classes, write cross-entropy:axis=-1`
    : shape[axis] === 1
      ? ': for a number take mse, for yes or no binary-cross-entropy'
      : ''
  const expected = axis === 1 ? '[batch, classes]' : `[batch, …] with the classes along axis ${axis}`
  return new GraphError(
    `cross-entropy needs logits ${expected} of a known number of classes, at least 2, got ${formatShape(shape)}${advice}`,
  )
}

function axisOf({ shape }: Value, given: number | undefined): number {
  const last = shape.length - 1
  if (given === undefined) return last > 1 && !isKnown(shape[1]!) && isKnown(shape[last]!) ? last : 1
  const axis = given < 0 ? given + shape.length : given
  if (!Number.isInteger(axis) || axis < 1 || axis > last)
    throw new GraphError(
      `cross-entropy has no axis ${given} for the classes in ${formatShape(shape)}; give one from 1 to ${last}`,
    )
  return axis
}

const errorOf = (correct: Value): Metric => ({ name: 'error', kind: 'right', output: 'correct', value: correct })

/** How many were classified right, int64 []: logits [batch, classes], labels int64 [batch]. */
export function hits(logits: Value, labels: Value): Value {
  const predicted = scope('accuracy.predicted', () => argMax(logits, 1, { keepdims: 0 }))
  const right = scope('accuracy.hits', () => cast(equal(predicted, labels), 'int64'))
  return scope('accuracy.correct', () => total(right))
}

/**
 * With weights w, a mask m of what counts and ε: Σ m·[(1 − ε)·w[y]·(−log p[y]) + ε/C · Σ_c w[c]·(−log p[c])] / Σ m·w[y]
 * (torch.nn.CrossEntropyLoss).
 */
function general(
  logits: Value,
  given: Value,
  {
    axis,
    classes,
    labelSmoothing,
    classWeights,
    ignoreIndex,
  }: {
    readonly axis: number
    readonly classes: number
    readonly labelSmoothing: number
    readonly classWeights: readonly number[] | undefined
    readonly ignoreIndex: number | undefined
  },
): LossValues {
  if (classWeights && classWeights.length !== classes)
    throw new GraphError(`${classWeights.length} class weights for ${classes} classes; give one for each`)
  const { dtype } = logits
  const ignored = ignoreIndex === undefined ? undefined : equal(given, ignoreIndex)
  const labels = ignored ? where(ignored, 0, given) : given
  const counts = ignored && sub(1, cast(ignored, dtype))
  const weights = classWeights && constant(dtype, classWeights)
  const weight = weights ? times(gather(weights, labels), counts) : counts
  const logs = logSoftmax(logits, axis)
  const picked = squeeze(gatherElements(logs, unsqueeze(labels, axis), axis), axis)
  const hard = times(neg(picked), weight)
  const spread = (): Value => {
    const shaped =
      classWeights && constant(dtype, classWeights, [classes, ...logits.shape.slice(axis + 1).map(() => 1)])
    return times(neg(reduceSum(times(logs, shaped), [axis], { keepdims: 0 })), counts)
  }
  const each = labelSmoothing === 0 ? hard : add(mul(hard, 1 - labelSmoothing), mul(spread(), labelSmoothing / classes))
  const number = cast(size(labels), dtype)
  const loss = scope('loss', () => div(total(each), weight ? total(weight) : number))
  if (!ignored && given.shape.length === 1) return { loss, metrics: [errorOf(hits(logits, given))] }
  const wrong = scope('accuracy.wrong', () => sub(1, cast(equal(argMax(logits, axis, { keepdims: 0 }), labels), dtype)))
  const error = scope('accuracy.error', () => div(total(times(wrong, counts)), counts ? total(counts) : number))
  return { loss, metrics: [{ name: 'error', kind: 'mean', value: error }] }
}

const times = (x: Value, factor: Value | undefined): Value => (factor ? mul(x, factor) : x)
