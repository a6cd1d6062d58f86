// Every refusal of a model whose graphs are sound but that does not train: roles, metadata, state; and how messages look.
import { describe, expect, it } from 'vitest'
import { keys } from '../../../src/core/model/metadata.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import type { Roles } from '../../../src/core/training/signature.js'
import {
  algorithmOf,
  type Case,
  graphOf,
  infoOf,
  inputOf,
  metadata,
  nodeOf,
  outputOf,
  refusal,
  refusalOf,
  smallFile,
  smallNetwork,
  tensorType,
} from '../../support/brokenModels.js'
import { edited, type ModelProto, onnx } from '../../support/models.js'

/** State in half precision that the step hands on as it is. */
function addHalf(model: ModelProto): void {
  graphOf(model).initializer!.push({ name: 'half', dataType: 10, dims: [1], rawData: Uint8Array.of(0, 0x3c) })
  algorithmOf(model).node!.push({ opType: 'Identity', input: ['half'], output: ['half.next'] })
  algorithmOf(model).output!.push({ name: 'half.next' })
  infoOf(model).updateBinding!.push({ key: 'half', value: 'half.next' })
}
const said = (change: (roles: Roles) => Partial<Roles>) =>
  metadata(keys.signature, (value) => ({ ...value, ...change(value as Roles) }))
const renamed = ({ inputs }: Roles, name: string) => ({ inputs: inputs.map((info) => ({ ...info, name })) })

const roles: readonly Case[] = [
  [
    'no images',
    said((roles) => renamed(roles, 'pictures')),
    "the training step has no input 'pictures' (uint8[batch, 3, 4, 4])",
  ],
  [
    'images of another type',
    (m) => (inputOf(m, 'images').type = tensorType(2, 'batch', 3, 4, 'w')),
    "2 things in the model cannot be read: node 'train/stage1.block1.f1.conv2/grad/ConvInputGrad' (ConvInputGrad_p1x1x1x1): ConvInputGrad in train/stage1.block1.f1.conv2/grad/ConvInputGrad: needs known height and width, got 'w' (inputs float32[batch, 4, 4, w], float32[4, 4, 3, 3]; strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=1, output_padding=[0,0]); node 'train/stage1.block1.f1.conv2/grad' (ConvWeightGrad_k3x3_p1x1x1x1): ConvWeightGrad in train/stage1.block1.f1.conv2/grad: needs known height and width, got 'w' (inputs float32[batch, 4, 4, w], float32[batch, 4, 4, w]; kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=1)",
  ],
  [
    'images that are labels',
    said((roles) => renamed(roles, 'labels')),
    "the training step's input 'labels' is int64[batch]; expected uint8[batch, 3, 4, 4]",
  ],
  [
    'no labels',
    said(({ targets }) => ({ targets: targets.map((info) => ({ ...info, name: 'classes' })) })),
    "the training step has no input 'classes' (int64[batch])",
  ],
  [
    'a batch of its own for each input',
    said(({ targets }) => ({ targets: targets.map((info) => ({ ...info, shape: [7] })) })),
    "the training step's input 'labels' is int64[batch]; expected int64[7]",
  ],
  [
    'no learning rate',
    said(({ hyperparameters: { learning_rate, ...others } }) => ({ hyperparameters: { rate: null, ...others } })),
    "the training step has no input 'rate' (float32[])",
  ],
  [
    'a hyperparameter that is an image',
    said(({ hyperparameters }) => ({ hyperparameters: { ...hyperparameters, images: 1 } })),
    "the training step's input 'images' is uint8[batch, 3, 4, 4]; expected float32[]",
  ],
  ['no loss', said(() => ({ loss: 'cost' })), "the training step has no output 'cost' (float32[])"],
  [
    'a loss that is a count',
    said(() => ({ loss: 'correct' })),
    "the training step's output 'correct' is int64[]; expected float32[]",
  ],
  [
    'no count of right answers',
    said(({ metrics }) => ({ metrics: metrics.map((metric) => ({ ...metric, output: 'loss' })) })),
    "the training step's output 'loss' is float32[]; expected int64[]",
  ],
  [
    'gates of another number',
    said(() => ({ gates: { name: 'gates', survival: [1, 0.5] } })),
    "the training step's input 'gates' is float32[1]; expected float32[2]",
  ],
  [
    'an input that nothing feeds',
    metadata(keys.signature, ({ gates, ...roles }) => roles),
    "the training step has an input 'gates' that nothing feeds; name its role in the metadata 'rdm.signature'",
  ],
]

const metadataCases: readonly Case[] = [
  [
    'no JSON',
    (m) => (m.metadataProps.find(({ key }) => key === keys.recipe)!.value = '{epochs:'),
    "the model's metadata 'rdm.recipe' is broken: no JSON (…); export the model again",
  ],
  [
    'an empty value',
    (m) => (m.metadataProps.find(({ key }) => key === keys.recipe)!.value = ''),
    "the model's metadata 'rdm.recipe' is broken: no JSON (…); export the model again",
  ],
  [
    'a recipe without its rates',
    metadata(keys.recipe, ({ learningRate, ...recipe }) => recipe),
    "the model's metadata 'rdm.recipe' is broken: learningRate: expected [[epoch, value], …] or a schedule of kind piecewise, cycle or power; export the model again",
  ],
  [
    'a recipe with a wrong number',
    metadata(keys.recipe, (recipe) => ({ ...recipe, epochs: 0 })),
    "the model's metadata 'rdm.recipe' is broken: epochs: Too small: expected number to be >0; export the model again",
  ],
  [
    'names with one too many',
    metadata(keys.signature, (roles) => ({ ...roles, rate: 'x' })),
    "the model's metadata 'rdm.signature' is broken: Unrecognized key: \"rate\"; export the model again",
  ],
  [
    'a probability past 1',
    said(() => ({ gates: { name: 'gates', survival: [2] } })),
    "the model's metadata 'rdm.signature' is broken: gates.survival.0: Too big: expected number to be <=1; export the model again",
  ],
  [
    'a loss that is no base64',
    (m) => (m.metadataProps.find(({ key }) => key === keys.loss)!.value = '"not%"'),
    "the model's metadata 'rdm.loss' is broken: Invalid base64-encoded string; export the model again",
  ],
]

describe.each([
  ['roles', roles],
  ['metadata', metadataCases],
])('%s', (_, cases) => {
  it.each(cases)('%s', (_, edit, message) => {
    expect(refusalOf(edit)).toBe(`UserError: ${message}`)
  })
})

it('state in half precision keeps its bits', () => {
  const model = readTrainableModel(edited(smallFile, addHalf))
  expect(model.state.half).toEqual({ dtype: 'float16', shape: [1], data: Uint16Array.of(0x3c00) })
})

describe('a message', () => {
  it('names the file', () => {
    expect(refusal(new Uint8Array(), 'runs/x/model.onnx')).toBe(
      'UserError: runs/x/model.onnx: this is not an ONNX model but empty: it was not written to the end, or not copied',
    )
  })
  it('is one line of printable text, whatever names a file has', () => {
    const hostile = edited(smallFile, (m) => (nodeOf(m, 'stem').input![0] = 'a\nb\u001b[31mc\u2028d'))
    expect(refusal(hostile)).toBe("UserError: node 'stem' (Conv): uses 'a b [31mc d', which nothing before it defines")
    const endless = edited(smallFile, (m) => (nodeOf(m, 'stem').input![0] = 'x'.repeat(1e6)))
    expect(refusal(endless)).toMatch(
      /^UserError: node 'stem' \(Conv\): uses 'x{100,}…x{100,}', which nothing before it defines$/,
    )
    expect(refusal(endless).length).toBeLessThan(1100)
  })
})

describe('what looks odd and is right', () => {
  it.each<[string, (model: ModelProto) => void]>([
    [
      'initializers among the inputs, as before IR version 4',
      (m) => {
        graphOf(m).input!.push(...graphOf(m).initializer!.map(({ name }) => ({ name: name!, type: tensorType(1) })))
      },
    ],
    ['the oldest and the newest operator set', (m) => (m.opsetImport[0]!.version = 13)],
    ['the newest operator set', (m) => (m.opsetImport[0]!.version = 23)],
    [
      'other operator sets, unused',
      (m) => m.opsetImport.push(onnx.OperatorSetIdProto.create({ domain: 'ai.onnx.ml', version: 99 })),
    ],
    [
      'no metadata',
      (m) => {
        m.metadataProps = m.metadataProps.filter(({ key }) => key !== keys.recipe && key !== keys.architecture)
      },
    ],
    ['outputs of no declared type', (m) => (outputOf(m, 'logits').type = null)],
    [
      'attributes at the only value that we know',
      (m) => {
        nodeOf(m, 'stem').attribute!.push({
          name: 'auto_pad',
          type: onnx.AttributeProto.AttributeType.STRING,
          s: new TextEncoder().encode('NOTSET'),
        })
      },
    ],
    [
      'initializers named as members of every object',
      (m) => {
        graphOf(m).initializer!.push({ name: 'constructor', dataType: 1, dims: [1], floatData: [1] })
        graphOf(m).initializer!.push({ name: '__proto__', dataType: 1, dims: [1], floatData: [1] })
      },
    ],
  ])('%s', (_, edit) => {
    const bytes = edited(smallFile, edit)
    expect(refusal(bytes)).toBe('accepted')
    const model = readTrainableModel(bytes)
    expect(refusal(model.withState(model.state))).toBe('accepted')
  })
})

describe('what is written', () => {
  it('needs a value for each parameter', () => {
    expect(() => writeModel({ graph: smallNetwork, weights: new Map() })).toThrow(
      "no value for the parameter 'stem.weight'",
    )
  })
})
