// What workers need: Redis, storage that speaks S3's protocol, and a line between them that can be cut.

import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { end, hasEnded, startProgram } from '../support/children.mjs'

const redisServer = '/usr/bin/redis-server'
const motoServer = join(import.meta.dirname, '../../.venv/s3/bin/moto_server')
export const hasRedis = existsSync(redisServer)
/** test/support/s3Server.sh installs it. */
export const hasS3 = existsSync(motoServer)

const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))

async function freePort() {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

const accepts = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })

async function until(port, program) {
  while (!(await accepts(port))) {
    if (hasEnded(program.child)) throw new Error(`a server ended: ${program.kept.err}`)
    await sleep(50)
  }
}

/** Redis with its data in the folder; what it has said is done outlives its process. */
export async function startRedis(folder) {
  const port = await freePort()
  const argv = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--save', '']
  const begin = async () => {
    const program = startProgram(redisServer, argv)
    await until(port, program)
    return program
  }
  let program = await begin()
  return {
    port,
    signal: (name) => program.child.kill(name),
    kill: () => end(program),
    async begin() {
      program = await begin()
    },
  }
}

/** Storage with an empty bucket, `bucket`. */
export async function startS3() {
  const port = await freePort()
  const program = startProgram(motoServer, ['-H', '127.0.0.1', '-p', `${port}`])
  const endpoint = `http://127.0.0.1:${port}`
  await until(port, program)
  while (!(await fetch(`${endpoint}/bucket`, { method: 'PUT' }).catch(() => undefined))?.ok) await sleep(50)
  return { endpoint, signal: (name) => program.child.kill(name), stop: () => end(program) }
}

/** A line to a port that can be cut (connections end, new ones are refused) and stopped (nothing passes for a while). */
export async function startLine(target) {
  const pairs = new Set()
  let state = 'open'
  const server = createServer((near) => {
    if (state === 'cut') return near.destroy()
    const far = connect(target, '127.0.0.1')
    const pair = [near, far]
    pairs.add(pair)
    const drop = () => {
      for (const socket of pair) socket.destroy()
      pairs.delete(pair)
    }
    for (const socket of pair) socket.on('error', drop).on('close', drop)
    near.pipe(far)
    far.pipe(near)
    if (state === 'stopped') for (const socket of pair) stopOne(socket)
  })
  const stopOne = (socket) => {
    socket.unpipe()
    socket.pause()
  }
  const port = await listen(server)
  return {
    port,
    cut() {
      state = 'cut'
      for (const pair of [...pairs]) for (const socket of pair) socket.destroy()
    },
    stop() {
      state = 'stopped'
      for (const pair of pairs) for (const socket of pair) stopOne(socket)
    },
    mend() {
      if (state === 'stopped')
        for (const [near, far] of pairs) {
          near.pipe(far)
          far.pipe(near)
        }
      state = 'open'
    },
    close() {
      server.close()
      for (const pair of [...pairs]) for (const socket of pair) socket.destroy()
    },
  }
}
