// The library: what `rdm-onnx/core` has, the zoo, and what trains: data sets, sessions of a runtime, `fit`.

export { base as cifarArchitecture, type Entry } from '../graphs/entry.js'
export { pixelStatistics } from '../graphs/pixels.js'
export { type RecipeName, recipes } from '../graphs/recipes.js'
export { type Architecture, architectureSchema, depthOf, residualNetwork, survivalOf } from '../graphs/residual.js'
export { findNetwork, networkNames, zoo } from '../graphs/zoo.js'
export * from './core/index.js'
export { type ArtifactFile, type ArtifactOptions, artifactFiles, trainingArtifacts } from './driver/artifacts/index.js'
export { readCifar } from './driver/data/cifar.js'
export {
  type Column,
  type Dataset,
  type ImageDataset,
  type ImageFilesColumn,
  type ImageSet,
  imageSet,
  type Split,
  type TensorColumn,
} from './driver/data/dataset.js'
export { Batches } from './driver/data/fileBatches.js'
export { type ColumnInfo, type DatasetInfo, describeDataset } from './driver/data/info.js'
export { readDataset } from './driver/data/readers.js'
export type { ReadOptions } from './driver/data/splits.js'
export { columnStatistics } from './driver/data/statistics.js'
export { synthesize } from './driver/data/synth.js'
export { writeCifar10 } from './driver/data/writeCifar.js'
export { classifierOf } from './driver/evaluation/classifier.js'
export { type Evaluation, evaluate, evaluateModel } from './driver/evaluation/evaluate.js'
export { type FitConfig, type FitOverrides, fitConfigSchema } from './driver/fit/config.js'
export type * from './driver/fit/events.js'
export { type FitOptions, type FitResult, fit } from './driver/fit/fit.js'
export { type PlanOptions, planStep } from './driver/planning/plan.js'
export type { OperatorRow, Profile, ProfileRow } from './driver/profile/aggregate.js'
export { nominalFlops } from './driver/profile/flops.js'
export { type ProfileOptions, profileStep } from './driver/profile/profile.js'
export { measureSgemmPeak } from './driver/profile/sgemm.js'
export { formatProfile } from './driver/profile/table.js'
export type { EpochMetrics, Scores } from './driver/run/metrics.js'
export { type FileOptions, readNetwork } from './driver/runtime/externalData.js'
export {
  type Provider,
  providers,
  type RuntimeName,
  runtimes,
  type SessionSettings,
} from './driver/runtime/protocol.js'
export {
  openSession,
  openTrainingSession,
  type Session,
  type StepModels,
  type TrainingSession,
  type TrainingSessionOptions,
} from './driver/runtime/session.js'
export type { RunStanding, SeedsOverrides } from './driver/seeds/seedRun.js'
export { fitSeeds, type SeedsOptions } from './driver/seeds/seeds.js'
export type { SeedOutcome, SeedsSummary } from './driver/seeds/seedsFolder.js'
export { type Spread, spreadOf } from './driver/seeds/statistics.js'
export { type StepPlan, type TargetName, targetNames } from './driver/targets/index.js'
export { type CpuOptions, ortCpu } from './driver/targets/ort-cpu/index.js'
export { type LowerOptions, ortCuda } from './driver/targets/ort-cuda/index.js'
export {
  evaluationSteps,
  type StepsOptions,
  stepNodes,
  type TrainingSteps,
  trainingSteps,
} from './driver/targets/ort-cuda/steps.js'
export { ortTraining } from './driver/targets/ort-training/index.js'
export type { PlannedStep, Precision } from './driver/targets/target.js'
export { effectivePaths, type LayerRange, pathLengths } from './study/paths/lengths.js'
export { multiplicity } from './study/paths/multiplicity.js'
