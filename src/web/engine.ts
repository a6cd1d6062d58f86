// What a run in a page computes with: sessions and batches side by side in one worker. WebAssembly has its own threads below it,
// and a GPU computes while the next batch is made.

import { Batches } from '../driver/data/batches.js'
import type { Engine } from '../driver/fit/engine.js'
import { decodeImages } from './images.js'
import type { WebSettings } from './protocol.js'
import { openPlain, openStep } from './session.js'

export const webEngine = (settings: WebSettings): Engine => ({
  open: (model, { optimize }) => openPlain(model, settings, { optimize }),
  openSmall: (model) => openPlain(model, settings, { optimize: true, onCpu: true }),
  openTraining: (options) => openStep(options, settings),
  async openBatches(split, bindings, options) {
    const batches = new Batches(split, bindings, options, decodeImages)
    return {
      count: batches.count,
      stepsPerEpoch: batches.stepsPerEpoch,
      sizeOf: (step) => batches.sizeOf(step),
      alikeFrom: (step) => batches.alikeFrom(step),
      batch: (epoch, step) => batches.batch(epoch, step),
      stack: (epoch, step, steps) => batches.stack(epoch, step, steps),
      close: async () => {},
    }
  },
  // The worker is there anyway, and idle threads of WebAssembly sleep.
  keepsPredictor: true,
})
