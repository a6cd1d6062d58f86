// `rdm-onnx/web`: trains in a page what `rdm-fit` trains in Node, by onnxruntime-web, in a worker. The same recipes, schedules,
// losses, optimizers, augmentation and checkpoints; WebAssembly with threads, or WebGPU.

export { UserError } from '../core/errors.js'
export type { Tensor, Tensors } from '../core/graph/tensor.js'
export type { TensorInfo } from '../core/onnx/signature.js'
export {
  type Column,
  type Dataset,
  type ImageFilesColumn,
  type ImageSet,
  imageSet,
  type Split,
  type TensorColumn,
} from '../driver/data/dataset.js'
export { type SynthOptions, synthesize } from '../driver/data/synth.js'
export type { Evaluation } from '../driver/evaluation/modelEvaluation.js'
export type * from '../driver/fit/events.js'
export type { EpochMetrics, Scores } from '../driver/run/metrics.js'
export { chosenFiles, droppedFiles, filesInFolder, type PageFile, readDataset } from './files.js'
export { type FitOptions, type FitResult, type FitRun, fit } from './fit.js'
export { drawState, type EvaluateOptions, evaluate, openSession, type WebSession } from './models.js'
export { type WebOverrides, type WebProvider, type WebSettings, webProviders } from './protocol.js'
export { memoryStore, openStore, type RunStore, storedRuns } from './store.js'
