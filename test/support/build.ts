// Compiles the package before the tests: what runs in worker threads and child processes is the compiled form.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export default function setup(): void {
  // When the sources do not compile, the compiler says why, and tests that need no compiled form still run.
  const tool = fileURLToPath(new URL('../../tools/build.mjs', import.meta.url))
  spawnSync(process.execPath, [tool], { stdio: ['ignore', 'inherit', 'inherit'] })
}
