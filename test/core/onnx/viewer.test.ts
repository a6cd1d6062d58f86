// What a person sees who opens a file in a viewer such as Netron: who wrote it, words for everything that is fed and fetched,
// names that say what a node is, and the type of every value.
import { describe, expect, it } from 'vitest'
import { parts } from '../../../src/core/model/write.js'
import { primitives } from '../../../src/core/ops/index.js'
import { ownPackage } from '../../../src/driver/package.js'
import { fileOf, networkNames, networks, onnx } from '../../support/models.js'

type GraphProto = NonNullable<ConstructorParameters<typeof onnx.GraphProto>[0]>

const network = networks['RDM basic, stochastic depth']!()
const read = (...[options]: [Parameters<typeof fileOf>[1]?]) => onnx.ModelProto.decode(fileOf(network, options))
const docsOf = (infos: GraphProto['input']) => new Map((infos ?? []).map(({ name, docString }) => [name, docString]))
/** Operators and a number, with nothing that says where: `MatMul_23`, `Identity`. */
const bare = /^[A-Z]\w*$/

describe('every part', () => {
  it.each(parts)('%s says who wrote it, and what it is', (part) => {
    const { producerName, producerVersion, docString, graph } = read({ part })
    expect([producerName, producerVersion]).toEqual(['rdm-onnx', ownPackage()!.version])
    expect(docString).toContain('tiny')
    expect(docString!.length).toBeGreaterThan(20)
    expect(graph!.docString!.length).toBeGreaterThan(20)
  })

  it.each(networkNames)('of %s has telling names, and the type of each value', (name) => {
    for (const part of parts)
      for (const inline of [false, true]) {
        const model = onnx.ModelProto.decode(fileOf(networks[name]!(), { part, inline }))
        const infos = model.trainingInfo[0]
        const typed = new Set<string>()
        for (const graph of [model.graph!, infos?.algorithm, infos?.initialization]) {
          const { input = [], output = [], valueInfo = [], node = [] } = graph ?? {}
          for (const info of [...input!, ...output!, ...valueInfo!]) {
            expect(info.type?.tensorType?.shape, `type of ${info.name}`).toBeTruthy()
            typed.add(info.name!)
          }
          // The operators of the plain CNN stand in no layer of their own.
          if (name !== 'a plain CNN') expect(node!.map((one) => one.name!).filter((one) => bare.test(one))).toEqual([])
          expect(node!.flatMap((one) => one.output!).filter((one) => one !== '' && !typed.has(one))).toEqual([])
          expect(node!.filter(({ opType }) => opType === 'Identity' || opType === 'Constant')).toEqual([])
        }
      }
  })
})

describe('the training step', () => {
  const step = read({ part: 'train' }).graph!
  const inWhole = read().trainingInfo[0]!.algorithm!

  it('says what is fed to it and what comes out', () => {
    const [inputs, outputs] = [docsOf(step.input), docsOf(step.output)]
    for (const name of ['images', 'labels', 'learning_rate', 'gates'])
      expect(inputs.get(name)!.length, name).toBeGreaterThan(20)
    for (const name of ['loss', 'correct']) expect(outputs.get(name), name).toMatch(/ before the update\.$/)
    expect(inputs.get('images')).toBe('Pixels from 0 to 255, channels red, green, blue. They are normalized inside.')
    expect(outputs.get('stem.weight.next')).toBe('Next value of stem.weight.')
    expect([...outputs.values()].filter((text) => !text)).toEqual([])
    expect(docsOf(inWhole.output)).toEqual(outputs)
  })

  it('names nodes by layer and by what they do', () => {
    const names = new Map(step.node!.map(({ name, opType }) => [name, opType!.split('_')[0]]))
    expect(Object.fromEntries(names)).toMatchObject({
      'normalize.scale': 'Mul',
      'train/stage2.block1.f1.relu2': 'Relu',
      'train/stage2.block1.sum': 'Add',
      'train/loss': 'SoftmaxCrossEntropy',
      'train/accuracy.correct': 'ReduceSum',
      'train/stage2.block1.f1.bn2/again': 'BatchNormAgain',
      'train/stage2.block1.f1.conv2/grad/ConvInputGrad': 'ConvInputGrad',
      'train/stage2.block1.f1.conv2/grad': 'ConvWeightGrad',
      'update/stem.weight': 'Sgd',
    })
    const statistics = step.node!.find(({ name }) => name === 'train/stem.bn')!.output
    expect(statistics!.slice(3)).toEqual(['train/stem.bn:mean', 'train/stem.bn:inverse'])
  })
})

describe('a function', () => {
  const { functions } = read()
  it.each(Object.values(primitives).map(({ name, doc }) => [name, doc] as const))(
    '%s says its formula',
    (name, doc) => {
      const variants = functions.filter((one) => one.name!.split('_')[0] === name)
      expect(variants.length).toBeGreaterThan(0)
      for (const { input, output, docString } of variants) {
        expect([doc.inputs.slice(0, input!.length), doc.outputs]).toEqual([input, output])
        expect(docString).toBe(doc.text)
        for (const formal of [...input!, ...output!])
          expect(docString).toContain(formal.replace(/^(running|next)_.*/, '$1'))
      }
    },
  )

  it('names its nodes by what they compute', () => {
    const norm = functions.find(({ name }) => name === 'BatchNormTraining')!
    const names = norm.node!.filter(({ opType }) => opType !== 'Constant').map(({ name }) => name!)
    expect(names).toContain('variance')
    expect(names.filter((name) => bare.test(name))).toEqual([])
  })
})
