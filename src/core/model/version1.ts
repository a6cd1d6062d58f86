// Files of version one (0.1): what they say otherwise, said as files say it today. Their step trains as it did, bit for bit.

import { UserError } from '../errors.js'
import { composite } from '../graph/composite.js'
import { type Graph, graph } from '../graph/graph.js'
import { float, int, type Operator, TRAINING_DOMAIN } from '../graph/operator.js'
import { rewrite } from '../graph/rewrite.js'
import { isKnown } from '../graph/shape.js'
import { apply, constantOf, formatType, type Node, nameOf, nodeOf, type Value } from '../graph/value.js'
import { crossEntropy } from '../losses/crossEntropy.js'
import { scoringOf } from '../losses/scoring.js'
import type { ReadTrainingModel } from '../onnx/trainingInfo.js'
import {
  Add,
  BatchNormAgain,
  BatchNormalization,
  BatchNormTraining,
  gradientOf,
  Mul,
  Reciprocal,
  ReduceSum,
  Reshape,
  Slice,
  SoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad,
  seed,
  WeightGradient,
} from '../ops/index.js'
import { sgdUpdate } from '../optimizers/sgd.js'
import { z } from '../schemas.js'
import { LEARNING_RATE, type Roles } from '../training/signature.js'

/** Names of the training step's inputs and outputs that are not state: the key `rdm.step`. */
export const namesSchema = z.strictObject({
  /** uint8 [batch, channels, height, width] */
  images: z.string(),
  /** int64 [batch], classes from 0 */
  labels: z.string(),
  /** float32 [] */
  learningRate: z.string(),
  /** Output: float32 [], mean cross-entropy over the batch. */
  loss: z.string(),
  /** Output: int64 [], how many of the batch were classified right. */
  correct: z.string(),
  /** float32 [G], each 1 with its survival probability, else 0. */
  gates: z.optional(
    z.strictObject({ name: z.string(), survival: z.array(z.number().check(z.gt(0), z.lte(1))).check(z.minLength(1)) }),
  ),
})
export type StepNames = Readonly<z.infer<typeof namesSchema>>

/**
 * The roles of a step whose file says names alone.
 * @throws UserError for a network without logits, which version one did not have
 */
export function rolesByNames(
  { step, inference, updates }: Pick<ReadTrainingModel, 'step' | 'inference' | 'updates'>,
  named: StepNames,
): Roles {
  const { images, labels, learningRate, loss, correct, gates } = named
  const logits = inference.outputs.get('logits')
  const classes = logits?.shape.length === 2 ? logits.shape[1] : undefined
  if (classes === undefined || !isKnown(classes))
    throw new UserError("the model has no output 'logits' [batch, classes] with a known number of classes")
  const input = step.inputs.find((value) => nameOf(value) === images)
  if (!input) throw new UserError(`the training step has no input '${images}' (${IMAGES})`)
  const { dtype, shape } = input
  if (dtype !== 'uint8' || shape.length !== 4 || !shape.slice(1).every(isKnown))
    throw new UserError(`the training step's input '${images}' is ${formatType(input)}; expected ${IMAGES}`)
  const learned = reached(step)
  return {
    inputs: [{ name: images, dtype, shape: [...shape] }],
    targets: [{ name: labels, dtype: 'int64', shape: [shape[0]!], classes }],
    hyperparameters: { [learningRate]: null },
    ...(gates ? { gates } : {}),
    loss,
    metrics: [{ name: 'error', kind: 'right', output: correct }],
    statistics: [...updates].filter(([, output]) => !learned.has(step.outputs.get(output)!)).map(([name]) => name),
  }
}

/** All values that depend on the gradient of a weight. */
function reached({ nodes }: Graph): ReadonlySet<Value> {
  const values = new Set<Value>()
  for (const { operator, inputs, outputs } of nodes) {
    if (operator === WeightGradient || inputs.some((value) => value && values.has(value)))
      for (const value of outputs) values.add(value)
  }
  return values
}

/** The loss by itself: softmax cross-entropy, with the names of the step. */
export function scoring(network: Graph, { loss, metrics, targets }: Roles): Graph {
  const spoken = crossEntropy({ output: 'logits', labels: targets[0]!.name })
  const { graph: source } = scoringOf(network, spoken, { openBatch: true })
  const [lossValue, correct] = [...source.outputs.values()] as [Value, Value]
  return graph(source.name, source.inputs, { [loss]: lossValue, [metrics[0]!.output]: correct })
}

const IMAGES = 'uint8 [batch, channels, height, width] with known sizes'

/** The names alone, where version one had words for all that a step takes and gives. */
export function namesOf({
  inputs,
  targets,
  hyperparameters,
  gates,
  seeds,
  loss,
  metrics,
}: Roles): StepNames | undefined {
  const [images, ...moreInputs] = inputs
  const [labels, ...moreTargets] = targets
  const [metric, ...moreMetrics] = metrics
  const isClassifier =
    images?.dtype === 'uint8' && images.shape.length === 4 && labels?.classes !== undefined && metric?.kind === 'right'
  if (!isClassifier || moreInputs.length + moreTargets.length + moreMetrics.length > 0 || seeds) return undefined
  if (!Object.hasOwn(hyperparameters, LEARNING_RATE)) return undefined
  return {
    images: images.name,
    labels: labels.name,
    learningRate: LEARNING_RATE,
    loss,
    correct: metric.output,
    ...(gates ? { gates } : {}),
  }
}

/** The optimizer of version one, its hyperparameters written into the node. */
const SgdMomentum = composite({
  name: 'SgdMomentum',
  domain: TRAINING_DOMAIN,
  since: 1,
  attributes: { momentum: float(0.9), weight_decay: float(0), nesterov: int(0) },
  arity: [4, 4],
  body([w, gradient, v, rate], { momentum, weight_decay, nesterov }) {
    const next = sgdUpdate(w!, gradientOf(gradient!), v!, {
      rate: rate!,
      momentum: momentum === 0 ? undefined : momentum,
      weightDecay: weight_decay === 0 ? undefined : weight_decay,
      nesterov: nesterov === 1,
    })
    return [next.w, next.velocity]
  },
  samples: [],
})

/** Operators that files of version one call, and no others. */
export const operators: readonly Operator[] = [SgdMomentum]

/** The node behind a value, if it is one of this operator. */
const madeBy = (operator: Operator, value: Value | undefined): Node | undefined =>
  nodeOf(value)?.operator === operator ? nodeOf(value) : undefined

/**
 * A batch norm computed again stood as a BatchNormalization with a scale to which a zero is added, and a variance that is read
 * from the inverse deviation. Undefined for any other node.
 */
function repetition(operator: Operator, inputs: readonly (Value | undefined)[]): readonly Value[] | undefined {
  if (operator !== BatchNormalization) return undefined
  const [x, scale, shift, mean, variance] = inputs
  const norm = madeBy(BatchNormTraining, mean)
  const inverse = norm?.outputs[4]
  const [own, zero] = madeBy(Add, scale)?.inputs ?? []
  const [sum, nothing] = madeBy(Mul, zero)?.inputs ?? []
  const square = madeBy(Mul, madeBy(Reciprocal, variance)?.inputs[0])
  const corner = madeBy(Reshape, madeBy(ReduceSum, sum)?.inputs[0])?.inputs[0]
  const isZero = constantOf(nothing)?.every((value) => value === 0)
  const same = [x, own, shift].every((value, i) => value === norm?.inputs[i]) && mean === norm?.outputs[3]
  if (!corner || !isZero || !same || !square?.inputs.every((value) => value === inverse)) return undefined
  const after = madeBy(Slice, corner)?.inputs[0] ?? corner
  return apply(BatchNormAgain, [x, own, shift, mean, inverse, after])
}

/** The step with the two ends of its backward pass marked, its optimizer and its recomputation as they are written today. */
export const today = (step: Graph): Graph =>
  rewrite(step, ({ operator, attributes }, inputs) => {
    if (operator === SgdMomentum) return SgdMomentum.body(inputs as readonly Value[], attributes as never)
    if (operator !== SoftmaxCrossEntropyGrad || constantOf(inputs[0])?.join() !== '1')
      return repetition(operator, inputs)
    const [, probabilities, labels] = inputs
    const loss = madeBy(SoftmaxCrossEntropy, probabilities)?.outputs[0]
    return loss && apply(SoftmaxCrossEntropyGrad, [seed(loss), probabilities, labels])
  })
