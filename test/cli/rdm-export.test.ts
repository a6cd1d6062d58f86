// rdm-export as a user runs it: the zoo, files that train, every way of describing a network, and everything it refuses.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { architectureSchema, residualNetwork } from '../../graphs/residual.js'
import { zoo } from '../../graphs/zoo.js'
import { parameterCount } from '../../src/core/model/cost.js'
import { keys } from '../../src/core/model/metadata.js'
import { readTrainableModel } from '../../src/core/model/read.js'
import { decodeModel, tensorFromProto } from '../../src/core/onnx/tensors.js'
import { readModel } from '../../src/core/onnx/trainingInfo.js'
import { dtypeOf } from '../../src/core/ops/elementwise.js'
import { artifactFiles, trainingArtifacts } from '../../src/driver/artifacts/index.js'
import { commandFile, runAll } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-export-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Result {
  readonly code: number | null
  readonly bytes: Buffer
  readonly err: string
}

function node(...argv: readonly string[]): Promise<Result> {
  const child = spawn(process.execPath, argv, { cwd: fileURLToPath(new URL('../..', import.meta.url)) })
  const out: Buffer[] = []
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, bytes: Buffer.concat(out), err })))
}
const rdmExport = (...argv: readonly string[]) => node(commandFile('rdm-export'), ...argv)

/** What a command prints when all is well. */
async function printed(...argv: readonly string[]): Promise<Buffer> {
  const { code, bytes, err } = await rdmExport(...argv)
  expect({ code, err: err.replace(/^timing \d+ convolutions on this machine, once\n/gm, '') }).toEqual({
    code: 0,
    err: '',
  })
  return bytes
}

const small = ['--depth', '8', '--widths', '4,4,8'] as const

describe('the zoo', () => {
  const row = z.object({
    name: z.string(),
    block: z.string(),
    depth: z.number(),
    r: z.number(),
    functions: z.array(z.string()),
    parameters: z.number(),
    multiplyAdds: z.number(),
    multiplicity: z.string(),
    stochasticDepth: z.number().nullable(),
    recipe: z.string(),
  })

  it('is listed for machines, with exact counts', async () => {
    const rows = z.array(row).parse(JSON.parse((await printed('--list', '--json')).toString()))
    const told = rows.map(({ name, depth, r, parameters, multiplicity }) => [name, depth, r, parameters, multiplicity])
    expect(told).toEqual([
      ['preresnet110', 110, 1, 1_730_554, String(2n ** 54n)],
      ['preresnet164', 164, 1, 1_703_290, String(2n ** 54n)],
      ['multiresnet8x23', 8, 23, 1_707_642, String(24n ** 3n)],
      ['multiresnet14x10', 14, 10, 1_716_762, String(11n ** 6n)],
      ['multiresnet30x4', 30, 4, 1_781_338, String(5n ** 14n)],
      ['resnet110-sd', 110, 1, 1_727_962, String(2n ** 54n)],
      ['rdm56', 56, 2, 1_707_418, String(3n ** 27n)],
      ['rdm56-sd', 56, 2, 1_707_418, String(3n ** 27n)],
      ['rdm83', 83, 2, 1_691_802, String(3n ** 27n)],
      ['rdm83-sd', 83, 2, 1_691_802, String(3n ** 27n)],
    ])
    expect(rows.find(({ name }) => name === 'rdm83')).toEqual({
      name: 'rdm83',
      block: 'bottleneck',
      depth: 83,
      r: 2,
      functions: ['111', '001'],
      parameters: 1_691_802,
      multiplyAdds: 242_665_984,
      multiplicity: '7625597484987',
      stochasticDepth: null,
      recipe: 'paper',
    })
    expect(rows.filter(({ stochasticDepth }) => stochasticDepth === 0.5)).toHaveLength(3)
    expect(rows.filter(({ recipe }) => recipe === 'stochastic-depth').map(({ name }) => name)).toEqual(['resnet110-sd'])
  })
  it('is listed for people', async () => {
    const lines = (await printed('--list')).toString().split('\n')
    expect(lines[0]).toMatch(/^name +block +depth +r +functions +parameters +multiply-adds +multiplicity +recipe$/)
    expect(lines).toContain(
      'rdm56             basic          56   2  11,01       1,707,418    250,790,528  7.63e12        paper',
    )
    expect(lines).toHaveLength(zoo.length + 2)
  })
  it.each(zoo.map(({ architecture }) => [architecture.name, architecture] as const))('has %s', (_, architecture) => {
    expect(architectureSchema.parse(architecture)).toEqual(architecture)
    expect(residualNetwork(architecture).outputs.get('logits')!.shape).toEqual(['batch', 10])
  })
  it('has files that train', async () => {
    const model = readTrainableModel(await printed('--arch', 'multiresnet8x23'))
    const weights = Object.keys(model.state).filter((name) => name.endsWith('.momentum'))
    const numbers = weights.reduce((sum, name) => sum + model.state[name]!.data.length, 0)
    expect(numbers).toBe(1_707_642)
    expect(model.recipe).toMatchObject({ epochs: 165, weightDecay: 1e-4, nesterov: false })
  })
})

describe('a network of one’s own', () => {
  it('is the same bytes however it is described', async () => {
    const byDepth = ['--block', 'bottleneck', '--depth', '20', '--r', '2', '--relu-drop', '1'] as const
    const byMasks = ['--functions', '111,001', '--blocks', '2,2,2'] as const
    const widths = ['--widths', '4,4,8'] as const
    const [first, again, other] = await Promise.all([
      printed(...byDepth, ...widths),
      printed(...byDepth, ...widths),
      printed(...byMasks, ...widths),
    ])
    expect(Buffer.compare(first, again)).toBe(0)
    expect(Buffer.compare(first, other)).toBe(0)
  })
  it('takes classes, image size, recipe, seed and first values', async () => {
    const path = join(folder, 'mine.onnx')
    const options = [
      '--classes',
      '100',
      '--image-size',
      '16',
      '--recipe',
      'stochastic-depth',
      '--stochastic-depth',
      '0.8',
    ]
    const more = ['--activation', 'post', '--shortcut', 'padding', '--momentum', '0.5', '--weight-decay', '0.01']
    expect(
      await printed(...small, ...options, ...more, '--init', 'uniform', '--seed', '3', '--out', path),
    ).toHaveLength(0)
    const bytes = readFileSync(path)
    const model = readTrainableModel(bytes)
    expect(model.signature.inputs).toEqual([{ name: 'images', dtype: 'uint8', shape: ['batch', 3, 16, 16] }])
    expect(model.signature.targets).toEqual([{ name: 'labels', dtype: 'int64', shape: ['batch'], classes: 100 }])
    expect(model.signature.hyperparameters).toEqual({ learning_rate: null, momentum: 0.5, weight_decay: 0.01 })
    expect(model.signature.gates?.survival.map((p) => Number(p.toFixed(3)))).toEqual([0.933, 0.867, 0.8])
    expect(model.recipe).toMatchObject({ epochs: 500, nesterov: true, momentum: 0.5, weightDecay: 0.01 })
    const entry = decodeModel(bytes).metadataProps.find(({ key }) => key === keys.architecture)
    const architecture = architectureSchema.parse(JSON.parse(entry?.value ?? ''))
    expect(architecture).toMatchObject({ activation: 'post', shortcut: 'padding', widths: [4, 4, 8], classes: 100 })
    // CIFAR-100's statistics come with its classes.
    expect(architecture.pixels.mean[0]).toBe(0.50707516)
    expect(readdirSync(folder).filter((name) => name.startsWith('mine'))).toEqual(['mine.onnx'])
  })
  it('is described with shapes', async () => {
    const text = (await printed(...small, '--functions', '11,01', '--describe')).toString()
    const [summary, header] = text.split('\n')
    expect(summary).toMatch(
      /^basic-1-1-1x11-01: basic blocks, 8 layers, r = 2 \(11,01\), [\d,]+ parameters, [\d,]+ multiply-adds an image, 27 paths$/,
    )
    expect(header).toBe('graph basic-1-1-1x11-01(images: uint8[batch, 3, 32, 32]) {')
    expect(text).toContain('# stage3.block1.f2.conv1 float32[batch, 8, 8, 8]')
    expect(text).toContain('return probabilities = ')
  })
  it('is written in parts, plain models', async () => {
    const [infer, init, train] = await Promise.all(
      ['infer', 'init', 'train'].map((part) => printed(...small, '--part', part, '--inline')),
    )
    for (const bytes of [infer!, init!, train!]) {
      expect(decodeModel(bytes)).toMatchObject({ trainingInfo: [], functions: [] })
      expect(decodeModel(bytes).opsetImport.map(({ domain }) => domain)).toEqual([''])
    }
    expect(parameterCount(readModel(decodeModel(infer!)).inference)).toBeGreaterThan(1000)
    expect(decodeModel(init!).graph!.input).toEqual([])
    // Of the step nothing but constants is fixed, and what the optimizer takes unless it is told: all state is fed.
    const fixed = decodeModel(train!).graph!.initializer!.map(({ name }) => name!)
    expect(fixed.filter((name) => !/^(float32|int64)\//.test(name))).toEqual(['momentum', 'weight_decay'])
  })
  it('is written by the version of the operators that is asked for, 18 unless it is', async () => {
    const written = async (...argv: string[]) => {
      const { irVersion, opsetImport } = decodeModel(await printed(...small, ...argv))
      return [irVersion, ...opsetImport.map(({ version }) => version)].map(Number)
    }
    expect(await written()).toEqual([8, 18, 1])
    expect(await written('--opset', '18', '--part', 'infer')).toEqual([8, 18])
    expect(await written('--opset', '13')).toEqual([8, 13, 1])
    // Without functions the file's format is of the age of the operators, so that runtimes of that age read it.
    expect(await written('--opset', '14', '--part', 'train', '--inline')).toEqual([7, 14])
    expect(await written('--opset', '21', '--inline')).toEqual([8, 21])
  })
  it('is written in the operators that most runtimes have', async () => {
    const levels = ['standard', 'basic'].map((level) => ['--portable-level', level])
    const steps = await Promise.all([[], ...levels].map((given) => printed(...small, '--part', 'train', ...given)))
    const operators = steps.map(
      (bytes) => new Set(decodeModel(bytes).functions.flatMap(({ node }) => node!.map(({ opType }) => opType))),
    )
    expect(steps[1]).toEqual(steps[0])
    expect(operators.map((names) => names.has('HardSigmoid'))).toEqual([true, true, false])
  })
  it('does not go to a terminal', async () => {
    const script = `Object.defineProperty(process.stdout, 'isTTY', { value: true })
      const { main } = await import('./dist/src/cli/rdm-export.js')
      await main(['--depth', '8'])`
    const { code, bytes, err } = await node('--input-type=module', '-e', script)
    expect({ code, out: bytes.toString(), err }).toEqual({
      code: 2,
      out: '',
      err: 'rdm-export: an ONNX file is no text for a terminal: redirect it (> model.onnx), or give --out FILE\n',
    })
  })
  it('leaves the old file when the new one cannot be written', async () => {
    const path = join(folder, 'kept.onnx')
    writeFileSync(path, 'old')
    const { code, err } = await rdmExport(...small, '--depth', '9', '--out', path)
    expect({ code, old: readFileSync(path, 'utf8') }).toEqual({ code: 2, old: 'old' })
    expect(err).toMatch(/^rdm-export: --depth 9 is not possible/)
    const nowhere = await rdmExport(...small, '--out', join(folder, 'no', 'such', 'x.onnx'))
    expect(nowhere.code).toBe(2)
    expect(nowhere.err).toMatch(/^rdm-export: cannot write .*x\.onnx: its folder is not there\n$/)
  })
})

it('--help shows examples', async () => {
  const help = (await printed('--help')).toString()
  expect(help).toContain('Examples:\n  $ rdm-export --list\n  $ rdm-export --arch rdm83 > model.onnx\n')
  expect(help).toContain('--relu-drop <count>')
})

it('--target ort-cpu writes the step that rdm-fit runs here: blocked operators, shapes fixed, names of the portable step', async () => {
  const argv = ['--blocks', '1,1', '--widths', '16,32', '--functions', '11,01', '--part', 'train']
  const bytes = await printed(...argv, '--target', 'ort-cpu', '--batch', '8')
  const blocked = decodeModel(bytes)
  const plain = decodeModel(await printed(...argv))
  const inputs = (proto: typeof plain) => proto.graph!.input!.map(({ name }) => name).sort()
  const outputs = (proto: typeof plain) => proto.graph!.output!.map(({ name }) => name).sort()
  expect(inputs(blocked)).toEqual(inputs(plain))
  expect(outputs(blocked)).toEqual(outputs(plain))
  expect(blocked.graph!.node!.filter(({ domain }) => domain === 'com.microsoft.nchwc').length).toBeGreaterThan(20)
  const images = blocked.graph!.input!.find(({ name }) => name === 'images')!.type!.tensorType!.shape!.dim!
  expect(images.map(({ dimValue }) => Number(dimValue))).toEqual([8, 3, 32, 32])
  expect(Object.fromEntries(blocked.metadataProps!.map(({ key, value }) => [key, JSON.parse(value!)]))).toMatchObject({
    [keys.carried]: { 'stem.weight.next': 'stem.weight' },
    [keys.step]: { images: 'images', loss: 'loss' },
  })
})

it('--artifacts writes the files of the training API, with the optimizer that is asked for', async () => {
  const to = join(folder, 'deep', 'artifacts')
  const argv = [...small, '--seed', '3', '--no-recompute', '--artifacts', to, '--lr', '0.25']
  const written = async (...more: string[]) => {
    expect(await printed(...argv, ...more)).toHaveLength(0)
    expect(readdirSync(to).sort()).toEqual([...artifactFiles].sort())
    const proto = decodeModel(readFileSync(join(to, 'optimizer_model.onnx'))).graph!
    const { opType, attribute } = proto.node![0]!
    const decay = attribute!.find(({ name }) => name === 'weight_decay')?.f
    return { opType, decay, rates: proto.initializer!.map((value) => Array.from(tensorFromProto(value).data, Number)) }
  }
  // First, so that the other files must take the place of these.
  expect(await written('--optimizer', 'sgd')).toEqual({
    opType: 'SGDOptimizerV2',
    decay: undefined,
    rates: [[1], [0.25]],
  })
  expect(await written('--weight-decay', '0.5')).toEqual({ opType: 'AdamWOptimizer', decay: 0.5, rates: [[1], [0.25]] })
  const architecture = architectureSchema.parse(
    JSON.parse(
      decodeModel(readFileSync(join(to, 'eval_model.onnx'))).metadataProps.find(({ key }) => key === keys.architecture)!
        .value!,
    ),
  )
  const options = { seed: 3, recompute: false, learningRate: 0.25, weightDecay: 0.5, architecture }
  const expected = trainingArtifacts(residualNetwork(architecture), { optimizer: 'adamw', ...options })
  for (const name of artifactFiles) expect(Buffer.compare(readFileSync(join(to, name)), expected[name]), name).toBe(0)
})

it("--target ort-training writes the step with the training build's kernels, its batch size symbolic", async () => {
  const argv = ['--blocks', '1,1', '--widths', '4,6', '--functions', '11,01', '--part', 'train']
  const proto = decodeModel(await printed(...argv, '--target', 'ort-training'))
  const plain = decodeModel(await printed(...argv))
  const byName = (values: NonNullable<typeof plain.graph>['input']) =>
    Object.fromEntries(values!.map(({ docString: _, ...info }) => [info.name, info]))
  expect(byName(proto.graph!.input)).toEqual(byName(plain.graph!.input))
  expect(byName(proto.graph!.output)).toEqual(byName(plain.graph!.output))
  const properties = (model: typeof plain) =>
    model.metadataProps!.filter(({ key }) => key === keys.carried || key === keys.step)
  expect(properties(proto)).toEqual(properties(plain))
  expect(proto.functions).toEqual([])
  const kernels = proto.graph!.node!.filter(({ domain }) => domain !== '')
  // Eight convolutions of functions, each behind a batch norm; one batch norm after the stem and one at the end.
  const norms = Array.from({ length: 10 }, () => ['BatchNormInternal', 'BatchNormalizationGrad']).flat()
  const loss = ['SoftmaxCrossEntropyLossInternal', 'SoftmaxCrossEntropyLossInternalGrad']
  expect(kernels.map(({ opType }) => opType).sort()).toEqual([...norms, ...loss, 'ConvGrad', 'ConvGrad'].sort())
  expect(new Set(kernels.map(({ domain }) => domain))).toEqual(new Set(['com.microsoft']))
})

it('--target ort-webgpu writes one step for one batch size, with the inputs and outputs of the portable one', async () => {
  const argv = ['--blocks', '1,1', '--widths', '4,6', '--functions', '11,01', '--part', 'train']
  const [proto, plain] = [
    decodeModel(await printed(...argv, '--target', 'ort-webgpu', '--batch', '6')),
    decodeModel(await printed(...argv)),
  ]
  const names = ({ graph }: typeof proto, kind: 'input' | 'output') => graph![kind]!.map(({ name }) => name).sort()
  expect(names(proto, 'input')).toEqual(names(plain, 'input'))
  expect(names(proto, 'output')).toEqual(names(plain, 'output'))
  const images = proto.graph!.input!.find(({ name }) => name === 'images')!
  expect(images.type!.tensorType!.shape!.dim!.map(({ dimValue }) => Number(dimValue))).toEqual([6, 3, 32, 32])
  expect(proto.opsetImport!.map(({ domain }) => domain)).toEqual([''])
  const operators = proto.graph!.node!.map(({ opType }) => opType)
  for (const absent of ['Size', 'Shape', 'OneHot', 'LogSoftmax', 'ArgMax']) expect(operators).not.toContain(absent)
  const { value } = proto.metadataProps!.find(({ key }) => key === keys.carried)!
  expect(JSON.parse(value!)).toMatchObject({ 'stem.weight.next': 'stem.weight' })
})

it('--target ort-cuda writes many steps a run, and says how to go on', async () => {
  const argv = ['--blocks', '1,1', '--widths', '4,6', '--functions', '11,01', '--part', 'train', '--target', 'ort-cuda']
  const proto = decodeModel(await printed(...argv, '--precision', 'fp16'))
  const types = Object.fromEntries(
    proto.graph!.input!.map(({ name, type }) => {
      const { elemType, shape } = type!.tensorType!
      const dims = shape!.dim!.map(({ dimParam, dimValue }) => dimParam || Number(dimValue))
      return [name, `${dtypeOf(elemType!)}[${dims.join(', ')}]`]
    }),
  )
  expect(types).toMatchObject({
    images: 'uint8[steps, batch, 3, 32, 32]',
    labels: 'int64[steps, batch]',
    learning_rate: 'float32[steps]',
    'stem.weight': 'float32[4, 3, 3, 3]',
    loss_scale: 'float32[]',
  })
  expect(proto.graph!.node!.filter(({ opType }) => opType === 'Loop')).toHaveLength(1)
  expect(proto.opsetImport!.map(({ domain }) => domain)).toEqual(['', 'com.microsoft'])
  const { value } = proto.metadataProps!.find(({ key }) => key === keys.carried)!
  expect(JSON.parse(value!)).toMatchObject({ 'stem.weight.next': 'stem.weight', 'loss_scale.next': 'loss_scale' })
  // Without --precision, single precision: no scale.
  const single = decodeModel(await printed(...argv))
  expect(single.graph!.input!.map(({ name }) => name)).not.toContain('loss_scale')
})

describe('bad input: one line, exit code 2, nothing on standard output', () => {
  const wholeNumbers = 'Expected a whole number from'
  const refusals: readonly (readonly [argv: string, message: string])[] = [
    [
      '',
      'no network is given: name one with --arch (see rdm-export --list), or describe one with --block and --depth or --blocks',
    ],
    ['--arch rdm65', "there is no network 'rdm65'; nearest are rdm56, rdm83, rdm56-sd (rdm-export --list shows all)"],
    [
      '--depth 10',
      '--depth 10 is not possible for basic blocks in 3 equal stages: expected 6n + 2, nearest are 8 and 14; or give the blocks of each stage with --blocks',
    ],
    [
      '--block bottleneck --depth 82',
      '--depth 82 is not possible for bottleneck blocks in 3 equal stages: expected 9n + 2, nearest are 74 and 83; or give the blocks of each stage with --blocks',
    ],
    [
      '--depth 2',
      '--depth 2 is not possible for basic blocks in 3 equal stages: expected 6n + 2, nearest are 8 and 14; or give the blocks of each stage with --blocks',
    ],
    [
      '--depth 8 --functions 11,111',
      "the mask '111' does not fit a basic block: expected 2 digits, 1 for a ReLU and 0 for none, such as 11 or 01",
    ],
    [
      '--block bottleneck --depth 11 --functions 01',
      "the mask '01' does not fit a bottleneck block: expected 3 digits, 1 for a ReLU and 0 for none, such as 111 or 001",
    ],
    [
      '--depth 8 --functions 11 --r 2',
      '--functions already says each residual function: leave out --r and --relu-drop',
    ],
    ['--depth 8 --blocks 1,1,1', '--depth and --blocks say the same: give one of them'],
    ['--depth 8 --r 2 --relu-drop 3', '--relu-drop 3 is more than the 2 residual functions of --r; expected 0 to 2'],
    ['--arch rdm56 --relu-drop 1', '--arch rdm56 already says its relu-drop: leave one of the two out'],
    ['--arch rdm56 --depth 8', '--arch rdm56 already says its depth: leave one of the two out'],
    ['--blocks 1,1 --widths 4,4,8', '2 stages of blocks need as many widths, got 3'],
    ['--arch rdm56 --widths 16,32', '3 stages of blocks need as many widths, got 2'],
    ['--depth 8 --image-size 30', 'images of 30 cannot be halved 2 times; use a multiple of 4'],
    ['--blocks 0,1,1', 'blocks.0: Too small: expected number to be >=1'],
    ['--depth 8 --target ort-cpu', '--target ort-cpu writes a training step for one runtime alone: add --part train'],
    ['--depth 8 --target ort-cuda', '--target ort-cuda writes a training step for one runtime alone: add --part train'],
    [
      '--depth 8 --target ort-training',
      '--target ort-training writes a training step for one runtime alone: add --part train',
    ],
    ['--depth 8 --precision fp16', '--precision fp16 is for target ort-cuda: add --target ort-cuda, or leave it out'],
    [
      '--depth 8 --part train --batch 8',
      'the batch size of --target portable is symbolic: leave out --batch, or add --target ort-cpu or ort-webgpu',
    ],
    [
      '--depth 8 --part train --target ort-training --batch 8',
      'the batch size of --target ort-training is symbolic: leave out --batch, or add --target ort-cpu or ort-webgpu',
    ],
    [
      '--depth 8 --part train --target ort-cpu --portable-level basic',
      '--portable-level basic is for target portable: leave out --target ort-cpu, or the level',
    ],
    [
      '--depth 8 --part train --target ort-cpu --opset 18',
      '--opset is for target portable, and ort-cpu has an opset of its own: leave one of them out',
    ],
    [
      '--depth 8 --part train --target ort-cuda --opset 13',
      '--opset is for target portable, and ort-cuda has an opset of its own: leave one of them out',
    ],
    ...[
      '--part train',
      '--target ort-cpu',
      '--out x',
      '--inline',
      '--portable-level basic',
      '--opset 13',
      '--list',
      '--describe',
      '--recipe paper',
      '--momentum 0.9',
      '--nesterov',
      '--gates',
    ].map((option): [string, string] => [
      `--depth 8 --artifacts x ${option}`,
      `--artifacts writes four files for ONNX Runtime's training API, to which ${option.split(' ')[0]} means nothing: leave one of them out`,
    ]),
    [
      '--depth 8 --artifacts x --optimizer sgd --weight-decay 0.1',
      "--weight-decay is not for --optimizer sgd: ONNX Runtime's has none; leave it out, or take --optimizer adamw",
    ],
    [
      '--depth 8 --artifacts /dev/null/x',
      "the folder of --artifacts cannot be made (ENOTDIR: not a directory, mkdir '/dev/null/x'); name one that can",
    ],
    ['--depth 8 --artifacts x --optimizer adam', '--artifacts knows the optimizers adamw and sgd, not adam'],
    ['--json', '--json goes with --list: add it, or leave out --json'],
    ['--list --out x', '--list prints text and --out is for a model: leave one of them out'],
    ['--depth 8 --describe --out x', '--describe prints text and --out is for a model: leave one of them out'],
    ['--depth eight', `option '--depth <layers>' argument 'eight' is invalid. ${wholeNumbers} 2 to 100000`],
    ['--depth 8 --opset 12', `option '--opset <version>' argument '12' is invalid. ${wholeNumbers} 13 to 21`],
    ['--depth 8 --opset 22', `option '--opset <version>' argument '22' is invalid. ${wholeNumbers} 13 to 21`],
    ['--depth 8 --classes 1', `option '--classes <count>' argument '1' is invalid. ${wholeNumbers} 2 to 256`],
    ['--depth 8 --seed -1', `option '--seed <number>' argument '-1' is invalid. ${wholeNumbers} 0 to 9007199254740991`],
    [
      '--depth 8 --stochastic-depth 1.5',
      "option '--stochastic-depth <p>' argument '1.5' is invalid. Expected a number from 0.000001 to 1",
    ],
    [
      '--blocks 9;9;9',
      "option '--blocks <counts>' argument '9;9;9' is invalid. Expected whole numbers with commas between them, such as 9,9,9",
    ],
    [
      '--functions 12',
      "option '--functions <masks>' argument '12' is invalid. Expected masks with commas between them, such as 11,01",
    ],
    ['--part half', "option '--part <part>' argument 'half' is invalid. Allowed choices are all, train, init, infer."],
    ['--block boring', "option '--block <kind>' argument 'boring' is invalid. Allowed choices are basic, bottleneck."],
    [
      '--recipe cake',
      "option '--recipe <name>' argument 'cake' is invalid. Allowed choices are paper, stochastic-depth.",
    ],
    ['--archi rdm56', "unknown option '--archi' (Did you mean --arch?)"],
    ['rdm56', 'too many arguments. Expected 0 arguments but got 1.'],
  ]
  it('by the command', async () => {
    for (const [argv, message] of refusals.slice(0, 2)) {
      const { code, bytes, err } = await rdmExport(...argv.split(' ').filter((part) => part))
      expect([code, bytes.toString(), err]).toEqual([2, '', `rdm-export: ${message}\n`])
    }
  })
  it('all of it, in one process', () => {
    const printed = runAll(
      'rdm-export',
      refusals.map(([argv]) => argv.split(' ').filter((part) => part)),
    )
    expect(printed).toEqual(refusals.map(([, message]) => `2 rdm-export: ${message}\n`))
  })
})
