// ONNX's own tests, as `npm run conformance` runs them: none is wrong, and the page says what comes out.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hasOnnxPackage } from '../../support/onnxPackage.js'

const root = join(import.meta.dirname, '..', '..', '..')
const piece = (name: string) => import(/* @vite-ignore */ join(root, 'conformance', `${name}.mjs`))

describe.runIf(hasOnnxPackage)("ONNX's own tests", () => {
  it('give what docs/conformance.md says, and nothing wrong', async () => {
    const suites: { results: { test: string; verdict: string; why?: string }[] }[] = (await piece('suites')).runSuites()
    const wrong = suites.flatMap(({ results }) => results).filter(({ verdict }) => verdict === 'wrong')
    expect(wrong.map(({ test, why }) => `${test}: ${why}`)).toEqual([])
    expect((await piece('page')).pageOf(suites)).toBe(readFileSync(join(root, 'docs', 'conformance.md'), 'utf8'))
  }, 600_000)
})
