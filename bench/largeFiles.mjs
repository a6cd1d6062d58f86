// Large model files of several kinds, for reading.mjs: each a function of how many nodes or bytes it has.

import { AttributeType, encodeModel } from './onnx.mjs'

const FLOAT = 1
const INT64 = 7

const info = (name, ...dims) => ({
  name,
  type: {
    tensorType: {
      elemType: FLOAT,
      shape: { dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })) },
    },
  },
})
const ints = (name, values) => ({ name, type: AttributeType.INTS, ints: values })
const int = (name, i) => ({ name, type: AttributeType.INT, i })
const floats = (name, ...dims) => {
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + name.length) / 4)
  return { name, dataType: FLOAT, dims, rawData: new Uint8Array(data.buffer) }
}
const wholes = (name, values) => ({
  name,
  dataType: INT64,
  dims: [values.length],
  rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
})
const constantNode = (output, tensor) => ({
  opType: 'Constant',
  name: output,
  output: [output],
  attribute: [{ name: 'value', type: AttributeType.TENSOR, t: tensor }],
})

/** Nodes and initializers that grow; each node has one output, named like it. */
class File {
  node = []
  initializer = []

  add(opType, input, attribute = [], domain = '') {
    const name = `${opType}_${this.node.length}`
    this.node.push({ opType, name, domain, input, output: [name], attribute })
    return name
  }

  weight(tensor) {
    const name = `${tensor.name}_${this.initializer.length}`
    this.initializer.push({ ...tensor, name })
    return name
  }

  bytes(input, y, more = {}) {
    this.node.push({ opType: 'Identity', name: 'y', input: [y], output: ['y'] })
    const graph = { name: 'g', input: [input], output: [info('y')], node: this.node, initializer: this.initializer }
    graph.output[0].type.tensorType.shape = undefined
    const { functions = [], domains = [] } = more
    const opsetImport = ['', ...domains].map((domain) => ({ domain, version: domain === '' ? 18 : 1 }))
    return encodeModel({ irVersion: 8, opsetImport, graph, functions })
  }
}

const activations = ['Relu', 'Sigmoid', 'Tanh', 'Neg']

/** One node after another. */
function chain(nodes) {
  const file = new File()
  let x = 'x'
  for (let i = 0; i < nodes; i++) x = file.add(activations[i % 4], [x])
  return file.bytes(info('x', 'batch', 8), x)
}

/** Residual blocks as PyTorch's exporter writes them, batch norm folded into the convolutions. */
function cnn(nodes) {
  const file = new File()
  let x = 'x'
  while (file.node.length < nodes) {
    let y = x
    for (let i = 0; i < 2; i++) {
      const [w, b] = [file.weight(floats('weight', 4, 4, 3, 3)), file.weight(floats('bias', 4))]
      y = file.add('Conv', [y, w, b], [ints('kernel_shape', [3, 3]), ints('pads', [1, 1, 1, 1])])
      if (i === 0) y = file.add('Relu', [y])
    }
    x = file.add('Relu', [file.add('Add', [y, x])])
  }
  return file.bytes(info('x', 'batch', 4, 8, 8), x)
}

/** Blocks of attention and a perceptron, with the shape arithmetic and the constants among the nodes that exporters write. */
function transformer(nodes) {
  const file = new File()
  const [width, heads, length] = [8, 2, 4]
  const linear = (x) => {
    const product = file.add('MatMul', [x, file.weight(floats('weight', width, width))])
    return file.add('Add', [product, file.weight(floats('bias', width))])
  }
  const constant = (tensor) => {
    const name = `Constant_${file.node.length}`
    file.node.push(constantNode(name, tensor))
    return name
  }
  const norm = (x) =>
    file.add('LayerNormalization', [x, file.weight(floats('scale', width)), file.weight(floats('shift', width))])
  const split = (x) => {
    const batch = file.add('Gather', [file.add('Shape', [x]), constant(wholes('', [0]))])
    const shape = file.add('Concat', [batch, constant(wholes('', [length, heads, width / heads]))], [int('axis', 0)])
    return file.add('Transpose', [file.add('Reshape', [x, shape])], [ints('perm', [0, 2, 1, 3])])
  }
  let x = 'x'
  while (file.node.length < nodes) {
    const h = norm(x)
    const [q, k, v] = [split(linear(h)), split(linear(h)), split(linear(h))]
    const scores = file.add('MatMul', [q, file.add('Transpose', [k], [ints('perm', [0, 1, 3, 2])])])
    const scaled = file.add('Div', [scores, constant({ ...floats('', 1), dims: [] })])
    const mixed = file.add('MatMul', [file.add('Softmax', [scaled], [int('axis', -1)]), v])
    const turned = file.add('Transpose', [mixed], [ints('perm', [0, 2, 1, 3])])
    const joined = linear(file.add('Reshape', [turned, constant(wholes('', [0, 0, width]))]))
    const y = file.add('Add', [x, joined])
    const wide = linear(norm(y))
    const erf = file.add('Erf', [file.add('Div', [wide, constant({ ...floats('', 1), dims: [] })])])
    const half = file.add('Mul', [wide, file.add('Add', [erf, constant({ ...floats('', 1), dims: [] })])])
    x = file.add('Add', [y, linear(half)])
  }
  return file.bytes(info('x', 'batch', length, width), x)
}

/** Calls of a function of ten nodes. */
function functions(nodes) {
  const file = new File()
  let x = 'x'
  for (let i = 0; i < nodes / 10; i++) x = file.add('Ten', [x], [], 'f')
  const steps = Array.from({ length: 10 }, (_, i) => ({
    opType: activations[i % 4],
    name: `step${i}`,
    input: [`v${i}`],
    output: [`v${i + 1}`],
  }))
  const ten = {
    domain: 'f',
    name: 'Ten',
    input: ['v0'],
    output: ['v10'],
    node: steps,
    opsetImport: [{ domain: '', version: 18 }],
  }
  return file.bytes(info('x', 'batch', 8), x, { functions: [ten], domains: ['f'] })
}

/** A Constant for each second node, none like another. */
function constants(nodes) {
  const file = new File()
  let x = 'x'
  for (let i = 0; i < nodes / 2; i++) {
    const name = `c${i}`
    file.node.push(constantNode(name, { ...floats('', 1), rawData: new Uint8Array(Float32Array.of(i + 0.5).buffer) }))
    x = file.add('Add', [x, name])
  }
  return file.bytes(info('x', 'batch', 8), x)
}

/** Many nodes on one value, added up in pairs. */
function fan(nodes) {
  const file = new File()
  let level = Array.from({ length: nodes / 2 }, (_, i) => file.add(activations[i % 4], ['x']))
  while (level.length > 1)
    level = Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => {
      const [a, b] = level.slice(2 * i, 2 * i + 2)
      return b === undefined ? a : file.add('Add', [a, b])
    })
  return file.bytes(info('x', 'batch', 8), level[0])
}

export const byNodes = { chain, cnn, transformer, functions, constants, fan }

/**
 * Layers of one matrix each, 16 MiB of float32.
 * @param padding in bytes, of the name of each: where the next begins
 * @param raw false: the numbers in a field of floats
 */
export function matrices(bytes, padding, raw) {
  const file = new File()
  const size = 2048
  const data = new Float32Array(size * size).fill(0.01)
  const numbers = raw ? { rawData: new Uint8Array(data.buffer) } : { floatData: data }
  let x = 'x'
  for (let i = 0; i < bytes / data.byteLength; i++) {
    const name = `w${'x'.repeat(padding)}${String(i).padStart(4, '0')}`
    file.initializer.push({ name, dataType: FLOAT, dims: [size, size], ...numbers })
    x = file.add('MatMul', [x, name])
  }
  return file.bytes(info('x', 'batch', size), x)
}
