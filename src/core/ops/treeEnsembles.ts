// The operators of ai.onnx.ml on ensembles of trees.

import { composite, evaluateBody } from '../graph/composite.js'
import {
  type AttributeSpecs,
  type AttributesOf,
  int,
  ML_DOMAIN,
  type Operator,
  optional,
  required,
  string,
} from '../graph/operator.js'
import { fixed, type Sample } from '../graph/sample.js'
import { type DType, isFloat } from '../graph/tensor.js'
import { constant, GraphError, input, type Value } from '../graph/value.js'
import { topLabel, transformed } from './classical.js'
import { cast, greater, neg, sub } from './elementwise.js'
import { gather } from './indexing.js'
import { reshape } from './shape.js'
import { concat } from './slice.js'
import { type Ensemble, grown, type Leaf, modes, summed, sums } from './trees.js'
import { listOf, nodeAttributes, requireLength, treesOf } from './treeTables.js'

/** A record whose body is what is written, and whose reference walks down the trees. */
function ensembles<const S extends AttributeSpecs>(
  name: string,
  since: number,
  attributes: S,
  ensembleOf: (attributes: AttributesOf<S>, x: { readonly dtype: DType }) => Ensemble,
  results: (sums: Value, attributes: AttributesOf<S>) => readonly Value[],
  samples: readonly Sample<AttributesOf<S>>[],
): Operator<S> {
  const record = composite<S>({
    name,
    domain: ML_DOMAIN,
    since,
    attributes,
    arity: [1, 1],
    gradient: 'zero',
    body: ([x], given) => results(summed(x!, ensembleOf(given, x!)), given),
    samples,
  })
  return {
    ...record,
    infer([x], given) {
      if (x!.shape.length !== 2) throw new GraphError('needs x [rows, features]')
      const { dtype, targets } = ensembleOf(given, x!)
      const scores = input('scores', dtype, [x!.shape[0]!, targets])
      return results(scores, given)
    },
    evaluate: ([x], given) => evaluateBody([sums(x!, ensembleOf(given, x!))], ([scores]) => results(scores!, given)),
  }
}

/** In which a table of nodes compares. */
const comparedIn = (x: { readonly dtype: DType }, isWide: boolean): DType =>
  isWide && x.dtype === 'float64' ? 'float64' : 'float32'

const inFloat = (x: Value): Value => (x.dtype === 'float32' ? x : cast(x, 'float32'))

/** Two stumps and a tree of depth two, over two features. */
const sampleNodes = {
  nodes_treeids: [0, 0, 0, 1, 1, 1, 1, 1],
  nodes_nodeids: [0, 1, 2, 0, 1, 2, 3, 4],
  nodes_featureids: [0, 0, 0, 1, 0, 0, 0, 0],
  nodes_modes: ['BRANCH_LEQ', 'LEAF', 'LEAF', 'BRANCH_GT', 'LEAF', 'BRANCH_LT', 'LEAF', 'LEAF'],
  nodes_truenodeids: [1, 0, 0, 1, 0, 3, 0, 0],
  nodes_falsenodeids: [2, 0, 0, 2, 0, 4, 0, 0],
  nodes_values: [0.1, 0, 0, 0.5, 0, -0.3, 0, 0],
}
const sampleRows = fixed('float32', [5, 2], [0.1, 0, 0.2, 0.6, -0.5, 0.4, -0.2, 0.5, 3, -1])
const sampleVotes = { trees: [0, 0, 1, 1, 1], nodes: [1, 2, 1, 3, 4], weights: [1, -2, 0.5, 3, 4] }

const regressorAttributes = {
  ...nodeAttributes,
  target_treeids: required('ints'),
  target_nodeids: required('ints'),
  target_ids: required('ints'),
  target_weights: optional('floats'),
  target_weights_as_tensor: optional('tensor'),
  n_targets: int(1),
  aggregate_function: string('SUM'),
} as const

/** The sum, or the mean, of what each tree says of a row, and the base values. */
export const TreeEnsembleRegressor = ensembles(
  'TreeEnsembleRegressor',
  1,
  regressorAttributes,
  (attributes, x) => {
    const { aggregate_function, base_values, base_values_as_tensor, n_targets, nodes_values_as_tensor } = attributes
    if (aggregate_function !== 'SUM' && aggregate_function !== 'AVERAGE')
      throw new GraphError(`aggregate_function '${aggregate_function}' is not supported; use SUM or AVERAGE`)
    const dtype = comparedIn(x, nodes_values_as_tensor !== undefined)
    const votes = {
      trees: attributes.target_treeids,
      nodes: attributes.target_nodeids,
      targets: attributes.target_ids,
      weights: listOf(attributes.target_weights_as_tensor ?? attributes.target_weights, dtype),
    }
    return {
      trees: treesOf(attributes, votes, n_targets, dtype),
      targets: n_targets,
      base: listOf(base_values_as_tensor ?? base_values, dtype),
      isAverage: aggregate_function === 'AVERAGE',
      dtype,
    }
  },
  (scores, { post_transform }) => [transformed(inFloat(scores), post_transform)],
  [
    {
      inputs: [sampleRows],
      attributes: {
        ...sampleNodes,
        target_treeids: sampleVotes.trees,
        target_nodeids: sampleVotes.nodes,
        target_ids: [0, 0, 0, 0, 0],
        target_weights: sampleVotes.weights,
        n_targets: 1,
        base_values: [0.25],
      },
    },
    {
      inputs: [fixed('float32', [3, 2], [Number.NaN, 0.2, 1, Number.NaN, Number.NaN, 0.7])],
      attributes: {
        ...sampleNodes,
        nodes_missing_value_tracks_true: [1, 0, 0, 0, 0, 0, 0, 0],
        target_treeids: sampleVotes.trees,
        target_nodeids: sampleVotes.nodes,
        target_ids: [0, 1, 0, 1, 0],
        target_weights: sampleVotes.weights,
        n_targets: 2,
        aggregate_function: 'AVERAGE',
      },
    },
  ],
)

const classifierAttributes = {
  ...nodeAttributes,
  class_treeids: required('ints'),
  class_nodeids: required('ints'),
  class_ids: required('ints'),
  class_weights: optional('floats'),
  class_weights_as_tensor: optional('tensor'),
  classlabels_int64s: optional('ints'),
} as const
type ClassifierAttributes = AttributesOf<typeof classifierAttributes>

/** Whether leaves vote for the first of two classes alone: what they say is then of the second. */
const isBinary = ({ class_ids, classlabels_int64s }: ClassifierAttributes): boolean =>
  classlabels_int64s?.length === 2 && class_ids.every((id) => id === 0)

/**
 * The label of the class with the highest score, and the scores, summed over the trees. Where leaves vote for the first of two
 * classes alone, converters mean the score of the second, as ONNX Runtime has it: a probability if no weight is negative, else
 * what the logistic function makes one.
 */
export const TreeEnsembleClassifier = ensembles(
  'TreeEnsembleClassifier',
  1,
  classifierAttributes,
  (attributes, x) => {
    const { base_values, base_values_as_tensor, classlabels_int64s, nodes_values_as_tensor } = attributes
    if (!classlabels_int64s) throw new GraphError('needs classlabels_int64s; labels of text are not supported')
    const dtype = comparedIn(x, nodes_values_as_tensor !== undefined)
    const targets = isBinary(attributes) ? 1 : classlabels_int64s.length
    const votes = {
      trees: attributes.class_treeids,
      nodes: attributes.class_nodeids,
      targets: attributes.class_ids,
      weights: listOf(attributes.class_weights_as_tensor ?? attributes.class_weights, dtype),
    }
    const base = listOf(base_values_as_tensor ?? base_values, dtype)
    if (base.length > 0 && base.length !== targets)
      throw new GraphError(`needs a base value for each of ${targets} scores, got ${base.length}`)
    return { trees: treesOf(attributes, votes, targets, dtype), targets, base, isAverage: false, dtype }
  },
  (sums, attributes) => {
    const { classlabels_int64s: labels = [], post_transform } = attributes
    const scores = inFloat(sums)
    if (!isBinary(attributes)) return [topLabel(scores, labels), transformed(scores, post_transform)]
    const weights = listOf(attributes.class_weights_as_tensor ?? attributes.class_weights, 'float64')
    const isProbability = weights.every((weight) => weight >= 0)
    if (post_transform !== 'NONE' && (isProbability || post_transform !== 'LOGISTIC'))
      throw new GraphError(`post_transform '${post_transform}' is not supported for the score of one of two classes`)
    const isSecond = cast(reshape(greater(scores, isProbability ? 0.5 : 0), [-1]), 'int64')
    const both = concat([isProbability ? sub(1, scores) : neg(scores), scores], 1)
    return [gather(constant('int64', labels), isSecond), transformed(both, post_transform)]
  },
  [
    {
      inputs: [sampleRows],
      attributes: {
        ...sampleNodes,
        class_treeids: sampleVotes.trees,
        class_nodeids: sampleVotes.nodes,
        class_ids: [0, 1, 2, 1, 0],
        class_weights: sampleVotes.weights,
        classlabels_int64s: [3, 7, 9],
        post_transform: 'SOFTMAX',
      },
    },
    {
      inputs: [sampleRows],
      attributes: {
        ...sampleNodes,
        class_treeids: sampleVotes.trees,
        class_nodeids: sampleVotes.nodes,
        class_ids: [0, 0, 0, 0, 0],
        class_weights: sampleVotes.weights,
        classlabels_int64s: [0, 1],
        post_transform: 'LOGISTIC',
        base_values: [0.125],
      },
    },
    {
      inputs: [sampleRows],
      attributes: {
        ...sampleNodes,
        class_treeids: sampleVotes.trees,
        class_nodeids: sampleVotes.nodes,
        class_ids: [0, 0, 0, 0, 0],
        class_weights: [0.1, 0.4, 0.3, 0.05, 0.55],
        classlabels_int64s: [4, 6],
      },
    },
  ],
)

const ensembleAttributes = {
  tree_roots: required('ints'),
  n_targets: int(1),
  nodes_featureids: required('ints'),
  nodes_modes: required('tensor'),
  nodes_splits: required('tensor'),
  nodes_truenodeids: required('ints'),
  nodes_falsenodeids: required('ints'),
  nodes_trueleafs: required('ints'),
  nodes_falseleafs: required('ints'),
  nodes_missing_value_tracks_true: optional('ints'),
  nodes_hitrates: optional('tensor'),
  leaf_targetids: required('ints'),
  leaf_weights: required('tensor'),
  membership_values: optional('tensor'),
  aggregate_function: int(1),
  post_transform: int(0),
} as const

/** What NaN parts. */
function sets(values: readonly number[]): readonly (readonly number[])[] {
  const found: number[][] = [[]]
  for (const value of values) {
    if (Number.isNaN(value)) found.push([])
    else found.at(-1)!.push(value)
  }
  return found
}

/** The sum, or the mean, of what each tree says of a row: branches and leaves have tables of their own. */
export const TreeEnsemble = ensembles(
  'TreeEnsemble',
  5,
  ensembleAttributes,
  (attributes, { dtype }) => {
    const { tree_roots, n_targets, nodes_featureids, nodes_modes, nodes_splits, ...rest } = attributes
    const { nodes_truenodeids, nodes_falsenodeids, nodes_trueleafs, nodes_falseleafs, leaf_targetids } = rest
    const missing = rest.nodes_missing_value_tracks_true
    if (rest.aggregate_function > 1)
      throw new GraphError(`aggregate_function=${rest.aggregate_function} is not supported; use 0 (mean) or 1 (sum)`)
    if (!isFloat(dtype)) throw new GraphError(`needs floats, got ${dtype}; cast it first`)
    const [kinds, splits] = [listOf(nodes_modes, 'uint8'), listOf(nodes_splits, dtype)]
    const weights = listOf(rest.leaf_weights, dtype)
    const branches = {
      nodes_truenodeids,
      nodes_falsenodeids,
      nodes_trueleafs,
      nodes_falseleafs,
      ...(missing && { missing }),
    }
    requireLength(nodes_featureids.length, { nodes_modes: kinds, nodes_splits: splits, ...branches })
    requireLength(weights.length, { leaf_targetids })
    // The sets stand in the order of the branches that ask for them.
    const members = sets(listOf(rest.membership_values, dtype)).values()
    const values = kinds.map((kind, place) =>
      modes[kind] === 'MEMBER' ? (members.next().value ?? []) : [splits[place]!],
    )
    const leaf = (place: number): Leaf => {
      const target = leaf_targetids[place]
      if (target === undefined || !(target >= 0 && target < n_targets))
        throw new GraphError(`leaf ${place} has no target, or none of ${n_targets}`)
      return { weights: [[target, weights[place]!]] }
    }
    const trees = tree_roots.map((root) =>
      grown(`n${root}`, (key) => {
        const place = Number(key.slice(1))
        if (key.startsWith('l')) return leaf(place)
        const mode = modes[kinds[place] ?? -1]
        if (!mode) throw new GraphError(`a tree has no node ${place}, or it has no mode that is known`)
        const below = (isLeaf: readonly number[], ids: readonly number[]) => `${isLeaf[place] ? 'l' : 'n'}${ids[place]}`
        return {
          feature: nodes_featureids[place]!,
          mode,
          values: values[place]!,
          missing: missing?.[place] === 1,
          below: [below(nodes_trueleafs, nodes_truenodeids), below(nodes_falseleafs, nodes_falsenodeids)],
        }
      }),
    )
    return { trees, targets: n_targets, base: [], isAverage: rest.aggregate_function === 0, dtype }
  },
  (scores, { post_transform }) => [
    transformed(
      scores,
      ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'][post_transform] ?? `${post_transform}`,
    ),
  ],
  [
    {
      inputs: [fixed('float32', [6, 1], [1.2, 3.4, -0.1, Number.NaN, 12, 7])],
      attributes: {
        tree_roots: [0],
        n_targets: 4,
        nodes_featureids: [0, 0, 0],
        nodes_modes: { dtype: 'uint8', shape: [3], data: Uint8Array.of(0, 6, 6) },
        nodes_splits: { dtype: 'float32', shape: [3], data: Float32Array.of(11, 232344, Number.NaN) },
        nodes_truenodeids: [1, 0, 1],
        nodes_falsenodeids: [2, 2, 3],
        nodes_trueleafs: [0, 1, 1],
        nodes_falseleafs: [1, 0, 1],
        leaf_targetids: [0, 1, 2, 3],
        leaf_weights: { dtype: 'float32', shape: [4], data: Float32Array.of(1, 10, 1000, 100) },
        membership_values: {
          dtype: 'float32',
          shape: [8],
          data: Float32Array.of(1.2, 3.7, 8, 9, Number.NaN, 12, 7, Number.NaN),
        },
      },
    },
  ],
)
