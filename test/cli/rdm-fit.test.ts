// rdm-fit as a user runs it: to the end, killed and taken up again, stopped by Ctrl-C, and everything it refuses.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeModel } from '../../src/core/onnx/tensors.js'
import { exportTiny, type Finished, run, start, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-fit-'))
afterAll(() => rmSync(root, { recursive: true }))

let model: string
let data: string
/** The folder of an uninterrupted run of 3 epochs of 5 steps, and what it printed. */
const whole = join(root, 'whole', 'run')
let finished: Finished

const settings = [
  '--batch',
  '8',
  '--epochs',
  '3',
  '--lr',
  '0:0.01,1:0.05',
  '--threads',
  '1',
  '--checkpoint-seconds',
  '0',
]

beforeAll(() => {
  data = synthesizeTiny(root)
  model = exportTiny(root, '--functions', '11,01', '--stochastic-depth', '0.5')
  // By a pipe, so that what goes on later has nothing but the run folder to go on with.
  finished = run('rdm-fit', ['-', '--data', data, '--out', whole, ...settings], readFileSync(model))
})

const bytesOf = (folder: string) =>
  Object.fromEntries(
    ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx'].map(
      (name) => [name, readFileSync(join(folder, name), 'latin1')],
    ),
  )

/** Starts a run that gets the signal after so many steps in all, and once more at once if asked to. */
async function stopAt(step: number, argv: readonly string[], signal: NodeJS.Signals, twice = false): Promise<Finished> {
  const running = start('rdm-fit', [...argv, '--json'], (line) => {
    if (JSON.parse(line).step === step) running.child.kill(signal)
  })
  if (twice) {
    let seen = false
    running.child.stderr?.on('data', () => {
      if (!seen) running.child.kill(signal)
      seen = true
    })
  }
  return running.finished
}

describe('a run', () => {
  it('prints a line an epoch, and leaves its folder', () => {
    expect(finished.code).toBe(0)
    expect(finished.err).toMatch(/^(timing \d+ convolutions on this machine, once\n)*$/)
    const lines = finished.out.trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[1]).toMatch(
      /^epoch 2\/3, lr 0\.05: training loss \d\.\d{4}, error \d+\.\d\d %; test loss \d+\.\d{4}, error \d+\.\d\d %; \d+ s$/,
    )
    expect(lines[3]).toMatch(
      new RegExp(`^finished after 15 steps: test error \\d+\\.\\d\\d %; the trained model is ${whole}/model\\.onnx$`),
    )
    expect(readdirSync(whole).sort()).toEqual([
      'checkpoint.previous.safetensors',
      'checkpoint.safetensors',
      'config.json',
      'curves.svg',
      'initial.onnx',
      'metrics.jsonl',
      'model.onnx',
      'timing.jsonl',
    ])
    const config = JSON.parse(readFileSync(join(whole, 'config.json'), 'utf8'))
    expect(config.data.path).toBe(data)
    expect(config.config).toMatchObject({ epochs: 3, batchSize: 8, threads: 1, seed: 1 })
    expect(readFileSync(join(whole, 'initial.onnx')).equals(readFileSync(model))).toBe(true)
  })

  it('ends in the same bytes when it is killed twice on the way, and gives one object a line', async () => {
    const out = join(root, 'killed', 'run')
    const begin = [model, '--data', data, '--out', out, ...settings]
    const goOn = ['--resume', '--out', out]
    expect(await stopAt(3, begin, 'SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
    expect(existsSync(join(out, 'lock'))).toBe(true)
    expect(await stopAt(11, goOn, 'SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
    const last = run('rdm-fit', [...goOn, '--json'])
    expect(last).toMatchObject({ code: 0, err: '' })
    const events = last.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.at(-2)).toMatchObject({ event: 'epoch', epoch: 2, step: 15, learningRate: 0.05 })
    expect(events.at(-1)).toMatchObject({ event: 'end', epoch: 2, step: 15, reason: 'finished' })
    for (const event of events) {
      expect(event).toMatchObject({ loss: expect.any(Number), error: expect.any(Number), ms: expect.any(Number) })
    }
    expect(bytesOf(out)).toEqual(bytesOf(whole))
  })

  it('of a file in another version of ONNX’s operators has the same numbers, and ends in a file of that version', () => {
    const folder = mkdtempSync(join(root, 'opset-'))
    const older = exportTiny(folder, '--functions', '11,01', '--stochastic-depth', '0.5', '--opset', '13')
    const out = join(folder, 'run')
    const epochs = [...settings.slice(0, 3), '1', ...settings.slice(4)]
    expect(run('rdm-fit', [older, '--data', data, '--out', out, ...epochs])).toMatchObject({ code: 0, err: '' })
    const first = (from: string) => JSON.parse(readFileSync(join(from, 'metrics.jsonl'), 'utf8').split('\n')[0]!)
    expect(first(out)).toEqual(first(whole))
    const { opsetImport } = decodeModel(readFileSync(join(out, 'model.onnx')))
    expect(Number(opsetImport[0]!.version)).toBe(13)
  })

  it('writes a checkpoint on Ctrl-C, and goes on to the same bytes', async () => {
    const out = join(root, 'stopped', 'run')
    const rare = [...settings.slice(0, -1), '1000']
    const { code, out: text, err } = await stopAt(7, [model, '--data', data, '--out', out, ...rare], 'SIGINT')
    expect({ code, err }).toEqual({
      code: 130,
      err: 'stopping after the steps in progress; once more to stop at once\n',
    })
    const end = JSON.parse(text.trimEnd().split('\n').at(-1)!)
    expect(end).toMatchObject({ event: 'end', reason: 'interrupted' })
    expect(end.step).toBeGreaterThanOrEqual(7)
    expect(existsSync(join(out, 'lock'))).toBe(false)
    // The model again, and the settings again: they agree.
    const { out: rest } = run('rdm-fit', [model, '--resume', '--data', data, '--out', out, ...settings])
    expect(rest).toContain(`going on from step ${end.step} of 15\n`)
    expect(bytesOf(out)).toEqual(bytesOf(whole))
  })

  it('ends at once on the second Ctrl-C', async () => {
    const out = join(root, 'twice')
    const argv = [model, '--data', data, '--out', out, '--batch', '40', '--threads', '1']
    const { signal, code } = await stopAt(1, argv, 'SIGINT', true)
    // The signal ends it, unless the step in progress was done before the second one came.
    expect(signal === 'SIGINT' || code === 130).toBe(true)
  })
})

describe('bad input', () => {
  const refusal = (...argv: string[]) => {
    const { code, out, err } = run('rdm-fit', argv)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/^rdm-fit: [^\n]+\n$/)
    return err.slice('rdm-fit: '.length, -1)
  }
  const fresh = join(root, 'fresh')

  it.each<[string, () => string[], string | RegExp]>([
    ['no model', () => ['--out', fresh, '--data', data], 'which model? Give its file, or - to read standard input'],
    ['no data', () => [model, '--out', fresh], 'which data? Give their file or folder with --data'],
    ['no such file', () => ['nowhere.onnx', '--out', fresh, '--data', data], 'there is no file nowhere.onnx'],
    ['nothing on standard input', () => ['-', '--out', fresh, '--data', data], /^standard input is empty: the command/],
    ['a folder as the model', () => [root, '--out', fresh, '--data', data], /^cannot read .*: EISDIR/],
    ['what is not ONNX', () => [`${data}/MD5SUMS`, '--out', fresh, '--data', data], /MD5SUMS.* is not an ONNX model/],
    [
      'a bad schedule',
      () => [model, '--out', fresh, '--data', data, '--lr', 'fast'],
      /--lr <schedule>' argument 'fast' is invalid\. "0:fast" is no step of a learning rate schedule/,
    ],
    ['nothing to resume', () => ['--resume', '--out', fresh], `${fresh} holds no run to resume (no config.json)`],
    [
      'another batch size',
      () => ['--resume', '--out', whole, '--batch', '4'],
      /has batchSize 8, not 4: leave out --batch/,
    ],
    ['no run folder', () => [model, '--data', data], /^where to\? Give a folder for the run with --out/],
    ['--explain and --profile', () => [model, '--explain', '--profile'], /print different things: give one of them/],
    [
      '--explain into a folder',
      () => [model, '--explain', '--out', fresh],
      /--explain trains nothing: leave out --out/,
    ],
    ['--profile of a run', () => ['m', '--profile', '--resume', '--data', data], /trains nothing: leave out --resume/],
    ['--profile without data', () => [model, '--profile'], /^which data\? Give their file or folder with --data/],
    [
      '--profile by WebGPU',
      () => [model, '--data', data, '--profile', '--ep', 'webgpu'],
      /^--profile reads what ONNX Runtime's profiler writes, which ends the process with --ep webgpu/,
    ],
    ['--explain of no model', () => ['--explain'], /^which model\?/],
    ['an unknown target', () => [model, '--target', 'fast'], /Allowed choices are auto, portable, ort-cpu/],
    [
      'half precision elsewhere',
      () => [model, '--precision', 'fp16', '--explain'],
      /^--precision fp16 is for target ort-cuda/,
    ],
    ['steps a run elsewhere', () => [model, '--steps-per-run', '4', '--explain'], /^--steps-per-run 4 is for target/],
    ['a GPU for the CPU', () => [model, '--device', '1', '--explain'], /^--device 1 is a GPU: add --ep cuda/],
    ['an unknown precision', () => [model, '--precision', 'bf16'], /Allowed choices are fp32, fp16/],
    [
      'ort-cpu on another provider',
      () => [model, '--target', 'ort-cpu', '--ep', 'cuda', '--explain'],
      /target ort-cpu does not train this model here: it is for the cpu provider, not cuda/,
    ],
  ])('is refused: %s', (_, argv, message) => {
    expect(refusal(...argv())).toMatch(message)
    expect(existsSync(join(fresh, 'config.json'))).toBe(false)
  })

  it('is refused: another model than the run began with', () => {
    const folder = mkdtempSync(join(root, 'other-'))
    const other = exportTiny(folder, '--functions', '11')
    expect(refusal(other, '--resume', '--out', whole)).toBe(
      `the run in ${whole} belongs to another model than ${other}: leave out the model to go on with ` +
        `${join(whole, 'initial.onnx')}, or choose another folder`,
    )
  })

  it('is refused: a model without training information', () => {
    const folder = mkdtempSync(join(root, 'infer-'))
    const inference = exportTiny(folder, '--part', 'infer')
    expect(refusal(inference, '--out', fresh, '--data', data)).toMatch(/has no training_info/)
  })
})

describe('what it tells without training', () => {
  const quiet = (err: string) => err.replace(/^timing \d+ convolutions on this machine, once\n/gm, '')

  it('--explain: the way of each convolution, as the run takes it', () => {
    const argv = [model, '--explain', '--batch', '8', '--threads', '1']
    const { code, out, err } = run('rdm-fit', argv)
    expect([code, quiet(err)]).toEqual([0, ''])
    const { plan } = JSON.parse(readFileSync(join(whole, 'config.json'), 'utf8'))
    expect(out).toMatch(
      new RegExp(
        `^target ort-cpu: blocks of ${plan.block} channels, batch 8, up to 8 steps a run; timings are kept in `,
      ),
    )
    for (const [call, way] of Object.entries<string>(plan.choices)) {
      expect(out.split('\n').find((line) => line.startsWith(`${call}  `))).toMatch(new RegExp(`  ${way} `))
    }
    const json = JSON.parse(run('rdm-fit', [...argv, '--json']).out)
    expect(Object.fromEntries(json.calls.map(({ call, choice }: Record<string, string>) => [call, choice]))).toEqual(
      plan.choices,
    )
    expect(run('rdm-fit', [...argv, '--target', 'portable']).out).toBe(
      'target portable: one way for every machine, nothing to choose\n',
    )
  })

  it('--explain of target ort-webgpu: how many nodes a step has, how many steps a run, and what crosses the bus', () => {
    const { out } = run('rdm-fit', [model, '--explain', '--target', 'ort-webgpu', '--batch', '4'])
    expect(out).toMatch(
      /^target ort-webgpu: batches of 4, \d+ steps a run one after the other; a step is \d+ nodes, of which \d+ are work for the device; the state crosses the bus in 1 tensor a run\n/,
    )
    const argv = [model, '--explain', '--target', 'ort-webgpu', '--batch', '4', '--steps-per-run', '5', '--json']
    const explained = JSON.parse(run('rdm-fit', argv).out)
    expect(explained).toMatchObject({ target: 'ort-webgpu', batch: 4, stepsPerRun: 5, tensors: 1 })
    const counts = Object.values<number>(explained.operators)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(explained.nodes)
  })

  it('--explain of target ort-cuda: how many nodes a step has, and which', () => {
    const { out } = run('rdm-fit', [model, '--explain', '--target', 'ort-cuda', '--precision', 'fp16'])
    expect(out).toMatch(/^target ort-cuda: up to 10 steps a run, fp16; a step is \d+ nodes, of which \d+ are work/)
    const explained = JSON.parse(run('rdm-fit', [model, '--explain', '--target', 'ort-cuda', '--json']).out)
    const counts = Object.values<number>(explained.operators)
    expect(explained).toMatchObject({ target: 'ort-cuda', precision: 'fp32', stepsPerRun: 10 })
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(explained.nodes)
    expect(explained.kernels).toBeLessThan(explained.nodes)
    // One input gradient for each convolution but the first.
    expect(explained.operators.Conv - explained.operators.ConvTranspose).toBe(1)
  })

  it('--profile: where the time of a step goes', () => {
    const before = readdirSync(root)
    const argv = [model, '--data', data, '--profile', '2', '--batch', '8', '--threads', '1']
    const { code, out, err } = run('rdm-fit', argv)
    expect([code, quiet(err)]).toEqual([0, ''])
    expect(out).toMatch(/^a step takes [\d.,]+ ms under the profiler/)
    expect(out).toMatch(/^sgemm peak: [\d.]+ GFLOP\/s$/m)
    expect(out).toMatch(/^layer +time ms +share % +calls/m)
    // Which layers make it into the table depends on the moment; the JSON has them all.
    const { event, layers } = JSON.parse(run('rdm-fit', [...argv, '--json']).out)
    expect(event).toBe('profile')
    expect(layers.map(({ label }: { label: string }) => label)).toContain('stage3.block1.f2.conv2')
    expect(readdirSync(root)).toEqual(before)
  })
})

it('shows examples in its help', () => {
  const { code, out } = run('rdm-fit', ['--help'])
  expect(code).toBe(0)
  expect(out).toContain('$ rdm-fit --resume --out runs/rdm8')
})
