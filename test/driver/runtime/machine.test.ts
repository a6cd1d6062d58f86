// What the machine is called.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { gpuModels, processorName, runtimeVersion } from '../../../src/driver/runtime/machine.js'

it('names processor and runtime', () => {
  expect(processorName()).toBe(cpus()[0]!.model.trim())
  const { dependencies } = createRequire(import.meta.url)('../../../package.json')
  expect(runtimeVersion()).toBe(dependencies['onnxruntime-node'])
})

it('names each model of GPU once, and none where no driver tells', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-gpus-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const gpus = ['NVIDIA H200', 'NVIDIA A100-SXM4-40GB', 'NVIDIA H200']
  for (const [i, model] of gpus.entries()) {
    mkdirSync(join(folder, `0000:0${i}:00.0`))
    writeFileSync(join(folder, `0000:0${i}:00.0`, 'information'), `Model: \t\t ${model}\nIRQ:   \t\t 16\n`)
  }
  mkdirSync(join(folder, 'without'))
  expect(await gpuModels(folder)).toEqual(['NVIDIA A100-SXM4-40GB', 'NVIDIA H200'])
  expect(await gpuModels(join(folder, 'nothing'))).toEqual([])
})
