// The operators of ai.onnx.ml are those of ONNX Runtime, which has kernels of its own for them.
import { describe, expect, it } from 'vitest'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { type Attributes, ML_DOMAIN, type Operator } from '../../../src/core/graph/operator.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply, constant, input, nameOf } from '../../../src/core/graph/value.js'
import { attributeProto, valueInfo } from '../../../src/core/onnx/protos.js'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import {
  LabelEncoder,
  Normalizer,
  operators,
  TreeEnsemble,
  TreeEnsembleRegressor,
} from '../../../src/core/ops/index.js'
import { expectClose, openModel, rounded } from '../../support/runtime.js'
import { rows, trial } from '../../support/samples.js'

/** A file of one node. */
function fileOf(
  { name, attributes }: Operator,
  inputs: Parameters<typeof valueInfo>[],
  given: Attributes,
  outputs: Parameters<typeof valueInfo>[],
) {
  const attribute = Object.entries(given).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [
          attributeProto(key, attributes[key]!.kind, value, () => {
            throw new Error('holds no graphs')
          }),
        ],
  )
  return encodeModel({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 18 },
      { domain: ML_DOMAIN, version: name === 'TreeEnsemble' ? 5 : 3 },
    ],
    graph: {
      name: 'g',
      input: inputs.map((info) => valueInfo(...info)),
      node: [
        {
          opType: name,
          domain: ML_DOMAIN,
          input: inputs.map(([one]) => one),
          output: outputs.map(([one]) => one),
          attribute,
        },
      ],
      output: outputs.map((info) => valueInfo(...info)),
    },
  })
}

describe.each(rows(operators.filter(({ domain }) => domain === ML_DOMAIN)))('$name', ({ operator, index }) => {
  const { inputs, outputs, feeds } = trial(operator, index, rounded)
  const values = inputs.map((value) => value!)
  const given = operator.samples[index]!.attributes ?? {}
  const names = outputs.map((_, i) => `y${i}`)
  const made = outputs.map((value, i): Parameters<typeof valueInfo> => [names[i]!, value])
  const file = fileOf(
    operator,
    values.map((value) => [nameOf(value), value]),
    given,
    made,
  )
  const fed = new Map(values.map((value) => [nameOf(value), feeds.get(value)!]))
  const expected = evaluateValues(outputs, feeds)

  it('is what ONNX Runtime makes of it', async () => {
    const model = await openModel(file)
    const actual = await model.run(fed)
    await model.close()
    expected.forEach((value, i) => {
      expectClose(actual.get(names[i]!)!, value, names[i]!)
    })
  })

  it('is read', () => {
    const actual = evaluate(readModel(decodeModel(file)).inference, fed)
    expected.forEach((value, i) => {
      expectClose(actual.get(names[i]!)!, value, names[i]!, 1e-6)
    })
  })
})

describe('trees that are none', () => {
  const x = input('x', 'float32', ['batch', 2])
  const leaf = { target_treeids: [0], target_nodeids: [1], target_ids: [0], target_weights: [1] }
  const stump = {
    nodes_treeids: [0, 0, 0],
    nodes_nodeids: [0, 1, 2],
    nodes_featureids: [0, 0, 0],
    nodes_modes: ['BRANCH_LEQ', 'LEAF', 'LEAF'],
    nodes_truenodeids: [1, 0, 0],
    nodes_falsenodeids: [2, 0, 0],
    nodes_values: [0.5, 0, 0],
    ...leaf,
  }
  const refusals: readonly [what: string, change: Partial<typeof stump>, message: string][] = [
    ['of unequal tables', { nodes_values: [0.5] }, 'nodes_values has 1 entries, expected 3'],
    [
      'of a node that is not there',
      { nodes_falsenodeids: [5, 0, 0] },
      'each tree needs one node that is below no other',
    ],
    ['that end nowhere', { nodes_falsenodeids: [1, 0, 0] }, 'each tree needs one node that is below no other'],
    [
      'that go round',
      { nodes_modes: ['BRANCH_LEQ', 'BRANCH_LEQ', 'LEAF'] },
      'each tree needs one node that is below no other',
    ],
    ['of an unknown comparison', { nodes_modes: ['BRANCH_ODD', 'LEAF', 'LEAF'] }, "the mode 'BRANCH_ODD' is not known"],
    ['of a target that is not there', { target_ids: [3] }, 'a leaf votes for 3 of 1 targets'],
  ]
  it.each(refusals)('are refused %s', (_, change, message) => {
    expect(() => apply(TreeEnsembleRegressor, [x], { ...stump, ...change })).toThrow(message)
  })

  it('are refused of features that x lacks, when they are asked for', () => {
    const [y] = apply(TreeEnsembleRegressor, [x], { ...stump, nodes_featureids: [7, 0, 0] })
    expect(() => evaluateValues([y!], new Map([[x, numbers('float32', [1, 2], [1, 2])]]))).toThrow(
      'a tree asks for feature 7, x has 2',
    )
  })

  it('are refused where branches stand below themselves', () => {
    const tensor = (dtype: 'uint8' | 'float32', ...data: number[]) => numbers(dtype, [data.length], data)
    expect(() =>
      apply(TreeEnsemble, [x], {
        tree_roots: [0],
        nodes_featureids: [0, 0],
        nodes_modes: tensor('uint8', 0, 0),
        nodes_splits: tensor('float32', 1, 2),
        nodes_truenodeids: [1, 0],
        nodes_falsenodeids: [0, 0],
        nodes_trueleafs: [0, 0],
        nodes_falseleafs: [1, 1],
        leaf_targetids: [0],
        leaf_weights: tensor('float32', 1),
      }),
    ).toThrow('the node n0 of a tree stands at two places; expected one')
  })
})

it('of equal keys the last one counts', () => {
  const table = { keys_int64s: [1, 2, 1], values_floats: [0.5, 1.5, 4] }
  const [y] = evaluateValues(apply(LabelEncoder, [constant('int64', [1, 2, 3])], table), new Map())
  expect([...y!.data]).toEqual([4, 1.5, 0])
})

it('a row of zeros is left as it is', () => {
  const values = evaluateValues(
    apply(Normalizer, [constant('float32', [0, 0, 3, 4], [2, 2])], { norm: 'L2' }),
    new Map(),
  )
  expect([...values[0]!.data]).toEqual([0, 0, 0.6, 0.8])
})
