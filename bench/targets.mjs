// How each of our targets turns a model file into a step to run. The benchmark compares them all, and holds the last one
// against the peers: to add a target, add a line.

import { readTrainableModel } from 'rdm-onnx'

/** Name → (the file's bytes, {batch, threads}) → {step, state, carried, signature}, as of `readTrainableModel`. */
export const targets = {
  portable: (bytes) => readTrainableModel(bytes),
}
