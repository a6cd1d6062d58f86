// rdm-lab as a user starts it: what it prints, whom it answers, what it hands out.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveLab } from '../../src/cli/lab/server.js'
import { run, start } from '../cli/support.js'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** A request whose path and headers go as they are, `..` included. */
const ask = (url: string, path: string, { method = 'GET', headers = {} } = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const sent = request({ hostname, port, path, method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }))
    })
    sent.on('error', reject).end()
  })

describe('rdm-lab', () => {
  let url = ''
  let server: ReturnType<typeof start>
  beforeAll(async () => {
    url = await new Promise<string>((resolve) => {
      server = start('rdm-lab', ['--port', '0'], (line) => resolve(/http:\S+/.exec(line)![0]))
    })
  })
  afterAll(() => void server.child.kill('SIGKILL'))

  it('prints its address in one line, serves the page there, and ends with Ctrl-C', async () => {
    const other = start('rdm-lab', ['--port', '0'], () => other.child.kill('SIGINT'))
    const { code, out, err } = await other.finished
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^rdm-lab is at http:\/\/127\.0\.0\.1:\d+\/ \(Ctrl-C ends it\)\n$/)
  })

  it('hands out files as what they are, with the headers that isolate the page', async () => {
    const { status, headers, text } = await ask(url, '/')
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/html;charset=utf-8',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'x-content-type-options': 'nosniff',
    })
    expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';")
    const [, script] = /src="\.(\/assets\/index-[^"]+\.js)"/.exec(text)!
    expect((await ask(url, script!)).headers['content-type']).toBe('text/javascript')
    const [, sheet] = /href="\.(\/assets\/index-[^"]+\.css)"/.exec(text)!
    expect((await ask(url, sheet!)).headers['content-type']).toBe('text/css')
  })

  it('answers to its own name alone', async () => {
    const { port } = new URL(url)
    const asked = (host: string) => ask(url, '/', { headers: { host } }).then(({ status }) => status)
    expect(await asked(`127.0.0.1:${port}`)).toBe(200)
    expect(await asked(`localhost:${port}`)).toBe(200)
    expect(await asked(`elsewhere.example:${port}`)).toBe(421)
    expect(await asked('127.0.0.1')).toBe(421)
  })

  it('lets no path out of its folder, lists none, and only reads', async () => {
    const wrong = [
      '/../package.json',
      '/assets/../../src/cli/start.js',
      '/%2e%2e/src/cli/start.js',
      '/..%2fsrc%2fcli%2fstart.js',
      '/%00',
      '/%',
      '/assets/',
      '/assets',
      '//etc/passwd',
    ]
    const answers = await Promise.all(wrong.map((path) => ask(url, path)))
    expect(answers.map(({ status, text }) => [status, text])).toEqual(wrong.map(() => [404, 'there is no such file\n']))
    expect((await ask(url, '/', { method: 'POST' })).status).toBe(405)
    expect((await ask(url, '/', { method: 'HEAD' })).text).toBe('')
  })

  it('says in a line what is wrong with a port, and that one is taken', () => {
    const refused = (port: string) => {
      const { code, out, err } = run('rdm-lab', ['--port', port])
      expect({ code, out }).toEqual({ code: 2, out: '' })
      return err
    }
    expect(refused('x')).toMatch(/^rdm-lab: option '--port <number>' .*Expected a whole number from 0 to 65535\n$/)
    const { port } = new URL(url)
    expect(refused(port)).toBe(`rdm-lab: port ${port} is taken: end what listens there, or give another with --port\n`)
  })
})

describe('a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-lab-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('without a page is refused', async () => {
    await expect(serveLab(folder, 0)).rejects.toThrow(
      `there is no page in ${folder}: build it with \`npm run lab:build\``,
    )
  })

  it('keeps to itself what was put into it later, and files that are hidden', async () => {
    writeFileSync(join(folder, 'index.html'), '<!doctype html>')
    writeFileSync(join(folder, '_headers'), '/*\n  X-Test: yes\n')
    writeFileSync(join(folder, '.hidden'), 'secret')
    const { url, close } = await serveLab(folder, 0)
    try {
      writeFileSync(join(folder, 'late.txt'), 'late')
      expect((await ask(url, '/')).headers['x-test']).toBe('yes')
      expect((await ask(url, '/late.txt')).status).toBe(404)
      expect((await ask(url, '/.hidden')).status).toBe(404)
    } finally {
      await close()
    }
  })
})
