// What a run of the training step is fed with: the batch, its hyperparameters, and what is drawn for it; or, for a step in a loop,
// as much of several steps.

import { type Tensor, type Tensors, tensor } from '../../core/graph/tensor.js'
import { SEED_BOUND, SEEDS } from '../../core/ops/dropout.js'
import { randomStream } from '../../core/random.js'
import type { StepSignature } from '../../core/training/signature.js'
import type { BatchSource } from '../data/batchSource.js'
import { type Hyperparameters, valuesAt } from './hyperparameters.js'

export interface StepFeeds {
  readonly epoch: number
  /** The first step of the run, within the epoch. */
  readonly epochStep: number
  /** Steps in the run, all of one epoch and one batch size. */
  readonly steps: number
  readonly tensors: Tensors
  /** Examples in a batch. */
  readonly examples: number
}

export interface FeedsOptions {
  readonly signature: StepSignature
  readonly source: BatchSource
  readonly hyperparameters: Hyperparameters
  /** Of the gates and of what is dropped. */
  readonly seed: number
  /** Of the whole run. */
  readonly totalSteps: number
  /** Batches that make one update; 1 unless given. */
  readonly accumulate?: number
  /** Steps that the model takes in one run, in a loop; undefined without a loop. */
  readonly stepsPerRun?: number | undefined
  /** Whether a run takes so many steps or one, and nothing between; false unless given. */
  readonly allOrOne?: boolean
}

interface Place {
  readonly epoch: number
  readonly epochStep: number
  readonly steps: number
}

/** Makes the feeds of each run; those of the next one ahead of time, while the runtime computes. */
export class Feeds {
  readonly #options: FeedsOptions
  #ahead: { readonly place: Place; readonly feeds: Promise<StepFeeds> } | undefined

  constructor(options: FeedsOptions) {
    this.#options = options
  }

  /** From batch `epochStep` of the epoch on, both counted from 0; no more than `most` steps. */
  async of(epoch: number, epochStep: number, most = Number.POSITIVE_INFINITY): Promise<StepFeeds> {
    const ahead = this.#ahead
    this.#ahead = undefined
    const fits = ahead?.place.epoch === epoch && ahead.place.epochStep === epochStep && ahead.place.steps <= most
    return fits ? ahead.feeds : this.#make(this.#place(epoch, epochStep, most))
  }

  /** Makes what the run after this one needs, if there is one. */
  prepareAfter({ epoch, epochStep, steps }: StepFeeds): void {
    const { source, totalSteps } = this.#options
    const next = epochStep + steps
    const left = totalSteps - (epoch * source.stepsPerEpoch + next)
    if (left <= 0) return
    const place = next < source.stepsPerEpoch ? this.#place(epoch, next, left) : this.#place(epoch + 1, 0, left)
    const feeds = this.#make(place)
    // Whoever asks for it sees the error.
    feeds.catch(() => {})
    this.#ahead = { place, feeds }
  }

  #place(epoch: number, epochStep: number, most: number): Place {
    const { source, stepsPerRun = 1, allOrOne = false } = this.#options
    const steps = Math.min(stepsPerRun, most, source.alikeFrom(epochStep))
    return { epoch, epochStep, steps: allOrOne && steps < stepsPerRun ? 1 : steps }
  }

  async #make(place: Place): Promise<StepFeeds> {
    const { source, stepsPerRun } = this.#options
    const { epoch, epochStep, steps } = place
    const rows = stepsPerRun === undefined ? source.batch(epoch, epochStep) : source.stack(epoch, epochStep, steps)
    const tensors = { ...(await rows), ...this.#scalars(place) }
    return { ...place, examples: source.sizeOf(epochStep), tensors }
  }

  /** 1/batches where a step updates: after so many batches, or at the end of the epoch. */
  #shareAt(epochStep: number): number {
    const { source, accumulate = 1 } = this.#options
    const place = epochStep % accumulate
    const updates = place === accumulate - 1 || epochStep === source.stepsPerEpoch - 1
    return updates ? 1 / (place + 1) : 0
  }

  /** How many updates there were before a step of an epoch. */
  #updatesBefore(epoch: number, epochStep: number): number {
    const { source, accumulate = 1 } = this.#options
    return epoch * Math.ceil(source.stepsPerEpoch / accumulate) + Math.floor(epochStep / accumulate)
  }

  /** Hyperparameters, counts, gates and seeds; in a loop each with a row a step. */
  #scalars({ epoch, epochStep, steps }: Place): Tensors {
    const { signature, source, hyperparameters, seed, totalSteps, stepsPerRun } = this.#options
    const { stepsPerEpoch } = source
    const all = Array.from({ length: steps }, (_, i) => epochStep + i)
    const shapeOf = (shape: readonly number[]) => (stepsPerRun === undefined ? shape : [steps, ...shape])
    const values = all.map((at) =>
      valuesAt(hyperparameters, { step: epoch * stepsPerEpoch + at, steps: totalSteps, stepsPerEpoch }),
    )
    const tensors: Record<string, Tensor> = Object.fromEntries(
      Object.keys(hyperparameters).map((name) => [
        name,
        tensor(
          'float32',
          shapeOf([]),
          values.map((row) => row[name]!),
        ),
      ]),
    )
    const { gates, seeds, updateShare, stepCount } = signature
    if (updateShare !== undefined)
      tensors[updateShare] = tensor(
        'float32',
        shapeOf([]),
        all.map((at) => this.#shareAt(at)),
      )
    if (stepCount !== undefined)
      tensors[stepCount] = tensor(
        'int64',
        shapeOf([]),
        all.map((at) => this.#updatesBefore(epoch, at)),
      )
    if (gates) {
      const rows = all.flatMap((at) => {
        const random = randomStream(seed, 'gates', epoch, at)
        return gates.survival.map((survival) => (random.uniform() < survival ? 1 : 0))
      })
      tensors[gates.name] = tensor('float32', shapeOf([gates.survival.length]), rows)
    }
    if (seeds !== undefined) {
      const rows = all.flatMap((at) => {
        const random = randomStream(seed, 'dropout', epoch, at)
        return Array.from({ length: SEEDS }, () => random.below(SEED_BOUND))
      })
      tensors[seeds] = tensor('float32', shapeOf([SEEDS]), rows)
    }
    return tensors
  }
}
