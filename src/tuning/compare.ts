// Does a step give what the portable step gives? Asked before a faster step trains anything.

import type { TrainableModel } from '../model/trainable.js'
import { randomStream } from '../random.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession } from '../runtime/session.js'
import type { HostTensor, HostTensors } from '../runtime/tensor.js'

/**
 * Two right steps differ by rounding alone, which a deep network makes a thousandth of a gradient; a layout that was
 * taken wrongly makes it another gradient altogether.
 */
const TOLERANCE = 0.05
/** Below this a value is held against a fixed measure: gradients that are zero but for rounding have no relative error. */
const FLOOR = 1e-3

function someBatch({ signature, state }: TrainableModel, batch: number): HostTensors {
  const random = randomStream(1, 'comparison')
  const { images, labels, learningRate, gates, imageShape, classes } = signature
  const size = batch * imageShape.reduce((a, b) => a * b, 1)
  const feeds: Record<string, HostTensor> = {
    ...state,
    [images]: {
      dtype: 'uint8',
      shape: [batch, ...imageShape],
      data: Uint8Array.from({ length: size }, () => random.below(256)),
    },
    [labels]: {
      dtype: 'int64',
      shape: [batch],
      data: BigInt64Array.from({ length: batch }, () => BigInt(random.below(classes))),
    },
    [learningRate]: { dtype: 'float32', shape: [], data: Float32Array.of(0.1) },
  }
  if (gates) {
    const count = gates.survival.length
    feeds[gates.name] = { dtype: 'float32', shape: [count], data: new Float32Array(count).fill(1) }
  }
  return feeds
}

async function outputsOf(model: Uint8Array, feeds: HostTensors, settings: SessionSettings): Promise<HostTensors> {
  const session = await openSession(model, settings)
  try {
    return await session.run(feeds)
  } finally {
    await session.close()
  }
}

/** max |a − b| / max(max |a|, floor); NaN where either is not finite. */
function difference(a: HostTensor, b: HostTensor): number {
  let apart = 0
  let largest = FLOOR
  for (let i = 0; i < a.data.length; i++) {
    const [x, y] = [Number(a.data[i]), Number(b.data[i])]
    if (!Number.isFinite(x) || !Number.isFinite(y)) return Number.NaN
    apart = Math.max(apart, Math.abs(x - y))
    largest = Math.max(largest, Math.abs(x))
  }
  return apart / largest
}

/**
 * Runs both steps once on the same small batch.
 * @param reference the portable step, `candidate` the other, for `batch` images
 * @returns what differs, in words; undefined when nothing does
 */
export async function compareSteps(
  model: TrainableModel,
  reference: Uint8Array,
  candidate: Uint8Array,
  batch: number,
  settings: SessionSettings,
): Promise<string | undefined> {
  const feeds = someBatch(model, batch)
  const expected = await outputsOf(reference, feeds, settings)
  const actual = await outputsOf(candidate, feeds, settings)
  for (const [name, value] of Object.entries(expected)) {
    if (name === model.signature.correct) continue
    const other = actual[name]
    const error = other && other.data.length === value.data.length ? difference(value, other) : Number.NaN
    if (!(error <= TOLERANCE)) return `"${name}" differs by ${Number.isNaN(error) ? 'all' : error.toExponential(1)}`
  }
  return undefined
}
