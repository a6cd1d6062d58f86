// Does a step give what the portable step gives? Asked before a faster step trains anything.

import { elementsOf, isFloat, type Tensor, type Tensors, tensor } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { SEEDS } from '../../core/ops/dropout.js'
import { type RandomStream, randomStream } from '../../core/random.js'
import type { TargetInfo } from '../../core/training/signature.js'
import { percent } from '../format/units.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession } from '../runtime/session.js'

/**
 * Two right steps differ by rounding alone; but where rounding turns a ReLU over, a whole gradient element comes or goes,
 * and of m in a million turned over the gradients differ by √m thousandths: 1.5 % were seen 83 layers deep. A layout that
 * was taken wrongly makes other gradients altogether.
 */
const TOLERANCE = 0.1
/**
 * Of one state tensor where products are rounded to 11 bits (half precision, and TF32 on a GPU): more ReLUs turn over, and in a
 * tensor whose gradient nearly cancels out that is much of it. RDM-56 in half precision on an H200: 10.5 % of the first
 * convolution's weights. A gradient that is wrong is off by its own size.
 */
const COARSE_TOLERANCE = 0.5
/** Of the whole state then: torchvision's resnet18 at 64 × 64 in half precision on an H200, 16 random images: 12.1 %. */
const COARSE_WHOLE = 0.25
/** Of the largest change: what lies below it is zero but for rounding (the gradient of a shift before a batch norm). */
const FLOOR = 1e-4

/** Sizes that the signature leaves open, but for the batch. */
const OPEN_SIZE = 4

/** Drawn numbers for an input: pixels, classes, or numbers around zero. */
function drawn({ dtype, shape, classes }: TargetInfo, batch: number, random: RandomStream): Tensor {
  const sizes = [batch, ...shape.slice(1).map((dim) => (typeof dim === 'number' ? dim : OPEN_SIZE))]
  const next = (): number => {
    if (classes !== undefined) return random.below(classes)
    if (dtype === 'bool') return random.below(2)
    if (dtype === 'uint8') return random.below(256)
    return isFloat(dtype) ? random.normal() : random.below(2)
  }
  return tensor(dtype, sizes, Float64Array.from({ length: elementsOf(sizes) }, next))
}

function someBatch({ signature, state }: TrainableModel, batch: number): Tensors {
  const random = randomStream(1, 'comparison')
  const { inputs, targets, hyperparameters, gates, seeds, updateShare, stepCount } = signature
  const feeds: Record<string, Tensor> = { ...state }
  for (const info of [...inputs, ...targets]) feeds[info.name] = drawn(info, batch, random)
  for (const [name, value] of Object.entries(hyperparameters)) feeds[name] = tensor('float32', [], [value ?? 0.1])
  if (gates)
    feeds[gates.name] = tensor(
      'float32',
      [gates.survival.length],
      gates.survival.map(() => 1),
    )
  if (updateShare !== undefined) feeds[updateShare] = tensor('float32', [], [1])
  if (stepCount !== undefined) feeds[stepCount] = tensor('int64', [], [1])
  if (seeds !== undefined) feeds[seeds] = tensor('float32', [SEEDS], [1, 2, 3, 4])
  return feeds
}

async function outputsOf(model: Uint8Array, feeds: Tensors, settings: SessionSettings): Promise<Tensors> {
  const session = await openSession(model, settings)
  try {
    return await session.run(feeds)
  } finally {
    await session.close()
  }
}

/** Root of the mean square of a − b; NaN where one is not finite. */
function distance(a: Tensor, b: Tensor): number {
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += (Number(a.data[i]) - Number(b.data[i])) ** 2
  return Math.sqrt(sum / Math.max(1, a.data.length))
}

/** How the candidate is run, where that is not how the reference is. */
export interface CandidateOptions {
  readonly settings: SessionSettings
  /** Its products have 11 bits. */
  readonly coarse: boolean
}

/**
 * Runs both steps once on the same small batch, side by side.
 * @param reference the portable step
 * @param candidate the other one, or what writes it while the reference runs
 * @param batch how many examples both take
 * @returns what differs, in words; undefined when nothing does
 */
export async function compareSteps(
  model: TrainableModel,
  reference: Uint8Array,
  candidate: Uint8Array | (() => Uint8Array),
  batch: number,
  settings: SessionSettings,
  { settings: candidateSettings, coarse }: CandidateOptions = { settings, coarse: false },
): Promise<string | undefined> {
  const feeds = someBatch(model, batch)
  const apart = model.foreign ?? false
  const candidateOutputs = async () =>
    outputsOf(typeof candidate === 'function' ? candidate() : candidate, feeds, { ...candidateSettings, apart })
  // Both come to their end before an error goes on: no session is left to work beside what follows.
  const both = await Promise.allSettled([outputsOf(reference, feeds, { ...settings, apart }), candidateOutputs()])
  const [expected, actual] = both.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  }) as [Tensors, Tensors]
  const { updates, loss } = model.signature
  const change = (outputs: Tensors, output: string): number =>
    distance(outputs[output]!, model.state[updates[output]!]!)
  const largest = Math.max(...Object.keys(updates).map((output) => change(expected, output)))
  const tolerance = coarse ? COARSE_TOLERANCE : TOLERANCE
  let [allApart, allChanged] = [0, 0]
  for (const output of Object.keys(updates)) {
    const apart = distance(expected[output]!, actual[output]!)
    const changed = change(expected, output)
    const error = apart / Math.max(changed, FLOOR * largest)
    if (!(error <= tolerance)) return `"${output}" differs by ${percent(error, 1)}`
    const { length } = expected[output]!.data
    allApart += length * apart ** 2
    allChanged += length * changed ** 2
  }
  const whole = Math.sqrt(allApart / allChanged)
  if (!(whole <= (coarse ? COARSE_WHOLE : TOLERANCE))) return `the state as a whole differs by ${percent(whole, 1)}`
  const error = distance(expected[loss]!, actual[loss]!) / Math.abs(Number(expected[loss]!.data[0]))
  return error <= TOLERANCE ? undefined : `"${loss}" differs by ${percent(error, 1)}`
}
