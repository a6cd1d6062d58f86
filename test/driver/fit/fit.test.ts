// The driver, with a tiny model: what it learns, what it writes, how it stops and goes on, and all that it refuses.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FitEvent, type FitOptions, fit, imageSet, UserError } from 'rdm-onnx'
import { describe, expect, it, onTestFinished } from 'vitest'
import { decodeCheckpoint } from '../../../src/driver/run/checkpoint.js'
import { metricsText } from '../../../src/driver/run/metrics.js'
import { tinyData } from '../../support/tinyData.js'
import { tinyModel } from '../../support/tinyModel.js'

const model = tinyModel()
const data = tinyData()
/** 72 images in batches of 16. */
const stepsPerEpoch = 5

function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'rdm-fit-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  return join(parent, 'run')
}

const run = (out: string, options: Partial<FitOptions> = {}) =>
  fit({ model, data, out, ...options, config: { threads: 1, target: 'portable', ...options.config } })

/** Runs until so many steps are done in all, and then stops it from outside. */
async function runUntil(out: string, step: number, options: Partial<FitOptions> = {}) {
  const stopping = new AbortController()
  const onEvent = (event: FitEvent) => {
    if (event.event === 'step' && event.step === step) stopping.abort()
  }
  return run(out, { ...options, signal: stopping.signal, onEvent })
}

const resume = (out: string, options: Partial<FitOptions> = {}) => run(out, { ...options, resume: true })

/** Every byte that a run leaves and that must not depend on time. */
function bytesOf(folder: string): Record<string, string> {
  const files = ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx']
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'latin1')]))
}

const metricsOf = (folder: string) =>
  readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('a run', () => {
  it('learns, tells what it does and leaves its files', async () => {
    const out = newFolder()
    const events: FitEvent[] = []
    // Softmax regression looks at where the pixels are, so the images stay where they are.
    const config = { epochs: 4, augment: false }
    const result = await run(out, { config, onEvent: (event) => events.push(event) })
    expect(result).toMatchObject({ reason: 'finished', step: 4 * stepsPerEpoch })
    expect(result.history.at(-1)!.testError).toBeLessThan(0.2)
    expect(result.history.map(({ learningRate }) => learningRate)).toEqual([0.01, 0.1, 0.1, 0.1])

    const kinds = events.map(({ event }) => event).join(' ')
    const epoch = `${'step '.repeat(stepsPerEpoch)}epoch `
    expect(kinds).toBe(`start ${epoch.repeat(4)}end`)
    expect(events[0]).toEqual({
      event: 'start',
      step: 0,
      epoch: 0,
      epochs: 4,
      stepsPerEpoch,
      lastStep: 20,
      batchSize: 16,
    })
    expect(events[5]).toMatchObject({ event: 'step', step: 5, epoch: 0, images: 8 })
    expect(events.at(-2)).toMatchObject({ event: 'epoch', epoch: 3, step: 20, ...result.history.at(-1) })
    const { loss, error, testLoss, testError } = result.history.at(-1)!
    expect(events.at(-1)).toMatchObject({ event: 'end', step: 20, epoch: 3, loss, error, testLoss, testError })
    for (const event of events) if ('ms' in event) expect(event.ms).toBeGreaterThanOrEqual(0)

    expect(readdirSync(out).sort()).toEqual([
      'checkpoint.previous.safetensors',
      'checkpoint.safetensors',
      'config.json',
      'curves.svg',
      'initial.onnx',
      'metrics.jsonl',
      'model.onnx',
      'timing.jsonl',
    ])
    expect(metricsOf(out)).toEqual(result.history)
    expect(readFileSync(join(out, 'timing.jsonl'), 'utf8').trim().split('\n')).toHaveLength(4)
    expect(new Uint8Array(readFileSync(join(out, 'model.onnx')))).toEqual(new Uint8Array(model.withState(result.state)))
    expect(new Uint8Array(readFileSync(join(out, 'initial.onnx')))).toEqual(
      new Uint8Array(model.withState(model.state)),
    )
  })

  it('is the same every time, and another with another seed', async () => {
    const [first, second, other] = [newFolder(), newFolder(), newFolder()]
    await run(first)
    await run(second)
    await run(other, { config: { seed: 2 } })
    expect(bytesOf(second)).toEqual(bytesOf(first))
    expect(bytesOf(other)['model.onnx']).not.toBe(bytesOf(first)['model.onnx'])
  })

  it('draws the gates of stochastic depth by seed, epoch and step', async () => {
    const out = newFolder()
    const gated = tinyModel({ gates: [1, 0.5, 0.5] })
    const { state } = await run(out, { model: gated, config: { epochs: 1 } })
    const { state: again } = await run(newFolder(), { model: gated, config: { epochs: 1 } })
    const { state: open } = await run(newFolder(), { model: tinyModel({ gates: [1, 1, 1] }), config: { epochs: 1 } })
    const { state: plain } = await run(newFolder(), { config: { epochs: 1 } })
    expect(again).toEqual(state)
    expect(open).toEqual(plain)
    expect(state).not.toEqual(plain)
  })

  it('ends after so many steps, with a model', async () => {
    const out = newFolder()
    const result = await run(out, { config: { steps: 7 } })
    expect(result).toMatchObject({ reason: 'steps', step: 7 })
    expect(metricsOf(out)).toHaveLength(1)
    expect(new Uint8Array(readFileSync(join(out, 'model.onnx')))).toEqual(new Uint8Array(model.withState(result.state)))
    // Again to the same step: nothing to do.
    expect(await resume(out)).toMatchObject({ reason: 'steps', step: 7, state: result.state })
  })

  it('evaluates an epoch that its last step completes', async () => {
    const out = newFolder()
    expect(await run(out, { config: { steps: 5 } })).toMatchObject({
      reason: 'steps',
      step: 5,
      history: [{ epoch: 0 }],
    })
  })
})

describe('who keeps a copy of the folder', () => {
  it('is told of each checkpoint when all that follows from it is written, and is waited for', async () => {
    const out = newFolder()
    const seen: { step: number; epochStep: number }[] = []
    let copying = false
    const onSaved = async () => {
      expect(copying).toBe(false)
      copying = true
      const { progress, state } = decodeCheckpoint(readFileSync(join(out, 'checkpoint.safetensors')), out)
      expect(metricsText(progress.history)).toBe(readFileSync(join(out, 'metrics.jsonl'), 'utf8'))
      if (progress.epochStep === 0)
        expect(readFileSync(join(out, 'model.onnx')).equals(model.withState(state))).toBe(true)
      seen.push(progress)
      await new Promise((resolve) => setImmediate(resolve))
      copying = false
    }
    await run(out, { config: { epochs: 2, checkpointSeconds: 0 }, onSaved })
    const places = [1, 2, 3, 4, 5, 0].map((epochStep, i) => ({ epochStep, step: Math.min(i + 1, 5) }))
    expect(seen.map(({ step, epochStep }) => ({ step, epochStep }))).toEqual(
      [0, 5].flatMap((before) => places.map(({ epochStep, step }) => ({ epochStep, step: before + step }))),
    )
  })

  it('is told where a run is stopped, where it ends within an epoch, and where an earlier process may not have told', async () => {
    const out = newFolder()
    let told = 0
    const onSaved = async () => {
      told++
    }
    await runUntil(out, 2, { config: { epochs: 2 }, onSaved })
    expect(told).toBe(1)
    await resume(out, { config: { steps: 4 }, onSaved })
    expect(told).toBe(2)
    await resume(out, { config: { steps: stepsPerEpoch }, onSaved })
    expect(told).toBe(3)
    await resume(out, { onSaved })
    expect(told).toBe(4)
  })

  it('ends the run when it fails; what is saved stays', async () => {
    const out = newFolder()
    const failing = run(out, {
      config: { epochs: 2 },
      onSaved: async () => {
        throw new UserError('the store is full')
      },
    })
    await expect(failing).rejects.toThrow('the store is full')
    expect(metricsOf(out)).toHaveLength(1)
    const whole = newFolder()
    await run(whole, { config: { epochs: 2 } })
    await resume(out)
    expect(bytesOf(out)['model.onnx']).toBe(bytesOf(whole)['model.onnx'])
  })
})

describe('a run that goes on', () => {
  it.each([1, 5, 7])('after a stop at step %i ends in the same bytes', async (step) => {
    const [whole, stopped] = [newFolder(), newFolder()]
    await run(whole)
    expect(await runUntil(stopped, step)).toMatchObject({ reason: 'interrupted', step })
    expect(await resume(stopped)).toMatchObject({ reason: 'finished', step: 15 })
    expect(bytesOf(stopped)).toEqual(bytesOf(whole))
  })

  it('after the end of its steps, and to more epochs than it began with', async () => {
    const [whole, parts] = [newFolder(), newFolder()]
    await run(whole)
    await run(parts, { config: { steps: 3, epochs: 1 } })
    await resume(parts, { config: { steps: 5 } })
    await resume(parts, { config: { steps: null, epochs: 2 } })
    await resume(parts, { config: { epochs: 3 } })
    expect(bytesOf(parts)).toEqual(bytesOf(whole))
  })

  it('from the second newest checkpoint when the newest is damaged', async () => {
    const [whole, damaged] = [newFolder(), newFolder()]
    await run(whole)
    await runUntil(damaged, 12, { config: { checkpointSeconds: 0 } })
    truncateSync(join(damaged, 'checkpoint.safetensors'), 5000)
    const events: FitEvent[] = []
    await resume(damaged, { config: { checkpointSeconds: 60 }, onEvent: (event) => events.push(event) })
    expect(events[0]).toMatchObject({
      event: 'notice',
      message: expect.stringMatching(/checkpoint\.safetensors is damaged .*; going on from the checkpoint before it$/),
    })
    expect(events[1]).toMatchObject({ event: 'start', step: 11 })
    expect(bytesOf(damaged)).toEqual(bytesOf(whole))
  })

  it('with torn files of a crash at any moment', async () => {
    const [whole, torn] = [newFolder(), newFolder()]
    await run(whole)
    await runUntil(torn, 12)
    writeFileSync(join(torn, 'metrics.jsonl'), `${readFileSync(join(torn, 'metrics.jsonl'), 'utf8')}{"epoch":2,"st`)
    writeFileSync(join(torn, '.checkpoint.safetensors.tmp'), 'half')
    writeFileSync(join(torn, 'lock'), '')
    rmSync(join(torn, 'model.onnx'))
    rmSync(join(torn, 'curves.svg'))
    // Between the two renames of a checkpoint there is no newest one.
    copyFileSync(join(torn, 'checkpoint.safetensors'), join(torn, 'checkpoint.previous.safetensors'))
    rmSync(join(torn, 'checkpoint.safetensors'))
    await resume(torn)
    expect(bytesOf(torn)).toEqual(bytesOf(whole))
    expect(existsSync(join(torn, '.checkpoint.safetensors.tmp'))).toBe(false)
  })

  it('from the beginning when there is no checkpoint yet', async () => {
    const [whole, early] = [newFolder(), newFolder()]
    await run(whole)
    await runUntil(early, 1)
    rmSync(join(early, 'checkpoint.safetensors'))
    await resume(early)
    expect(bytesOf(early)).toEqual(bytesOf(whole))
    // Such a run may also be started over: there was nothing to lose.
    const again = newFolder()
    await runUntil(again, 1)
    rmSync(join(again, 'checkpoint.safetensors'))
    await run(again)
    expect(bytesOf(again)).toEqual(bytesOf(whole))
  })

  it('from a checkpoint alone, which was brought from elsewhere', async () => {
    const [whole, stopped, brought] = [newFolder(), newFolder(), newFolder()]
    await run(whole)
    await runUntil(stopped, 7)
    mkdirSync(brought)
    copyFileSync(join(stopped, 'checkpoint.safetensors'), join(brought, 'checkpoint.safetensors'))
    const other = await resume(brought, { model: tinyModel({ lossScale: 2 }) }).catch((error: unknown) => error)
    expect(other).toBeInstanceOf(UserError)
    expect((other as UserError).message).toBe(
      `the checkpoint in ${brought} belongs to another model: give the one that it was trained with`,
    )
    expect(readdirSync(brought)).toEqual(['checkpoint.safetensors'])
    await resume(brought)
    expect(bytesOf(brought)).toEqual(bytesOf(whole))
  })

  it('writes the files of a finished run that a crash kept from being written', async () => {
    const out = newFolder()
    await run(out)
    const before = bytesOf(out)
    for (const name of ['model.onnx', 'curves.svg', 'metrics.jsonl']) rmSync(join(out, name))
    expect(await resume(out)).toMatchObject({ reason: 'finished', step: 15 })
    expect(bytesOf(out)).toEqual(before)
  })
})

describe('a run that is refused', () => {
  const refusal = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(UserError)
    return (error as UserError).message
  }

  it('in a folder with a run', async () => {
    const out = newFolder()
    await run(out, { config: { epochs: 1 } })
    const before = bytesOf(out)
    expect(await refusal(run(out))).toBe(
      `${out} holds a run already: add --resume to go on with it, or choose another folder for a new one`,
    )
    expect(bytesOf(out)).toEqual(before)
  })

  it('in a folder with files of somebody else', async () => {
    const out = newFolder()
    mkdirSync(out)
    writeFileSync(join(out, 'model.onnx'), 'precious')
    expect(await refusal(run(out))).toBe(
      `${out} holds a model.onnx that belongs to no run: choose another folder, or move it away`,
    )
    expect(readFileSync(join(out, 'model.onnx'), 'utf8')).toBe('precious')
  })

  it('in a folder with first weights of somebody else; not with its own, left by a process that was killed', async () => {
    const out = newFolder()
    mkdirSync(out)
    writeFileSync(join(out, 'initial.onnx'), 'precious')
    expect(await refusal(run(out))).toMatch(/ holds a initial\.onnx that belongs to no run: choose another folder/)
    writeFileSync(join(out, 'initial.onnx'), model.withState(model.state))
    expect(await run(out, { config: { epochs: 1 } })).toMatchObject({ reason: 'finished' })
  })

  it('in a folder that cannot be', async () => {
    const out = newFolder()
    writeFileSync(out, '')
    expect(await refusal(run(join(out, 'inside')))).toMatch(/^cannot create the run folder .*inside: ENOTDIR/)
  })

  it('while another is going on in the folder', async () => {
    const out = newFolder()
    let message: string | undefined
    const onSaved = async () => {
      message ??= await refusal(run(out))
    }
    await run(out, { config: { steps: 2 }, onSaved })
    expect(message).toMatch(/ is in use by process \d+: wait for it, or choose another folder$/)
  })

  it('when there is nothing to resume', async () => {
    const out = newFolder()
    const message = `${out} holds no run to resume (no config.json): leave out --resume to start one`
    expect(await refusal(resume(out))).toBe(message)
    expect(existsSync(out)).toBe(false)
  })

  it('with another model, other data or another configuration than it began with', async () => {
    const out = newFolder()
    await run(out, { config: { steps: 1 } })
    expect(await refusal(resume(out, { model: tinyModel({ lossScale: 2 }) }))).toMatch(
      /belongs to another model: it began with .*initial\.onnx; leave out the model to go on with that/,
    )
    const labels = data.test.labels.map((label) => 9 - label)
    expect(await refusal(resume(out, { data: { ...data, test: imageSet({ ...data.test, labels }) } }))).toMatch(
      /^the run in .* began with other data: give the same data to go on with it/,
    )
    expect(await refusal(resume(out, { config: { batchSize: 8 } }))).toMatch(
      /has batchSize 16, not 8: leave out --batch/,
    )
  })

  it('with a damaged config.json or nothing but damaged checkpoints', async () => {
    const out = newFolder()
    await run(out, { config: { steps: 6 } })
    const config = readFileSync(join(out, 'config.json'), 'utf8')
    writeFileSync(join(out, 'config.json'), config.slice(0, 50))
    expect(await refusal(resume(out))).toMatch(/config\.json is damaged: /)
    writeFileSync(join(out, 'config.json'), config.replace('"seed"', '"sead"'))
    expect(await refusal(resume(out))).toMatch(/config\.json is damaged: .*Unrecognized key: "sead"/)
    writeFileSync(join(out, 'config.json'), config)
    for (const name of ['checkpoint.safetensors', 'checkpoint.previous.safetensors']) {
      writeFileSync(join(out, name), 'nonsense')
    }
    expect(await refusal(resume(out))).toMatch(/checkpoint\.safetensors is damaged or no safetensors file: a header of/)
  })

  it('with the checkpoint of another run', async () => {
    const [out, other] = [newFolder(), newFolder()]
    await run(out, { config: { steps: 1 } })
    const steal = () => copyFileSync(join(other, 'checkpoint.safetensors'), join(out, 'checkpoint.safetensors'))
    await run(other, { model: tinyModel({ lossScale: 2 }), config: { steps: 1 } })
    steal()
    expect(await refusal(resume(out))).toMatch(/^the checkpoint in .* belongs to another run than its config\.json$/)
    // The same claims, but not the same tensors.
    rmSync(other, { recursive: true })
    const { w, ...rest } = model.state
    const small = { ...w!, shape: [1920] }
    await run(other, { model: { ...tinyModel(), fingerprint: 'x' }, config: { steps: 1 } })
    await run(newFolder(), { config: { steps: 1 } })
    rmSync(out, { recursive: true })
    await run(out, { config: { steps: 1 } })
    expect(await refusal(resume(out, { model: { ...model, state: { ...rest, w: small } } }))).toMatch(
      /^the checkpoint in .* does not fit the model: it has float32 \[192, 10\] for "w", not float32 \[1920\]$/,
    )
  })

  it('when model and data do not fit', async () => {
    const out = newFolder()
    expect(await refusal(run(out, { model: tinyModel({ imageShape: [3, 9, 9] }) }))).toBe(
      "the column 'images' uint8[3, 8, 8] does not fit the input 'images' (uint8[batch, 3, 9, 9]); expected uint8[3, 9, 9] an example",
    )
    expect(await refusal(run(out, { model: tinyModel({ classes: 4 }) }))).toBe(
      "the model has 4 classes, the column 'labels' of the data has 10",
    )
    const empty = { ...data.test, count: 0 }
    expect(await refusal(run(out, { data: { ...data, test: empty } }))).toBe('there are no test examples')
    expect(existsSync(out)).toBe(false)
  })

  it('when the step does not give what its signature says', async () => {
    const signature = { ...model.signature, loss: 'nothing' }
    expect(await refusal(run(newFolder(), { model: { ...model, signature } }))).toBe(
      'the training step gives no value "nothing" for each step',
    )
  })
})

describe('training that diverges', () => {
  const wild = tinyModel({ lossScale: 1e30 })

  it('stops when the loss is not finite, and keeps the checkpoint from before', async () => {
    const out = newFolder()
    const good = await run(out, { model: wild, config: { steps: 1 } }).catch((error: unknown) => error)
    expect(good).toMatchObject({ reason: 'steps', step: 1 })
    const before = bytesOfCheckpoint(out)
    const failure = resume(out, { model: wild, config: { steps: null } })
    await expect(failure).rejects.toThrow(
      /^the loss is (NaN|Infinity) at step \d+ \(epoch 0, learning rate 0\.01\): training diverged; try a lower learning rate \(--lr\)\. Checkpoints in .* are from before it$/,
    )
    expect(bytesOfCheckpoint(out)).toEqual(before)
  })

  it('stops when the weights are not finite behind a good loss', async () => {
    const out = newFolder()
    const failure = run(out, { model: wild, config: { steps: 1, learningRate: [[0, 1e30]] } })
    await expect(failure).rejects.toThrow(/^"b(\.momentum)?" has a value that is -?(NaN|Infinity) at step 1 |^"w/)
    expect(existsSync(join(out, 'checkpoint.safetensors'))).toBe(false)
  })

  const bytesOfCheckpoint = (out: string) => readFileSync(join(out, 'checkpoint.safetensors'), 'latin1')
})
