// rdm-derive as a user runs it: networks that others wrote, told about, trained and evaluated.
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { tensor } from '../../src/core/graph/tensor.js'
import { nameOf } from '../../src/core/graph/value.js'
import { readTrainableModel } from '../../src/core/model/read.js'
import { readNetwork } from '../../src/core/onnx/network.js'
import { decodeModel, encodeModel } from '../../src/core/onnx/tensors.js'
import { artifactFiles } from '../../src/driver/artifacts/index.js'
import { encodeSafetensors } from '../../src/driver/run/safetensors.js'
import { askOnnxPackage, hasOnnxPackage } from '../support/onnxPackage.js'
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

const table = (values: readonly number[], columns: number) =>
  Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns))

test('adapters are trained, resumed, merged, and taken out for ONNX Runtime', async () => {
  const file = join(root, 'bert.onnx')
  const about = { key: 'author', value: 'somebody else' }
  writeFileSync(file, encodeModel({ ...decodeModel(readFileSync(network('bert.dynamo'))), metadataProps: [about] }))
  const [data, model, straight, stopped, whole, open, adapter] = [
    ...['words.safetensors', 'lora.onnx', 'straight', 'stopped', 'merged.onnx', 'open.onnx', 'words.onnx_adapter'],
  ].map((name) => join(root, name)) as [string, string, string, string, string, string, string]
  const ids = Array.from({ length: 96 }, (_, i) => (i * 7) % 64)
  const tensors = {
    input_ids: tensor('int64', [24, 4], ids),
    attention_mask: tensor('int64', [24, 4], Array(96).fill(1)),
    labels: tensor(
      'int64',
      [24],
      Array.from(Array(24).keys(), (i) => i % 3),
    ),
  }
  writeFileSync(data, encodeSafetensors({ tensors, metadata: {} }))
  const lora = ['--lora', '2', '--lora-on', '*.query,*.value', '--head', '3', '--optimizer', 'adamw', '--lr', '0.1']
  expect(run('rdm-derive', [file, ...lora, '--out', model])).toMatchObject({ code: 0, err: '' })
  const fit = (out: string, ...more: string[]) =>
    run('rdm-fit', [model, '--data', data, '--out', out, '--batch', '8', '--threads', '1', ...more])
  expect(fit(straight, '--epochs', '3')).toMatchObject({ code: 0 })
  expect(fit(stopped, '--epochs', '1')).toMatchObject({ code: 0 })
  expect(run('rdm-fit', ['--resume', '--out', stopped, '--epochs', '3'])).toMatchObject({ code: 0 })
  const trained = readFileSync(join(straight, 'model.onnx'))
  expect(readFileSync(join(stopped, 'model.onnx')).equals(trained)).toBe(true)

  expect(run('rdm-derive', ['--merge', join(straight, 'model.onnx'), '--out', whole])).toMatchObject({
    code: 0,
    err: '',
  })
  expect(run('rdm-derive', ['--adapter', adapter, join(straight, 'model.onnx'), '--out', open])).toMatchObject({
    code: 0,
    err: '',
  })
  const names = (bytes: Uint8Array) => readNetwork(bytes).parameters.map(nameOf).toSorted()
  expect(names(readFileSync(whole))).toEqual(names(readFileSync(file)))
  for (const path of [model, whole, open]) expect(decodeModel(readFileSync(path)).metadataProps).toContainEqual(about)

  const feeds = { input_ids: table(ids, 4), attention_mask: table(Array(96).fill(1), 4) }
  const whole64 = (rows: readonly (readonly number[])[]) =>
    new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]!.length])
  const outputs = async (path: string) => {
    const session = await InferenceSession.create(path, { logSeverityLevel: 3 })
    const { y } = await session.run({
      input_ids: whole64(feeds.input_ids),
      attention_mask: whole64(feeds.attention_mask),
    })
    return [...(y!.data as Float32Array)]
  }
  const expected = await outputs(join(straight, 'model.onnx'))
  const distance = (given: readonly number[]) => Math.max(...given.map((value, i) => Math.abs(value - expected[i]!)))
  expect(distance(await outputs(open))).toBeGreaterThan(1e-3)
  expect(distance(await outputs(whole))).toBeLessThan(1e-5)
  // Node's ONNX Runtime has no adapters.
  if (hasOnnxPackage)
    expect(distance(JSON.parse(await askOnnxPackage('adapt', open, adapter, JSON.stringify(feeds))))).toBeLessThan(1e-6)
})

test('a new head has the classes of the data, which are not to be taken for others', () => {
  const [data, model, other] = ['classes', 'classes.onnx', 'others.onnx'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ]
  expect(run('rdm-data', ['synth', data, '--train', '64', '--test', '8', '--classes', '3']).code).toBe(0)
  const derive = ['--train', 'fc.*', '--normalize', 'cifar10']
  const file = network('resnet18.dynamo')
  expect(run('rdm-derive', [file, '--data', data, ...derive, '--out', model])).toMatchObject({ code: 0, err: '' })
  const { classes, signature } = readTrainableModel(readFileSync(model))
  const names = readFileSync(join(data, 'batches.meta.txt'), 'utf8').trim().split('\n')
  expect(classes).toEqual(names)
  expect(signature.targets[0]!.classes).toBe(3)
  const fit = (path: string) =>
    run('rdm-fit', [path, '--data', data, '--out', `${path}.run`, '--steps', '1', '--threads', '1'])
  expect(fit(model).code).toBe(0)
  const trained = decodeModel(readFileSync(join(`${model}.run`, 'model.onnx')))
  expect(trained.metadataProps).toContainEqual({ key: 'rdm.classes', value: JSON.stringify(names) })
  expect(run('rdm-derive', [file, '--head', 'cat,dog,bird', ...derive, '--out', other])).toMatchObject({
    code: 0,
    err: '',
  })
  expect(fit(other)).toMatchObject({
    code: 2,
    err: `rdm-fit: the model's classes are cat, dog, bird, in this order, and those of the data ${names.join(', ')}; derive a model with --data\n`,
  })
})

test('a batch that is fixed trains as it is, the last examples of an epoch left out', () => {
  const [data, model] = [join(root, 'fixed-data'), join(root, 'fixed.onnx')]
  expect(run('rdm-data', ['synth', data, '--train', '50', '--test', '10']).code).toBe(0)
  const fixed = ['--shape', 'image=8,3,32,32', '--normalize', 'cifar10', '--train', 'fc.*', '--out', model]
  expect(run('rdm-derive', [network('resnet18.dynamo'), ...fixed])).toMatchObject({ code: 0, err: '' })
  const fit = run('rdm-fit', [model, '--data', data, '--out', `${model}.run`, '--epochs', '1', '--threads', '1'])
  expect(fit).toMatchObject({ code: 0 })
  // 50 examples are six batches of 8; all ten of the test are evaluated.
  expect(fit.out).toContain('finished after 6 steps: test error ')
})

test("--artifacts writes the four files of ONNX Runtime's training API", () => {
  const folder = join(root, 'artifacts')
  const given = ['--freeze', 'layer1.*', '--artifacts', folder]
  expect(run('rdm-derive', [network('resnet18.dynamo'), ...given])).toMatchObject({ code: 0, out: '', err: '' })
  expect(readdirSync(folder).toSorted()).toEqual(artifactFiles.toSorted())
  const inputs = decodeModel(readFileSync(join(folder, 'training_model.onnx'))).graph?.input?.map(({ name }) => name)
  expect(inputs?.slice(0, 2)).toEqual(['image', 'labels'])
  expect(inputs).toContain('layer1.0.conv1.weight')
  expect(inputs).toContain('fc.weight_grad.accumulation.buffer')
  expect(inputs).not.toContain('layer1.0.conv1.weight_grad.accumulation.buffer')
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
  [
    'a seed for nothing',
    ['--seed', '3'],
    '--seed draws the weights of a new head or of adapters: add --head or --lora',
  ],
  ['classes', ['--head', 'cat,,dog'], '"cat,,dog" says no classes: write how many there are, or two names and more'],
  ['classes twice', ['--head', '3', '--data', 'x'], '--head and --data both say what the classes of the new head are'],
  ['artifacts and a part', ['--artifacts', 'folder'], 'to which --part means nothing: leave one of them out'],
  ['adapters for nothing', ['--lora-on', 'fc'], '--lora-on is for adapters: add --lora RANK, or leave it out'],
  ['adapters and last layers', ['--lora', '2', '--train-last', '1'], 'leave one of them out'],
  ['a layer', ['--lora', '2', '--lora-on', 'fcc'], "no layer that adapters fit is named like 'fcc'; there are conv1, "],
  [
    'merging what has none',
    ['--merge'],
    '--merge takes a trained network as it is, and --part is for making one that trains',
  ],
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
