// rdm-export --gates: the network with gates predicts as without, loses the functions whose gates are shut, and trains by the
// very step of the network without gates.
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { type Architecture, residualNetwork } from '../../../graphs/residual.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import type { Graph } from '../../../src/core/graph/graph.js'
import { rewrite } from '../../../src/core/graph/rewrite.js'
import { type Numbers, numbers, tensor } from '../../../src/core/graph/tensor.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { paperRecipe } from '../../../src/core/model/recipe.js'
import { exportModel } from '../../../src/core/model/write.js'
import { decodeModel, encodeModel, tensorToProto } from '../../../src/core/onnx/tensors.js'
import { noise, oneImage } from '../../study/paths/support.js'
import { tinyNetworks } from '../../support/networks.js'

const plainBlocks: Architecture = { ...tinyNetworks['RDM basic'], blocks: [1, 1, 1] }
const stochastic: Architecture = { ...tinyNetworks['RDM basic, stochastic depth'], imageSize: 8, blocks: [1, 1, 1] }
const options = { recipe: paperRecipe, seed: 3 }
const image = oneImage(noise(1, 8), 0)

/** The file with other values in its initializer `function_gates`, as any tool could write them. */
function shut(bytes: Uint8Array, gates: readonly number[]): Uint8Array {
  const model = decodeModel(bytes)
  const at = model.graph!.initializer!.findIndex(({ name }) => name === 'function_gates')
  expect(at).toBeGreaterThanOrEqual(0)
  const initializer = [...model.graph!.initializer!]
  initializer[at] = tensorToProto('function_gates', tensor('float32', [gates.length], gates))
  return encodeModel({ ...model, graph: { ...model.graph, initializer } })
}

async function logitsOf(bytes: Uint8Array): Promise<number[]> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 })
  expect(session.inputNames).toEqual(['images'])
  const { shape, data } = image.images
  const { logits } = await session.run({ images: new OrtTensor('uint8', Uint8Array.from(data), [...shape]) })
  await session.release()
  return Array.from(logits!.data as Float32Array)
}

/** The network without function f1 or f2 of a block: their sum becomes the other one, and nothing of it is left. */
function without(network: Graph, block: string, removed: 'f1' | 'f2'): Graph {
  const smaller = rewrite(network, (node, inputs) => {
    const parts = node.inputs.map((value) => (value?.origin.kind === 'node' ? value.origin.node.scope : ''))
    const isSum =
      node.operator.name === 'Add' && parts[0]?.startsWith(`${block}.f1`) && parts[1]?.startsWith(`${block}.f2`)
    return isSum ? [inputs[removed === 'f1' ? 1 : 0]!] : undefined
  })
  expect(smaller.parameters.some(({ origin }) => origin.name.startsWith(`${block}.${removed}.`))).toBe(false)
  return smaller
}

describe.each([
  ['of equal depth', plainBlocks],
  ['of stochastic depth', stochastic],
] as const)('a network %s', (_, architecture) => {
  const [plain, gated] = [residualNetwork(architecture), residualNetwork(architecture, 'he', true)]
  const file = exportModel(gated, { ...options, architecture })

  it('predicts from images alone as it does without gates', async () => {
    const expected = await logitsOf(exportModel(plain, options))
    const actual = await logitsOf(file)
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01)
    actual.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5)
    })
  })

  it('loses each function whose gate is shut, in the order of blocks and functions', async () => {
    const weights = new Map<string, Numbers>(
      Object.entries(readTrainableModel(file).state).map(([name, { dtype, shape, data }]) => [
        name,
        numbers(dtype, shape, Float64Array.from(data, Number)),
      ]),
    )
    const blocks = ['stage1.block1', 'stage2.block1', 'stage3.block1']
    for (const [index, block] of blocks.entries()) {
      for (const [i, removed] of (['f1', 'f2'] as const).entries()) {
        const gates = new Array<number>(6).fill(1)
        gates[2 * index + i] = 0
        const actual = await logitsOf(shut(file, gates))
        const feeds = new Map([...weights, ['images', image.images] as const])
        const expected = evaluate(without(plain, block, removed), feeds).get('logits')!
        const size = Math.max(...expected.data.map(Math.abs))
        expected.data.forEach((value, at) => {
          expect(Math.abs(actual[at]! - value) / size).toBeLessThan(1e-5)
        })
      }
    }
  })

  it('trains by the step of the network without gates', () => {
    const step = (network: Graph) => Buffer.from(exportModel(network, { ...options, part: 'train' }))
    expect(step(gated).equals(step(plain))).toBe(true)
    const [open, own] = [readTrainableModel(file), readTrainableModel(exportModel(plain, options))]
    expect(Object.keys(open.state)).toEqual(Object.keys(own.state))
    expect(open.signature).toEqual(own.signature)
    // What an evaluation in a loop is fed with: the state, and nothing that training does not know.
    expect(open.network().inputs.map(({ origin }) => 'name' in origin && origin.name)).not.toContain('function_gates')
  })
})
