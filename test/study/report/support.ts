// Folders as rdm-repro and rdm-fit leave them, with metrics made up.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { recipes } from '../../../graphs/recipes.js'
import { type Architecture, residualNetwork } from '../../../graphs/residual.js'
import { paperData } from '../../../graphs/table1.js'
import { findNetwork } from '../../../graphs/zoo.js'
import { exportModel } from '../../../src/core/model/write.js'
import { valueAt } from '../../../src/core/training/schedule.js'
import { type FitConfig, newConfig } from '../../../src/driver/fit/config.js'
import { type EpochMetrics, metricsText } from '../../../src/driver/run/metrics.js'
import type { RunInfo } from '../../../src/driver/run/runFolder.js'
import type { EpochTiming } from '../../../src/driver/run/timing.js'
import { formatExperiment } from '../../../src/study/repro/folder.js'
import { type PlanModel, planOf } from '../../../src/study/repro/plan.js'

/** Metrics with these test errors, by epoch; the training errors are a tenth less. */
export const historyOf = (testErrors: readonly number[], config: Partial<FitConfig> = {}): EpochMetrics[] =>
  testErrors.map((testError, epoch) => ({
    ...{ epoch, step: 391 * (epoch + 1) },
    learningRate: valueAt(config.learningRate ?? recipes.paper.learningRate, {
      step: epoch,
      steps: 1,
      stepsPerEpoch: 1,
    }),
    ...{ loss: 2.5 * testError, error: 0.9 * testError, testLoss: 2.8 * testError, testError },
  }))

export const timing: EpochTiming = {
  ...{ epoch: 0, steps: 391, images: 50_000, trainingMs: 100_000, evaluationMs: 4_000 },
  ...{ batchSize: 128, threads: 1, provider: 'cpu', target: 'ort-cpu' },
  machine: { processor: 'Processor X', cores: 2 },
  versions: { 'rdm-onnx': '0.1.0', 'onnxruntime-node': '1.29.0', node: '20.19.0' },
}

export interface MadeRun {
  readonly testErrors: readonly number[]
  readonly config?: Partial<FitConfig>
  /** Lines of timing.jsonl: one an epoch unless given. */
  readonly timings?: readonly (object | string)[]
  readonly info?: Partial<RunInfo>
  /** Of the model's file; there is none without. */
  readonly architecture?: Architecture
}

const modelFile = (architecture: Architecture) =>
  exportModel(residualNetwork(architecture), { recipe: recipes.paper, seed: 1, architecture })

/** A run folder, finished where it has all its epochs. */
export function writeRun(folder: string, { testErrors, config = {}, timings, info = {}, architecture }: MadeRun): void {
  mkdirSync(folder, { recursive: true })
  const whole = { ...newConfig(recipes.paper, { threads: 1, ...config }) }
  const text = (value: object | string) => `${typeof value === 'string' ? value : JSON.stringify(value)}\n`
  const run: RunInfo = {
    ...{ format: 'rdm-onnx run 1', model: 'model', data: { path: '/data/cifar-10-batches-bin', sha256: paperData } },
    ...{ config: whole, recipe: recipes.paper, plan: { target: 'portable' } },
    ...info,
  }
  writeFileSync(join(folder, 'config.json'), text(run))
  writeFileSync(join(folder, 'metrics.jsonl'), metricsText(historyOf(testErrors, whole)))
  const lines = timings ?? testErrors.map((_, epoch) => ({ ...timing, epoch }))
  writeFileSync(join(folder, 'timing.jsonl'), lines.map(text).join(''))
  if (architecture) writeFileSync(join(folder, 'initial.onnx'), modelFile(architecture))
  if (testErrors.length === whole.epochs) writeFileSync(join(folder, 'model.onnx'), '')
}

/** What marks a folder of several runs. */
export function writeSeeds(folder: string, seeds: readonly number[]): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'seeds.json'), JSON.stringify({ format: 'rdm-onnx seeds 1', seeds }))
}

/** A model of a plan, by a network of the zoo. */
export function planModel(name: string, change: Partial<PlanModel> = {}): PlanModel {
  const { epochs, batchSize, learningRate, augment } = recipes.paper
  return {
    name,
    architecture: findNetwork(name)?.architecture ?? findNetwork('rdm56')!.architecture,
    ...{ recipe: recipes.paper, init: 'he', seeds: [1, 2] },
    config: {
      ...{ epochs, batchSize, augment, steps: null, precision: 'fp32' },
      learningRate: learningRate.map(([from, rate]): [number, number] => [from, rate]),
    },
    ...change,
  }
}

/** The folder of an experiment; `errors` gives the test errors of each run, undefined for one that has not begun. */
export function writeExperiment(
  folder: string,
  name: string,
  models: readonly PlanModel[],
  errors: (model: PlanModel, seed: number) => readonly number[] | undefined,
  sha256: string = paperData,
): void {
  mkdirSync(folder, { recursive: true })
  const data = { path: '/data/cifar-10-batches-bin', sha256 }
  writeFileSync(join(folder, 'plan.json'), formatExperiment({ plan: planOf(name, models), data }))
  for (const model of models)
    for (const seed of model.seeds) {
      const testErrors = errors(model, seed)
      if (!testErrors) continue
      writeRun(join(folder, model.name, `seed-${seed}`), {
        testErrors,
        config: { ...model.config, seed },
        info: { data, recipe: model.recipe },
      })
    }
}
