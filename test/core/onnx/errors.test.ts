// Every refusal of what is not a well-formed model, by its text: it names the thing, what was expected, what to do.
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  algorithmOf,
  attributeTypes,
  type Case,
  graphOf,
  infoOf,
  initializerOf,
  inputOf,
  nodeOf,
  outputOf,
  refusal,
  refusalOf,
  smallFile,
  tensorType,
} from '../../support/brokenModels.js'
import { type ModelProto, onnx } from '../../support/models.js'

const { FLOAT, INT, GRAPH, INTS } = attributeTypes

const operatorSets: readonly Case[] = [
  [
    'too old',
    (m) => (m.opsetImport[0]!.version = 0),
    'the model uses version 0 of the ONNX operators; expected 1 to 28: convert the model to opset 18',
  ],
  [
    'too new',
    (m) => (m.opsetImport[0]!.version = 29),
    'the model uses version 29 of the ONNX operators; expected 1 to 28: convert the model to opset 18',
  ],
  [
    'of training, from the future',
    (m) => (m.opsetImport[1]!.version = 2),
    'the model uses version 2 of the rdm.training operators; expected 1: export the model again',
  ],
  [
    'imported twice',
    (m) => m.opsetImport.push(onnx.OperatorSetIdProto.create({ domain: 'ai.onnx', version: 17 })),
    'the model imports ONNX operators twice, at versions 18 and 17; expected one',
  ],
]

const trainingInformation: readonly Case[] = [
  [
    'none',
    (m) => (m.trainingInfo = []),
    'the model has no training_info, so there is no step to train by; export one that has it, for example with `rdm-export --arch rdm56`',
  ],
  [
    'two',
    (m) => m.trainingInfo.push(m.trainingInfo[0]!),
    'the model has 2 training_info entries; expected one: split them into files of their own',
  ],
  [
    'no algorithm',
    (m) => (infoOf(m).algorithm = null),
    'training_info has no algorithm: expected a graph of the training step, it is empty',
  ],
  [
    'an empty algorithm',
    (m) => (algorithmOf(m).node = []),
    'training_info has no algorithm: expected a graph of the training step, it is empty',
  ],
  [
    'no bindings',
    (m) => (infoOf(m).updateBinding = []),
    'training_info has no update_binding: the step would change nothing',
  ],
  [
    'a binding without its value',
    (m) => (infoOf(m).updateBinding![0]!.value = ''),
    'training_info.update_binding: an entry lacks its key or its value; expected an initializer and an output',
  ],
  [
    'an initializer bound twice',
    (m) => (infoOf(m).updateBinding![1]!.key = infoOf(m).updateBinding![0]!.key!),
    "training_info.update_binding: 'stem.bn.running_mean' is bound twice; expected one output for each initializer",
  ],
  [
    'an output bound twice',
    (m) => (infoOf(m).updateBinding![1]!.value = infoOf(m).updateBinding![0]!.value!),
    "training_info.update_binding: the output 'stem.bn.running_mean.next' is bound twice; expected an output of its own for each initializer",
  ],
  [
    'a binding to no output',
    (m) => (infoOf(m).updateBinding![0]!.value = 'nowhere'),
    "training_info.update_binding: 'nowhere', bound to 'stem.bn.running_mean', is no output of the graph; list it among the outputs",
  ],
  [
    'a binding of no initializer',
    (m) => (infoOf(m).updateBinding![0]!.key = 'nothing'),
    "training_info.update_binding: 'nothing' is no initializer of the model; bind initializers only",
  ],
  [
    'a binding of another type',
    (m) => (infoOf(m).updateBinding!.find(({ key }) => key === 'stem.weight')!.value = 'loss'),
    "training_info.update_binding: 'loss' is float32[], but 'stem.weight' is float32[4, 3, 3, 3]; expected the same type",
  ],
  [
    'a first value of no initializer',
    (m) => (infoOf(m).initializationBinding![0]!.key = 'nothing'),
    "training_info.initialization_binding: 'nothing' is no initializer of the model; bind initializers only",
  ],
  [
    'a first value that is not made',
    (m) => (infoOf(m).initialization = null),
    "training_info.initialization_binding: 'stem.weight.initial', bound to 'stem.weight', is no output of the graph; list it among the outputs",
  ],
  [
    'an initialization with inputs',
    (m) => (infoOf(m).initialization!.input = [{ name: 'x', type: tensorType(1) }]),
    'training_info.initialization: the graph has inputs; expected none, its values are drawn',
  ],
]

const addConstant = (model: ModelProto, ...attribute: { name: string }[]) =>
  graphOf(model).node!.push({ opType: 'Constant', name: 'names', output: ['names'], attribute })

const graphs: readonly Case[] = [
  [
    'an unknown operator',
    (m) => (nodeOf(m, 'stem').opType = 'Frobnicate'),
    "node 'stem' (Frobnicate): the operator Frobnicate is not known here, and the file has no function of that name",
  ],
  [
    'an unknown operator of another domain',
    (m) => Object.assign(nodeOf(m, 'stem'), { domain: 'com.example' }),
    "node 'stem' (Conv): the operator com.example.Conv is not known here, and the file has no function of that name",
  ],
  [
    'an input that nothing makes',
    (m) => (nodeOf(m, 'stem').input![0] = 'gone'),
    "node 'stem' (Conv): uses 'gone', which nothing before it defines",
  ],
  [
    'an output that a node does not make',
    (m) => nodeOf(m, 'stem').output!.push('more'),
    "node 'stem' (Conv): has an output 1 ('more') that Conv does not make",
  ],
  [
    'too few inputs',
    (m) => nodeOf(m, 'stem').input!.pop(),
    "node 'stem' (Conv): Conv in stem: takes 2 to 3 inputs, got 1 (inputs float32[batch, 3, 4, 4]; strides=[1,1], pads=[1,1,1,1], dilations=[1,1])",
  ],
  [
    'shapes that do not meet',
    (m) => (nodeOf(m, 'stem').input![1] = 'classifier.weight'),
    "node 'stem' (Conv): Conv in stem: needs inputs [N, C, …] and [O, C/group, …] with as many spatial axes, one at least (inputs float32[batch, 3, 4, 4], float32[10, 4]; strides=[1,1], pads=[1,1,1,1], dilations=[1,1])",
  ],
  [
    'a name that is taken',
    (m) => (nodeOf(m, 'stem').output![0] = 'images'),
    "2 things in the model cannot be read: node 'stem' (Conv): the output 'images' has a name that is taken; names of a graph and its training differ; node 'stem.bn' (BatchNormalization): uses 'stem', which nothing before it defines",
  ],
  [
    'two initializers of one name',
    (m) => (graphOf(m).initializer![1]!.name = graphOf(m).initializer![0]!.name!),
    "graph 'tiny' gives the initializer 'stem.weight' twice; expected each once",
  ],
  [
    'an initializer without a name',
    (m) => (graphOf(m).initializer![0]!.name = ''),
    'an initializer has no name; every initializer needs one',
  ],
  ['an input without a name', (m) => (inputOf(m, 'labels').name = ''), 'an input has no name; every input needs one'],
  [
    'an input without a type',
    (m) => (inputOf(m, 'images').type = {}),
    "the input 'images' needs a tensor type with a shape",
  ],
  [
    'an input of an unknown type',
    (m) => (inputOf(m, 'images').type = tensorType(8, 'n', 3, 4, 4)),
    "the input 'images': element type 8 is not supported; use one of float32, float64, float16, bfloat16, int64, int32, int16, int8, uint64, uint32, uint16, uint8, bool, float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0, float6e2m3, float6e3m2, float4e2m1, int4, uint4, int2, uint2",
  ],
  [
    'an input of impossible size',
    (m) => (inputOf(m, 'images').type = tensorType(2, 'n', 3, 4, 2 ** 60)),
    "the input 'images': dimension 1152921504606847000 is not possible; expected a whole number below 2^53",
  ],
  [
    'an output that nothing makes',
    (m) => (outputOf(m, 'logits').name = 'gone'),
    "the output 'gone' is made by no node; expected the name of a node's output",
  ],
  [
    'an output listed twice',
    (m) => graphOf(m).output!.push(outputOf(m, 'logits')),
    "graph 'tiny' lists the output 'logits' twice; expected each once",
  ],
  [
    'an output declared otherwise',
    (m) => (outputOf(m, 'logits').type = tensorType(7, 'batch', 10)),
    "the output 'logits' is declared int64, its node makes float32; expected the same type",
  ],
  [
    'an output declared in an unknown type',
    (m) => (outputOf(m, 'logits').type = tensorType(99, 'batch', 10)),
    "the output 'logits' is declared of element type 99, its node makes float32; expected the same type",
  ],
  [
    'a sparse initializer without a name',
    (m) => (graphOf(m).sparseInitializer = [{}]),
    'an initializer has no name; every initializer needs one',
  ],
  [
    'a sparse initializer that is trained',
    (m) => {
      const [dense, ...others] = graphOf(m).initializer!
      graphOf(m).initializer = others
      graphOf(m).sparseInitializer = [{ values: dense!, dims: dense!.dims! }]
    },
    "the sparse initializer 'stem.weight' is trained; store it dense",
  ],
  [
    'an attribute of another type',
    (m) => Object.assign(nodeOf(m, 'stem').attribute!.find(({ name }) => name === 'pads')!, { type: FLOAT, f: 1 }),
    "node 'stem' (Conv): the attribute 'pads' should be of type ints",
  ],
  [
    'an attribute of a type that no record has',
    (m) => Object.assign(nodeOf(m, 'stem').attribute!.find(({ name }) => name === 'pads')!, { type: GRAPH }),
    "node 'stem' (Conv): the attribute 'pads' should be of type ints",
  ],
  [
    'an attribute that is not known',
    (m) => nodeOf(m, 'stem').attribute!.push({ name: 'constructor', type: INT, i: 1 }),
    "node 'stem' (Conv): the attribute 'constructor' (1) is not supported; Conv takes kernel_shape, strides, pads, dilations, group, auto_pad",
  ],
  [
    'an attribute whose other values are not supported',
    (m) => nodeOf(m, 'stem').attribute!.push({ name: 'auto_pad', type: INTS, ints: [] }),
    "node 'stem' (Conv): the attribute 'auto_pad' should be of type string",
  ],
  [
    'a constant of another kind',
    (m) => addConstant(m, { name: 'value_strings' }),
    "node 'names' (Constant): a constant given by 'value_strings' is not supported; use 'value'",
  ],
  [
    'a constant of nothing',
    (m) => addConstant(m),
    "node 'names' (Constant): a constant given by 'nothing' is not supported; use 'value'",
  ],
]

const tensors: readonly Case[] = [
  [
    'truncated',
    (m) => (initializerOf(m, 'stem.weight').rawData = new Uint8Array(7)),
    "initializer 'stem.weight': 7 bytes for float32[4,3,3,3], expected 432",
  ],
  [
    'too few numbers',
    (m) => Object.assign(initializerOf(m, 'classifier.bias'), { rawData: null, floatData: [1, 2] }),
    "initializer 'classifier.bias': 2 values for float32[10], expected 10",
  ],
  [
    'no dimensions',
    (m) => (initializerOf(m, 'stem.weight').dims = []),
    "initializer 'stem.weight': 432 bytes for float32[], expected 4",
  ],
  [
    'negative dimensions',
    (m) => (initializerOf(m, 'stem.weight').dims = [-4, -27]),
    "initializer 'stem.weight': dimensions [-4,-27] are not possible; expected whole numbers from 0 whose product is below 2^53",
  ],
  [
    'endless dimensions',
    (m) => (initializerOf(m, 'stem.weight').dims = [2 ** 40, 2 ** 40]),
    "initializer 'stem.weight': dimensions [1099511627776,1099511627776] are not possible; expected whole numbers from 0 whose product is below 2^53",
  ],
  [
    'data elsewhere',
    (m) => (initializerOf(m, 'stem.weight').externalData = [{ key: 'location', value: 'w.bin' }]),
    "initializer 'stem.weight': its data is in another file; save the model with all data inside",
  ],
  [
    'an element type without a name',
    (m) => (initializerOf(m, 'stem.weight').dataType = 8),
    "initializer 'stem.weight': element type 8 is not supported; use one of float32, float64, float16, bfloat16, int64, int32, int16, int8, uint64, uint32, uint16, uint8, bool, float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0, float6e2m3, float6e3m2, float4e2m1, int4, uint4, int2, uint2",
  ],
  [
    'an element type that cannot train',
    (m) => Object.assign(initializerOf(m, 'classifier.bias.momentum'), { dataType: 10, rawData: new Uint8Array(20) }),
    "node 'update/classifier.bias/velocity/Mul' (Mul): Mul in update/classifier.bias/velocity/Mul: needs operands of one dtype; cast one of them (inputs float16[10], float32[])",
  ],
  [
    'a constant in half precision',
    (m) => Object.assign(initializerOf(m, 'float32/1x3x1x1'), { dataType: 10, dims: [1], rawData: new Uint8Array(2) }),
    "node 'normalize.scale' (Mul): Mul in normalize.scale: needs operands of one dtype; cast one of them (inputs float32[batch, 3, 4, 4], float16[1])",
  ],
]

describe.each([
  ['operator sets', operatorSets],
  ['training information', trainingInformation],
  ['graphs', graphs],
  ['tensors', tensors],
])('%s', (_, cases) => {
  it.each(cases)('%s', (_, edit, message) => {
    expect(refusalOf(edit)).toBe(`UserError: ${message}`)
  })
})

const text = (content: string) => new TextEncoder().encode(content)
const headed = (at: number, content: string) => Buffer.concat([Buffer.alloc(at), text(content)])
const other = 'this is not an ONNX model but '
const checkpoint =
  'a PyTorch checkpoint: save the model from PyTorch by torch.onnx.export instead: a checkpoint has no graph'
const safetensors = 'a safetensors file, which holds weights without a graph: export the model to ONNX'
const page = 'a web page, perhaps of an error or a sign-in: download the file itself'
describe('what is not ONNX', () => {
  it.each<[string, Uint8Array, string]>([
    ['an empty file', new Uint8Array(), `${other}empty: it was not written to the end, or not copied`],
    [
      'a PNG',
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13),
      `${other}a PNG image; expected a model`,
    ],
    ['JSON', text('{"epochs": 3}\n'), `${other}JSON; expected a model`],
    [
      'a short word',
      text('hi'),
      'this is not an ONNX model (it has no graph or no opset); expected a file such as rdm-export writes',
    ],
    [
      'a file cut off',
      smallFile.subarray(0, smallFile.length >> 1),
      `from byte … of … on, behind a whole model, the file is not ONNX (trainingInfo of ModelProto ends at byte …, beyond the end at …: … bytes are missing): it is cut off or damaged, or something was added to it`,
    ],
    [
      'a file cut off in its graph',
      smallFile.subarray(0, 1000),
      'this is not an ONNX model (graph of ModelProto ends at byte …, beyond the end at …: … bytes are missing); expected a file such as rdm-export writes',
    ],
    [
      'a file with a line after it',
      Buffer.concat([smallFile, text('\n')]),
      `from byte … of … on, behind a whole model, the file is not ONNX (irVersion of ModelProto has the wire type 2, which is that of another field): it is cut off or damaged, or something was added to it`,
    ],
    [
      'a file with zeros after it',
      Buffer.concat([smallFile, new Uint8Array(512)]),
      `from byte … of … on, behind a whole model, the file is not ONNX (no field begins at byte …): it is cut off or damaged, or something was added to it`,
    ],
    [
      'nothing but a version',
      onnx.ModelProto.encode({ irVersion: 8 }).finish(),
      'this is not an ONNX model (it has no graph or no opset); expected a file such as rdm-export writes',
    ],
    [
      'a Git LFS pointer',
      text(`version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`),
      `${other}a Git LFS pointer that stands for the model: fetch the model itself by \`git lfs pull\``,
    ],
    ['gzip', gzipSync(smallFile), `${other}compressed by gzip: unpack it first`],
    ['a zip archive', headed(0, `PK\x03\x04${'\0'.repeat(26)}model.onnx`), `${other}a zip archive: unpack it first`],
    ['a checkpoint of PyTorch', headed(0, `PK\x03\x04${'\0'.repeat(26)}archive/data.pklFB`), other + checkpoint],
    ['an old checkpoint of PyTorch', Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c), other + checkpoint],
    [
      'a safetensors file',
      Buffer.concat([Uint8Array.of(8, 1, 0, 0, 0, 0, 0, 0), text('{"weight":{')]),
      other + safetensors,
    ],
    ['a web page', text('<!DOCTYPE html>\n<html><head>'), other + page],
    ['an error of a store', text('<?xml version="1.0"?><Error>'), other + page],
    [
      "ONNX Runtime's own format",
      headed(4, 'ORTM'),
      `${other}a model in ONNX Runtime's own format: use the .onnx file that it was made from`,
    ],
  ])('%s', (_, bytes, message) => {
    // Where exactly a part of the file ends is the network's business.
    expect(refusal(bytes).replace(/\d{3,}/g, '…')).toBe(`UserError: ${message}`)
  })
})
