// A candidate as the body of a Loop, so that many repetitions lie in one run: what is timed is neither the bus nor the start
// of a run. Written straight as ONNX: the candidates use operators and versions that the product's graphs do not have.

import onnxProto from 'onnx-proto'

const { onnx } = onnxProto
const { AttributeType } = onnx.AttributeProto
const { DataType } = onnx.TensorProto
const types = { float32: DataType.FLOAT, float16: DataType.FLOAT16, int64: DataType.INT64, bool: DataType.BOOL }
const IR_VERSION = 8

const utf8 = (text) => new TextEncoder().encode(text)

function attribute(name, value) {
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: utf8(value) }
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value }
  // A whole number is an int; what is to be a float is given as { f }.
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: value }
  if (value.f !== undefined) return { name, type: AttributeType.FLOAT, f: value.f }
  return { name, type: AttributeType.GRAPH, g: value }
}

const typeOf = (elemType, shape) => ({ tensorType: { elemType, ...(shape ? { shape: { dim: shape } } : {}) } })
const info = (name, type, shape) => ({
  name,
  type: typeOf(
    types[type],
    shape?.map((dimValue) => ({ dimValue })),
  ),
})

/** Nodes in the making, of one graph; names are unique over all graphs of a model. */
class Scope {
  nodes = []

  constructor(names, type, constants) {
    this.names = names
    /** Element type of the candidate: 'float32' or 'float16' */
    this.type = type
    this.constants = constants
  }

  name(of) {
    return `${of}.${this.names.count++}`
  }

  /** A node of ONNX's own domain, or of com.microsoft with that in front of the operator; the name of its first output. */
  op(operator, inputs, attributes = {}) {
    return this.ops(operator, inputs, 1, attributes)[0]
  }

  ops(operator, inputs, outputs, attributes = {}) {
    const [opType, domain = ''] = operator.split(':').reverse()
    const output = Array.from({ length: outputs }, () => this.name(opType))
    const given = Object.entries(attributes).map(([name, value]) => attribute(name, value))
    this.nodes.push({ name: output[0], opType, domain, input: inputs, output, attribute: given })
    return output
  }

  /** A constant int64 vector. */
  ints(values) {
    const name = this.name('ints')
    const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
    this.constants.push({ name, dataType: types.int64, dims: [values.length], rawData })
    return name
  }

  reshape(x, shape) {
    return this.op('Reshape', [x, this.ints(shape)])
  }

  transpose(x, perm) {
    return this.op('Transpose', [x], { perm })
  }

  cast(x, type = this.type) {
    return this.op('Cast', [x], { to: types[type] })
  }
}

/** What stands before the Loop: made once a run. */
class Before extends Scope {
  /** A constant of the candidate's element type, written as float32 and cast. */
  floats(values, shape = [values.length]) {
    const name = this.name('floats')
    const rawData = new Uint8Array(Float32Array.from(values).buffer)
    this.constants.push({ name, dataType: types.float32, dims: shape, rawData })
    return this.type === 'float32' ? name : this.cast(name)
  }
}

/**
 * A model that repeats a candidate. Inputs: float32 tensors. Outputs: `result`, that of the last repetition as float32, and
 * `probe`, its mean: enough to fetch.
 * @param inputs name → shape
 * @param build `(values, before) => (body) => name`: makes what is wanted once before the loop (`before`), then the
 *   repeated part (`body`); `values` are names by name of input
 * @param after what makes the result comparable, once: `(scope, name) => name`
 * @param opset of ONNX's own operators
 */
export function loopModel({ inputs, build, after = (_, name) => name, type, iterations, opset = 18 }) {
  const names = { count: 0 }
  const initializer = []
  const before = new Before(names, type, initializer)
  const values = Object.fromEntries(
    Object.keys(inputs).map((name) => [name, type === 'float32' ? name : before.cast(name)]),
  )
  const repeat = build(values, before)
  const body = new Scope(names, type, initializer)
  const result = repeat(body)
  // The result is carried, so that every repetition writes it. The next one reads a number of it: what no node of the body
  // reads is kept in the computer's memory, and would be copied there every time.
  const next = body.op('Identity', ['loop.condition'])
  const one = body.op('Gather', [body.reshape('loop.last', [-1]), body.ints([0])])
  const bodyGraph = {
    name: 'body',
    node: body.nodes,
    input: [
      info('loop.iteration', 'int64', []),
      info('loop.condition', 'bool', []),
      info('loop.last', type),
      info('loop.one', type),
    ],
    output: [info(next, 'bool', []), info(result, type), info(one, type)],
  }
  const trips = before.ints([iterations])
  const start = before.floats([0])
  const [last] = before.ops('Loop', [trips, '', start, start], 2, { body: bodyGraph })
  const comparable = after(before, last)
  const float = type === 'float32' ? comparable : before.cast(comparable, 'float32')
  before.nodes.push(
    { name: 'result', opType: 'Identity', input: [float], output: ['result'] },
    { name: 'probe', opType: 'ReduceMean', input: [float], output: ['probe'], attribute: [attribute('keepdims', 0)] },
  )
  const graph = {
    name: 'candidate',
    node: before.nodes,
    initializer,
    input: Object.entries(inputs).map(([name, shape]) => info(name, 'float32', shape)),
    output: [info('result', 'float32'), info('probe', 'float32')],
  }
  const opsetImport = [
    { domain: '', version: opset },
    { domain: 'com.microsoft', version: 1 },
  ]
  return onnx.ModelProto.encode({ irVersion: IR_VERSION, opsetImport, graph }).finish()
}
