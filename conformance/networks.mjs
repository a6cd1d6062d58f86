// The networks that others made, and what they are fed.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { numbers, tensor } from '../dist/src/index.js'
import { casesFolder, root, tensorAt } from './files.mjs'

const real = join(root, '.venv', 'networks')
const exported = join(root, 'test', 'fixtures', 'networks')

/** Fetches the trained files, once (110 MB of Python packages). */
export const fetchTrained = () =>
  execFileSync(join(root, 'test', 'support', 'realModels.sh'), { stdio: ['ignore', 'ignore', 'inherit'] })

/** Dark strokes on a light ground: a detector of text gives hardly anything on noise. */
const strokes = (size) => {
  const dark = (y, x) => y > 24 && y < 40 && x % 8 < 3
  const plane = Array.from({ length: size * size }, (_, i) => (dark(Math.floor(i / size), i % size) ? -2 : 2))
  return numbers('float32', [1, 3, size, size], [...plane, ...plane, ...plane])
}

const rate = { sr: tensor('int64', [], [16000]) }
const audio = { input: [1, 576] }
/**
 * By the file: `shapes` of inputs that it leaves open, `values` of inputs that decide what is computed, `range` that inputs are
 * drawn from, `fed` as it is; `exact` where differences in float32 say nothing.
 */
const trained = {
  'silero-vad/silero_vad.onnx': { shapes: { ...audio, state: [2, 1, 128] }, values: rate },
  'silero-vad/silero_vad_16k_op15.onnx': { shapes: audio, values: rate },
  'silero-vad/silero_vad_16k_sequence.onnx': { shapes: { input: [3, 576] } },
  'silero-vad/silero_vad_half.onnx': { shapes: audio },
  'silero-vad/silero_vad_op18_ifless.onnx': { shapes: audio, range: { sr: [16000, 16001] } },
  'silero-vad/silero_vad_openvino_16k.onnx': {},
  'rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx': { shapes: { x: [1, 3, 48, 192] } },
  'rapidocr-onnxruntime/ch_PP-OCRv4_rec_infer.onnx': { shapes: { x: [1, 3, 48, 96] } },
  'rapidocr-onnxruntime/ch_PP-OCRv4_det_infer.onnx': { shapes: { x: [1, 3, 64, 64] }, fed: { x: strokes(64) } },
  'magika/model.onnx': { exact: true, shapes: { bytes: [2, 2048] }, range: { bytes: [0, 257] } },
  'nudenet/320n.onnx': { shapes: { images: [1, 3, 64, 64] } },
  'basic-pitch/nmp.onnx': { exact: true, shapes: { 'serving_default_input_2:0': [1, 43844, 1] } },
  'ddddocr/common.onnx': { shapes: { input1: [1, 1, 64, 128] } },
  'ddddocr/common_det.onnx': {},
  'ddddocr/common_old.onnx': { shapes: { input1: [1, 1, 64, 128] } },
}

/** ONNX's light models, with the output that ONNX has for them. */
function light() {
  const folder = join(casesFolder(), 'light')
  return readdirSync(folder).map((name) => {
    const at = (file) => tensorAt(join(folder, name, 'test_data_set_0', `${file}.pb`))
    return {
      name,
      file: join(folder, name, 'model.onnx'),
      first: at('input_0'),
      expected: at('output_0'),
      isHollow: true,
    }
  })
}

/** What `exports.py` says of the inputs of each file that it wrote. */
function exports() {
  const fed = JSON.parse(readFileSync(join(exported, 'networks.json'), 'utf8'))
  return Object.entries(fed).map(([name, options]) => ({ name, file: join(exported, `${name}.onnx`), ...options }))
}

export const networkSuites = () => [
  { name: 'light', networks: light() },
  ...(existsSync(real)
    ? [
        {
          name: 'trained',
          networks: Object.entries(trained).map(([name, options]) => ({ name, file: join(real, name), ...options })),
        },
      ]
    : []),
  { name: 'exported', networks: exports() },
]
