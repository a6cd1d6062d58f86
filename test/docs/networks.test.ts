// docs/networks.md: networks of others, derived by rdm-derive, take three steps as in their own libraries (conformance/exports.py;
// NAME.training.json says how each was trained), and are fine-tuned.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
const fixtures = join(root, 'test', 'fixtures', 'networks')
const main = (...argv: string[]) =>
  run(process.execPath, [join(root, 'conformance', 'training', 'main.mjs'), ...argv]).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`${stdout}${stderr}`)
    },
  )

const files = readdirSync(fixtures)
const trained = files.flatMap((file) => /^(.+)\.training\.json$/.exec(file)?.[1] ?? [])
// The published ones have no file here; the named one is another file of a network that is there.
const networks = [...trained, 'sklearn_mlp_named'].filter((name) =>
  files.some((file) => file.startsWith(`${name}.`) && file.endsWith('.onnx')),
)

describe('three steps', () => {
  it('are of all networks', () => {
    expect(networks.length).toBeGreaterThan(24)
  })

  it.each(networks)(
    '%s: losses and weights are those of its library, and the page says so',
    async (name) => {
      const { stdout } = await main('--check', `^${name}$`)
      const rows = stdout.split('\n').filter((line) => line.startsWith(`| ${name} |`))
      expect(rows).toHaveLength(files.filter((file) => file.startsWith(`${name}.`) && file.endsWith('.onnx')).length)
    },
    120_000,
  )
})

it('a network is fine-tuned by the commands of the page', async () => {
  const { stdout } = await main('^mlp$')
  const losses = /\| mlp \| PyTorch \| smooth \|[^|]*\| ([\d.]+) \| ([\d.]+) \|/.exec(stdout)!.slice(1).map(Number)
  expect(losses[1]!).toBeLessThan(losses[0]! / 10)
}, 120_000)

it('every fine-tuning of the page makes the loss smaller', () => {
  const page = readFileSync(join(root, 'docs', 'networks.md'), 'utf8')
  const rows = [...page.matchAll(/^\| (\w+) \|.*\| ([\d.e-]+)(?: \(.*?\))? \| ([\d.e-]+)(?: \(.*?\))? \| \d+ \|$/gm)]
  expect(rows.length).toBeGreaterThan(27)
  for (const [, name, before, after] of rows) expect(Number(after), name).toBeLessThan(Number(before))
})
