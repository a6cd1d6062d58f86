// `since` and `before` of every record, against the table of operators in ONNX's own package.
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type AttributeKind, ONNX_DOMAIN, type Operator, TRAINING_DOMAIN } from '../../../src/core/graph/operator.js'
import type { DType } from '../../../src/core/graph/tensor.js'
import { writableOpsets } from '../../../src/core/onnx/opsets.js'
import { operators } from '../../../src/core/ops/index.js'
import { adam, adamw, muon, sgd } from '../../../src/core/optimizers/index.js'
import { askOnnxPackage, hasOnnxPackage } from '../../support/onnxPackage.js'

const definition = z.object({
  name: z.string(),
  since: z.number(),
  attributes: z.record(z.string(), z.object({ type: z.string(), default: z.unknown() })),
  /** The types that each input may have, such as tensor(float). */
  inputs: z.array(z.array(z.string())),
  fewest: z.number(),
  most: z.number(),
})
/** The most inputs of an operator that takes any number. */
const MANY = 2 ** 31 - 1
type Definition = z.infer<typeof definition>

const typeNames: Readonly<Record<DType, string>> = {
  float32: 'float',
  float64: 'double',
  float16: 'float16',
  bfloat16: 'bfloat16',
  int64: 'int64',
  int32: 'int32',
  int16: 'int16',
  int8: 'int8',
  uint64: 'uint64',
  uint32: 'uint32',
  uint16: 'uint16',
  uint8: 'uint8',
  bool: 'bool',
  float8e4m3fn: 'float8e4m3fn',
  float8e4m3fnuz: 'float8e4m3fnuz',
  float8e5m2: 'float8e5m2',
  float8e5m2fnuz: 'float8e5m2fnuz',
  float8e8m0: 'float8e8m0',
  float6e2m3: 'float6e2m3',
  float6e3m2: 'float6e3m2',
  float4e2m1: 'float4e2m1',
  int4: 'int4',
  uint4: 'uint4',
  int2: 'int2',
  uint2: 'uint2',
}
const kinds: Readonly<Record<AttributeKind, string>> = {
  int: 'INT',
  float: 'FLOAT',
  string: 'STRING',
  ints: 'INTS',
  floats: 'FLOATS',
  strings: 'STRINGS',
  tensor: 'TENSOR',
  graph: 'GRAPH',
}
const own = operators.filter(({ domain }) => domain === ONNX_DOMAIN)
const { from: oldest } = writableOpsets
/** The newest that the package has. */
const newest = 28
const versions = Array.from({ length: newest - oldest + 1 }, (_, i) => oldest + i)

const takes = (types: readonly string[] | undefined, dtype: DType) => types?.includes(`tensor(${typeNames[dtype]})`)
const plain = (value: unknown) => (typeof value === 'number' ? Math.fround(value) : value)

it('each record that is later than the oldest version says what that has, or is made of what it has', () => {
  expect(own.filter(({ since, before, body }) => since > oldest && !before && !body)).toEqual([])
})

describe.runIf(hasOnnxPackage)('every operator of ONNX, in every version that is read', () => {
  let all: readonly Definition[]
  beforeAll(async () => {
    all = z.array(definition).parse(JSON.parse(await askOnnxPackage('operators')))
  })
  /** None in a version that is older than the operator. */
  const inForce = ({ name }: Operator, version: number): Definition | undefined => {
    const known = all.filter((one) => one.name === name && one.since <= version)
    return known.reduce<Definition | undefined>((a, b) => (a && a.since > b.since ? a : b), undefined)
  }

  it.each(own.map((operator) => [operator.name, operator] as const))('%s', (_, operator) => {
    const { since, until = Number.POSITIVE_INFINITY, before, attributes, arity, samples } = operator
    for (const version of versions) {
      const there = inForce(operator, version)
      if (!there || version > until || (version < since && operator.body && !before)) continue
      // There it is read by attributes of its own, and written as another.
      if (operator.older?.some((form) => version <= form.until)) continue
      if (version < since && before === 'nothing') continue
      const older = version < since && before !== 'nothing' ? before : undefined
      const moved = older?.inputsAsAttributes ?? {}
      const lacks = older?.lacks ?? []
      for (const [name, { kind, default: usual }] of Object.entries(attributes)) {
        if (lacks.includes(name)) {
          expect(Object.keys(there.attributes), `${name} in version ${version}`).not.toContain(name)
          continue
        }
        expect(there.attributes[name]?.type, `${name} in version ${version}`).toBe(kinds[kind])
        // Where ONNX has no default it says one in words, or wants the attribute.
        const { default: theirs } = there.attributes[name]!
        if (theirs !== null) expect(plain(usual), `${name} in version ${version}`).toEqual(plain(theirs))
      }
      for (const name of Object.keys(moved)) expect(there.attributes[name]?.type).toBe('INTS')
      const [fewest, most] = arity
      // What graphs capture are inputs here alone.
      if (most === Number.POSITIVE_INFINITY) expect(there.most).toBe(operator.graphs ? there.most : MANY)
      else {
        expect(fewest).toBeGreaterThanOrEqual(there.fewest)
        if (older?.mostInputs === undefined) expect(most).toBeLessThanOrEqual(there.most)
        else expect(there.most).toBe(older.mostInputs)
      }
      for (const { inputs } of samples)
        inputs.slice(0, operator.graphs ? there.inputs.length : older?.mostInputs).forEach((value, i) => {
          if (value) expect(takes(there.inputs[i] ?? there.inputs.at(-1), value.dtype)).toBe(true)
        })
    }
    // `since` is the version of a definition: the one that the oldest version has, or a later one that changed what counts.
    expect(inForce(operator, since)?.since).toBe(since)
    if (since <= oldest) expect(inForce(operator, Math.min(oldest, operator.until ?? oldest))?.since).toBe(since)
    else {
      const [last, first] = [inForce(operator, since - 1), inForce(operator, since)!]
      if (!last) return
      // A new attribute, or another usual value.
      const newer = Object.keys(attributes).filter(
        (name) =>
          first.attributes[name] &&
          (!last.attributes[name] || first.attributes[name].default !== last.attributes[name].default),
      )
      const dtypes = (Object.keys(typeNames) as DType[]).filter((dtype) => takes(first.inputs[0], dtype))
      const newTypes = dtypes.filter((dtype) => !takes(last.inputs[0], dtype))
      expect([...newer, ...newTypes, ...(last.most < arity[1] ? ['input'] : [])]).not.toEqual([])
    }
  })
})

// ONNX's evaluator looks a function's name up among all its operators, whatever their domain, and asks for their attributes.
it.runIf(hasOnnxPackage)('no function is called as an operator of ONNX that has to be given an attribute', async () => {
  const demanding = (await askOnnxPackage('demanding')).trim().split('\n')
  expect(demanding).toContain('Gradient')
  const functions = operators.filter(({ domain }) => domain === TRAINING_DOMAIN)
  const updates = [sgd(), sgd({ nesterov: true }), adam(), adamw(), muon(), muon({ nesterov: false })]
  const names = [...functions, ...updates].map(({ name }) => name)
  expect(names.filter((name) => demanding.includes(name))).toEqual([])
})
