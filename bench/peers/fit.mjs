// A training run that goes on by so many steps at a time, each split into what lies before the run of ONNX Runtime, the
// run, and what comes after it: `node --import ./clock.mjs fit.mjs --case FOLDER [--out NAME --checkpoint-seconds 0]`.

import { readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setEnvironmentData } from 'node:worker_threads'
import { fit, readTrainableModel } from 'rdm-onnx'
import { dataOf } from '../common.mjs'
import { now } from './clock.mjs'
import { readCase } from './protocol.mjs'

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    out: { type: 'string', default: 'run' },
    'checkpoint-seconds': { type: 'string', default: '1e9' },
  },
})
const { dataFolder, synthetic, batch, threads } = readCase(values.case)
const shared = new SharedArrayBuffer(16)
const latest = new Float64Array(shared)
setEnvironmentData('latest run', shared)

const answer = (value) => writeSync(1, `${JSON.stringify(value)}\n`)
const bytes = Buffer.alloc(256)

/** Waits in place, and so keeps the run where it is. */
function readLine() {
  for (;;) {
    try {
      return bytes.toString('utf8', 0, readSync(0, bytes))
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}

let left = 0
let steps
let begun
function waitForWork() {
  const text = readLine()
  if (text === '') process.exit()
  left = JSON.parse(text).steps
  steps = { ms: [], before: [], inside: [], after: [], loss: [] }
  begun = now()
}

function afterStep(loss) {
  const ended = now()
  const [runBegun, runEnded] = latest
  steps.ms.push(ended - begun)
  steps.before.push(runBegun - begun)
  steps.inside.push(runEnded - runBegun)
  steps.after.push(ended - runEnded)
  steps.loss.push(loss)
  begun = ended
  if (--left > 0) return
  answer(steps)
  waitForWork()
}

await fit({
  model: readTrainableModel(readFileSync(join(values.case, 'model.onnx'))),
  data: await dataOf(dataFolder, synthetic),
  out: join(values.case, values.out),
  config: { batchSize: batch, threads, checkpointSeconds: Number(values['checkpoint-seconds']) },
  onEvent(event) {
    if (event.event === 'start') {
      answer({ ready: true })
      waitForWork()
    } else if (event.event === 'step') afterStep(event.loss)
    else if (event.event === 'notice') process.stderr.write(`${event.message}\n`)
  },
})
