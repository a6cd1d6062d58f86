// Where the files lie that others made.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import onnxProto from 'onnx-proto'
import { widen } from '../dist/src/core/graph/tensor.js'
import { tensorFromProto } from '../dist/src/core/onnx/tensors.js'

export const root = join(import.meta.dirname, '..')
/** Folders of ONNX's own tests; the last is written last. */
export const caseNames = ['node', 'simple', 'pytorch-operator', 'pytorch-converted']

/** The folder of ONNX's tests, which the onnx package writes once. */
export function casesFolder() {
  const folder = join(root, '.venv', 'onnx-cases')
  if (existsSync(join(folder, 'light'))) return folder
  execFileSync(join(root, 'test', 'support', 'onnxPackage.sh'), { stdio: ['ignore', 'ignore', 'inherit'] })
  execFileSync(join(root, '.venv', 'onnx', 'bin', 'python'), [join(import.meta.dirname, 'cases.py'), folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return folder
}

/** A TensorProto's file, in float64. */
export const tensorAt = (file) => widen(tensorFromProto(onnxProto.onnx.TensorProto.decode(readFileSync(file))))
