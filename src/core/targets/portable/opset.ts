// The portable target for a version of ONNX's operators.

import { OPSET } from '../../onnx/opsets.js'
import type { Expander, Target } from '../target.js'
import { levels, type PortableLevel } from './basic.js'
import { maxPoolApart } from './maxPool.js'

/** Before opset 16 no scatter adds: a Loop would stand for it, which ONNX Runtime 1.6 does not survive. */
export function targetAt(level: PortableLevel, opset = OPSET): Target & Expander {
  const target = levels[level]
  return opset < 16 ? { ...target, expansions: { MaxPoolScatter: maxPoolApart, ...target.expansions } } : target
}
