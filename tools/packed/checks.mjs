// What a user does first with the installed package, in an installation and a runtime. Each check throws where something is wrong.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { access, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './package.mjs'

const run = promisify(execFile)
const fixture = (name) => join(root, 'test', 'fixtures', 'networks', name)

/** Runs a program in the folder with the runtime first on the path, so that the commands start in it. */
async function execute({ folder }, { path }, file, argv) {
  const env = { ...process.env, PATH: `${dirname(path)}:${process.env.PATH}`, XDG_CACHE_HOME: join(folder, 'cache') }
  return run(file, argv, { cwd: folder, env, maxBuffer: 2 ** 26 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout = '', stderr = '', message }) => ({ code, stdout, stderr: stderr || message }),
  )
}
/** @returns what the command printed; it must end well */
async function command(installed, runtime, name, ...argv) {
  const { code, stdout, stderr } = await execute(installed, runtime, join('node_modules', '.bin', name), argv)
  assert.equal(code, 0, `${name} ${argv.join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}
/** Runs a program of consumer/ and returns what it printed. */
async function program(installed, runtime, file) {
  const argv = { node: [], deno: ['run', '--allow-all', '--no-prompt'], bun: ['run'] }[runtime.kind]
  const { code, stdout, stderr } = await execute(installed, runtime, runtime.path, [...argv, file])
  assert.equal(code, 0, `${file}: ${stderr.trim().slice(0, 2000)}`)
  return stdout.trim()
}

async function help(installed, runtime) {
  const manifest = JSON.parse(
    await readFile(join(installed.folder, 'node_modules', 'rdm-onnx', 'package.json'), 'utf8'),
  )
  const names = Object.keys(manifest.bin)
  for (const name of names)
    assert.match(await command(installed, runtime, name, '--help'), new RegExp(`^Usage: ${name} `))
  assert.equal((await command(installed, runtime, names[0], '--version')).trim(), manifest.version)
  return `${names.length} commands`
}

/** The run that `train` makes. */
const runOf = ({ name }) => `runs/${name.replaceAll(' ', '-')}`

async function train(installed, runtime) {
  const call = (name, ...argv) => command(installed, runtime, name, ...argv)
  const data = `data-${runtime.name.replaceAll(' ', '-')}`
  await call('rdm-data', 'synth', data, '--train', '200', '--test', '100')
  await call('rdm-export', '--depth', '8', '--functions', '11,01', '--widths', '4,4,4', '--out', 'model.onnx')
  const out = runOf(runtime)
  await call(
    'rdm-fit',
    'model.onnx',
    '--data',
    data,
    '--out',
    out,
    '--epochs',
    '1',
    '--batch',
    '50',
    '--target',
    'portable',
  )
  const metrics = (await readFile(join(installed.folder, out, 'metrics.jsonl'), 'utf8')).trim().split('\n')
  assert.equal(metrics.length, 1)
  assert.match(await call('rdm-eval', join(out, 'model.onnx'), '--data', data), /^error [\d.]+ %/)
  return `test error ${(100 * JSON.parse(metrics[0]).testError).toFixed(1)} % after an epoch`
}

async function derive(installed, runtime) {
  const call = (name, ...argv) => command(installed, runtime, name, ...argv)
  await call('rdm-derive', fixture('resnet18.script.onnx'), '--head', '10', '--train', 'fc.*', '--out', 'derived.onnx')
  await call('rdm-grad', fixture('mlp.script.onnx'), '--out', 'gradient.onnx')
  for (const name of ['derived.onnx', 'gradient.onnx']) await access(join(installed.folder, name))
}

/** With the peers a page; without them a line that says what to install, and exit code 2. */
async function report(installed, runtime) {
  const run = runOf(runtime)
  const argv = [run, '--out', `${run}-report`]
  if (installed.peers) {
    await command(installed, runtime, 'rdm-report', ...argv)
    return access(join(installed.folder, `${run}-report`, 'index.html'))
  }
  const { code, stderr } = await execute(installed, runtime, join('node_modules', '.bin', 'rdm-report'), argv)
  assert.equal(code, 2)
  const packages = 'the packages echarts and sharp, which are not installed: npm install echarts sharp'
  assert.equal(stderr, `rdm-report: a report needs ${packages}\n`)
}

/** The declarations, by the TypeScript of this project: resolved as Node does and as bundlers do, the package's own checked too. */
export async function types({ folder }) {
  const settings = {
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    target: 'es2023',
  }
  const projects = {
    nodenext: { module: 'nodenext', moduleResolution: 'nodenext', types: ['node'], lib: ['es2023', 'dom'] },
    bundler: { module: 'esnext', moduleResolution: 'bundler', types: [], lib: ['es2023', 'dom'] },
  }
  for (const [name, options] of Object.entries(projects)) {
    const project = join(folder, `tsconfig.${name}.json`)
    const typeRoots = [join(root, 'node_modules', '@types')]
    await writeFile(
      project,
      JSON.stringify({ compilerOptions: { ...settings, ...options, typeRoots }, files: ['library.ts'] }),
    )
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    await run(process.execPath, [tsc, '-p', project], { maxBuffer: 2 ** 26 }).catch(({ stdout }) => {
      throw new Error(`${name}: ${stdout.trim().split('\n').slice(0, 10).join('\n')}`)
    })
  }
}

const core = (...given) => program(...given, 'core.mjs')
const loop = (...given) => program(...given, 'loop.mjs')
const library = (...given) => program(...given, 'library.mjs')

/**
 * What is checked in a runtime, in this order: later checks use files of earlier ones. The peers change only what trains, reads
 * images and draws.
 */
export const checksOf = ({ kind }, { peers }) => {
  if (kind !== 'node') return { core, loop, library }
  return peers ? { train, report } : { help, train, derive, report, core, loop, library }
}
