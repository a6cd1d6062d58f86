// ONNX's own tests, all of them or some.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from './trial.mjs'

export const root = join(import.meta.dirname, '..')
const suiteNames = ['node', 'simple', 'pytorch-operator', 'pytorch-converted']

/** The folder of the tests, which the onnx package writes once. */
function written() {
  const folder = join(root, '.venv', 'onnx-cases')
  if (existsSync(join(folder, suiteNames.at(-1)))) return folder
  execFileSync(join(root, 'test', 'support', 'onnxPackage.sh'), { stdio: ['ignore', 'ignore', 'inherit'] })
  execFileSync(join(root, '.venv', 'onnx', 'bin', 'python'), [join(import.meta.dirname, 'cases.py'), folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return folder
}

/** What becomes of each test, by suite. */
export function runSuites(pattern = '') {
  const folder = written()
  const chosen = new RegExp(pattern)
  return suiteNames.map((name) => {
    const tests = readdirSync(join(folder, name)).filter((test) => chosen.test(test))
    return { name, results: tests.sort().map((test) => ({ test, ...attempt(join(folder, name, test)) })) }
  })
}
