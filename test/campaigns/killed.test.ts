import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

// JavaScript that no types describe.
const { killed } = await import('../../campaigns/killed.mjs' as string)

test('commands that are killed at drawn moments end in the same bytes, and leave no half file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-killed-'))
  const { rows, faults } = await killed.run({ short: true, seed: 1, folder, say: () => {} })
  expect(faults).toEqual([])
  expect(rows.length).toBeGreaterThan(5)
  rmSync(folder, { recursive: true })
}, 900_000)
