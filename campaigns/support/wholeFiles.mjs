// What lies in a folder under its final name is whole: it can be read by what reads it.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readTrainableModel } from '../../dist/src/core/model/read.js'
import { decodeCheckpoint } from '../../dist/src/driver/run/checkpointFile.js'
import { decodeSafetensors } from '../../dist/src/driver/run/safetensors.js'

const endsWith = (end) => (bytes) => {
  if (!bytes.toString('latin1').trimEnd().endsWith(end)) throw new Error(`does not end with ${end}`)
}

function jsonLines(bytes) {
  const text = bytes.toString()
  if (text !== '' && !text.endsWith('\n')) throw new Error('ends within a line')
  for (const line of text.split('\n').slice(0, -1)) JSON.parse(line)
}

/** By the file's name; the first that fits. */
const readers = [
  [/^(checkpoint|checkpoint\.previous)\.safetensors$/, decodeCheckpoint],
  [/\.safetensors$/, decodeSafetensors],
  [/\.onnx$/, readTrainableModel],
  [/^(lock|.*\.json)$/, (bytes) => JSON.parse(bytes.toString())],
  [/^metrics\.jsonl$/, jsonLines],
  [/\.svg$/, endsWith('</svg>')],
  [/\.html$/, endsWith('</html>')],
  [/\.png$/, endsWith('IEND\xae\x42\x60\x82')],
]

/** Grows line by line, and its readers pass over a torn one. */
const appended = ['timing.jsonl']
/** Not there under its final name yet: NAME.123456789, .NAME.tmp, .lock.123, NAME.tmp-x1y2z3. */
const isTemporary = (name) => /\.\d{5,}$|^\..*\.tmp$|^\.lock\.|\.tmp-\w+$/.test(name)

/** Files below a folder, by their paths from it; temporary ones left out. */
export function filesBelow(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !isTemporary(name))
    .flatMap((entry) =>
      entry.isDirectory() ? filesBelow(join(folder, entry.name)).map((path) => join(entry.name, path)) : [entry.name],
    )
    .sort()
}

/** What is half, or unknown, in a folder: a line each. */
export function halfFiles(folder) {
  return filesBelow(folder).flatMap((path) => {
    const name = basename(path)
    if (appended.includes(name)) return []
    const reader = readers.find(([pattern]) => pattern.test(name))
    if (!reader) return [`${path}: a file that nothing is known of`]
    try {
      reader[1](readFileSync(join(folder, path)), path)
      return []
    } catch (error) {
      return [`${path} is half: ${error.message}`]
    }
  })
}

/** The bytes of files, by path; all files below the folder unless they are named. */
export const bytesOf = (folder, paths = filesBelow(folder)) =>
  new Map(paths.map((path) => [path, existsSync(join(folder, path)) ? readFileSync(join(folder, path)) : undefined]))

/** Files that are not those of the reference: a line each. */
export function differences(folder, reference) {
  const found = bytesOf(folder, [...reference.keys()])
  return [...reference].flatMap(([path, bytes]) => {
    const there = found.get(path)
    if (there === undefined) return [`${path} is missing`]
    return there.equals(bytes) ? [] : [`${path} has other bytes than the undisturbed run`]
  })
}
