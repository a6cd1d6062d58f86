// ONNX's file format: the messages of onnx.proto as it stands in onnx 1.23 (version 14 of the format), each field with its number.

/**
 * Fields by message. A type is a scalar of protobuf or a message; `[]` repeats it, each value with a tag of its own as proto2
 * has it, and `packed` numbers share one. Enumerations are int32.
 */
export const messages = {
  ModelProto: {
    irVersion: [1, 'int64'],
    producerName: [2, 'string'],
    producerVersion: [3, 'string'],
    domain: [4, 'string'],
    modelVersion: [5, 'int64'],
    docString: [6, 'string'],
    graph: [7, 'GraphProto'],
    opsetImport: [8, 'OperatorSetIdProto[]'],
    metadataProps: [14, 'StringStringEntryProto[]'],
    trainingInfo: [20, 'TrainingInfoProto[]'],
    functions: [25, 'FunctionProto[]'],
    configuration: [26, 'DeviceConfigurationProto[]'],
  },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
  TrainingInfoProto: {
    initialization: [1, 'GraphProto'],
    algorithm: [2, 'GraphProto'],
    initializationBinding: [3, 'StringStringEntryProto[]'],
    updateBinding: [4, 'StringStringEntryProto[]'],
  },
  FunctionProto: {
    name: [1, 'string'],
    input: [4, 'string[]'],
    output: [5, 'string[]'],
    attribute: [6, 'string[]'],
    node: [7, 'NodeProto[]'],
    docString: [8, 'string'],
    opsetImport: [9, 'OperatorSetIdProto[]'],
    domain: [10, 'string'],
    attributeProto: [11, 'AttributeProto[]'],
    valueInfo: [12, 'ValueInfoProto[]'],
    overload: [13, 'string'],
    metadataProps: [14, 'StringStringEntryProto[]'],
  },
  GraphProto: {
    node: [1, 'NodeProto[]'],
    name: [2, 'string'],
    initializer: [5, 'TensorProto[]'],
    docString: [10, 'string'],
    input: [11, 'ValueInfoProto[]'],
    output: [12, 'ValueInfoProto[]'],
    valueInfo: [13, 'ValueInfoProto[]'],
    quantizationAnnotation: [14, 'TensorAnnotation[]'],
    sparseInitializer: [15, 'SparseTensorProto[]'],
    metadataProps: [16, 'StringStringEntryProto[]'],
  },
  NodeProto: {
    input: [1, 'string[]'],
    output: [2, 'string[]'],
    name: [3, 'string'],
    opType: [4, 'string'],
    attribute: [5, 'AttributeProto[]'],
    docString: [6, 'string'],
    domain: [7, 'string'],
    overload: [8, 'string'],
    metadataProps: [9, 'StringStringEntryProto[]'],
    deviceConfigurations: [10, 'NodeDeviceConfigurationProto[]'],
  },
  AttributeProto: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'TensorProto'],
    g: [6, 'GraphProto'],
    floats: [7, 'float[]'],
    ints: [8, 'int64[]'],
    strings: [9, 'bytes[]'],
    tensors: [10, 'TensorProto[]'],
    graphs: [11, 'GraphProto[]'],
    docString: [13, 'string'],
    tp: [14, 'TypeProto'],
    typeProtos: [15, 'TypeProto[]'],
    type: [20, 'int32'],
    refAttrName: [21, 'string'],
    sparseTensor: [22, 'SparseTensorProto'],
    sparseTensors: [23, 'SparseTensorProto[]'],
  },
  TensorProto: {
    dims: [1, 'int64[]'],
    dataType: [2, 'int32'],
    segment: [3, 'TensorSegment'],
    floatData: [4, 'packed float'],
    int32Data: [5, 'packed int32'],
    stringData: [6, 'bytes[]'],
    int64Data: [7, 'packed int64'],
    name: [8, 'string'],
    rawData: [9, 'bytes'],
    doubleData: [10, 'packed double'],
    uint64Data: [11, 'packed uint64'],
    docString: [12, 'string'],
    externalData: [13, 'StringStringEntryProto[]'],
    dataLocation: [14, 'int32'],
    metadataProps: [16, 'StringStringEntryProto[]'],
  },
  TensorSegment: { begin: [1, 'int64'], end: [2, 'int64'] },
  SparseTensorProto: { values: [1, 'TensorProto'], indices: [2, 'TensorProto'], dims: [3, 'int64[]'] },
  TensorAnnotation: {
    tensorName: [1, 'string'],
    quantParameterTensorNames: [2, 'StringStringEntryProto[]'],
  },
  ValueInfoProto: {
    name: [1, 'string'],
    type: [2, 'TypeProto'],
    docString: [3, 'string'],
    metadataProps: [4, 'StringStringEntryProto[]'],
  },
  TypeProto: {
    tensorType: [1, 'TensorType'],
    sequenceType: [4, 'SequenceType'],
    mapType: [5, 'MapType'],
    denotation: [6, 'string'],
    opaqueType: [7, 'OpaqueType'],
    sparseTensorType: [8, 'TensorType'],
    optionalType: [9, 'SequenceType'],
  },
  /** Of dense and of sparse tensors. */
  TensorType: { elemType: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  /** A type of several values of one, or of one that may be missing. */
  SequenceType: { elemType: [1, 'TypeProto'] },
  MapType: { keyType: [1, 'int32'], valueType: [2, 'TypeProto'] },
  OpaqueType: { domain: [1, 'string'], name: [2, 'string'] },
  TensorShapeProto: { dim: [1, 'Dimension[]'] },
  Dimension: { dimValue: [1, 'int64'], dimParam: [2, 'string'], denotation: [3, 'string'] },
  DeviceConfigurationProto: { name: [1, 'string'], numDevices: [2, 'int32'], device: [3, 'string[]'] },
  NodeDeviceConfigurationProto: {
    configurationId: [1, 'string'],
    shardingSpec: [2, 'ShardingSpecProto[]'],
    pipelineStage: [3, 'int32'],
  },
  ShardingSpecProto: {
    tensorName: [1, 'string'],
    device: [2, 'int64[]'],
    indexToDeviceGroupMap: [3, 'IntIntListEntryProto[]'],
    shardedDim: [4, 'ShardedDimProto[]'],
  },
  IntIntListEntryProto: { key: [1, 'int64'], value: [2, 'int64[]'] },
  ShardedDimProto: { axis: [1, 'int64'], simpleSharding: [2, 'SimpleShardedDimProto[]'] },
  SimpleShardedDimProto: { dimValue: [1, 'int64'], dimParam: [2, 'string'], numShards: [3, 'int64'] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly [number: number, type: string]>>>>

type Messages = typeof messages
export type MessageName = keyof Messages

/** A whole number of 64 bits: a bigint where a number would round it. */
export type Integer = number | bigint

interface Scalars {
  readonly int32: number
  readonly int64: Integer
  readonly uint64: Integer
  readonly float: number
  readonly double: number
  readonly string: string
  readonly bytes: Uint8Array
}
export type ScalarName = keyof Scalars

type One<Type> = Type extends ScalarName ? Scalars[Type] : Type extends MessageName ? Message<Type> : never
type FieldValue<Type> = Type extends `packed ${infer Each}`
  ? ArrayLike<One<Each>>
  : Type extends `${infer Each}[]`
    ? One<Each>[]
    : One<Type>

/** A message to be written: fields that are missing or null are left out. */
export type Message<M extends MessageName> = {
  -readonly [Field in keyof Messages[M]]?:
    | (Messages[M][Field] extends readonly [number, infer Type] ? FieldValue<Type> : never)
    | null
    | undefined
}
/** A message as it is read: lists that a file leaves out are empty. */
export type Decoded<M extends MessageName> = {
  -readonly [Field in keyof Messages[M]]: Messages[M][Field] extends readonly [number, infer Type]
    ? Type extends `${string}[]`
      ? FieldValue<Type>
      : FieldValue<Type> | null | undefined
    : never
}

export type ModelProto = Message<'ModelProto'>
export type TrainingInfoProto = Message<'TrainingInfoProto'>
export type FunctionProto = Message<'FunctionProto'>
export type GraphProto = Message<'GraphProto'>
export type NodeProto = Message<'NodeProto'>
export type AttributeProto = Message<'AttributeProto'>
export type TensorProto = Message<'TensorProto'>
export type SparseTensorProto = Message<'SparseTensorProto'>
export type ValueInfoProto = Message<'ValueInfoProto'>
export type TypeProto = Message<'TypeProto'>
export type OperatorSetIdProto = Message<'OperatorSetIdProto'>
export type StringStringEntryProto = Message<'StringStringEntryProto'>

/** AttributeProto.AttributeType */
export const AttributeType = {
  UNDEFINED: 0,
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  TENSORS: 9,
  GRAPHS: 10,
  SPARSE_TENSOR: 11,
  SPARSE_TENSORS: 12,
  TYPE_PROTO: 13,
  TYPE_PROTOS: 14,
} as const

/** TensorProto.DataLocation */
export const DataLocation = { DEFAULT: 0, EXTERNAL: 1 } as const
