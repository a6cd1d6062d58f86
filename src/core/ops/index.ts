// The registry: every operator there is. A family's file holds its records; nothing else lists them. Gradients are made of other
// operators, so that the families import each other in circles: nothing of another family is used while a file loads.

import type { Doc, Operator } from '../graph/operator.js'
import * as argument from './argument.js'
import * as attention from './attention.js'
import * as averagePool from './averagePool.js'
import * as backward from './backward.js'
import * as choose from './choose.js'
import * as classical from './classical.js'
import * as conv from './conv.js'
import * as convTranspose from './convTranspose.js'
import * as cumulative from './cumulative.js'
import * as detection from './detection.js'
import * as determinant from './determinant.js'
import * as dropout from './dropout.js'
import * as einsum from './einsum.js'
import * as elementwise from './elementwise.js'
import * as flexAttention from './flexAttention.js'
import * as gate from './gate.js'
import * as gelu from './gelu.js'
import * as generate from './generate.js'
import * as globalPool from './globalPool.js'
import * as gridSample from './gridSample.js'
import * as branching from './if.js'
import * as indexing from './indexing.js'
import * as layerNorm from './layerNorm.js'
import * as likelihood from './likelihood.js'
import * as loop from './loop.js'
import * as loss from './loss.js'
import * as matmul from './matmul.js'
import * as ngrams from './ngrams.js'
import * as normalization from './normalization.js'
import * as pad from './pad.js'
import * as pool from './pool.js'
import * as previewTraining from './previewTraining.js'
import * as product from './product.js'
import * as quantize from './quantize.js'
import * as quantizedProducts from './quantizedProducts.js'
import * as quantizedRnn from './quantizedRnn.js'
import * as random from './random.js'
import * as rearrange from './rearrange.js'
import * as recurrence from './recurrence.js'
import * as reduction from './reduction.js'
import * as resize from './resize.js'
import * as responseNorm from './responseNorm.js'
import * as rnn from './rnn.js'
import * as roi from './roi.js'
import * as rotary from './rotary.js'
import * as scan from './scan.js'
import * as scatter from './scatter.js'
import * as shape from './shape.js'
import * as signal from './signal.js'
import * as slice from './slice.js'
import * as softmax from './softmax.js'
import * as tile from './tile.js'
import * as treeEnsembles from './treeEnsembles.js'
import * as unpool from './unpool.js'

const families = [
  argument,
  attention,
  averagePool,
  backward,
  choose,
  classical,
  conv,
  convTranspose,
  cumulative,
  detection,
  determinant,
  dropout,
  einsum,
  elementwise,
  flexAttention,
  gate,
  gelu,
  generate,
  globalPool,
  gridSample,
  branching,
  indexing,
  layerNorm,
  likelihood,
  loop,
  loss,
  matmul,
  ngrams,
  normalization,
  pad,
  pool,
  previewTraining,
  product,
  quantize,
  quantizedProducts,
  quantizedRnn,
  random,
  rearrange,
  recurrence,
  reduction,
  resize,
  responseNorm,
  rnn,
  roi,
  rotary,
  scan,
  scatter,
  shape,
  signal,
  slice,
  softmax,
  tile,
  treeEnsembles,
  unpool,
]

const isOperator = (member: unknown): member is Operator =>
  typeof member === 'object' && member !== null && 'infer' in member

/** The operators that ONNX lacks and that are no composites: what a target has to expand, each of them. */
export const primitives = {
  ConvInputGrad: conv.ConvInputGrad,
  ConvWeightGrad: conv.ConvWeightGrad,
  ReluGrad: elementwise.ReluGrad,
} satisfies Readonly<Record<string, { readonly doc: Doc }>>

/** All records, ordered by name. */
export const operators: readonly Operator[] = families
  .flatMap((family) => Object.values<unknown>({ ...family }).filter(isOperator))
  .sort((a, b) => (a.name < b.name ? -1 : 1))

const byName = new Map(operators.map((operator) => [`${operator.domain}:${operator.name}`, operator]))

/** The record of an operator, by its domain ('' for ONNX's own) and name; undefined where there is none. */
export const findOperator = (domain: string, name: string): Operator | undefined => byName.get(`${domain}:${name}`)

export * from './argument.js'
export * from './attention.js'
export * from './averagePool.js'
export * from './backward.js'
export * from './choose.js'
export * from './classical.js'
export * from './conv.js'
export { type ConvAttributes, outputPadding } from './convSum.js'
export * from './convTranspose.js'
export * from './cumulative.js'
export * from './detection.js'
export * from './determinant.js'
export * from './dropout.js'
export * from './einsum.js'
export * from './elementwise.js'
export * from './flexAttention.js'
export * from './gate.js'
export * from './gelu.js'
export * from './generate.js'
export * from './globalPool.js'
export * from './gridSample.js'
export * from './if.js'
export * from './indexing.js'
export * from './layerNorm.js'
export * from './likelihood.js'
export * from './loop.js'
export * from './loss.js'
export * from './matmul.js'
export * from './ngrams.js'
export * from './normalization.js'
export * from './pad.js'
export * from './pool.js'
export * from './previewTraining.js'
export * from './product.js'
export * from './quantize.js'
export * from './quantizedProducts.js'
export * from './quantizedRnn.js'
export * from './random.js'
export * from './rearrange.js'
export * from './recurrence.js'
export * from './reduction.js'
export * from './resize.js'
export * from './responseNorm.js'
export * from './rnn.js'
export * from './roi.js'
export * from './rotary.js'
export * from './scan.js'
export * from './scatter.js'
export * from './shape.js'
export * from './signal.js'
export * from './slice.js'
export * from './softmax.js'
export * from './tile.js'
export * from './treeEnsembles.js'
export * from './unpool.js'
export { type Window, type WindowAttributes, windowAttributes } from './window.js'
