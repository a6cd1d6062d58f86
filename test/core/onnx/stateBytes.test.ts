// A file with other weights is the same file but for their numbers: what our library for ONNX does not know is still in it.
import { expect, it } from 'vitest'
import { tensor } from '../../../src/core/graph/tensor.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { type Edit, editMessage, encodeField, joined } from '../../../src/core/onnx/wire.js'
import { fileOf } from '../../support/models.js'
import { tinyNetwork } from '../../support/networks.js'

const text = (words: string) => new TextEncoder().encode(words)
const contains = (file: Uint8Array, words: string) => Buffer.from(file).includes(Buffer.from(words))

/** A message with an entry of `metadata_props`, which many have from version 10 of the format on. */
const remarked =
  (name: 'NodeProto' | 'GraphProto' | 'TensorProto' | 'ValueInfoProto', remark: string): Edit =>
  (bytes) => {
    const entry = [
      ...encodeField('StringStringEntryProto', 'key', text('remark')),
      ...encodeField('StringStringEntryProto', 'value', text(remark)),
    ]
    return [bytes, ...encodeField(name, 'metadataProps', ...entry)]
  }

it('keeps the metadata of nodes, graphs, tensors and values, and fields of a later version of the format', () => {
  const file = fileOf(tinyNetwork('RDM basic'))
  const remarks = ['of a node', 'of a graph', 'of a tensor', 'of a value', 'of the future']
  const graph: Edit = (bytes) => {
    const inner = editMessage(bytes, 'GraphProto', {
      node: remarked('NodeProto', 'of a node'),
      initializer: remarked('TensorProto', 'of a tensor'),
      input: remarked('ValueInfoProto', 'of a value'),
    })
    // Field 90 is none of the schema: a text.
    const later = [Uint8Array.of(0xd2, 5, 13), text('of the future')]
    return remarked('GraphProto', 'of a graph')(joined([...inner, ...later]))
  }
  const noted = joined(editMessage(file, 'ModelProto', { graph }))
  const model = readTrainableModel(noted)
  for (const bytes of [noted, model.withState(model.state), model.inference(model.state)])
    expect(remarks.filter((remark) => !contains(bytes, remark))).toEqual([])
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
