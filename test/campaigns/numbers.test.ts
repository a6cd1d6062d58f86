import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

// JavaScript that no types describe.
const { run } = await import('../../campaigns/numbers.mjs' as string)

test('numbers at the edge train as in float64, or are refused in a line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-campaign-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { rows, faults } = await run({ short: true, seed: 1, folder, say: () => {} })
  expect(faults).toEqual([])
  expect(rows.length).toBeGreaterThan(3)
}, 600_000)
