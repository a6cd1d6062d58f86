// Trains by the library itself: sessions in worker threads, a run folder, the evaluation.
import { readFileSync } from 'node:fs'
import * as whole from 'rdm-onnx'
import * as core from 'rdm-onnx/core'
import * as web from 'rdm-onnx/web'

const { fit, readTrainableModel } = whole
if (whole.relu !== core.relu) throw new Error('rdm-onnx and rdm-onnx/core are not the same')
if (typeof web.fit !== 'function') throw new Error('rdm-onnx/web has no fit')
const column = (shape, values) => ({ kind: 'tensor', dtype: 'float32', shape, data: Float32Array.from(values) })
const part = (i, step) => (i * step) % 1
const split = (count) => {
  const x = Array.from({ length: 2 * count }, (_, i) => part(i, 0.618034))
  const targets = Array.from({ length: count }, (_, i) => x[2 * i] + x[2 * i + 1])
  return { count, columns: { x: column([2], x), targets: column([1], targets) } }
}
const { history } = await fit({
  model: readTrainableModel(readFileSync('all.onnx')),
  data: { format: 'sums', train: split(320), test: split(64) },
  out: `runs/library-${process.pid}`,
  config: { epochs: 4 },
})
const [first, last] = [history[0].testLoss, history.at(-1).testLoss]
if (!(last < first)) throw new Error(`the test loss went from ${first} to ${last}`)
console.log(`library: test loss ${first.toFixed(4)} to ${last.toFixed(4)}`)
