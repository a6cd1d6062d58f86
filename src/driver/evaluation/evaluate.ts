// Loss, error and confusion matrix of an inference model over a set of images.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { TensorInfo } from '../../core/onnx/signature.js'
import { type ImageSet, imageSize } from '../data/imageSet.js'
import type { Session } from '../runtime/session.js'
import { cutNames, LOGITS } from '../targets/ort-cuda/steps.js'

export interface Evaluation {
  readonly images: number
  readonly wrong: number
  /** Fraction of the images that were classified wrong. */
  readonly error: number
  /** Mean cross-entropy, in nats. */
  readonly loss: number
  /** How many images of class `row` were taken for class `column`. */
  readonly confusion: readonly (readonly number[])[]
}

// Divides the 10,000 CIFAR test images, so that no odd batch makes the runtime plan its memory anew.
const evaluationBatch = 200

/** The input and the output of a classifier. */
export interface ClassifierNames {
  readonly images: string
  readonly logits: string
}

const describe = (infos: readonly TensorInfo[]) =>
  infos.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`).join('; ') || 'none'

/**
 * Which input takes the images and which output gives the logits: the only uint8 input of rank 4, and the output
 * called `logits` or else the only float32 output of rank 2.
 * @throws UserError when the model is no image classifier, or not for images of this set's size and classes.
 */
export function classifierOf({ inputs, outputs }: Pick<Session, 'inputs' | 'outputs'>, set: ImageSet): ClassifierNames {
  const [images, ...others] = inputs
  if (!images || others.length > 0 || images.dtype !== 'uint8' || images.shape.length !== 4) {
    throw new UserError(
      `the model is no image classifier: expected one input, uint8 [batch, 3, height, width], found ${describe(inputs)}`,
    )
  }
  const candidates = outputs.filter(({ dtype, shape }) => dtype === 'float32' && shape.length === 2)
  const logits =
    candidates.find(({ name }) => name === 'logits') ?? (candidates.length === 1 ? candidates[0] : undefined)
  if (!logits) {
    throw new UserError(
      `the model is no image classifier: expected an output "logits", float32 [batch, classes], found ${describe(outputs)}`,
    )
  }
  const expected = [set.channels, set.height, set.width]
  if (images.shape.slice(1).some((size, i) => typeof size === 'number' && size !== expected[i])) {
    throw new UserError(
      `the model takes images of [${images.shape.slice(1).join(', ')}], the data are [${expected.join(', ')}]`,
    )
  }
  const classes = logits.shape[1]
  if (typeof classes === 'number' && classes !== set.classes.length) {
    throw new UserError(`the model has ${classes} classes, the data have ${set.classes.length}`)
  }
  return { images: images.name, logits: logits.name }
}

/** Gives the logits of images of a set. */
export interface Classifier {
  /** Images at a time, at most. */
  readonly batch: number
  /** Of the images from `first` on, row by row. */
  logits(first: number, count: number): Promise<Float32Array>
}

/** A classifier by a model that takes a batch of images. */
export function classifierBy(session: Pick<Session, 'run'>, names: ClassifierNames, set: ImageSet): Classifier {
  const size = imageSize(set)
  return {
    batch: evaluationBatch,
    async logits(first, count) {
      const shape = [count, set.channels, set.height, set.width]
      // A copy, because a message to another thread would otherwise carry the whole set along.
      const data = set.images.slice(first * size, (first + count) * size)
      const outputs = await session.run({ [names.images]: { dtype: 'uint8', shape, data } })
      return logitsOf(outputs, names.logits, count, set)
    },
  }
}

/**
 * A classifier by a model of `evaluationSteps`, which holds the images: many batches a run.
 * @param state the weights to classify with
 */
export function classifierInLoop(session: Pick<Session, 'run'>, state: Tensors, set: ImageSet): Classifier {
  const most = 50
  return {
    batch: most * evaluationBatch,
    async logits(first, count) {
      const steps = Math.ceil(count / evaluationBatch)
      // Batches are of one size: what the last lacks is filled with its last image, and cut off again.
      const indices = BigInt64Array.from({ length: steps * evaluationBatch }, (_, i) =>
        BigInt(first + Math.min(i, count - 1)),
      )
      const shape = [steps, evaluationBatch]
      const outputs = await session.run({ ...state, [cutNames.indices]: { dtype: 'int64', shape, data: indices } })
      return logitsOf(outputs, LOGITS, steps * evaluationBatch, set).subarray(0, count * set.classes.length)
    },
  }
}

/** @throws UserError when there are not as many as images and classes */
export function logitsOf(outputs: Tensors, name: string, count: number, { classes }: ImageSet): Float32Array {
  const { data } = outputs[name]!
  if (!(data instanceof Float32Array) || data.length !== count * classes.length)
    throw new UserError(`"${name}" has ${data.length} values, expected ${count} × ${classes.length} float32`)
  return data
}

/** `score` by a model that takes a batch of images. */
export const evaluate = (
  session: Pick<Session, 'run'>,
  names: ClassifierNames,
  set: ImageSet,
  signal?: AbortSignal,
): Promise<Evaluation | undefined> => score(classifierBy(session, names, set), set, signal)

/**
 * Classifies every image of the set. Sums are made here in float64, in the order of the images, so the same logits
 * give the same numbers.
 * @returns undefined when `signal` aborted it.
 */
export async function score(
  classifier: Classifier,
  set: ImageSet,
  signal?: AbortSignal,
): Promise<Evaluation | undefined> {
  const classes = set.classes.length
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  let lossSum = 0
  let wrong = 0
  for (let first = 0; first < set.count; first += classifier.batch) {
    if (signal?.aborted) return undefined
    const count = Math.min(classifier.batch, set.count - first)
    const logits = await classifier.logits(first, count)
    for (let i = 0; i < count; i++) {
      const row = logits.subarray(i * classes, (i + 1) * classes)
      const label = set.labels[first + i]!
      const guess = argmax(row)
      lossSum += crossEntropy(row, label)
      if (guess !== label) wrong += 1
      confusion[label]![guess]! += 1
    }
  }
  return { images: set.count, wrong, error: wrong / set.count, loss: lossSum / set.count, confusion }
}

/** The first of the largest, as ONNX's ArgMax. */
export function argmax(row: Float32Array): number {
  let best = 0
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i
  return best
}

/** −log softmax(row)[label], with the maximum taken out first so that no exponential overflows. */
function crossEntropy(row: Float32Array, label: number): number {
  let max = -Infinity
  for (const value of row) max = Math.max(max, value)
  let sum = 0
  for (const value of row) sum += Math.exp(value - max)
  return Math.log(sum) + max - row[label]!
}
