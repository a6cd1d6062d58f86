// The evaluation between epochs: a new session with the weights as constants each time, or one for the whole run.
import type { ImageSet } from '../data/imageSet.js'
import type { TrainableModel } from '../model/trainable.js'
import type { SessionSettings } from '../runtime/protocol.js'
import { openSession, type Session } from '../runtime/session.js'
import type { HostTensors } from '../runtime/tensor.js'
import { evaluationSteps } from '../targets/ort-cuda/steps.js'
import { classifierInLoop, classifierOf, type Evaluation, evaluate, score } from './evaluate.js'

export interface Evaluator {
  /** Over the whole set; undefined when stopped on the way. */
  evaluate(state: HostTensors, signal?: AbortSignal): Promise<Evaluation | undefined>
  close(): Promise<void>
}

/** On a CPU constant weights are worth a session: the runtime lays them out for its fast convolutions. */
export const sessionEvaluator = (model: TrainableModel, set: ImageSet, settings: SessionSettings): Evaluator => ({
  async evaluate(state, signal) {
    const session = await openSession(model.inference(state), { ...settings, optimize: true })
    try {
      return await evaluate(session, classifierOf(session, set), set, signal)
    } finally {
      await session.close()
    }
  },
  close: async () => {},
})

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
