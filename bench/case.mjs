// The folder that a peer of the step benchmarks is given: the network as each wants it, its weights, how to train.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportModel, readTrainableModel, residualNetwork } from 'rdm-onnx'
import { encodeSafetensors } from '../dist/src/driver/run/safetensors.js'

const SEED = 1

export const writeTensors = (folder, name, tensors) =>
  writeFileSync(join(folder, name), encodeSafetensors({ tensors, metadata: {} }))

/**
 * Writes the network and the settings; the batches are the benchmark's own.
 * @returns the network as a graph
 */
export function writeCase(folder, { architecture, recipe, ...settings }) {
  const network = residualNetwork(architecture)
  const model = exportModel(network, { recipe, seed: SEED, architecture })
  const weights = Object.entries(readTrainableModel(model).state).filter(([name]) => !name.endsWith('.momentum'))
  writeFileSync(join(folder, 'model.onnx'), model)
  writeFileSync(join(folder, 'infer.onnx'), exportModel(network, { recipe, seed: SEED, part: 'infer' }))
  writeTensors(folder, 'weights.safetensors', Object.fromEntries(weights))
  writeFileSync(join(folder, 'case.json'), JSON.stringify({ architecture, recipe, ...settings }))
  return network
}
