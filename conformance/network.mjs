// A network that others made: its outputs and its gradient, against ONNX Runtime on the file as it is.

import { readFileSync } from 'node:fs'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { UserError } from '../dist/src/core/errors.js'
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
  parameter,
  parameterCount,
  readNetwork,
  reduceSum,
  reshape,
  rewrite,
  slice,
  softplus,
  tile,
} from '../dist/src/index.js'

/** max |ours − theirs| / max |theirs| of an output: what float32 leaves. */
const OUTPUT = 1e-4
/**
 * How far a directional derivative may lie from the differences of two runs: in float64, where kinks and steep places are what is
 * left; in float32, where the differences are rounded too; where nothing can be measured it only has to be a number other than 0.
 */
const GRADIENT = { float64: 5e-3, float32: 2e-2, none: 0 }
/** The reference evaluation is plain loops: past so many multiplications it takes minutes. */
const AFFORDABLE = 2.5e8

async function open(model) {
  const session = await InferenceSession.create(model, { logSeverityLevel: 3 })
  return {
    async run(feeds) {
      const given = session.inputNames.map((name) => {
        const { dtype, data, shape } = narrow(feeds.get(name))
        return [name, new Tensor(dtype, data, [...shape])]
      })
      const results = Object.entries(await session.run(Object.fromEntries(given)))
      return new Map(results.map(([name, { type, dims, data }]) => [name, widen(tensorOf(type, dims, data))]))
    },
    close: () => session.release(),
  }
}

/** Numbers that float32 holds: evenly spread for floats, whole ones otherwise, from the first of the range on. */
function drawn(random, { dtype, shape }, [from, to] = isFloat(dtype) ? [-1, 1] : [0, 2]) {
  const count = shape.reduce((product, size) => product * size, 1)
  const values = Array.from({ length: count }, () => from + (to - from) * random.uniform())
  return numbers(dtype, shape, values.map(isFloat(dtype) ? Math.fround : Math.floor))
}

/** max |a − b| / max |b| over all outputs; infinite where they are of different kinds. */
function apart(actual, expected) {
  const errors = [...expected].map(([name, { dtype, shape, data }]) => {
    const found = actual.get(name)
    if (found?.dtype !== dtype || found.shape.join() !== shape.join()) return Number.POSITIVE_INFINITY
    const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1
    return data.reduce((most, value, i) => Math.max(most, Math.abs(found.data[i] - value) / largest), 0)
  })
  return Math.max(...errors)
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0)
const rootMeanSquare = ({ data }) => Math.sqrt(dot(data, data) / Math.max(1, data.length))

/**
 * ONNX's light models have the same number in all weights, and so no gradient worth looking at: numbers that differ, over and over,
 * in their place.
 */
function filled(network, random) {
  const tensor = narrow(drawn(random, { dtype: 'float32', shape: [9973] }))
  const few = parameter('weights', tensor.shape, { kind: 'given', tensor })
  return rewrite(network, ({ operator, outputs: [{ dtype, shape }] }, inputs) => {
    // Of a thousand classes each gets about 1/1000, and what moves is rounded away.
    if (operator.name === 'Softmax') return [inputs[0]]
    // Differences in float32 need steps that are long, and with millions of kinks some lie within any step.
    if (operator.name === 'Relu') return [softplus(inputs[0])]
    if (operator.name !== 'ConstantOfShape' || !isFloat(dtype)) return undefined
    const count = shape.reduce((product, size) => product * size, 1)
    const many = tile(few, [Math.ceil(count / 9973)])
    const weights = reshape(slice(many, [0], [0], [count]), shape)
    // About He's: what goes in comes out as large. Vectors are scales, shifts, means and variances.
    const fan = shape.slice(1).reduce((product, size) => product * size, 1)
    return [shape.length > 1 ? mul(weights, Math.sqrt(6 / fan)) : add(mul(weights, 0.5), 1)]
  })
}

/** Of slopes over ever smaller steps those three that differ least, between curvature and rounding: their middle. */
function settled(slopes) {
  if (slopes.length === 0) return undefined
  const threes = slopes.slice(2).map((_, i) => slopes.slice(i, i + 3).sort((a, b) => a - b))
  const spread = ([low, , high]) => (Number.isFinite(high - low) ? high - low : Number.POSITIVE_INFINITY)
  return threes.sort((a, b) => spread(a) - spread(b))[0][1]
}

/**
 * The derivative of a random sum of all float outputs along a random direction at all float inputs and weights: derived, in ONNX
 * Runtime, and by differences. Numbers move as far as they are large: each counts, and variances stay positive.
 */
async function slopes(network, feeds, precision, random) {
  const free = parametersAsInputs(network, network.parameters)
  const places = free.inputs.filter(({ dtype }) => isFloat(dtype))
  const names = places.map(({ origin }) => origin.name)
  const outputs = [...network.outputs].filter(([, { dtype }]) => isFloat(dtype))
  const factors = outputs.map(([name, { dtype, shape }]) => input(`factor/${name}`, dtype, shape))
  const sum = [...free.outputs.values()]
    .filter(({ dtype }) => isFloat(dtype))
    .map((y, i) => reduceSum(mul(y, factors[i]), undefined, { keepdims: 0 }))
    .reduce((total, part) => add(total, part))
  const found = gradients(sum, places).map((value, i) => [`gradient/${names[i]}`, value])
  const forward = await open(exportGraph(free))
  const backward = await open(exportGraph(graph('backward', [...free.inputs, ...factors], new Map(found))))

  const weights = network.parameters.map(({ origin }) => [origin.name, widen(origin.initializer.tensor)])
  const at = new Map([...feeds, ...weights])
  const results = await forward.run(at)
  const given = outputs.map(([name]) => [name, drawn(random, results.get(name))])
  const derived = await backward.run(new Map([...at, ...given.map(([name, value]) => [`factor/${name}`, value])]))
  const directions = names.map((name) => {
    const value = at.get(name)
    const usual = rootMeanSquare(value) || 1
    return drawn(random, value).data.map((part, i) => part * (value.data[i] || usual))
  })
  const slopeOver = async (step, run) => {
    const sumAt = async (by) => {
      const moved = names.map((name, i) => {
        const { dtype, shape, data } = at.get(name)
        return [
          name,
          numbers(
            dtype,
            shape,
            data.map((x, k) => x + by * directions[i][k]),
          ),
        ]
      })
      const values = await run(new Map([...at, ...moved]))
      return given.reduce((total, [name, { data }]) => total + dot(values.get(name).data, data), 0)
    }
    return ((await sumAt(step)) - (await sumAt(-step))) / (2 * step)
  }
  const steps = Array.from({ length: 15 }, (_, i) => 2 ** (-5 - i))
  const differences = []
  if (precision === 'float32') for (const step of steps) differences.push(await slopeOver(step, forward.run))
  const result = {
    derived: names.reduce((total, name, i) => total + dot(derived.get(`gradient/${name}`).data, directions[i]), 0),
    measured:
      precision === 'float64' ? await slopeOver(1e-9, (feeds) => evaluateGraph(free, feeds)) : settled(differences),
  }
  await Promise.all([forward.close(), backward.close()])
  return result
}

/** What becomes of a network: right, wrong or refused, why, and by how much it is off. */
export async function attemptNetwork({ file, shapes, values, exact, isHollow, range = {}, fed = {}, first, expected }) {
  try {
    const network = readNetwork(readFileSync(file), { shapes, values })
    const isExact = exact ?? multiplyAdds(network) < AFFORDABLE
    const random = randomStream(7, 'conformance')
    const drawnFeeds = () =>
      new Map(
        network.inputs.map((value) => {
          const { name } = value.origin
          return [name, fed[name] ?? drawn(random, value, range[name])]
        }),
      )
    const feeds = first ? new Map([[network.inputs[0].origin.name, first]]) : drawnFeeds()
    const theirs = await open(file)
    const given = new Map([...feeds, ...Object.entries(values ?? {}).map(([name, value]) => [name, widen(value)])])
    const [name] = network.outputs.keys()
    const outputs = expected ? new Map([[name, expected]]) : await theirs.run(given)
    const ours = await open(exportGraph(network))
    const error = apart(await ours.run(feeds), outputs)
    const reference = isExact ? apart(evaluateGraph(network, feeds), outputs) : 0
    await Promise.all([theirs.close(), ours.close()])
    // What rounds to whole numbers on its way moves in steps.
    const isStepped = network.nodes.some(({ operator }) => operator.straightThrough)
    const precision = isStepped ? 'none' : isExact ? 'float64' : 'float32'
    const { derived, measured = derived } = await (isHollow
      ? // Not the even ramp that ONNX feeds: in its windows all maxima are about equal.
        slopes(filled(network, random), drawnFeeds(), precision, random)
      : slopes(network, feeds, precision, random))
    const gradient = Math.abs(derived - measured) / Math.abs(measured)
    const size = { nodes: network.nodes.length, weights: parameterCount(network), precision }
    const figures = { outputs: Math.max(error, reference), gradient, ...size }
    if (!(figures.outputs <= OUTPUT))
      return { verdict: 'wrong', why: `its outputs are off by ${figures.outputs}`, ...figures }
    if (!(gradient <= GRADIENT[size.precision]))
      return { verdict: 'wrong', why: `its derivative is ${derived}, differences give ${measured}`, ...figures }
    return { verdict: 'right', ...figures }
  } catch (error) {
    if (error instanceof UserError) return { verdict: 'refused', why: error.message }
    return { verdict: 'wrong', why: `it fails: ${error.stack.split('\n').slice(0, 2).join(' ')}` }
  }
}
