// Installs runtimes, each into a folder of its own below .interop/; what is there already stays.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const folderOf = (name) => join(root, '.interop', name)
export const example = (file) => join(root, 'examples', file)

/** Runs a program to its end. @throws Error with what it said last when it fails or takes longer than `limit` seconds */
export function run(command, argv, { limit = 600, ...options } = {}) {
  const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text
  })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      err += `\nit took longer than ${limit} s`
      child.kill('SIGKILL')
    }, 1000 * limit)
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve(out)
      else reject(new Error((signal === null || err.trim() ? err : `it ended by ${signal}`).trim()))
    })
  })
}

/** What is installed into an empty folder, unless the last installation there was of the same things. */
function installation(name, what, fill) {
  const folder = folderOf(name)
  // Written last, so an interrupted installation is done again.
  const stamp = join(folder, 'installed')
  const isInstalled = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === what
  const install = async () => {
    if (isInstalled()) return
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await fill(folder)
    await writeFile(stamp, what)
  }
  return { install, isInstalled }
}

/** Packages of PyPI in a virtual environment. */
export const python = (name, packages, interpreter = 'python3.11') => ({
  ...installation(name, [interpreter, ...packages].join(' '), async (folder) => {
    // An interpreter that pyenv has, and does not show unasked.
    const env = { ...process.env, PYENV_VERSION: interpreter.slice('python'.length) }
    await run(interpreter, ['-m', 'venv', folder], { env })
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:']
    await run(join(folder, 'bin', 'python'), [...pip, ...packages])
  }),
  command: join(folderOf(name), 'bin', 'python'),
})

/** A package of npm; `from` gives the address of a file in it. */
export const npm = (name, version) => ({
  ...installation(name, version, async (folder) => {
    await writeFile(join(folder, 'package.json'), '{}')
    await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${version}`], {
      cwd: folder,
    })
  }),
  from: (file) => join(folderOf(name), 'node_modules', name, file),
})

/** A jar of Maven Central; `jar` is where it lies. */
export function maven(name, group, version) {
  const artifact = `${group}:${name}:${version}`
  return {
    ...installation(`${name}-java`, artifact, (folder) => {
      const options = [`-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]
      return run('mvn', ['--quiet', '--batch-mode', 'dependency:copy', ...options])
    }),
    jar: join(folderOf(`${name}-java`), `${name}-${version}.jar`),
  }
}

/** The example of that name, a cargo project, compiled. Cargo itself knows what is there already. */
export function cargo(name) {
  const command = join(folderOf(name), 'release', `train-${name}`)
  const paths = ['--manifest-path', join(example(name), 'Cargo.toml'), '--target-dir', folderOf(name)]
  return {
    install: () => run('cargo', ['build', '--release', '--locked', '--quiet', ...paths]),
    isInstalled: () => existsSync(command),
    command,
  }
}
