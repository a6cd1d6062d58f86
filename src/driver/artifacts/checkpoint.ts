// The checkpoint of ONNX Runtime's training API: a FlatBuffer of the parameters. The tables and the places of their fields
// are those of onnxruntime/core/flatbuffers/schema/ort_training_checkpoint.fbs and ort.fbs:
//
//   Checkpoint { version: int32, module_state: ModuleState }
//   ModuleState { requires_grad_params: [Tensor], frozen_params: [Tensor] }
//   Tensor { name, doc_string, dims: [int64], data_type: int32, raw_data: [uint8] }
//
// An optimizer's state may follow; without one its moments are zeros, which is where training starts.

import { Builder } from 'flatbuffers'
import { bytesOf, type Tensor } from '../../core/graph/tensor.js'
import { onnxTypes } from '../../core/ops/elementwise.js'

/** Of ONNX Runtime 1.19's checkpoints. */
const VERSION = 2
const IDENTIFIER = 'ODTC'
type NamedTensors = ReadonlyMap<string, Tensor>

export interface Checkpoint {
  readonly trained: NamedTensors
  readonly frozen: NamedTensors
}

/** Writes one field of a table at its place in the schema. */
type Field = (builder: Builder, place: number) => void

const reference =
  (offset: number): Field =>
  (builder, place) =>
    builder.addFieldOffset(place, offset, 0)
const int32 =
  (value: number): Field =>
  (builder, place) =>
    builder.addFieldInt32(place, value, 0)
/** A field that has the value that readers assume. */
const absent: Field = () => {}

/** A table of these fields; what they refer to is written before. */
function table(builder: Builder, fields: readonly Field[]): number {
  builder.startObject(fields.length)
  fields.forEach((field, place) => {
    field(builder, place)
  })
  return builder.endObject()
}

/** FlatBuffers are written from their end. */
function references(builder: Builder, offsets: readonly number[]): number {
  builder.startVector(4, offsets.length, 4)
  for (const offset of [...offsets].reverse()) builder.addOffset(offset)
  return builder.endVector()
}

function dimensions(builder: Builder, shape: readonly number[]): number {
  builder.startVector(8, shape.length, 8)
  for (const dim of [...shape].reverse()) builder.addInt64(BigInt(dim))
  return builder.endVector()
}

function tensorTable(builder: Builder, name: string, value: Tensor): number {
  const data = builder.createByteVector(bytesOf(value.data))
  const dims = dimensions(builder, value.shape)
  const named = builder.createString(name)
  return table(builder, [reference(named), absent, reference(dims), int32(onnxTypes[value.dtype]), reference(data)])
}

const tensorTables = (builder: Builder, values: NamedTensors): number =>
  references(
    builder,
    [...values].map(([name, value]) => tensorTable(builder, name, value)),
  )

/** The bytes of the file: the same for the same tensors. */
export function encodeCheckpoint({ trained, frozen }: Checkpoint): Uint8Array {
  const builder = new Builder(1 << 16)
  const state = table(builder, [reference(tensorTables(builder, trained)), reference(tensorTables(builder, frozen))])
  builder.finish(table(builder, [int32(VERSION), reference(state)]), IDENTIFIER)
  return builder.asUint8Array()
}
