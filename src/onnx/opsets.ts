// The versions of operator sets: what a file may import, and what we write.

import type onnxProto from 'onnx-proto'
import { UserError } from '../errors.js'
import { ONNX_DOMAIN, TRAINING_DOMAIN } from '../graph/operator.js'
import { toNumber } from './tensors.js'

/** The version of ONNX's own operators that we write. */
export const OPSET = 18
/** The version of every other domain: of `rdm.training` (what the primitives mean), and of a runtime's own operators. */
export const OTHER_VERSION = 1

/** From 13 on axes are operands and Softmax takes one axis, as our records have it; past 23 nothing has been tried. */
const readable: Readonly<Record<string, { readonly from: number; readonly to: number; readonly advice: string }>> = {
  [ONNX_DOMAIN]: { from: 13, to: 23, advice: `convert the model to opset ${OPSET}` },
  [TRAINING_DOMAIN]: { from: OTHER_VERSION, to: OTHER_VERSION, advice: 'export the model again' },
}

export const domainOf = (domain: string | null | undefined): string =>
  domain === 'ai.onnx' || !domain ? ONNX_DOMAIN : domain

type OperatorSets = readonly onnxProto.onnx.IOperatorSetIdProto[] | null | undefined

/**
 * Checks the operator sets that a model or one of its functions imports.
 * @throws UserError for a version that our records do not speak
 */
export function checkOpsets(imports: OperatorSets, what: string): void {
  const seen = new Map<string, number>()
  for (const entry of imports ?? []) {
    const domain = domainOf(entry.domain)
    const version = toNumber(entry.version ?? 0)
    const known = seen.get(domain)
    const name = domain === ONNX_DOMAIN ? 'ONNX' : domain
    if (known !== undefined && known !== version)
      throw new UserError(`${what} imports ${name} operators twice, at versions ${known} and ${version}; expected one`)
    seen.set(domain, version)
    const range = Object.hasOwn(readable, domain) ? readable[domain]! : undefined
    if (!range || (version >= range.from && version <= range.to)) continue
    const expected = range.from === range.to ? `${range.from}` : `${range.from} to ${range.to}`
    throw new UserError(
      `${what} uses version ${version} of the ${name} operators; expected ${expected}: ${range.advice}`,
    )
  }
}
