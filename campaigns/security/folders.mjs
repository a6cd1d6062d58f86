// Archives, plans, stores and folders of runs that others have made.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Header } from 'tar'
import { cifarLayouts } from '../../dist/src/driver/data/cifar.js'
import { fetchDataset } from '../../dist/src/driver/data/fetch.js'
import { openStore } from '../../dist/src/study/store/store.js'
import { runCommand } from '../support/children.mjs'
import { hostile, secret } from './probes.mjs'

/** A tar of entries as they are given, whatever their names. */
function tarOf(entries) {
  const blocks = entries.flatMap(({ path, type = 'File', linkpath, content = '' }) => {
    const body = Buffer.from(content)
    const header = Buffer.alloc(512)
    new Header({ path, type, linkpath, size: body.length, mode: 0o644, mtime: new Date(0) }).encode(header)
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

export async function probeArchives(guarded) {
  const kind = 'archives of data sets'
  const layout = cifarLayouts.cifar10
  const wanted = `${layout.folder}/${layout.train[0]}`
  const { outside } = guarded
  const archives = {
    'a path above': [{ path: '../outside/victim.txt', content: 'evil' }],
    'a path above, in its folder': [{ path: `${layout.folder}/../../outside/victim.txt`, content: 'evil' }],
    'an absolute path': [{ path: join(outside, 'victim.txt'), content: 'evil' }],
    'a link in place of a file': [{ path: wanted, type: 'SymbolicLink', linkpath: join(outside, 'secret.bin') }],
    'a hard link': [{ path: wanted, type: 'Link', linkpath: join(outside, 'secret.bin') }],
    'a link, then a file through it': [
      { path: layout.folder, type: 'SymbolicLink', linkpath: outside },
      { path: `${layout.folder}/${layout.train[0]}`, content: 'evil' },
    ],
    'a device': [{ path: wanted, type: 'CharacterDevice' }],
    'a bomb': [{ path: wanted, content: Buffer.alloc(300_000_000) }],
  }
  for (const [name, entries] of Object.entries(archives)) {
    const bytes = tarOf(entries)
    const server = createServer((_, response) => response.end(bytes))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${server.address().port}/a.tar.gz`
    const md5 = createHash('md5').update(bytes).digest('hex')
    const into = guarded.fresh()
    const refused = await fetchDataset({ layout, url, bytes: bytes.length, md5 }, into).then(
      () => [`it was taken`],
      ({ name, message }) => (name === 'UserError' ? [] : [`${name}: ${message}`]),
    )
    server.close()
    guarded.note(kind, name, [
      ...refused,
      ...(existsSync(join(into, layout.folder)) ? ['a folder of it is there'] : []),
      ...guarded.unharmed(),
    ])
  }
}

const planText = (name, more = '') =>
  `format: rdm-onnx plan 1\nseeds: 1\nepochs: 1\nbatch: 8\n${more}models:\n  - {name: ${JSON.stringify(name)}, blocks: [1, 1], widths: [2, 2]}\n`

export async function probePlans(guarded, data, { short }) {
  const kind = 'names in plans'
  const names = [
    '../../outside/evil',
    join(guarded.outside, 'evil'),
    '..',
    'a/b',
    'a\\b',
    '',
    'con',
    'a\0b',
    'x'.repeat(300),
  ]
  const all = [...Object.values(hostile), ...names].filter((_, i) => !short || i % 4 === 0)
  const run = (file, out) => ['--data', data, '--out', out, '--threads', '1'].toSpliced(0, 0, file)
  for (const name of all) {
    const folder = guarded.fresh()
    const plan = join(folder, 'p.yaml')
    writeFileSync(plan, planText(name))
    await guarded.command(kind, name, 'rdm-repro', run(plan, join(folder, 'out')))
    writeFileSync(plan, planText('good', `name: ${JSON.stringify(name)}\n`))
    await guarded.command(kind, `of the plan: ${name}`, 'rdm-repro', run(plan, join(folder, 'out')))
  }
  const folder = guarded.fresh()
  const bomb = join(folder, 'bomb.yaml')
  const levels = Array.from(
    { length: 12 },
    (_, i) => `l${i}: &l${i} [${i ? `*l${i - 1},`.repeat(9) : 'x,'.repeat(9)}x]`,
  )
  writeFileSync(bomb, `${levels.join('\n')}\n${planText('good')}`)
  await guarded.command(kind, 'a bomb of references', 'rdm-repro', run(bomb, join(folder, 'out')))
  // The names that an experiment's own file has.
  const out = join(folder, 'experiment')
  const plan = join(folder, 'good.yaml')
  writeFileSync(plan, planText('good'))
  await runCommand('rdm-repro', [plan, '--data', data, '--out', out, '--threads', '1', '--target', 'portable'])
  const text = readFileSync(join(out, 'plan.json'), 'utf8')
  for (const name of ['../../../outside', hostile.escape].slice(0, short ? 1 : 2)) {
    writeFileSync(join(out, 'plan.json'), text.replaceAll('"good"', JSON.stringify(name)))
    await guarded.command('names in folders of experiments', name, 'rdm-repro', ['status', out])
    await guarded.command('names in folders of experiments', name, 'rdm-report', [out])
  }
}

/** A run that others have made, with something else in place of one of its files. */
export async function probeRunFolders(guarded, { run, short }) {
  const kind = 'files of a run that are none'
  const { outside } = guarded
  const victim = join(outside, 'victim.txt')
  const copies = (name, make) => {
    const folder = join(guarded.fresh(), 'run')
    cpSync(run, folder, { recursive: true })
    rmSync(join(folder, name), { force: true })
    make(join(folder, name))
    return folder
  }
  const pipe = (path) => execFileSync('mkfifo', [path])
  const device = (path) => symlinkSync('/dev/zero', path)
  const link = (path) => symlinkSync(victim, path)
  const codes = [0, 2]
  const read = ['config.json', 'checkpoint.safetensors', 'metrics.jsonl', 'timing.jsonl', 'initial.onnx', 'lock']
  for (const name of short ? ['config.json', 'initial.onnx', 'lock'] : read)
    for (const [what, make] of Object.entries({ pipe, device }).slice(0, short ? 1 : 2)) {
      const folder = copies(name, make)
      await guarded.command(kind, `${name}: ${what}, reported`, 'rdm-report', [folder], { codes })
      const resume = ['--resume', '--out', folder, '--epochs', '2']
      await guarded.command(kind, `${name}: ${what}, gone on with`, 'rdm-fit', resume, { codes })
    }
  // What is written to: never through a link.
  const written = [
    'timing.jsonl',
    'metrics.jsonl',
    '.metrics.jsonl.tmp',
    '.config.json.tmp',
    '.checkpoint.safetensors.tmp',
    'model.onnx',
    '.model.onnx.tmp',
    'curves.svg',
    '.curves.svg.tmp',
  ]
  for (const name of short ? ['timing.jsonl', '.metrics.jsonl.tmp'] : written) {
    const folder = copies(name, link)
    const resume = ['--resume', '--out', folder, '--epochs', '2']
    await guarded.command('links in folders of runs', name, 'rdm-fit', resume, { codes })
  }
  const report = copies('report', (path) => {
    mkdirSync(path)
    for (const name of ['index.html', 'figure2.svg', 'figure2.png', 'figure2-log.svg']) link(join(path, name))
  })
  await guarded.command('links in folders of runs', 'a report', 'rdm-report', [report], { codes })
  for (const name of ['figure2.svg', 'figure2.png', 'figure2-log.png', '.index.html.tmp']) {
    if (short && name !== 'figure2.svg') continue
    const folder = copies('report', (path) => {
      mkdirSync(path)
      link(join(path, name))
    })
    await guarded.command('links in folders of runs', `a report, ${name}`, 'rdm-report', [folder], { codes })
  }
}

export async function probeStore(guarded) {
  const kind = 'keys of stores'
  const folder = join(guarded.fresh(), 'store')
  const store = await openStore(folder)
  await store.write('data/good', Buffer.from(secret))
  for (const [what, name] of Object.entries(hostile)) {
    writeFileSync(join(folder, 'data', name.replaceAll('/', '_')), 'evil')
    const keys = await store.list('data')
    guarded.note(kind, what, keys.join() === 'data/good' ? [] : [`listed: ${JSON.stringify(keys)}`])
  }
}
