// The registry: every operator there is. A family's file holds its records; nothing else lists them.

import type { Doc, Operator } from '../graph/operator.js'
import * as conv from './conv.js'
import * as elementwise from './elementwise.js'
import * as indexing from './indexing.js'
import * as loop from './loop.js'
import * as matmul from './matmul.js'
import * as normalization from './normalization.js'
import * as pool from './pool.js'
import * as random from './random.js'
import * as reduction from './reduction.js'
import * as shape from './shape.js'
import * as slice from './slice.js'
import * as training from './training.js'

const families = [
  conv,
  elementwise,
  indexing,
  loop,
  matmul,
  normalization,
  pool,
  random,
  reduction,
  shape,
  slice,
  training,
]

const isOperator = (member: unknown): member is Operator =>
  typeof member === 'object' && member !== null && 'infer' in member

/** The operators that ONNX lacks: what a target has to expand, each of them. */
export const primitives = {
  BatchNormGrad: normalization.BatchNormGrad,
  BatchNormTraining: normalization.BatchNormTraining,
  ConvInputGrad: conv.ConvInputGrad,
  ConvWeightGrad: conv.ConvWeightGrad,
  Gate: training.Gate,
  ReluGrad: elementwise.ReluGrad,
  SgdMomentum: training.SgdMomentum,
  SoftmaxCrossEntropy: training.SoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad: training.SoftmaxCrossEntropyGrad,
} satisfies Readonly<Record<string, { readonly doc: Doc }>>

const recordsOf = (family: object): Operator[] => Object.values<unknown>({ ...family }).filter(isOperator)

/** Those that take each number for itself, wherever it stands. */
export const elementwiseOperators: readonly Operator[] = recordsOf(elementwise)

/** All records, ordered by name. */
export const operators: readonly Operator[] = families.flatMap(recordsOf).sort((a, b) => (a.name < b.name ? -1 : 1))

const byName = new Map(operators.map((operator) => [`${operator.domain}:${operator.name}`, operator]))

export const findOperator = (domain: string, name: string): Operator | undefined => byName.get(`${domain}:${name}`)

export * from './conv.js'
export * from './elementwise.js'
export * from './indexing.js'
export * from './loop.js'
export * from './matmul.js'
export * from './normalization.js'
export * from './pool.js'
export * from './random.js'
export * from './reduction.js'
export * from './shape.js'
export * from './slice.js'
export * from './training.js'
