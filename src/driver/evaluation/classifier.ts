// Image classifiers whatever they are called inside: which input takes the images and which output gives the logits.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { TensorInfo } from '../../core/onnx/signature.js'
import { type ImageSet, imageSize } from '../data/dataset.js'
import type { Session } from '../runtime/session.js'
import { EVALUATION_BATCH } from './evaluator.js'

/** The input and the output of a classifier. */
export interface ClassifierNames {
  readonly images: string
  readonly logits: string
}

type Images = Pick<ImageSet, 'channels' | 'height' | 'width' | 'classes'>

export const describeInfos = (infos: readonly TensorInfo[]) =>
  infos.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`).join('; ') || 'none'

/**
 * Which input takes the images and which output gives the logits: the only uint8 input of rank 4, and the output
 * called `logits` or else the only float32 output of rank 2.
 * @throws UserError when the model is no image classifier, or not for images of this set's size and classes.
 */
export function classifierOf({ inputs, outputs }: Pick<Session, 'inputs' | 'outputs'>, set: Images): ClassifierNames {
  const [images, ...others] = inputs
  if (!images || others.length > 0 || images.dtype !== 'uint8' || images.shape.length !== 4) {
    throw new UserError(
      `the model is no image classifier: expected one input, uint8 [batch, 3, height, width], found ${describeInfos(inputs)}`,
    )
  }
  const candidates = outputs.filter(({ dtype, shape }) => dtype === 'float32' && shape.length === 2)
  const logits =
    candidates.find(({ name }) => name === 'logits') ?? (candidates.length === 1 ? candidates[0] : undefined)
  if (!logits) {
    throw new UserError(
      `the model is no image classifier: expected an output "logits", float32 [batch, classes], found ${describeInfos(outputs)}`,
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
    batch: EVALUATION_BATCH,
    async logits(first, count) {
      const shape = [count, set.channels, set.height, set.width]
      // A copy, because a message to another thread would otherwise carry the whole set along.
      const data = set.images.slice(first * size, (first + count) * size)
      const outputs = await session.run({ [names.images]: { dtype: 'uint8', shape, data } })
      return logitsOf(outputs, names.logits, count, set)
    },
  }
}

/** @throws UserError when there are not as many as images and classes */
export function logitsOf(
  outputs: Tensors,
  name: string,
  count: number,
  { classes }: Pick<Images, 'classes'>,
): Float32Array {
  const { data } = outputs[name]!
  if (!(data instanceof Float32Array) || data.length !== count * classes.length)
    throw new UserError(`"${name}" has ${data.length} values, expected ${count} × ${classes.length} float32`)
  return data
}

/** The first of the largest, as ONNX's ArgMax. */
export function argmax(row: Float32Array): number {
  let best = 0
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i
  return best
}
