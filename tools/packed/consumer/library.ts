// All three entry points, as strictly as TypeScript checks.
import { type EpochMetrics, type FitEvent, type FitResult, fit, readDataset, readTrainableModel } from 'rdm-onnx'
import {
  type Graph,
  graph,
  input,
  linear,
  relu,
  type StepOptions,
  type TrainingStep,
  trainingStep,
  type Value,
} from 'rdm-onnx/core'
import { type FitRun, fit as fitInPage, memoryStore, synthesize } from 'rdm-onnx/web'

const x: Value = input('x', 'float32', ['batch', 4])
const network: Graph = graph('small', [x], { logits: relu(linear(x, 'only', 3)) })
const options: StepOptions = { clipNorm: 1 }
export const step: TrainingStep = trainingStep(network, options)

export async function train(model: Uint8Array, folder: string): Promise<readonly EpochMetrics[]> {
  const onEvent = (event: FitEvent): void => {
    if (event.event === 'epoch') console.log(event.epoch, event.testError)
  }
  const { history }: FitResult = await fit({
    model: readTrainableModel(model),
    data: await readDataset(folder),
    out: 'runs/typed',
    onEvent,
  })
  return history
}

export const inPage = (model: Uint8Array): FitRun =>
  fitInPage({ model, data: synthesize({ train: 100, test: 10, seed: 1 }), store: memoryStore() })
