// Files of versions 1 to 6 of ONNX's operators, which said much by attributes.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { onnx } from '../../support/models.js'

const { INT, INTS, FLOAT, STRING } = onnx.AttributeProto.AttributeType
type Attribute = NonNullable<ConstructorParameters<typeof onnx.AttributeProto>[0]>
const int = (name: string, i: number): Attribute => ({ name, type: INT, i })
const ints = (name: string, ...ints: number[]): Attribute => ({ name, type: INTS, ints })
const text = (name: string, value: string): Attribute => ({ name, type: STRING, s: new TextEncoder().encode(value) })

const info = (name: string, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType: 1, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})
const tensor = (name: string, dims: number[], floatData: number[]) => ({ name, dataType: 1, dims, floatData })

const places = Array.from({ length: 12 }, (_, i) => i - 6)
/** x [2, 3, 2] holds −6 to 5. */
function run(version: number, opType: string, attribute: Attribute[], ...more: ReturnType<typeof tensor>[]) {
  const model = onnx.ModelProto.fromObject({
    irVersion: 3,
    opsetImport: [{ domain: '', version }],
    graph: {
      name: 'g',
      input: [info('x', 2, 3, 2)],
      initializer: more,
      node: [{ name: 'it', opType, input: ['x', ...more.map(({ name }) => name)], output: ['y'], attribute }],
      output: [{ name: 'y' }],
    },
  })
  const x = numbers('float32', [2, 3, 2], places)
  return evaluate(readModel(model).inference, new Map([['x', x]])).get('y')!
}
const [row, column] = [(i: number) => Math.floor(i / 2) % 3, (i: number) => i % 2]

describe('the second operand', () => {
  const b = tensor('b', [3], [10, 20, 30])
  it('lies along the axis that is named', () => {
    const y = run(6, 'Add', [int('broadcast', 1), int('axis', 1)], b)
    expect([...y.data]).toEqual(places.map((x, i) => x + 10 * (row(i) + 1)))
    expect([...run(1, 'Sub', [int('broadcast', 1), int('axis', -2), ints('consumed_inputs', 0, 0)], b).data]).toEqual(
      places.map((x, i) => x - 10 * (row(i) + 1)),
    )
  })
  it('lies at the end unless one is', () => {
    const y = run(6, 'Mul', [int('broadcast', 1)], tensor('b', [2], [2, -1]))
    expect([...y.data]).toEqual(places.map((x, i) => x * [2, -1][column(i)]!))
  })
  it('is refused where it leaves the shape', () => {
    expect(() => run(6, 'Add', [int('broadcast', 1), int('axis', 3)], b)).toThrow(
      "node 'it' (Add): axis 3 leaves no place for the 1 dimensions of the second input",
    )
    expect(() => run(7, 'Add', [int('broadcast', 1)], b)).toThrow("the attribute 'broadcast' (1) is not supported")
  })
})

it('a slope for each channel', () => {
  const y = run(6, 'PRelu', [], tensor('slope', [3], [1, 2, 3]))
  expect([...y.data]).toEqual(places.map((x, i) => (x < 0 ? x * (row(i) + 1) : x)))
})

it('attributes that are inputs today, or have another name or type', () => {
  expect(run(4, 'Reshape', [ints('shape', 4, 0), ints('consumed_inputs', 0)]).shape).toEqual([4, 3])
  expect(run(5, 'Cast', [text('to', 'INT64')]).dtype).toBe('int64')
  expect(run(5, 'Cast', [text('to', 'DOUBLE')]).dtype).toBe('float64')
  expect(() => run(5, 'Cast', [text('to', 'STRING')])).toThrow("to='STRING' is no element type known here")
  expect(run(3, 'Concat', [], tensor('b', [2, 1, 2], [1, 2, 3, 4])).shape).toEqual([2, 4, 2])
  expect(run(1, 'Pad', [ints('paddings', 0, 1, 0, 0, 0, 2)]).shape).toEqual([2, 4, 4])
  expect(() => run(4, 'Concat', [], tensor('b', [2, 1, 2], [1, 2, 3, 4]))).toThrow("needs the attribute 'axis'")
})

it('usual values', () => {
  // ONNX wrote fewer digits.
  expect(run(1, 'Selu', []).data[9]).toBeCloseTo(3 * 1.0507, 12)
  expect(run(6, 'Selu', []).data[9]).toBeCloseTo(3 * 1.0507010221481323, 12)
})

it('dropout that is not said to be a test drops at random', () => {
  expect([...run(6, 'Dropout', [int('is_test', 1)]).data]).toEqual(places)
  expect(() => run(6, 'Dropout', [{ name: 'ratio', type: FLOAT, f: 0.5 }])).toThrow('is_test is not 1')
})
