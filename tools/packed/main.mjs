// npm run packed [-- FOLDER]: packs the package, installs it into empty folders with and without its optional peers, and tries it
// there in Node 20, 22 and 24, Deno and Bun. The tarball that passed lies in FOLDER (the current one unless given): publish that.
// With --short it is without the peers, in this Node and what an earlier call installed, and keeps no tarball.
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { checksOf, types } from './checks.mjs'
import { install, installRuntimes, needless, pack, runtimes } from './package.mjs'

const argv = process.argv.slice(2)
const short = argv.includes('--short')
const destination = resolve(argv.find((text) => !text.startsWith('--')) ?? '.')
const folder = await mkdtemp(join(tmpdir(), 'rdm-packed-'))
let failed = 0

async function attempt(what, check) {
  const begin = performance.now()
  const said = await check().catch((error) => {
    failed++
    return `FAILED: ${error.message}`
  })
  console.log(`  ${what}: ${said ?? 'ok'} (${((performance.now() - begin) / 1000).toFixed(1)} s)`)
}

try {
  const { file, size, unpackedSize, paths } = await pack(folder)
  console.log(
    `${basename(file)}: ${(size / 1e6).toFixed(1)} MB, ${(unpackedSize / 1e6).toFixed(1)} MB unpacked, ${paths.length} files`,
  )
  await attempt('no needless files', async () => {
    const found = needless(paths)
    if (found.length > 0) throw new Error(found.slice(0, 10).join(', '))
  })
  if (!short) await installRuntimes()
  for (const peers of short ? [false] : [false, true]) {
    const installed = await install(join(folder, peers ? 'with-peers' : 'alone'), file, { peers })
    const scripts = installed.scripts.join(', ') || 'none'
    console.log(
      `${peers ? 'with' : 'without'} the optional peers: ${installed.packages} packages, ${installed.megabytes} MB`,
    )
    console.log(`  install scripts that did not run: ${scripts}`)
    await attempt('types, nodenext and bundler', () => types(installed))
    for (const runtime of await runtimes()) {
      if (peers && runtime.kind !== 'node') continue
      console.log(runtime.name)
      for (const [name, check] of Object.entries(checksOf(runtime, installed)))
        await attempt(name, () => check(installed, runtime))
    }
  }
  if (failed > 0) console.log(`${failed} checks failed`)
  else if (!short) {
    await copyFile(file, join(destination, basename(file)))
    console.log(`everything passed: ${join(destination, basename(file))}`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1
