// rdm-report as a user runs it: what it writes and where, again and again, and what it refuses.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planModel, writeExperiment, writeRun, writeSeeds } from '../study/report/support.js'
import { run, runAll } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-report-'))
afterAll(() => rmSync(root, { recursive: true }))

const path = (...parts: string[]) => join(root, ...parts)
const experiment = path('experiment')
const single = path('single')
const waiting = path('waiting')
const own = path('own')
const pictures = ['figure2.svg', 'figure2.png', 'figure2-log.svg', 'figure2-log.png']
const filesOf = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]))

const refusals: readonly (readonly [argv: readonly string[], message: string])[] = [
  [[single, experiment], 'where to? Several folders have no place in common: give one with --out'],
  [[path('none')], `there is no folder ${path('none')}`],
  [[own], `${own} holds nothing to report on: expected what rdm-repro or rdm-fit wrote, with a plan.json, `],
  [[path('seeds')], `${path('seeds')} holds no run that has begun and can be read`],
  [[single, '--out', own], `${join(own, 'index.html')} is no report: choose another folder with --out`],
  [[single, '--out', path('file')], `cannot write the report to ${path('file')}: `],
  [[], "missing required argument 'folders'"],
]

let printed: string
let first: Record<string, string>
/** What the commands of one process print, after that. */
let later: string[]

beforeAll(() => {
  const models = ['rdm56', 'rdm83'].map((name) => {
    const { config, ...rest } = planModel(name)
    return { ...rest, config: { ...config, epochs: 2 } }
  })
  const missing = ({ name }: { name: string }, seed: number) => name === 'rdm83' && seed === 2
  writeExperiment(experiment, 'mine', models, (model, seed) => (missing(model, seed) ? undefined : [0.5, 0.06]))
  writeExperiment(waiting, 'waiting', [planModel('rdm56')], () => undefined)
  writeRun(single, { testErrors: [0.6, 0.5], config: { epochs: 2 } })
  mkdirSync(own)
  writeFileSync(join(own, 'index.html'), '<p>mine</p>')
  writeFileSync(path('file'), '')
  writeSeeds(path('seeds'), [1])

  const { code, out, err } = run('rdm-report', [experiment])
  printed = `${code} ${out}${err}`
  first = filesOf(join(experiment, 'report'))
  later = runAll('rdm-report', [
    [experiment],
    [experiment, '--out', path('elsewhere')],
    [single, experiment, '--out', path('both')],
    [waiting],
    ...refusals.map(([argv]) => argv),
  ])
})

describe('a report', () => {
  it('is written into the folder that it is about, and says where', () => {
    const files = ['index.html', ...pictures]
    const lines = files.map((name) => `${join(experiment, 'report', name)}\n`)
    expect(printed).toBe(`0 3 of 4 runs have finished; 1 not begun\n${lines.join('')}`)
    expect(Object.keys(first).sort()).toEqual(files.sort())
  })

  it('has the same bytes each time, wherever it is written', () => {
    expect(later[0]).toBe(printed)
    expect(filesOf(join(experiment, 'report'))).toEqual(first)
    expect(filesOf(path('elsewhere'))).toEqual(first)
  })

  it('has Figure 2 as pictures', async () => {
    const { 'figure2.svg': svg, 'figure2-log.svg': log } = first
    for (const picture of [svg, log])
      for (const text of ['>mine<', '>rdm56<', '>rdm83<', '>epoch<', '>test error (%)<'])
        expect(picture).toContain(text)
    expect(svg).toContain('>0<')
    expect(log).not.toContain('>0<')
    const { width } = await sharp(join(experiment, 'report', 'figure2.png')).metadata()
    expect(width).toBe(1600)
  })

  it('is about several folders of any kind', () => {
    expect(later[2]).toMatch(/^0 4 of 5 runs have finished; 1 not begun\n/)
    expect(filesOf(path('both'))['index.html']).toContain('<title>single, mine</title>')
  })

  it('is there before anything has been trained, without pictures', () => {
    const page = join(waiting, 'report', 'index.html')
    expect(later[3]).toBe(`0 0 of 2 runs have finished; 2 not begun\n${page}\n`)
    const text = readFileSync(page, 'utf8')
    for (const part of ['No run has finished an epoch yet.', 'No times are on record.', 'not begun: seeds 1, 2'])
      expect(text).toContain(part)
  })

  it('has more to tell as the experiment goes on', () => {
    writeRun(join(experiment, 'rdm83/seed-2'), { testErrors: [0.4], config: { epochs: 2, seed: 2 } })
    const [standing] = runAll('rdm-report', [[experiment]])
    expect(standing).toMatch(/^0 3 of 4 runs have finished; 1 stopped\n/)
    expect(filesOf(join(experiment, 'report'))['index.html']).toContain('stopped: seed 2 (1 of 2 epochs)')
  })
})

it('refuses in a line what it cannot report on, or not there', () => {
  for (const [i, [, message]] of refusals.entries()) {
    const text = later[4 + i]
    expect(text).toMatch(/^2 rdm-report: [^\n]+\n$/)
    expect(text).toContain(message)
  }
  expect(readFileSync(join(own, 'index.html'), 'utf8')).toBe('<p>mine</p>')
})
