// The optimizer model of ONNX Runtime's training API: one node, which changes all parameters in place. Its inputs are
// sequences of tensors, which our graphs do not have, so the model is written as it is. The API expects these inputs by
// name (onnxruntime/training/onnxblock/optim in the Python package).

import { tensor } from '../../core/graph/tensor.js'
import { optimizerDoc } from '../../core/model/docs.js'
import { irVersion, OPSET, OTHER_VERSION } from '../../core/onnx/opsets.js'
import { type AttributeProto, AttributeType, type ModelProto, type ValueInfoProto } from '../../core/onnx/schema.js'
import { tensorToProto } from '../../core/onnx/tensors.js'
import { producer } from '../../core/onnx/write.js'
import { onnxTypes } from '../../core/ops/elementwise.js'

export const optimizerNames = ['adamw', 'sgd'] as const
/** `adamw`: Loshchilov and Hutter 2019. `sgd`: w ← w − rate·gradient, without momentum or weight decay. */
export type OptimizerName = (typeof optimizerNames)[number]

export interface OptimizerOptions {
  readonly optimizer: OptimizerName
  /** Of `adamw`; 0.01 unless given, as in PyTorch. `sgd` has none. */
  readonly weightDecay?: number
  /** Fixed in the model, whatever the API says; without it the API's rate, 0.001 until it is set. */
  readonly learningRate?: number
}

const tensorInfo = (name: string, elemType: number, ...dims: number[]): ValueInfoProto => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})
const sequenceInfo = (name: string): ValueInfoProto => ({
  name,
  type: { sequenceType: { elemType: { tensorType: { elemType: onnxTypes.float32 } } } },
})
const float = (name: string, f: number): AttributeProto => ({ name, type: AttributeType.FLOAT, f })
const int = (name: string, i: number): AttributeProto => ({ name, type: AttributeType.INT, i })

/** AdamW's constants; mode 0 decays the weight before the step, as PyTorch does: w ← w·(1 − rate·decay) − rate·m̂/(√v̂ + ε). */
const adamw = (weightDecay: number): AttributeProto[] => [
  float('alpha', 0.9),
  float('beta', 0.999),
  float('epsilon', 1e-8),
  float('weight_decay', weightDecay),
  int('adam_mode', 0),
  int('correct_bias', 1),
]

/**
 * `adamw` reads two moments of the gradients. The API hands one to `sgd` too, which does not read it; nor does the model read
 * the API's learning rate when it has its own.
 */
export function optimizerModel({ optimizer, weightDecay = 0.01, learningRate }: OptimizerOptions): ModelProto {
  const moments = { adamw: ['first_order_moments', 'second_order_moments'], sgd: ['first_order_moments'] }[optimizer]
  const held = ['params', 'gradients', ...moments]
  const rate = learningRate === undefined ? 'learning_rate' : 'fixed_learning_rate'
  const update = {
    adamw: { opType: 'AdamWOptimizer', input: [rate, 'step', ...held], attribute: adamw(weightDecay) },
    sgd: { opType: 'SGDOptimizerV2', input: [rate, 'params', 'gradients'] },
  }[optimizer]
  const initializer = [tensorToProto('flag_shape', tensor('int64', [1], [1]))]
  if (learningRate !== undefined) initializer.push(tensorToProto(rate, tensor('float32', [1], [learningRate])))
  return {
    irVersion: irVersion(OPSET, false),
    ...producer,
    docString: optimizerDoc(optimizer),
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'com.microsoft', version: OTHER_VERSION },
    ],
    graph: {
      name: optimizer,
      input: [
        tensorInfo('learning_rate', onnxTypes.float32, 1),
        tensorInfo('step', onnxTypes.int64, 1),
        ...held.map(sequenceInfo),
      ],
      output: [tensorInfo('updated', onnxTypes.bool, 1)],
      initializer,
      node: [
        { name: 'update', domain: 'com.microsoft', output: ['flag'], ...update },
        // The flag of SGDOptimizerV2 is a vector of one, of which ONNX Runtime thinks that it is a scalar. Were it the
        // output itself, the web build would not load a model that says the one, and all would warn where it says the other.
        { name: 'reshape', opType: 'Reshape', input: ['flag', 'flag_shape'], output: ['updated'] },
      ],
    },
  }
}
