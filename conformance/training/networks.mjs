// The networks that are trained: their files, what is said to rdm-derive, and what they are fine-tuned to.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../files.mjs'

const fixtures = join(root, 'test', 'fixtures', 'networks')
const published = join(root, '.venv', 'networks')
const exporters = {
  dynamo: 'PyTorch',
  script: 'TorchScript',
  script9: 'TorchScript, opset 9',
  script11: 'TorchScript, opset 11',
  keras: 'Keras',
  tf2onnx: 'tf2onnx',
  skl2onnx: 'skl2onnx',
}

const spot = { task: 'spot' }
const vocabulary = { task: 'vocabulary' }
const next = { task: 'next', loss: 'cross-entropy:axis=-1' }
const smooth = { task: 'smooth', loss: 'mse' }
/** By network: its task, and the loss where it is not cross-entropy; `epochs` and `rate` of Adam where 8 and 0.005 do not do. */
const tunings = {
  autoencoder: smooth,
  batch_norm_training: { ...spot, flags: ['--batch-norm', 'train'] },
  bert: vocabulary,
  causal_attention: smooth,
  convnext_tiny: spot,
  densenet: spot,
  efficientnet_b0: spot,
  embedding_bag: vocabulary,
  gpt2: next,
  gru: smooth,
  keras_cnn: spot,
  keras_text: { task: 'above', loss: 'binary-cross-entropy' },
  llama: next,
  lstm_tagger: { task: 'tags', loss: 'cross-entropy:axis=-1' },
  mlp: smooth,
  mobilenet_v3_small: spot,
  resnet18: spot,
  shufflenet_v2: spot,
  sklearn_mlp_classifier: { task: 'largest' },
  sklearn_mlp_named: { task: 'largest' },
  sklearn_mlp_regressor: smooth,
  sklearn_pipeline: smooth,
  spatial_transformer: spot,
  swin_tiny: spot,
  temporal_convolutions: { task: 'frequency' },
  transformer_encoder: vocabulary,
  unet_monai: { task: 'disc' },
  unet_smp: { task: 'disc' },
  vit_tiny: spot,
}

const open = ['--shape', 'signal=batch,2,21']
/** What is said to rdm-derive: sizes that gradients need, constants of exporters that are no weights, where the network ends. */
const flags = {
  'autoencoder.dynamo': ['--freeze', 'val_8,val_11'],
  'llama.dynamo': ['--freeze', '*inv_freq'],
  'llama.script': ['--freeze', '*rotary_emb/Constant_1_output_0'],
  'sklearn_mlp_named.skl2onnx': ['--output', 'out_activations_result'],
  'spatial_transformer.dynamo': ['--freeze', 'clone,view_4'],
  'spatial_transformer.script': ['--freeze', '/Constant_7_output_0'],
  'temporal_convolutions.dynamo': open,
  'temporal_convolutions.script': open,
  'unet_monai.dynamo': ['--freeze', 'val_3,val_7,val_13,val_17,val_22,val_26,val_49,val_53'],
}

/** What today's exporter makes of an EmbeddingBag: a loop over a sequence. */
const refused = ['embedding_bag.dynamo']

const trainingOf = (network) => {
  const path = join(fixtures, `${network}.training.json`)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

const files = Object.keys(JSON.parse(readFileSync(join(fixtures, 'networks.json'), 'utf8')))

/** In the repository: one entry a file. */
const exported = files.map((name) => {
  const [network, exporter] = name.split('.')
  return {
    name: network,
    exporter: exporters[exporter],
    file: join(fixtures, `${name}.onnx`),
    flags: flags[name] ?? [],
    isRefused: refused.includes(name),
    // One network, written twice.
    training: trainingOf(network === 'sklearn_mlp_named' ? 'sklearn_mlp_classifier' : network),
    tuning: tunings[network],
  }
})

const logits = 'jax2tf_get_logits_/pjit_get_logits_/MagikaV2/Dense_1/AddV2:0'
const taken = [
  [
    'rapidocr_cls',
    'rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    ['--shape', 'x=batch,3,48,96'],
    { task: 'lines', epochs: 4, rate: 0.0005 },
  ],
  ['magika', 'magika/model.onnx', ['--output', logits], { task: 'bytes', epochs: 2, rate: 0.001 }],
  [
    'silero_vad',
    'silero-vad/silero_vad.onnx',
    [
      '--shape',
      'input=batch,576',
      '--shape',
      'state=2,batch,128',
      '--value',
      'sr=16000',
      '--value',
      'state=0',
      '--output',
      'output',
      '--freeze',
      '*forward_basis_buffer',
    ],
    { task: 'voice', loss: 'binary-cross-entropy', rate: 0.001 },
  ],
].map(([name, file, flags, tuning]) => ({
  name,
  exporter: 'as published',
  file: join(published, file),
  flags,
  training: trainingOf(name),
  isLarge: name === 'magika',
  tuning,
}))

/** All networks that can be trained and whose files are there; the published ones are fetched by test/support/realModels.sh. */
export const trainedNetworks = () =>
  [...exported, ...taken].filter(({ file, tuning }) => tuning !== undefined && existsSync(file))
