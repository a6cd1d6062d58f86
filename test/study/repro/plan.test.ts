// Plans: what a file means, what is refused and where, and that the shipped ones can be trained.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { recipes } from '../../../graphs/recipes.js'
import { residualNetwork } from '../../../graphs/residual.js'
import { table1 } from '../../../graphs/table1.js'
import { findNetwork } from '../../../graphs/zoo.js'
import { parameterCount } from '../../../src/core/model/cost.js'
import { type Plan, planKeys, readPlan } from '../../../src/study/repro/plan.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-plan-'))
afterAll(() => rmSync(root, { recursive: true }))

const path = join(root, 'mine.yaml')
const plan = (text: string): Promise<Plan> => {
  writeFileSync(path, text)
  return readPlan(path)
}
const shipped = (name: string) =>
  readPlan(fileURLToPath(new URL(`../../../graphs/plans/${name}.yaml`, import.meta.url)))

const head = 'format: rdm-onnx plan 1\nseeds: 1..2\n'
const tiny = '  - {name: a, depth: 8}\n'

describe('a plan', () => {
  it('gives each model its own settings, else the plan’s, else those of its recipe', async () => {
    const { name, models } = await plan(`format: rdm-onnx plan 1
seeds: [7, 1..2]
epochs: 4
augment: false
models:
  - arch: resnet110-sd
  - arch: rdm56
    name: wide
    recipe: stochastic-depth
    widths: 32,64,128
    seeds: 3
    epochs: 9
    batch: 64
    lr: [0:0.5, 2:0.05]
    augment: true
    init: uniform
    steps: 100
`)
    expect(name).toBe('mine')
    const sd = recipes['stochastic-depth']
    expect(models[0]).toEqual({
      name: 'resnet110-sd',
      architecture: findNetwork('resnet110-sd')!.architecture,
      recipe: sd,
      init: 'he',
      seeds: [1, 2, 7],
      config: {
        epochs: 4,
        batchSize: 128,
        learningRate: sd.learningRate,
        augment: false,
        steps: null,
        precision: 'fp32',
      },
    })
    const config = { epochs: 9, batchSize: 64, augment: true, steps: 100, precision: 'fp32' }
    expect(models[1]).toMatchObject({ name: 'wide', recipe: sd, init: 'uniform', seeds: [3], config })
    expect(models[1]!.config.learningRate).toEqual([
      [0, 0.5],
      [2, 0.05],
    ])
    expect(models[1]!.architecture).toMatchObject({ name: 'rdm56', widths: [32, 64, 128] })
  })

  it('reads masks as they are written, where YAML would see the number 1', async () => {
    const { models } = await plan(
      `${head}models:\n  - {depth: 8, functions: [11, 01]}\n  - {depth: 8, functions: 01}\n`,
    )
    expect(models.map(({ architecture }) => architecture.functions)).toEqual([['11', '01'], ['01']])
    expect(models.map(({ name }) => name)).toEqual(['basic-1-1-1x11-01', 'basic-1-1-1x01'])
  })

  it('begins with the first seed of every model', async () => {
    const { jobs } = await plan(`${head}models:\n${tiny}  - {name: b, depth: 8, seeds: 5}\n  - {name: c, depth: 14}\n`)
    expect(jobs.map(({ id }) => id)).toEqual(['a/seed-1', 'b/seed-5', 'c/seed-1', 'a/seed-2', 'c/seed-2'])
    expect(jobs[1]).toEqual({ id: 'b/seed-5', name: 'b', seed: 5 })
  })

  it('has another fingerprint with whatever decides the results, and the same without', async () => {
    const two = `models:\n${tiny}  - {name: b, depth: 14}\n`
    const { fingerprint } = await plan(head + two)
    const same = [
      `name: other\n${head}${two}`,
      `${head}models:\n  - {name: b, depth: 14}\n${tiny}`,
      `${head}epochs: 165\nmodels:\n  - {name: a, blocks: '1,1,1', functions: '11'}\n  - {name: b, depth: 14}\n`,
    ]
    for (const text of same) expect((await plan(text)).fingerprint).toBe(fingerprint)
    const others = [
      'epochs: 3',
      'batch: 8',
      'lr: 0.1',
      'augment: false',
      'steps: 9',
      'init: uniform',
      'precision: fp16',
    ]
    const seen = new Set([fingerprint])
    for (const line of others) seen.add((await plan(`${head}${line}\n${two}`)).fingerprint)
    seen.add((await plan(`${head}models:\n${tiny}`)).fingerprint)
    seen.add((await plan(`${head.replace('1..2', '1..3')}${two}`)).fingerprint)
    expect(seen.size).toBe(others.length + 3)
  })
})

describe('the shipped plans', () => {
  it('table1 is every row of the paper’s Table 1, five runs each by its recipe', async () => {
    const { models, jobs } = await shipped('table1')
    expect(models.map(({ name }) => name)).toEqual([...table1.keys()])
    expect(jobs).toHaveLength(40)
    for (const { name, architecture, recipe, config, seeds } of models) {
      const entry = findNetwork(name)!
      expect(architecture).toEqual(entry.architecture)
      expect(seeds).toEqual([1, 2, 3, 4, 5])
      expect(config).toMatchObject({ epochs: recipe.epochs, learningRate: recipe.learningRate, steps: null })
      expect(recipe.epochs).toBe(name === 'resnet110-sd' ? 500 : 165)
      // All of the paper's networks have 1.7 million parameters, ±5 %.
      expect(Math.abs(parameterCount(residualNetwork(architecture)) / 1.7e6 - 1)).toBeLessThan(0.05)
    }
  }, 60_000)

  it('reduced is networks of two sizes, those of a size of equal parameters, five runs each', async () => {
    const { models, jobs } = await shipped('reduced')
    expect(jobs).toHaveLength(60)
    for (const size of [models.slice(0, 6), models.slice(6)]) {
      const counts = size.map(({ architecture }) => parameterCount(residualNetwork(architecture)))
      expect(Math.max(...counts) / Math.min(...counts)).toBeLessThan(1.02)
      expect(size.map(({ architecture }) => architecture.functions.join())).toEqual([
        '11',
        '11,11',
        '11,01',
        '11,00',
        '11,10',
        '01,01',
      ])
    }
  })

  it('small is three 8-layer networks of equal widths, two runs each, over several epochs', async () => {
    const { models, jobs } = await shipped('small')
    expect(models.map(({ architecture }) => architecture.functions)).toEqual([['11'], ['11', '11'], ['11', '01']])
    expect(jobs).toHaveLength(6)
    for (const { architecture, init, config } of models) {
      expect(config.epochs).toBeGreaterThanOrEqual(3)
      const pairs = config.learningRate as readonly (readonly [number, number])[]
      expect(new Set(pairs.map(([epoch]) => epoch < config.epochs))).toEqual(new Set([true]))
      expect(residualNetwork(architecture, init).outputs.has('logits')).toBe(true)
    }
  })
})

it.each(['docs/experiment.md', 'docs/plan.md'])('the plans of %s are plans', async (file) => {
  const text = readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8')
  const blocks = [...text.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1]!)
  expect(blocks).toHaveLength(1)
  for (const block of blocks) {
    const { models } = await plan(block)
    expect(models[1]).toMatchObject({ architecture: { functions: ['11', '01'] }, config: { epochs: 20 } })
  }
})

it('every key that a plan may have is in docs/plan.md', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../docs/plan.md', import.meta.url)), 'utf8')
  const rows = [...text.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)])
  expect(rows.map(([, key]) => key).sort()).toEqual([...new Set([...planKeys.plan, ...planKeys.model])].sort())
})

describe('is refused', () => {
  it.each<[string, string, string | RegExp]>([
    ['no YAML', 'format: [1\n', /mine\.yaml:\d: no YAML: Flow sequence/],
    ['a key twice', `${head}seeds: 3\n`, 'mine.yaml:3: no YAML: Map keys must be unique'],
    ['nothing', '', /mine\.yaml(:1)?: Invalid input: expected object/],
    [
      'another format',
      'format: rdm-onnx plan 9\nmodels:\n',
      /mine\.yaml:1: format: .*"rdm-onnx plan 1".*, got 'rdm-onnx plan 9'$/,
    ],
    [
      'an unknown key',
      `${head}epoch: 3\nmodels:\n${tiny}`,
      "mine.yaml:3: there is no key 'epoch'; nearest are epochs, ",
    ],
    [
      'an unknown key of a model',
      `${head}models:\n${tiny}  - name: b\n    relu_drop: 1\n`,
      "mine.yaml:6: models[1]: there is no key 'relu_drop'; nearest are relu-drop, ",
    ],
    ['no models', `${head}models: []\n`, 'mine.yaml:3: models: Expected at least one model'],
    [
      'negative epochs',
      `${head}models:\n${tiny}  - arch: rdm56\n    epochs: -3\n`,
      "mine.yaml:6: models[1].epochs: Expected a whole number from 1 to 1000000, got '-3'",
    ],
    [
      'half a batch',
      `${head}batch: 1.5\nmodels:\n${tiny}`,
      "batch: Expected a whole number from 1 to 65536, got '1.5'",
    ],
    ['no seeds', `format: rdm-onnx plan 1\nmodels:\n${tiny}`, 'mine.yaml:3: models[0]: which seeds? Give them, as in'],
    [
      'seeds that are none',
      `format: rdm-onnx plan 1\nseeds: 5..1\nmodels:\n${tiny}`,
      'the range 5..1 ends before it begins',
    ],
    [
      'a seed twice',
      `format: rdm-onnx plan 1\nseeds: [1, 1]\nmodels:\n${tiny}`,
      'mine.yaml:2: seeds: the seed 1 is there twice',
    ],
    ['no learning rate', `${head}lr: fast\nmodels:\n${tiny}`, '"0:fast" is no step of a learning rate schedule'],
    [
      'a schedule that goes back',
      `${head}lr: 0:1,5:2,3:1\nmodels:\n${tiny}`,
      'the epochs or steps of a schedule have to rise',
    ],
    ['augment: perhaps', `${head}augment: perhaps\nmodels:\n${tiny}`, /augment: .*"true"\|"false", got 'perhaps'/],
    [
      'an unknown network',
      `${head}models:\n${tiny}  - arch: rdm65\n`,
      "mine.yaml:5: models[1]: there is no network 'rdm65'; nearest are rdm56, rdm83, rdm56-sd (rdm-export --list shows all)",
    ],
    [
      'an unknown recipe',
      `${head}models:\n  - {arch: rdm56, recipe: fast}\n`,
      /models\[0\]\.recipe: .*paper.*, got 'fast'/,
    ],
    [
      'an impossible depth',
      `${head}models:\n  - {depth: 10}\n`,
      'models[0]: depth 10 is not possible for basic blocks',
    ],
    [
      'no network',
      `${head}models:\n  - {name: a}\n`,
      'no network is given: name one with arch (see rdm-export --list)',
    ],
    ['depth and blocks', `${head}models:\n  - {depth: 8, blocks: '1,1,1'}\n`, 'depth and blocks say the same'],
    [
      'more dropped than there are',
      `${head}models:\n  - {depth: 8, r: 2, relu-drop: 3}\n`,
      'relu-drop 3 is more than the 2',
    ],
    [
      'functions and r',
      `${head}models:\n  - {depth: 8, r: 2, functions: 11}\n`,
      'functions already says each residual function: leave out r and relu-drop',
    ],
    [
      'a known network taken apart',
      `${head}models:\n  - {arch: rdm56, relu-drop: 1}\n`,
      'arch rdm56 already says its relu-drop',
    ],
    [
      'a mask that does not fit',
      `${head}models:\n  - {depth: 8, functions: 111, block: basic}\n`,
      "the mask '111' does not fit a basic block",
    ],
    [
      'two models of one name',
      `${head}models:\n${tiny}  - {name: A, depth: 14}\n`,
      'mine.yaml:5: models[1]: models[0] is called a too: give one of them another name',
    ],
    [
      'one network twice',
      `${head}models:\n  - {arch: rdm56}\n  - {arch: rdm56, lr: 0.01}\n`,
      'models[0] is called rdm56 too',
    ],
    ...['../x', 'a/b', '.', 'lock', 'CON', 'x'.repeat(65)].map((name): [string, string, string] => [
      `the name ${name}`,
      `${head}models:\n  - {name: ${name}, depth: 8}\n`,
      'models[0].name: Expected a name for a folder',
    ]),
    [
      'a network whose name is too long for a folder',
      `${head}models:\n  - {depth: 8, r: 23}\n`,
      'models[0]: its network makes no name for a folder: give it one (name: …)',
    ],
  ])('%s', async (_, text, message) => {
    const error = await plan(text).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'UserError' })
    expect(String((error as Error).message)).toMatch(message)
    expect((error as Error).message).toMatch(/^\S*mine\.yaml(:\d+)?: [^\n]+$/)
  })

  it('an alias of nothing, and one that would never end', async () => {
    await expect(plan(`${head}models:\n  - *nothing\n`)).rejects.toThrow(/^\S+: no YAML: Unresolved alias.*nothing$/)
    const bomb = Array.from(
      { length: 9 },
      (_, i) =>
        `k${i}: &k${i} [${Array(9)
          .fill(i ? `*k${i - 1}` : 'x')
          .join(', ')}]\n`,
    )
    await expect(plan(`${bomb.join('')}${head}models: *k8\n`)).rejects.toThrow(/no YAML: Excessive alias count/)
  })
  it('a value of five thousand letters, in a line that can be read', async () => {
    const refused = await plan(`${head}models:\n  - name: ${'x'.repeat(5000)}\n`).catch((error) => error)
    expect(refused.message).toMatch(/x…x/)
    expect(refused.message.length).toBeLessThan(1010)
  })
  it('a file that is not there, or whose name makes no name for a folder', async () => {
    await expect(readPlan(join(root, 'none.yaml'))).rejects.toThrow(/^cannot read the plan .*none\.yaml: ENOENT/)
    const odd = join(root, 'my plan.yaml')
    writeFileSync(odd, `${head}models:\n${tiny}`)
    await expect(readPlan(odd)).rejects.toThrow(
      "the file's name makes no folder's name: give the plan a name of its own",
    )
  })
})
