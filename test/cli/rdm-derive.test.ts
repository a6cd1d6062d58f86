// rdm-derive as a user runs it: networks that others wrote, told about, trained and evaluated.
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readTrainableModel } from '../../src/core/model/read.js'
import { run } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-derive-'))
const network = (name: string) => join(import.meta.dirname, '..', 'fixtures', 'networks', `${name}.onnx`)

test('--explain says what it takes and gives, and what of it trains', () => {
  const { code, out } = run('rdm-derive', [network('resnet18.dynamo'), '--explain', '--train', 'fc.*', '--head', '4'])
  expect(code).toBe(0)
  expect(out).toContain('takes image float32[batch, 3, 32, 32]\ngives y float32[batch, 4]\n')
  // 12 inputs and a bias for each of 4 classes.
  expect(out).toContain('44 weights of 20,934 numbers, of which 52 train')
  expect(out).toMatch(/^fc\.weight +\[4, 12\] +48 +yes$/m)
  expect(out).toMatch(/^conv1\.weight .* no$/m)
  expect(out).toMatch(/It can be trained\.\n$/)
})

test('a network of PyTorch is fine-tuned on images, from the file to its evaluation', () => {
  const [data, model, folder] = ['data', 'model.onnx', 'run'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ]
  expect(run('rdm-data', ['synth', data, '--train', '256', '--test', '32']).code).toBe(0)
  const file = network('resnet18.dynamo')
  expect(run('rdm-derive', [file, '--freeze', 'layer1.*', '--normalize', 'cifar10', '--out', model])).toMatchObject({
    code: 0,
    err: '',
  })
  const { signature, state } = readTrainableModel(readFileSync(model))
  expect(signature.inputs).toEqual([{ name: 'image', dtype: 'uint8', shape: ['batch', 3, 32, 32] }])
  expect(Object.keys(state)).toEqual(
    expect.arrayContaining(['fc.weight', 'fc.weight.momentum', 'layer4.1.conv2.weight']),
  )
  expect(Object.keys(state).some((name) => name.startsWith('layer1.'))).toBe(false)
  const fit = run('rdm-fit', [
    model,
    '--data',
    data,
    '--out',
    folder,
    '--epochs',
    '3',
    '--lr',
    '0.05',
    '--threads',
    '1',
    '--json',
  ])
  expect(fit.code).toBe(0)
  const epochs = fit.out.split('\n').flatMap((line) => (line.includes('"epoch"') ? [JSON.parse(line)] : []))
  const losses = epochs.filter(({ event }) => event === 'epoch').map(({ loss }) => loss)
  expect(losses[2]).toBeLessThan(losses[0])
  const evaluated = run('rdm-eval', [join(folder, 'model.onnx'), '--data', data, '--threads', '1', '--json'])
  expect(Number.isFinite(JSON.parse(evaluated.out).loss)).toBe(true)
})

test('--explain says where the network ends, what its loss compares, and all that stands in the way', () => {
  const explain = (name: string, ...options: string[]) =>
    run('rdm-derive', [network(name), '--explain', ...options]).out
  const cut = explain('sklearn_mlp_classifier.skl2onnx', '--output', 'add_result2', '--loss', 'mse')
  expect(cut).toContain(
    'gives add_result2 float32[batch, 3]\n' +
      'what follows is left out: Softmax, Identity, ArgMax, ai.onnx.ml.ArrayFeatureExtractor, Reshape, Cast\n' +
      'its loss compares add_result2 float32[batch, 3] and targets float32[batch, 3]\n',
  )
  expect(cut).toMatch(/It can be trained\.\n$/)
  const masked = explain('bert.dynamo', '--value', 'attention_mask=1')
  expect(masked).toMatch(/^takes input_ids int64\[batch, length\]\n/)
  const open = explain('temporal_convolutions.script', '--loss', 'z=mse')
  expect(open).toMatch(
    /It cannot be trained as it is:\n- the network has no output 'z'.*\n- gradient of Conv in 4 nodes .*\nSizes that the file leaves open can be said/,
  )
  expect(explain('sklearn_logistic.skl2onnx')).toMatch(/- the network has no weights that could train\n$/)
})

test.each<[string, string[], string]>([
  ['no weight', ['--train', 'nothing.*'], "no weight is named like 'nothing.*'; there are "],
  ['none left', ['--freeze', '*'], 'no weight is left to train; take fewer patterns to freeze, or more to train'],
  [
    'an output',
    ['--output', 'z'],
    "the network has no value 'z' to end at; it has the outputs 'y', and what its nodes make",
  ],
  ['a value', ['--value', 'rate'], '"rate" gives an input no value: write NAME=NUMBER, as in rate=16000'],
  [
    'a shape',
    ['--shape', 'image=batch,1,32,32'],
    "the input 'image' is [batch, 3, 32, 32] in the file; the shape [batch, 1, 32, 32] does not fit",
  ],
  ['a seed for nothing', ['--seed', '3'], '--seed draws the weights of a new head: add --head, or leave it out'],
  ['a rank', ['--shape', 'image=3'], "the input 'image' is [batch, 3, 32, 32] in the file; the shape [3] does not fit"],
])('bad input is one line: %s', (_, options, message) => {
  const { code, out, err } = run('rdm-derive', [
    network('resnet18.dynamo'),
    '--part',
    'train',
    '--out',
    join(root, 'x'),
    ...options,
  ])
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^rdm-derive: [^\n]+\n$/)
  expect(err).toContain(message)
})
