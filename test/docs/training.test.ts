// The pages about training run, at a smaller size: the tutorial, data, steps for a processor, a GPU and other runtimes.
import { execFile } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomStream } from '../../src/core/random.js'
import { machineBlock } from '../support/blocks.js'
import { block, blocks, type Changes, root, runCommands, runProgram as runIn } from '../support/docs.js'
import { hasPython, python } from '../support/trainingBuilds.js'

/** Beside other work a command takes many seconds. */
const LONG = 300_000
const CIFAR = 'data/cifar-10-batches-bin'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rdm-docs-'))
  await inShell(`npx rdm-data synth ${CIFAR} --train 250 --test 50\nnpx rdm-data synth data/few --train 60 --test 40`)
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const inShell = (script: string, changes?: Changes) => runCommands(folder, script, changes)
const runProgram = (source: string) => runIn(folder, source)
const isPython = async (source: string) => (await promisify(execFile)(python, ['-c', source], { cwd: folder })).stdout

describe('docs/tutorial.md', () => {
  const page = 'docs/tutorial.md'

  it(
    'gives an example whose every command runs',
    async () => {
      const stdout = await inShell(await block(page, 'sh', 'rdm-data fetch cifar10'), [
        ['npx rdm-data fetch cifar10', ''],
        ['--epochs 5', '--epochs 2'],
      ])
      const fitted = /finished after 4 steps: test error ([\d.]+) %/.exec(stdout)
      // rdm-eval comes last and says the same number.
      expect(stdout.slice(fitted!.index).split(`${fitted![1]} %`).length).toBeGreaterThan(2)
      // Ten probabilities.
      expect(await runProgram(await block(page, 'js', 'probabilities'))).toMatch(/Float32Array\(10\)/)
      expect(await inShell(await block(page, 'sh', '--resume'))).toContain(`test error ${fitted![1]} %`)
    },
    LONG,
  )

  it('names the files of a run folder', async () => {
    const text = await readFile(join(root, page), 'utf8')
    const [, section] = /## What the run folder holds\n(.*?)\n## /s.exec(text)!
    const named = [...section!.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([\w.]+)`/g)])
    const files = (await readdir(join(folder, 'runs', 'rdm8'))).filter((name) => !name.startsWith('.'))
    expect(named.map(([, name]) => name).sort()).toEqual(files.sort())
  })

  it(
    'trains with several seeds',
    async () => {
      const stdout = await inShell(await block(page, 'sh', '--seeds 1..5'), [
        ['--train 2000 --test 1000', '--train 60 --test 40'],
        ['--widths 8,16,32', '--widths 4,4,8'],
        ['data/synth', 'data/seeds'],
        ['--seeds 1..5', '--seeds 1..2 --target portable'],
        ['--epochs 4', '--epochs 1'],
        ['0:0.02,1:0.1,3:0.01', '0.02'],
      ])
      expect(stdout).toMatch(
        /^seed {2}test error % {2}folder\n +1 .* runs\/five\/seed-1\n +2 .* runs\/five\/seed-2\nmedian /m,
      )
      await access(join(folder, 'runs', 'five', 'summary.json'))
    },
    LONG,
  )
})

describe('docs/training.md', () => {
  const page = 'docs/training.md'

  it(
    'writes steps of other losses and optimizers, and trains',
    async () => {
      const stdout = await inShell(await block(page, 'sh', '--optimizer adamw'), [
        ['--depth 8', '--depth 8 --widths 4,4,8'],
        ['--epochs 5', '--epochs 1 --target portable'],
      ])
      // 250 images in batches of 32.
      expect(stdout).toMatch(/^finished after 8 steps: test error/m)
      await access(join(folder, 'smooth.onnx'))
    },
    LONG,
  )

  it(
    'trains airbench94',
    async () => {
      const stdout = await inShell(await block(page, 'sh', '--arch airbench94'), [
        ['rdm-fit -', 'rdm-fit - --epochs 1 --batch 25 --steps 1 --target portable'],
        [CIFAR, 'data/few'],
      ])
      expect(stdout).toMatch(/^ended as asked after 1 steps/m)
    },
    LONG,
  )
})

describe('docs/data.md', () => {
  const page = 'docs/data.md'

  it(
    'shows what a data set is, and trains on the table',
    async () => {
      const random = randomStream(1, 'houses')
      const rows = Array.from({ length: 500 }, (_, i) => {
        const [area, rooms] = [40 + 120 * random.uniform(), 1 + random.below(6)]
        const side = i % 2 === 0 ? 'south' : 'north'
        return [area.toFixed(1), rooms, side, (0.02 * area + 0.1 * rooms).toFixed(3)].join()
      })
      await writeFile(join(folder, 'houses.csv'), `area,rooms,side,price\n${rows.join('\n')}\n`)
      const [said] = await blocks(page, 'text')
      expect(await inShell('npx rdm-data info houses.csv')).toBe(said)
      await runProgram(await block(page, 'js', 'columnStatistics'))
      const stdout = await inShell(await block(page, 'sh', '--input x=area,rooms'), [
        ['--out', '--epochs 1 --batch 50 --out'],
      ])
      expect(stdout.match(/^finished after 8 steps/gm)).toHaveLength(2)
    },
    LONG,
  )

  it('says how photos are augmented', async () => {
    const source = await block(page, 'js', 'random-resized-crop')
    const check =
      "import { photoAugmentation } from 'rdm-onnx'\nconsole.log(JSON.stringify([recipe.augment, photoAugmentation]))"
    const [shown, meant] = JSON.parse(await runProgram(`${source}\n${check}`))
    expect(shown).toEqual(meant)
  })
})

describe('steps for a machine', () => {
  /** The model of the tutorial. */
  const exported = () => inShell('npx rdm-export --depth 8 --functions 11,01 --widths 4,8,16 > rdm8.onnx')
  const small: Changes = [['--arch rdm56', '--depth 8 --widths 4,8,16']]

  it.runIf(machineBlock !== undefined)(
    'of docs/cpu.md are explained, profiled and written',
    async () => {
      await exported()
      const stdout = await inShell(await block('docs/cpu.md', 'sh', '--profile'), [
        ...small,
        [CIFAR, `${CIFAR} --batch 50`],
      ])
      expect(stdout).toMatch(/target ort-cpu/)
      expect(stdout).toMatch(/Conv/)
      expect((await readFile(join(folder, 'step.onnx'))).includes('com.microsoft.nchwc')).toBe(true)
    },
    LONG,
  )

  it(
    'of docs/gpu.md are explained and written',
    async () => {
      await exported()
      const webgpu = await inShell(await block('docs/gpu.md', 'sh', '--target ort-webgpu'), small)
      expect(webgpu).toMatch(/target ort-webgpu/)
      const cuda = await inShell(await block('docs/gpu.md', 'sh', '--target ort-cuda'), small)
      expect(cuda).toMatch(/target ort-cuda/)
      for (const name of ['step.onnx', 'steps.onnx']) await access(join(folder, name))
    },
    LONG,
  )
})

describe('other runtimes', () => {
  it(
    'docs/elsewhere.md: train by an example and by the loop in the text',
    async () => {
      const page = 'docs/elsewhere.md'
      const example = await block(page, 'sh', 'train-onnxruntime.mjs')
      const stdout = await inShell(example, [
        [/^(python|cargo) .*\n/, ''],
        ['--functions', '--widths 4,4,8 --functions'],
      ])
      expect(stdout.match(/^step \d+: loss [\d.]+, \d+ of 32 right, [\d.]+ s$/gm)).toHaveLength(10)
      expect(stdout).toMatch(/^infer\.onnx: \d+ of 32 right$/m)
      await access(join(folder, 'trained', 'stem.weight'))
      if (!hasPython) return
      const losses = (await isPython(await block(page, 'py', 'train.run('))).match(/(?<=: loss )[\d.]+/g)!.map(Number)
      expect(losses).toHaveLength(3)
      expect(losses[2]).toBeLessThan(losses[0]!)
    },
    LONG,
  )

  it(
    'docs/artifacts.md: the two programs print the same losses',
    async () => {
      const example = await block('docs/artifacts.md', 'sh', '--artifacts artifacts')
      const inPython: Changes = hasPython
        ? [['python examples/', `'${python}' '${root}examples'/`]]
        : [[/^python examples.*\n/, '']]
      const stdout = await inShell(example, [
        ['--widths 8,16,32', '--widths 4,4,8'],
        ['data/synth', 'data/artifacts'],
        ...inPython,
      ])
      const steps = stdout.match(/^step \d+: loss [\d.]+(?=,)/gm)!
      expect(steps).toHaveLength(hasPython ? 20 : 10)
      if (hasPython) expect(steps.slice(10)).toEqual(steps.slice(0, 10))
    },
    LONG,
  )

  it(
    'docs/training-builds.md: train, evaluate and export',
    async () => {
      const stdout = await inShell(await block('docs/training-builds.md', 'sh', '--runtime web-training'), [
        ['data/few', 'data/builds'],
        ['--train 500 --test 100', '--train 100 --test 40'],
        ['--widths 8,16,32', '--widths 4,8,8'],
        ['--arch rdm56', '--depth 8'],
        // Beside other tests the threads of the build wait for each other.
        ['--runtime web-training', '--runtime web-training --threads 1'],
      ])
      const fitted = /finished after 4 steps: test error ([\d.]+) %/.exec(stdout)
      expect(stdout.slice(fitted!.index)).toContain(`\nerror ${fitted![1]} % (`)
      expect((await readFile(join(folder, 'step.onnx'))).includes('BatchNormInternal')).toBe(true)
    },
    LONG,
  )
})
