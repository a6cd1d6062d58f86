// How good any model is on a data set, by a session in Node.

import { type ImageSet, imageSet } from '../data/dataset.js'
import { nodeEngine } from '../runtime/engine.js'
import type { Session } from '../runtime/session.js'
import type { ClassifierNames } from './classifier.js'
import {
  classifierScoredBy,
  type EvaluateModelOptions,
  type Evaluation,
  evaluateModelBy,
  type Reading,
  readingOf,
  type Scored,
  scoredBy,
  scoredInFile,
} from './modelEvaluation.js'

export {
  classifierScoredBy,
  type EvaluateModelOptions,
  type Evaluation,
  type Reading,
  readingOf,
  type Scored,
  scoredBy,
  scoredInFile,
}

/**
 * Predicts and scores a whole split.
 * @returns undefined when `signal` aborted it
 * @throws UserError when model and data do not fit, or a prediction is not finite
 */
export const evaluateModel = (options: EvaluateModelOptions): Promise<Evaluation | undefined> =>
  evaluateModelBy(nodeEngine(), options)

/**
 * The error, the loss and the confusion matrix of an image classifier.
 * @returns undefined when `signal` aborted it
 * @throws UserError for predictions that are not finite, or that do not have a row for each image
 */
export async function evaluate(
  session: Pick<Session, 'run' | 'inputs' | 'outputs'>,
  names: ClassifierNames,
  set: Omit<ImageSet, 'columns'>,
  signal?: AbortSignal,
): Promise<(Evaluation & { readonly error: number; readonly wrong: number }) | undefined> {
  const scored = await classifierScoredBy(session, names, set)
  const split = imageSet(set)
  const result = await evaluateModel({ session, scored, split, logits: names.logits, signal })
  if (!result) return undefined
  const error = result.scores.error!
  return { ...result, error, wrong: Math.round(error * result.images) }
}
