// A file with other weights is the same file but for their numbers: what our library for ONNX does not know is still in it.
import { expect, it } from 'vitest'
import { tensor } from '../../../src/core/graph/tensor.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { editMessage, encodeField, joined } from '../../../src/core/onnx/wire.js'
import { fileOf } from '../../support/models.js'
import { tinyNetwork } from '../../support/networks.js'

const text = (words: string) => new TextEncoder().encode(words)
const contains = (file: Uint8Array, words: string) => Buffer.from(file).includes(Buffer.from(words))

/** A node with an entry of `metadata_props`, which NodeProto has from version 10 of the format on (field 9). */
const remarked = (node: Uint8Array) => {
  const entry = [
    ...encodeField('StringStringEntryProto', 'key', text('remark')),
    ...encodeField('StringStringEntryProto', 'value', text('of a node')),
  ]
  return [node, ...encodeField('NodeProto', 'metadataProps', ...entry)]
}

it('keeps the metadata of nodes', () => {
  const file = fileOf(tinyNetwork('RDM basic'))
  const graph = (bytes: Uint8Array) => editMessage(bytes, 'GraphProto', { node: remarked })
  const noted = joined(editMessage(file, 'ModelProto', { graph }))
  const model = readTrainableModel(noted)
  expect(contains(noted, 'of a node')).toBe(true)
  expect(contains(model.withState(model.state), 'of a node')).toBe(true)
  expect(contains(model.inference(model.state), 'of a node')).toBe(true)
})

it('changes the numbers that are given, and no byte besides', () => {
  const file = fileOf(tinyNetwork('RDM basic'))
  const model = readTrainableModel(file)
  expect(model.withState(model.state)).toEqual(file)
  const name = 'stem.weight'
  const { dtype, shape, data } = model.state[name]!
  const doubled = tensor(
    dtype,
    shape,
    Float64Array.from(data as Float32Array, (value) => 2 * value),
  )
  const changed = model.withState({ ...model.state, [name]: doubled })
  expect(readTrainableModel(changed).state).toEqual({ ...model.state, [name]: doubled })
  const place = (bytes: Uint8Array) => decodeModel(bytes).graph!.initializer!.findIndex((one) => one.name === name)
  expect(place(changed)).toBe(place(file))
  expect(changed.length).toBe(file.length)
})

it('leaves to the inference graph the functions that it calls, and no training', () => {
  const file = fileOf(tinyNetwork('RDM basic, stochastic depth'))
  const model = readTrainableModel(file)
  const predicts = decodeModel(model.inference(model.state))
  expect(decodeModel(file).functions.length).toBeGreaterThan(0)
  expect([predicts.trainingInfo, predicts.functions]).toEqual([[], []])
})
