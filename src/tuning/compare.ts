// Does a step give what the portable step gives? Asked before a faster step trains anything.

import type { TrainableModel } from '../model/trainable.js'
import { randomStream } from '../random.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession } from '../runtime/session.js'
import type { HostTensor, HostTensors } from '../runtime/tensor.js'

/**
 * Two right steps differ by rounding alone; but where rounding turns a ReLU over, a whole gradient element comes or goes,
 * and of m in a million turned over the gradients differ by √m thousandths: 1.5 % were seen 83 layers deep. A layout that
 * was taken wrongly makes other gradients altogether.
 */
const TOLERANCE = 0.1
/** Of the largest change: what lies below it is zero but for rounding (the gradient of a shift before a batch norm). */
const FLOOR = 1e-4

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

/** Root of the mean square of a − b; NaN where one is not finite. */
function distance(a: HostTensor, b: HostTensor): number {
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += (Number(a.data[i]) - Number(b.data[i])) ** 2
  return Math.sqrt(sum / Math.max(1, a.data.length))
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
  candidateSettings = settings,
): Promise<string | undefined> {
  const feeds = someBatch(model, batch)
  const expected = await outputsOf(reference, feeds, settings)
  const actual = await outputsOf(candidate, feeds, candidateSettings)
  const change = (outputs: HostTensors, output: string): number =>
    distance(outputs[output]!, model.state[model.carried[output]!]!)
  const largest = Math.max(...Object.keys(model.carried).map((output) => change(expected, output)))
  for (const output of Object.keys(model.carried)) {
    const apart = distance(expected[output]!, actual[output]!)
    const error = apart / Math.max(change(expected, output), FLOOR * largest)
    if (!(error <= TOLERANCE)) return `"${output}" differs by ${(error * 100).toFixed(1)} %`
  }
  const { loss } = model.signature
  const error = distance(expected[loss]!, actual[loss]!) / Math.abs(Number(expected[loss]!.data[0]))
  return error <= TOLERANCE ? undefined : `"${loss}" differs by ${(error * 100).toFixed(1)} %`
}
