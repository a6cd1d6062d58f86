// The programs and commands of README.md and of the pages about networks really run, and print what the text says.
import { execFile } from 'node:child_process'
import { access, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { paperText, table1 } from '../../graphs/table1.js'
import { decodeModel } from '../../src/core/onnx/tensors.js'
import { operators, primitives } from '../../src/core/ops/index.js'
import { randomStream } from '../../src/core/random.js'
import { npy } from '../driver/data/support.js'
import {
  block,
  blocks,
  type Changes,
  fixture,
  isThere,
  root,
  runCommands,
  runProgram as runIn,
} from '../support/docs.js'

const run = promisify(execFile)
/** Columns that the regressor among the fixtures takes. */
const FEATURES = 6

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rdm-docs-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const runProgram = (source: string) => runIn(folder, source)
const inShell = (script: string, changes?: Changes) => runCommands(folder, script, changes)

describe('README.md', () => {
  it('trains by a loop that has nothing of ours', async () => {
    const printed = await runProgram(await block('README.md', 'js', 'graph('))
    const losses = [...printed.matchAll(/^step \d+: loss ([\d.]+)$/gm)].map(([, loss]) => Number(loss))
    expect(losses).toHaveLength(4)
    // The mean square of the sine itself is a half.
    expect(losses.at(-1)).toBeLessThan(0.05)
  })

  it('fine-tunes a network of somebody', async () => {
    await copyFile(fixture('resnet18.script.onnx'), join(folder, 'somebodys.onnx'))
    const random = randomStream(1, 'photos')
    for (const [place, name] of ['cat', 'dog'].entries()) {
      await mkdir(join(folder, 'photos', name), { recursive: true })
      for (let i = 0; i < 10; i++) {
        const pixels = Uint8Array.from(
          { length: 40 * 40 * 3 },
          (_, k) => (k % 3 === place ? 150 : 0) + random.below(100),
        )
        const image = sharp(pixels, { raw: { width: 40, height: 40, channels: 3 } })
        await image.png().toFile(join(folder, 'photos', name, `${i}.png`))
      }
    }
    const out = await inShell(await block('README.md', 'sh', 'somebodys.onnx'), [
      ['--out runs/mine', '--out runs/mine --epochs 1 --batch 8'],
    ])
    expect(out).toMatch(/^finished after 2 steps: test error/m)
    const { graph, trainingInfo } = decodeModel(await readFile(join(folder, 'trained.onnx')))
    expect(graph!.output).toHaveLength(1)
    expect(trainingInfo ?? []).toEqual([])
  }, 300_000)

  it('says of the paper’s networks what rdm-export and the table of errors say', async () => {
    const { stdout } = await run(process.execPath, [join(root, 'bin', 'rdm-export.js'), '--list'])
    const listed = stdout.split('\n').map((line) => line.split(/ {2,}/))
    const text = await readFile(join(root, 'README.md'), 'utf8')
    for (const [name, result] of table1) {
      const [, , ...rest] = listed.find(([first]) => first === name)!
      // Numbers at the right stand nearer to each other than words.
      const [depth, r, , parameters, , paths] = rest.join(' ').replaceAll(' × ', '×').trim().split(/ +/)
      const row = [`\`${name}\``, r, depth, parameters, paths, result.error.toFixed(2)]
      expect(text).toContain(`| ${row.join(' | ')} |`)
      expect(paperText(result)).toContain(row.at(-1))
    }
  })
})

describe('docs/dsl.md', () => {
  it('builds an architecture of its own and trains it', async () => {
    const source = await block('docs/dsl.md', 'js', "graph('separable'")
    const errors = (await runProgram(source)).match(/[\d.]+(?= % test error)/g)!.map(Number)
    expect(errors).toHaveLength(3)
    // Chance is 90 %.
    expect(errors.at(-1)).toBeLessThan(80)
  })

  it('trains by a loss and an optimizer of its own', async () => {
    const source = await block('docs/dsl.md', 'js', "graph('quantile'")
    const below = Number(/^(\d+) % of the test targets lie below$/m.exec(await runProgram(source))![1])
    expect(below).toBeGreaterThan(84)
    expect(below).toBeLessThan(96)
  })

  it.each([
    ['differentiates twice', 'Σ x³'],
    ['makes an operator of others', "name: 'Swish'"],
  ])('%s, with the numbers that it says', async (_, text) => {
    const source = await block('docs/dsl.md', 'js', text)
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
  const page = 'docs/finetune.md'
  const direction = '.venv/networks/rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx'

  // The network comes out of a Python package (test/support/realModels.sh).
  it.runIf(isThere(direction))(
    'pictures in folders, with fewer of them',
    async () => {
      await copyFile(join(root, direction), join(folder, 'direction.onnx'))
      // The package is there.
      const fetched = await block(page, 'sh', 'text-lines.mjs')
      await inShell(fetched, [
        [/^(pip|unzip) .*\n/, ''],
        [/60$/, '40'],
      ])
      const told = await inShell(await block(page, 'sh', 'direction.onnx --explain'))
      const [said] = await blocks(page, 'text')
      for (const line of said!.split('\n').filter((each) => each !== '…')) expect(told).toContain(line)
      const out = await inShell(await block(page, 'sh', '--lora 4'), [['--epochs 15', '--epochs 8']])
      const [, error] = /finished after 48 steps: test error ([\d.]+) %/.exec(out)!
      // Chance is 67 %.
      expect(Number(error)).toBeLessThan(40)
      expect(out.slice(out.indexOf('finished'))).toContain(`error ${error} %`)
      expect(await runProgram(await block(page, 'js', 'sorter'))).toMatch(/^(date|price|word)\n$/)
    },
    300_000,
  )

  it('a table, by the command line and by the library', async () => {
    await copyFile(fixture('sklearn_mlp_regressor.skl2onnx.onnx'), join(folder, 'regressor.onnx'))
    const rows = Array.from({ length: 200 }, (_, i) => {
      const values = Array.from({ length: FEATURES }, (_, k) => Math.sin(1.3 * i * (k + 1) + k))
      return [...values, values[0]! - 2 * values[1]! + 0.5].map((value) => value.toFixed(4)).join()
    })
    const names = Array.from({ length: FEATURES }, (_, k) => `f${k}`)
    await writeFile(join(folder, 'diabetes.csv'), `${[...names, 'progression'].join()}\n${rows.join('\n')}\n`)
    const out = await inShell(await block(page, 'sh', 'regressor.onnx'))
    const fits = [...out.matchAll(/^epoch +\d+\/40, .* test loss .* r2 (-?[\d.]+);/gm)].map(([, r2]) => Number(r2))
    expect(fits).toHaveLength(40)
    expect(fits.at(-1)).toBeGreaterThan(Math.max(0.9, fits[0]!))
    const losses = (await runProgram(await block(page, 'js', 'library.onnx')))
      .match(/(?<=^epoch \d: )[\d.]+$/gm)!
      .map(Number)
    expect(losses).toHaveLength(3)
    expect(losses[2]).toBeLessThan(losses[0]!)
  }, 300_000)
})

describe('docs/finetune.md, files of all kinds', () => {
  const page = 'docs/finetune.md'
  const withRuntime = '.interop/onnxruntime/bin/python'

  it('are looked at, and get another head', async () => {
    await copyFile(fixture('resnet18.script.onnx'), join(folder, 'resnet18.onnx'))
    await copyFile(fixture('mlp.script.onnx'), join(folder, 'mlp.onnx'))
    expect(await inShell(await block(page, 'sh', 'pets.onnx'))).toContain('It can be trained.')
    for (const name of ['pets.onnx', 'artifacts/checkpoint']) await access(join(folder, name))
  })

  it('get adapters, which are merged or written apart', async () => {
    await copyFile(fixture('bert.script.onnx'), join(folder, 'bert.onnx'))
    const [count, length] = [20, 8]
    const array = (name: string, columns: readonly number[], value: (i: number) => number) => {
      const size = [count, ...columns].reduce((a, b) => a * b)
      const data = BigInt64Array.from({ length: size }, (_, i) => BigInt(value(i)))
      const header = `{'descr': '<i8', 'fortran_order': False, 'shape': (${[count, ...columns].join()},), }`
      return writeFile(join(folder, 'reviews', `${name}.npy`), npy(header, new Uint8Array(data.buffer)))
    }
    await mkdir(join(folder, 'reviews'))
    await array('input_ids', [length], (i) => i % 60)
    await array('attention_mask', [length], () => 1)
    await array('labels', [], (i) => i % 3)
    const stdout = await inShell(await block(page, 'sh', 'merged.onnx'), [
      ['reviews.npz', 'reviews --epochs 1 --batch 8 --target portable'],
    ])
    expect(stdout).toMatch(/^finished after 2 steps/m)
    for (const name of ['merged.onnx', 'base.onnx', 'reviews.onnx_adapter']) await access(join(folder, name))
    if (!isThere(withRuntime)) return
    const feeds = `import numpy\nfeeds = {name: numpy.ones((1, ${length}), numpy.int64) for name in ["input_ids", "attention_mask"]}\n`
    await run(join(root, withRuntime), ['-c', `${feeds}${await block(page, 'python', 'LoraAdapter')}`], { cwd: folder })
  }, 300_000)
})

describe('npm start', () => {
  it('trains well below chance and says what it wrote', async () => {
    const { stdout } = await run(process.execPath, [join(root, 'dist', 'src', 'cli', 'start.js')], { cwd: folder })
    expect(Number(/finished after \d+ steps: test error ([\d.]+) %/.exec(stdout)![1])).toBeLessThan(50)
    for (const [file] of stdout.matchAll(/runs\/start\/\S+(?= {2,})/g)) await access(join(folder, file))
  }, 300_000)
})
