// What our own package.json says.
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const schema = z.object({ version: z.string(), engines: z.object({ node: z.string() }) })

/** It is two folders up from the source and three up from its compiled form; undefined when it is in neither. */
export function ownPackage(): z.infer<typeof schema> | undefined {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      return schema.parse(JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')))
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error
    }
  }
  return undefined
}
