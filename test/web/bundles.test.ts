// The page of docs/web.md as its readers build it: by Vite, and by plain modules with an import map; and how large it is.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build as bundle } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPageWith } from '../../tools/browser.mjs'
import { hasBrowser } from '../support/browser.js'
import { block } from '../support/docs.js'
import { smallNetwork } from './support.js'

const root = join(import.meta.dirname, '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'rdm-page-'))
afterAll(() => rmSync(folder, { recursive: true }))

const built = join(root, 'dist', 'web')

/** A page's folder as npm makes it. */
beforeAll(async () => {
  const page = await block('docs/web.md', 'html', 'train: 4000, test: 1000')
  const few = page.replace('train: 4000, test: 1000', 'train: 64, test: 32')
  expect(few).not.toBe(page)
  writeFileSync(join(folder, 'index.html'), few)
  mkdirSync(join(folder, 'public'))
  writeFileSync(join(folder, 'public', 'rdm8.onnx'), smallNetwork())
  const installed = join(folder, 'node_modules', 'rdm-onnx')
  mkdirSync(join(installed, 'dist'), { recursive: true })
  cpSync(built, join(installed, 'dist', 'web'), { recursive: true })
  cpSync(join(root, 'package.json'), join(installed, 'package.json'))
  symlinkSync(join(root, 'node_modules', 'onnxruntime-web'), join(folder, 'node_modules', 'onnxruntime-web'))
})

/** Opens the page, waits until it has trained, and opens it again: it has nothing left to do. */
async function trainIn(folders: readonly string[]) {
  const { page, messages, close } = await openPageWith({ folders, path: 'index.html' })
  try {
    const finished = () => page.waitForSelector('a[download="model.onnx"]', { timeout: 60_000 })
    const first = await finished().then(() => page.textContent('#log'))
    await page.reload()
    const second = await finished().then(() => page.textContent('#log'))
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a')])
    return { first, second, messages, model: readFileSync(await download.path()) }
  } finally {
    await close()
  }
}

describe.runIf(hasBrowser)('the page of docs/web.md', () => {
  it('trains, bundled by Vite without settings', async () => {
    const { build } = await import('vite')
    await build({ root: folder, configFile: false, logLevel: 'silent', build: { target: 'esnext' } })
    const { first, second, messages, model } = await trainIn([join(folder, 'dist')])
    expect(first).toMatch(/^epoch 1: [\d.]+ % test error\n(epoch .*\n){4}finished\n$/)
    expect(second).toBe('finished\n')
    expect(messages).toEqual([])
    expect(model.length).toBeGreaterThan(100_000)
  })

  it('trains, served by Vite while it is written', async () => {
    const { createServer } = await import('vite')
    const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }
    const server = await createServer({
      root: folder,
      configFile: false,
      logLevel: 'silent',
      // onnxruntime-web is a link out of the folder here.
      server: { headers, port: 0, fs: { strict: false } },
    })
    await server.listen()
    const { page, close } = await openPageWith({ folders: [join(root, 'test', 'web')], path: 'blank.html' })
    try {
      await page.goto(server.resolvedUrls!.local[0]!)
      await page.waitForSelector('a[download="model.onnx"]', { timeout: 90_000 })
      expect(await page.textContent('#log')).toMatch(/finished\n$/)
    } finally {
      await close()
      await server.close()
    }
  })

  it('trains by plain modules, with the import map of the text', async () => {
    const page = await block('docs/web.md', 'html', 'train: 4000, test: 1000')
    const map = await block('docs/web.md', 'html', 'importmap')
    const plain = join(folder, 'plain')
    mkdirSync(plain)
    const text = page.replace('train: 4000, test: 1000', 'train: 64, test: 32')
    writeFileSync(join(plain, 'index.html'), text.replace('<pre', `${map}<pre`))
    const { first, second, messages } = await trainIn([plain, folder, join(folder, 'public')])
    expect(first).toMatch(/^epoch 1: [\d.]+ % test error\n(epoch .*\n){4}finished\n$/)
    expect(second).toBe('finished\n')
    expect(messages).toEqual([])
  })
})

/** A module and all that it imports. */
function withImports(name: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(name)) return found
  found.add(name)
  const text = readFileSync(join(built, name), 'utf8')
  for (const [, other] of text.matchAll(/(?:from|import)\s*["'`](\.[^"'`]+)["'`]/g))
    withImports(basename(other!), found)
  return found
}

const bytesOf = (name: string) => [...withImports(name)].map((file) => readFileSync(join(built, file)))
const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0)

describe('what a page loads', () => {
  it('names no module of Node', () => {
    for (const entry of ['index.js', 'worker.js', 'gpuWorker.js', 'core.js']) {
      for (const file of withImports(entry)) {
        const text = readFileSync(join(built, file), 'utf8')
        const names = [...text.matchAll(/\b(?:from|import)\s*\(?\s*["'`]([@a-z][\w@/:.-]*)["'`]/g)].map(
          ([, name]) => name,
        )
        expect(names.filter((name) => !name!.startsWith('onnxruntime-web/'))).toEqual([])
      }
    }
  })

  it('is as large as docs/web.md says', async () => {
    const text = readFileSync(join(root, 'docs', 'web.md'), 'utf8')
    for (const entry of ['core.js', 'index.js', 'worker.js']) {
      const said = new RegExp(`\`${entry}\`[^\\n]*\\| (\\d+) \\| (\\d+) \\|`).exec(text)!
      const brotli = sum(bytesOf(entry).map((bytes) => brotliCompressSync(bytes).length)) / 1000
      const gzip = sum(bytesOf(entry).map((bytes) => gzipSync(bytes, { level: 9 }).length)) / 1000
      expect(Math.abs(brotli - Number(said[1])), `${entry} has ${brotli} KB by brotli`).toBeLessThan(3)
      expect(Math.abs(gzip - Number(said[2])), `${entry} has ${gzip} KB by gzip`).toBeLessThan(3)
    }
  })

  it('of core is less than 150 KB, compressed, in a bundle of its own', async () => {
    const { output } = await bundle({
      input: join(root, 'src', 'core', 'index.ts'),
      write: false,
      output: { format: 'esm', minify: true },
      resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
      platform: 'browser',
      logLevel: 'silent',
    })
    const compressed = brotliCompressSync(output[0].code).length / 1000
    expect(compressed).toBeLessThan(150)
    const [, said] = /(\d+) by brotli in a bundle of its own/.exec(readFileSync(join(root, 'docs', 'web.md'), 'utf8'))!
    expect(Math.abs(compressed - Number(said))).toBeLessThan(3)
  })
})
