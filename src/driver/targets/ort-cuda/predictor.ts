// Predicting on a GPU: many batches a run. A session takes seconds there, for each of which it trains hundreds of steps, so the
// weights come as inputs.

import type { Tensors } from '../../../core/graph/tensor.js'
import type { TrainableModel } from '../../../core/model/trainable.js'
import type { Predictor } from '../../evaluation/predictor.js'
import type { SessionSettings } from '../../runtime/protocol.js'
import { openSession, type Session } from '../../runtime/session.js'
import { evaluationSteps } from './steps.js'

/** Of 200 images: what crosses the bus before and after is little beside them. */
const BATCHES = 50

export function loopPredictor(model: TrainableModel, outputs: readonly string[], settings: SessionSettings): Predictor {
  const inputs = model.signature.inputs.map(({ name }) => name)
  let session: Session | undefined
  let weights: Tensors = {}
  return {
    batches: BATCHES,
    async use(state) {
      session ??= await openSession(model.encode(evaluationSteps(model.network(), inputs, outputs)), settings)
      const names = new Set(session.inputs.map(({ name }) => name))
      weights = Object.fromEntries(Object.entries(state).filter(([name]) => names.has(name)))
    },
    predict(feeds) {
      if (!session) throw new Error('no weights are given')
      return session.run({ ...weights, ...feeds })
    },
    rest: async () => {},
    async close() {
      await session?.close()
      session = undefined
    },
  }
}
