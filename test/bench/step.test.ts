// `npm run bench` at small size: it starts every way of ours, compares their losses and prints the table.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const script = join(import.meta.dirname, '../../bench/step.mjs')

test('our steps, by all targets of a CPU and the one for a GPU', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-bench-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const names = ['ours portable', 'ours ort-cpu', 'ours ort-cuda']
  const size = [
    '--arch',
    'rdm56',
    '--blocks',
    '1,1,1',
    '--batch',
    '8',
    '--threads',
    '1',
    '--rounds',
    '1',
    '--starts',
    '1',
  ]
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...size, '--contestants', names.join(',')], {
    encoding: 'utf8',
    env: { ...process.env, RESULTS: folder },
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const name of names)
    expect(stdout).toMatch(new RegExp(`^${name} +losses 2\\.\\d+ 2\\.\\d+ 2\\.\\d+, off by \\d`, 'm'))
  expect(stdout).toMatch(/ms a step +quartiles +× ours +GFLOP\/s +peak memory/)
  const { results } = JSON.parse(readFileSync(join(folder, 'step-rdm56-1-1-1.json'), 'utf8'))
  expect(results.map(({ name }: { name: string }) => name)).toEqual(names)
})
