// What the page of readers.test.ts loads: the readers, and what makes batches of what they read.
export { Batches } from '../../src/driver/data/batches.js'
export { bindColumns } from '../../src/driver/data/bind.js'
export { chosenFiles, droppedFiles, filesInFolder, readDataset } from '../../src/web/files.js'
export { decodeImages } from '../../src/web/images.js'
