// Downloads killed at drawn moments, and downloads from servers that cut them off, are slow, or lie.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { create } from 'tar'
import { randomStream } from '../../dist/src/core/random.js'
import { runCommand, startCommand, startProgram } from '../support/children.mjs'
import { drawMoment, killedAt, toItsEnd, undisturbed, wasKilled } from '../support/moments.mjs'
import { bytesOf, differences } from '../support/wholeFiles.mjs'
import { mannerNames, startBadServer } from './badServer.mjs'

const child = join(import.meta.dirname, 'fetchChild.mjs')
const md5 = (bytes) => createHash('md5').update(bytes).digest('hex')

/** The form of MNIST's files: the sizes, then bytes that do not compress. */
function idx(shape, random) {
  const head = Buffer.from([0, 0, 8, shape.length, ...shape.flatMap((size) => [0, 0, size >> 8, size & 255])])
  const length = shape.reduce((product, size) => product * size, 1)
  return gzipSync(
    Buffer.concat([head, Buffer.from(Array.from({ length }, () => random.below(shape.length === 1 ? 10 : 256)))]),
  )
}

/** An archive of CIFAR-10's form and four files of MNIST's, by path, and what is told of them to who fetches them. */
async function sources(folder, env) {
  const name = 'cifar-10-batches-bin'
  await runCommand('rdm-data', ['synth', join(folder, name), '--train', '200', '--test', '20'], { env })
  const file = join(folder, 'archive.tar.gz')
  create({ file, cwd: folder, gzip: true, sync: true, portable: true }, [name])
  const random = randomStream(1, 'digits')
  const digits = {
    'train-images-idx3-ubyte.gz': idx([300, 28, 28], random),
    'train-labels-idx1-ubyte.gz': idx([300], random),
    't10k-images-idx3-ubyte.gz': idx([30, 28, 28], random),
    't10k-labels-idx1-ubyte.gz': idx([30], random),
  }
  const bodies = new Map([['/archive.tar.gz', readFileSync(file)]])
  for (const [path, bytes] of Object.entries(digits)) bodies.set(`/mnist/${path}`, bytes)
  const told = (bytes) => ({ bytes: bytes.length, md5: md5(bytes) })
  return {
    bodies,
    kinds: (origin) => [
      {
        what: 'fetching an archive',
        target: name,
        source: { url: `${origin}/archive.tar.gz`, ...told(bodies.get('/archive.tar.gz')) },
      },
      {
        what: 'fetching a folder of files',
        target: 'mnist',
        source: {
          folder: 'mnist',
          url: `${origin}/mnist/`,
          files: Object.entries(digits).map(([path, bytes]) => ({ name: path, ...told(bytes) })),
        },
      },
    ],
  }
}

/** One line that says why, and exit code 2. */
const isRefusal = ({ code, err }) => code === 2 && /^[\w-]+: [^\n]+\n$/.test(err)

/** A download, disturbed up to six times, then in peace. */
async function oneDownload({ what, target, source, reference, life, server, folder, random, env }) {
  const begin = () => startProgram(process.execPath, [child, JSON.stringify(source), folder], { env })
  const faults = []
  const met = []
  let kills = 0
  const look = () => {
    const out = join(folder, target)
    if (existsSync(out)) faults.push(...differences(out, reference))
  }
  const times = 1 + random.below(6)
  for (let i = 0; i < times; i++) {
    const manner = mannerNames[random.below(mannerNames.length)]
    met.push(manner)
    server.behave(manner, random.uniform())
    // What is slow lasts longer.
    const moment = drawMoment(random, manner === 'slow' ? { ...life, ms: life.ms + 1000 } : life)
    const end = await (random.uniform() < 0.5 ? killedAt(moment, begin, folder) : toItsEnd(begin))
    if (wasKilled(end)) kills++
    else if (end.code !== 0 && !isRefusal(end)) faults.push(`server ${manner}: ended with ${end.code}: ${end.err}`)
    look()
  }
  server.behave('well')
  // The first of them may find that what it has is no good, and says so.
  for (let i = 0; i < 2; i++) {
    const end = await toItsEnd(begin)
    look()
    if (end.code === 0) break
    if (i === 1 || !isRefusal(end)) faults.push(`in peace it ended with ${end.code}: ${end.err}`)
  }
  faults.push(...differences(join(folder, target), reference))
  return { kills, bad: times, faults: faults.map((fault) => `${what} (${met.join(', ')}): ${fault}`) }
}

/** The command itself against servers that have not what it wants: one line, no folder. */
async function refusals({ server, folder, env, short }) {
  const faults = []
  const names = short ? mannerNames.slice(0, 3) : mannerNames
  for (const manner of names) {
    server.behave(manner, 0.5)
    for (const [name, from] of [
      ['mnist', `${server.origin}/mnist/`],
      ['cifar10', `${server.origin}/archive.tar.gz`],
    ]) {
      const dir = join(folder, `refused-${manner.replace(/\W+/g, '-')}-${name}`)
      const argv = ['fetch', name, '--dir', dir, '--from', from]
      const { code, err } = await toItsEnd(() => startCommand('rdm-data', argv, { env }))
      const said = err.replace(/^downloading [^\n]*\n/, '')
      const what = `rdm-data fetch ${name} from a server that ${manner}`
      if (!isRefusal({ code, err: said })) faults.push(`${what}: ended with ${code}: ${err}`)
      const left = existsSync(dir) ? readdirSync(dir).filter((entry) => !entry.endsWith('.part')) : []
      if (left.length > 0) faults.push(`${what}: left ${left.join(', ')}`)
    }
  }
  return { times: 2 * names.length, faults }
}

export async function killFetches({ seed, short, folder: root, say, env }) {
  const folder = join(root, 'fetches')
  mkdirSync(folder)
  const { bodies, kinds } = await sources(folder, env)
  const server = await startBadServer((path) => bodies.get(path))
  const rows = []
  const faults = []
  try {
    for (const kind of kinds(server.origin)) {
      const whole = join(folder, `whole-${kind.target}`)
      mkdirSync(whole)
      const argv = [child, JSON.stringify(kind.source), whole]
      const { end, life } = await undisturbed(() => startProgram(process.execPath, argv, { env }), whole)
      if (end.code !== 0) throw new Error(`${kind.what}: ${end.err}`)
      const reference = bytesOf(join(whole, kind.target))
      const results = []
      for (let number = 0; number < (short ? 2 : 20); number++) {
        const own = join(folder, `${kind.target}-${number}`)
        mkdirSync(own)
        const random = randomStream(seed, 'fetches', kind.what, number)
        const result = await oneDownload({ ...kind, reference, life, server, folder: own, random, env })
        if (result.faults.length === 0) rmSync(own, { recursive: true })
        results.push(result)
        faults.push(...result.faults)
      }
      const sum = (name) => results.reduce((total, result) => total + result[name], 0)
      const good = results.filter((result) => result.faults.length === 0).length
      say(`${kind.what}: killed ${sum('kills')} times`)
      rows.push([
        `${kind.what}; servers that misbehave: ${sum('bad')} times`,
        results.length,
        sum('kills'),
        `${good} of ${results.length}`,
      ])
    }
    const refused = await refusals({ server, folder, env, short })
    faults.push(...refused.faults)
    const good = refused.times - new Set(refused.faults.map((fault) => fault.split(':')[0])).size
    rows.push([
      'rdm-data fetch from servers that misbehave: one line, no folder',
      refused.times,
      0,
      `${good} of ${refused.times}`,
    ])
  } finally {
    server.close()
  }
  return { rows, faults }
}
