// The pages about the paper: docs/experiment.md and docs/paths.md say what the commands print, and their commands run, at a smaller size.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { block, blocks, root, runCommands } from '../support/docs.js'
import { hasRedis, startRedis } from '../support/servers.js'

const run = promisify(execFile)
const EXPERIMENT = 'docs/experiment.md'
const PATHS = 'docs/paths.md'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rdm-docs-'))
  await runCommands(folder, 'npx rdm-data synth data/few --train 32 --test 16')
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** The plan that the page trains, of an epoch. */
async function writePlan(name: string, change = (text: string) => text): Promise<void> {
  const plan = await readFile(join(root, 'graphs', 'plans', 'small.yaml'), 'utf8')
  await writeFile(join(folder, name), change(plan.replace(/^epochs: .*/m, 'epochs: 1').replace(/^lr: .*/m, 'lr: 0.01')))
}

describe('docs/experiment.md', () => {
  it('lists the zoo as rdm-export does', async () => {
    const [listed] = (await blocks(EXPERIMENT, 'text')).filter((text) => text.startsWith('name '))
    const { stdout } = await run(process.execPath, [join(root, 'bin', 'rdm-export.js'), '--list'])
    expect(stdout).toBe(listed)
  })

  it('runs a plan, says where it stands and reports on it', async () => {
    await writePlan('small.yaml')
    const plan = await block(EXPERIMENT, 'sh', 'rdm-repro status runs/small\n')
    const stdout = await runCommands(folder, plan, [
      ['graphs/plans/small.yaml --data data/cifar-10-batches-bin', 'small.yaml --data data/few --target portable'],
    ])
    expect(stdout.match(/^\w+\/seed-\d +done +1 of 1 /gm)).toHaveLength(6)
    expect(stdout).toMatch(/^rdm8 +2 of 2 +\d+\.\d\d \(/m)
    await runCommands(folder, await block(EXPERIMENT, 'sh', 'rdm-report runs/small\n'))
    const page = await readFile(join(folder, 'runs', 'small', 'report', 'index.html'), 'utf8')
    for (const [, error] of stdout.matchAll(/^\w+8 +2 of 2 +(\d+\.\d\d \(.*?\))/gm))
      expect(page).toContain(`>${error}<`)
  }, 300_000)

  it('reports on several folders', async () => {
    await runCommands(
      folder,
      'npx rdm-export --depth 8 --widths 4,4,8 > one.onnx\n' +
        'npx rdm-fit one.onnx --data data/few --out runs/rdm8 --epochs 1 --batch 16 --target portable',
    )
    const stdout = await runCommands(folder, await block(EXPERIMENT, 'sh', '--out report'))
    expect(stdout).toMatch(/^all 7 runs have finished\nreport\/index\.html\n/)
  })

  it.runIf(hasRedis)(
    'trains a plan by a worker of a queue',
    async () => {
      await writePlan('tiny.yaml', (text) => text.replace('1..2', '1'))
      const redis = await startRedis(folder)
      try {
        const stdout = await runCommands(folder, await block(EXPERIMENT, 'sh', 'npx rdm-worker'), [
          ['graphs/plans/small.yaml --data data/cifar-10-batches-bin', 'tiny.yaml --data data/few --out runs/small'],
          ['runs/small', 'runs/queued'],
          ['redis://localhost:6379', redis.url],
          [/&.*/, '--target portable & trap "kill $$!" EXIT'],
        ])
        expect(stdout.match(/^\w+\/seed-1 +done +1 of 1 /gm)).toHaveLength(3)
      } finally {
        await redis.stop()
      }
    },
    300_000,
  )
})

describe('docs/paths.md', () => {
  it('counts paths as rdm-paths does', async () => {
    const [counted] = (await blocks(PATHS, 'text')).filter((text) => text.startsWith('basic blocks '))
    expect(await runCommands(folder, await block(PATHS, 'sh', '--budget params=1.7M'))).toBe(counted)
  })

  it('shows the picture that rdm-paths draws', async () => {
    await runCommands(folder, await block(PATHS, 'sh', '--out edges.svg'))
    const drawn = await readFile(join(folder, 'edges.svg'), 'utf8')
    expect(drawn).toBe(await readFile(join(root, 'docs', 'paths-edges.svg'), 'utf8'))
  })
})
