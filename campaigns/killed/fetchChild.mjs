// What `rdm-data fetch` does, of data whose size and checksum are told: those of the official files are of files that nobody has here.

import { createProgram, runProgram } from '../../dist/src/cli/command.js'
import { cifarLayouts } from '../../dist/src/driver/data/cifar.js'
import { fetchDataset, fetchFiles } from '../../dist/src/driver/data/fetch.js'

const program = createProgram('fetch', 'Fetch a data set.', [])
  .argument('<source>', 'JSON: an archive or a set of files')
  .argument('<folder>', 'where it goes')
  .action(async (source, folder) => {
    const given = JSON.parse(source)
    await (given.files ? fetchFiles(given, folder) : fetchDataset({ ...given, layout: cifarLayouts.cifar10 }, folder))
  })
await runProgram(program, process.argv.slice(2))
