// Veit's measurement on a trained network: for each path length, the norm of the gradient along sampled paths.

import { totalBlocks } from '../../../graphs/residual.js'
import { UserError } from '../../core/errors.js'
import { elementsOf, type Tensors } from '../../core/graph/tensor.js'
import { randomStream } from '../../core/random.js'
import { type ImageSet, imageSize } from '../../driver/data/dataset.js'
import { logitsOf } from '../../driver/evaluation/classifier.js'
import type { Session } from '../../driver/runtime/session.js'
import type { OwnLogits } from './gatedRun.js'
import { pathNames } from './gradient.js'
import { pathLengths } from './lengths.js'
import { checkSame, type ResidualModel } from './residualModel.js'
import { allPaths, drawPath, type Path } from './sampling.js'

/** Progress and the end of long work. */
export interface Watch {
  readonly signal?: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}

export interface MeasureOptions extends Watch {
  readonly blocks: number
  readonly r: number
  readonly set: ImageSet
  /** Which images of the set take part. */
  readonly images: ArrayLike<number>
  /** Pairs of a path and an image for each length; all of them where there are no more. */
  readonly samples: number
  readonly seed: number
}

/** The gradient norms of the sampled paths of one length. */
export interface LengthSamples {
  readonly norms: Float64Array
  /** Every path with every image, so that nothing was left to chance. */
  readonly complete: boolean
}

interface Sample {
  readonly length: number
  readonly path: Path
  readonly image: number
}

/** Paths that go through the network at a time: some hundred megabytes of activations in the networks of the paper. */
const rows = 50

/** Each sample of a length is a path and an image, drawn independently of each other and of all other samples. */
function* samplesOf(length: number, complete: boolean, options: MeasureOptions): Generator<Sample> {
  const { blocks, r, images, samples, seed } = options
  if (complete) {
    for (const path of allPaths(blocks, r, length))
      for (let i = 0; i < images.length; i++) yield { length, path, image: images[i]! }
    return
  }
  const random = randomStream(seed, 'paths', length)
  for (let i = 0; i < samples; i++) {
    const path = drawPath(blocks, r, length, random)
    yield { length, path, image: images[random.below(images.length)]! }
  }
}

/** Images, labels and open edges of a batch of samples, for the graph of `pathGradient`. */
export function feedsOf(
  batch: readonly Pick<Sample, 'path' | 'image'>[],
  imagesName: string,
  set: ImageSet,
  edges: number,
): Tensors {
  const size = imageSize(set)
  const blocks = batch[0]!.path.length
  const images = new Uint8Array(batch.length * size)
  const labels = new BigInt64Array(batch.length)
  const open = new Float32Array(batch.length * blocks * edges)
  batch.forEach(({ path, image }, row) => {
    images.set(set.images.subarray(image * size, (image + 1) * size), row * size)
    labels[row] = BigInt(set.labels[image]!)
    path.forEach((edge, block) => {
      open[(row * blocks + block) * edges + edge] = 1
    })
  })
  const shape = [batch.length, set.channels, set.height, set.width]
  return {
    [imagesName]: { dtype: 'uint8', shape, data: images },
    [pathNames.labels]: { dtype: 'int64', shape: [batch.length], data: labels },
    [pathNames.edges]: { dtype: 'float32', shape: [batch.length, blocks * edges, 1, 1], data: open },
  }
}

/** The Euclidean norm of each row. In float64: the square of a small float32 would be 0. */
function rowNorms(outputs: Tensors): number[] {
  const { shape, data } = outputs[pathNames.gradient]!
  const size = elementsOf(shape.slice(1))
  return Array.from({ length: shape[0]! }, (_, row) => {
    let sum = 0
    for (let i = row * size; i < (row + 1) * size; i++) sum += Number(data[i]) ** 2
    return Math.sqrt(sum)
  })
}

/**
 * The norms of the gradient of an image's loss at its normalised pixels along sampled paths, by length 0 … blocks.
 * @param session runs the graph of `pathGradient`
 * @param imagesName its input of images
 * @returns undefined when `signal` aborted it
 * @throws UserError when a gradient is not finite
 */
export async function measurePaths(
  session: Pick<Session, 'run'>,
  imagesName: string,
  options: MeasureOptions,
): Promise<LengthSamples[] | undefined> {
  const { blocks, r, set, images, samples, signal, onProgress } = options
  const pairs = pathLengths(r, blocks).map((paths) => paths * BigInt(images.length))
  const lengths = pairs.map((count) => {
    const complete = count <= BigInt(samples)
    return { norms: new Float64Array(complete ? Number(count) : samples), complete }
  })
  const filled = lengths.map(() => 0)
  const total = lengths.reduce((sum, { norms }) => sum + norms.length, 0)
  let done = 0
  const run = async (batch: readonly Sample[]): Promise<void> => {
    const norms = rowNorms(await session.run(feedsOf(batch, imagesName, set, 1 + r)))
    batch.forEach(({ length }, row) => {
      const norm = norms[row]!
      if (!Number.isFinite(norm))
        throw new UserError('the gradient is not finite: the training of this model has diverged; train it anew')
      lengths[length]!.norms[filled[length]!++] = norm
    })
    done += batch.length
    onProgress?.(done, total)
  }
  onProgress?.(0, total)
  let batch: Sample[] = []
  for (const [length, { complete }] of lengths.entries()) {
    for (const sample of samplesOf(length, complete, options)) {
      batch.push(sample)
      if (batch.length < rows) continue
      if (signal?.aborted) return undefined
      await run(batch)
      batch = []
    }
  }
  if (batch.length > 0) await run(batch)
  return signal?.aborted ? undefined : lengths
}

/**
 * `measurePaths` of a model's network, once the forward pass that is differentiated has proved to be that of the file.
 * @param session runs `pathModel`
 * @param own what the file itself says of the first images
 * @returns undefined when `signal` aborted it
 * @throws UserError when the two differ, and as `measurePaths`
 */
export async function measureModel(
  session: Pick<Session, 'run'>,
  model: Pick<ResidualModel, 'source' | 'architecture'>,
  { names, images, logits }: OwnLogits,
  options: Omit<MeasureOptions, 'blocks' | 'r'>,
): Promise<LengthSamples[] | undefined> {
  const [blocks, r] = [totalBlocks(model.architecture), model.architecture.functions.length]
  const path = new Uint16Array(blocks)
  const samples = Array.from({ length: images.count }, (_, image) => ({ path, image }))
  const outputs = await session.run(feedsOf(samples, names.images, images, 1 + r))
  checkSame(model, logits, logitsOf(outputs, pathNames.logits, images.count, images))
  return measurePaths(session, names.images, { ...options, blocks, r })
}
