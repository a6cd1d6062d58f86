// The configuration of a run: recipe, overrides, and what may change when a run goes on.
import { expect, it } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import type { Recipe } from '../../../src/core/model/recipe.js'
import { type FitOverrides, newConfig, resumedConfig } from '../../../src/driver/fit/config.js'

const recipe: Recipe = {
  epochs: 165,
  batchSize: 128,
  learningRate: [[0, 0.1]],
  momentum: 0.9,
  weightDecay: 1e-4,
  nesterov: false,
  augment: true,
}

it('takes the recipe, and overrides where they are given', () => {
  expect(newConfig(recipe, { epochs: 5, seed: undefined, threads: 2 })).toEqual({
    epochs: 5,
    batchSize: 128,
    learningRate: [[0, 0.1]],
    schedules: {},
    augment: true,
    testAugment: 'none',
    dropLast: false,
    accumulate: 1,
    inputs: {},
    seed: 1,
    steps: null,
    threads: 2,
    runtime: 'node',
    provider: 'cpu',
    device: 0,
    target: 'auto',
    precision: 'fp32',
    stepsPerRun: null,
    checkpointSeconds: 60,
  })
})

it('refuses settings that only another runtime, target or provider knows', () => {
  const refusal = (overrides: FitOverrides) => {
    expect(() => newConfig(recipe, overrides)).toThrow(UserError)
    try {
      newConfig(recipe, overrides)
    } catch (error) {
      return (error as Error).message
    }
  }
  const advice = 'add --ep cuda or --target ort-cuda, or leave it out'
  expect(refusal({ precision: 'fp16' })).toBe(`--precision fp16 is for target ort-cuda: ${advice}`)
  expect(refusal({ precision: 'fp16', provider: 'cuda', target: 'portable' })).toMatch(/^--precision fp16 is for/)
  expect(refusal({ stepsPerRun: 4, target: 'ort-cpu' })).toBe(
    '--steps-per-run 4 is for target ort-cuda or ort-webgpu: add --ep cuda or --ep webgpu or --target ort-cuda or ' +
      '--target ort-webgpu, or leave it out',
  )
  expect(refusal({ provider: 'webgpu', device: 1 })).toBe(
    '--device 1 is for --ep cuda: --ep webgpu takes the GPU that the system gives; leave it out',
  )
  expect(refusal({ runtime: 'web-training', provider: 'webgpu' })).toBe(
    '--ep webgpu is for --runtime node, not web-training: leave out one of them',
  )
  expect(refusal({ runtime: 'web-training', provider: 'cuda' })).toBe(
    '--ep cuda is for --runtime node, not web-training: leave out one of them',
  )
  for (const target of ['ort-cpu', 'ort-cuda'] as const)
    expect(refusal({ runtime: 'web-training', target })).toBe(
      `--target ${target} is for --runtime node, not web-training: leave out --target, or give --runtime node`,
    )
  expect(refusal({ target: 'ort-training' })).toBe(
    '--target ort-training is for --runtime web-training, not node: leave out --target, or give --runtime web-training',
  )
  for (const target of ['auto', 'portable', 'ort-training'] as const)
    expect(newConfig(recipe, { runtime: 'web-training', target })).toMatchObject({ runtime: 'web-training', target })
  expect(refusal({ device: 1 })).toBe('--device 1 is a GPU: add --ep cuda, or leave it out')
  for (const fits of [{ provider: 'cuda' }, { target: 'ort-cuda' }] as const)
    expect(newConfig(recipe, { ...fits, precision: 'fp16', stepsPerRun: 3 })).toMatchObject({ precision: 'fp16' })
})

it('refuses values that do not fit and unknown keys', () => {
  expect(() => newConfig(recipe, { epochs: 0 })).toThrow(/^the training configuration does not fit: epochs: Too small/)
  expect(() => newConfig(recipe, { learningRate: [[1, 0.1]] })).toThrow('learningRate: a schedule starts at 0')
  const unknown: FitOverrides = Object.fromEntries([['epoch', 3]])
  expect(() => newConfig(recipe, unknown)).toThrow('the training configuration does not fit: Unrecognized key: "epoch"')
})

it('lets a run go on further, with other threads and another runtime, but not become another', () => {
  const config = newConfig(recipe, { threads: 2 })
  const further = { epochs: 200, steps: 9, threads: 1, runtime: 'web-training', checkpointSeconds: 5 } as const
  expect(resumedConfig(config, { ...further, batchSize: 128 }, 'runs/x')).toEqual({ ...config, ...further })
  expect(() => resumedConfig(config, { batchSize: 64 }, 'runs/x')).toThrow(
    'the run in runs/x has batchSize 128, not 64: leave out --batch to go on with it, or start a new run in another folder',
  )
  expect(() => resumedConfig(config, { learningRate: [[0, 1]] }, 'runs/x')).toThrow(
    'the run in runs/x has learningRate [[0,0.1]], not [[0,1]]: leave out --lr',
  )
  expect(() => resumedConfig(config, { augment: false }, 'runs/x')).toThrow('leave out --no-augment')
  expect(() => resumedConfig(config, { seed: 2 }, 'runs/x')).toThrow('leave out --seed')
})
