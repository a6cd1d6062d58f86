// How much gradient the paths of each length carry in a residual network: what `rdm-paths measure` measures, in the page.

import { signal as state } from '@preact/signals'
import { type GradientReport, gradientReport } from '../../study/paths/gradientReport.js'
import { measureModel } from '../../study/paths/measure.js'
import { besideOwn, type Measured, measurement } from './measurement.js'

export interface Gradients extends GradientReport {
  readonly images: number
}

/** Pairs of a random path and a random image, for each length. */
export const samples = state(100)

/** Of the gradient, in the range of lengths that is found; and what all that is drawn is drawn from. As `rdm-paths measure` has them. */
const [SHARE, SEED] = [0.95, 1]

export const pathGradients = measurement(measured)

async function measured(of: Measured): Promise<Gradients | undefined> {
  const { subject, set, signal, onProgress } = of
  const architecture = subject.anatomy.architecture!
  const images = Array.from({ length: set.count }, (_, i) => i)
  const found = await besideOwn('paths', of, (session, own) =>
    measureModel(session, { source: subject.name, architecture }, own, {
      ...{ set, images, samples: samples.value, seed: SEED, signal, onProgress },
    }),
  )
  return found && { ...gradientReport(architecture, found, { share: SHARE, seed: SEED }), images: set.count }
}
