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
import { absent, dimensions, int32, reference, references, table } from './flatTables.js'

/** Of ONNX Runtime 1.19's checkpoints. */
const VERSION = 2
const IDENTIFIER = 'ODTC'
type NamedTensors = ReadonlyMap<string, Tensor>

export interface Checkpoint {
  readonly trained: NamedTensors
  readonly frozen: NamedTensors
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
