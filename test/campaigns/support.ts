import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The faults that the short form of a campaign finds. What a campaign has no types for. */
export async function faultsOf(name: string): Promise<readonly string[]> {
  const { campaigns } = await import('../../campaigns/campaigns.mjs' as string)
  const folder = mkdtempSync(join(tmpdir(), `rdm-campaign-${name}-`))
  try {
    const { rows, faults } = await campaigns[name].run({ short: true, seed: 1, folder, say: () => {} })
    if (rows.length === 0) throw new Error(`${name} did nothing`)
    return faults
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
