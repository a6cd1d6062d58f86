// Shared loops of the reference evaluations.

import { broadcastShapes, sizeOf } from '../graph/shape.js'
import { type DType, type Numbers, numbers } from '../graph/tensor.js'
import { GraphError } from '../graph/value.js'

/** The whole multi-index behind a row-major position, last axis fastest. */
export function* indices(shape: readonly number[]): Generator<readonly number[]> {
  const size = Number(sizeOf(shape))
  const index = new Array<number>(shape.length).fill(0)
  for (let i = 0; i < size; i++) {
    yield index
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1
      if (index[axis]! < shape[axis]!) break
      index[axis] = 0
    }
  }
}

/** Row-major position of a multi-index; axes of size 1 are held at 0, leading axes that `shape` lacks are skipped. */
export function positionOf(index: readonly number[], shape: readonly number[]): number {
  const offset = index.length - shape.length
  let position = 0
  for (let axis = 0; axis < shape.length; axis++) {
    position = position * shape[axis]! + (shape[axis] === 1 ? 0 : index[axis + offset]!)
  }
  return position
}

/** f over broadcast operands. */
export function broadcastMap(
  dtype: DType,
  operands: readonly Numbers[],
  f: (...values: readonly number[]) => number,
): Numbers {
  const shape = broadcastShapes(...operands.map((operand) => operand.shape)) as readonly number[] | undefined
  // Of symbols only the numbers show it.
  if (!shape) throw new GraphError(`${operands.map((operand) => `[${operand.shape}]`).join(' and ')} do not broadcast`)
  const data = new Float64Array(Number(sizeOf(shape)))
  let i = 0
  for (const index of indices(shape)) {
    data[i++] = f(...operands.map((operand) => operand.data[positionOf(index, operand.shape)]!))
  }
  return numbers(dtype, shape, data)
}

/** Each output element is the element of x that `source` names by its multi-index, or `fill` where it names none. */
export function select(
  x: Numbers,
  shape: readonly number[],
  source: (index: readonly number[]) => readonly number[] | undefined,
  fill = 0,
): Numbers {
  const data = new Float64Array(Number(sizeOf(shape)))
  let i = 0
  for (const index of indices(shape)) {
    const from = source(index)
    data[i++] = from ? x.data[positionOf(from, x.shape)]! : fill
  }
  return numbers(x.dtype, shape, data)
}

/** Folds x over the given axes, which stay with size 1. */
export function fold(
  x: Numbers,
  axes: readonly number[],
  start: number,
  step: (accumulated: number, value: number) => number,
): Numbers {
  const shape = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
  const data = new Float64Array(Number(sizeOf(shape))).fill(start)
  let i = 0
  for (const index of indices(x.shape)) {
    const at = positionOf(index, shape)
    data[at] = step(data[at]!, x.data[i++]!)
  }
  return numbers(x.dtype, shape, data)
}

export const map = (x: Numbers, f: (value: number) => number, dtype: DType = x.dtype): Numbers =>
  numbers(dtype, x.shape, x.data.map(f))

export const reshaped = (x: Numbers, shape: readonly number[]): Numbers => numbers(x.dtype, shape, x.data)

/** The lines of x along an axis: the position of the first number of each, and how far apart its numbers are. */
export function lines({ shape }: Numbers, axis: number): { starts: readonly number[]; step: number; length: number } {
  const step = Number(sizeOf(shape.slice(axis + 1)))
  const length = shape[axis]!
  const count = Number(sizeOf(shape.slice(0, axis))) * step
  const starts = Array.from({ length: count }, (_, i) => Math.floor(i / step) * length * step + (i % step))
  return { starts, step, length }
}
