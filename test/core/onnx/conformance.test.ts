// ONNX's own tests and networks that others made, as `npm run conformance` runs them: none is wrong, and the page says what comes
// out.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hasOnnxPackage } from '../../support/onnxPackage.js'

const root = join(import.meta.dirname, '..', '..', '..')
const piece = (name: string) => import(/* @vite-ignore */ join(root, 'conformance', `${name}.mjs`))
interface Suite {
  readonly results: readonly { readonly test: string; readonly verdict: string; readonly why?: string }[]
}

describe.runIf(hasOnnxPackage)("ONNX's own tests and others' networks", () => {
  it('give what docs/conformance.md says, and nothing wrong', async () => {
    const { runCases, runNetworks } = await piece('suites')
    const suites: { cases: Suite[]; networks: Suite[] } = { cases: runCases(), networks: await runNetworks() }
    const wrong = [...suites.cases, ...suites.networks]
      .flatMap(({ results }) => results)
      .filter(({ verdict }) => verdict === 'wrong')
    expect(wrong.map(({ test, why }) => `${test}: ${why}`)).toEqual([])
    // The page has the trained files that are fetched only on demand.
    if (!existsSync(join(root, '.venv', 'networks'))) return
    const page = readFileSync(join(root, 'docs', 'conformance.md'), 'utf8')
    expect((await piece('page')).pageOf(suites.cases, suites.networks)).toBe(page)
  }, 1_800_000)
})
