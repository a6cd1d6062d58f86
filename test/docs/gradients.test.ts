// The recipes of docs/gradients.md run as they stand, and come to what is known otherwise: central differences, closed forms,
// distributions.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluate } from '../../src/core/graph/evaluate.js'
import { ancestors, type Graph, graph } from '../../src/core/graph/graph.js'
import { rewriteOutputs } from '../../src/core/graph/rewrite.js'
import { numbers } from '../../src/core/graph/tensor.js'
import { constant, input, nameOf } from '../../src/core/graph/value.js'
import { exportGraph } from '../../src/core/model/write.js'
import { readNetwork } from '../../src/core/onnx/network.js'
import * as ops from '../../src/core/ops/index.js'
import { randomStream } from '../../src/core/random.js'
import { blocks, runCommands, runProgram } from '../support/docs.js'
import { hasPython, python } from '../support/trainingBuilds.js'

const { add, div, exp, logSoftmax, matmul, mul, neg, reciprocal, reduceSum, softmax, sqrt, sub, tanh, unsqueeze } = ops
const rootFile = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const FILE = 'docs/gradients.md'

let folder: string
const at = (name: string) => join(folder, name)
const floats = async (name: string) => new Float32Array(new Uint8Array(await readFile(at(name))).buffer)
const write = (name: string, data: ArrayLike<number>) =>
  writeFile(at(name), new Uint8Array(Float32Array.from(data).buffer))

/** The block of a language that holds a text. */
async function block(language: string, text: string): Promise<string> {
  const found = (await blocks(FILE, language)).filter((source) => source.includes(text))
  expect(found).toHaveLength(1)
  return found[0]!
}
const commands = async (text: string) => runCommands(folder, await block('sh', text))
const program = async (text: string) => runProgram(folder, await block('js', text))

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rdm-gradients-'))
  await copyFile(rootFile('test/fixtures/networks/resnet18.dynamo.onnx'), at('resnet18.onnx'))
  const random = randomStream(1, 'image')
  await write(
    'image.bin',
    Array.from({ length: 3 * 32 * 32 }, () => random.normal()),
  )
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('of a network of images', () => {
  const LABEL = 3
  const PIXELS = 32 * 32
  const scoresOf = async (image: ArrayLike<number>, inner: readonly string[] = []) => {
    const network = readNetwork(await readFile(at('resnet18.onnx')), { inner })
    return evaluate(network, new Map([['image', numbers('float32', [1, 3, 32, 32], Float64Array.from(image))]]))
  }
  /** How fast the score of the class grows with one number of the image. */
  const slopeAt = async (image: ArrayLike<number>, place: number) => {
    const moved = (step: number) => Float64Array.from(image, (value, i) => (i === place ? value + step : value))
    const [above, below] = [await scoresOf(moved(1e-5)), await scoresOf(moved(-1e-5))]
    return (above.get('y')!.data[LABEL]! - below.get('y')!.data[LABEL]!) / 2e-5
  }

  it('the first command and the library write files', async () => {
    await commands('gradient.onnx')
    await program('exportDerivative(network')
    const { inputs, outputs } = readNetwork(await readFile(at('second.onnx')))
    expect(inputs.map(nameOf)).toEqual(['image', 'seed.y', 'tangent.relu_16', 'tangent.fc.weight'])
    const added = ['grad.relu_16', 'grad.fc.weight', 'hvp.relu_16', 'hvp.fc.weight']
    expect([...outputs.keys()]).toEqual(['y', 'relu_16', ...added])
  })

  it('saliency finds the pixel that the class depends on most', async () => {
    await commands('saliency.onnx')
    const printed = await program('saliency.indexOf')
    const [row, column, most] = /^row (\d+), column (\d+): (\S+)$/m.exec(printed)!.slice(1).map(Number)
    const image = await floats('image.bin')
    const sensitivity = async (pixel: number) => {
      const slopes = await Promise.all([0, 1, 2].map((channel) => slopeAt(image, channel * PIXELS + pixel)))
      return Math.max(...slopes.map(Math.abs))
    }
    expect(most! / (await sensitivity(32 * row! + column!))).toBeCloseTo(1, 3)
    for (let pixel = 5; pixel < PIXELS; pixel += 97) expect(await sensitivity(pixel)).toBeLessThanOrEqual(1.001 * most!)
  })

  it.runIf(hasPython)('Grad-CAM weighs channels by how the score changes with them', async () => {
    await commands('gradcam.onnx')
    const source = await block('py', 'gradcam.onnx')
    const { stdout } = await promisify(execFile)(python, ['-c', source], { cwd: folder })
    const found = (JSON.parse(stdout) as number[][][]).flat(2)
    // What follows the activation, by itself.
    const network = readNetwork(await readFile(at('resnet18.onnx')), { inner: ['relu_12'] })
    const [activation, y] = [network.outputs.get('relu_12')!, network.outputs.get('y')!]
    const fed = input('activation', 'float32', [1, ...activation.shape.slice(1)])
    const rest = { nodes: ancestors([y], new Set([activation])), outputs: new Map([['y', y]]) }
    const tail = graph(
      'tail',
      [fed],
      rewriteOutputs(rest, () => undefined, { leaves: new Map([[activation, fed]]) }),
    )
    const { shape, data } = (await scoresOf(await floats('image.bin'), ['relu_12'])).get('relu_12')!
    const [, channels, ...sizes] = shape
    const places = sizes.reduce((product, size) => product * size, 1)
    const scoreOf = (channel: number, step: number) => {
      const moved = data.map((value, i) => value + (Math.floor(i / places) === channel ? step : 0))
      return evaluate(tail, new Map([['activation', numbers('float32', shape, moved)]])).get('y')!.data[LABEL]!
    }
    // A channel that rises everywhere at once: the sum of its gradient, of which the mean is wanted.
    const weights = Array.from(
      { length: channels! },
      (_, channel) => (scoreOf(channel, 1e-5) - scoreOf(channel, -1e-5)) / 2e-5 / places,
    )
    expect(found).toHaveLength(places)
    found.forEach((value, place) => {
      const sum = weights.reduce((total, weight, channel) => total + weight * data[channel * places + place]!, 0)
      expect(value).toBeCloseTo(Math.max(0, sum), 4)
    })
    expect(Math.max(...found)).toBeGreaterThan(1e-3)
  })

  it('FGSM raises the loss by as much as its gradient says', async () => {
    await program('adversarial.bin')
    const [image, adversarial] = [await floats('image.bin'), await floats('adversarial.bin')]
    const lossOf = async (pixels: ArrayLike<number>) => {
      const scores = [...(await scoresOf(pixels)).get('y')!.data]
      return Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - scores[LABEL]!
    }
    const changes = adversarial.map((value, i) => value - image[i]!)
    for (const change of changes) expect(Math.abs(Math.abs(change) - 0.03) < 1e-6 || change === 0).toBe(true)
    const along = (step: number) => lossOf(image.map((value, i) => value + step * changes[i]!))
    const [opposite, before, after] = [await along(-1), await along(0), await along(1)]
    expect(after).toBeGreaterThan(before)
    expect(before).toBeGreaterThan(opposite)
    // No other step of that size raises it as fast: not when some signs are turned around.
    const rate = async (turned: (i: number) => boolean) => {
      const by = (step: number) =>
        lossOf(Float64Array.from(image, (value, i) => value + (turned(i) ? -step : step) * changes[i]!))
      return ((await by(1e-4)) - (await by(-1e-4))) / 2e-4
    }
    const steepest = await rate(() => false)
    for (const part of [2, 3, 7]) expect(await rate((i) => i % part === 0)).toBeLessThan(steepest)
  })
})

describe('forces', () => {
  // Four atoms of the Lennard-Jones potential, 4·(r⁻¹² − r⁻⁶) for each pair.
  const ATOMS = 4
  const START = [0, 0, 0, 1.2, 0, 0, 0.1, 1.15, 0, 0.4, 0.3, 1.1]
  const EYE = Array.from({ length: ATOMS ** 2 }, (_, i) => Number(i % (ATOMS + 1) === 0))

  function lennardJones(): Graph {
    const positions = input('positions', 'float32', [ATOMS, 3])
    const apart = sub(unsqueeze(positions, 0), unsqueeze(positions, 1))
    const squares = reduceSum(mul(apart, apart), [2], { keepdims: 0 })
    const inverse = reciprocal(add(squares, constant('float32', EYE, [ATOMS, ATOMS])))
    const sixth = mul(inverse, mul(inverse, inverse))
    const pairs = mul(
      sub(mul(sixth, sixth), sixth),
      constant(
        'float32',
        EYE.map((one) => 1 - one),
        [ATOMS, ATOMS],
      ),
    )
    return graph('energy', [positions], { energy: mul(reduceSum(pairs, undefined, { keepdims: 0 }), 2) })
  }

  it('are those of the potential, and molecular dynamics by them keeps the energy', async () => {
    await writeFile(at('energy.onnx'), exportGraph(lennardJones()))
    await write('positions.bin', START)
    await commands('forces.onnx')
    const printed = await program('forces.onnx')
    const [, first, forces] = /^energy (\S+), forces (\S+)$/m.exec(printed)!
    const place = (i: number) => [...Float32Array.from(START.slice(3 * i, 3 * i + 3))]
    let energy = 0
    const expected = Array.from({ length: ATOMS }, (_, i) => {
      const force = [0, 0, 0]
      for (let j = 0; j < ATOMS; j++) {
        if (j === i) continue
        const apart = place(i).map((x, k) => x - place(j)[k]!)
        const r = Math.hypot(...apart)
        energy += 2 * (r ** -12 - r ** -6)
        apart.forEach((x, k) => {
          force[k]! += 4 * (12 * r ** -14 - 6 * r ** -8) * x
        })
      }
      return force
    }).flat()
    expect(Number(first)).toBeCloseTo(energy, 4)
    forces!.split(',').forEach((force, i) => {
      expect(Number(force)).toBeCloseTo(expected[i]!, 4)
    })
    const [, last, kinetic] = /^energy (\S+), of which (\S+) kinetic$/m.exec(printed)!
    expect(Number(last)).toBeCloseTo(energy, 2)
    expect(Number(kinetic)).toBeGreaterThan(0.1)
  })
})

describe('classifier guidance', () => {
  // Two classes of points, normal around these; the noise and the class probabilities at each level are known exactly.
  const MEANS = [-1.5, 1, 1.5, -1] as const
  const DEVIATION = 0.3

  function mixture() {
    const [x, level] = [input('x', 'float32', ['batch', 2]), input('level', 'float32', [])]
    const means = mul(constant('float32', MEANS, [1, 2, 2]), sqrt(level))
    const variance = add(mul(level, DEVIATION ** 2), sub(1, level))
    const apart = sub(means, unsqueeze(x, 1))
    const logits = neg(div(reduceSum(mul(apart, apart), [2], { keepdims: 0 }), mul(variance, 2)))
    const weighed = reduceSum(mul(unsqueeze(softmax(logits), 2), apart), [1], { keepdims: 0 })
    const noise = mul(div(weighed, variance), neg(sqrt(sub(1, level))))
    return {
      denoiser: graph('denoiser', [x, level], { noise }),
      classifier: graph('classifier', [x, level], { log_probabilities: logSoftmax(logits) }),
    }
  }

  it('draws the class that is asked for, as it is distributed', async () => {
    const { denoiser, classifier } = mixture()
    await writeFile(at('denoiser.onnx'), exportGraph(denoiser))
    await writeFile(at('classifier.onnx'), exportGraph(classifier))
    await commands('guidance.onnx')
    await program('guidance.onnx')
    const samples = await floats('samples.bin')
    for (const axis of [0, 1]) {
      const column = [...samples.filter((_, i) => i % 2 === axis)]
      const mean = column.reduce((sum, value) => sum + value, 0) / column.length
      const deviation = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length)
      expect(Math.abs(mean - MEANS[2 + axis]!)).toBeLessThan(0.1)
      expect(Math.abs(deviation / DEVIATION - 1)).toBeLessThan(0.2)
      expect(column.filter((value) => Math.sign(value) !== Math.sign(MEANS[2 + axis]!)).length).toBeLessThan(5)
    }
  })
})

// test/support/casadi.sh installs it.
const casadi = rootFile('.venv/casadi/bin/python')
describe.runIf(existsSync(casadi) || process.env.CI !== undefined)('CasADi', () => {
  it('takes our files for derivatives: Newton’s step', async () => {
    const x = input('x', 'float32', [2, 3])
    const weight = constant('float32', [0.3, -0.8, 0.5, 1.1, 0.2, -0.4, 0.7, 0.6, -0.9], [3, 3])
    const f = graph('f', [x], { y: add(tanh(matmul(x, weight)), mul(exp(x), 0.3)) })
    await writeFile(at('f.onnx'), exportGraph(f))
    await commands('adj_f.onnx')
    const library = rootFile('node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1')
    const { stdout } = await promisify(execFile)(casadi, ['-c', await block('py', 'casadi.hessian')], {
      cwd: folder,
      env: { ...process.env, CASADI_ONNXRUNTIME_LIB: library },
    })
    const rows: number[] = JSON.parse(stdout).flat()
    // Its vectors go down the columns: x[i, j] is number i + 2·j. The step solves the quadratic model of central differences.
    const loss = (place: readonly number[]) => {
      const data = Float64Array.from({ length: 6 }, (_, k) => place[Math.floor(k / 3) + 2 * (k % 3)]!)
      return evaluate(f, new Map([['x', numbers('float32', [2, 3], data)]]))
        .get('y')!
        .data.reduce((sum, y) => sum + y * y, 0)
    }
    const one = (i: number, step: number) => Array.from({ length: 6 }, (_, k) => Number(k === i) * step)
    const around = (...moves: readonly (readonly number[])[]) =>
      loss(Array.from({ length: 6 }, (_, k) => 1 + moves.reduce((sum, move) => sum + move[k]!, 0)))
    const h = 1e-4
    for (let i = 0; i < 6; i++) {
      const gradient = (around(one(i, h)) - around(one(i, -h))) / (2 * h)
      const curved = rows.reduce((sum, step, j) => {
        const mixed =
          around(one(i, h), one(j, h)) -
          around(one(i, h), one(j, -h)) -
          around(one(i, -h), one(j, h)) +
          around(one(i, -h), one(j, -h))
        return sum + (step * mixed) / (4 * h * h)
      }, 0)
      expect(curved).toBeCloseTo(-gradient, 3)
    }
  })
})
