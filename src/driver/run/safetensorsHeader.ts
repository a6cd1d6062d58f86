// The header of a safetensors file alone: for looking at many files, often, while others write them.
import { open } from 'node:fs/promises'
import { requirePlainFile } from './files.js'
import { failing, lengthOfHeader, metadataIn } from './safetensors.js'

/**
 * The metadata of a file, without its tensors.
 * @throws UserError when its header is not as the format says; the error of the system when it cannot be read
 */
export async function readMetadataOf(path: string): Promise<Readonly<Record<string, string>>> {
  const fail: (reason: string) => never = failing(path)
  await requirePlainFile(path)
  const file = await open(path, 'r')
  try {
    const read = async (position: number, length: number): Promise<Uint8Array> => {
      const { bytesRead, buffer } = await file.read({ buffer: new Uint8Array(length), position, length })
      return bytesRead === length ? buffer : fail(`it ends within its header`)
    }
    const length = lengthOfHeader(await read(0, 8), (await file.stat()).size, fail)
    return metadataIn(await read(8, length), fail)
  } finally {
    await file.close()
  }
}
