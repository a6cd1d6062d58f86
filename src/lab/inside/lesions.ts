// What the error of a residual network is without each of its residual functions: what `rdm-paths lesion` measures, in the page.

import { totalBlocks } from '../../../graphs/residual.js'
import { classifierBy } from '../../driver/evaluation/classifier.js'
import { gatedRun, guesses } from '../../study/paths/gatedRun.js'
import { countWrong, lesion } from '../../study/paths/lesion.js'
import { blockNames, checkSame } from '../../study/paths/residualModel.js'
import { besideOwn, type Measured, measurement } from './measurement.js'

export interface Lesion {
  readonly name: string
  /** A digit for each ReLU of the function, 0 where it was dropped. */
  readonly mask: string
  /** Share of the images that are taken for another class. */
  readonly error: number
}

export interface Lesions {
  readonly images: number
  /** Of the whole network. */
  readonly error: number
  readonly alone: readonly Lesion[]
}

const measured = (of: Measured): Promise<Lesions | undefined> =>
  besideOwn('gated', of, async (session, own) => {
    const { subject, set, signal, onProgress } = of
    const architecture = subject.anatomy.architecture!
    const r = architecture.functions.length
    const functions = totalBlocks(architecture) * r
    const without = (removed: readonly number[]) => gatedRun(session, functions, removed)
    const whole = await classifierBy(without([]), own.names, own.images).logits(0, own.images.count)
    checkSame({ source: subject.name, architecture }, own.logits, whole)
    const outcome = await lesion({
      ...{ functions, counts: [], samples: 0, seed: 0, labels: set.labels, signal, onProgress },
      classify: (removed) => guesses(without(removed), own.names, set, signal),
    })
    if (!outcome) return undefined
    const blocks = blockNames(architecture)
    return {
      images: set.count,
      error: outcome.wrong / set.count,
      alone: outcome.alone.map((wrong, i) => ({
        name: `${blocks[Math.floor(i / r)]}${r > 1 ? ` f${(i % r) + 1}` : ''}`,
        mask: architecture.functions[i % r]!,
        error: countWrong(wrong) / set.count,
      })),
    }
  })

/** Every function alone. */
export const lesions = measurement(measured)
