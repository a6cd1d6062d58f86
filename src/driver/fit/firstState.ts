// The first values of a run that draws its own.

import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { openSession } from '../runtime/session.js'

/**
 * First values of the state, drawn by the initialization in the model's file. What that leaves out keeps the value in
 * the file. The same seed gives the same bytes in the same runtime.
 * @throws UserError when the file has no initialization, one that draws nothing, or one that the runtime refuses
 */
export async function drawState(model: TrainableModel, seed: number): Promise<Tensors> {
  const initialization = model.initialization(seed)
  // On the CPU whatever trains the model: another provider would draw other numbers.
  const session = await openSession(initialization.model, { provider: 'cpu', threads: 1 })
  try {
    const drawn = Object.entries(await session.run({}))
    return {
      ...model.state,
      ...Object.fromEntries(drawn.map(([output, value]) => [initialization.initial[output]!, value])),
    }
  } finally {
    await session.close()
  }
}
