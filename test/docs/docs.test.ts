// The programs and commands of README.md and docs/ really run, and print what the text says.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { access, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeModel } from '../../src/core/onnx/tensors.js'
import { operators, primitives } from '../../src/core/ops/index.js'
import { blocks, runProgram as runIn } from '../support/docs.js'
import { hasRedis, startRedis } from '../support/servers.js'

const run = promisify(execFile)
/** Columns that the regressor among the fixtures takes. */
const FEATURES = 6
const root = fileURLToPath(new URL('../..', import.meta.url))

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rdm-docs-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const runProgram = (source: string) => runIn(folder, source)

describe('docs/dsl.md', () => {
  it('builds an architecture of its own and trains it', async () => {
    const [source] = await blocks('docs/dsl.md', 'js')
    const errors = (await runProgram(source!)).match(/[\d.]+(?= % test error)/g)!.map(Number)
    expect(errors).toHaveLength(3)
    // Chance is 90 %.
    expect(errors.at(-1)).toBeLessThan(80)
  })

  it('trains by a loss and an optimizer of its own', async () => {
    const [, source] = await blocks('docs/dsl.md', 'js')
    const below = Number(/^(\d+) % of the test targets lie below$/m.exec(await runProgram(source!))![1])
    expect(below).toBeGreaterThan(84)
    expect(below).toBeLessThan(96)
  })

  it.each([
    ['differentiates twice', 2],
    ['makes an operator of others', 3],
  ])('%s, with the numbers that it says', async (_, index) => {
    const source = (await blocks('docs/dsl.md', 'js'))[index]!
    expect(await runProgram(source)).toContain(/\/\/ (\[ .*)$/m.exec(source)![1]!)
  })
})

describe('docs/model-file.md', () => {
  const readFileOf = async (...argv: string[]) => {
    const path = join(folder, 'described.onnx')
    const bin = join(root, 'bin', 'rdm-export.js')
    await run(process.execPath, [bin, '--depth', '8', '--widths', '4,4,4', ...argv, '--out', path])
    return decodeModel(await readFile(path))
  }

  it('lists every function that a file can have, but for optimizers', async () => {
    const text = await readFile(join(root, 'docs', 'model-file.md'), 'utf8')
    const [, section] = /## Functions\n(.*?)\n## /s.exec(text)!
    const [first, second] = section!.split('The others are composites').map((part) => {
      return [...part.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!).sort()
    })
    const own = operators.filter(({ domain }) => domain === 'rdm.training').map(({ name }) => name)
    expect(first).toEqual(Object.keys(primitives).sort())
    expect([...first!, ...second!].sort()).toEqual([...own].sort())
  })

  it('shows the roles of a file', async () => {
    const [json] = await blocks('docs/model-file.md', 'json')
    const { statistics, ...shown } = JSON.parse(json!)
    const model = await readFileOf()
    const said = JSON.parse(model.metadataProps!.find(({ key }) => key === 'rdm.signature')!.value!)
    expect(said).toMatchObject(shown)
    expect(said.statistics).toEqual(expect.arrayContaining(statistics))
  })

  it('names the keys of the parts', async () => {
    const text = await readFile(join(root, 'docs', 'model-file.md'), 'utf8')
    const rows = [...text.matchAll(/^\| `(rdm\.\w+)` \| (.*?) \|/gm)]
    for (const part of ['all', 'train', 'init', 'infer']) {
      const keys = (await readFileOf('--part', part)).metadataProps!.map(({ key }) => key!)
      const said = rows.flatMap(([, key, where]) => {
        const has =
          /^all parts/.test(where!) || (where === 'all but `init`' ? part !== 'init' : where!.includes(`\`${part}\``))
        return has ? [key!] : []
      })
      expect([...keys].sort(), part).toEqual([...said].sort())
    }
  })
})

describe('docs/finetune.md', () => {
  const commands = (text: string) =>
    text.replace(/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`)
  const inShell = async (text: string) => (await run('bash', ['-euc', commands(text)], { cwd: folder })).stdout
  const direction = join(root, '.venv/networks/rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx')

  // The network comes out of a Python package (test/support/realModels.sh).
  it.runIf(existsSync(direction) || process.env.CI !== undefined)(
    'pictures in folders, with fewer of them',
    async () => {
      const [fetched, explain, train] = await blocks('docs/finetune.md', 'sh')
      await copyFile(direction, join(folder, 'direction.onnx'))
      const [draw] = fetched!.split('\n').filter((line) => line.startsWith('node '))
      await inShell(draw!.replace('examples', `'${join(root, 'examples')}'`).replace(/60$/, '40'))
      const told = await inShell(explain!)
      const [said] = await blocks('docs/finetune.md', 'text')
      for (const line of said!.split('\n').filter((each) => each !== '…')) expect(told).toContain(line)
      const out = await inShell(train!.replace('--epochs 15', '--epochs 8'))
      const [, error] = /finished after 48 steps: test error ([\d.]+) %/.exec(out)!
      // Chance is 67 %.
      expect(Number(error)).toBeLessThan(40)
      expect(out.slice(out.indexOf('finished'))).toContain(`error ${error} %`)
      const [source] = await blocks('docs/finetune.md', 'js')
      expect(await runProgram(source!)).toMatch(/^(date|price|word)\n$/)
    },
    300_000,
  )

  it('a table, by the command line and by the library', async () => {
    const train = (await blocks('docs/finetune.md', 'sh')).find((block) => block.includes('regressor.onnx'))!
    const [, library] = await blocks('docs/finetune.md', 'js')
    const fixture = join(root, 'test', 'fixtures', 'networks', 'sklearn_mlp_regressor.skl2onnx.onnx')
    await copyFile(fixture, join(folder, 'regressor.onnx'))
    const rows = Array.from({ length: 200 }, (_, i) => {
      const values = Array.from({ length: FEATURES }, (_, k) => Math.sin(1.3 * i * (k + 1) + k))
      return [...values, values[0]! - 2 * values[1]! + 0.5].map((value) => value.toFixed(4)).join()
    })
    const names = Array.from({ length: FEATURES }, (_, k) => `f${k}`)
    await writeFile(join(folder, 'diabetes.csv'), `${[...names, 'progression'].join()}\n${rows.join('\n')}\n`)
    const out = await inShell(train)
    const fits = [...out.matchAll(/^epoch +\d+\/40, .* test loss .* r2 (-?[\d.]+);/gm)].map(([, r2]) => Number(r2))
    expect(fits).toHaveLength(40)
    expect(fits.at(-1)).toBeGreaterThan(Math.max(0.9, fits[0]!))
    const losses = (await runProgram(library!)).match(/(?<=^epoch \d: )[\d.]+$/gm)!.map(Number)
    expect(losses).toHaveLength(3)
    expect(losses[2]).toBeLessThan(losses[0]!)
  }, 120_000)
})

describe('README.md', () => {
  it('lists the zoo as rdm-export does', async () => {
    const [listed] = (await blocks('README.md', 'text')).filter((block) => block.startsWith('name '))
    const { stdout } = await run(process.execPath, [join(root, 'bin', 'rdm-export.js'), '--list'])
    expect(stdout).toBe(listed)
  })

  it('counts paths as rdm-paths does', async () => {
    const [counted] = (await blocks('README.md', 'text')).filter((block) => block.startsWith('basic blocks '))
    const [line] = (await blocks('README.md', 'sh')).filter((block) =>
      block.startsWith('npx rdm-paths count --budget p'),
    )
    const argv = line!.trim().split(' ').slice(2)
    const { stdout } = await run(process.execPath, [join(root, 'bin', 'rdm-paths.js'), ...argv])
    expect(stdout).toBe(counted)
  })

  it('shows the picture that rdm-paths draws', async () => {
    const out = join(folder, 'edges.svg')
    const argv = ['count', '--budget', 'edges=54', '--out', out]
    await run(process.execPath, [join(root, 'bin', 'rdm-paths.js'), ...argv])
    expect(await readFile(out, 'utf8')).toBe(await readFile(join(root, 'docs', 'paths-edges.svg'), 'utf8'))
  })

  it('runs a plan, says where it stands and reports on it, at a smaller size', async () => {
    const [example, report] = (await blocks('README.md', 'sh')).filter((block) => /^npx rdm-rep(ro|ort)/.test(block))
    const plan = await readFile(join(root, 'graphs', 'plans', 'small.yaml'), 'utf8')
    await writeFile(
      join(folder, 'small.yaml'),
      plan.replace(/^epochs: .*/m, 'epochs: 1').replace(/^lr: .*/m, 'lr: 0.01'),
    )
    const small: readonly (readonly [string | RegExp, string])[] = [
      ['graphs/plans/small.yaml --data data/cifar-10-batches-bin', 'small.yaml --data data/repro --target portable'],
      [/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`],
    ]
    const script = small.reduce((text, [from, to]) => text.replace(from, to), `${example}${report}`)
    expect(script).not.toContain('npx')
    await run(
      process.execPath,
      [join(root, 'bin', 'rdm-data.js'), 'synth', 'data/repro', '--train', '32', '--test', '16'],
      {
        cwd: folder,
      },
    )
    const { stdout } = await run('bash', ['-euc', script], { cwd: folder })
    expect(stdout.match(/^\w+\/seed-\d +done +1 of 1 /gm)).toHaveLength(6)
    expect(stdout).toMatch(/^rdm8 +2 of 2 +\d+\.\d\d \(/m)
    const page = await readFile(join(folder, 'runs', 'small', 'report', 'index.html'), 'utf8')
    for (const [, error] of stdout.matchAll(/^\w+8 +2 of 2 +(\d+\.\d\d \(.*?\))/gm))
      expect(page).toContain(`>${error}<`)
  }, 300_000)

  it('trains, evaluates and exports for the training builds, at a smaller size', async () => {
    const [example] = (await blocks('README.md', 'sh')).filter((block) => block.includes('--runtime web-training'))
    const small: readonly (readonly [string | RegExp, string])[] = [
      ['--train 500 --test 100', '--train 100 --test 40'],
      ['--widths 8,16,32', '--widths 4,8,8'],
      ['--arch rdm56', '--depth 8'],
      // Beside other tests the threads of the build wait for each other.
      [/--runtime web-training/g, '--runtime web-training --threads 1'],
      [/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`],
    ]
    const script = small.reduce((text, [from, to]) => text.replace(from, to), example!)
    expect(script).not.toContain('npx')
    const { stdout } = await run('bash', ['-euc', script], { cwd: folder })
    const fitted = /finished after 4 steps: test error ([\d.]+) %/.exec(stdout)
    expect(stdout.slice(fitted!.index)).toContain(`\nerror ${fitted![1]} % (`)
    expect((await readFile(join(folder, 'step.onnx'))).includes('BatchNormInternal')).toBe(true)
  })

  it.runIf(hasRedis)(
    'trains a plan by a worker of a queue, at a smaller size',
    async () => {
      const [example] = (await blocks('README.md', 'sh')).filter((block) => block.startsWith('npx rdm-worker'))
      const plan = await readFile(join(root, 'graphs', 'plans', 'small.yaml'), 'utf8')
      const tiny = plan
        .replace(/^epochs: .*/m, 'epochs: 1')
        .replace(/^lr: .*/m, 'lr: 0.01')
        .replace('1..2', '1')
      await writeFile(join(folder, 'tiny.yaml'), tiny)
      const redis = await startRedis(folder)
      const small: readonly (readonly [string | RegExp, string])[] = [
        ['graphs/plans/small.yaml --data data/cifar-10-batches-bin', 'tiny.yaml --data data/worker --out runs/small'],
        [/runs\/small/g, 'runs/queued'],
        [/redis:\/\/localhost:6379/g, redis.url],
        ['&', '--target portable & trap "kill $!" EXIT'],
        [/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`],
      ]
      const script = small.reduce((text, [from, to]) => text.replace(from, to), example!)
      expect(script).not.toContain('npx')
      const synth = ['synth', 'data/worker', '--train', '32', '--test', '16']
      await run(process.execPath, [join(root, 'bin', 'rdm-data.js'), ...synth], { cwd: folder })
      try {
        const { stdout } = await run('bash', ['-euc', script], { cwd: folder })
        expect(stdout.match(/^\w+\/seed-1 +done +1 of 1 /gm)).toHaveLength(3)
      } finally {
        await redis.stop()
      }
    },
    300_000,
  )

  it('trains by an example of a runtime', async () => {
    const [example] = (await blocks('README.md', 'sh')).filter((block) => block.includes('train-onnxruntime.mjs'))
    const lines = example!.split('\n').filter((line) => !/^(python|cargo) /.test(line))
    const script = lines
      .join('\n')
      .replace(/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`)
      .replace('--functions', '--widths 4,4,8 --functions')
      .replaceAll('data/synth', 'data/example')
      .replace('node examples', `node ${join(root, 'examples')}`)
    const { stdout } = await run('bash', ['-euc', script], { cwd: folder })
    expect(stdout.match(/^step \d+: loss [\d.]+, \d+ of 32 right, [\d.]+ s$/gm)).toHaveLength(10)
    expect(stdout).toMatch(/^infer\.onnx: \d+ of 32 right$/m)
    await access(join(folder, 'trained', 'stem.weight'))
  }, 120_000)

  it('gives an example whose every command runs, at a smaller size', async () => {
    const example = (await blocks('README.md', 'sh')).find((block) => block.includes('rdm-data fetch cifar10'))!
    const small: readonly (readonly [string | RegExp, string])[] = [
      ['npx rdm-data fetch cifar10', 'npx rdm-data synth data/cifar-10-batches-bin --train 250 --test 50'],
      [/--epochs 5/, '--epochs 2'],
      [/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`],
    ]
    const script = small.reduce((text, [from, to]) => text.replace(from, to), example)
    expect(script).not.toContain('npx')
    const { stdout } = await run('bash', ['-euc', script], { cwd: folder })
    const fitted = /finished after 4 steps: test error ([\d.]+) %/.exec(stdout)
    // rdm-eval comes last and says the same number.
    expect(stdout.slice(fitted!.index).split(`${fitted![1]} %`).length).toBeGreaterThan(2)
    const [source] = await blocks('README.md', 'js')
    // Ten probabilities.
    expect(await runProgram(source!)).toMatch(/Float32Array\(10\)/)
  })

  it('reports on several folders', async () => {
    const line = (await blocks('README.md', 'sh')).find((block) => /^npx rdm-report .*--out/.test(block))!
    const argv = line.trim().split(' ').slice(2)
    const { stdout } = await run(process.execPath, [join(root, 'bin', 'rdm-report.js'), ...argv], { cwd: folder })
    expect(stdout).toMatch(/^all 7 runs have finished\nreport\/index\.html\n/)
  })
})

describe('npm start', () => {
  it('trains well below chance and says what it wrote', async () => {
    const { stdout } = await run(process.execPath, [join(root, 'dist', 'src', 'cli', 'start.js')], { cwd: folder })
    expect(Number(/finished after \d+ steps: test error ([\d.]+) %/.exec(stdout)![1])).toBeLessThan(50)
    for (const [file] of stdout.matchAll(/runs\/start\/\S+(?= {2,})/g)) await access(join(folder, file))
  }, 300_000)
})
