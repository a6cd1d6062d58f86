// How good a model is on a whole split: forward by a predictor, loss and metrics by the graph of the loss.

import { UserError } from '../../core/errors.js'
import { elementsOf, type Tensor, type Tensors, tensor, tensorOf, widen } from '../../core/graph/tensor.js'
import type { TestAugment } from '../../core/model/recipe.js'
import type { BatchSource } from '../data/batchSource.js'
import type { Predictor } from './predictor.js'
import type { Score, Scorer } from './scorer.js'
import { predictVariants } from './variants.js'

/** Divides the 10,000 CIFAR test images, so that no odd batch makes the runtime plan its memory anew. */
export const EVALUATION_BATCH = 200

export interface EvaluateOptions {
  readonly predictor: Pick<Predictor, 'batches' | 'predict'>
  readonly scorer: Pick<Scorer, 'add' | 'inputs' | 'take'>
  /** In the order of the set. */
  readonly source: BatchSource
  /** The inputs of the network; the other columns of a batch are targets. */
  readonly inputs: readonly string[]
  /** The only number of examples that the model takes at a time. */
  readonly fixedBatch?: number | undefined
  readonly testAugment?: TestAugment | undefined
  readonly signal?: AbortSignal | undefined
  /** Sees the outputs and the targets of each batch, after the loss. */
  onBatch?(values: Tensors, examples: number): void
}

/**
 * Predicts and scores every example of a split.
 * @returns undefined when `signal` aborted it
 * @throws UserError for outputs that are not finite, or that do not have a row for each example
 */
export async function evaluateSplit(options: EvaluateOptions): Promise<Score | undefined> {
  const { predictor, scorer, source, inputs, fixedBatch, testAugment = 'none', signal } = options
  for (let step = 0; step < source.stepsPerEpoch; ) {
    if (signal?.aborted) return undefined
    const steps = predictor.batches === 1 ? undefined : Math.min(predictor.batches, source.alikeFrom(step))
    const rows = steps === undefined ? await source.batch(0, step) : await source.stack(0, step, steps)
    const size = source.sizeOf(step)
    const examples = size * (steps ?? 1)
    const fed = Object.fromEntries(inputs.map((name) => [name, rows[name]!]))
    const feeds =
      fixedBatch === undefined || size === fixedBatch ? fed : mapped(fed, (value) => padded(value, fixedBatch))
    const predicted = await predictVariants((given) => predictor.predict(given), feeds, testAugment)
    // Others may have no row for each example, such as the state of a recurrent network.
    const outputs = Object.fromEntries(Object.entries(predicted).filter(([name]) => scorer.inputs.includes(name)))
    const values = {
      ...mapped(outputs, (value, name) => ofExamples(value, name, examples, steps, fixedBatch)),
      ...mapped(rows, (value) => (steps === undefined ? value : flat(value))),
    }
    await scorer.add(values, examples)
    options.onBatch?.(values, examples)
    step += steps ?? 1
  }
  return scorer.take()
}

const mapped = (tensors: Tensors, change: (value: Tensor, name: string) => Tensor): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, change(value, name)]))

/** [steps, batch, …] → [steps · batch, …] */
const flat = (value: Tensor): Tensor => {
  const [steps, batch, ...rest] = value.shape as readonly [number, number, ...number[]]
  return tensorOf(value.dtype, [steps * batch, ...rest], value.data)
}

/** The rows of a batch, and its last one as often as it takes to fill it. */
function padded(value: Tensor, batch: number): Tensor {
  const [count, ...rest] = value.shape as readonly [number, ...number[]]
  const size = elementsOf(rest)
  const data = value.data.slice(0, 0).constructor as new (length: number) => Tensor['data']
  const rows = new data(batch * size)
  for (let i = 0; i < batch; i++) {
    const from = Math.min(i, count - 1) * size
    // Of one type, though TypeScript cannot tell.
    rows.set(value.data.subarray(from, from + size) as never, i * size)
  }
  return tensorOf(value.dtype, [batch, ...rest], rows)
}

const meanOf = (value: Tensor): Tensor => {
  const { dtype, data } = widen(value)
  return tensor(dtype, [], [data.reduce((sum, each) => sum + each, 0) / data.length])
}

/** An output with a row for each example; what was filled in is cut off. Scalars stay as they are. */
function ofExamples(
  value: Tensor,
  name: string,
  examples: number,
  steps: number | undefined,
  fixedBatch: number | undefined,
): Tensor {
  // A number of each batch, all of one size: a mean over its examples, or what follows from the weights alone.
  if (steps !== undefined && value.shape.length === 1) return meanOf(value)
  const rows = steps === undefined ? value : flat(value)
  if (rows.shape.length === 0) return rows
  const [count, ...rest] = rows.shape as readonly [number, ...number[]]
  if (count === examples) return rows
  if (count !== fixedBatch)
    throw new UserError(`the output "${name}" has ${count} rows for ${examples} examples; expected one for each`)
  const data = rows.data.subarray(0, examples * elementsOf(rest)) as Tensor['data']
  return tensorOf(rows.dtype, [examples, ...rest], data)
}
