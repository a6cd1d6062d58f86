// Packs: state tensors of one shape that are updated alike, stacked along their first axis. A thousand little updates become
// some dozens of nodes, and a loop carries some dozens of tensors.
//
// Only tensors of one shape share a pack. Where the parts differ in length, the CUDA provider's Concat and Split first fill a
// table on the host, an entry for each place along the axis: all weights of RDM-56 in one vector cost 2.8 ms a Concat and
// 4.7 ms a Split (H200), most of the step.

import { ancestors, type Graph, graph } from '../../../core/graph/graph.js'
import { rewriteOutputs } from '../../../core/graph/rewrite.js'
import { isStatic, type Shape } from '../../../core/graph/shape.js'
import { keyOf } from '../../../core/graph/tensor.js'
import { apply, input, type Node, nameOf, nodeOf, rootScope, type Value } from '../../../core/graph/value.js'
import { Cast, cast, concat, Reshape, reshape, split } from '../../../core/ops/index.js'

/** A state tensor of the step: an input, and the output that replaces it. */
interface Member {
  readonly name: string
  readonly value: Value
  readonly output: string
}

export interface Pack {
  readonly name: string
  /** Of one shape and dtype. */
  readonly members: readonly Member[]
}

/** A step whose carried state is in packs: each an input of its name, and an output `NAME.next`. */
export interface PackedStep {
  readonly graph: Graph
  readonly packs: readonly Pack[]
}

const indexOf = ({ origin }: Value): number => (origin.kind === 'node' ? origin.index : 0)
const isScalar = ({ shape }: Value): boolean => shape.length === 0

/** The members as one tensor, outside the step. */
export const packed = ({ members }: Pack): Value => stacked(members.map(({ value }) => value))

/** The members out of one tensor, by the names of the outputs that they are. */
export function unpacked({ members }: Pack, whole: Value): Map<string, Value> {
  const parts =
    members.length === 1
      ? [whole]
      : split(
          whole,
          members.map(({ value }) => value.shape[0] as number),
        )
  return new Map(members.map(({ output }, i) => [output, parts[i]!]))
}

/** The shape of so many tensors of one shape, stacked along their first axis; a single one keeps its own. */
const stackedShape = (shape: Shape, count: number): Shape =>
  count === 1 ? shape : [(shape[0] as number) * count, ...shape.slice(1)]

/** Stacks values of one shape; where all of them are views of values of another shape, those are stacked and viewed once. */
function stacked(values: readonly Value[]): Value {
  if (values.length === 1) return values[0]!
  const sources = values.map(viewed)
  const alike = sources.every(({ shape }) => shape.length > 0 && String(shape) === String(sources[0]!.shape))
  if (!alike) return concat(values, 0)
  const shape = stackedShape(values[0]!.shape, values.length)
  const whole = concat(sources, 0)
  return String(whole.shape) === String(shape) ? whole : reshape(whole, shape as readonly number[])
}

const viewed = (value: Value): Value => {
  const node = nodeOf(value)
  return node?.operator === Reshape ? viewed(node.inputs[0]!) : value
}

/**
 * Packs the carried state of a step.
 * @param carried output name → the input that it replaces
 * @param most members that a pack may have
 */
export function packState(
  source: Graph,
  carried: Readonly<Record<string, string>>,
  most = Number.POSITIVE_INFINITY,
): PackedStep {
  const inputs = new Map(source.inputs.map((value) => [nameOf(value), value]))
  const states = Object.entries(carried).map(([output, name]): Member => ({ name, value: inputs.get(name)!, output }))
  const patterns = new Patterns(source)
  const groups = new Map<string, Member[]>()
  for (const state of states) {
    const next = source.outputs.get(state.output)!
    const { dtype, shape } = state.value
    const alone = shape.length === 0 || !isStatic(shape) ? state.name : ''
    const key = JSON.stringify([dtype, shape, alone, patterns.of(next)])
    groups.set(key, [...(groups.get(key) ?? []), state])
  }
  const replaced = new Set(Object.values(carried))
  const names = new Set([...inputs.keys()].filter((name) => !replaced.has(name)))
  const packs = [...groups.values()]
    .flatMap((members) => inParts(members, most))
    .map((members): Pack => {
      const base = roleOf(members[0]!)
      let name = base
      for (let i = 2; names.has(name); i++) name = `${base}${i}`
      names.add(name)
      return { name, members }
    })
  return { packs, graph: rootScope('', () => repack(source, packs)) }
}

/** As few parts as it takes for none to be larger than `most`, all of nearly one size. */
function inParts<T>(list: readonly T[], most: number): readonly (readonly T[])[] {
  const parts = Math.max(1, Math.ceil(list.length / most))
  const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.round((i * list.length) / parts))
  return bounds.slice(1).map((end, i) => list.slice(bounds[i], end))
}

/** What a state tensor is, by the end of its name: `weight`, `momentum`, `running_mean`. */
const roleOf = ({ name }: Member): string => name.slice(name.lastIndexOf('.') + 1)

function repack(source: Graph, packs: readonly Pack[]): Graph {
  const vectors = packs.map(({ name, members }) =>
    input(name, members[0]!.value.dtype, stackedShape(members[0]!.value.shape, members.length)),
  )
  const leaves = new Map<Value, Value>()
  /** Half precision of members, cast as one vector. */
  const halves = new Map<Value, () => Value>()
  packs.forEach((pack, i) => {
    const parts = [...unpacked(pack, vectors[i]!).values()]
    let half: Value[] | undefined
    const halfOf = (member: number) => {
      half ??= [...unpacked(pack, cast(vectors[i]!, 'float16')).values()]
      return half[member]!
    }
    pack.members.forEach(({ value }, member) => {
      leaves.set(value, parts[member]!)
      halves.set(parts[member]!, () => halfOf(member))
    })
  })
  const outputs = rewriteOutputs(
    source,
    (node, [x]) => {
      const half = node.operator === Cast && node.outputs[0]!.dtype === 'float16' ? halves.get(x!) : undefined
      return half && [half()]
    },
    { leaves },
  )
  const names = new Set(packs.flatMap(({ members }) => members.map(({ output }) => output)))
  const others = [...outputs].filter(([name]) => !names.has(name))
  const members = new Set(packs.flatMap((pack) => pack.members.map(({ value }) => value)))
  const merger = new Merger({ nodes: ancestors(outputs.values()), outputs })
  packs.forEach((pack, i) => {
    merger.know(
      pack.members.map(({ value }) => leaves.get(value)!),
      vectors[i]!,
    )
  })
  const next = packs.map((pack): [string, Value] => [
    `${pack.name}.next`,
    merger.vectorOf(pack.members.map(({ output }) => outputs.get(output)!)),
  ])
  return graph(
    source.name,
    [...source.inputs.filter((value) => !members.has(value)), ...vectors],
    new Map([...others, ...next]),
  )
}

/**
 * Values that are computed number by number, and that only such values and the outputs are made from: what can be computed
 * together, without being computed apart as well.
 */
function mergeable({ nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'>): ReadonlySet<Value> {
  const users = new Map<Value, Node[]>()
  for (const node of nodes)
    for (const value of node.inputs) if (value) users.set(value, [...(users.get(value) ?? []), node])
  const ends = new Set(outputs.values())
  const found = new Set<Value>()
  for (const node of [...nodes].reverse()) {
    if (!node.operator.elementwise) continue
    const used = node.outputs.filter((value) => ends.has(value) || users.has(value))
    const only = used.every((value) => (users.get(value) ?? []).every(({ outputs: [y] }) => found.has(y!)))
    if (only) for (const value of node.outputs) found.add(value)
  }
  return found
}

/** Finds which values of a graph are computed alike. */
class Patterns {
  private readonly together: ReadonlySet<Value>
  private readonly ids = new Map<unknown, number>()
  private readonly known = new Map<Value, number>()

  constructor(source: Pick<Graph, 'nodes' | 'outputs'>) {
    this.together = mergeable(source)
  }

  idOf(key: unknown): number {
    const known = this.ids.get(key) ?? this.ids.size
    this.ids.set(key, known)
    return known
  }

  /**
   * Operator, attributes and scalars of what computes a value number by number; values with one head can be computed
   * together. Empty for a value that comes otherwise, or that somebody else needs too.
   */
  headOf(value: Value): string {
    const node = nodeOf(value)
    if (!node || isScalar(value) || !this.together.has(value)) return ''
    const operands = node.inputs.map((operand) => {
      if (!operand) return '-'
      if (!isScalar(operand)) return operand.shape.join() === value.shape.join() ? '.' : undefined
      const { origin } = operand
      return this.idOf(origin.kind === 'constant' ? keyOf(origin.tensor) : operand)
    })
    if (operands.includes(undefined)) return ''
    return JSON.stringify([this.idOf(node.operator), indexOf(value), node.attributes, operands])
  }

  /** A number for the head, and those of the operands, and so on: equal for what is computed alike. */
  of(value: Value): number {
    const known = this.known.get(value)
    if (known !== undefined) return known
    const head = this.headOf(value)
    const operands = head === '' ? [] : nodeOf(value)!.inputs.filter((operand) => operand && !isScalar(operand))
    const pattern = this.idOf(`${head}(${operands.map((operand) => this.of(operand!)).join()})`)
    this.known.set(value, pattern)
    return pattern
  }
}

/** Computes together what a graph computes apart. */
class Merger {
  private readonly patterns: Patterns
  private readonly vectors = new Map<string, Value>()
  private readonly applied = new Map<string, readonly Value[]>()

  constructor(source: Pick<Graph, 'nodes' | 'outputs'>) {
    this.patterns = new Patterns(source)
  }

  private keyOf(values: readonly Value[]): string {
    return values.map((value) => this.patterns.idOf(value)).join()
  }

  /** These values are the parts of a tensor that is there. */
  know(values: readonly Value[], vector: Value): void {
    this.vectors.set(this.keyOf(values), vector)
  }

  /** The values stacked in one tensor. */
  vectorOf(values: readonly Value[]): Value {
    const key = this.keyOf(values)
    const vector = this.vectors.get(key) ?? this.make(values)
    this.vectors.set(key, vector)
    return vector
  }

  private make(values: readonly Value[]): Value {
    const runs: { head: string; values: Value[] }[] = []
    for (const value of values) {
      const head = this.patterns.headOf(value)
      const last = runs.at(-1)
      if (last?.head === head) last.values.push(value)
      else runs.push({ head, values: [value] })
    }
    if (runs.length > 1)
      return concat(
        runs.map((run) => this.vectorOf(run.values)),
        0,
      )
    return runs[0]!.head === '' || values.length === 1 ? stacked(values) : this.together(values)
  }

  private together(values: readonly Value[]): Value {
    const nodes = values.map((value) => nodeOf(value)!)
    const [first] = nodes
    const key = nodes.map(({ sequence }) => sequence).join()
    const outputs =
      this.applied.get(key) ??
      apply(
        first!.operator,
        first!.inputs.map((operand, i) =>
          operand && !isScalar(operand) ? this.vectorOf(nodes.map(({ inputs }) => inputs[i]!)) : operand,
        ),
        first!.attributes,
      )
    this.applied.set(key, outputs)
    return outputs[indexOf(values[0]!)]!
  }
}
