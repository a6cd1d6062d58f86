// What a network says of images: as its file has it, and with gates, while some of its residual functions are removed.

import { UserError } from '../../core/errors.js'
import type { Tensor } from '../../core/graph/tensor.js'
import { FUNCTION_GATES } from '../../core/model/metadata.js'
import type { ImageSet } from '../../driver/data/dataset.js'
import { argmax, type ClassifierNames, classifierBy, classifierOf } from '../../driver/evaluation/classifier.js'
import type { Session } from '../../driver/runtime/session.js'
import type { Removed } from './lesion.js'
import { pick } from './residualModel.js'

/** The session with some functions' gates shut. */
export function gatedRun(session: Pick<Session, 'run'>, functions: number, removed: Removed): Pick<Session, 'run'> {
  const open = new Float32Array(functions).fill(1)
  for (const index of removed) open[index] = 0
  const gates: Tensor = { dtype: 'float32', shape: [functions], data: open }
  return { run: (feeds) => session.run({ ...feeds, [FUNCTION_GATES]: gates }) }
}

/** The class that each image is taken for; undefined when `signal` aborted it. */
export async function guesses(
  session: Pick<Session, 'run'>,
  names: ClassifierNames,
  set: ImageSet,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  const classifier = classifierBy(session, names, set)
  const classes = set.classes.length
  const found = new Uint8Array(set.count)
  for (let first = 0; first < set.count; first += classifier.batch) {
    if (signal?.aborted) return undefined
    const count = Math.min(classifier.batch, set.count - first)
    const logits = await classifier.logits(first, count)
    for (let i = 0; i < count; i++) found[first + i] = argmax(logits.subarray(i * classes, (i + 1) * classes))
  }
  return found
}

/** Images on which the network that is built is compared with the file's. */
const probed = 16

export interface OwnLogits {
  readonly names: ClassifierNames
  /** The first images of the set. */
  readonly images: ImageSet
  readonly logits: Float32Array
}

/**
 * What the file itself says of a few images.
 * @param source how to call the file
 * @throws UserError when it is no classifier of such images
 */
export async function ownLogitsBy(
  session: Pick<Session, 'inputs' | 'outputs' | 'run'>,
  source: string,
  set: ImageSet,
): Promise<OwnLogits> {
  const names = classifierOf(session, set)
  const indices = Array.from({ length: Math.min(probed, set.count) }, (_, i) => i)
  const images = pick(set, indices)
  const logits = await classifierBy(session, names, images).logits(0, images.count)
  if (logits.some((value) => !Number.isFinite(value)))
    throw new UserError(`${source}: its logits are not finite: the training has diverged; train the model anew`)
  return { names, images, logits }
}
