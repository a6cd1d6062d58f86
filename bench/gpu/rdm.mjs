// Runs a command of ours from dist as it stands: `node rdm.mjs rdm-fit --help`. Those in bin compile first where the sources
// are newer, and the machine may have no compiler.

const [command, ...argv] = process.argv.slice(2)
const { main } = await import(`../../dist/src/cli/${command}.js`)
await main(argv)
