// How much gradient the paths of each length carry in a residual network: what `rdm-paths measure` measures, in the page.

import { signal as state } from '@preact/signals'
import { ownLogitsBy } from '../../study/paths/gatedRun.js'
import { type GradientReport, gradientReport } from '../../study/paths/gradientReport.js'
import { measureModel } from '../../study/paths/measure.js'
import { type Measured, measurement, using } from './measurement.js'

export interface Gradients extends GradientReport {
  readonly images: number
}

/** Pairs of a random path and a random image, for each length. */
export const samples = state(100)

/** Of the gradient, in the range of lengths that is found; and what all that is drawn is drawn from. As `rdm-paths measure` has them. */
const [SHARE, SEED] = [0.95, 1]

export const pathGradients = measurement(measured)

async function measured({ subject, set, work, signal, onProgress }: Measured): Promise<Gradients | undefined> {
  const { name, bytes } = subject
  const architecture = subject.anatomy.architecture!
  const model = await work.ask('paths', { bytes })
  if (!model) return undefined
  const own = await using(bytes, (session) => ownLogitsBy(session, name, set))
  const images = Array.from({ length: set.count }, (_, i) => i)
  const found = await using(model, (session) =>
    measureModel(session, { source: name, architecture }, own, {
      ...{ set, images, samples: samples.value, seed: SEED, signal, onProgress },
    }),
  )
  return found && { ...gradientReport(architecture, found, { share: SHARE, seed: SEED }), images: set.count }
}
