// Which attributes a file says.
import { describe, expect, it } from 'vitest'
import { graph } from '../../../src/core/graph/graph.js'
import { input } from '../../../src/core/graph/value.js'
import { exportGraph, type Part } from '../../../src/core/model/write.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { concat, conv, maxPool } from '../../../src/core/ops/index.js'
import { fileOf, plainCnn } from '../../support/models.js'

const x = input('x', 'float32', ['batch', 3, 8, 8])
const w = input('w', 'float32', [2, 3, 3, 3])
const namesIn = (bytes: Uint8Array, operator: string) =>
  decodeModel(bytes).graph!.node!.flatMap(({ opType, attribute }) =>
    opType === operator ? [attribute!.map(({ name }) => name)] : [],
  )

describe('attributes', () => {
  it('say windows in full, other usual values not at all', () => {
    const pooled = maxPool(x, { kernel_shape: [2, 2] })
    const bytes = exportGraph(
      graph('windows', [x, w], { a: conv(x, w, {}), b: pooled, c: concat([pooled, pooled], 1) }),
    )
    expect(namesIn(bytes, 'Conv')).toEqual([['strides', 'pads', 'dilations']])
    expect(namesIn(bytes, 'MaxPool')).toEqual([['kernel_shape', 'strides', 'pads', 'dilations']])
    expect(namesIn(bytes, 'Concat')).toEqual([['axis']])
  })

  it.each<Part>(['infer', 'train'])('of every convolution of a network, part %s', (part) => {
    const written = namesIn(fileOf(plainCnn(), { part, inline: true }), 'Conv')
    expect(written.length).toBeGreaterThan(1)
    for (const names of written) expect(names).toEqual(expect.arrayContaining(['strides', 'pads', 'dilations']))
  })

  it('of a call are those that its function lists', () => {
    const { graph, functions } = decodeModel(fileOf(plainCnn(), { part: 'train' }))
    const listed = new Map(functions.map(({ name, attribute }) => [name, attribute]))
    const calls = graph!.node!.filter(({ opType }) => listed.has(opType!))
    expect(calls.length).toBeGreaterThan(5)
    for (const { opType, attribute } of calls) expect(attribute!.map(({ name }) => name)).toEqual(listed.get(opType!))
    expect(listed.get('ReluGrad')).toEqual([])
    expect(listed.get('BatchNormTraining')).toEqual(['epsilon', 'momentum'])
  })
})
