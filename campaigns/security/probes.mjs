// A guard over what hostile input must not reach: files outside, the terminal, other machines, the end of a command.

import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { end, startCommand } from '../support/children.mjs'

/** In a file outside: printed or written anywhere, it has been read. */
export const secret = 'c4nary-of-the-outside'
/** Seconds that a command may take, on a machine that has other things to do. */
const PATIENCE = 120
/** What a terminal may obey, and what turns text around. */
const raw = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/u

/** Names that hurt a terminal, a page or a path. */
export const hostile = {
  escape: '\u001b[31mred\u001b[2J\u0007',
  c1: '\u009b31mred',
  bidi: 'a\u202egnp.exe\u2066',
  script: '<script>window.canary=1</script>',
  image: '"><img src=x onerror=window.canary=1>',
  link: 'javascript:window.canary=1',
}

function treeOf(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return [`${path}/`, ...treeOf(path)]
    const content = entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''
    return [`${path} ${lstatSync(path).mode} ${content}`]
  })
}

export function guard(folder) {
  const outside = join(folder, 'outside')
  mkdirSync(outside)
  for (const name of ['secret.bin', 'victim.txt']) writeFileSync(join(outside, name), secret.repeat(4))
  const before = treeOf(outside).join('\n')
  const counts = new Map()
  const faults = []
  let number = 0
  const own = {
    outside,
    faults,
    get rows() {
      return [...counts].map(([kind, { times, wrong }]) => [
        kind,
        times,
        wrong === 0 ? 'all as promised' : `${wrong} not`,
      ])
    },
    /** Counts one probe; `wrong` are the ways in which its promise was broken. */
    note(kind, name, wrong) {
      const count = counts.get(kind) ?? { times: 0, wrong: 0 }
      counts.set(kind, { times: count.times + 1, wrong: count.wrong + (wrong.length > 0 ? 1 : 0) })
      for (const reason of wrong) faults.push(`${kind}: ${JSON.stringify(name)}: ${reason}`)
    },
    /** A folder of its own for a probe. */
    fresh() {
      number += 1
      const path = join(folder, 'probes', `${number}`)
      mkdirSync(path, { recursive: true })
      return path
    },
    unharmed: () => (treeOf(outside).join('\n') === before ? [] : ['something outside has changed']),
    /** Runs a command that ends by itself with one of these codes, and whose output is fit for a terminal. */
    async command(kind, name, command, argv, { codes = [2], cwd } = {}) {
      const running = startCommand(command, argv, { cwd })
      const timer = setTimeout(() => end(running), PATIENCE * 1000)
      const { code, signal, out, err } = await running.finished
      clearTimeout(timer)
      const text = out + err
      const wrong = [
        ...(signal === null ? [] : [`it did not end in ${PATIENCE} seconds`]),
        ...(signal !== null || codes.includes(code) ? [] : [`exit code ${code}: ${JSON.stringify(err.slice(0, 300))}`]),
        ...(raw.test(text) ? [`a raw control character: ${JSON.stringify(text.slice(0, 300))}`] : []),
        ...(text.includes(secret) ? ['the secret was printed'] : []),
        ...(code === 2 && err.trim().split('\n').length > 1 ? [`more than a line: ${JSON.stringify(err)}`] : []),
        ...own.unharmed(),
      ]
      own.note(kind, name, wrong)
      return { code, out, err }
    },
  }
  return own
}
