// The operators of ai.onnx.ml on tables of numbers, which converters of scikit-learn write: composites, whose bodies are what is
// written. Text is not supported.

import { composite } from '../graph/composite.js'
import { float, int, ML_DOMAIN, optional, string } from '../graph/operator.js'
import { fixed, normal } from '../graph/sample.js'
import { isKnown } from '../graph/shape.js'
import { type DType, type Numbers, numbers, type Tensor } from '../graph/tensor.js'
import { constant, constantTensor, GraphError, type Value } from '../graph/value.js'
import { argMax } from './argument.js'
import { abs, and, cast, div, equal, greater, isNan, mul, or, sigmoid, sqrt, sub, where } from './elementwise.js'
import { gather } from './indexing.js'
import { castTo } from './layerNorm.js'
import { gemm } from './matmul.js'
import { reduceMax, reduceSum } from './reduction.js'
import { reshape, unsqueeze } from './shape.js'
import { concat } from './slice.js'
import { softmax } from './softmax.js'

const ml = { domain: ML_DOMAIN, since: 1 } as const
const asFloat = (x: Value): Value => castTo(x, 'float32')

/** (x − offset) · scale, one for each feature or for all, in float32. */
export const Scaler = composite({
  ...ml,
  name: 'Scaler',
  attributes: { offset: optional('floats'), scale: optional('floats') },
  arity: [1, 1],
  body([x], { offset, scale }) {
    const centred = offset ? sub(asFloat(x!), constant('float32', offset)) : asFloat(x!)
    return [scale ? mul(centred, constant('float32', scale)) : centred]
  },
  samples: [
    { inputs: [normal(2, 3)], attributes: { offset: [0.5, -1, 2], scale: [2, 3, -1] } },
    { inputs: [fixed('int64', [2, 2], [1, -2, 3, 4])], attributes: { offset: [0.5], scale: [2] } },
  ],
})

const sizes: Readonly<Record<string, (x: Value) => Value>> = {
  MAX: (x) => reduceMax(x, [-1]),
  L1: (x) => reduceSum(abs(x), [-1]),
  L2: (x) => sqrt(reduceSum(mul(x, x), [-1])),
}
/**
 * Each row by its largest number, the sum of its magnitudes, or its length; a row of which that is 0 as it is. (ONNX's text leaves
 * magnitudes out of L1, and signs out of L2: here they are those of scikit-learn and of runtimes.)
 */
export const Normalizer = composite({
  ...ml,
  name: 'Normalizer',
  attributes: { norm: string('MAX') },
  arity: [1, 1],
  body([x], { norm }) {
    if (!Object.hasOwn(sizes, norm)) throw new GraphError(`norm '${norm}' is not known; use MAX, L1 or L2`)
    const size = sizes[norm]!(asFloat(x!))
    return [div(asFloat(x!), where(equal(size, 0), 1, size))]
  },
  samples: [
    { inputs: [fixed('float32', [2, 3], [1, -2, 3, -4, 0.5, 6])] },
    { inputs: [fixed('float32', [2, 3], [1, -2, 3, -4, 0.5, 6])], attributes: { norm: 'L1' } },
    { inputs: [fixed('float32', [2, 3], [1, -2, 3, -4, 0.5, 6])], attributes: { norm: 'L2' } },
  ],
})

/** 1 where x is above the threshold, else 0. */
export const Binarizer = composite({
  ...ml,
  name: 'Binarizer',
  attributes: { threshold: float(0) },
  arity: [1, 1],
  gradient: 'zero',
  body: ([x], { threshold }) => [cast(greater(x!, threshold), x!.dtype)],
  samples: [{ inputs: [normal(2, 3)] }, { inputs: [normal(4)], attributes: { threshold: 0.5 } }],
})

/** The columns of x that are named. */
export const ArrayFeatureExtractor = composite({
  ...ml,
  name: 'ArrayFeatureExtractor',
  attributes: {},
  arity: [2, 2],
  body([x, columns]) {
    const rows = x!.shape.length === 1 ? unsqueeze(x!, 0) : x!
    return [gather(rows, reshape(columns!, [-1]), rows.shape.length - 1)]
  },
  samples: [
    { inputs: [normal(2, 4), fixed('int64', [1, 2], [3, 1])] },
    { inputs: [normal(4), fixed('int64', [1], [2])] },
  ],
})

/** All inputs side by side, in float32. */
export const FeatureVectorizer = composite({
  ...ml,
  name: 'FeatureVectorizer',
  attributes: { inputdimensions: optional('ints') },
  arity: [1, Number.POSITIVE_INFINITY],
  body: (parts) => [
    concat(
      parts.map((part) => asFloat(part.shape.length === 1 ? unsqueeze(part, 0) : part)),
      1,
    ),
  ],
  samples: [
    { inputs: [normal(2, 3), normal(2, 1)], attributes: { inputdimensions: [3, 1] } },
    { inputs: [normal(3), normal(2)], attributes: { inputdimensions: [3, 2] } },
  ],
})

/** Another number in the place of one, which may be NaN: for each feature, or one for all. */
export const Imputer = composite({
  ...ml,
  name: 'Imputer',
  attributes: {
    imputed_value_floats: optional('floats'),
    imputed_value_int64s: optional('ints'),
    replaced_value_float: float(0),
    replaced_value_int64: int(0),
  },
  arity: [1, 1],
  body([x], { imputed_value_floats, imputed_value_int64s, replaced_value_float, replaced_value_int64 }) {
    const imputed = imputed_value_floats ?? imputed_value_int64s
    if (!imputed) throw new GraphError('needs imputed_value_floats or imputed_value_int64s')
    const replaced = imputed_value_floats ? replaced_value_float : replaced_value_int64
    const isMissing = Number.isNaN(replaced) ? isNan(x!) : equal(x!, replaced)
    return [where(isMissing, constant(x!.dtype, imputed), x!)]
  },
  samples: [
    {
      inputs: [fixed('float32', [2, 3], [Number.NaN, 1, 2, 3, Number.NaN, Number.NaN])],
      attributes: { imputed_value_floats: [7, 8, 9], replaced_value_float: Number.NaN },
    },
    { inputs: [fixed('int64', [2, 2], [0, 1, 2, 0])], attributes: { imputed_value_int64s: [5] } },
  ],
})

const listed = (dtype: DType, values: readonly number[] | undefined): Numbers | undefined =>
  values && numbers(dtype, [values.length], values)

/** The number that a table has beside each number of x, the last of equal keys; `default_*` where the table lacks it. */
export const LabelEncoder = composite({
  ...ml,
  since: 2,
  name: 'LabelEncoder',
  attributes: {
    keys_floats: optional('floats'),
    keys_int64s: optional('ints'),
    keys_tensor: optional('tensor'),
    values_floats: optional('floats'),
    values_int64s: optional('ints'),
    values_tensor: optional('tensor'),
    default_float: float(0),
    default_int64: int(-1),
    default_tensor: optional('tensor'),
  },
  arity: [1, 1],
  gradient: 'zero',
  body([x], { keys_floats, keys_int64s, keys_tensor, values_floats, values_int64s, values_tensor, ...usual }) {
    const keys = keys_tensor ?? listed('float32', keys_floats) ?? listed('int64', keys_int64s)
    const values = values_tensor ?? listed('float32', values_floats) ?? listed('int64', values_int64s)
    if (!keys || !values) throw new GraphError('needs keys and values that are numbers')
    if (keys.dtype !== x!.dtype || keys.data.length !== values.data.length || values.data.length === 0)
      throw new GraphError(`needs keys of the dtype of x, got ${keys.dtype}, and a value for each`)
    const other = usual.default_tensor ?? defaultOf(values, usual.default_float, usual.default_int64)
    return [lookUp(x!, constantTensor(keys), constantTensor(values), reshape(constantTensor(other), []))]
  },
  samples: [
    {
      inputs: [fixed('int64', [2, 3], [1, 5, 2, 7, 1, 2])],
      attributes: { keys_int64s: [1, 2, 5], values_floats: [0.5, 1.5, 2.5], default_float: -3 },
    },
    {
      inputs: [fixed('float32', [3], [0.5, 1, 2])],
      attributes: { keys_floats: [0.5, 2], values_int64s: [7, 9] },
    },
  ],
})
function defaultOf({ dtype }: Tensor | Numbers, ofFloats: number, ofInts: number): Numbers {
  return numbers(dtype, [], [dtype.startsWith('float') ? ofFloats : ofInts])
}

function lookUp(x: Value, keys: Value, values: Value, other: Value): Value {
  const each = unsqueeze(x, x.shape.length)
  const isSame = equal(each, keys)
  const isFound = x.dtype.startsWith('float') ? or(isSame, and(isNan(each), isNan(keys))) : isSame
  const found = cast(isFound, 'int32')
  const places = argMax(found, -1, { keepdims: 0, select_last_index: 1 })
  return where(cast(reduceMax(found, [-1], { keepdims: 0 }), 'bool'), gather(values, places), other)
}

/** 1 where x is a category, else 0, along a new last axis, in float32. */
export const OneHotEncoder = composite({
  ...ml,
  name: 'OneHotEncoder',
  attributes: { cats_int64s: optional('ints'), zeros: int(1) },
  arity: [1, 1],
  gradient: 'zero',
  body([x], { cats_int64s, zeros }) {
    if (!cats_int64s) throw new GraphError('needs cats_int64s; categories of text are not supported')
    if (!zeros) throw new GraphError('zeros=0, which fails at other categories, is not supported; use 1')
    const each = cast(unsqueeze(x!, x!.shape.length), 'int64')
    return [cast(equal(each, constant('int64', cats_int64s)), 'float32')]
  },
  samples: [
    { inputs: [fixed('int64', [3, 1], [2, 5, 9])], attributes: { cats_int64s: [9, 2, 4] } },
    { inputs: [fixed('float32', [2], [1, 0])], attributes: { cats_int64s: [0, 1] } },
  ],
})

const transforms: Readonly<Record<string, (scores: Value) => Value>> = {
  NONE: (scores) => scores,
  SOFTMAX: (scores) => softmax(scores),
  LOGISTIC: sigmoid,
}
/** What becomes of scores in the end. */
export function transformed(scores: Value, name: string): Value {
  if (Object.hasOwn(transforms, name)) return transforms[name]!(scores)
  throw new GraphError(`post_transform '${name}' is not supported; use one of ${Object.keys(transforms).join(', ')}`)
}

/** x·Wᵀ + intercepts, where the rows of W are those of the targets. */
function linearScores(
  x: Value,
  coefficients: readonly number[],
  targets: number,
  intercepts?: readonly number[],
): Value {
  const features = x.shape[1]
  if (x.shape.length !== 2 || (features && isKnown(features) && features * targets !== coefficients.length))
    throw new GraphError(
      `needs x [rows, ${coefficients.length / targets}], from its ${coefficients.length} coefficients`,
    )
  const weights = constant('float32', coefficients, [targets, coefficients.length / targets])
  return gemm(asFloat(x), weights, intercepts && constant('float32', intercepts), { transB: 1 })
}

/** Linear regression; several targets side by side. */
export const LinearRegressor = composite({
  ...ml,
  name: 'LinearRegressor',
  attributes: {
    coefficients: optional('floats'),
    intercepts: optional('floats'),
    targets: int(1),
    post_transform: string('NONE'),
  },
  arity: [1, 1],
  body: ([x], { coefficients = [], intercepts, targets, post_transform }) => [
    transformed(linearScores(x!, coefficients, targets, intercepts), post_transform),
  ],
  samples: [
    { inputs: [normal(2, 3)], attributes: { coefficients: [1, -2, 0.5], intercepts: [0.25] } },
    { inputs: [normal(2, 2)], attributes: { coefficients: [1, -2, 0.5, 3], intercepts: [0.25, 1], targets: 2 } },
  ],
})

/** A linear score for each class; first the label of the highest one. */
export const LinearClassifier = composite({
  ...ml,
  name: 'LinearClassifier',
  attributes: {
    classlabels_ints: optional('ints'),
    coefficients: optional('floats'),
    intercepts: optional('floats'),
    multi_class: int(0),
    post_transform: string('NONE'),
  },
  arity: [1, 1],
  differentiable: { outputs: [1] },
  body([x], { classlabels_ints, coefficients = [], intercepts, post_transform }) {
    if (!classlabels_ints) throw new GraphError('needs classlabels_ints; labels of text are not supported')
    const classes = classlabels_ints.length
    if (intercepts && intercepts.length !== classes)
      throw new GraphError(`needs a score for each of the ${classes} classes, got ${intercepts.length} intercepts`)
    const scores = linearScores(x!, coefficients, classes, intercepts)
    return [topLabel(scores, classlabels_ints), transformed(scores, post_transform)]
  },
  samples: [
    {
      inputs: [normal(3, 2)],
      attributes: { classlabels_ints: [3, 7, 9], coefficients: [1, -2, 0.5, 3, -1, 1], intercepts: [0.25, 1, 0] },
    },
    {
      inputs: [normal(3, 2)],
      attributes: {
        classlabels_ints: [0, 1],
        coefficients: [1, -2, -1, 2],
        intercepts: [0, 1],
        post_transform: 'SOFTMAX',
      },
    },
  ],
})
/** The label of the highest score, the first of equal ones. */
export const topLabel = (scores: Value, labels: readonly number[]): Value =>
  gather(constant('int64', labels), argMax(scores, -1, { keepdims: 0 }))
