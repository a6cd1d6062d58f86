// The registry: every operator there is. A family's file holds its records; nothing else lists them.

import type { Doc, Operator } from '../graph/operator.js'
import * as backward from './backward.js'
import * as choose from './choose.js'
import * as conv from './conv.js'
import * as dropout from './dropout.js'
import * as elementwise from './elementwise.js'
import * as gate from './gate.js'
import * as gelu from './gelu.js'
import * as generate from './generate.js'
import * as branching from './if.js'
import * as indexing from './indexing.js'
import * as loop from './loop.js'
import * as loss from './loss.js'
import * as matmul from './matmul.js'
import * as normalization from './normalization.js'
import * as pad from './pad.js'
import * as pool from './pool.js'
import * as random from './random.js'
import * as reduction from './reduction.js'
import * as rnn from './rnn.js'
import * as scan from './scan.js'
import * as scatter from './scatter.js'
import * as shape from './shape.js'
import * as slice from './slice.js'
import * as tile from './tile.js'

const families = [
  backward,
  conv,
  rnn,
  scan,
  branching,
  tile,
  scatter,
  pad,
  choose,
  dropout,
  elementwise,
  gate,
  gelu,
  generate,
  indexing,
  loop,
  loss,
  matmul,
  normalization,
  pool,
  random,
  reduction,
  shape,
  slice,
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

export const findOperator = (domain: string, name: string): Operator | undefined => byName.get(`${domain}:${name}`)

export * from './backward.js'
export * from './choose.js'
export * from './conv.js'
export * from './dropout.js'
export * from './elementwise.js'
export * from './gate.js'
export * from './gelu.js'
export * from './generate.js'
export * from './if.js'
export * from './indexing.js'
export * from './loop.js'
export * from './loss.js'
export * from './matmul.js'
export * from './normalization.js'
export * from './pad.js'
export * from './pool.js'
export * from './random.js'
export * from './reduction.js'
export * from './rnn.js'
export * from './scan.js'
export * from './scatter.js'
export * from './shape.js'
export * from './slice.js'
export * from './tile.js'
