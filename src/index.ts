// The library: the DSL, autodiff, export and fit.
export { UserError } from './errors.js'
export { type FitConfig, type FitOverrides, fitConfigSchema } from './fit/config.js'
export { classifierOf, type Evaluation, evaluate } from './fit/evaluate.js'
export type { EndEvent, EpochEvent, FitEvent, NoticeEvent, StartEvent, StepEvent } from './fit/events.js'
export { type FitOptions, type FitResult, fit } from './fit/fit.js'
export type { EpochMetrics } from './fit/metrics.js'
export type { StepSignature, TrainableModel } from './fit/model.js'
export { type Recipe, recipeSchema } from './fit/recipe.js'
export { learningRateAt, parseSchedule, type Schedule } from './fit/schedule.js'
export { type Provider, providers, type SessionSettings, type TensorInfo } from './runtime/protocol.js'
export {
  openSession,
  openTrainingSession,
  type Session,
  type TrainingSession,
  type TrainingSessionOptions,
} from './runtime/session.js'
export type { HostArrays, HostDType, HostTensor, HostTensors } from './runtime/tensor.js'
