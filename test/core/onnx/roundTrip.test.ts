// Graph → file → Graph: what is read is what was written, and writing it again gives the same graphs, names included.
import { describe, expect, it } from 'vitest'
import { folded } from '../../../src/core/graph/fold.js'
import type { Graph } from '../../../src/core/graph/graph.js'
import { rewrite } from '../../../src/core/graph/rewrite.js'
import { apply, type Value } from '../../../src/core/graph/value.js'
import { fileDocs } from '../../../src/core/model/docs.js'
import { keys } from '../../../src/core/model/metadata.js'
import { defaultsOf, type ExportOptions } from '../../../src/core/model/write.js'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { readModel, readTrainingModel } from '../../../src/core/onnx/trainingInfo.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import { operators } from '../../../src/core/ops/index.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { expandPrimitives } from '../../../src/core/targets/target.js'
import { initializationGraph } from '../../../src/core/training/initialize.js'
import { rolesSchema } from '../../../src/core/training/signature.js'
import { fileOf, networkNames, networks, paper, structureOf } from '../../support/models.js'
import { sgdStep } from '../../support/steps.js'

/** A graph as the reader makes one: node by node, what is known of shapes as constants. */
const read = (source: Graph) =>
  rewrite(source, ({ operator, attributes }, inputs) => apply(operator, inputs, attributes).map(folded))
const forms: readonly [string, Partial<ExportOptions>][] = [
  ['functions', { inline: false }],
  ['inline', { inline: true }],
]
const cases = networkNames.flatMap((name) => forms.map(([form, options]) => ({ name, form, options })))

function writtenAgain(file: Uint8Array): Uint8Array {
  const proto = decodeModel(file)
  const metadata = Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key, value ?? '']))
  const roles = rolesSchema.parse(JSON.parse(metadata[keys.signature]!))
  const model = readTrainingModel(proto, { defaults: new Set(Object.keys(roles.hyperparameters)) })
  // Doc strings are for people: they are not read.
  const docs = fileDocs(model.inference.name, roles)
  const defaults = defaultsOf({ ...roles, updates: {} })
  return encodeModel(
    writeModel({ graph: model.inference, weights: model.weights, training: model, metadata, docs, defaults }),
  )
}

describe('a file read back', () => {
  it.each(cases)('$name, $form', ({ name, options }) => {
    const network = networks[name]!()
    const step = sgdStep(network, paper)
    // Composites that the reader does not know, such as the optimizer's, are read as their bodies.
    const written = (source: Graph) =>
      options.inline
        ? read(expandPrimitives(source, portable))
        : rewrite(source, ({ operator, attributes }, inputs) =>
            operators.includes(operator) ? undefined : operator.body?.(inputs as readonly Value[], attributes as never),
          )
    const file = fileOf(network, options)
    const proto = decodeModel(file)
    const defaults = new Set(Object.keys(step.signature.hyperparameters))
    const model = readTrainingModel(proto, { defaults })

    expect(structureOf(model.inference)).toBe(structureOf(read(expandPrimitives(network, portable))))
    expect(structureOf(model.step)).toBe(structureOf({ ...written(step.graph), name: model.step.name }))
    const { graph: initialization, initial } = initializationGraph(network.name, [network, step.graph], 7)
    expect(structureOf(model.initialization)).toBe(structureOf(initialization))
    expect(Object.fromEntries([...model.updates].map(([name, output]) => [output, name]))).toEqual(
      step.signature.updates,
    )
    expect(model.initial).toEqual(initial)
    expect(model.state.map(({ origin }) => origin.name)).toEqual(Object.values(step.signature.updates))

    if (!options.inline) return
    // What is known of shapes goes with the first reading: the second finds nothing more.
    const again = writtenAgain(file)
    const twice = writtenAgain(again)
    const same = Buffer.compare(twice, again) === 0
    // Where they differ, the difference is shown.
    if (!same) expect(decodeModel(twice)).toEqual(decodeModel(again))
    expect(same).toBe(true)
  })
})

describe('names of a file', () => {
  const proto = decodeModel(fileOf(networks['RDM basic']!()))
  const names = (proto.graph?.node ?? []).map(({ name }) => name)
  it('are those of the layers', () => {
    expect(names).toContain('stage2.block1.f2.conv1')
    expect(names).toContain('stage2.block1.shortcut')
    expect(proto.graph?.initializer?.map(({ name }) => name)).toContain('stage2.block1.f2.conv1.weight')
  })
  it('are each used once in a graph and its training', () => {
    const all = [...names, ...(proto.trainingInfo[0]?.algorithm?.node ?? []).map(({ name }) => name)]
    expect(new Set(all).size).toBe(all.length)
  })
  it('of functions say the variant, one a body', () => {
    const functions = proto.functions.map(({ name }) => name)
    expect(functions).toContain('ConvWeightGrad_k3x3_p1x1x1x1')
    expect(functions).toContain('Sgd')
    expect(new Set(functions).size).toBe(functions.length)
    expect(functions.length).toBeLessThan(20)
  })
})

describe('the parts of a file', () => {
  it('hold the same graphs', () => {
    const network = networks['RDM basic']!()
    const whole = readTrainingModel(decodeModel(fileOf(network)))
    const infer = readModel(decodeModel(fileOf(network, { part: 'infer' })), {
      parameters: new Set(whole.weights.keys()),
    })
    expect(structureOf(infer.inference)).toBe(structureOf(whole.inference))
    const init = readModel(decodeModel(fileOf(network, { part: 'init' })), { parameters: new Set() })
    expect(structureOf(init.inference)).toBe(structureOf(whole.initialization))
    const train = readModel(decodeModel(fileOf(network, { part: 'train' })), { parameters: new Set() })
    expect(train.weights.size).toBe(0)
    const [header, ...body] = structureOf(train.inference).split('\n')
    const [, ...expected] = structureOf(whole.step).split('\n')
    expect(header).toContain('stem.weight: float32[4, 3, 3, 3]')
    expect(body).toEqual(expected.filter((line) => !line.startsWith('  parameter ')))
  })
})
