// What a training step is fed with: the batch, its learning rate and, with stochastic depth, the gates.
import type { Batches } from '../data/batches.js'
import { learningRateAt } from '../model/schedule.js'
import type { StepSignature } from '../model/trainable.js'
import { randomStream } from '../random.js'
import type { HostTensor, HostTensors } from '../runtime/tensor.js'
import type { FitConfig } from './config.js'

export interface StepFeeds {
  readonly epoch: number
  readonly epochStep: number
  readonly tensors: HostTensors
  /** Images in the batch. */
  readonly images: number
}

/** Makes the feeds of each step; those of the next one ahead of time, while the runtime computes. */
export class Feeds {
  readonly #signature: StepSignature
  readonly #batches: Batches
  readonly #config: FitConfig
  #ahead: StepFeeds | undefined

  constructor(signature: StepSignature, batches: Batches, config: FitConfig) {
    this.#signature = signature
    this.#batches = batches
    this.#config = config
  }

  /** Of batch `epochStep` of the epoch, both from 0. */
  of(epoch: number, epochStep: number): StepFeeds {
    const ahead = this.#ahead
    return ahead?.epoch === epoch && ahead.epochStep === epochStep ? ahead : this.#make(epoch, epochStep)
  }

  /** Makes what the step after this one needs. */
  prepareAfter({ epoch, epochStep }: StepFeeds): void {
    const more = epochStep + 1 < this.#batches.stepsPerEpoch
    this.#ahead = more ? this.#make(epoch, epochStep + 1) : this.#make(epoch + 1, 0)
  }

  #make(epoch: number, epochStep: number): StepFeeds {
    const { images, labels, learningRate, imageShape, gates } = this.#signature
    const batch = this.#batches.batch(epoch, epochStep)
    const count = batch.labels.length
    const rate = learningRateAt(this.#config.learningRate, epoch)
    const tensors: Record<string, HostTensor> = {
      [images]: { dtype: 'uint8', shape: [count, ...imageShape], data: batch.images },
      [labels]: { dtype: 'int64', shape: [count], data: batch.labels },
      [learningRate]: { dtype: 'float32', shape: [], data: Float32Array.of(rate) },
    }
    if (gates) {
      const random = randomStream(this.#config.seed, 'gates', epoch, epochStep)
      const open = gates.survival.map((survival) => (random.uniform() < survival ? 1 : 0))
      tensors[gates.name] = { dtype: 'float32', shape: [open.length], data: Float32Array.from(open) }
    }
    return { epoch, epochStep, tensors, images: count }
  }
}
