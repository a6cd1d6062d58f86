// How a step is planned: the probe, the timings and what keeps them, the comparison, and the way back to portable.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cifarArchitecture as base,
  exportModel,
  type FitEvent,
  fit,
  ortCpu,
  ortTraining,
  type PlanOptions,
  planStep,
  portable,
  readTrainableModel,
  recipes,
  residualNetwork,
  synthesize,
  UserError,
} from 'rdm-onnx'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compareSteps } from '../../../dist/src/driver/planning/compare.js'
import { probeBlock } from '../../../dist/src/driver/targets/ort-cpu/probe.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-plan-'))
afterAll(() => rmSync(folder, { recursive: true }))

const networkFor = (imageSize: number) =>
  residualNetwork({
    ...base,
    name: 'tiny',
    block: 'basic',
    blocks: [1],
    functions: ['11', '01'],
    widths: [16],
    imageSize,
  })
const network = networkFor(8)
const model = readTrainableModel(exportModel(network, { recipe: recipes.paper, seed: 3 }))
const batch = 16

let block: number
beforeAll(async () => {
  const found = await probeBlock({ threads: 2 })
  if (found === undefined) throw new Error('the blocked operators are missing: these tests need them')
  block = found
})

let files = 0
/** Timings that tests share unless they are about them. */
const sharedCache = join(folder, 'tuning.json')
const newCache = () => join(folder, `tuning-${files++}.json`)

/** Plans, and writes down what was told. */
async function plan(options: Partial<PlanOptions> = {}) {
  const notices: string[] = []
  const timed: number[] = []
  const planned = await planStep({
    model,
    batch,
    threads: 2,
    wanted: 'auto',
    cacheFile: sharedCache,
    onNotice: (message) => notices.push(message),
    onProgress: (done) => timed.push(done),
    ...options,
  })
  if (!planned) throw new Error('nothing stopped it')
  return { ...planned, notices, timed }
}

describe('a plan', () => {
  it('is ort-cpu where its step is right, and says what each way took', async () => {
    const { plan: found, timings, notices, optimize } = await plan()
    expect(notices).toEqual([])
    expect(optimize).toBe(false)
    expect(found).toMatchObject({ target: 'ort-cpu', block })
    expect(timings.size).toBeGreaterThan(4)
    for (const [call, { choice, ms }] of timings) {
      expect(found.target === 'ort-cpu' && found.choices[call]).toBe(choice)
      expect(Object.keys(ms).length).toBeGreaterThan(1)
      // Of ways that are about as fast, the first; activations rather stay in blocks.
      const near = call.startsWith('ConvWeightGrad') ? 1.15 : 1.25
      expect(ms[choice]).toBeLessThanOrEqual(Math.min(...Object.values(ms)) * near)
    }
  })

  it('takes the timings of an earlier run, also for the same choices', async () => {
    const cacheFile = newCache()
    const first = await plan({ cacheFile })
    const written = readFileSync(cacheFile, 'utf8')
    const second = await plan({ cacheFile })
    expect(first.timed.length).toBeGreaterThan(0)
    expect(second.timed).toEqual([])
    expect(second.plan).toEqual(first.plan)
    expect(Buffer.compare(second.models(batch), first.models(batch))).toBe(0)
    expect(readFileSync(cacheFile, 'utf8')).toBe(written)
    // Other threads, other timings.
    expect((await plan({ cacheFile, threads: 1 })).timed.length).toBeGreaterThan(0)
  })

  it('obeys what the cache says, and its step holds that way', async () => {
    const cacheFile = newCache()
    await plan({ cacheFile })
    const json = JSON.parse(readFileSync(cacheFile, 'utf8')) as {
      machines: Record<string, { timings: Record<string, { choice: string; ms: Record<string, number> }> }>
    }
    const [machine] = Object.values(json.machines)
    // The first way everywhere, as all calls were written before any was timed. The fastest ways may be others, and lead to
    // a step without some of these calls.
    for (const timing of Object.values(machine!.timings)) timing.choice = Object.keys(timing.ms)[0]!
    const key = Object.keys(machine!.timings).find((name) => name.includes('ConvWeightGrad blocked'))!
    machine!.timings[key]!.choice = 'portable'
    writeFileSync(cacheFile, JSON.stringify(json))
    const { plan: found, models, timed } = await plan({ cacheFile })
    expect(timed).toEqual([])
    const call = key.replace(/^\d+ /, '')
    expect(found.target === 'ort-cpu' && found.choices[call]).toBe('portable')
    const lowered = ortCpu({ block, choose: (name) => (found.target === 'ort-cpu' ? found.choices[name] : undefined) })
    expect(Buffer.compare(models(batch), model.step(lowered, batch))).toBe(0)
  })

  it.each([
    ['no JSON', 'x'],
    ['of another format', '{"format":"rdm-onnx tuning 0","machines":{}}'],
    ['of other types', '{"format":"rdm-onnx tuning 4","machines":{"a":{"timings":{"b":1},"verified":[]}}}'],
  ])('times anew where the cache is %s', async (_, text) => {
    const cacheFile = newCache()
    writeFileSync(cacheFile, text)
    const { timed, plan: found } = await plan({ cacheFile })
    expect(found.target).toBe('ort-cpu')
    expect(timed.length).toBeGreaterThan(0)
    expect(() => JSON.parse(readFileSync(cacheFile, 'utf8'))).not.toThrow()
  })

  it('does without a cache that cannot be written', async () => {
    const cacheFile = join(folder, 'file', 'tuning.json')
    writeFileSync(join(folder, 'file'), '')
    const { plan: found, notices } = await plan({ cacheFile })
    expect(found.target).toBe('ort-cpu')
    expect(notices).toEqual([])
  })

  it('of an earlier process holds on a machine with the same blocks, and on no other', async () => {
    const earlier = { target: 'ort-cpu', block, choices: { some: 'way' } } as const
    const again = await plan({ earlier })
    expect(again.plan).toBe(earlier)
    expect(again.timed).toEqual([])
    const other = await plan({ earlier: { ...earlier, block: block * 2 } })
    expect(other.plan).toMatchObject({ target: 'ort-cpu', block })
    expect((await plan({ earlier: { target: 'portable' } })).plan).toEqual({ target: 'portable' })
  })

  it('has a step for any batch size, whole blocks of images or not', async () => {
    const { models } = await plan()
    for (const count of [block, 5]) {
      const reference = model.step(portable, count)
      expect(await compareSteps(model, reference, models(count), count, { threads: 2, optimize: false })).toBe(
        undefined,
      )
    }
  })
})

it('stops while it times, and keeps what it has timed', async () => {
  const cacheFile = newCache()
  const stopping = new AbortController()
  const timed: number[] = []
  const stopped = await planStep({
    model,
    batch,
    threads: 2,
    wanted: 'auto',
    cacheFile,
    signal: stopping.signal,
    onProgress(done) {
      timed.push(done)
      if (done === 2) stopping.abort()
    },
  })
  expect(stopped).toBe(undefined)
  expect(timed).toEqual([0, 1, 2])
  const machines = Object.values(JSON.parse(readFileSync(cacheFile, 'utf8')).machines) as { timings: object }[]
  expect(Object.keys(machines[0]!.timings).length).toBeGreaterThan(1)
})

it('a step is written once, however often it is taken', async () => {
  let graphs = 0
  const counting = {
    ...model,
    graph(count?: number) {
      graphs += 1
      return model.graph(count)
    },
  }
  const { models } = await plan({ model: counting })
  const before = graphs
  for (let i = 0; i < 3; i++) expect(models(batch)).toBe(models(batch))
  expect(graphs).toBe(before)
  expect(models(5)).toBe(models(5))
  expect(graphs).toBe(before + 1)
})

describe('without blocked operators, or with other ones than expected', () => {
  it('trains by the portable step, and says so once', async () => {
    const { plan: found, notices, models, optimize } = await plan({ probe: async () => undefined })
    expect(found).toEqual({ target: 'portable' })
    expect(optimize).toBe(true)
    expect(notices).toEqual([
      'training with the portable step, which is slower: this ONNX Runtime has no blocked convolutions',
    ])
    expect(Buffer.compare(models(batch), model.step(portable))).toBe(0)
  })

  it('a step that is laid out wrongly does not pass the comparison', async () => {
    // The probe errs: operands are cut into blocks that this machine does not have.
    const wrong = block === 8 ? 16 : 8
    const errs = { cacheFile: newCache(), probe: async () => wrong }
    await plan({ ...errs, compare: async () => undefined })
    // Where the runtime refuses such blocks, or at a slow moment, plain ways were chosen, which no block can spoil.
    const json = JSON.parse(readFileSync(errs.cacheFile, 'utf8')) as {
      machines: Record<string, { timings: Record<string, { choice: string }>; verified: string[] }>
    }
    const [machine] = Object.values(json.machines)
    // The first plan was compared by nobody.
    machine!.verified = []
    for (const [call, timing] of Object.entries(machine!.timings)) if (/\bConv \[/.test(call)) timing.choice = 'blocked'
    writeFileSync(errs.cacheFile, JSON.stringify(json))
    const { plan: found, notices } = await plan(errs)
    expect(found).toEqual({ target: 'portable' })
    expect(notices).toHaveLength(1)
    expect(notices[0]).toMatch(
      /^training with the portable step, which is slower: (its step is not the portable step|ONNX Runtime)/,
    )
  })

  it('refuses where ort-cpu is asked for', async () => {
    const failure = plan({ wanted: 'ort-cpu', probe: async () => undefined })
    await expect(failure).rejects.toThrow(UserError)
    await expect(failure).rejects.toThrow(
      'target ort-cpu does not train this model here: this ONNX Runtime has no blocked convolutions; use --target portable',
    )
    await expect(plan({ wanted: 'ort-cpu', provider: 'cuda' })).rejects.toThrow('it is for the cpu provider, not cuda')
  })
})

describe('many steps a run', () => {
  it('are compared once with the portable step, by their precision', async () => {
    const cacheFile = newCache()
    const compared: (string | undefined)[] = []
    const compare: typeof compareSteps = async (...args) => {
      const problem = await compareSteps(...args)
      compared.push(problem)
      return problem
    }
    for (const precision of ['fp32', 'fp32', 'fp16'] as const)
      await plan({ wanted: 'ort-cuda', cacheFile, compare, precision })
    expect(compared).toEqual([undefined, undefined])
  })

  it('are not taken where they differ', async () => {
    const compare = async () => '"conv.weight.next" differs by 50.0 %'
    const options = { cacheFile: newCache(), compare, wanted: 'ort-cuda' } as const
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(plan(options)).rejects.toThrow(
        'target ort-cuda does not train this model here: its step by the cpu provider is not the portable step ' +
          '("conv.weight.next" differs by 50.0 %); use --target portable',
      )
    const { plan: found } = await plan({ ...options, compare: async () => undefined })
    expect(found).toEqual({ target: 'ort-cuda' })
  })
})

describe('in the training build for the web', () => {
  const web = { runtime: 'web-training', threads: 1 } as const

  it('the step by its kernels is compared once with the portable step', async () => {
    const cacheFile = newCache()
    const compared: (string | undefined)[] = []
    const compare: typeof compareSteps = async (...args) => {
      expect(args.slice(4)).toEqual([web])
      const problem = await compareSteps(...args)
      compared.push(problem)
      return problem
    }
    for (const wanted of ['auto', 'ort-training'] as const) {
      const { plan: found, models, notices, optimize } = await plan({ ...web, wanted, cacheFile, compare })
      expect([found, notices, optimize]).toEqual([{ target: 'ort-training' }, [], true])
      // One model for every batch size.
      expect(models(5)).toBe(models(batch))
      expect(Buffer.compare(models(batch), model.step(ortTraining))).toBe(0)
    }
    expect(compared).toEqual([undefined])
    // Other threads of another runtime: nothing that is known of them.
    const [machine] = Object.keys(JSON.parse(readFileSync(cacheFile, 'utf8')).machines)
    expect(machine).toMatch(/^onnxruntime-web 1\.19\.2, .*, 1 threads$/)
  })

  it('where it differs the portable step trains, and it is said; or it is refused', async () => {
    const compare = async () => '"conv.weight.next" differs by 50.0 %'
    const options = { ...web, cacheFile: newCache(), compare }
    const problem = 'its step is not the portable step ("conv.weight.next" differs by 50.0 %)'
    const { plan: found, notices } = await plan(options)
    expect(found).toEqual({ target: 'portable' })
    expect(notices).toEqual([`training with the portable step, which is slower: ${problem}`])
    await expect(plan({ ...options, wanted: 'ort-training' })).rejects.toThrow(
      `target ort-training does not train this model here: ${problem}; use --target portable`,
    )
  })

  it('what a run began with holds', async () => {
    const options = { ...web, cacheFile: newCache(), compare: async () => undefined }
    expect((await plan({ ...options, earlier: { target: 'portable' } })).plan).toEqual({ target: 'portable' })
    expect((await plan({ ...options, earlier: { target: 'ort-training' } })).plan).toEqual({ target: 'ort-training' })
    expect((await plan({ ...options, wanted: 'portable' })).plan).toEqual({ target: 'portable' })
  })

  it('targets of another runtime are refused', async () => {
    for (const [wanted, needed] of [
      ['ort-cpu', 'node'],
      ['ort-cuda', 'node'],
    ] as const)
      await expect(plan({ ...web, wanted })).rejects.toThrow(
        `target ${wanted} does not train this model here: it is for the runtime ${needed}, not web-training; use --target portable`,
      )
    await expect(plan({ wanted: 'ort-training' })).rejects.toThrow('it is for the runtime web-training, not node')
  })
})

it('a comparison sees a step of another optimizer', async () => {
  const settings = { threads: 2, optimize: false }
  const reference = model.step(portable)
  const compare = (bytes: Uint8Array) =>
    compareSteps(model, reference, readTrainableModel(bytes).step(portable), 16, settings)
  const { paper } = recipes
  expect(await compare(exportModel(network, { recipe: paper, seed: 3 }))).toBe(undefined)
  expect(await compare(exportModel(network, { recipe: { ...paper, nesterov: true }, seed: 3 }))).toMatch(/differs by/)
})

describe('fit', () => {
  const model = readTrainableModel(exportModel(networkFor(32), { recipe: recipes.paper, seed: 3 }))
  const data = synthesize({ train: 40, test: 20, seed: 5 })
  const train = async (out: string, target: 'auto' | 'portable', steps: number | null = null) => {
    const events: FitEvent[] = []
    const config = { threads: 2, batchSize: 16, epochs: 2, target, steps }
    const result = await fit({
      model,
      data,
      out: join(folder, out),
      config,
      resume: existsSync(join(folder, out)),
      onEvent: (event) => events.push(event),
    })
    const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss] : []))
    return { ...result, losses, plan: JSON.parse(readFileSync(join(folder, out, 'config.json'), 'utf8')).plan }
  }

  it('takes the same steps by either target, the last and smaller batch of an epoch too', async () => {
    const fast = await train('fast', 'auto')
    const plain = await train('plain', 'portable')
    expect(fast.plan.target).toBe('ort-cpu')
    expect(plain.plan).toEqual({ target: 'portable' })
    expect(fast.losses).toHaveLength(6)
    fast.losses.forEach((loss, i) => {
      expect(Math.abs(loss - plain.losses[i]!) / plain.losses[i]!).toBeLessThan(1e-3)
    })
    expect(Math.abs(fast.history[1]!.testLoss - plain.history[1]!.testLoss)).toBeLessThan(0.02)
  })

  it('goes on by the plan that it began with, to the same bits', async () => {
    await train('parts', 'auto', 2)
    const { state } = await train('parts', 'auto')
    expect(state).toEqual((await train('whole', 'auto')).state)
  })
})
