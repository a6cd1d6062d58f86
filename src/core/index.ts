// The floor that needs no Node: describe a network, derive its training step, write it as ONNX, read ONNX. It runs in a page, a
// worker, Deno and Node alike.
//
// A network is a Graph of values. Operators (`conv`, `relu`, …) and layers (`conv2d`, `batchNorm`, …) make values of
// values; `graph` collects them. `gradients` derives a backward pass, `trainingStep` a whole step, `exportModel` writes the
// file.

export { type GradientOptions, gradients, type Seeds, vectorJacobian } from './autodiff/gradients.js'
export { hessianVector, jacobianVector, type SecondOrder } from './autodiff/products.js'
export { type AdapterOptions, adaptersOf, merged, withAdapters, withoutUpdates } from './derive/adapters.js'
export { withOpenBatch } from './derive/batch.js'
export type { Product } from './derive/derivation.js'
export {
  type DerivativeOptions,
  derivativeGraph,
  type ExportDerivativeOptions,
  exportDerivative,
  type Layout,
} from './derive/derivative.js'
export { type DeriveOptions, derive, fineTuning, type Preparation, prepared } from './derive/derive.js'
export { withHead } from './derive/head.js'
export { imagenetPixels, type PixelStatistics, withPixels } from './derive/pixels.js'
export { type Selection, select } from './derive/selection.js'
export { UserError } from './errors.js'
export { type Composite, type CompositeRecord, composite } from './graph/composite.js'
export { evaluate as evaluateGraph, evaluateValues } from './graph/evaluate.js'
export { type Graph, graph } from './graph/graph.js'
export { float, int, type Operator, type Type } from './graph/operator.js'
export { printGraph } from './graph/print.js'
export { type Replace, type RewriteOptions, rewrite } from './graph/rewrite.js'
export type { Dim, Shape } from './graph/shape.js'
export {
  type Arrays,
  type DType,
  type Numbers,
  numbers,
  type Tensor,
  type Tensors,
  tensor,
} from './graph/tensor.js'
export {
  apply,
  apply1,
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
export * from './losses/index.js'
export { multiplyAdds, parameterCount } from './model/cost.js'
export { metadataOf } from './model/metadata.js'
export { readTrainableModel } from './model/read.js'
export { photoAugmentation, type Recipe, recipeSchema } from './model/recipe.js'
export type { EncodeOptions, TrainableModel } from './model/trainable.js'
export { defaultsOf, type ExportOptions, exportGraph, exportModel, type Part, withDefaults } from './model/write.js'
export { type NetworkOptions, readNetwork } from './onnx/network.js'
export { ModelError, type Refusal } from './onnx/refusals.js'
export { signatureOf, type TensorInfo } from './onnx/signature.js'
export type { ExternalData, ExternalPlace } from './onnx/tensors.js'
export * from './ops/exported.js'
export * from './optimizers/index.js'
export { portable } from './targets/portable/index.js'
export { type Expander, type Expansions, expandPrimitives, type Target } from './targets/target.js'
export type { Average } from './training/average.js'
export type { ParameterGroup } from './training/groups.js'
export { initializationGraph, initialize } from './training/initialize.js'
export { formatSchedule, type Position, parseSchedule, type Schedule, valueAt } from './training/schedule.js'
export type { MetricInfo, StepSignature, TargetInfo } from './training/signature.js'
export { type StepOptions, type TrainingStep, trainingStep } from './training/step.js'
