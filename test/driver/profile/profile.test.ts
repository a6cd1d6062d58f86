// Real steps under the profiler, from end to end.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
// Compiled, because the process that is profiled is.
import { type ProfileOptions, profileStep } from '../../../dist/src/driver/profile/profile.js'
import { measureSgemmPeak } from '../../../dist/src/driver/profile/sgemm.js'
import { graph } from '../../../src/core/graph/graph.js'
import { narrow, zeros } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { exportGraph, exportModel } from '../../../src/core/model/write.js'
import { conv, div } from '../../../src/core/ops/index.js'
import type { Profile } from '../../../src/driver/profile/aggregate.js'
import { nominalFlops } from '../../../src/driver/profile/flops.js'
import { formatProfile } from '../../../src/driver/profile/table.js'
import { paper } from '../../support/models.js'
import { disturbed, tinyBatch, tinyNetwork } from '../../support/networks.js'
import { sgdStep } from '../../support/steps.js'

describe('profileStep', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rdm-test-'))
    vi.stubEnv('TMPDIR', folder)
  })
  afterEach(() => {
    expect(readdirSync(folder).filter((name) => name.includes('profile'))).toEqual([])
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  const settings = { threads: 1 }
  const profiled = async (
    options: Partial<ProfileOptions> & Pick<ProfileOptions, 'model' | 'feeds'>,
  ): Promise<Profile> => (await profileStep({ settings, steps: 3, warmUp: 1, peak: 100, ...options }))!

  const x = input('x', 'float32', ['batch', 3, 8, 8])
  const w = input('w', 'float32', [4, 3, 3, 3])
  const oneConv = exportGraph(graph('one', [x, w], { y: conv(x, w, { pads: [1, 1, 1, 1] }) }))
  const feeds = { x: zeros('float32', [5, 3, 8, 8]), w: zeros('float32', [4, 3, 3, 3]) }

  it('counts the operations of a convolution', async () => {
    const profile = await profiled({ model: oneConv, feeds })
    expect(profile.steps).toBe(3)
    expect(profile.total).toMatchObject({ calls: 1, flops: 69_120 })
    expect(profile.total.ms).toBeLessThanOrEqual(profile.stepMs)
  })

  it('profiles a training step', async () => {
    const network = tinyNetwork('RDM basic')
    const step = sgdStep(network, paper, { recompute: true }).graph
    const model = exportModel(network, { recipe: paper, seed: 7, part: 'train', inline: true })
    const state = disturbed(step, 7)
    const given = [...state, ...tinyBatch(step, 7)].map(([name, value]) => [name, narrow(value)] as const)
    const profile = await profiled({ model, feeds: Object.fromEntries(given) })

    const { total, roles, operators, layers, blocks, stages } = profile
    expect(new Set(roles.map(({ label }) => label))).toEqual(
      new Set(['forward', 'recomputation', 'backward', 'update', 'runtime']),
    )
    expect(layers.map(({ label }) => label)).toEqual(
      expect.arrayContaining(['stem', 'stage1.block1.f2.conv1', 'update']),
    )
    for (const rows of [roles, operators, layers, blocks, stages]) {
      const sum = (field: 'ms' | 'share' | 'calls' | 'flops') => rows.reduce((all, one) => all + one[field], 0)
      expect(sum('share')).toBeCloseTo(1, 9)
      expect(sum('ms')).toBeCloseTo(total.ms, 9)
      expect(sum('calls')).toBe(total.calls)
      expect(sum('flops')).toBeCloseTo(total.flops, 3)
    }
    // What the forward pass computes is what the network costs.
    const forward = roles.find(({ label }) => label === 'forward')!
    expect(forward.flops).toBe(nominalFlops(network, 5) / 3)
    expect(formatProfile(profile)).toMatch(/^a step takes /)
  })

  it('says what is wrong with model and feeds', async () => {
    await expect(profiled({ model: new Uint8Array([1, 2, 3]), feeds })).rejects.toThrow('this is not an ONNX model')
    await expect(profiled({ model: oneConv, feeds: { x: feeds.x } })).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringContaining('ONNX Runtime cannot run the model'),
    })
  })

  it('stops when it is told to', async () => {
    expect(await profileStep({ model: oneConv, feeds, settings, signal: AbortSignal.abort() })).toBeUndefined()
    const stopping = new AbortController()
    const profile = profileStep({ model: oneConv, feeds, settings, steps: 1e9, signal: stopping.signal })
    setTimeout(() => stopping.abort(), 300)
    expect(await profile).toBeUndefined()
  })

  it('outlives a model that the runtime does not survive, and says it', async () => {
    // The processor itself refuses the least whole number by −1, which the runtime does not look for.
    const [a, b] = [input('a', 'int64', [1]), input('b', 'int64', [1])]
    const model = exportGraph(graph('division', [a, b], { y: div(a, b) }))
    const whole = (value: bigint) => ({ dtype: 'int64' as const, shape: [1], data: BigInt64Array.of(value) })
    const profile = profiled({ model, feeds: { a: whole(-(2n ** 63n)), b: whole(-1n) } })
    await expect(profile).rejects.toMatchObject({ name: 'UserError' })
    await expect(profile).rejects.toThrow(
      /^the process that is profiled ended by SIG\w+: ONNX Runtime does not survive/,
    )
  })

  it('says when there is no place for the profile', async () => {
    vi.stubEnv('TMPDIR', join(folder, 'not-there'))
    await expect(profiled({ model: oneConv, feeds })).rejects.toThrow('cannot make a temporary folder for the profile')
  })
})

describe('measureSgemmPeak', () => {
  it('is some GFLOP/s', async () => {
    const peak = await measureSgemmPeak({ threads: 2 })
    expect(peak).toBeGreaterThan(0.1)
    expect(peak).toBeLessThan(1e6)
  })
})
