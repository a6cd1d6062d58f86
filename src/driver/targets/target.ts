// What a target is to the driver: it describes itself, plans how a model's step is written on this machine, and says why.

import type { z } from 'zod'
import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { StepSignature } from '../../core/training/signature.js'
import type { Predictor } from '../evaluation/predictor.js'
import type { compareSteps } from '../planning/compare.js'
import type { Provider, RuntimeName, SessionSettings } from '../runtime/protocol.js'
import type { StepModels } from '../runtime/session.js'

/** `fp16`: convolutions and matrix products in half precision; weights, statistics, sums and the loss in float32. */
export const precisions = ['fp32', 'fp16'] as const
/** One of fp32 and fp16. */
export type Precision = (typeof precisions)[number]

/** What was decided once for a run on a machine: taken again, it gives the same bits. */
export interface Plan {
  readonly target: string
}

export interface PlanOptions<P extends Plan = Plan> extends SessionSettings {
  readonly model: TrainableModel
  /** Examples in a batch. */
  readonly batch: number
  /** fp32 unless given. */
  readonly precision?: Precision
  /** Whether a run may take several steps where one would do; false unless given. `inLoop` says whether it does. */
  readonly severalSteps?: boolean
  /** How many steps a run is to take at most, where the target takes several; as the target has it unless given. */
  readonly stepsPerRun?: number | undefined
  /** The plan of an earlier part of the run: taken again where it is for this machine. */
  readonly earlier?: P | undefined
  /** Is told what the user should know, a line each. */
  onNotice?(message: string): void
  /** While candidates are timed. */
  onProgress?(done: number, total: number): void
  readonly signal?: AbortSignal | undefined
  /** Where timings are kept; the user's cache folder unless given. */
  readonly cacheFile?: string
  /** How the machine is asked for the channels of a block; another one is for tests. */
  readonly probe?: ((settings: SessionSettings) => Promise<number | undefined>) | undefined
  /** How a step is compared with the portable one; another one is for tests. */
  readonly compare?: typeof compareSteps
}

/** What the candidates of a call took, in milliseconds, and which was chosen. */
export interface Timing {
  readonly choice: string
  readonly ms: Readonly<Record<string, number>>
}

/** How the models have the state, where not tensor by tensor. */
export interface HeldState {
  /** Output of the models → the input that it replaces. */
  readonly updates: Readonly<Record<string, string>>
  /** Their inputs, from the state by the names of the signature. */
  hold(state: Tensors): Tensors
  /** The state again, from them. */
  release(held: Tensors): Tensors
}

/** A step as {@link planStep} decided to write it, ready for {@link openTrainingSession}. */
export interface PlannedStep<P extends Plan = Plan> {
  readonly plan: P
  readonly models: StepModels
  /** What the models take and give, where it is more than what the model's own step does: state that is added. */
  readonly signature: StepSignature
  /** First values of that state. */
  readonly added: Tensors
  /** Whether the models take many steps a run: what they are fed with has one more axis in front. */
  readonly inLoop: boolean
  /** How many at most, where the target decides it for the model; undefined: what suits the provider. */
  readonly stepsPerRun?: number
  /** Whether a model is written for so many: a run takes these or one; false unless given. */
  readonly allOrOne?: boolean
  readonly held?: HeldState
  /** Whether models for several batch sizes stay open side by side. */
  readonly keepModels?: boolean
  /** The provider that it runs on, where that is not the one that was asked for. */
  readonly provider?: Provider
  /** Whether the runtime should rewrite the step's graph. */
  readonly optimize: boolean
  /** Timings of the calls that were a choice. */
  readonly timings: ReadonlyMap<string, Timing>
  /** How the network predicts between epochs, where it is not by a session with constant weights. */
  predictor?(outputs: readonly string[], settings: SessionSettings): Predictor
  /** What is wrong with a step by its outputs, in words; undefined where nothing is. */
  fault?(outputs: Readonly<Record<string, number>>): string | undefined
  /** Steps of the run so far that were not taken. */
  skipped?(state: Tensors): number
}

/** What `rdm-fit --explain` tells of a plan: a sentence, and a table where there is something to choose or to count. */
export interface Explanation {
  readonly json: Readonly<Record<string, unknown>>
  readonly text: string
  readonly table?: readonly (readonly string[])[]
}

export interface DriverTarget<P extends Plan = Plan> {
  readonly name: P['target']
  /** What `rdm-export --target` writes, in a few words. */
  readonly about: string
  readonly runtime: RuntimeName
  readonly providers: readonly Provider[]
  readonly precisions: readonly Precision[]
  /** Whether many steps are taken in one run. */
  readonly inLoop: boolean
  /** Whether a step is written for one batch size. */
  readonly fixesBatch: boolean
  readonly planSchema: z.ZodType<P>
  /**
   * Decides how the step is written.
   * @returns undefined when the signal stops it
   * @throws UserError when it does not train this model here
   */
  plan(options: PlanOptions<P>): Promise<PlannedStep<P> | undefined>
  /** The step as a plain model, as `rdm-export --part train` writes it; undefined when the signal stops it. */
  write(options: PlanOptions<P>): Promise<Uint8Array | undefined>
  explain(planned: PlannedStep<P>, options: PlanOptions<P> & { readonly stepsPerRun: number }): Explanation
}

/** A planned step that adds nothing to the model's own, one step a run. */
export const singleStep = ({ signature }: TrainableModel) => ({
  signature,
  added: {},
  inLoop: false,
})
