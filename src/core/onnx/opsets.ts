// The versions of operator sets and of the file format: what a file may import, and what we write.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isBody, ONNX_DOMAIN, TRAINING_DOMAIN } from '../graph/operator.js'
import type { OperatorSetIdProto } from './schema.js'
import { toNumber } from './tensors.js'

/** The version of ONNX's own operators that the records speak, and that is written unless another is asked for. */
export const OPSET = 18
/** The versions of ONNX's own operators that can be asked for. */
export const writableOpsets = { from: 13, to: 21 } as const
/** The version of every other domain: of `rdm.training` (what the primitives mean), and of a runtime's own operators. */
export const OTHER_VERSION = 1

/**
 * Version 6 broadcasts where an attribute says so, which is refused; before it all operators had other attributes. The newest is that of
 * the onnx package whose tests are run.
 */
const readable: Readonly<Record<string, { readonly from: number; readonly to: number; readonly advice: string }>> = {
  [ONNX_DOMAIN]: { from: 6, to: 28, advice: `convert the model to opset ${OPSET}` },
  [TRAINING_DOMAIN]: { from: OTHER_VERSION, to: OTHER_VERSION, advice: 'export the model again' },
}

/** @throws UserError for a version that cannot be asked for */
export function requireWritable(opset: number): number {
  const { from, to } = writableOpsets
  if (Number.isInteger(opset) && opset >= from && opset <= to) return opset
  throw new UserError(`version ${opset} of the ONNX operators is not written; expected ${from} to ${to}`)
}

/** The newest version, ours at most, that has every operator of a graph and of the bodies within. */
export function newestOpset({ nodes }: Graph): number {
  const versions = nodes.flatMap(({ operator, attributes }) => [
    operator.domain === ONNX_DOMAIN && !operator.body ? (operator.until ?? OPSET) : OPSET,
    ...Object.values(attributes)
      .filter(isBody)
      .map((body) => newestOpset(body.graph)),
  ])
  return Math.min(OPSET, ...versions)
}

/**
 * The version of the file format: functions came with 8. Without them an operator set that is older than the format goes with
 * the format of its time, so that the runtimes of that time read the file (docs/Versioning.md of the onnx repository).
 */
export const irVersion = (opset: number, hasFunctions: boolean): number => (opset < 15 && !hasFunctions ? 7 : 8)

export const domainOf = (domain: string | null | undefined): string =>
  domain === 'ai.onnx' || !domain ? ONNX_DOMAIN : domain

/** What tells the functions of a file apart, and what a node calls one by. */
export const functionKey = (domain: Text, name: Text, overload: Text): string =>
  JSON.stringify([domainOf(domain), name ?? '', overload ?? ''])
type Text = string | null | undefined

type OperatorSets = readonly OperatorSetIdProto[] | null | undefined

/**
 * Checks the operator sets that a model or one of its functions imports.
 * @returns the version of ONNX's own operators; undefined where there is none
 * @throws UserError for a version that our records do not speak
 */
export function checkOpsets(imports: OperatorSets, what: string): number | undefined {
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
  return seen.get(ONNX_DOMAIN)
}
