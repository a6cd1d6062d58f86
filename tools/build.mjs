// Compiles src and graphs into dist when dist is missing or older than they are, and bundles the script of a report's page and the
// page of rdm-lab.
// The output appears whole, by a rename, so that two commands of one pipe (`rdm-export … | rdm-fit -`) may both arrive here first.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const stamp = join(dist, 'src', 'index.js')

const sources = (folder) =>
  readdirSync(join(root, folder), { recursive: true }).map((name) => join(root, folder, String(name)))

const areOlder = (paths, time) => paths.every((path) => statSync(path).mtimeMs <= time)

/** True when dist holds the compiled form of the sources as they are now. */
export function upToDate() {
  if (!existsSync(stamp)) return false
  const built = statSync(stamp).mtimeMs
  const inputs = [
    ...sources('src'),
    ...sources('graphs'),
    join(root, 'tsconfig.build.json'),
    join(root, 'tsconfig.json'),
    join(root, 'tools', 'lab.mjs'),
    // What the page's script is bundled from comes in other versions.
    join(root, 'package-lock.json'),
  ]
  return areOlder(inputs, built)
}

const notice =
  '/*! Holds Apache ECharts (Apache License 2.0, https://echarts.apache.org), ' +
  'ZRender (BSD 3-Clause, Copyright (c) 2017, Baidu Inc.) and tslib (0BSD). */'

/** What a page runs has to be one file. */
async function bundlePage(file) {
  const { build } = await import('rolldown')
  await build({
    input: join(root, 'src', 'study', 'report', 'script', 'main.ts'),
    output: { file, format: 'iife', minify: true, banner: notice },
    // Sources import each other by the names of their compiled form.
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    platform: 'browser',
    logLevel: 'warn',
  })
}

/**
 * What a page imports, and its worker: modules without names of packages, for neither a worker nor an import map knows them. They
 * share what they have in common. Only onnxruntime-web stays outside.
 */
async function bundleWeb(dir) {
  const { build } = await import('rolldown')
  const web = join(root, 'src', 'web')
  await build({
    input: {
      index: join(web, 'index.ts'),
      worker: join(web, 'worker.ts'),
      gpuWorker: join(web, 'gpuWorker.ts'),
      core: join(root, 'src', 'core', 'index.ts'),
    },
    output: { dir, format: 'esm', minify: true, chunkFileNames: '[name].js' },
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    external: /^onnxruntime-web/,
    platform: 'browser',
    logLevel: 'warn',
  })
}

/** The page of rdm-lab; the one that is there serves again where nothing has changed of what it is made of. */
async function bundleLab(folder) {
  const before = join(dist, 'lab')
  const inputs = ['core', 'driver', 'study', 'web', 'lab'].flatMap((floor) => sources(join('src', floor)))
  inputs.push(...sources('graphs'), join(root, 'tools', 'lab.mjs'), join(root, 'package-lock.json'))
  if (existsSync(before) && areOlder(inputs, statSync(join(before, 'index.html')).mtimeMs))
    return cpSync(before, folder, { recursive: true, preserveTimestamps: true })
  const started = new Date()
  const { buildLab } = await import('./lab.mjs')
  await buildLab(folder)
  utimesSync(join(folder, 'index.html'), started, started)
}

/** Compiles if needed; returns false, with the compiler's words on standard error, when the sources do not compile. */
export async function build() {
  if (upToDate()) return true
  const started = new Date()
  const fresh = mkdtempSync(join(root, 'dist.'))
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    if (!existsSync(tsc)) {
      process.stderr.write('The TypeScript compiler is not installed: run `npm ci` first.\n')
      return false
    }
    const compile = async (project, ...more) => {
      const command = [tsc, '-p', join(root, project), '--outDir', fresh, ...more]
      const [code] = await once(spawn(process.execPath, command, { stdio: ['ignore', 2, 2] }), 'exit')
      return code === 0
    }
    const web = () => compile(join('src', 'web'), '--declaration', '--emitDeclarationOnly')
    const [compiled] = await Promise.all([
      compile('tsconfig.build.json').then((done) => done && web()),
      bundleWeb(join(fresh, 'web')),
      bundlePage(join(fresh, 'src', 'study', 'report', 'script.js')),
      bundleLab(join(fresh, 'lab')),
    ])
    if (!compiled) return false
    utimesSync(join(fresh, 'src', 'index.js'), started, started)
    const old = existsSync(dist) ? mkdtempSync(join(root, 'dist.')) : undefined
    if (old) renameSync(dist, join(old, 'dist'))
    renameSync(fresh, dist)
    if (old) rmSync(old, { recursive: true, force: true })
    return true
  } catch (error) {
    // Another process put its own build in place between our two renames: that one serves as well.
    if (upToDate()) return true
    throw error
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url) && !(await build())) process.exit(1)
