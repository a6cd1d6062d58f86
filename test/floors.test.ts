// The floors: imports go down only, and the lowest needs nothing of Node.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** What each floor may import, itself included. */
const below: Readonly<Record<string, readonly string[]>> = {
  core: ['core'],
  graphs: ['core', 'graphs'],
  driver: ['core', 'driver'],
  study: ['core', 'graphs', 'driver', 'study'],
  web: ['core', 'graphs', 'driver', 'web'],
  lab: ['core', 'graphs', 'driver', 'study', 'web', 'lab'],
  cli: ['core', 'graphs', 'driver', 'study', 'cli'],
}
/** The packages that who imports the lowest floor has to install. */
const corePackages = ['@noble/hashes', 'leven', 'pure-rand', 'zod']

interface Import {
  readonly file: string
  readonly floor: string
  readonly target: string
}

const floorOf = (path: string): string => {
  const [first, second] = path.split(sep)
  return first === 'src' ? (second!.endsWith('.ts') ? 'library' : second!) : first!
}

const imports: readonly Import[] = ['src', 'graphs'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const file = join(folder, name)
      const text = readFileSync(join(root, file), 'utf8')
      const found = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([@\w./:-]+)'/g)
      return [...found].map(([, target]) => ({ file, floor: floorOf(file), target: target! }))
    }),
)
const inside = imports.filter(({ target }) => target.startsWith('.'))
const pointed = ({ file, target }: Import) => relative(root, resolve(root, dirname(file), target))

describe('imports', () => {
  it('go down', () => {
    const wrong = inside.filter(({ floor, ...rest }) => {
      const allowed = below[floor]
      return allowed && !allowed.includes(floorOf(pointed({ floor, ...rest })))
    })
    expect(wrong.map((each) => `${each.file} → ${pointed(each)}`)).toEqual([])
    expect(inside.length).toBeGreaterThan(500)
  })

  it('of the lowest floor name no module of Node, and few packages', () => {
    const outside = imports.filter(({ floor, target }) => floor === 'core' && !target.startsWith('.'))
    const packageOf = (target: string) =>
      target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/')
    const others = outside.filter(({ target }) => !corePackages.includes(packageOf(target)))
    expect(others.map(({ file, target }) => `${file} → ${target}`)).toEqual([])
    const core = new Set(imports.filter(({ floor }) => floor === 'core').map(({ file }) => file))
    expect([...core].filter((file) => /\b(Buffer|process)\./.test(readFileSync(join(root, file), 'utf8')))).toEqual([])
    expect(new Set(outside.map(({ target }) => packageOf(target)))).toEqual(new Set(corePackages))
  })
})
