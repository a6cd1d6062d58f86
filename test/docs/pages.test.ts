// The pages as a whole: no code block that nobody tries, no link into nothing, no page that the index leaves out.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../support/docs.js'
import { shown } from './shown.js'

const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const pages = ['README.md', ...docs.map((name) => `docs/${name}`)]
const textOf = (page: string) => readFileSync(join(root, page), 'utf8')

/** Languages of what is read, not run. */
const read = ['', 'text', 'json']
const blocksOf = (page: string) =>
  [...textOf(page).matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .map(([, language, source]) => ({ language: language!, source: source! }))
    .filter(({ language }) => !read.includes(language))

describe.each(pages)('%s', (page) => {
  it('shows nothing that is not tried, or said not to be', () => {
    const entries = shown[page] ?? []
    const found = blocksOf(page)
    const holds = ({ language, source }: (typeof found)[number], entry: (typeof entries)[number]) =>
      entry.language === language && source.includes(entry.text)
    for (const each of found) {
      const count = entries.filter((entry) => holds(each, entry)).length
      expect(count, `entries of test/docs/shown.ts for this block:\n${each.source}`).toBe(1)
    }
    for (const entry of entries) {
      const count = found.filter((each) => holds(each, entry)).length
      expect(count, `blocks in ${entry.language} that hold “${entry.text}”`).toBe(1)
    }
  })

  it('is named by the tests that run its blocks', () => {
    for (const entry of shown[page] ?? []) {
      if (!('by' in entry)) continue
      const source = readFileSync(join(import.meta.dirname, entry.by), 'utf8')
      expect(source, entry.by).toContain(page)
      expect(source, entry.by).toContain(entry.text.replaceAll('\n', '\\n'))
    }
  })
})

it('every page in the list is there', () => {
  for (const page of Object.keys(shown)) expect(pages).toContain(page)
})

/** As GitHub makes anchors of headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = textOf(page).replace(/^```.*?^```$/gms, '')
  const seen = new Map<string, number>()
  return new Set(
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
      const slug = heading!
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
        .replaceAll(' ', '-')
      const before = seen.get(slug) ?? 0
      seen.set(slug, before + 1)
      return before === 0 ? slug : `${slug}-${before}`
    }),
  )
}

/** Targets of links and pictures, those out of the project left out. */
function linksOf(page: string): readonly string[] {
  const text = textOf(page)
    .replace(/^```.*?^```$/gms, '')
    .replace(/`[^`\n]*`/g, '')
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!).filter((target) => !/^\w+:/.test(target))
}

describe('links', () => {
  it.each([...pages, 'bench/README.md'])('of %s lead somewhere', (page) => {
    for (const link of linksOf(page)) {
      const [path, anchor] = link.split('#') as [string, string?]
      const target = path === '' ? page : join(dirname(page), path)
      expect(existsSync(join(root, target)), `${page}: ${link}`).toBe(true)
      if (anchor !== undefined) expect([...anchorsOf(target)], `${page}: ${link}`).toContain(anchor)
    }
  })

  it('are found at all', () => {
    expect(pages.flatMap(linksOf).length).toBeGreaterThan(100)
  })

  it('of the index lead to every page', () => {
    const listed = linksOf('docs/README.md')
    for (const name of docs) if (name !== 'README.md') expect(listed).toContain(name)
  })
})
