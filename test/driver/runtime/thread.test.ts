// A worker thread that dies must not leave anybody waiting.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import type { Replies, Request } from '../../../src/driver/runtime/protocol.js'
import { RequestThread } from '../../../src/driver/threads/thread.js'

type RuntimeThread = RequestThread<Request, Replies>

function threadOf(code: string): RuntimeThread {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-thread-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'worker.mjs')
  writeFileSync(file, code)
  return new RequestThread(pathToFileURL(file), "the runtime's thread")
}

const onRequest = "import { parentPort } from 'node:worker_threads'\nparentPort.on('message', ({ id }) => "

it('rejects the requests under way, and later ones, when the thread throws', async () => {
  const thread = threadOf(`${onRequest} { throw new Error('boom') })`)
  const requests = [thread.request({ kind: 'readState' }), thread.request({ kind: 'readState' })]
  for (const request of requests) await expect(request).rejects.toThrow("the runtime's thread failed: boom")
  await expect(thread.request({ kind: 'close' })).rejects.toThrow("the runtime's thread failed: boom")
})

it('rejects the requests under way when the thread exits', async () => {
  const thread = threadOf(`${onRequest} process.exit(7))`)
  await expect(thread.request({ kind: 'readState' })).rejects.toThrow("the runtime's thread ended with code 7")
})

it('rejects the requests under way when it is ended', async () => {
  const thread = threadOf(`${onRequest} {})`)
  const request = expect(thread.request({ kind: 'readState' })).rejects.toThrow("the runtime's thread is closed")
  await thread.end()
  await request
})

it('tells bad input from faults of ours', async () => {
  const thread = threadOf(`${onRequest} parentPort.postMessage({ id, failure: { message: 'no', user: id > 0 } }))`)
  await expect(thread.request({ kind: 'readState' })).rejects.toMatchObject({ name: 'Error', message: 'no' })
  await expect(thread.request({ kind: 'readState' })).rejects.toMatchObject({ name: 'UserError', message: 'no' })
  await thread.end()
})

it('fails when there is no worker file', async () => {
  const thread = new RequestThread<Request, Replies>(new URL('./not-there.js', import.meta.url), "the runtime's thread")
  await expect(thread.request({ kind: 'readState' })).rejects.toThrow(/the runtime's thread failed: Cannot find module/)
})
