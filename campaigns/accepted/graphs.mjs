// Networks that are valid, each extreme in one way: [batch, 3] → [batch, 2], so that each of them could train on the same table.

import { flag, floats, ints, modelOf, node, types, value } from '../support/graphs.mjs'

const weights = floats('w', [3, 2], [0.1, -0.2, 0.3, 0.4, -0.5, 0.6])
const input = value('x', types.float, ['batch', 3])
const output = value('y', types.float, ['batch', 2])

/** y = x·w, and what the nodes make of it under the name of `from`. */
const network = (nodes, initializer = [], more = {}, from = 'h') =>
  modelOf({
    input: [input],
    output: [output],
    initializer: [weights, ...initializer],
    node: [node('MatMul', ['x', 'w'], [from]), ...nodes],
    ...more,
  })

const scalar = (name, type) => value(name, type, [])
/** A loop over h, so many times or for as long as its condition holds. */
function loop(count, condition, body) {
  const graph = {
    name: 'body',
    input: [scalar('i', types.int64), scalar('more', types.bool), value('before', types.float, ['batch', 2])],
    output: [scalar('still', types.bool), value('after', types.float, ['batch', 2])],
    node: [node('Identity', ['more'], ['still']), ...body],
  }
  const given = count === undefined ? '' : 'count'
  return network(
    [node('Loop', [given, 'go', 'h'], ['y'], [{ name: 'body', type: 5, g: graph }])],
    [flag('go', condition), ...(count === undefined ? [] : [ints('count', [count], [])])],
  )
}
const twice = [node('Tanh', ['before'], ['after'])]

/** A sum over something huge that is added to h. */
const beside = (nodes, initializer) =>
  network(
    [
      ...nodes,
      node('ReduceSum', ['huge'], ['sum'], [{ name: 'keepdims', type: 2, i: 0 }]),
      node('Add', ['h', 'sum'], ['y']),
    ],
    initializer,
  )

/** A hundred thousand millions of numbers: 400 GB. */
const enormous = 1e11

function chain(length) {
  const names = Array.from({ length: length + 1 }, (_, i) => (i === 0 ? 'h' : i === length ? 'y' : `h${i}`))
  return network(names.slice(1).map((name, i) => node('Tanh', [names[i]], [name])))
}

function nested(depth) {
  let graph = { name: 'leaf', output: [value('r0')], node: [node('Tanh', ['h'], ['r0'])] }
  for (let i = 1; i <= depth; i++) {
    const branches = ['then_branch', 'else_branch'].map((name) => ({ name, type: 5, g: graph }))
    graph = { name: `level ${i}`, output: [value(`r${i}`)], node: [node('If', ['go'], [`r${i}`], branches)] }
    // The same inner graph twice would double at every level.
    branches[1].g = { name: 'other', output: [value('o')], node: [node('Neg', ['h'], ['o'])] }
  }
  return network([...graph.node, node('Identity', [`r${depth}`], ['y'])], [flag('go', true)])
}

const convolution = (attributes) =>
  network(
    [
      node('Reshape', ['h', 'image'], ['p']),
      node('Conv', ['p', 'k'], ['q'], attributes),
      node('ReduceMean', ['q'], ['m'], [{ name: 'keepdims', type: 2, i: 0 }]),
      node('Add', ['h', 'm'], ['y']),
    ],
    [ints('image', [-1, 1, 1, 2]), floats('k', [1, 1, 1, 1], [1])],
  )
const list = (name, numbers) => ({ name, type: 7, ints: numbers })

/** Name → bytes. */
export const extremes = () => ({
  'a loop that never ends': loop(undefined, true, twice),
  'a loop of 10^15 iterations': loop(1e15, true, twice),
  'a loop of no iteration': loop(0, true, twice),
  'a loop that ends at once': loop(5, false, twice),
  'a loop of 1,000 iterations': loop(1000, true, twice),
  'Expand to 10^11 numbers': beside(
    [node('Expand', ['one', 'sizes'], ['huge'])],
    [floats('one', [1], [1]), ints('sizes', [enormous])],
  ),
  'Expand to 2^62 numbers': beside(
    [node('Expand', ['one', 'sizes'], ['huge'])],
    [floats('one', [1], [1]), ints('sizes', [2 ** 31, 2 ** 31])],
  ),
  'Tile to 10^11 numbers': beside(
    [node('Tile', ['one', 'sizes'], ['huge'])],
    [floats('one', [1], [1]), ints('sizes', [enormous])],
  ),
  'ConstantOfShape of 10^11 numbers': beside(
    [node('ConstantOfShape', ['sizes'], ['huge'])],
    [ints('sizes', [enormous])],
  ),
  'Range to 10^11': beside(
    [
      node('Range', ['from', 'to', 'by'], ['whole']),
      node('Cast', ['whole'], ['huge'], [{ name: 'to', type: 2, i: 1 }]),
    ],
    [ints('from', [0], []), ints('to', [enormous], []), ints('by', [1], [])],
  ),
  'Expand by what an input says': beside(
    [
      node('ReduceMax', ['x'], ['most'], [{ name: 'keepdims', type: 2, i: 0 }]),
      node('Mul', ['most', 'by'], ['scaled']),
      node('Cast', ['scaled'], ['size'], [{ name: 'to', type: 2, i: 7 }]),
      node('Reshape', ['size', 'row'], ['sizes']),
      node('Expand', ['one', 'sizes'], ['huge']),
    ],
    [floats('one', [1], [1]), floats('by', [], [enormous]), ints('row', [1])],
  ),
  'a chain of 300 nodes': chain(300),
  'a chain of 5,000 nodes': chain(5000),
  'branches 20 deep': nested(20),
  'branches 90 deep': nested(90),
  '1,000 more outputs': network(
    [node('Identity', ['h'], ['y']), ...Array.from({ length: 1000 }, (_, i) => node('Abs', ['h'], [`o${i}`]))],
    [],
    {
      output: [output, ...Array.from({ length: 1000 }, (_, i) => value(`o${i}`, types.float, ['batch', 2]))],
    },
  ),
  'a weight of no numbers': network(
    [node('Concat', ['h', 'none'], ['y'], [{ name: 'axis', type: 2, i: 0 }])],
    [floats('none', [0, 2], [])],
  ),
  'a declared input of 10^12 numbers': network([node('Identity', ['h'], ['y'])], [], {
    input: [input, value('z', types.float, [1e6, 1e6])],
  }),
  'an output that is said to be of another size': network([node('Identity', ['h'], ['y'])], [], {
    output: [value('y', types.float, ['batch', 2 ** 40])],
  }),
  'a padding of 2^40': convolution([list('pads', [0, 2 ** 40, 0, 2 ** 40])]),
  'a padding of 10^9': convolution([list('pads', [0, 1e9, 0, 1e9])]),
  'a stride of 2^60': convolution([list('strides', [1, 2 ** 60])]),
  'a dilation of 2^62': convolution([list('dilations', [1, 2 ** 62])]),
  'strides of 0': convolution([list('strides', [0, 0])]),
  'groups of 0': convolution([{ name: 'group', type: 2, i: 0 }]),
  'an axis of 2^40': network([node('Softmax', ['h'], ['y'], [{ name: 'axis', type: 2, i: 2 ** 40 }])]),
  'an attribute of a million numbers': network([
    node('Constant', [], ['c'], [list('value_ints', Array(1e6).fill(1))]),
    node('Identity', ['h'], ['y']),
  ]),
  'the least whole number by -1': network(
    [
      node('Shape', ['x'], ['shape']),
      node('Mul', ['shape', 'zero'], ['zeros']),
      node('Add', ['zeros', 'least'], ['a']),
      node('Sub', ['zeros', 'one'], ['b']),
      node('Div', ['a', 'b'], ['c']),
      node('Cast', ['c'], ['d'], [{ name: 'to', type: 2, i: 1 }]),
      node('ReduceMin', ['d'], ['e'], [{ name: 'keepdims', type: 2, i: 0 }]),
      node('Add', ['h', 'e'], ['y']),
    ],
    [ints('zero', [0]), ints('least', [-(2n ** 63n)]), ints('one', [1])],
  ),
  'a Reshape to other sizes': network([node('Reshape', ['h', 'to'], ['y'])], [ints('to', [7, -1])]),
  'a Gather far outside': network(
    [node('Gather', ['h', 'at'], ['g'], [{ name: 'axis', type: 2, i: 1 }]), node('Add', ['h', 'g'], ['y'])],
    [ints('at', [2 ** 40])],
  ),
  'weights of NaN': network(
    [node('Add', ['h', 'nan'], ['y'])],
    [floats('nan', [2], [Number.NaN, Number.POSITIVE_INFINITY])],
  ),
})
