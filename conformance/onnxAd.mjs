// What onnx-ad 0.3.0 differentiates, by its own table of rules and what it says of itself (PyPI, package onnx-ad).

const names = (text) => text.trim().split(/\s+/)

/** By a rule. */
const rules = names(`
  Abs Acos Acosh Add Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Celu Clip Col2Im Compress Concat Conv
  ConvTranspose Cos Cosh CumProd CumSum DFT DepthToSpace DequantizeLinear Div Dropout Einsum Elu Erf Exp Expand Flatten Gather
  GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool HardSigmoid HardSwish Identity If
  InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool MaxUnpool Mean
  Min Mish Mod Mul Neg PRelu Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
  ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Scan Scatter ScatterElements ScatterND Selu Shrink
  Sigmoid Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK
  Transpose Trilu Unique Unsqueeze Upsample Where
`)

/** Through the body that ONNX's specification gives. */
const bodies = names(`
  AffineGrid Attention CausalConvWithState CenterCropPad GroupNormalization LinearAttention MeanVarianceNormalization
  NegativeLogLikelihoodLoss RMSNormalization ReduceLogSum RotaryEmbedding SoftmaxCrossEntropyLoss Swish
`)

/** Written out first. */
const lowered = names(`
  DeformConv GRU GridSample LRN LSTM RNN STFT TensorScatter
`)

/** Of zero derivative. */
const zero = names(`
  And ArgMax ArgMin Bernoulli BitCast BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil ConstantOfShape Det Equal EyeLike Floor
  Greater GreaterOrEqual Hardmax IsFinite IsInf IsNaN Less LessOrEqual Multinomial NonMaxSuppression NonZero Not OneHot Or
  QuantizeLinear RandomNormalLike RandomUniformLike Round Shape Sign Size Xor
`)

const said = new Map([
  ...rules.map((name) => [name, 'rule']),
  ...bodies.map((name) => [name, 'body']),
  ...lowered.map((name) => [name, 'written out']),
  ...zero.map((name) => [name, 'zero']),
])
/** How it differentiates an operator; empty where it does not. */
export const inOnnxAd = (name) => said.get(name) ?? ''
/** The operators that a gradient goes through. */
export const differentiable = [...rules, ...bodies, ...lowered]
