// rdm-paths count as a user runs it: what it prints, its JSON and pictures, and everything that it refuses.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { base } from '../../graphs/entry.js'
import { residualNetwork } from '../../graphs/residual.js'
import { budget } from '../../src/cli/paths/budget.js'
import { parameterCount } from '../../src/core/model/cost.js'
import { run, runAll } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-paths-'))
afterAll(() => rmSync(folder, { recursive: true }))

const count = (text: string) => run('rdm-paths', ['count', ...text.split(' ').filter((part) => part)])
function printed(text: string): string {
  const { code, out, err } = count(text)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
}
const whole = z.union([z.number().int(), z.string().regex(/^\d{16,}$/)]).transform(BigInt)

describe('one network', () => {
  const schema = z.strictObject({
    name: z.string(),
    block: z.string(),
    depth: z.number(),
    r: z.number(),
    functions: z.array(z.string()),
    parameters: z.number(),
    blocks: z.number(),
    edges: z.number(),
    layersPerFunction: z.number(),
    multiplicity: whole,
    meanFunctions: z.number(),
    lengths: z.array(z.strictObject({ functions: z.number(), layers: z.number(), paths: whole })),
    effective: z.strictObject({ from: z.number(), to: z.number(), paths: whole, share: z.number() }).nullable(),
  })

  it('of the zoo, for people', () => {
    const lines = printed('--arch rdm83 --range 30:33').split('\n')
    expect(lines.slice(0, 4)).toEqual([
      'rdm83: bottleneck blocks, 83 layers, r = 2 (111,001), 1,691,802 parameters',
      '27 blocks of 3 edges, 81 in all: 3^27 = 7,625,597,484,987 paths',
      'on average a path goes through 18.00 of 27 functions at most, 54.00 of 81 layers',
      '',
    ])
    expect(lines[4]).toBe('functions  layers              paths  share %')
    expect(lines[5]).toBe('        0       0                  1     0.00')
    // C(27, 11) · 2^11
    expect(lines.filter((line) => line.endsWith('effective'))).toEqual([
      '       10      30      8,638,755,840     0.11  effective',
      '       11      33     26,701,608,960     0.35  effective',
    ])
    expect(lines[32]).toBe('       27      81        134,217,728     0.00')
    expect(lines.slice(33)).toEqual(['', 'effective paths, of 30 to 33 layers: 35,340,364,800, 0.46 % of all', ''])
  })

  it('of the zoo, as JSON: exact beyond 2^53', () => {
    const text = printed('--arch preresnet110 --range 10:34 --json')
    expect(text).toContain('"multiplicity":"18014398509481984"')
    const result = schema.parse(JSON.parse(text))
    expect(result).toMatchObject({ depth: 110, r: 1, parameters: 1_730_554, blocks: 54, edges: 108, meanFunctions: 27 })
    expect(result.lengths).toHaveLength(55)
    expect(result.lengths[27]).toEqual({ functions: 27, layers: 54, paths: 1_946_939_425_648_112n })
    expect(result.lengths.reduce((sum, { paths }) => sum + paths, 0n)).toBe(2n ** 54n)
    const effective = result.lengths.filter(({ layers }) => layers >= 10 && layers <= 34)
    expect(result.effective!.paths).toBe(effective.reduce((sum, { paths }) => sum + paths, 0n))
    expect(result.effective!.share).toBeCloseTo(Number(result.effective!.paths) / 2 ** 54, 15)
  })

  it('of one’s own, with a picture', () => {
    const out = join(folder, 'own.svg')
    const text = printed(`--blocks 1,0002,1 --r 3 --relu-drop 1 --classes 100 --widths 4,4,8 --out ${out} --json`)
    const result = schema.parse(JSON.parse(text))
    expect(result).toMatchObject({ functions: ['11', '11', '01'], blocks: 4, multiplicity: 256n, effective: null })
    expect(result.lengths.map(({ paths }) => Number(paths))).toEqual([1, 12, 54, 108, 81])
    const shape = { block: 'basic' as const, blocks: [1, 2, 1], widths: [4, 4, 8], classes: 100 }
    const built = residualNetwork({ ...base, name: 'own', ...shape, functions: ['11', '11', '01'] })
    expect(result.parameters).toBe(parameterCount(built))
    expect(readFileSync(out, 'utf8')).toContain('4^4 = 256 paths')
  })

  it('with more paths than a table has room for', () => {
    const text = printed('--depth 1202')
    expect(text).toContain('600 blocks of 2 edges, 1,200 in all: 2^600 = 4.15e180 paths\n')
  })
})

describe('a budget', () => {
  const schema = z.strictObject({
    budget: z.strictObject({ kind: z.string(), limit: z.number() }),
    block: z.string(),
    layersPerFunction: z.number(),
    range: z.strictObject({ from: z.number(), to: z.number() }).nullable(),
    networks: z.array(
      z.strictObject({
        r: z.number(),
        blocks: z.number(),
        depth: z.number(),
        edges: z.number().optional(),
        parameters: z.number().optional(),
        full: z.boolean(),
        multiplicity: whole,
        rank: z.number(),
        effectivePaths: whole.nullable(),
        effectiveRank: z.number().nullable(),
      }),
    ),
  })

  it('of edges: the paper’s r = 2 comes first, and the picture has its curve', () => {
    const out = join(folder, 'edges.svg')
    const text = printed(`--budget edges=54 --out ${out}`)
    expect(text.split('\n').slice(0, 6)).toEqual([
      'basic blocks within 54 edges',
      'most paths: r = 2 (depth 38)',
      '',
      'rank   r  blocks  depth  edges  multiplicity',
      '   1   2      18     38     54   387,420,489',
      '   2   1      27     56     54   134,217,728',
    ])
    expect(readFileSync(out, 'utf8')).toContain('k^(54 / k)')
  })

  it('of parameters: the paper’s r = 1 comes first; ranked by effective paths too', () => {
    const result = schema.parse(JSON.parse(printed('--block bottleneck --budget params=1.7M --range 0:12 --json')))
    expect(result.budget).toEqual({ kind: 'params', limit: 1_749_999 })
    expect(result.networks[0]).toEqual({
      r: 1,
      blocks: 54,
      depth: 164,
      parameters: 1_703_290,
      full: true,
      multiplicity: 2n ** 54n,
      rank: 1,
      // C(54, 0) + … + C(54, 4)
      effectivePaths: 1n + 54n + 1431n + 24_804n + 316_251n,
      effectiveRank: 1,
    })
    const [, second] = result.networks
    expect(second).toMatchObject({ r: 2, depth: 83, parameters: 1_691_802, rank: 2, effectiveRank: 2 })
    const byEffective = [...result.networks].sort((a, b) => a.effectiveRank! - b.effectiveRank!)
    const counts = byEffective.map(({ effectivePaths }) => effectivePaths!)
    expect(counts.every((paths, i) => i === 0 || paths <= counts[i - 1]!)).toBe(true)
  })

  it('says all that share the first place, and with --all lists what leaves room', () => {
    const text = printed('--budget edges=8 --all')
    expect(text).toContain('most paths: r = 1 (depth 10), r = 3 (depth 6)\n')
    const { networks } = schema.parse(JSON.parse(printed('--budget edges=8 --all --json')))
    // Four networks of two edges a block, two of three, two of four, and one of five to eight each.
    expect(networks.map(({ r }) => r).sort()).toEqual([1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7])
    expect(networks.filter(({ full }) => full).map(({ r, blocks }) => [r, blocks])).toEqual([
      [1, 4],
      [3, 2],
      [7, 1],
    ])
  })

  it('says where no network has an effective path', () => {
    expect(printed('--budget edges=8 --range 3:3')).toContain('most effective paths, of 3 to 3 layers: none has any\n')
  })

  it('takes widths and classes', () => {
    const { networks } = schema.parse(JSON.parse(printed('--budget params=20000 --widths 4,8 --classes 100 --json')))
    const exported = run('rdm-paths', [
      ...['count', '--blocks', `${networks[0]!.blocks / 2},${networks[0]!.blocks / 2}`, '--widths', '4,8'],
      ...['--classes', '100', '--json'],
    ])
    expect(JSON.parse(exported.out).parameters).toBe(networks[0]!.parameters)
  })

  it.each([
    ['edges=54', 54],
    ['edges=1.5k', 1549],
    ['params=1.7M', 1_749_999],
    ['params=1.70M', 1_704_999],
    ['params=2M', 2_499_999],
    ['params=97k', 97_499],
    ['params=1.707418M', 1_707_418],
    ['params=0.5k', 549],
  ])('%s allows up to %i', (text, limit) => {
    expect(budget.parse(text)).toEqual({ kind: text.split('=')[0], limit })
  })
})

describe('bad input: one line, exit code 2, nothing on standard output', () => {
  const refusals: readonly (readonly [argv: string, message: RegExp])[] = [
    ['', /no network is given: name one with --arch \(see rdm-export --list\)/],
    ['--arch rdm57', /there is no network 'rdm57'; nearest are rdm56/],
    ['--arch rdm56 --range 34:10', /argument '34:10' is invalid. The range ends before it begins: write 10:34$/],
    [
      '--arch rdm56 --range 10',
      /argument '10' is invalid. Expected the least and the most layers of a path with a colon/,
    ],
    ['--arch rdm56 --range -1:4', /argument '-1:4' is invalid. Expected the least/],
    [
      '--arch rdm56 --range 10:55',
      /--range ends at 55 layers, but the longest path of rdm56 has 54: expected 0 to 54$/,
    ],
    [
      '--budget edges=54 --range 60:120',
      /--range ends at 120 layers, but the longest path of the networks that fit has 54: expected 0 to 54$/,
    ],
    ['--budget flops=3', /argument 'flops=3' is invalid. Expected edges=COUNT or params=COUNT, such as edges=54/],
    ['--budget 54', /argument '54' is invalid. Expected edges=COUNT or params=COUNT/],
    ['--budget edges=1.5', /argument 'edges=1.5' is invalid. Expected a whole number after edges=, such as 54, 97k or/],
    ['--budget params=-3', /argument 'params=-3' is invalid. Expected a whole number after params=/],
    [
      '--budget edges=1',
      /no network fits --budget edges=1: the smallest, one function a block and one block, takes 2$/,
    ],
    [
      '--budget params=50k',
      /no network fits --budget params=50499: the smallest, one function a block and 3 blocks, takes 77882$/,
    ],
    ['--budget edges=10001', /a budget of 10,001 edges is too large: expected at most 10,000$/],
    [
      '--budget params=100M',
      /100,499,999 parameters is too large: it allows more than 1000 residual functions a block or 1000 blocks a stage$/,
    ],
    [
      '--budget edges=54 --r 2',
      /--budget edges goes through networks by itself, and takes only --block with it: leave out --r$/,
    ],
    ['--budget params=1.7M --arch rdm56', /takes only --block, --widths, --classes with it: leave out --arch$/],
    ['--budget edges=54 --widths 4,4,8', /takes only --block with it: leave out --widths$/],
    ['--arch rdm56 --all', /--all goes with --budget: add it, or leave out --all$/],
    ['--arch rdm56 --out x.jpg', /--out x.jpg: expected a picture's name, which ends in .svg or .png$/],
    ['--budget edges=54 --out /no/such/x.svg', /cannot write .*x\.svg: its folder is not there/],
  ]

  it('all of it', () => {
    const printed = runAll(
      'rdm-paths',
      refusals.map(([text]) => ['count', ...text.split(' ').filter((part) => part)]),
    )
    refusals.forEach(([, message], i) => {
      expect(printed[i]).toMatch(/^2 rdm-paths: [^\n]+\n$/)
      expect(printed[i]!.trimEnd()).toMatch(message)
    })
  })

  it('in a process of its own: no picture', () => {
    const out = join(folder, 'none.svg')
    const { code, out: printedText, err } = count(`--arch rdm56 --range 10:55 --out ${out}`)
    expect([code, printedText]).toEqual([2, ''])
    expect(err).toMatch(/^rdm-paths: [^\n]+\n$/)
    expect(existsSync(out)).toBe(false)
  })

  it('no subcommand: help, and code 2', () => {
    const { code, err } = run('rdm-paths', [])
    expect(code).toBe(2)
    expect(err).toContain('count')
  })
})
