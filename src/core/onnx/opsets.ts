// The versions of operator sets and of the file format: what a file may import, and what we write.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isBody, ONNX_DOMAIN, PREVIEW_TRAINING_DOMAIN, TRAINING_DOMAIN } from '../graph/operator.js'
import { type DType, isSmall } from '../graph/tensor.js'
import type { Value } from '../graph/value.js'
import { typeSince } from '../ops/elementwise.js'
import type { OperatorSetIdProto } from './schema.js'
import { toNumber } from './tensors.js'

/** The version of ONNX's own operators that the records speak, and that is written unless another is asked for. */
export const OPSET = 18
/** The versions of ONNX's own operators that can be asked for. */
export const writableOpsets = { from: 13, to: 21 } as const
/** The version of every other domain: of `rdm.training` (what the primitives mean), and of a runtime's own operators. */
export const OTHER_VERSION = 1

/** The newest version is that of the onnx package whose tests are run. */
const readable: Readonly<Record<string, { readonly from: number; readonly to: number; readonly advice: string }>> = {
  [ONNX_DOMAIN]: { from: 1, to: 28, advice: `convert the model to opset ${OPSET}` },
  [PREVIEW_TRAINING_DOMAIN]: { from: 1, to: 1, advice: 'export the model with the version that is known here' },
  [TRAINING_DOMAIN]: { from: OTHER_VERSION, to: OTHER_VERSION, advice: 'export the model again' },
}

/** @throws UserError for a version that cannot be asked for */
export function requireWritable(opset: number): number {
  const { from, to } = writableOpsets
  if (Number.isInteger(opset) && opset >= from && opset <= to) return opset
  throw new UserError(`version ${opset} of the ONNX operators is not written; expected ${from} to ${to}`)
}

/** Of the types of a graph's values the one that came last, and with which version. */
function latestType({ inputs, nodes }: Graph): { readonly dtype: DType; readonly since: number } {
  // A set of few: the values are many.
  const types = new Set<DType>()
  const add = (value: Value | undefined) => value && types.add(value.dtype)
  inputs.forEach(add)
  for (const node of nodes) {
    node.inputs.forEach(add)
    node.outputs.forEach(add)
  }
  const own = [...types].map((dtype) => ({ dtype, since: isSmall(dtype) ? typeSince[dtype] : writableOpsets.from }))
  const inner = nodes.flatMap(({ attributes }) => Object.values(attributes).filter(isBody))
  const all = [...own, ...inner.map(({ graph }) => latestType(graph))]
  return all.reduce((a, b) => (b.since > a.since ? b : a), { dtype: 'float32', since: writableOpsets.from })
}

/** @throws UserError where a graph has numbers of a type that came after the version */
export function requireTypes(graph: Graph, version: number): void {
  const { dtype, since } = latestType(graph)
  if (since <= version) return
  const advice = since <= writableOpsets.to ? 'ask for that version' : 'cast it in the file that is read'
  throw new UserError(`${dtype} came with version ${since} of the ONNX operators, not ${version}: ${advice}`)
}

/**
 * The newest version, ours at most, that has every operator of a graph and of the bodies within; a newer one where its types of
 * numbers need it.
 */
export function newestOpset(graph: Graph): number {
  const { since } = latestType(graph)
  return Math.max(newestOf(graph), Math.min(since, writableOpsets.to))
}
function newestOf({ nodes }: Graph): number {
  const versions = nodes.flatMap(({ operator, attributes }) => [
    operator.domain === ONNX_DOMAIN && !operator.body ? (operator.until ?? OPSET) : OPSET,
    ...Object.values(attributes)
      .filter(isBody)
      .map((body) => newestOf(body.graph)),
  ])
  return Math.min(OPSET, ...versions)
}

/**
 * The version of the file format: functions came with 8, small floats with 9, and whole numbers of 4 bits with 10. Without them an operator set that is older than the format goes with
 * the format of its time, so that the runtimes of that time read the file (docs/Versioning.md of the onnx repository).
 */
export function irVersion(opset: number, hasFunctions: boolean, graph?: Graph): number {
  const { since } = graph ? latestType(graph) : { since: 0 }
  if (since >= 19) return since >= 21 ? 10 : 9
  return opset < 15 && !hasFunctions ? 7 : 8
}

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
