// What a run of the training step is fed with: the batch, its learning rate and, with stochastic depth, the gates; or, for a
// step in a loop, as much of several steps.

import type { Tensor, Tensors } from '../../core/graph/tensor.js'
import { learningRateAt } from '../../core/model/schedule.js'
import type { StepSignature, TrainableModel } from '../../core/model/trainable.js'
import { randomStream } from '../../core/random.js'
import { borderPixels } from '../data/augment.js'
import type { Batches } from '../data/batches.js'
import type { ImageSet } from '../data/imageSet.js'
import { cutNames, scalingState } from '../targets/ort-cuda/steps.js'
import type { FitConfig } from './config.js'

/** The state of a run at its beginning: the model's, and what half precision adds. */
export function stateOf(model: TrainableModel, { precision }: FitConfig): Tensors {
  const added = Object.entries(scalingState(precision)).map(([name, value]): [string, Tensor] => [
    name,
    { dtype: 'float32', shape: [], data: Float32Array.of(value) },
  ])
  return { ...model.state, ...Object.fromEntries(added) }
}

/** The data set as a step in a loop takes it. */
export function datasetOf({ signature }: TrainableModel, set: ImageSet): Tensors {
  const { count, channels, height, width, images, labels } = set
  return {
    [signature.images]: { dtype: 'uint8', shape: [count, channels, height, width], data: images },
    [signature.labels]: { dtype: 'int64', shape: [count], data: BigInt64Array.from(labels, BigInt) },
  }
}

export interface StepFeeds {
  readonly epoch: number
  /** The first step of the run, within the epoch. */
  readonly epochStep: number
  /** Steps in the run, all of one epoch and one batch size. */
  readonly steps: number
  readonly tensors: Tensors
  /** Images in a batch. */
  readonly images: number
}

/** Makes the feeds of each run; those of the next one ahead of time, while the runtime computes. */
export class Feeds {
  readonly #signature: StepSignature
  readonly #batches: Batches
  readonly #config: FitConfig
  readonly #stepsPerRun: number | undefined
  #ahead: StepFeeds | undefined

  /** @param stepsPerRun steps that the model takes in one run, in a loop over its own data set; undefined without a loop */
  constructor(signature: StepSignature, batches: Batches, config: FitConfig, stepsPerRun?: number) {
    this.#signature = signature
    this.#batches = batches
    this.#config = config
    this.#stepsPerRun = stepsPerRun
  }

  /** From batch `epochStep` of the epoch on, both counted from 0; no more than `most` steps. */
  of(epoch: number, epochStep: number, most = Number.POSITIVE_INFINITY): StepFeeds {
    const ahead = this.#ahead
    const fits = ahead?.epoch === epoch && ahead.epochStep === epochStep && ahead.steps <= most
    return fits ? ahead : this.#make(epoch, epochStep, most)
  }

  /** Makes what the run after this one needs. */
  prepareAfter({ epoch, epochStep, steps }: StepFeeds): void {
    const next = epochStep + steps
    this.#ahead = next < this.#batches.stepsPerEpoch ? this.#make(epoch, next) : this.#make(epoch + 1, 0)
  }

  #make(epoch: number, epochStep: number, most = Number.POSITIVE_INFINITY): StepFeeds {
    const images = this.#batches.sizeOf(epochStep)
    if (this.#stepsPerRun === undefined)
      return { epoch, epochStep, steps: 1, images, tensors: this.#batch(epoch, epochStep) }
    const steps = Math.min(this.#stepsPerRun, most, this.#batches.alikeFrom(epochStep))
    return { epoch, epochStep, steps, images, tensors: this.#cuts(epoch, epochStep, steps, images) }
  }

  /** One step, its images cut here. */
  #batch(epoch: number, epochStep: number): Tensors {
    const { images, labels, imageShape } = this.#signature
    const batch = this.#batches.batch(epoch, epochStep)
    const count = batch.labels.length
    return {
      [images]: { dtype: 'uint8', shape: [count, ...imageShape], data: batch.images },
      [labels]: { dtype: 'int64', shape: [count], data: batch.labels },
      ...this.#rates(epoch, epochStep, 1, []),
    }
  }

  /** Several steps, their images cut in the graph. */
  #cuts(epoch: number, epochStep: number, steps: number, images: number): Tensors {
    const indices = new BigInt64Array(steps * images)
    const crops = new BigInt64Array(steps * images * 2)
    const flips = new Uint8Array(steps * images)
    for (let step = 0, at = 0; step < steps; step++) {
      const cuts = this.#batches.cuts(epoch, epochStep + step)
      for (const [i, { top, left, flip }] of cuts.crops.entries()) {
        indices[at] = BigInt(cuts.indices[i]!)
        crops[2 * at] = BigInt(top - borderPixels)
        crops[2 * at + 1] = BigInt(left - borderPixels)
        flips[at++] = Number(flip)
      }
    }
    return {
      [cutNames.indices]: { dtype: 'int64', shape: [steps, images], data: indices },
      [cutNames.crops]: { dtype: 'int64', shape: [steps, images, 2], data: crops },
      [cutNames.flips]: { dtype: 'bool', shape: [steps, images], data: flips },
      ...this.#rates(epoch, epochStep, steps, [steps]),
    }
  }

  /** Learning rates and gates of so many steps, in tensors whose first axes are `shape`. */
  #rates(epoch: number, epochStep: number, steps: number, shape: readonly number[]): Tensors {
    const { learningRate, gates } = this.#signature
    const rates = new Float32Array(steps).fill(learningRateAt(this.#config.learningRate, epoch))
    const tensors: Record<string, Tensor> = { [learningRate]: { dtype: 'float32', shape, data: rates } }
    if (gates) {
      const count = gates.survival.length
      const open = new Float32Array(steps * count)
      for (let step = 0; step < steps; step++) {
        const random = randomStream(this.#config.seed, 'gates', epoch, epochStep + step)
        gates.survival.forEach((survival, i) => {
          open[step * count + i] = random.uniform() < survival ? 1 : 0
        })
      }
      tensors[gates.name] = { dtype: 'float32', shape: [...shape, count], data: open }
    }
    return tensors
  }
}
