// The networks of the papers: parameter counts, depths, survival, shapes by stage.
import { describe, expect, it } from 'vitest'
import { base } from '../../graphs/entry.js'
import { type Architecture, depthOf, residualNetwork, survivalOf } from '../../graphs/residual.js'
import { findNetwork, networkNames } from '../../graphs/zoo.js'
import type { Graph } from '../../src/core/graph/graph.js'
import { sizeOf } from '../../src/core/graph/shape.js'

const network = (rest: Pick<Architecture, 'block' | 'blocks' | 'functions'> & Partial<Architecture>): Architecture => ({
  ...base,
  name: 'network',
  ...rest,
})

const trained = ({ parameters }: Graph): number =>
  parameters.filter(({ origin }) => origin.trainable).reduce((sum, { shape }) => sum + Number(sizeOf(shape)), 0)

/** Table 1 of "Multi-Residual Networks with ReLU Dropping"; the last two have its exact counts with gates besides. */
const table: readonly (readonly [name: string, depth: number, functions: number, parameters: number])[] = [
  ['preresnet110', 110, 1, 1_730_554],
  ['preresnet164', 164, 1, 1_703_290],
  ['multiresnet8x23', 8, 23, 1_707_642],
  ['multiresnet14x10', 14, 10, 1_716_762],
  ['multiresnet30x4', 30, 4, 1_781_338],
  ['resnet110-sd', 110, 1, 1_727_962],
  ['rdm56', 56, 2, 1_707_418],
  ['rdm83', 83, 2, 1_691_802],
  ['rdm56-sd', 56, 2, 1_707_418],
  ['rdm83-sd', 83, 2, 1_691_802],
]

describe('the table of the paper', () => {
  it.each(table)('%s: depth %i, r = %i, %i parameters', (name, depth, functions, parameters) => {
    const { architecture } = findNetwork(name)!
    expect(depthOf(architecture)).toBe(depth)
    expect(architecture.functions).toHaveLength(functions)
    expect(trained(residualNetwork(architecture))).toBe(parameters)
  })

  it('is the whole zoo', () => {
    expect([...networkNames()].sort()).toEqual(table.map(([name]) => name).sort())
    expect(findNetwork('rdm57')).toBeUndefined()
  })
})

describe('stochastic depth', () => {
  it('falls linearly from just below 1 to p_L', () => {
    expect([0, 1, 2, 3].map((index) => survivalOf(index, 4, 0.5))).toEqual([0.875, 0.75, 0.625, 0.5])
    expect(survivalOf(53, 54, 0.2)).toBeCloseTo(0.2, 12)
    expect(survivalOf(0, 3, 1)).toBe(1)
  })

  it('gates each block once, in order, over all its functions', () => {
    const { nodes } = residualNetwork(
      network({ block: 'basic', blocks: [1, 2, 1], functions: ['11', '01'], stochasticDepth: 0.5 }),
    )
    const gates = nodes.filter(({ operator }) => operator.name === 'Gate')
    expect(gates.map(({ scope, attributes }) => [scope, attributes.survival])).toEqual([
      ['stage1.block1.gate', 0.875],
      ['stage2.block1.gate', 0.75],
      ['stage2.block2.gate', 0.625],
      ['stage3.block1.gate', 0.5],
    ])
    expect(nodes.some(({ operator }) => operator.name === 'Gate')).toBe(true)
  })
})

/** What each block of a graph gives: the shape of its last node. */
const blockShapes = ({ nodes }: Graph) => {
  const last = new Map<string, unknown>()
  for (const node of nodes) {
    const block = /^stage\d+\.block\d+/.exec(node.scope)?.[0]
    if (block) last.set(block, node.outputs[0]!.shape)
  }
  return Object.fromEntries(last)
}
const convolutions = (graph: Graph, scope: RegExp) =>
  graph.nodes
    .filter((node) => node.operator.name === 'Conv' && scope.test(node.scope))
    .map(({ scope: place, inputs, attributes }) => [place, inputs[1]!.shape.join('×'), String(attributes.strides)])
const reluScopes = ({ nodes }: Graph, scope: RegExp) =>
  nodes.filter((node) => node.operator.name === 'Relu' && scope.test(node.scope)).map((node) => node.scope)

describe('shapes by stage', () => {
  it('basic: widths 16, 32, 64 at 32, 16, 8; images in, logits and probabilities out', () => {
    const graph = residualNetwork(network({ block: 'basic', blocks: [2, 1, 1], functions: ['11', '01'] }))
    expect(blockShapes(graph)).toEqual({
      'stage1.block1': ['batch', 16, 32, 32],
      'stage1.block2': ['batch', 16, 32, 32],
      'stage2.block1': ['batch', 32, 16, 16],
      'stage3.block1': ['batch', 64, 8, 8],
    })
    expect(graph.inputs).toMatchObject([{ dtype: 'uint8', shape: ['batch', 3, 32, 32], origin: { name: 'images' } }])
    expect([...graph.outputs].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['logits', 'float32', ['batch', 10]],
      ['probabilities', 'float32', ['batch', 10]],
    ])
  })

  it('bottleneck: four times the width; the stride sits on the first convolution of each function', () => {
    const graph = residualNetwork(network({ block: 'bottleneck', blocks: [1, 1, 1], functions: ['111', '001'] }))
    expect(blockShapes(graph)).toEqual({
      'stage1.block1': ['batch', 64, 32, 32],
      'stage2.block1': ['batch', 128, 16, 16],
      'stage3.block1': ['batch', 256, 8, 8],
    })
    expect(convolutions(graph, /^stage2/)).toEqual([
      ['stage2.block1.f1.conv1', '32×64×1×1', '2,2'],
      ['stage2.block1.f1.conv2', '32×32×3×3', '1,1'],
      ['stage2.block1.f1.conv3', '128×32×1×1', '1,1'],
      ['stage2.block1.f2.conv1', '32×64×1×1', '2,2'],
      ['stage2.block1.f2.conv2', '32×32×3×3', '1,1'],
      ['stage2.block1.f2.conv3', '128×32×1×1', '1,1'],
      ['stage2.block1.shortcut', '128×64×1×1', '2,2'],
    ])
    // The width changes in stage 1 too, the size does not.
    expect(convolutions(graph, /^stage1.*shortcut/)).toEqual([['stage1.block1.shortcut', '64×16×1×1', '1,1']])
  })

  it('masks say where ReLUs are', () => {
    const graph = residualNetwork(network({ block: 'bottleneck', blocks: [1, 1, 1], functions: ['111', '001'] }))
    const ofFirst = [1, 2, 3].map((i) => `stage1.block1.f1.relu${i}`)
    expect(reluScopes(graph, /^stage1/)).toEqual([...ofFirst, 'stage1.block1.f2.relu3'])
    const [last] = graph.nodes.filter(({ scope }) => scope === 'stage1.block1.f2.relu3')
    const norm = last!.inputs[0]!.origin
    expect(norm).toMatchObject({ kind: 'node', node: { scope: 'stage1.block1.f2.bn3' } })
  })

  it('post-activation: a ReLU after each sum, pooled and padded shortcuts without weights', () => {
    const graph = residualNetwork(
      network({
        block: 'basic',
        blocks: [1, 1, 1],
        functions: ['10'],
        activation: 'post',
        shortcut: 'padding',
      }),
    )
    expect(graph.parameters.some(({ origin }) => /shortcut|head/.test(origin.name))).toBe(false)
    const shortcut = graph.nodes.filter(({ scope }) => scope.startsWith('stage2.block1.shortcut'))
    expect(shortcut.map(({ operator }) => operator.name)).toEqual(['AveragePool', 'Pad'])
    expect(shortcut[1]!.outputs[0]!.shape).toEqual(['batch', 32, 16, 16])
    expect(reluScopes(graph, /^stage2/)).toEqual(['stage2.block1.f1.relu1', 'stage2.block1.relu'])
    const [first, ...rest] = graph.nodes.filter(({ scope }) => scope.startsWith('stage2.block1.f1'))
    expect(first!.operator.name).toBe('Conv')
    expect(rest.map(({ operator }) => operator.name)).toEqual([
      'BatchNormalization',
      'Relu',
      'Conv',
      'BatchNormalization',
    ])
  })
})
