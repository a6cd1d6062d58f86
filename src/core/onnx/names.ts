// The one namer: values get names when a graph is written, from their scope and operator, the same every time.

import { type DType, isInteger, type Numbers, narrow, type Tensor, widen } from '../graph/tensor.js'
import type { Node } from '../graph/value.js'
import { shortestFloat } from './tensors.js'

/** Longer numbers than these say less than a shape. */
const LONGEST_NUMBERS = 24

/** Whether an initializer is called as files of ours call their constants: who derives such a file again does not train them. */
export const isConstantName = (name: string, dtype: DType): boolean => name.startsWith(`${dtype}/`)

export class Namer {
  private readonly taken = new Set<string>()
  private readonly counts = new Map<string, number>()

  /** Keeps a name that is given from outside (an input, a parameter, an output). */
  reserve(name: string): string {
    this.taken.add(name)
    return name
  }

  /** `base`, or `base_2`, `base_3`, … when it is taken. */
  unique(base: string): string {
    let name = base
    for (let count = this.counts.get(base) ?? 2; this.taken.has(name); count++) {
      name = `${base}_${count}`
      this.counts.set(base, count + 1)
    }
    return this.reserve(name)
  }

  /**
   * A node's name: its scope (`stage1.block1.f1.conv1`) for the last node in it, which gives what the scope is named for;
   * for the others, or where that name is taken, the scope and the operator.
   */
  forNode({ scope, operator }: Node, isLast: boolean): string {
    if (isLast && scope !== '' && !this.taken.has(scope)) return this.reserve(scope)
    return this.unique(scope === '' ? operator.name : `${scope}/${operator.name}`)
  }

  /** A constant's name: its type and its numbers, `float32/0.9`, `int64/0,2,3`, or its shape, `float32/1x3x1x1`. */
  forConstant(value: Tensor | Numbers): string {
    const { dtype, shape } = value
    const short = (): string =>
      isInteger(dtype)
        ? [...narrow(value).data].join()
        : [...widen(value).data].map(dtype === 'float32' ? shortestFloat : Number).join()
    const numbers = value.data.length <= LONGEST_NUMBERS ? short() : ''
    const fits = numbers !== '' && numbers.length <= LONGEST_NUMBERS
    return this.unique(`${dtype}/${fits ? numbers : shape.join('x')}`)
  }
}
