// Starts a command from dist. In a source checkout (the published package has no src folder) dist is compiled first
// when it is missing or out of date, so that `npx rdm-export …` works right after `npm ci`.
import { existsSync } from 'node:fs'

export async function launch(command) {
  if (existsSync(new URL('../src', import.meta.url))) {
    const { build } = await import('../tools/build.mjs')
    if (!(await build())) process.exit(1)
  }
  const { main } = await import(`../dist/src/cli/${command}.js`)
  await main(process.argv.slice(2))
}
