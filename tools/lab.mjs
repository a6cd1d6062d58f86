// Bundles the page of rdm-lab from src/lab into a folder that any host of files serves.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('../src/lab', import.meta.url))

/** What the page may load, run and reach: itself. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  // Charts carry their styles in attributes.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "worker-src 'self' blob:",
  "connect-src 'self' blob: data:",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** In the form that some hosts of files are told in which headers to send. WebAssembly has threads where the first two are sent. */
const headers = `/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
  Content-Security-Policy: ${policy}; frame-ancestors 'none'
`

/** For hosts that send no headers. */
const policyInPage = {
  name: 'policy',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: policy },
      injectTo: 'head-prepend',
    },
  ],
}

/** Sources name workers by their compiled form, too, which a bundler of sources has to be told. */
const workersOfSources = {
  name: 'workers-of-sources',
  enforce: 'pre',
  transform: (code, id) =>
    id.endsWith('/web/client.ts') ? code.replaceAll(/(new URL\('\.\/\w+)\.js'/g, "$1.ts'") : undefined,
}

export async function buildLab(folder) {
  const { build } = await import('vite')
  await build({
    root: source,
    configFile: false,
    // Any folder of a host will do.
    base: './',
    logLevel: 'warn',
    plugins: [policyInPage, workersOfSources],
    worker: { format: 'es' },
    build: {
      target: 'es2023',
      outDir: folder,
      emptyOutDir: true,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 2000,
      rolldownOptions: { checks: { pluginTimings: false } },
      // The policy lets nothing run that is written into an address.
      assetsInlineLimit: 0,
    },
  })
  writeFileSync(join(folder, '_headers'), headers)
  copyFileSync(join(source, 'NOTICE.txt'), join(folder, 'NOTICE.txt'))
}
