// What the matrix of runtimes makes of what examples print and write, and what docs/runtimes.md and docs/elsewhere.md say of it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const piece = (name: string) => import(/* @vite-ignore */ join(root, 'interop', `${name}.mjs`))
const { difference, inferenceDifference, parse, trainingDifference } = await piece('trial')
const { documentOf, foreignTableOf, measure, measureForeign, tableOf } = await piece('matrix')
const {
  runtimes,
}: { runtimes: readonly Record<'name' | 'title' | 'version' | 'language' | 'sample' | 'form', string>[] } =
  await piece('runtimes')

const folder = mkdtempSync(join(tmpdir(), 'rdm-interop-pieces-'))
afterAll(() => rmSync(folder, { recursive: true }))

const lines = `step 1: loss 2.302965, 3 of 32 right, 0.1156 s
step 2: loss 2.250000, 4 of 32 right, 0.1056 s
infer.onnx: 5 of 32 right
`
const tensor = (...data: number[]) => ({ data: Float64Array.from(data) })
const expected = {
  losses: [2.302965, 2.25],
  correct: [3, 4],
  state: new Map([
    ['w', tensor(1, -2)],
    ['w.momentum', tensor(0.001, 0)],
  ]),
  probabilities: tensor(0.25, 0.75),
}
const files = (w: number[], momentum: number[], probabilities: number[]) =>
  new Map([
    ['w', Float64Array.from(w)],
    ['w.momentum', Float64Array.from(momentum)],
    ['probabilities', Float64Array.from(probabilities)],
  ])

describe('differences', () => {
  it('of a tensor are relative to its largest number, at least to the floor', () => {
    expect(difference([1, -2.5], [1, -2], 0)).toBe(0.25)
    expect(difference([0.002], [0.001], 0.05)).toBe(0.02)
    expect(difference([Number.NaN, 1], [0, 1], 0)).toBeNaN()
    expect(difference([1], [1, 2], 0)).toBeNaN()
    expect(difference(undefined, [1, 2], 0)).toBeNaN()
  })

  it('of training are the worst of losses and state', () => {
    const { steps, predicted } = parse(lines)
    expect([steps.length, predicted]).toEqual([2, '5'])
    const same = files([1, -2], [0.001, 0], [0.25, 0.75])
    expect(trainingDifference({ steps, files: same }, expected)).toBe(0)
    expect(inferenceDifference({ steps, files: same }, expected)).toBe(0)
    // A momentum counts as 0.05.
    expect(trainingDifference({ steps, files: files([1, -2], [0.002, 0], []) }, expected)).toBeCloseTo(0.02, 12)
    expect(trainingDifference({ steps, files: files([1, -2.5], [0.001, 0], []) }, expected)).toBe(0.25)
    const slower = [steps[0], { ...steps[1], loss: 2.7 }]
    expect(trainingDifference({ steps: slower, files: same }, expected)).toBeCloseTo(0.2, 12)
    expect(inferenceDifference({ files: files([], [], [0.25, 0.9]) }, expected)).toBeCloseTo(0.2, 12)
  })

  it('are no number for other right answers, a step too few or a tensor that is not there', () => {
    const { steps } = parse(lines)
    const same = files([1, -2], [0.001, 0], [0.25, 0.75])
    expect(trainingDifference({ steps: [steps[0], { ...steps[1], correct: 5 }], files: same }, expected)).toBeNaN()
    expect(trainingDifference({ steps: steps.slice(1), files: same }, expected)).toBeNaN()
    expect(trainingDifference({ steps, files: new Map() }, expected)).toBeNaN()
    expect(inferenceDifference({ files: new Map() }, expected)).toBeNaN()
  })
})

describe('a runtime', () => {
  /** One that prints and writes what it is told, by the form that it is given. */
  const fake = (form: string | undefined, does: (form: string) => string | Error, extra = {}) => ({
    title: 'Fake',
    version: '1',
    language: 'Python',
    sample: 'fake.py',
    form,
    steps: 2,
    async run(models: string, _: string, steps: string, trained: string) {
      const said = does(models.split('-').at(-1)!)
      if (said instanceof Error) throw said
      writeFileSync(join(trained, 'w'), new Float32Array(said === lines ? [1, -2] : [1, -3]))
      writeFileSync(join(trained, 'w.momentum'), new Float32Array([0.001, 0]))
      writeFileSync(join(trained, 'probabilities'), new Float32Array([0.25, 0.75]))
      return steps === '1' ? said.split('\n')[0] : said
    },
    ...extra,
  })
  const obstaclesOf = async (runtime: object) => (await measure(runtime, folder, expected)).obstacles

  it('takes the first form that it runs rightly; what stands in the way of others is in its own words', async () => {
    const runtime = fake('basic', (form) => {
      if (form === 'functions') return new Error('a trace\nNo rule for `Foo`\n\n')
      return form === 'inline' ? `${lines} ` : lines
    })
    const measured = await measure(runtime, folder, expected)
    expect(measured).toEqual({
      inference: 0,
      training: expect.closeTo(0, 7),
      seconds: 0.1056,
      obstacles: [
        ['functions', "`No rule for 'Foo'`"],
        ['inline', 'its numbers are wrong (5e-1)'],
      ],
    })
    const complaint = /rule for\s+`\w+/
    expect(await obstaclesOf({ ...runtime, complaint })).toContainEqual(['functions', "`rule for 'Foo`"])
    const text = documentOf([{ runtime, measured }], { inline: 0.123, basic: 0.157 })
    expect(text).toContain('| Fake 1 | [Python](../examples/fake.py) | 0e+0 | ')
    expect(text).toContain(' | basic | 0.11 |\n')
    expect(text).toContain(
      "- Fake 1, local functions: `No rule for 'Foo'`\n- Fake 1, level standard: its numbers are wrong",
    )
    expect(text).toContain(
      'Level basic takes 0.16 s a step in ONNX Runtime for Node, where the standard one takes 0.12 s.',
    )
  })

  it('takes another network in another form, and none at all where none is right', async () => {
    const runtime = fake('inline', (form) => {
      if (form === 'functions') return new Error('no rule')
      return form === 'inline' ? `${lines} ` : lines
    })
    const foreign = await measureForeign(runtime, folder, expected)
    expect(foreign).toMatchObject({ inference: 0, training: expect.closeTo(0, 7), form: 'basic' })
    expect(foreign.obstacles).toEqual([
      ['functions', '`no rule`'],
      ['inline', 'its numbers are wrong (5e-1)'],
    ])
    const wrong = await measureForeign(
      fake('functions', () => `${lines} `),
      folder,
      expected,
    )
    expect(wrong).toMatchObject({ inference: 0, training: undefined, form: undefined })
    expect(wrong.obstacles).toHaveLength(3)
    const table = foreignTableOf([
      { runtime, foreign },
      { runtime, foreign: wrong },
    ])
    expect(table).toContain('| Fake 1 | 0e+0 | ')
    expect(table).toContain(' | basic |\n| Fake 1 | 0e+0 | no |  |')
    // An older build has a form of its own.
    expect(
      await measureForeign(
        fake('opset 13', () => lines),
        folder,
        expected,
      ),
    ).toMatchObject({ form: 'opset 13' })
  })

  it('that only predicts says why', async () => {
    const runtime = fake(undefined, () => lines, { refuses: async () => Promise.reject(new Error('no Size')) })
    const measured = await measure(runtime, folder, expected)
    expect(measured).toMatchObject({ inference: 0, training: undefined, seconds: undefined })
    expect(measured.obstacles.map(([, message]: string[]) => message)).toEqual(['`no Size`', '`no Size`', '`no Size`'])
    expect(tableOf([{ runtime, measured }])).toContain('| 0e+0 | no |  |  |')
  })

  it('that is wrong, or fails, is shown so', async () => {
    const runtime = fake('functions', () => `${lines} `)
    const measured = await measure(runtime, folder, expected)
    expect(tableOf([{ runtime, measured }])).toContain('| 0e+0 | **wrong** (5e-1) | functions |')
    expect(tableOf([{ runtime, measured: { ...measured, training: Number.NaN } }])).toContain(
      '**wrong** (other right answers)',
    )
    expect(tableOf([{ runtime, error: 'it broke' }])).toContain('| fails: it broke |')
  })
})

describe('docs/runtimes.md and docs/elsewhere.md', () => {
  const document = readFileSync(join(root, 'docs', 'runtimes.md'), 'utf8')
  const programs = readFileSync(join(root, 'docs', 'elsewhere.md'), 'utf8')

  it.each(runtimes.map((runtime) => [runtime.name, runtime] as const))('%s', (_, runtime) => {
    const { title, version, language, sample, form } = runtime
    const row = document.split('\n').find((line) => line.startsWith(`| ${title} ${version} | [${language}]`))
    expect(row).toContain(`(../examples/${sample})`)
    expect(row).toContain(form === undefined ? '| no |' : `| ${form} |`)
    expect(row).not.toMatch(/wrong|fails/)
    expect(existsSync(join(root, 'examples', sample))).toBe(true)
    expect(programs).toContain(`(../examples/${sample})`)
    // The table of the network that is not ours comes after, without the samples.
    const foreign = document.split('\n').findLast((line) => line.startsWith(`| ${title} ${version} | `))
    expect(foreign).toMatch(
      /^\|[^|]+\| (\d+e-\d+ \| (\d+e-\d+ \| \w[\w -]*|no \| )|\*\*wrong\*\* \(2e-1\) \| no \| ) \|$/,
    )
    expect(foreign).not.toContain('examples')
  })
})

describe('the command', () => {
  it('knows its runtimes', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'interop', 'main.mjs'), 'tensorflow'])
    const names = runtimes.map(({ name }) => name).join(', ')
    expect([status, String(stderr)]).toEqual([
      2,
      `interop: there is no runtime 'tensorflow'; expected some of ${names}\n`,
    ])
  })
})
