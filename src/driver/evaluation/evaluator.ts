// The evaluation between epochs: a new session with the weights as constants each time, or one for the whole run.

import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { ImageSet } from '../data/imageSet.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession, type Session } from '../runtime/session.js'
import { evaluationSteps } from '../targets/ort-cuda/steps.js'
import { classifierInLoop, classifierOf, type Evaluation, evaluate, score } from './evaluate.js'

export interface Evaluator {
  /** Over the whole set; undefined when stopped on the way. */
  evaluate(state: Tensors, signal?: AbortSignal): Promise<Evaluation | undefined>
  close(): Promise<void>
}

/**
 * On a CPU constant weights are worth a session: the runtime lays them out for its fast convolutions. A thread of the
 * WebAssembly build is kept between them, for it takes a second to compile; one of onnxruntime-node would spin.
 */
export function sessionEvaluator(model: TrainableModel, set: ImageSet, settings: SessionSettings): Evaluator {
  const keeps = settings.runtime === 'web-training'
  let kept: Session | undefined
  return {
    async evaluate(state, signal) {
      const bytes = model.inference(state)
      await kept?.replace(bytes)
      const session = kept ?? (await openSession(bytes, { ...settings, optimize: true }))
      if (keeps) kept = session
      try {
        return await evaluate(session, classifierOf(session, set), set, signal)
      } finally {
        if (!keeps) await session.close()
      }
    },
    close: async () => kept?.close(),
  }
}

/** On a GPU a session takes seconds, for each of which it trains hundreds of steps: the weights come as inputs. */
export function loopEvaluator(model: TrainableModel, set: ImageSet, settings: SessionSettings): Evaluator {
  const { images } = model.signature
  let session: Session | undefined
  return {
    async evaluate(state, signal) {
      if (!session) {
        const { count, channels, height, width } = set
        const data = {
          [images]: { dtype: 'uint8', shape: [count, channels, height, width], data: set.images },
        } as const
        session = await openSession(
          model.encode(evaluationSteps(model.network(), images), { constants: data }),
          settings,
        )
      }
      const names = new Set(session.inputs.map(({ name }) => name))
      const weights = Object.fromEntries(Object.entries(state).filter(([name]) => names.has(name)))
      return score(classifierInLoop(session, weights, set), set, signal)
    },
    close: async () => session?.close(),
  }
}
