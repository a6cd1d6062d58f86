// What rdm-derive makes of a trained network with adapters besides the merged network: ONNX Runtime's adapter file.

import type { Command } from 'commander'
import { adaptersOf, withoutUpdates } from '../../core/derive/adapters.js'
import { UserError } from '../../core/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/graph/tensor.js'
import { metadataOf } from '../../core/model/metadata.js'
import { readTrainableModel } from '../../core/model/read.js'
import { exportGraph } from '../../core/model/write.js'
import { readNetwork } from '../../core/onnx/network.js'
import { initialize } from '../../core/training/initialize.js'
import { encodeAdapter } from '../../driver/artifacts/adapter.js'
import { writeOutput } from '../../driver/output.js'

/** Options that say how a file is written, and so go with every mode. */
const common: readonly string[] = ['merge', 'adapter', 'out', 'opset', 'verbose']

/** @throws UserError for an option that has no meaning beside the mode */
export function checkAlone(mode: string, command: Command): void {
  const other = command.options.find(
    (option) =>
      !common.includes(option.attributeName()) && command.getOptionValueSource(option.attributeName()) === 'cli',
  )
  if (other)
    throw new UserError(
      `${mode} takes a trained network as it is, and ${other.long} is for making one that trains: leave one of them out`,
    )
}

const valuesOf = (network: Graph): ReadonlyMap<string, Tensor> => initialize([network], 0)

/**
 * Writes what training has changed as an adapter of ONNX Runtime.
 * @returns the bytes of the model that takes it: its adapters give nothing, and can be fed
 */
export async function writeAdapter(bytes: Uint8Array, file: string, opset: number | undefined): Promise<Uint8Array> {
  const network = readNetwork(bytes)
  if (adaptersOf(network).length === 0)
    throw new UserError(
      `${network.name || 'the network'} has no adapters: give what rdm-fit made of a file of rdm-derive --lora`,
    )
  const trained = new Set(Object.values(readTrainableModel(bytes).signature.updates))
  const values = valuesOf(network)
  const own = network.parameters.map(({ origin }) => origin.name).filter((name) => trained.has(name))
  await writeOutput(file, encodeAdapter(new Map(own.map((name) => [name, values.get(name)!]))))
  const plain = withoutUpdates(network)
  return exportGraph(plain, valuesOf(plain), opset, { overridable: own, metadata: metadataOf(bytes) })
}
