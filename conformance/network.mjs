// A network that others made: its outputs and its gradient in ONNX Runtime, from the file and from what is written of it.

import { readFileSync } from 'node:fs'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { isFloat, narrow, numbers, tensorOf, widen } from '../dist/src/core/graph/tensor.js'
import { parametersAsInputs } from '../dist/src/core/model/write.js'
import { randomStream } from '../dist/src/core/random.js'
import {
  add,
  evaluateGraph,
  exportGraph,
  gradients,
  graph,
  input,
  mul,
  multiplyAdds,
  readNetwork,
  reduceSum,
} from '../dist/src/index.js'

/** What float32 leaves of an output: max |ours − theirs| / max |theirs|. */
export const OUTPUT = 1e-4
/** What float32 leaves of a difference of two runs. */
export const GRADIENT = 1e-2
/** The reference evaluation is plain loops: past so many multiplications it takes minutes. */
const AFFORDABLE = 7e8

const elements = (shape) => shape.reduce((product, size) => product * size, 1)

async function open(model) {
  const session = await InferenceSession.create(model, { logSeverityLevel: 3 })
  return async (feeds) => {
    const given = session.inputNames.map((name) => {
      const { dtype, data, shape } = narrow(feeds.get(name))
      return [name, new Tensor(dtype, data, [...shape])]
    })
    const results = Object.entries(await session.run(Object.fromEntries(given)))
    return new Map(results.map(([name, { type, dims, data }]) => [name, widen(tensorOf(type, dims, data))]))
  }
}

/** Numbers that float32 holds: evenly spread for floats, whole ones below `most` otherwise. */
function drawn(random, { dtype, shape }, [from, to] = isFloat(dtype) ? [-1, 1] : [0, 2]) {
  const values = Array.from({ length: elements(shape) }, () => from + (to - from) * random.uniform())
  return numbers(dtype, shape, values.map(isFloat(dtype) ? Math.fround : Math.floor))
}

/** max |a − b| / max |b| of all outputs; infinite where they are of different kinds. */
function error(actual, expected) {
  let worst = 0
  for (const [name, { dtype, shape, data }] of expected) {
    const found = actual.get(name)
    if (found?.dtype !== dtype || found.shape.join() !== shape.join()) return Number.POSITIVE_INFINITY
    const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1
    found.data.forEach((value, i) => {
      const apart = Math.abs(value - data[i]) / largest
      if (!(apart <= worst) && !(Number.isNaN(value) && Number.isNaN(data[i]))) worst = apart
    })
  }
  return worst
}

/** The values that a network has a gradient at, and the one that is differentiated: a sum of all float outputs, each with a factor. */
function projected(network) {
  const outputs = [...network.outputs].filter(([, { dtype }]) => isFloat(dtype))
  const factors = outputs.map(([name, { dtype, shape }]) => [name, input(`factor/${name}`, dtype, shape)])
  const sums = outputs.map(([, y], i) =>
    reduceSum(
      mul(y, factors[i][1]),
      y.shape.map((_, axis) => axis),
      { keepdims: 0 },
    ),
  )
  return { factors, sum: sums.reduce((total, sum) => add(total, sum)) }
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0)
const size = ({ data }) => Math.sqrt(dot(data, data) / Math.max(1, data.length))

/** The derivative along a random direction at all float inputs and weights, derived and by differences of the file's own outputs. */
async function directional(network, feeds, random) {
  const open_ = parametersAsInputs(network, network.parameters)
  const places = open_.inputs.filter(({ dtype }) => isFloat(dtype))
  const { factors, sum } = projected(open_)
  const found = gradients(sum, places)
  const names = places.map(({ origin }) => origin.name)
  const backward = graph(
    'backward',
    [...open_.inputs, ...factors.map(([, value]) => value)],
    new Map(found.map((value, i) => [`gradient/${names[i]}`, value])),
  )
  const forward = await open(exportGraph(open_))
  const at = new Map([
    ...feeds,
    ...network.parameters.map(({ origin }) => [origin.name, widen(origin.initializer.tensor)]),
  ])
  const outputs = await forward(at)
  const weights = new Map(factors.map(([name]) => [name, drawn(random, outputs.get(name))]))
  const given = new Map([...at, ...[...weights].map(([name, value]) => [`factor/${name}`, value])])
  const derived = await (await open(exportGraph(backward)))(given)
  // As large as the numbers that are there, so that each tensor counts.
  const directions = names.map((name) => {
    const { data } = drawn(random, at.get(name))
    const scale = size(at.get(name)) || 1
    return data.map((value) => value * scale)
  })
  const slope = names.reduce((total, name, i) => total + dot(derived.get(`gradient/${name}`).data, directions[i]), 0)
  const slopeOf = async (run, step) => {
    const value = async (by) => {
      const moved = names.map((name, i) => {
        const { dtype, shape, data } = at.get(name)
        return [name, numbers(dtype, shape, data.map((x, k) => x + by * directions[i][k]))]
      })
      const results = await run(new Map([...at, ...moved]))
      return [...weights].reduce((total, [name, { data }]) => total + dot(results.get(name).data, data), 0)
    }
    return ((await value(step)) - (await value(-step))) / (2 * step)
  }
  const slopes = []
  for (let step = 2 ** -5; step > 2 ** -20; step /= 2) slopes.push(await slopeOf(forward, step))
  const exact = isAffordable(network) ? await slopeOf((feeds) => evaluateGraph(open_, feeds), 1e-9) : undefined
  return { slope, slopes, exact, count: names.length }
}

const isAffordable = (network) => multiplyAdds(network) < AFFORDABLE

export async function attemptNetwork(file, { shapes = {}, range = {}, fixed = {} } = {}) {
  const bytes = readFileSync(file)
  const network = readNetwork(bytes, { shapes })
  const random = randomStream(7, 'conformance')
  const feeds = new Map(
    network.inputs.map((value) => [
      value.origin.name,
      fixed[value.origin.name] ?? drawn(random, value, range[value.origin.name]),
    ]),
  )
  const expected = await (await open(file))(feeds)
  const ours = await (await open(exportGraph(network)))(feeds)
  const outputs = error(ours, expected)
  const reference = isAffordable(network) ? error(evaluateGraph(network, feeds), expected) : undefined
  return { outputs, reference, macs: multiplyAdds(network), ...(await directional(network, feeds, random)) }
}
