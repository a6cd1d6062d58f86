// What there is in a model file, what of it would train by what was chosen, and the file that trains it: what rdm-derive does, in the
// page's worker.

import { type Normalization, normalization } from '../../../graphs/normalization.js'
import { adaptersOf } from '../../core/derive/adapters.js'
import { withOpenBatch } from '../../core/derive/batch.js'
import { derive, fineTuning, type Preparation, prepared } from '../../core/derive/derive.js'
import { explained } from '../../core/derive/explain.js'
import { headNames } from '../../core/derive/head.js'
import { readUpTo } from '../../core/derive/source.js'
import { UserError } from '../../core/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import { isKnown } from '../../core/graph/shape.js'
import { isFloat } from '../../core/graph/tensor.js'
import { formatType, nameOf, type Value } from '../../core/graph/value.js'
import { lossFor } from '../../core/losses/combined.js'
import { crossEntropy } from '../../core/losses/crossEntropy.js'
import { activationOf } from '../../core/losses/scoring.js'
import { metadataOf } from '../../core/model/metadata.js'
import { readTrainableModel } from '../../core/model/read.js'
import { chooseStep } from '../../core/model/stepChoices.js'
import { ModelError } from '../../core/onnx/refusals.js'
import type { NodeProto } from '../../core/onnx/schema.js'
import { decodeModel } from '../../core/onnx/tensors.js'
import { parseSchedule } from '../../core/training/schedule.js'
import { namedShape } from '../../study/text.js'

/** What was chosen: options of rdm-derive. */
export interface Derivation {
  /** Sizes of inputs by name, as they are written: `batch,3,224,224`. */
  readonly shapes: Readonly<Record<string, string>>
  /** What the loss is for; found unless given. */
  readonly output?: string | undefined
  readonly loss: string
  /** The classes of a fresh last layer. */
  readonly classes?: readonly string[] | undefined
  /** The last layer, all weights, or those of these names. */
  readonly train: 'last' | 'all' | readonly string[]
  /** Rank of adapters; none at 0. */
  readonly lora: number
  /** What pixels are normalized by; what is usual unless given. */
  readonly normalize?: string | undefined
  readonly batchNorm: 'train' | 'frozen'
  readonly optimizer: string
  /** The schedule of the learning rate, as it is written; what is usual unless given. */
  readonly rate?: string | undefined
}

/** What a file says of itself, whether it can be read further or not. */
export interface FileFacts {
  readonly producer: string
  /** `17`, and those of other domains: `com.microsoft 1`. */
  readonly opsets: readonly string[]
  /** Nodes by operator, the most first. */
  readonly operators: readonly (readonly [name: string, count: number])[]
  /** Numbers in its initializers. */
  readonly numbers: number
  /** What it trains, where it has a training step of its own. */
  readonly step?: { readonly loss: string; readonly targets: readonly string[] }
}

export interface ImageInput {
  readonly name: string
  readonly channels: number
  readonly height: number
  readonly width: number
}

export interface WeightFacts {
  readonly name: string
  readonly shape: readonly number[]
  readonly count: number
  readonly trains: boolean
  /** Running statistics never train. */
  readonly canTrain: boolean
}

/** The network as it would train. */
export interface NetworkFacts {
  readonly inputs: readonly string[]
  readonly outputs: readonly (readonly [name: string, type: string])[]
  readonly compared: readonly string[]
  readonly weights: readonly WeightFacts[]
  /** The weights of the last layer; none where none can be drawn anew. */
  readonly last: readonly string[]
  /** Sizes that only the run knows, by input. */
  readonly open: readonly (readonly [input: string, shape: string])[]
  /** Where it takes pixels. */
  readonly image?: ImageInput
  /** What they are normalized by, where the file does not take them as they are. */
  readonly normalize?: string
  /** Examples that it takes at a time, where it is so many. */
  readonly batch?: number
  /** Whether it would train adapters, which can be merged into its weights. */
  readonly hasAdapters: boolean
  /** The output of a number for each class, and whether they are probabilities. */
  readonly scores?: { readonly output: string; readonly isSoftmax: boolean }
}

export interface Inspection {
  readonly file: FileFacts
  readonly network?: NetworkFacts
  /** What stands in the way of training; nothing where it can train. */
  readonly obstacles: readonly string[]
}

/** Nodes of a graph and of those inside. */
function* nodesIn(nodes: readonly NodeProto[]): Generator<NodeProto> {
  for (const node of nodes) {
    yield node
    for (const { g, graphs } of node.attribute ?? [])
      for (const inner of [g, ...(graphs ?? [])]) yield* nodesIn(inner?.node ?? [])
  }
}

function factsOf(bytes: Uint8Array): FileFacts {
  const { graph, opsetImport, producerName, producerVersion, trainingInfo } = decodeModel(bytes)
  const counts = new Map<string, number>()
  for (const { opType, domain } of nodesIn(graph?.node ?? [])) {
    const name = !domain || domain === 'ai.onnx' ? `${opType}` : `${domain}.${opType}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return {
    producer: `${producerName ?? ''} ${producerVersion ?? ''}`.trim(),
    opsets: opsetImport.map(({ domain, version }) => `${domain ?? ''} ${version}`.trim()),
    operators: [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)),
    numbers: (graph?.initializer ?? []).reduce(
      (sum, { dims }) => sum + (dims ?? []).reduce<number>((count, size) => count * Number(size), 1),
      0,
    ),
    ...(trainingInfo.length > 0 ? stepOf(bytes) : {}),
  }
}

/** A training step that this page can run; one of others is told as none. */
function stepOf(bytes: Uint8Array): Pick<FileFacts, 'step'> {
  try {
    const { signature } = readTrainableModel(bytes)
    return { step: { loss: signature.loss, targets: signature.targets.map(({ name }) => name) } }
  } catch (error) {
    if (error instanceof UserError) return {}
    throw error
  }
}

export const isImage = ({ shape }: Value): boolean => shape.length === 4
export const isPixels = (value: Value): boolean => isImage(value) && value.dtype === 'uint8'

/** As exporters of networks for photographs have it. */
export const usualFor = ({ shape }: Value): string =>
  [shape[1], shape[3]].includes(3) ? 'imagenet' : 'mean=0.5,std=0.5'

export function imageOf(network: Graph): ImageInput | undefined {
  const value = network.inputs.find(isPixels)
  const [, ...sizes] = value?.shape ?? []
  if (!value || !sizes.every(isKnown)) return undefined
  const [channels, height, width] = sizes as number[]
  return { name: nameOf(value), channels: channels!, height: height!, width: width! }
}

function shapesFrom(shapes: Derivation['shapes']) {
  const read = Object.entries(shapes).map(([name, sizes]) => {
    const parsed = namedShape.safeParse(`${name}=${sizes}`)
    if (!parsed.success) throw new UserError(parsed.error.issues[0]!.message)
    return parsed.data
  })
  return { shapes: Object.fromEntries(read), isFixed: read.some(([, [batch]]) => typeof batch === 'number') }
}

export function normalizationFrom(text: string): Normalization {
  const read = normalization.safeParse(text)
  if (read.success) return read.data
  throw new UserError(read.error.issues[0]!.message)
}

/** Everything that rdm-derive takes, of what was chosen. */
function chosenFor(bytes: Uint8Array, choices: Derivation) {
  const { output, train, lora, normalize, classes, batchNorm, optimizer, rate } = choices
  const { shapes, isFixed } = shapesFrom(choices.shapes)
  const { file } = readUpTo(bytes, output, { shapes })
  const network = (isFixed ? undefined : withOpenBatch(file)) ?? file
  const last = headNames(network)
  const floats = network.inputs.some(isPixels)
    ? undefined
    : network.inputs.find((value) => isImage(value) && isFloat(value.dtype))
  const how = floats && (normalize ?? usualFor(floats))
  const normalized = how === undefined ? undefined : normalizationFrom(how)
  const names = train === 'last' ? (last.length > 0 ? last : undefined) : train === 'all' ? undefined : train
  const preparation: Preparation = {
    ...(names ? { train: names } : {}),
    ...(classes ? { head: classes.length } : {}),
    ...(normalized ? { pixels: normalized.pixels } : {}),
    ...(lora > 0 ? { lora: { rank: lora } } : {}),
  }
  const lr = parseSchedule(rate ?? (train === 'last' && lora === 0 ? '0.01' : '0.001'))
  const { step, recipe } = chooseStep({ loss: choices.loss, optimizer, lr, recompute: true }, fineTuning)
  const given = step.loss ?? crossEntropy()
  const loss = output === undefined ? given : lossFor(output, given)
  return {
    ...{ network, last, preparation },
    normalize: how,
    step: { ...step, loss, classes, batchNorm: batchNorm === 'train' ? 'batch' : 'running' } as const,
    recipe: { ...recipe, augment: normalized?.augment ?? false },
  }
}

/** The output with a number for each class. */
function scoresOf(network: Graph, output: string | undefined): NetworkFacts['scores'] {
  const rows = [...network.outputs].filter(([, { dtype, shape }]) => isFloat(dtype) && shape.length === 2)
  const found =
    rows.find(([name]) => name === output) ??
    rows.find(([name]) => name === 'probabilities') ??
    rows.find(([name]) => name === 'logits') ??
    rows[0]
  return found && { output: found[0], isSoftmax: activationOf(found[1])?.kind === 'softmax' }
}

interface Told extends Pick<NetworkFacts, 'compared' | 'last' | 'weights'> {
  readonly normalize: string | undefined
  readonly output: string | undefined
}

/**
 * @param file the network as it came
 * @param network as it would train
 */
function networkFacts(file: Graph, network: Graph, { normalize, output, ...told }: Told): NetworkFacts {
  const [batch] = network.inputs[0]?.shape ?? []
  const image = imageOf(network)
  const scores = scoresOf(network, output)
  return {
    ...told,
    inputs: file.inputs.map((value) => `${nameOf(value)} ${formatType(value)}`),
    outputs: [...file.outputs].map(([name, value]) => [name, formatType(value)]),
    open: file.inputs
      .filter(({ shape: [, ...sizes] }) => !sizes.every(isKnown))
      .map((value) => [nameOf(value), value.shape.join()]),
    hasAdapters: adaptersOf(network).length > 0,
    ...(image ? { image } : {}),
    ...(normalize === undefined ? {} : { normalize }),
    ...(batch !== undefined && isKnown(batch) ? { batch } : {}),
    ...(scores ? { scores } : {}),
  }
}

/** @throws UserError for what is no ONNX file */
export function inspect(bytes: Uint8Array, choices: Derivation): Inspection {
  const file = factsOf(bytes)
  try {
    const { network, last, preparation, step, normalize } = chosenFor(bytes, choices)
    const names = new Set(network.parameters.filter(({ origin }) => origin.trainable).map(nameOf))
    const facts = (graph: Graph): Inspection => {
      const { compared, weights, obstacles } = explained(graph, step)
      const known = weights.map((weight) => ({ ...weight, canTrain: weight.trains || names.has(weight.name) }))
      const told = { compared, weights: known, last, normalize, output: choices.output }
      return { file, network: networkFacts(network, graph, told), obstacles }
    }
    if (names.size === 0) return facts(network)
    try {
      return facts(prepared(network, preparation))
    } catch (error) {
      // What was chosen does not fit: the network is shown as it is.
      if (!(error instanceof UserError)) throw error
      return { ...facts(network), obstacles: [error.message] }
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const lines =
      error instanceof ModelError
        ? error.refusals.map(({ node, operator, reason }) =>
            operator === '' ? reason : `node '${node}' (${operator}): ${reason}`,
          )
        : [error.message]
    return { file, obstacles: lines }
  }
}

/** The bytes of a file that trains the network. @throws UserError for what stands in the way */
export function derived(bytes: Uint8Array, choices: Derivation): Uint8Array<ArrayBuffer> {
  const { network, preparation, step, recipe } = chosenFor(bytes, choices)
  return new Uint8Array(derive(network, { ...step, ...preparation, metadata: metadataOf(bytes), recipe }))
}
