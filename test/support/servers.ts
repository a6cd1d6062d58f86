// Servers that tests drive: Redis, and storage that speaks S3's protocol.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ci = process.env.CI !== undefined
const redisServer = '/usr/bin/redis-server'
const motoServer = fileURLToPath(new URL('../../.venv/s3/bin/moto_server', import.meta.url))

/** Whether tests that need Redis run: where it is installed, and always in CI, where they fail without it. */
export const hasRedis = existsSync(redisServer) || ci
/** Likewise of S3 (test/support/s3Server.sh). */
export const hasS3 = existsSync(motoServer) || ci

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Starts a server and waits until it answers. */
async function listening(command: string, argv: readonly string[], answers: () => Promise<boolean>) {
  const child = spawn(command, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  let failed: Error | undefined
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.on('error', (error) => {
    failed = error
  })
  for (;;) {
    if (failed) throw failed
    if (child.exitCode !== null) throw new Error(`${command} ended: ${said}`)
    if (await answers()) return child
    await sleep(50)
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await ended
}

export interface RunningRedis {
  readonly url: string
  stop(): Promise<void>
  /** Kills it, and starts it again, after `meanwhile`, with what it has on its disk. */
  restart(meanwhile?: () => Promise<void>): Promise<void>
}

/** @param folder where it keeps its data */
export async function startRedis(folder: string): Promise<RunningRedis> {
  const port = await freePort()
  const { Redis } = await import('ioredis')
  const answers = async () => {
    const redis = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => null })
    redis.on('error', () => {})
    try {
      await redis.connect()
      return (await redis.ping()) === 'PONG'
    } catch {
      return false
    } finally {
      redis.disconnect()
    }
  }
  const argv = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--save', '']
  let child = await listening(redisServer, argv, answers)
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: () => end(child, 'SIGTERM'),
    async restart(meanwhile) {
      await end(child, 'SIGKILL')
      await meanwhile?.()
      child = await listening(redisServer, argv, answers)
    },
  }
}

export interface RunningS3 {
  /** Address of the server. */
  readonly endpoint: string
  stop(): Promise<void>
}

/** A server with one empty bucket, `bucket`, that takes any credentials. */
export async function startS3(): Promise<RunningS3> {
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const answers = async () => (await fetch(`${endpoint}/bucket`, { method: 'PUT' }).catch(() => undefined))?.ok ?? false
  const child = await listening(motoServer, ['-H', '127.0.0.1', '-p', `${port}`], answers)
  return { endpoint, stop: () => end(child, 'SIGTERM') }
}
