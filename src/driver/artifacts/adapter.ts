// ONNX Runtime's file of an adapter (.onnx_adapter), which its `AdapterFormat` and `LoraAdapter` read: weights by the names of the
// inputs that they are fed to. The tables are those of onnxruntime/lora/adapter_format/adapter_schema.fbs:
//
//   Adapter { format_version: int32, adapter_version: int32, model_version: int32, parameters: [Parameter] }
//   Parameter { name, dims: [int64], data_type: int32, raw_data: [uint8] (force_align: 8) }

import { Builder } from 'flatbuffers'
import { bytesOf, type Tensor } from '../../core/graph/tensor.js'
import { onnxTypes } from '../../core/ops/elementwise.js'
import { dimensions, int32, reference, references, table } from './flatTables.js'

const FORMAT_VERSION = 1
const IDENTIFIER = 'TORT'
const ALIGNMENT = 8

function parameterTable(builder: Builder, name: string, { data, dtype, shape }: Tensor): number {
  const bytes = bytesOf(data)
  // What follows aligns to 4 only; the memory is read where it lies.
  builder.prep(ALIGNMENT, bytes.length)
  const raw = builder.createByteVector(bytes)
  const dims = dimensions(builder, shape)
  const named = builder.createString(name)
  return table(builder, [reference(named), reference(dims), int32(onnxTypes[dtype]), reference(raw)])
}

/** The bytes of the file: the same for the same tensors. */
export function encodeAdapter(parameters: ReadonlyMap<string, Tensor>): Uint8Array {
  const builder = new Builder(1 << 16)
  const all = references(
    builder,
    [...parameters].map(([name, value]) => parameterTable(builder, name, value)),
  )
  builder.finish(table(builder, [int32(FORMAT_VERSION), int32(1), int32(1), reference(all)]), IDENTIFIER)
  return builder.asUint8Array()
}
