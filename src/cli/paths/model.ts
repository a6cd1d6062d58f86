// A trained residual network from a file, and what the file itself says of images.

import type { ImageSet } from '../../driver/data/dataset.js'
import type { SessionSettings } from '../../driver/runtime/protocol.js'
import { openSession } from '../../driver/runtime/session.js'
import { type OwnLogits, ownLogitsBy } from '../../study/paths/gatedRun.js'
import { type ResidualModel, residualModelOf } from '../../study/paths/residualModel.js'
import { readInput } from '../input.js'

/** @throws UserError as `residualModelOf`, and for a file that cannot be read */
export const readResidualModel = async (path: string): Promise<ResidualModel> =>
  residualModelOf(await readInput(path), path === '-' ? 'standard input' : path)

/** As `ownLogitsBy`, of the file as it is. */
export async function ownLogits(
  { bytes, source }: ResidualModel,
  set: ImageSet,
  settings: SessionSettings,
): Promise<OwnLogits> {
  const session = await openSession(bytes, settings)
  try {
    return await ownLogitsBy(session, source, set)
  } finally {
    await session.close()
  }
}
