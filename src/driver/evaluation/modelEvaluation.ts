// How good any model is on a split: one of ours, whose file says its loss, or another, whose loss is found or given.

import { UserError } from '../../core/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import type { Tensor, Tensors } from '../../core/graph/tensor.js'
import { input } from '../../core/graph/value.js'
import { crossEntropy } from '../../core/losses/crossEntropy.js'
import type { Loss } from '../../core/losses/loss.js'
import { scoringOf } from '../../core/losses/scoring.js'
import { fromBase64, keys, readMetadata } from '../../core/model/metadata.js'
import type { TestAugment } from '../../core/model/recipe.js'
import { exportGraph } from '../../core/model/write.js'
import type { TensorInfo } from '../../core/onnx/signature.js'
import { decodeModel } from '../../core/onnx/tensors.js'
import type { MetricInfo, TargetInfo } from '../../core/training/signature.js'
import { bindColumns, type InputColumns } from '../data/bind.js'
import type { ImageSet, Split } from '../data/dataset.js'
import type { Engine } from '../fit/engine.js'
import type { Scores } from '../run/metrics.js'
import type { Session } from '../runtime/session.js'
import { argmax, type ClassifierNames } from './classifier.js'
import { EVALUATION_BATCH, evaluateSplit } from './evaluator.js'
import { Scorer } from './scorer.js'
import { varianceOf } from './splitEvaluator.js'

/** How predictions are scored. */
export interface Scored {
  readonly scoring: Uint8Array
  readonly targets: readonly TargetInfo[]
  readonly loss: string
  readonly metrics: readonly MetricInfo[]
}

/** What a file of ours says of it; undefined for a file of somebody else's. */
export function scoredInFile(bytes: Uint8Array): Scored | undefined {
  const properties = decodeModel(bytes).metadataProps
  const signature = readMetadata(properties, keys.signature)
  const scoring = readMetadata(properties, keys.loss)
  if (!signature || scoring === undefined) return undefined
  const { targets, loss, metrics } = signature
  return { scoring: fromBase64(scoring), targets, loss, metrics }
}

/** Predictions of a network as a graph whose outputs are its inputs: what a loss is applied to. */
const predictions = (outputs: readonly TensorInfo[]): Pick<Graph, 'name' | 'outputs'> => ({
  name: 'predictions',
  outputs: new Map(outputs.map(({ name, dtype, shape }) => [name, input(name, dtype, ['batch', ...shape.slice(1)])])),
})

/** A loss of outputs, as it would be said in a file. */
export function scoredBy(loss: Loss, outputs: readonly TensorInfo[]): Scored {
  const { graph: source, ...said } = scoringOf(predictions(outputs), loss)
  return { ...said, scoring: exportGraph(source) }
}

/** What a model scored on a split. */
export interface Evaluation {
  /** How many examples were scored, images or not. */
  readonly images: number
  /** The mean over the examples. */
  readonly loss: number
  /** Metrics by name; a classifier's `error` is the fraction that was classified wrong. */
  readonly scores: Scores
  /** Of a classifier: how many examples of class `row` were taken for class `column`. */
  readonly confusion?: readonly (readonly number[])[]
}

export interface EvaluateModelOptions {
  readonly session: Pick<Session, 'run' | 'inputs' | 'outputs'>
  readonly scored: Scored
  readonly split: Split
  /** What the split is called in messages. */
  readonly name?: string
  readonly inputs?: InputColumns | undefined
  readonly testAugment?: TestAugment | undefined
  /** The output that says the class, for the confusion matrix. */
  readonly logits?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Predicts and scores a whole split.
 * @returns undefined when `signal` aborted it
 * @throws UserError when model and data do not fit, or a prediction is not finite
 */
export async function evaluateModelBy(
  engine: Pick<Engine, 'openSmall' | 'openBatches'>,
  options: EvaluateModelOptions,
): Promise<Evaluation | undefined> {
  const { session, scored, name = 'test', inputs: columns, testAugment, logits, signal } = options
  const inputs = session.inputs.map((info) => ({ ...info, shape: [...info.shape] }))
  const own = { inputs, targets: [...scored.targets] }
  const { bindings, splits } = bindColumns(own, { [name]: options.split }, columns)
  const split = splits[name]!
  const fixed = inputs[0]?.shape[0]
  const fixedBatch = typeof fixed === 'number' ? fixed : undefined
  const scorer = await Scorer.open({
    open: engine.openSmall,
    scoring: scored.scoring,
    measured: { loss: scored.loss, metrics: [...scored.metrics] },
    varianceOf: (target) => varianceOf(split, bindings, target),
  })
  const source = await engine.openBatches(split, bindings, { batchSize: fixedBatch ?? EVALUATION_BATCH })
  const classes = scored.targets.find(({ classes, shape }) => classes !== undefined && shape.length === 1)
  const confusion = logits !== undefined && classes ? new Confusion(classes, logits) : undefined
  try {
    const score = await evaluateSplit({
      predictor: { batches: 1, predict: (feeds) => session.run(feeds) },
      ...{ scorer, source, fixedBatch, testAugment, signal },
      inputs: inputs.map((info) => info.name),
      onBatch: (values) => confusion?.add(values),
    })
    if (!score) return undefined
    const { examples, loss, scores } = score
    return { images: examples, loss, scores, ...(confusion ? { confusion: confusion.rows } : {}) }
  } finally {
    await scorer.close()
    await source.close()
  }
}

/** Counts what was taken for what; predictions that are not finite are nothing to count. */
class Confusion {
  readonly rows: number[][]
  readonly #label: string
  readonly #ignored: number | undefined
  readonly #logits: string
  #seen = 0

  constructor({ name, classes = 0, ignored }: TargetInfo, logits: string) {
    this.rows = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
    this.#label = name
    this.#ignored = ignored
    this.#logits = logits
  }

  add(values: Tensors): void {
    const [labels, logits] = [values[this.#label]!, values[this.#logits] as Tensor<'float32'>]
    const classes = this.rows.length
    for (let i = 0; i < labels.data.length; i++, this.#seen++) {
      const row = logits.data.subarray(i * classes, (i + 1) * classes)
      const bad = row.findIndex((value) => !Number.isFinite(value))
      if (bad >= 0)
        throw new UserError(
          `the output "${this.#logits}" is ${row[bad]} for example ${this.#seen} (counted from 0): the model predicts nothing; if its training diverged, train it anew with a lower learning rate`,
        )
      const label = Number(labels.data[i])
      if (label !== this.#ignored) this.rows[label]![argmax(row)]! += 1
    }
  }
}

/** What a classifier gives is read as. */
export type Reading = 'logits' | 'probabilities'

/** Whether each row of an output is a distribution: nothing below 0, and 1 in all. */
export function readingOf({ data, shape }: Tensor, classes: number): Reading {
  const rows = data.length / classes
  if (shape.length !== 2) return 'logits'
  for (let i = 0; i < rows; i++) {
    let sum = 0
    for (let c = 0; c < classes; c++) {
      const value = Number(data[i * classes + c])
      if (!(value >= 0 && value <= 1)) return 'logits'
      sum += value
    }
    if (Math.abs(sum - 1) > 1e-3) return 'logits'
  }
  return 'probabilities'
}

/** Images that tell what a classifier's output is read as. */
const PROBED = 16

/** The cross-entropy of a classifier of somebody else's: of its logits, or of what are probabilities already. */
export async function classifierScoredBy(
  session: Pick<Session, 'run' | 'inputs' | 'outputs'>,
  { images, logits }: ClassifierNames,
  set: Omit<ImageSet, 'columns'>,
): Promise<Scored> {
  const fixed = session.inputs[0]?.shape[0]
  const few = typeof fixed === 'number' ? fixed : Math.min(set.count, PROBED)
  const size = set.images.length / set.count
  const data = new Uint8Array(few * size)
  data.set(set.images.subarray(0, Math.min(few, set.count) * size))
  const shape = [few, set.channels, set.height, set.width]
  const outputs = await session.run({ [images]: { dtype: 'uint8', shape, data } })
  const classes = set.classes.length
  const probabilities = readingOf(outputs[logits]!, classes) === 'probabilities'
  const named = session.outputs.map((info) => (info.name === logits ? { ...info, shape: ['batch', classes] } : info))
  return scoredBy(crossEntropy({ output: logits, probabilities }), named)
}
