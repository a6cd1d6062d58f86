// A training step in Chromium by a library that runs in pages: `node page.mjs --case FOLDER --library ours|tfjs|jax`, on the processor
// or with `--webgpu`. The page has one function, the step; this process opens it and hands on what it says.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'rolldown'
import { openPageWith } from '../../tools/browser.mjs'
import { serve } from './protocol.mjs'

const { values } = parseArgs({
  options: { case: { type: 'string' }, library: { type: 'string' }, webgpu: { type: 'boolean', default: false } },
})
// What Chromium needs to use a graphics card without a screen on Linux; on another machine, what CHROMIUM_FLAGS says.
const onVulkan =
  '--enable-unsafe-webgpu --enable-features=Vulkan --use-angle=vulkan --disable-vulkan-surface --ignore-gpu-blocklist'
const flags = values.webgpu ? (process.env.CHROMIUM_FLAGS ?? onVulkan).split(' ') : []
const library = { ours: 'onnxruntime-web', tfjs: '@tensorflow/tfjs', jax: '@jax-js/jax' }[values.library]
const here = fileURLToPath(new URL('.', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'rdm-page-'))
const packages = join(here, '.venv-page', 'node_modules')
const require = createRequire(import.meta.url)
const versionOf = (name) => {
  const folder = name === 'onnxruntime-web' ? join(dirname(require.resolve(name)), '..') : join(packages, name)
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version
}
let opened
const end = async () => {
  await opened?.close()
  rmSync(folder, { recursive: true, force: true })
}

// The libraries of others are installed apart from the project's own packages (setup.sh).
await build({
  input: join(here, 'page', `${values.library}.js`),
  output: { dir: folder, format: 'esm', entryFileNames: 'step.js' },
  platform: 'browser',
  resolve: { modules: [packages, 'node_modules'], extensionAlias: { '.js': ['.ts', '.js'] } },
  logLevel: 'silent',
})
writeFileSync(
  join(folder, 'index.html'),
  `<!doctype html><title>${values.library}</title><script type="module">
    import { open } from './step.js'
    // Chromium loses the first adapter that it is asked for where its GPU process begins anew, as it does on Vulkan without a screen.
    const adapter = async () => {
      for (let i = 0; i < 5; i++) {
        if (await navigator.gpu?.requestAdapter().catch(() => undefined)) return
        await new Promise((resolve) => setTimeout(resolve, 1000))
      }
    }
    if (${values.webgpu}) await adapter()
    window.opening = open(${JSON.stringify({ webgpu: values.webgpu })}).then(({ version, step }) => { window.step = step; return version })
  </script>`,
)
const runtime = dirname(require.resolve('onnxruntime-web'))
opened = await openPageWith({ folders: [folder, values.case, runtime], path: 'index.html', args: flags })
const { page } = opened
await page.waitForFunction(() => window.opening !== undefined)
const how = await page.evaluate(() => window.opening)
const version = `${library} ${versionOf(library)}, ${how}`
await serve(() => page.evaluate(() => window.step()), { version, hasOtherProcesses: true })
await end()
