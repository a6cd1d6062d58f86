// ONNX's file format, for benchmarks that make model files of their own.
export { AttributeType } from '../dist/src/core/onnx/schema.js'
export { encodeModel } from '../dist/src/core/onnx/tensors.js'
