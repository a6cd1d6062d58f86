// Every way in which the target writes a convolution or a gradient of one, over windows, channels and batches of every
// kind: in float64 against the operator itself, and in ONNX Runtime.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { rewrite } from '../../../src/core/graph/rewrite.js'
import { input, type Value } from '../../../src/core/graph/value.js'
import { conv } from '../../../src/core/ops/index.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import { convCandidates, convInputGradCandidates } from '../../../src/driver/targets/ort-cpu/convolution.js'
import { ortCpu } from '../../../src/driver/targets/ort-cpu/index.js'
import { layoutBy } from '../../../src/driver/targets/ort-cpu/layout.js'
import { nchwc } from '../../../src/driver/targets/ort-cpu/nchwc.js'
import { convWeightGradCandidates } from '../../../src/driver/targets/ort-cpu/weightGradient.js'
import { byName, drawnFor, machineBlock } from '../../support/blocks.js'
import {
  type Convolution,
  convolutions,
  convolutionTrial,
  type TrialSizes,
  titleOf,
} from '../../support/convolutions.js'
import { expectClose, modelOf, openModel, type Tensors } from '../../support/runtime.js'

const window = (
  size: readonly [number, number],
  kernel: readonly [number, number],
  strides: readonly [number, number] = [1, 1],
  pads: readonly [number, number, number, number] = [0, 0, 0, 0],
): Convolution => ({ size, kernel, strides, pads, dilations: [1, 1], group: 1 })

/** Those of residual networks first, then what lies beside them. */
const usual: readonly Convolution[] = [
  window([4, 4], [3, 3], [1, 1], [1, 1, 1, 1]),
  window([6, 4], [3, 3], [2, 2], [1, 1, 1, 1]),
  window([4, 5], [1, 1]),
  window([4, 6], [1, 1], [2, 2]),
]
const unusual: readonly Convolution[] = [
  window([5, 7], [3, 3], [2, 2], [1, 1, 1, 1]),
  window([5, 6], [3, 3], [2, 2], [1, 1, 1, 1]),
  window([7, 7], [1, 1], [2, 2]),
  window([7, 8], [1, 1], [2, 2]),
  window([9, 6], [1, 1], [3, 3]),
  window([4, 6], [1, 1], [2, 1]),
  window([4, 4], [1, 1], [2, 2], [1, 1, 1, 1]),
  window([6, 9], [3, 3], [3, 3]),
  window([8, 8], [3, 3], [3, 3], [1, 1, 0, 0]),
  window([6, 9], [3, 3], [3, 3], [1, 1, 1, 1]),
  window([4, 5], [4, 5], [2, 1], [1, 2, 1, 2]),
  window([6, 6], [5, 5], [2, 2], [2, 2, 2, 2]),
  window([6, 8], [2, 2], [2, 2]),
  window([6, 6], [2, 2], [3, 3]),
  window([6, 5], [3, 3], [2, 2], [0, 1, 2, 0]),
  window([6, 5], [3, 3], [1, 1], [2, 0, 1, 1]),
  window([5, 5], [3, 3], [1, 1], [3, 3, 3, 3]),
  window([5, 5], [3, 3], [2, 2], [3, 0, 3, 0]),
  window([4, 5], [4, 5]),
  window([5, 6], [1, 3], [1, 2], [0, 1, 0, 1]),
  window([5, 6], [3, 1], [1, 1], [1, 0, 1, 0]),
]
/** What the ways over blocks do not take: they must leave it to others. */
const apart: readonly Convolution[] = [
  { ...window([5, 6], [3, 3], [1, 1], [2, 2, 2, 2]), dilations: [2, 2] },
  { ...window([6, 6], [3, 3], [2, 2], [2, 1, 2, 1]), dilations: [2, 1] },
  { ...window([4, 4], [3, 3], [1, 1], [1, 1, 1, 1]), group: 2 },
  { ...window([4, 6], [1, 1], [2, 2]), group: 2 },
]

/** A channel a group: its windows, then how many results of each channel. */
const depthwise: readonly (readonly [Omit<Convolution, 'group'>, number])[] = [
  [window([4, 4], [3, 3], [1, 1], [1, 1, 1, 1]), 1],
  [window([2, 2], [5, 5], [1, 1], [2, 2, 2, 2]), 1],
  [window([8, 7], [3, 3], [2, 2], [1, 1, 1, 1]), 1],
  [window([9, 8], [5, 3], [2, 3], [2, 0, 1, 1]), 1],
  [{ ...window([7, 6], [3, 3], [1, 1], [2, 2, 2, 2]), dilations: [2, 2] }, 1],
  [window([5, 6], [3, 3], [1, 1], [2, 0, 1, 1]), 1],
  [window([6, 6], [3, 3], [2, 1], [1, 1, 1, 1]), 2],
]

interface Case {
  readonly convolution: Convolution
  readonly sizes: Required<TrialSizes>
}

/** The usual windows with all channels, the others with some. */
function casesFor(block: number, others: readonly Convolution[], drawn: readonly Convolution[] = []): readonly Case[] {
  const channels: readonly (readonly [inputs: number, outputs: number])[] = [
    [block, block],
    [3, block],
    [block, 2 * block],
    [block, 12],
    [5, 2 * block],
    [2 * block, block],
    [12, block],
    [3, 4],
    // Blocks that zeros fill.
    [block + 4, 2 * block - 4],
    [2 * block, block + 8],
    [block + 8, block],
  ]
  const batches = [block, 6, 2 * block, 3, 1]
  const pick = (convolution: Convolution, i: number, batch: number): Case => {
    const [inputs, outputs] = channels[i % channels.length]!
    return { convolution, sizes: { inputs, outputs, batch } }
  }
  return [
    ...usual.flatMap((convolution) => channels.map((_, i) => pick(convolution, i, batches[i % 2]!))),
    ...others.map((convolution, i) => pick(convolution, i % 3, batches[i % 2]!)),
    ...others.map((convolution, i) => pick(convolution, 8 + (i % 3), batches[(i + 1) % 2]!)),
    ...apart.map((convolution) => pick(convolution, 0, block)),
    ...depthwise.flatMap(([convolution, outputs], i) =>
      [2 * block, 12].map((group) => ({
        convolution: { ...convolution, group },
        sizes: { inputs: 1, outputs, batch: batches[i % 4]! },
      })),
    ),
    // Some keep their groups.
    ...drawn.map((convolution, i) => pick(i % 4 ? { ...convolution, group: 1 } : convolution, i, batches[i % 5]!)),
  ]
}

const channelsOf = ({ inputs, outputs, batch }: Case['sizes']) => `${inputs} → ${outputs} channels, batch ${batch}`

/** One convolution or gradient with its feeds, by the name of the operator that it ends in. */
interface Problem {
  readonly title: string
  readonly operator: string
  readonly source: Graph
  readonly feeds: Tensors
}

/** Puts a 1×1 convolution before an input: a value that comes out of the layout of its channels. */
function behindConvolutions(source: Graph, inputs: readonly Value[]): Graph {
  const added: Value[] = []
  const leaves = new Map<Value, Value>()
  for (const value of inputs) {
    const name = 'name' in value.origin ? value.origin.name : ''
    const before = input(`${name}.before`, value.dtype, value.shape)
    const w = input(`${name}.w`, value.dtype, [value.shape[1]!, value.shape[1]!, 1, 1])
    added.push(before, w)
    leaves.set(value, conv(before, w))
  }
  return rewrite(source, () => undefined, { leaves, inputs: added })
}

type Row = readonly [operator: string, result: Value, inputs: readonly Value[], batches: readonly Value[]]

function problemsOf({ convolution, sizes }: Case, block: number, prefix = ''): readonly Problem[] {
  // Only sums over the batch depend on its size.
  const { x, w, y, dy, dx } = convolutionTrial(convolution, prefix, { ...sizes, batch: 2 })
  const whole = convolutionTrial(convolution, prefix, sizes)
  const { size: _, kernel, ...window } = convolution
  const bias = input(`${prefix}bias`, 'float32', [y.shape[1]!])
  const biased: Row[] = usual.includes(convolution) ? [['Conv', conv(x, w, { ...window, bias }), [x, w, bias], []]] : []
  const all: readonly Row[] = [
    ['Conv', y, [x, w], [x]],
    ...biased,
    ['ConvInputGrad', dx, [dy, w], [dy]],
    ['ConvWeightGrad', whole.dw, [whole.x, whole.dy], [whole.x, whole.dy]],
  ]
  return all.flatMap(([operator, result, inputs, batches]) => {
    const plain = graph('one', inputs, { result })
    const fitting = batches.filter(({ shape }) => (shape[1] as number) % block === 0)
    const sources = fitting.length > 0 ? [plain, behindConvolutions(plain, fitting)] : [plain]
    return sources.map((source) => ({
      title: `${operator} ${titleOf(convolution)} ${channelsOf(sizes)}${source === plain ? '' : ' blocked'}`,
      operator,
      source,
      feeds: byName(drawnFor(source.inputs, operator)),
    }))
  })
}

interface Written {
  readonly name: string
  readonly graph: Graph
}

/** The problem written in each way that fits; what stands before its last operator stays as it is. */
function waysOf({ source }: Problem, block: number): readonly Written[] {
  const offers: (readonly string[])[] = []
  const record = (_: string, names: readonly string[]) => {
    offers.push(names)
    return undefined
  }
  ortCpu({ block, choose: record }).lower(source)
  const last = offers.length - 1
  return offers[last]!.map((name) => {
    let call = 0
    return { name, graph: ortCpu({ block, choose: () => (call++ === last ? name : undefined) }).lower(source) }
  })
}

const resultOf = (source: Graph, feeds: Tensors) => evaluate(source, feeds).get('result')!

/** Which candidates a list of problems has tried, with operands as they come (plain) and behind convolutions (blocked). */
const allWays = (block: number): readonly string[] => {
  const layout = layoutBy(nchwc(block))
  const names = {
    Conv: convCandidates(layout),
    ConvInputGrad: convInputGradCandidates(layout),
    ConvWeightGrad: convWeightGradCandidates(layout),
  }
  return Object.entries(names).flatMap(([operator, list]) =>
    list.flatMap(({ name }) => [`${operator} ${name}`, `${operator} ${name} blocked`]),
  )
}
const wayOf = ({ operator, title }: Problem, { name }: Written) =>
  `${operator} ${name}${title.endsWith(' blocked') ? ' blocked' : ''}`

describe.each([8, 16])('blocks of %i: every way computes what the operator does', (block) => {
  const tried = new Set<string>()
  // The reference takes its time: each block has every other window.
  const some = unusual.filter((_, i) => i % 2 === Number(block === 16))
  const cases = casesFor(block, some).map(
    (one) => [`${titleOf(one.convolution)} ${channelsOf(one.sizes)}`, one] as const,
  )
  it.each(cases)('%s', (_, one) => {
    for (const problem of problemsOf(one, block)) {
      const expected = resultOf(problem.source, problem.feeds)
      for (const way of waysOf(problem, block)) {
        tried.add(wayOf(problem, way))
        expect(way.graph.nodes.filter(isPrimitive), way.name).toEqual([])
        expectClose(resultOf(way.graph, problem.feeds), expected, `${problem.title}: ${way.name}`, 1e-9)
      }
    }
  })

  it('and none was left out', () => {
    expect([...tried].sort()).toEqual([...allWays(block)].sort())
  })
})

describe.skipIf(machineBlock === undefined)('in ONNX Runtime', () => {
  const block = machineBlock ?? 8
  const drawn = convolutions.filter((_, i) => i < 3 || i % 2 === 0)
  const cases = casesFor(block, unusual, drawn)
  const tried = new Set<string>()
  const part = 40
  const parts = Array.from({ length: Math.ceil(cases.length / part) }, (_, i) => i * part)
  it.each(parts)('windows from %i, all of them in one model', async (from) => {
    const inputs: Value[] = []
    const outputs = new Map<string, Value>()
    const feeds = new Map(byName(new Map()))
    const expected = new Map<string, ReturnType<typeof resultOf>>()
    cases.slice(from, from + part).forEach((one, i) => {
      problemsOf(one, block, `${from + i}.`).forEach((problem, k) => {
        // The problems of a case share the names of their inputs: each gets its own.
        const own = new Map(
          problem.source.inputs.map((value) => [value, input(`${i}.${k}.${nameOf(value)}`, value.dtype, value.shape)]),
        )
        const source = rewrite(problem.source, () => undefined, { leaves: own })
        inputs.push(...own.values())
        for (const [value, renamed] of own) feeds.set(nameOf(renamed), problem.feeds.get(nameOf(value))!)
        const result = resultOf(problem.source, problem.feeds)
        for (const way of waysOf({ ...problem, source }, block)) {
          tried.add(wayOf(problem, way))
          const title = `${i}.${k} ${problem.title}: ${way.name}`
          outputs.set(title, way.graph.outputs.get('result')!)
          expected.set(title, result)
        }
      })
    })
    const model = await openModel(modelOf(graph('convolutions', inputs, outputs), 'inline'))
    const actual = await model.run(feeds)
    await model.close()
    for (const [title, value] of expected) expectClose(actual.get(title)!, value, title)
  })

  it('and none was left out', () => {
    expect([...tried].sort()).toEqual([...allWays(block)].sort())
  })
})

const nameOf = ({ origin }: Value): string => ('name' in origin ? origin.name : '')

describe('the choice', () => {
  const problems = problemsOf({ convolution: usual[0]!, sizes: { inputs: 8, outputs: 8, batch: 8 } }, 8)

  it('is among the ways that fit, of which the first is taken unless one is named', () => {
    for (const { source } of problems) {
      const print = (choose?: (key: string, names: readonly string[]) => string | undefined) =>
        printGraph(ortCpu({ block: 8, ...(choose ? { choose } : {}) }).lower(source))
      const usually = print()
      expect(print(() => undefined)).toBe(usually)
      expect(print(() => 'no such way')).toBe(usually)
      expect(print((_, [first]) => first)).toBe(usually)
      expect(print((_, names) => names.at(-1))).not.toBe(usually)
    }
  })

  it('is by primitive, layouts, shapes and window', () => {
    const keys = new Set<string>()
    const choose = (key: string) => {
      keys.add(key)
      return undefined
    }
    const shapes = [8, 16].flatMap((outputs) =>
      usual.flatMap((convolution) => problemsOf({ convolution, sizes: { inputs: 8, outputs, batch: 8 } }, 8)),
    )
    for (const { source } of shapes) ortCpu({ block: 8, choose }).lower(source)
    for (const key of keys) expect(key).toMatch(/^(Conv|ConvInputGrad|ConvWeightGrad) /)
    const ofConvolutions = (operator: string) => [...keys].filter((key) => key.startsWith(`${operator} `)).length
    // Four windows of two widths, behind plain and blocked operands.
    expect(ofConvolutions('ConvInputGrad')).toBe(16)
    expect(ofConvolutions('ConvWeightGrad')).toBe(16)
  })
})
