// bench/networks.mjs without what it compares with: what it says of itself.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const script = join(import.meta.dirname, '../../bench/networks.mjs')

test.each([
  ['--networks', 'lenet', "no network is called 'lenet'; there are resnet18; resnet18, frozen statistics; "],
  ['--contestants', 'jax', "no contestant is called 'jax'; there are ours portable; ours ort-cpu; torch contiguous; "],
])('%s %s', (option, value, message) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, option, value], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^[^\n]+\n$/)
  expect(stderr).toContain(message)
})
