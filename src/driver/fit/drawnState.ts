// The first values of a run that draws its own, by any runtime.

import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Engine } from './engine.js'

/**
 * First values of the state, drawn by the initialization in the model's file. What that leaves out keeps the value in
 * the file. The same seed gives the same bytes in the same runtime.
 * @throws UserError when the file has no initialization, one that draws nothing, or one that the runtime refuses
 */
export async function drawnState(
  { openSmall }: Pick<Engine, 'openSmall'>,
  model: Pick<TrainableModel, 'initialization' | 'state'>,
  seed: number,
): Promise<Tensors> {
  const initialization = model.initialization(seed)
  // On the CPU whatever trains the model: another provider would draw other numbers.
  const session = await openSmall(initialization.model)
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
