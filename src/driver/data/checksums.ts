// MD5 checksums of data files: of the official ones, and those that a folder's MD5SUMS lists (the md5sum format).

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../../core/errors.js'
import type { DatasetFormat } from './cifar.js'
import { readBytes } from './cifar.js'

/** The name of the file that lists the checksums of the files beside it. */
export const checksumsFile = 'MD5SUMS'

/**
 * MD5 of the official files by name. Of CIFAR-100's binary version only the archive's is published; `rdm-data fetch`
 * checks that one, and then writes an MD5SUMS of what it unpacked.
 */
export const officialMd5: Readonly<Record<DatasetFormat, Readonly<Record<string, string>>>> = {
  cifar10: {
    'data_batch_1.bin': '5dd7e06a14cb22eb9f671a540d1b7c25',
    'data_batch_2.bin': '5ea93a67294ea407fff1d09f752e9692',
    'data_batch_3.bin': '942cd6a4bcdd0dd3c604fbe906cb4421',
    'data_batch_4.bin': 'ae636b3ba5c66a11e91e8cb52e771fcb',
    'data_batch_5.bin': '53f37980c15c3d472c316c40844f3f0d',
    'test_batch.bin': '803d5f7f4d78ea53de84dbe85f74fb6d',
  },
  cifar100: {},
}

/** MD5 of these bytes, in hexadecimal. */
export const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

/** MD5 of a file of any size, in hexadecimal. */
export async function md5OfFile(path: string): Promise<string> {
  const hash = createHash('md5')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** The text of an MD5SUMS file, from the checksums by file name. */
export const formatChecksums = (sums: ReadonlyMap<string, string>): string =>
  [...sums].map(([name, sum]) => `${sum}  ${name}\n`).join('')

/** Reads an MD5SUMS file: checksums by file name; undefined where there is no such file. */
export async function readChecksums(path: string): Promise<Map<string, string> | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return undefined
  if (found.size > 2 ** 16) throw new UserError(`${path}: ${found.size} bytes are too many for a list of checksums`)
  const sums = new Map<string, string>()
  for (const [index, line] of new TextDecoder()
    .decode(await readBytes(path, found.size))
    .split('\n')
    .entries()) {
    if (line.trim() === '') continue
    const match = /^([0-9a-f]{32}) [ *](.+?)\r?$/i.exec(line)
    if (!match) throw new UserError(`${path}: line ${index + 1} is not an md5, two spaces and a file name`)
    sums.set(match[2]!, match[1]!.toLowerCase())
  }
  return sums
}
