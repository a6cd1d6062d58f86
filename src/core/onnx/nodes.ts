// What a node of a file is called, and what it calls.

import { type Operator, TRAINING_DOMAIN } from '../graph/operator.js'
import { findOperator } from '../ops/index.js'
import type { NodeProto } from './schema.js'

/**
 * PyTorch's exporter of today says in a node's metadata which module it is of, from the outermost to the operator itself:
 * `['', 'encoder', 'encoder.layer.0', 'linear']`. A node is named after the module, `encoder.layer.0/node_linear`, as those of
 * its exporter before were.
 */
export function nameOfNode({ name, opType, metadataProps }: NodeProto): string {
  const own = name || (opType ?? '')
  const said = metadataProps?.find(({ key }) => key === 'pkg.torch.onnx.name_scopes')?.value
  const module = [...(said ?? '').matchAll(/'([^']*)'/g)].at(-2)?.[1]
  return module ? `${module}/${own}` : own
}

/** The operator that a node calls; a training primitive's name ends where its variant begins (`ConvWeightGrad_k3x3`). */
export function operatorOf(domain: string, opType: string, others: readonly Operator[] = []): Operator | undefined {
  const name = domain === TRAINING_DOMAIN ? opType.split('_')[0]! : opType
  return findOperator(domain, name) ?? others.find((operator) => operator.domain === domain && operator.name === name)
}
