// rdm-paths measure and lesion as a user runs them: what they print of a trained model, and everything that they refuse.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { watched } from '../../src/cli/paths/measuring.js'
import { tensor } from '../../src/core/graph/tensor.js'
import { keys } from '../../src/core/model/metadata.js'
import { decodeModel, encodeModel, tensorToProto } from '../../src/core/onnx/tensors.js'
import { exportTiny, run, runAll, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-paths-trained-'))
afterAll(() => rmSync(root, { recursive: true }))

let data: string
let model: string

beforeAll(() => {
  data = synthesizeTiny(root)
  const first = exportTiny(root, '--functions', '11,01', '--gates')
  const out = join(root, 'run')
  const flags = ['--batch', '8', '--epochs', '1', '--threads', '1', '--target', 'portable']
  const fitted = run('rdm-fit', [first, '--data', data, '--out', out, ...flags])
  if (fitted.code !== 0) throw new Error(fitted.err)
  model = join(out, 'model.onnx')
})

function printed(...argv: string[]): string {
  const { code, out, err } = run('rdm-paths', [...argv, '--data', data, '--threads', '1'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
}

describe('measure', () => {
  it('gives the range of lengths, by all paths where there are few', () => {
    const out = join(root, 'gradient.svg')
    const argv = ['measure', model, '--images', '3', '--samples', '50', '--share', '0.6']
    const result = JSON.parse(printed(...argv, '--json', '--out', out))
    expect(result).toMatchObject({ blocks: 3, layersPerFunction: 2, multiplicity: 27, split: 'train', images: 3 })
    // 1, 6, 12 and 8 paths with three images.
    expect(result.lengths.map((length: { samples: number }) => length.samples)).toEqual([3, 18, 36, 24])
    const totals = result.lengths.map((length: { paths: number; gradient: number }) => length.paths * length.gradient)
    const all = totals.reduce((a: number, b: number) => a + b)
    result.lengths.forEach(({ share, layers }: { share: number; layers: number }, k: number) => {
      expect([share, layers]).toEqual([expect.closeTo(totals[k] / all, 12), 2 * k])
    })
    const { from, to, share, spread } = result.range
    const within = totals.slice(from / 2, to / 2 + 1).reduce((a: number, b: number) => a + b)
    expect(share).toBeCloseTo(within / all, 12)
    expect(share).toBeGreaterThanOrEqual(0.6)
    expect(spread).toEqual({ from: [from, from], to: [to, to], same: 1 })
    expect(readFileSync(out, 'utf8')).toContain(`paths of ${from} to ${to} layers (shaded)`)
    const text = printed(...argv)
    expect(text).toContain(`paths of ${from} to ${to} layers (--range ${from}:${to})`)
    expect(text).toContain('every path was taken with every image\n')
  })

  it('gives the same numbers for the same seed, with their spread', () => {
    const argv = ['measure', model, '--samples', '10', '--seed', '4']
    const text = printed(...argv)
    expect(text).toMatch(/ 3 {7}6 .* 10 .* ± \d\.\d\de-\d/)
    expect(text).toMatch(
      /in 95 % of bootstrap resamples it begins at \d to \d and ends at \d to \d layers; [\d.]+ % of/,
    )
    expect(printed(...argv)).toBe(text)
  })
})

describe('lesion', () => {
  it('gives the error without functions, as the gated file itself does', () => {
    const out = join(root, 'lesion.png')
    const result = JSON.parse(printed('lesion', model, '--counts', '6,1,6,2', '--samples', '3', '--json', '--out', out))
    expect([...readFileSync(out).subarray(1, 4)]).toEqual([...Buffer.from('PNG')])
    expect(result.removed.map(({ count, choices }: { count: number; choices: number }) => [count, choices])).toEqual([
      [1, 6],
      [2, 3],
      [6, 1],
    ])
    const evaluated = (gates: number[]) => {
      const path = join(root, 'gated.onnx')
      writeFileSync(
        path,
        changed((proto) => setInitializer(proto, 'function_gates', gates)),
      )
      return JSON.parse(run('rdm-eval', [path, '--data', data, '--threads', '1', '--json']).out).error
    }
    expect(result.error).toBe(evaluated([1, 1, 1, 1, 1, 1]))
    expect(result.removed[2].mean).toBe(evaluated([0, 0, 0, 0, 0, 0]))
    expect(result.alone[3]).toMatchObject({ block: 'stage2.block1', function: 'f2', mask: '01' })
    expect(result.alone[3].error).toBe(evaluated([1, 1, 1, 0, 1, 1]))
    expect(result.comparison.pairs).toHaveLength(3)
    const text = printed('lesion', model, '--counts', '1')
    expect(text).toContain('6 residual functions in 3 blocks (11,01); 20 test images\n')
    expect(text).toMatch(/^stage3\.block1 {2}[+−]\d/m)
    expect(text).toContain('(Wilcoxon signed-rank)')
  })
})

type Proto = ReturnType<typeof decodeModel>

/** The trained file after a change. */
function changed(change: (proto: Proto) => void): Uint8Array {
  const proto = decodeModel(readFileSync(model))
  change(proto)
  return encodeModel(proto)
}
function setInitializer(proto: Proto, name: string, values: readonly number[]): void {
  const initializer = proto.graph!.initializer!
  const at = initializer.findIndex((entry) => entry.name === name)
  const shape = initializer[at]!.dims!.map(Number)
  initializer[at] = tensorToProto(name, tensor('float32', shape, values))
}
function describeAs(proto: Proto, change: (architecture: Record<string, unknown>) => unknown): void {
  const entry = proto.metadataProps!.find(({ key }) => key === keys.architecture)!
  entry.value = JSON.stringify(change(JSON.parse(entry.value!)))
}

describe('bad input: one line, exit code 2, nothing on standard output', () => {
  it('all of it', () => {
    const broken = (name: string, change: (proto: Proto) => void): string => {
      const path = join(root, `${name}.onnx`)
      writeFileSync(path, changed(change))
      return path
    }
    const text = join(root, 'text.onnx')
    writeFileSync(text, 'no model')
    const other = (name: string, fields: Record<string, unknown>) =>
      broken(name, (proto) => describeAs(proto, (architecture) => ({ ...architecture, ...fields })))
    const measure = (path: string, ...more: string[]) => ['measure', path, '--data', data, ...more]
    const lesion = (...more: string[]) => ['lesion', model, '--data', data, ...more]
    const cases: readonly (readonly [argv: string[], message: RegExp])[] = [
      [['measure', model], /required option '--data <folder>' not specified$/],
      [measure(join(root, 'none.onnx')), /there is no file .*none\.onnx$/],
      [measure(text), /text\.onnx: this is not an ONNX model/],
      [measure(model, '--share', '2'), /argument '2' is invalid. Expected a number from 0.01 to 1$/],
      [measure(model, '--images', '41'), /--images 41 is more than the 40 images of .* \(--split train\)$/],
      [measure(model, '--out', 'x.jpg'), /--out x.jpg: expected a picture's name, which ends in .svg or .png$/],
      [
        measure(broken('bare', (proto) => proto.metadataProps.splice(0))),
        /bare.onnx: the model does not say what its residual functions are \(metadata 'rdm.architecture'\); expected a file/,
      ],
      [
        measure(broken('odd', (proto) => describeAs(proto, () => 3))),
        /odd.onnx: the model's metadata 'rdm.architecture' is broken: .*; export the model again$/,
      ],
      [
        measure(other('huge', { blocks: [1000, 1000, 1000] })),
        /huge.onnx: its architecture has 12000 convolutions, but the file has \d+ weights; export it anew$/,
      ],
      [
        measure(other('wide', { widths: [8, 4, 8] })),
        /wide.onnx: its architecture needs 'stem.weight', float32\[8, 3, 3, 3\], but the file has float32\[4,3,3,3\]; export/,
      ],
      [
        measure(other('more', { functions: ['11', '01', '11'] })),
        /needs 'stage1.block1.f3.bn1.scale', float32\[4\], but the file has none of that name; export it anew$/,
      ],
      [
        measure(other('masks', { functions: ['11', '11'] })),
        /masks.onnx: the network that its architecture \(.*\) describes gives other logits than the file, by [\d.e-]+: one/,
      ],
      [
        measure(broken('nan', (proto) => setInitializer(proto, 'classifier.bias', new Array(10).fill(Number.NaN)))),
        /nan.onnx: its logits are not finite: the training has diverged; train the model anew$/,
      ],
      [lesion('--counts', '1,7'), /--counts 7: the network has 6 residual functions; expected 1 to 6$/],
      [lesion('--counts', '0'), /--counts 0: the network has 6 residual functions; expected 1 to 6$/],
      [lesion('--counts', 'x'), /argument 'x' is invalid. Expected whole numbers with commas between them/],
    ]
    // A process that runs a script of no file opens no session: these two that need one have theirs.
    const apart = cases.filter(([argv]) => /masks|nan/.test(argv[1]!))
    const together = cases.filter((entry) => !apart.includes(entry))
    const results = runAll(
      'rdm-paths',
      together.map(([argv]) => argv),
    )
    for (const [argv] of apart) {
      const { code, out, err } = run('rdm-paths', argv)
      results.push(`${code} ${out}${err}`)
    }
    ;[...together, ...apart].forEach(([, message], i) => {
      expect(results[i]).toMatch(/^2 rdm-paths: [^\n]+\n$/)
      expect(results[i]!.trimEnd()).toMatch(message)
    })
  })

  it('gates for a part without the network', () => {
    for (const part of ['train', 'init']) {
      const { code, err } = run('rdm-export', ['--depth', '8', '--gates', '--part', part])
      expect([code, err]).toEqual([
        2,
        `rdm-export: --gates are for the network, and --part ${part} has none in it: leave one of them out\n`,
      ])
    }
  })
})

it('a signal stops long work after the batch', async () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const before = process.exitCode
  const aborted = await watched('paths', async ({ signal }) => {
    process.emit('SIGINT', 'SIGINT')
    return signal!.aborted
  })
  expect([aborted, process.exitCode]).toEqual([true, 130])
  expect(write.mock.calls.map(([text]) => text)).toEqual(['stopping after this batch; once more to stop at once\n'])
  write.mockRestore()
  process.exitCode = before
})
