// Roles that are found in the graph of a step: which they are in odd files, and what is refused in one line.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Numbers, numbers, widen } from '../../../src/core/graph/tensor.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { algorithmOf, graphOf, infoOf, inputOf, refusal, tensorType } from '../../support/brokenModels.js'
import { edited, type ModelProto, onnx } from '../../support/models.js'
import { standardFile, standardTraining, withDropout } from '../../support/standardTraining.js'

const { INT } = onnx.AttributeProto.AttributeType
const text = (content: string) => new TextEncoder().encode(content)
const node = (opType: string, input: readonly string[], output: readonly string[], more = {}) =>
  onnx.NodeProto.create({ opType, input: [...input], output: [...output], ...more })
const ofType = (model: ModelProto, opType: string) => algorithmOf(model).node!.find((each) => each.opType === opType)!
const scalarInput = (model: ModelProto, name: string, elemType = 1) =>
  algorithmOf(model).input!.push({ name, type: tensorType(elemType) })

/** The file for so many examples at a time. */
const fixed = (size: number) => (model: ModelProto) => {
  for (const info of [...graphOf(model).input!, ...algorithmOf(model).input!]) {
    const [first] = info.type!.tensorType!.shape!.dim!
    if (first?.dimParam === 'batch') Object.assign(first, { dimParam: undefined, dimValue: size })
  }
}

describe('what is found', () => {
  it('one batch for all, whatever a file calls it', () => {
    const { signature } = readTrainableModel(standardFile('Adagrad'))
    expect(signature.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 3] }])
    expect(signature.targets).toEqual([{ name: 'wanted', dtype: 'float32', shape: ['N', 1] }])
  })

  it('a batch of a fixed size: the loss is that of any', () => {
    const model = readTrainableModel(edited(standardFile('Nesterov'), fixed(4)))
    expect(model.fixedBatch).toBe(4)
    const { graph } = onnx.ModelProto.decode(model.scoring!)
    expect(graph!.input!.map(({ type }) => type!.tensorType!.shape!.dim![0]!.dimParam)).toEqual(['batch', 'batch'])
  })

  it('a label that does not count', () => {
    const model = edited(standardFile('Nesterov'), (m) => {
      ofType(m, 'NegativeLogLikelihoodLoss').attribute = [{ name: 'ignore_index', type: INT, i: -7 }]
    })
    expect(readTrainableModel(model).signature.targets[0]).toMatchObject({ classes: 3, ignored: -7 })
  })

  it('the loss that weights are moved against, whatever it is called', () => {
    const model = edited(standardFile('Adam'), (m) => {
      const { node: nodes, output } = algorithmOf(m)
      ofType(m, 'ReduceMean').output = ['how far off']
      ofType(m, 'Gradient').attribute!.find(({ name }) => name === 'y')!.s = text('how far off')
      output!.shift()
      nodes!.push(
        node('ReduceMax', ['squares'], ['worst'], {
          attribute: [{ name: 'keepdims', type: INT, i: 0 }],
        }),
      )
      output!.push({ name: 'worst' })
    })
    const { signature } = readTrainableModel(model)
    expect(signature.loss).toBe('how far off')
    expect(signature.metrics).toEqual([{ name: 'worst', kind: 'mean', output: 'worst' }])
  })

  it('dropout in training mode: it is drawn from words that are fed, and the gradient goes through the same mask', () => {
    const model = readTrainableModel(edited(standardFile('Nesterov'), withDropout))
    expect(model.signature.seeds).toBe('seeds')
    const { x, labels } = standardTraining.examples
    const given = new Map<string, Numbers>([
      ...Object.entries(model.state).map(([name, value]) => [name, widen(value)] as const),
      ['x', numbers('float32', [12, 3], x)],
      ['classes', numbers('int64', [12], labels)],
      ['eta', numbers('float32', [], [1])],
      ['seeds', numbers('float32', [4], [3, 141, 59, 265])],
    ])
    const step = model.graph()
    const computed = (change: number) => {
      const bias = given.get('hidden/b')!
      const moved = numbers(
        'float32',
        bias.shape,
        bias.data.map((value, i) => (i === 1 ? value + change : value)),
      )
      return evaluate(step, new Map([...given, ['hidden/b', moved]]))
    }
    const lossAt = (change: number) => computed(change).get('loss')!.data[0]!
    const slope = (lossAt(1e-4) - lossAt(-1e-4)) / 2e-4
    // Without a velocity yet, X − X_new = R · (G' + alpha · G') with G' = G + norm_coefficient · X.
    const [before, next] = [given.get('hidden/b')!.data[1]!, computed(0).get('hidden/b.next')!.data[1]!]
    expect((before - next) / 1.875 - 0.03125 * before).toBeCloseTo(slope, 5)
    expect(Math.abs(slope)).toBeGreaterThan(1e-3)
    const first = lossAt(0)
    given.set('seeds', numbers('float32', [4], [4, 141, 59, 265]))
    expect(lossAt(0)).not.toBeCloseTo(first, 3)
  })
})

describe('what is refused', () => {
  it.each<readonly [what: string, name: string, edit: (model: ModelProto) => void, message: string]>([
    [
      'a number that nothing feeds',
      'Adagrad',
      (m) => scalarInput(m, 'temperature'),
      "the training step has an input 'temperature' (float32[]) that nothing feeds: it is no learning rate R or update count T of an optimizer, and has no axis for examples; make it an initializer",
    ],
    [
      'several learning rates',
      'Nesterov',
      (m) => {
        scalarInput(m, 'eta2')
        algorithmOf(m).node!.unshift(node('Add', ['eta', 'eta2'], ['both']))
        ofType(m, 'Momentum').input![0] = 'both'
      },
      "the training step takes several numbers as its learning rate, 'eta', 'eta2'; expected one input for all",
    ],
    [
      'several counts',
      'Adagrad',
      (m) => {
        scalarInput(m, 'other', 7)
        algorithmOf(m).node!.splice(-1, 0, node('Add', ['iteration', 'other'], ['both']))
        ofType(m, 'Adagrad').input![1] = 'both'
      },
      "the training step takes several counts of updates, 'iteration', 'other'; expected one input for all",
    ],
    [
      'no loss',
      'Adam',
      (m) => {
        algorithmOf(m).node = [node('Identity', ['hidden/W'], ['hidden/W.next'])]
        algorithmOf(m).output = [{ name: 'hidden/W.next' }]
        infoOf(m).updateBinding = [{ key: 'hidden/W', value: 'hidden/W.next' }]
      },
      "which output of the training step is the loss? It has none; expected one called 'loss', a scalar",
    ],
    [
      'a loss of a forward pass of its own that is like no output, or like two',
      'batch norm',
      (m) => {
        graphOf(m).node!.push(node('Neg', ['scores'], ['other']))
        graphOf(m).output!.push({ name: 'other' })
      },
      "the loss 'loss' of the training step does not follow from what the network gives, so that nothing could be evaluated: let it be computed from outputs of the inference graph",
    ],
    [
      'a target of another batch',
      'Adagrad',
      (m) =>
        Object.assign(inputOf(m, 'wanted').type!.tensorType!.shape!.dim![0]!, { dimParam: undefined, dimValue: 7 }),
      'the inputs and targets of the training step begin with N and 7; expected one batch',
    ],
    [
      'an optimizer of another mode',
      'Nesterov',
      (m) => {
        ofType(m, 'Momentum').attribute!.find(({ name }) => name === 'mode')!.s = text('fast')
      },
      'must be one of standard, nesterov',
    ],
    [
      'tensors that are no whole sets',
      'Adagrad',
      (m) => {
        ofType(m, 'Adagrad').input!.pop()
      },
      'takes R, T and then as many tensors X, G and H; got 11',
    ],
    [
      'a gradient of another shape',
      'Adagrad',
      (m) => {
        ofType(m, 'Adagrad').input![6] = 'd/hidden/b'
      },
      'needs X, G and H of one floating-point type, got float32[3, 4], float32[4], float32[3, 4]',
    ],
    [
      'a count that is no whole number',
      'Nesterov',
      (m) => {
        ofType(m, 'Momentum').input![1] = 'eta'
      },
      'needs an int64 count T of updates',
    ],
    [
      'a rate that is no number',
      'Nesterov',
      (m) => {
        ofType(m, 'Momentum').input![0] = 'hidden/b'
      },
      'needs a scalar R',
    ],
  ])('%s', (_, name, edit, message) => {
    expect(refusal(edited(standardFile(name), edit))).toContain(message)
  })
})
