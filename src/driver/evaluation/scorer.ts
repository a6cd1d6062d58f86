// Loss and metrics of predictions, by a graph: what the training step has behind its forward pass, run behind another.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { StepSignature } from '../../core/training/signature.js'
import { addBatch, type Scores, type Sums, scoresOf } from '../run/metrics.js'
import type { Session } from '../runtime/session.js'

export type Measured = Pick<StepSignature, 'loss' | 'metrics'>

export interface ScorerOptions {
  /** Opens the scoring, which is small. */
  open(model: Uint8Array): Promise<Session>
  /** A plain model from outputs of a network and targets to the loss and what the metrics are made from. */
  readonly scoring: Uint8Array
  readonly measured: Measured
  /** The variance of a target over the whole set, for R². */
  varianceOf?(target: string): number | undefined
}

export interface Score {
  readonly examples: number
  readonly loss: number
  readonly scores: Scores
}

/** Adds up batches. Sums are made here in float64, in the order of the batches, so the same predictions give the same numbers. */
export class Scorer {
  readonly #session: Session
  readonly #options: ScorerOptions
  #sums: Sums = {}
  #examples = 0

  private constructor(session: Session, options: ScorerOptions) {
    this.#session = session
    this.#options = options
  }

  /** @throws UserError when the runtime refuses the model */
  static async open(options: ScorerOptions): Promise<Scorer> {
    return new Scorer(await options.open(options.scoring), options)
  }

  /** The names of what it takes: outputs of the network and targets. */
  get inputs(): readonly string[] {
    return this.#session.inputs.map(({ name }) => name)
  }

  /** @throws UserError when something that it takes is missing */
  async add(values: Tensors, examples: number): Promise<void> {
    const feeds = this.inputs.map((name) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined
      if (!value) throw new UserError(`the loss needs '${name}', which is neither an output of the model nor a target`)
      return [name, value] as const
    })
    const outputs = await this.#session.run(Object.fromEntries(feeds))
    const numbers = Object.entries(outputs).map(([name, { data }]) => [name, Number(data[0])] as const)
    this.#sums = addBatch(this.#sums, Object.fromEntries(numbers), this.#options.measured, examples)
    this.#examples += examples
  }

  /** Of everything that was added since the last time. */
  take(): Score {
    const { measured, varianceOf } = this.#options
    const [sums, examples] = [this.#sums, this.#examples]
    this.#sums = {}
    this.#examples = 0
    return {
      examples,
      loss: (sums[measured.loss] ?? 0) / examples,
      scores: scoresOf(measured.metrics, sums, examples, varianceOf),
    }
  }

  close(): Promise<void> {
    return this.#session.close()
  }
}
