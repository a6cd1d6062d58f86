// The models that are made wrong: our own, those that other libraries write, and trained networks where they are installed.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { encodeModel } from '../../dist/src/core/onnx/tensors.js'
import { exportModel, findNetwork, recipes, residualNetwork } from '../../dist/src/index.js'

const mostBytes = 3e6
const root = join(import.meta.dirname, '..', '..')

/** Files below a folder whose names end so, or some of them. */
function filesIn(folder, ending = '.onnx', count = Number.POSITIVE_INFINITY) {
  if (!existsSync(folder)) return []
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).size <= mostBytes)
    .sort()
  const step = Math.max(1, Math.floor(found.length / count))
  return found.filter((_, i) => i % step === 0).map((path) => [basename(path), new Uint8Array(readFileSync(path))])
}

function ours() {
  const { architecture } = findNetwork('rdm56')
  const small = { ...architecture, functions: ['01'], blocks: [1], widths: [4], imageSize: 4 }
  const options = { recipe: recipes.paper, seed: 7 }
  const network = residualNetwork(small)
  const dropping = residualNetwork({ ...small, stochasticDepth: 0.5 })
  return [
    ['our training', exportModel(network, options)],
    ['our training, stochastic depth', exportModel(dropping, options)],
    ['our step', exportModel(network, { ...options, part: 'train', inline: true })],
    ['our network', exportModel(network, { ...options, part: 'infer' })],
  ]
}

/** Functions with overloads and defaults, a branch, sparse and external tensors, metadata: what few exporters write. */
function newest() {
  const metadataProps = [{ key: 'from', value: 'here' }]
  const info = (name, elemType, ...dims) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
    metadataProps,
  })
  const node = (opType, input, output, more = {}) => ({
    opType,
    name: output[0],
    input,
    output,
    metadataProps,
    ...more,
  })
  const scale = (overload, f) => ({
    domain: 'f',
    name: 'Scale',
    overload,
    input: ['a'],
    output: ['b'],
    attributeProto: [{ name: 'by', type: 1, f }],
    opsetImport: [{ version: 21 }],
    node: [
      node('Constant', [], ['k'], { attribute: [{ name: 'value_float', refAttrName: 'by', type: 1 }] }),
      node('Mul', ['a', 'k'], ['b']),
    ],
    metadataProps,
  })
  const branch = (opType) => ({
    name: opType,
    node: [node(opType, ['s'], [`${opType}.y`])],
    output: [{ name: `${opType}.y` }],
  })
  const attribute = ['then', 'else'].map((name, i) => ({
    name: `${name}_branch`,
    type: 5,
    g: branch(['Neg', 'Abs'][i]),
  }))
  const sparse = {
    values: { name: 's', dataType: 1, dims: [2], floatData: [1, -2] },
    indices: { dataType: 7, dims: [2], int64Data: [0, 3] },
    dims: [2, 2],
  }
  const graph = {
    name: 'g',
    metadataProps,
    input: [info('x', 1, 2, 2), info('go', 9)],
    output: [info('y', 1, 2, 2)],
    initializer: [{ name: 'w', dataType: 1, dims: [2, 2], floatData: [1, 2, 3, 4], metadataProps }],
    sparseInitializer: [sparse],
    node: [
      node('Scale', ['x'], ['p'], { domain: 'f', overload: 'two' }),
      node('Scale', ['p'], ['q'], { domain: 'f', attribute: [{ name: 'by', type: 1, f: 3 }] }),
      node('If', ['go'], ['r'], { attribute }),
      node('MatMul', ['q', 'w'], ['t']),
      node('Add', ['t', 'r'], ['y']),
    ],
  }
  const opsetImport = [{ version: 21 }, { domain: 'f', version: 1 }]
  return [
    [
      'newest format',
      encodeModel({ irVersion: 10, opsetImport, graph, functions: [scale('', 2), scale('two', 4)], metadataProps }),
    ],
  ]
}

/** Name → files, each with its name. RDM_MODELS names one more folder. */
export function origins() {
  const fixtures = (ending) => filesIn(join(root, 'test/fixtures/networks'), ending)
  const suite = (name, count) => filesIn(join(root, '.venv/onnx-cases', name), '.onnx', count)
  const installed = join(root, '.venv/networks')
  const all = {
    'our own': ours(),
    'newest format': newest(),
    'PyTorch, TorchScript': [...fixtures('.script.onnx'), ...fixtures('.script9.onnx'), ...fixtures('.script11.onnx')],
    'PyTorch, dynamo': fixtures('.dynamo.onnx'),
    Keras: fixtures('.keras.onnx'),
    tf2onnx: fixtures('.tf2onnx.onnx'),
    'scikit-learn': fixtures('.skl2onnx.onnx'),
    ...Object.fromEntries(
      (existsSync(installed) ? readdirSync(installed) : []).map((name) => [name, filesIn(join(installed, name))]),
    ),
    "ONNX's operators": suite('node', 120),
    "ONNX's small models": ['simple', 'pytorch-operator', 'pytorch-converted', 'light'].flatMap((name) =>
      suite(name, 40),
    ),
    RDM_MODELS: process.env.RDM_MODELS ? filesIn(process.env.RDM_MODELS) : [],
  }
  return Object.fromEntries(Object.entries(all).filter(([, files]) => files.length > 0))
}
