// What runs in Node compute with: sessions and batches in worker threads.

import { openBatches } from '../data/batchSource.js'
import type { Engine } from '../fit/engine.js'
import type { SessionSettings } from './protocol.js'
import { openSession, openTrainingSession } from './session.js'

export const nodeEngine = (settings: SessionSettings = {}): Engine => ({
  open: (model, { optimize }) => openSession(model, { ...settings, optimize }),
  // A few thousand numbers: a second thread would only spin.
  openSmall: (model) => openSession(model, { threads: 1 }),
  openTraining: (options) => openTrainingSession({ ...settings, ...options }),
  openBatches,
  // A thread of the WebAssembly build takes a second to compile; one of onnxruntime-node would spin.
  keepsPredictor: settings.runtime === 'web-training',
})
