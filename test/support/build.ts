// Compiles the package before the tests: what runs in worker threads and child processes is the compiled form.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export default function setup(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../tools/build.mjs', import.meta.url))], {
    stdio: 'inherit',
  })
}
