import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

// JavaScript that no types describe.
const { disk } = await import('../../campaigns/disk.mjs' as string)

test('full disks, folders that go away, clocks that go backwards and several writers lose nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-disk-'))
  const { rows, faults } = await disk.run({ short: true, seed: 1, folder, say: () => {} })
  expect(faults).toEqual([])
  expect(rows.length).toBeGreaterThan(5)
  rmSync(folder, { recursive: true })
}, 900_000)
