// What predicts between epochs: the network with the weights of the moment, on batch after batch.

import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Session } from '../runtime/session.js'

export interface Predictor {
  /** How many batches are predicted in one call; their feeds are stacked along a first axis where it is more than one. */
  readonly batches: number
  /**
   * Takes these weights from now on.
   * @throws UserError when the runtime refuses the network
   */
  use(state: Tensors): Promise<void>
  /** The outputs that are wanted, stacked as the feeds are. */
  predict(feeds: Tensors): Promise<Tensors>
  /** Gives back what it holds for the weights. */
  rest(): Promise<void>
  close(): Promise<void>
}

/**
 * On a CPU constant weights are worth a session each time: the runtime lays them out for its fast convolutions.
 * @param keeps whether the session is kept where the weights come next
 */
export function sessionPredictor(
  model: Pick<TrainableModel, 'inference'>,
  open: (model: Uint8Array) => Promise<Session>,
  keeps: boolean,
): Predictor {
  let session: Session | undefined
  const close = async () => {
    await session?.close()
    session = undefined
  }
  return {
    batches: 1,
    async use(state) {
      const bytes = model.inference(state)
      if (session) await session.replace(bytes)
      else session = await open(bytes)
    },
    predict(feeds) {
      if (!session) throw new Error('no weights are given')
      return session.run(feeds)
    },
    rest: async () => (keeps ? undefined : close()),
    close,
  }
}
