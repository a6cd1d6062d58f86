// What this machine's ONNX Runtime does with blocked data: found by asking it, because its block is nowhere published.

import { UserError } from '../../../core/errors.js'
import { graph } from '../../../core/graph/graph.js'
import { input } from '../../../core/graph/value.js'
import { encodeModel } from '../../../core/onnx/tensors.js'
import { writeModel } from '../../../core/onnx/write.js'
import type { SessionSettings } from '../../runtime/protocol.js'
import { openSession } from '../../runtime/session.js'
import { nchwc } from './nchwc.js'

/** A multiple of every block there is. */
const CHANNELS = 64

/**
 * The number of channels in a block. Of two places with C channels each, a blocked tensor holds b numbers of the first
 * place, then b of the second: where the second place begins is b.
 * @returns undefined when the runtime lacks the blocked operators or does something else with them
 */
export async function probeBlock(settings: SessionSettings): Promise<number | undefined> {
  const x = input('x', 'float32', [1, CHANNELS, 1, 2])
  // The shape rule is the same for every block that divides the channels.
  const y = nchwc(8).reorderInput(x)
  const model = encodeModel(writeModel({ graph: graph('probe', [x], { y }), weights: new Map() }))
  try {
    const session = await openSession(model, settings)
    try {
      const data = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i % 2)
      const { y: found } = await session.run({ x: { dtype: 'float32', shape: [1, CHANNELS, 1, 2], data } })
      const order = [...(found!.data as Float32Array)]
      const block = order.indexOf(1)
      const isBlocked = order.every((place, i) => place === Math.floor(i / block) % 2)
      return block > 1 && CHANNELS % block === 0 && isBlocked ? block : undefined
    } finally {
      await session.close()
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return undefined
  }
}
