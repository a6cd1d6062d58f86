// The package as npm packs it, installed into an empty folder, without its optional peers. `npm run packed` tries more of it.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
// The dependencies come from the registry.
const isReachable =
  process.env.CI !== undefined ||
  (await run('npm', ['ping'], { cwd: root, timeout: 30_000 }).then(
    () => true,
    () => false,
  ))

it.runIf(isReachable)(
  'does all that a user does first, in this Node and in what else is installed',
  async () => {
    const { stdout } = await run(process.execPath, [join(root, 'tools', 'packed', 'main.mjs'), '--short']).catch(
      ({ stdout, stderr }: { stdout: string; stderr: string }) => expect.fail(`${stdout}${stderr}`),
    )
    const packages = Number(/without the optional peers: (\d+) packages/.exec(stdout)?.[1])
    expect(packages).toBeGreaterThan(20)
    for (const check of ['help', 'train', 'derive', 'report', 'core', 'loop', 'library'])
      expect(stdout).toMatch(new RegExp(`^  ${check}: (?!FAILED)`, 'm'))
    expect(stdout).not.toContain('FAILED')
  },
  900_000,
)
