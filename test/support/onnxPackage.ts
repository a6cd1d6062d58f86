// ONNX's own Python package, where it is installed (test/support/onnxPackage.sh), and always in CI, where tests fail without it.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const rootFile = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const python = rootFile('.venv/onnx/bin/python')

export const hasOnnxPackage = existsSync(python) || process.env.CI !== undefined

/** What `onnxPackage.py` prints. */
export async function askOnnxPackage(...argv: readonly string[]): Promise<string> {
  const script = rootFile('test/support/onnxPackage.py')
  const { stdout } = await promisify(execFile)(python, [script, ...argv], { maxBuffer: 1e8 })
  return stdout
}
