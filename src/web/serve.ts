// What a worker of a page does, whatever it computes with: holds a run, or a session, and answers what the page asks.

import { messageOf, UserError } from '../core/errors.js'
import { readTrainableModel } from '../core/model/read.js'
import { evaluateModelBy, scoredInFile } from '../driver/evaluation/modelEvaluation.js'
import { drawnState } from '../driver/fit/drawnState.js'
import type { Session } from '../driver/runtime/session.js'
import { memoryOf } from '../driver/runtime/tensor.js'
import { webEngine } from './engine.js'
import type { Question, Replies, Request, ToPage, ToWorker, WebProvider } from './protocol.js'
import { type Ort, setRuntime } from './runtime.js'
import { openPlain } from './session.js'
import { type Files, PageRun } from './training.js'

const post = (message: ToPage, moved: Transferable[] = []) => globalThis.postMessage(message, { transfer: moved })

/** Questions to the page that it has not answered yet. */
const asked = new Map<number, PromiseWithResolvers<Uint8Array | undefined>>()
let questions = 0
function ask(question: Omit<Question, 'question'>): Promise<Uint8Array | undefined> {
  const answer = Promise.withResolvers<Uint8Array | undefined>()
  asked.set(++questions, answer)
  post({ ...question, question: questions })
  return answer.promise
}

const stored: Files = {
  read: (name) => ask({ name }),
  write: async (name, bytes) => void (await ask({ name, bytes })),
}

const run = new PageRun()
let session: Session | undefined

async function answer(request: Request): Promise<Replies[Request['kind']]> {
  switch (request.kind) {
    case 'fit':
      return run.go(request, stored, (event) => post({ event }))
    case 'pause':
      return void run.pause()
    case 'resume':
      return void run.resume()
    case 'stop':
      return void run.stop()
    case 'snapshot':
      return run.snapshot()
    case 'told': {
      const { resolve, reject } = asked.get(request.question)!
      asked.delete(request.question)
      if (request.failure === undefined) resolve(request.value)
      else reject(new UserError(request.failure))
      return undefined
    }
    case 'open': {
      session = await openPlain(request.model, request.settings, { optimize: true })
      const { inputs, outputs } = session
      return { inputs, outputs }
    }
    case 'run':
      return session!.run(request.feeds)
    case 'drawState':
      return drawnState(webEngine(request.settings), readTrainableModel(request.model, 'the model'), request.seed)
    case 'evaluate': {
      const { model, split, settings, inputs, testAugment } = request
      const scored = scoredInFile(model)
      if (!scored)
        throw new UserError(
          "the model's file does not say its loss: derive a training step for it first (rdm-onnx/core)",
        )
      const engine = webEngine(settings)
      const opened = await engine.open(model, { optimize: true })
      const logits = opened.outputs.find(({ name }) => name === 'logits')?.name
      return evaluateModelBy(engine, { session: opened, scored, split, inputs, testAugment, logits })
    }
  }
}

/**
 * Answers the page from now on.
 * @param load the runtime of this worker, by the name of its package
 */
export function serve(provider: WebProvider, load: () => Promise<Ort>): void {
  // A bundler that puts everything into one file makes the runtime's own threads of it, too: that is the runtime's alone then.
  if (self.name.startsWith('em-pthread')) return void load()
  setRuntime(provider, load)
  globalThis.addEventListener('message', async ({ data }: MessageEvent<ToWorker>) => {
    const { id, request } = data
    try {
      const value = await answer(request)
      const moved = request.kind === 'run' ? memoryOf(value as Replies['run']) : []
      post({ id, value }, moved)
    } catch (error) {
      post({ id, failure: { message: messageOf(error), user: error instanceof UserError } })
    }
  })
}
