// The report and the lab, fed with hostile names, in Chromium; and the server of the lab.

import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isInstalled, launchBrowser } from '../../tools/browser.mjs'
import { end, startCommand } from '../support/children.mjs'
import { linearModel } from './models.mjs'
import { hostile } from './probes.mjs'

const scripts = [
  hostile.script,
  hostile.image,
  hostile.link,
  `'-alert(1)-'`,
  `\${window.canary=1}`,
  '</script><svg onload=window.canary=1>',
]

/** A page, and what it did that it must not: run a script of a name, ask elsewhere, open a dialog. */
async function watched(browser, url, origin) {
  const context = await browser.newContext()
  const page = await context.newPage()
  const wrong = []
  page.on('dialog', (dialog) => {
    wrong.push('it opened a dialog')
    dialog.dismiss()
  })
  page.on('pageerror', (error) => wrong.push(`an error: ${error.message}`))
  page.on('request', (asked) => {
    if (!asked.url().startsWith(origin) && !/^(blob|data):/.test(asked.url())) wrong.push(`it asked for ${asked.url()}`)
  })
  await page.goto(url)
  const ended = async () => {
    await page.waitForTimeout(300)
    if ((await page.evaluate('window.canary')) !== undefined) wrong.push('a script of a name ran')
    const links = await page.evaluate(
      "[...document.querySelectorAll('a[href],area[href],form[action],iframe[src]')].map((e) => e.href || e.action || e.src)",
    )
    for (const link of links) if (!/^(https?|file|blob|data):|^$/.test(link)) wrong.push(`it has a link ${link}`)
    await context.close()
    return wrong
  }
  return { page, ended }
}

/** Folders of runs with hostile names, made from one run: what a report says of them stands as text. */
export async function probeReport(guarded, browser, { experiment, run }) {
  const kind = 'names in reports, in Chromium'
  // The page itself is such that a script would be seen: the guard is tried.
  const trial = join(guarded.fresh(), 'trial.html')
  writeFileSync(trial, `<!doctype html>${hostile.image.slice(2)}`)
  const tried = await watched(browser, pathToFileURL(trial).href, 'file:')
  await tried.page.waitForTimeout(300)
  const caught = await tried.ended()
  guarded.note(kind, 'a page that takes names as they are is seen', caught.length > 0 ? [] : ['the guard saw nothing'])
  for (const name of scripts) {
    const folder = join(guarded.fresh(), name.replaceAll('/', '_'))
    cpSync(run, folder, { recursive: true })
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
    config.data.path = name
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
    const made = await guarded.command(kind, `${name}: rdm-report`, 'rdm-report', [folder], { codes: [0] })
    if (made.code !== 0) continue
    const report = await watched(browser, pathToFileURL(join(folder, 'report', 'index.html')).href, 'file:')
    const text = await report.page.evaluate('document.body.textContent + document.title')
    guarded.note(kind, name, [
      ...(text.includes(name.replaceAll('/', '_')) ? [] : ['the name is not in the text']),
      ...(await report.ended()),
    ])
  }
  const text = readFileSync(join(experiment, 'plan.json'), 'utf8')
  for (const name of scripts) {
    const folder = join(guarded.fresh(), 'experiment')
    cpSync(experiment, folder, { recursive: true })
    const plan = JSON.parse(text)
    plan.models[0].architecture.name = name
    plan.data.path = name
    writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan))
    const made = await guarded.command(kind, `${name}: an experiment`, 'rdm-report', [folder], { codes: [0, 2] })
    if (made.code !== 0) continue
    const report = await watched(browser, pathToFileURL(join(folder, 'report', 'index.html')).href, 'file:')
    guarded.note(kind, `${name}: an experiment`, await report.ended())
  }
}

/** Asks for a path as it stands, `..` included. */
const ask = (port, path, { method = 'GET', headers = {} } = {}) =>
  new Promise((resolve, reject) => {
    const sent = request({ hostname: '127.0.0.1', port, path, method, headers }, (response) => {
      let text = ''
      response.setEncoding('latin1').on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
    })
    sent.on('error', reject).end()
  })

const connects = (host, port) =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 })
    const done = (answer) => {
      socket.destroy()
      resolve(answer)
    }
    socket
      .on('connect', () => done(true))
      .on('error', () => done(false))
      .on('timeout', () => done(false))
  })

async function probeServer(guarded, port) {
  const kind = 'the server of the lab'
  const expects = async (name, status, path, options) => {
    const { status: found, headers, text } = await ask(port, path, options)
    guarded.note(kind, name, [
      ...(found === status ? [] : [`status ${found}, not ${status}`]),
      ...(/root:|c4nary|Index of/.test(text) ? ['it gave a file or a list'] : []),
      ...(headers['x-content-type-options'] === 'nosniff' ? [] : ['no nosniff']),
    ])
  }
  const paths = [
    '/../package.json',
    '/assets/../../src/cli/start.js',
    '/%2e%2e/%2e%2e/package.json',
    '/..%2f..%2fpackage.json',
    '/..%5c..%5cpackage.json',
    '/.%2e/package.json',
    '/%00',
    '/index.html%00.js',
    '/%',
    '/%c0%ae%c0%ae/package.json',
    '/assets',
    '/assets/',
    '//etc/passwd',
    '/etc/passwd',
    '/_headers/..',
    '/~root',
    '/.git/config',
    '/file:///etc/passwd',
    `/${'a/'.repeat(3000)}`,
  ]
  for (const path of paths) await expects(path.slice(0, 80), 404, path)
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'])
    await expects(method, 405, '/', { method })
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    '127.0.0.1:1',
    `127.0.0.1.evil.example:${port}`,
    `127.0.0.1:${port}.evil.example`,
    `0.0.0.0:${port}`,
    `[::1]:${port}`,
  ])
    await expects(`Host: ${host}`, 421, '/', { headers: { host } })
  await expects('the page', 200, '/')
  const { headers } = await ask(port, '/')
  const wanted = {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
  }
  for (const [name, value] of Object.entries(wanted))
    guarded.note(kind, name, headers[name] === value ? [] : [`it is ${headers[name]}`])
  const policy = headers['content-security-policy'] ?? ''
  guarded.note(kind, 'content-security-policy', [
    ...(policy.includes("default-src 'none'") ? [] : ['it does not begin with nothing']),
    ...(/script-src[^;]*'unsafe-(inline|eval)'/.test(policy) ? ['it lets scripts stand in the page'] : []),
  ])
  const others = Object.values(networkInterfaces())
    .flat()
    .filter(({ address }) => address !== '127.0.0.1')
  for (const { address, scopeid } of others)
    guarded.note(
      kind,
      `listens on ${scopeid ? 'a link-local address' : address}`,
      (await connects(scopeid ? `${address}%${scopeid}` : address, port)) ? ['it does'] : [],
    )
}

async function probeLab(guarded, browser, origin) {
  const kind = 'names in the lab, in Chromium'
  for (const name of scripts) {
    const folder = guarded.fresh()
    const model = join(folder, `${name.replaceAll('/', '_')}.onnx`)
    writeFileSync(model, linearModel({ name }))
    const lab = await watched(browser, `${origin}#bring`, origin)
    const { page } = lab
    await page.getByLabel('A model', { exact: true }).setInputFiles(model)
    await page.getByText(name.replaceAll('/', '_'), { exact: false }).first().waitFor({ timeout: 60_000 })
    guarded.note(kind, `a model: ${name}`, await lab.ended())

    const photos = join(folder, 'photos')
    for (const label of [name.replaceAll('/', '_'), 'other']) {
      mkdirSync(join(photos, label), { recursive: true })
      copyFileSync(
        join(import.meta.dirname, '../../docs/lab-bring.png'),
        join(photos, label, `${name.replaceAll('/', '_')}.png`),
      )
    }
    const data = await watched(browser, `${origin}#bring`, origin)
    await data.page.getByLabel('A folder', { exact: true }).first().setInputFiles(photos)
    await data.page.waitForTimeout(1500)
    guarded.note(kind, `a folder of images: ${name}`, await data.ended())

    const shared = await watched(
      browser,
      `${origin}#design?arch=${encodeURIComponent(name)}&classes=${encodeURIComponent(name)}`,
      origin,
    )
    await shared.page.waitForTimeout(500)
    guarded.note(kind, `an address: ${name}`, await shared.ended())
  }
}

export async function probePages(guarded, made, { short }) {
  let origin
  const server = startCommand('rdm-lab', ['--port', '0'], {
    onLine: (line) => {
      origin = /http:\S+/.exec(line)?.[0]
    },
  })
  let browser
  try {
    while (origin === undefined && server.child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 50))
    await probeServer(guarded, new URL(origin).port)
    if (!isInstalled) return
    if (short) scripts.splice(2)
    browser = await launchBrowser()
    await probeReport(guarded, browser, made)
    await probeLab(guarded, browser, origin)
  } finally {
    await browser?.close()
    await end(server, 'SIGINT')
  }
}
