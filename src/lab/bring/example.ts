// A small pretrained network, made here: none may be shipped.

import { parseSchedule } from '../../core/training/schedule.js'
import { patternNames } from '../../driver/data/synth.js'
import { designFrom } from '../design/design.js'
import { firstChoices, optionsFor } from '../export/choices.js'
import { Work } from '../work/work.js'
import { broughtFrom, drawnOf } from './data.js'
import { bring, data, source } from './model.js'
import { perform, trained } from './run.js'

/** It learns six patterns; the others are left to fine-tune it on. */
const known = [0, 1, 2, 3, 4, 5]
export const others = patternNames.map((_, i) => i).filter((i) => !known.includes(i))
export const knownNames = known.map((i) => patternNames[i]!)

/** Of eight layers: some seconds an epoch. */
const design = `depth=8&functions=11&widths=8,16,32&classes=${known.length}`

export interface ExampleSettings {
  readonly epochs: number
  readonly images: number
}
export const usual: ExampleSettings = { epochs: 6, images: 1200 }

const work = new Work()

/** Trains it, and brings it with other classes to fine-tune it on. */
export const makeExample = ({ epochs, images }: ExampleSettings): Promise<void> =>
  perform('The pretrained example', async (signal) => {
    const model = await work.ask('file', optionsFor(designFrom(design), firstChoices))
    if (!model || signal.aborted) return
    const drawing = { classes: known, train: images, test: Math.ceil(images / 6), seed: 1 }
    const bytes = await trained({
      model,
      data: drawnOf(drawing),
      config: { epochs, batchSize: 32, learningRate: parseSchedule('one-cycle:max=0.1'), augment: true },
      provider: 'wasm',
    })
    bring({ name: 'example.onnx', bytes }, { ownStep: false })
    source.value = 'drawn'
    data.value = broughtFrom(drawnOf({ classes: others, train: 240, test: 120, seed: 2 }))
  })
