// What detectors end with: the boxes that are kept.

import { int, ONNX_DOMAIN, type Operator, operator } from '../graph/operator.js'
import { fixed } from '../graph/sample.js'
import { unifyDims, unknownDim } from '../graph/shape.js'
import { type Numbers, numbers } from '../graph/tensor.js'
import { GraphError } from '../graph/value.js'

interface Box {
  readonly x: readonly [least: number, largest: number]
  readonly y: readonly [least: number, largest: number]
}

/** The box of four numbers: two opposite corners [y, x, y, x], or its centre and its sizes [x, y, width, height]. */
function boxOf([a, b, c, d]: readonly [number, number, number, number], isCentred: boolean): Box {
  if (isCentred) return { x: [a - c / 2, a + c / 2], y: [b - d / 2, b + d / 2] }
  return { x: [Math.min(b, d), Math.max(b, d)], y: [Math.min(a, c), Math.max(a, c)] }
}

const overlap = ([a, b]: Box['x'], [c, d]: Box['x']): number => Math.max(0, Math.min(b, d) - Math.max(a, c))
const areaOf = ({ x, y }: Box): number => (x[1] - x[0]) * (y[1] - y[0])

/** The area of the intersection by that of the union; 0 where one of them has none. */
function overlapRatio(a: Box, b: Box): number {
  const shared = overlap(a.x, b.x) * overlap(a.y, b.y)
  return shared > 0 ? shared / (areaOf(a) + areaOf(b) - shared) : 0
}

/** The boxes that are kept, best first: none that overlaps a better one by more than the threshold. */
function kept(boxes: readonly Box[], scores: ArrayLike<number>, most: number, overlapping: number, least: number) {
  const order = boxes.map((_, i) => i).filter((i) => scores[i]! > least)
  order.sort((i, j) => scores[j]! - scores[i]! || i - j)
  const found: number[] = []
  for (const i of order) {
    if (found.length >= most) break
    if (found.every((j) => overlapRatio(boxes[i]!, boxes[j]!) <= overlapping)) found.push(i)
  }
  return found
}

const attributes = { center_point_box: int(0) }
/**
 * For each image and class the boxes that overlap no better one by more than a threshold, as rows [image, class, box], at most so
 * many a class (none unless given), and only those whose score is above a threshold where one is given.
 */
export const NonMaxSuppression: Operator<typeof attributes> = operator({
  name: 'NonMaxSuppression',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes,
  arity: [2, 5],
  infer([boxes, scores, most]) {
    const [images, count, numbers] = boxes!.shape
    const [others, , places] = scores!.shape
    const fits = boxes!.shape.length === 3 && scores!.shape.length === 3
    if (
      !fits ||
      ![
        [images, others],
        [count, places],
        [numbers, 4],
      ].every(([a, b]) => unifyDims(a!, b!) !== undefined)
    )
      throw new GraphError('needs boxes [images, boxes, 4] and scores [images, classes, boxes]')
    if (most && most.dtype !== 'int64') throw new GraphError('needs how many boxes a class at most in int64')
    return [{ dtype: 'int64', shape: [unknownDim(), 3] }]
  },
  gradient: 'zero',
  evaluate([boxes, scores, most, overlapping, least], { center_point_box }) {
    const first = (value: Numbers | undefined, usual: number) => value?.data[0] ?? usual
    const [images, classes, count] = scores!.shape as [number, number, number]
    const rows: number[] = []
    for (let image = 0; image < images; image++) {
      const all = Array.from({ length: count }, (_, i) => {
        const [a, b, c, d] = boxes!.data.subarray(4 * (image * count + i))
        return boxOf([a!, b!, c!, d!], center_point_box === 1)
      })
      for (let label = 0; label < classes; label++) {
        const own = scores!.data.subarray((image * classes + label) * count)
        const threshold = first(least, Number.NEGATIVE_INFINITY)
        for (const i of kept(all, own, first(most, 0), first(overlapping, 0), threshold)) rows.push(image, label, i)
      }
    }
    return [numbers('int64', [rows.length / 3, 3], rows)]
  },
  samples: [
    {
      inputs: [
        fixed('float32', [1, 4, 4], [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11, 0, 10.1, 1, 11.1]),
        fixed('float32', [1, 2, 4], [0.9, 0.75, 0.6, 0.95, 0.1, 0.2, 0.3, 0.4]),
        fixed('int64', [1], [3]),
        fixed('float32', [1], [0.5]),
        fixed('float32', [1], [0.15]),
      ],
    },
    {
      inputs: [
        fixed('float32', [1, 3, 4], [0.5, 0.5, 1, 1, 0.5, 0.6, 1, 1, 0.5, 10.5, 1, 1]),
        fixed('float32', [1, 1, 3], [0.6, 0.9, 0.75]),
        fixed('int64', [1], [2]),
        fixed('float32', [1], [0.4]),
      ],
      attributes: { center_point_box: 1 },
    },
  ],
})
