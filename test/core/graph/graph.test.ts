// Graphs: scopes, order, evaluation, rewriting.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { ancestors, graph } from '../../../src/core/graph/graph.js'
import { rewrite } from '../../../src/core/graph/rewrite.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant, input, parameter, rootScope, scope, scoped, type Value } from '../../../src/core/graph/value.js'
import { add, exp, mul, relu } from '../../../src/core/ops/index.js'

const x = input('x', 'float32', ['n', 2])
const weight = (name: string) => parameter(name, [2], { kind: 'constant', value: 1 })
const nodeOf = ({ origin }: Value) => {
  if (origin.kind !== 'node') throw new Error(`a ${origin.kind}`)
  return origin.node
}

describe('scopes', () => {
  it('name nodes and parameters, nest, and end', () => {
    const [y, w] = scope('stage1', () => scope('block2', () => [relu(x), weight('w')] as const))
    expect(nodeOf(y).scope).toBe('stage1.block2')
    expect(w.origin.name).toBe('stage1.block2.w')
    expect(nodeOf(relu(x)).scope).toBe('')
    expect(scope('', () => scoped('w'))).toBe('w')
  })

  it('rootScope starts anew and comes back', () => {
    scope('outer', () => {
      expect(rootScope('a/b', () => scoped('w'))).toBe('a/b.w')
      expect(scoped('w')).toBe('outer.w')
    })
  })

  it('end with an error inside', () => {
    expect(() =>
      scope('outer', () => {
        throw new Error('inside')
      }),
    ).toThrow('inside')
    expect(scoped('w')).toBe('w')
  })
})

describe('graph', () => {
  it('keeps what leads to its outputs, in topological order, parameters in order of use', () => {
    const [a, b] = [weight('a'), weight('b')]
    const unused = exp(x)
    const y = add(mul(x, b), a)
    const built = graph('g', [x], { y, z: relu(y) })
    expect(built.parameters).toEqual([b, a])
    expect(built.nodes.map(({ operator }) => operator.name)).toEqual(['Mul', 'Add', 'Relu'])
    expect(built.nodes).not.toContain(nodeOf(unused))
    expect([...built.outputs.keys()]).toEqual(['y', 'z'])
  })

  it('takes outputs as a map, in its order', () => {
    const outputs = new Map<string, Value>([
      ['2', relu(x)],
      ['1', exp(x)],
    ])
    expect([...graph('g', [x], outputs).outputs.keys()]).toEqual(['2', '1'])
  })

  it('may have inputs that nothing uses, and outputs that are leaves', () => {
    const w = weight('w')
    const built = graph('g', [x, input('spare', 'float32', [])], { w })
    expect([built.inputs.length, built.nodes.length, built.parameters]).toEqual([2, 0, [w]])
  })

  it('holds a deep chain without recursion', () => {
    let y = x
    for (let i = 0; i < 20_000; i++) y = relu(y)
    expect(ancestors([y])).toHaveLength(20_000)
  })
})

describe('evaluate', () => {
  it('takes inputs and parameters by name; a value may stand in for a node', () => {
    const built = graph('g', [x], { y: add(mul(x, weight('w')), constant('float32', 0.5)) })
    const feeds = new Map([
      ['x', numbers('float32', [1, 2], [3, 4])],
      ['w', numbers('float32', [2], [10, 100])],
      ['ignored', numbers('float32', [], [1])],
    ])
    const y = evaluate(built, feeds).get('y')!
    expect([y.dtype, y.shape, [...y.data]]).toEqual(['float32', [1, 2], [30.5, 400.5]])
  })
})

describe('rewrite', () => {
  const w = weight('w')
  const source = graph('g', [x], { y: scope('a', () => relu(scope('b', () => mul(exp(x), w)))) })

  it('keeps everything when nothing is replaced', () => {
    const same = rewrite(source, () => undefined)
    expect(same.nodes).toEqual(source.nodes)
    expect(same.nodes.every((node, i) => node === source.nodes[i])).toBe(true)
    expect(same.outputs).toEqual(source.outputs)
    // A prefix alone changes nothing either: it is for nodes that are made.
    expect(rewrite(source, () => undefined, { prefix: 'train' }).nodes).toEqual(source.nodes)
  })

  it('makes anew only what comes after a replaced node, under the prefix', () => {
    const changed = rewrite(source, ({ operator }, [a, b]) => (operator.name === 'Mul' ? [add(a!, b!)] : undefined), {
      prefix: 'train',
    })
    expect(changed.nodes.map(({ operator, scope: name }) => [operator.name, name])).toEqual([
      ['Exp', 'a.b'],
      ['Add', 'train/a.b'],
      ['Relu', 'train/a'],
    ])
    expect(changed.nodes[0]).toBe(source.nodes[0])
    expect(source.nodes.map(({ operator }) => operator.name)).toEqual(['Exp', 'Mul', 'Relu'])
  })

  it('puts other leaves in place: a fixed batch is inferred anew', () => {
    const fixed = input('x', 'float32', [4, 2])
    const result = rewrite(source, () => undefined, { leaves: new Map([[x, fixed]]) })
    expect(result.inputs).toEqual([fixed])
    expect(result.outputs.get('y')!.shape).toEqual([4, 2])
    expect(result.nodes.map((node) => node.scope)).toEqual(['a.b', 'a.b', 'a'])
  })

  it('turns a parameter into an input, or an input into a constant', () => {
    const open = input('w', 'float32', [2])
    const result = rewrite(source, () => undefined, { leaves: new Map([[w, open]]), inputs: [open] })
    expect([result.inputs, result.parameters]).toEqual([[x, open], []])
    const closed = rewrite(source, () => undefined, { leaves: new Map([[x, constant('float32', [1, 2])]]) })
    expect(closed.inputs).toEqual([])
    expect(closed.outputs.get('y')!.shape).toEqual([2])
  })
})
