// Several steps a run by target ort-cpu: how many, and that nothing of the run depends on it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FitOptions, findNetwork, fit, planStep, readTrainableModel } from 'rdm-onnx'
import { afterAll, expect, it } from 'vitest'
import { residualNetwork } from '../../../graphs/residual.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { expandPrimitives } from '../../../src/core/targets/target.js'
import { stepsPerRunOf } from '../../../src/driver/targets/ort-cpu/stepsPerRun.js'
import { fileOf } from '../../support/models.js'
import { tinyNetworks } from '../../support/networks.js'
import { tinyData } from '../../support/tinyData.js'

/** 72 images in batches of 16: four whole batches an epoch, and one of 8. Gates are drawn for each step. */
const data = tinyData()
const tiny = residualNetwork({ ...tinyNetworks['RDM basic, stochastic depth'], imageSize: 8, blocks: [1, 1, 1] })
const model = readTrainableModel(fileOf(tiny))

const root = mkdtempSync(join(tmpdir(), 'rdm-several-'))
afterAll(() => rmSync(root, { recursive: true }))

const planned = async (severalSteps: boolean) => {
  const found = await planStep({ model, batch: 16, threads: 1, wanted: 'ort-cpu', severalSteps })
  return found!
}

it('leaves the same bytes as single steps, with what is drawn and the small last batch, and where it was stopped', async () => {
  const [several, single] = [await planned(true), await planned(false)]
  expect([several.inLoop, several.stepsPerRun, single.inLoop]).toEqual([true, 8, false])
  expect(several.plan).toEqual({ ...single.plan, stepsPerRun: 8 })
  const run = (name: string, options: Partial<FitOptions> = {}) => {
    const { config, ...rest } = options
    const common = { threads: 1, target: 'ort-cpu', epochs: 2, batchSize: 16, checkpointSeconds: 0 } as const
    const [out, rate] = [join(root, name), [[0, 0.05]] as [number, number][]]
    return fit({ model, data, out, ...rest, config: { ...common, learningRate: rate, ...config } })
  }
  const runs: number[] = []
  await run('several', {
    plan: several.plan,
    onEvent: (event) => event.event === 'step' && runs.push(event.images),
  })
  await run('single', { plan: single.plan })
  // Stopped within what would have been one run.
  await run('stopped', { plan: several.plan, config: { steps: 3 } })
  await run('stopped', { resume: true, config: { steps: null } })
  expect(runs).toEqual([16, 16, 16, 16, 8, 16, 16, 16, 16, 8])
  const bytesOf = (name: string) =>
    ['metrics.jsonl', 'model.onnx'].map((file) => readFileSync(join(root, name, file), 'latin1'))
  expect(bytesOf('several')).toEqual(bytesOf('single'))
  expect(bytesOf('stopped')).toEqual(bytesOf('single'))
})

it('takes one step where its copy is little beside it, and as many as a second holds elsewhere', () => {
  const of = (name: string, batch: number) => {
    const found = readTrainableModel(fileOf(residualNetwork(findNetwork(name)!.architecture)))
    return stepsPerRunOf(expandPrimitives(found.graph(batch), portable), found.state)
  }
  // 100 GFLOP for 14 MB; and 0.8 for as much.
  expect(of('rdm56', 128)).toBe(1)
  expect(of('rdm56', 1)).toBe(8)
})
