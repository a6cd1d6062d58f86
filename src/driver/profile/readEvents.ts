// The file that ONNX Runtime's profiler writes.
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { UserError } from '../../core/errors.js'
import { type ProfileEvent, parseEvent } from './events.js'

/**
 * The events in the folder's only file.
 * @throws UserError when there is none
 */
export async function readEvents(folder: string): Promise<ProfileEvent[]> {
  const [file] = await readdir(folder)
  if (file === undefined) throw new UserError(`ONNX Runtime wrote no profile to ${folder}`)
  const events: ProfileEvent[] = []
  for await (const line of createInterface({ input: createReadStream(join(folder, file)) })) {
    const event = parseEvent(line)
    if (event) events.push(event)
  }
  return events
}
