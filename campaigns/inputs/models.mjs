// Models made wrong: in their bytes, and in what they say.

import { decodeMessage, encodeMessage } from '../../dist/src/core/onnx/wire.js'
import { changedBytes, joined, pick } from './bytes.mjs'

const isMessage = (value) => typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)
const isFilled = (value) => value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)

/** A field somewhere in a message: who has it and its name. Each level is as likely to be the last. */
function somewhere(random, message) {
  const keys = Object.keys(message).filter((key) => isFilled(message[key]))
  if (keys.length === 0) return undefined
  const key = pick(random, keys)
  const inner = Array.isArray(message[key]) ? pick(random, message[key]) : message[key]
  const deeper = isMessage(inner) && random.below(8) > 0 ? somewhere(random, inner) : undefined
  return deeper ?? [message, key]
}

/** What a field of that name holds in another place. */
function elsewhere(random, message, name) {
  for (let tries = 0; tries < 40; tries++) {
    const found = somewhere(random, message)
    if (found?.[1] === name) return found[0][name]
  }
  return undefined
}

const numbers = [
  0,
  1,
  -1,
  2,
  7,
  11,
  16,
  99,
  255,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 40,
  -(2 ** 40),
  2 ** 53,
  2n ** 62n,
  -(2n ** 63n),
]
const texts = ['', 'x', '__proto__', 'constructor', 'a\nb\u2028c', '2*batch', '((', '-1', 'ai.onnx', 'x'.repeat(5000)]
const operators = [
  'Constant',
  'Reshape',
  'Slice',
  'Loop',
  'If',
  'Scan',
  'Expand',
  'Tile',
  'Range',
  'Conv',
  'MatMul',
  'Cast',
  'Identity',
  'Concat',
  'Split',
  'Resize',
  'Einsum',
  'TopK',
  'Pad',
]

/** Another value of the same kind. */
function changed(random, value, name, model, other) {
  const taken = random.below(3) === 0 ? elsewhere(random, random.below(2) ? model : other, name) : undefined
  if (taken !== undefined && Array.isArray(taken) === Array.isArray(value)) return taken
  if (typeof value === 'number' || typeof value === 'bigint') return pick(random, numbers)
  if (typeof value === 'string') return pick(random, name === 'opType' ? operators : texts)
  if (value instanceof Uint8Array)
    return random.below(2) ? value.subarray(0, random.below(value.length + 1)) : joined(value, value)
  if (!Array.isArray(value)) return undefined
  const list = [...value]
  const at = random.below(list.length)
  const act = pick(random, ['remove', 'repeat', 'swap', 'change', 'change'])
  if (act === 'remove') list.splice(at, 1)
  else if (act === 'repeat') list.splice(at, 0, ...list.slice(0, 1 + random.below(3)))
  else if (act === 'swap') list.reverse()
  else if (!isMessage(list[at])) list[at] = changed(random, list[at], name, model, other) ?? list[at]
  return list
}

const graphOf = (model) => model.graph ?? {}
const nodesOf = (model) => graphOf(model).node ?? []

/** In what a file says: well-formed, and most often nonsense. */
const ofMessages = {
  field(random, model, other) {
    for (let k = 1 + random.below(3); k > 0; k--) {
      const [owner, name] = somewhere(random, model) ?? [model, 'graph']
      // Nothing of another kind can be encoded: what is of no use becomes nothing.
      const value = changed(random, owner[name], name, model, other)
      if (value !== undefined || random.below(2)) owner[name] = value
    }
  },
  /** A node takes what a later one, or itself, makes. */
  cycle(random, model) {
    const nodes = nodesOf(model)
    if (nodes.length === 0) return
    const at = random.below(nodes.length)
    const later = nodes[at + random.below(nodes.length - at)]
    nodes[at].input = [...nodes[at].input, ...later.output]
    if (random.below(2) && nodes[at].input.length > 1) nodes[at].input = nodes[at].input.reverse().slice(1)
  },
  /** Functions that call themselves or each other. */
  recursion(random, model) {
    const [node] = nodesOf(model)
    if (!node) return
    const call = { ...node, domain: 'f', opType: 'F', attribute: [] }
    const calls = Array.from({ length: 1 + random.below(3) }, (_, i) => ({
      ...call,
      output: node.output.map((name) => `${name}${i || ''}`),
    }))
    model.functions = [
      ...model.functions,
      { domain: 'f', name: 'F', input: node.input, output: node.output, node: calls, opsetImport: model.opsetImport },
    ]
    model.graph.node = [{ ...call, name: node.name }, ...nodesOf(model).slice(1)]
  },
  /** The graph inside its own nodes, and types of types. */
  nesting(random, model) {
    const depth = pick(random, [1, 3, 30, 60, 200])
    let graph = model.graph
    if (!graph?.node?.length) return
    if (random.below(3) === 0) {
      let type = graph.input[0]?.type ?? {}
      for (let i = 0; i < depth; i++) type = { [pick(random, ['sequenceType', 'optionalType'])]: { elemType: type } }
      graph.input = [...graph.input, { name: 'nested', type }]
      return
    }
    const [node] = graph.node
    const name = pick(random, ['then_branch', 'else_branch', 'body', 'g'])
    for (let i = 0; i < depth; i++) {
      const small = { ...graph, initializer: [], node: [{ ...node, attribute: [{ name, type: 5, g: graph }] }] }
      if (random.below(2)) small.node[0].opType = pick(random, ['If', 'Loop', 'Scan'])
      graph = small
    }
    model.graph = { ...model.graph, node: [...graph.node, ...model.graph.node] }
  },
  /** Tensors and values of other sizes and element types. */
  sizes(random, model) {
    const graph = graphOf(model)
    const tensors = graph.initializer ?? []
    const values = [...(graph.input ?? []), ...(graph.output ?? []), ...(graph.valueInfo ?? [])]
    const dims = () => Array.from({ length: random.below(6) }, () => pick(random, numbers))
    if (tensors.length > 0 && random.below(2)) {
      const tensor = pick(random, tensors)
      if (random.below(2)) tensor.dims = dims()
      else tensor.dataType = random.below(30)
    } else if (values.length > 0) {
      const tensorType = {
        elemType: random.below(4) ? 1 : random.below(30),
        shape: { dim: dims().map((dimValue) => ({ dimValue })) },
      }
      pick(random, values).type = { tensorType }
    }
  },
  /** Sparse and external tensors in the place of dense ones. */
  storage(random, model) {
    const graph = graphOf(model)
    if (!graph.initializer?.length) return
    const tensor = pick(random, graph.initializer)
    if (random.below(2)) {
      tensor.externalData = [
        { key: 'location', value: pick(random, texts) },
        { key: 'offset', value: String(pick(random, numbers)) },
      ]
      tensor.dataLocation = random.below(3)
      return
    }
    graph.initializer = graph.initializer.filter((one) => one !== tensor)
    const indices = { dataType: 7, dims: [1], int64Data: [pick(random, numbers)] }
    const dims = random.below(2) ? tensor.dims : [pick(random, numbers)]
    graph.sparseInitializer = [
      { values: { ...tensor, dims: [1], rawData: tensor.rawData?.subarray(0, 4) }, indices, dims },
    ]
  },
}

/** @returns the name of what was done, and the file after it */
export function changedModel(random, bytes, others) {
  if (random.below(2)) return changedBytes(random, bytes, others)
  const name = pick(random, ['field', 'field', 'field', ...Object.keys(ofMessages)])
  const [model, other] = [bytes, pick(random, others)].map((file) => decodeMessage(file, 'ModelProto'))
  ofMessages[name](random, model, other)
  try {
    return [name, encodeMessage('ModelProto', model)]
  } catch {
    // A number of 64 bits in a field of 32, or a graph that holds itself.
    return ['nothing', bytes]
  }
}
