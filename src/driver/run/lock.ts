// One process at a time per run folder: a lock file that names its process and is taken over when that one is gone.
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { cannotWrite } from '../output.js'

const ownerSchema = z.object({
  pid: z.int().min(1),
  host: z.string(),
  /** When the process started, in the system's clock ticks since boot; null where the system does not say. */
  started: z.string().nullable(),
})
type Owner = z.infer<typeof ownerSchema>

/** A process number is used again some day; together with the start time it is not. */
function startOf(pid: number): string | null {
  try {
    // Field 22 of the line, counted after the command name, which stands in parentheses and may hold anything.
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

function alive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there, but belongs to somebody else.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  const now = startOf(pid)
  return started === null || now === null || started === now
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined)

function readOwner(path: string): { text: string; owner: Owner | undefined } | undefined {
  try {
    if (!statSync(path).isFile()) throw new UserError(`${path} is no file: move it away`)
    const text = readFileSync(path, 'utf8')
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      // Not ours, or torn by a crash of the whole machine: no living process stands behind it.
    }
    return { text, owner: ownerSchema.safeParse(json).data }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The process that has the folder locked: one on this machine only while it lives, one on another whatever it does. */
export function holderOf(folder: string): { readonly pid: number; readonly host: string } | undefined {
  const owner = readOwner(join(folder, 'lock'))?.owner
  if (!owner || (owner.host === hostname() && !alive(owner))) return undefined
  return { pid: owner.pid, host: owner.host }
}

/**
 * Locks the folder for this process; the function returned unlocks it.
 * @throws UserError when a living process holds it, or the lock cannot be written.
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, 'lock')
  const own = `${JSON.stringify({ pid: process.pid, host: hostname(), started: startOf(process.pid) } satisfies Owner)}\n`
  const fresh = join(folder, `.lock.${process.pid}`)
  // A link appears at once with all its content, and fails when there is one already.
  rmSync(fresh, { force: true })
  try {
    writeFileSync(fresh, own, { flag: 'wx' })
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        create(fresh, path, own)
        return () => {
          if (readOwner(path)?.text === own) rmSync(path, { force: true })
        }
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error
      }
      takeAway(folder, path)
    }
  } catch (error) {
    throw error instanceof UserError ? error : cannotWrite(path, error)
  } finally {
    rmSync(fresh, { force: true })
  }
  throw new UserError(`${folder} is in use: other processes are starting a run in it at this moment`)
}

function create(fresh: string, path: string, own: string): void {
  try {
    linkSync(fresh, path)
  } catch (error) {
    // File systems without hard links.
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(String(codeOf(error)))) throw error
    writeFileSync(path, own, { flag: 'wx' })
  }
}

/** Removes the lock of a process that is gone. */
function takeAway(folder: string, path: string): void {
  const found = readOwner(path)
  if (!found) return
  const { owner, text } = found
  if (owner && owner.host !== hostname()) {
    throw new UserError(
      `${folder} is in use by process ${owner.pid} on ${owner.host}: wait for it, or delete ${path} if it is gone`,
    )
  }
  if (owner && alive(owner)) {
    throw new UserError(`${folder} is in use by process ${owner.pid}: wait for it, or choose another folder`)
  }
  // By a rename to a name of our own, because between reading and removing another process may have put its lock there.
  const removed = join(folder, `.lock.${process.pid}.old`)
  try {
    renameSync(path, removed)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  try {
    if (readOwner(removed)?.text !== text) linkSync(removed, path)
  } finally {
    rmSync(removed, { force: true })
  }
}
