// The library: describe a network, derive its training step, write it as ONNX, train it.
//
// A network is a Graph of values. Operators (`conv`, `relu`, …) and layers (`conv2d`, `batchNorm`, …) make values of
// values; `graph` collects them. `gradients` derives a backward pass, `trainingStep` a whole step, `exportModel` writes the
// file, `fit` trains it.

// Where layers and networks stand: the zoo and its builder.
export { base as cifarArchitecture, type Entry } from '../graphs/entry.js'
export { pixelStatistics } from '../graphs/pixels.js'
export { type RecipeName, recipes } from '../graphs/recipes.js'
export { type Architecture, architectureSchema, depthOf, residualNetwork, survivalOf } from '../graphs/residual.js'
export { findNetwork, networkNames, zoo } from '../graphs/zoo.js'
export { type ArtifactOptions, artifactFiles, trainingArtifacts } from './artifacts/index.js'
export { type GradientOptions, gradients } from './autodiff/gradients.js'
export { Batches } from './data/batches.js'
export { readDataset } from './data/cifar.js'
export type { Dataset, ImageSet } from './data/imageSet.js'
export { synthesize } from './data/synth.js'
export { writeCifar10 } from './data/writeCifar.js'
export { UserError } from './errors.js'
export { type FitConfig, type FitOverrides, fitConfigSchema } from './fit/config.js'
export { classifierOf, type Evaluation, evaluate } from './fit/evaluate.js'
export type { EndEvent, EpochEvent, FitEvent, NoticeEvent, StartEvent, StepEvent } from './fit/events.js'
export { type FitOptions, type FitResult, fit } from './fit/fit.js'
export type { EpochMetrics } from './fit/metrics.js'
export type { SeedsOverrides } from './fit/seedRun.js'
export { fitSeeds, type SeedsOptions } from './fit/seeds.js'
export type { SeedOutcome, SeedsSummary } from './fit/seedsFolder.js'
export { type Spread, spreadOf } from './fit/statistics.js'
export { evaluate as evaluateGraph, evaluateValues } from './graph/evaluate.js'
export { type Graph, graph } from './graph/graph.js'
export type { Operator, Type } from './graph/operator.js'
export { printGraph } from './graph/print.js'
export { type Replace, type RewriteOptions, rewrite } from './graph/rewrite.js'
export type { Dim, Shape } from './graph/shape.js'
export { type DType, type Tensor, tensor } from './graph/tensor.js'
export {
  constant,
  constantTensor,
  GraphError,
  type Initializer,
  input,
  type Node,
  type Parameter,
  parameter,
  scope,
  type Value,
} from './graph/value.js'
export * from './layers/index.js'
export { multiplyAdds, parameterCount } from './model/cost.js'
export { readTrainableModel } from './model/read.js'
export { type Recipe, recipeSchema } from './model/recipe.js'
export { learningRateAt, parseSchedule, type Schedule } from './model/schedule.js'
export type { EncodeOptions, StepSignature, TrainableModel } from './model/trainable.js'
export { type ExportOptions, exportGraph, exportModel, type Part } from './model/write.js'
export * from './ops/index.js'
export { effectivePaths, type LayerRange, pathLengths } from './paths/lengths.js'
export { multiplicity } from './paths/multiplicity.js'
export type { Profile } from './profile/aggregate.js'
export { nominalFlops } from './profile/flops.js'
export { type ProfileOptions, profileStep } from './profile/profile.js'
export { measureSgemmPeak } from './profile/sgemm.js'
export { formatProfile } from './profile/table.js'
export {
  type Provider,
  providers,
  type RuntimeName,
  runtimes,
  type SessionSettings,
  type TensorInfo,
} from './runtime/protocol.js'
export {
  openSession,
  openTrainingSession,
  type Session,
  type StepModels,
  type TrainingSession,
  type TrainingSessionOptions,
} from './runtime/session.js'
export type { HostArrays, HostDType, HostTensor, HostTensors } from './runtime/tensor.js'
export { type CpuOptions, ortCpu } from './targets/ort-cpu/index.js'
export { type LowerOptions, ortCuda, type Precision } from './targets/ort-cuda/index.js'
export {
  evaluationSteps,
  type StepRoles,
  type StepsOptions,
  stepNodes,
  type TrainingSteps,
  trainingSteps,
} from './targets/ort-cuda/steps.js'
export { ortTraining } from './targets/ort-training/index.js'
export { portable } from './targets/portable/index.js'
export { type Expander, type Expansions, expandPrimitives, type Target } from './targets/target.js'
export { initializationGraph, initialize } from './training/initialize.js'
export { type Optimizer, type TrainingStep, trainingStep } from './training/step.js'
export {
  type PlannedStep,
  type PlanOptions,
  planStep,
  type StepPlan,
  type TargetName,
  targetNames,
} from './tuning/plan.js'
