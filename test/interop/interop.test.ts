// The examples in other runtimes: ten steps each, against the float64 reference. A runtime runs where it is installed
// (npm run interop -- --install --quick), and always in CI, where its test fails without it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const piece = (name: string) => import(/* @vite-ignore */ join(root, 'interop', `${name}.mjs`))
const { runtimes } = await piece('runtimes')
const { writeNets, reference, standardFiles } = await piece('nets')
const { attempt, inferenceDifference, TOLERANCE, trainingDifference } = await piece('trial')

interface Runtime {
  readonly name: string
  readonly form?: string
  readonly quick?: boolean
  readonly steps?: number
  readonly installation: { isInstalled(): boolean }
  readonly check?: (files: readonly string[]) => Promise<unknown>
}

const folder = mkdtempSync(join(tmpdir(), 'rdm-interop-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const COMPARED = 3
interface Expected {
  readonly losses: readonly number[]
  readonly correct: readonly number[]
}
let expected: Expected
let expectedForeign: Expected
beforeAll(async () => {
  await writeNets(folder, ['tiny', 'resnet18'])
  expected = await reference(folder, COMPARED)
  expectedForeign = await reference(folder, COMPARED, 'resnet18')
}, 240_000)

const quick = (runtimes as readonly Runtime[]).filter((runtime) => runtime.quick)
const here = quick.filter(({ installation }) => process.env.CI !== undefined || installation.isInstalled())

describe.each(here.map((runtime) => [runtime.name, runtime] as const))('%s', (_, runtime) => {
  it('three steps are those of the reference, and so are its probabilities', async () => {
    const result = await attempt(runtime, folder, 'tiny', runtime.form, COMPARED)
    expect(result.steps).toHaveLength(COMPARED)
    expect(trainingDifference(result, expected)).toBeLessThanOrEqual(TOLERANCE)
    expect(inferenceDifference(result, expected)).toBeLessThanOrEqual(TOLERANCE)
    expect(Number(result.predicted)).toBeLessThanOrEqual(32)
  }, 240_000)

  it('three further steps of a trained network of someone else are those of the reference', async () => {
    // rten has no places of a maximum.
    const form = runtime.name === 'rten' ? 'basic' : runtime.form
    const result = await attempt(runtime, folder, 'resnet18', form, COMPARED)
    expect(trainingDifference(result, expectedForeign)).toBeLessThanOrEqual(TOLERANCE)
    expect(inferenceDifference(result, expectedForeign)).toBeLessThanOrEqual(TOLERANCE)
  }, 240_000)

  // ONNX's own evaluator takes seconds a step.
  it.runIf(runtime.steps === undefined)(
    'ten steps go on from there',
    async () => {
      const { steps } = await attempt(runtime, folder, 'tiny', runtime.form, 10)
      expect(steps).toHaveLength(10)
      steps.forEach(({ loss, correct }: { loss: number; correct: number }, i: number) => {
        expect(Number.isFinite(loss)).toBe(true)
        if (i >= COMPARED) return
        expect(Math.abs(loss / expected.losses[i]! - 1)).toBeLessThanOrEqual(TOLERANCE)
        expect(correct).toBe(expected.correct[i])
      })
    },
    240_000,
  )

  it.runIf(runtime.check)('finds nothing wrong with any part in any form', async () => {
    await runtime.check!(standardFiles(folder))
  })
})
