// Where the time of a step goes: its nodes added up by part of the step, operator, layer, block and stage.
import type { StepTimes } from './events.js'
import { outerScope, placeOf, type Role } from './names.js'

/** Nodes added up, in the median step. */
export interface ProfileRow {
  readonly label: string
  /** Milliseconds. */
  readonly ms: number
  /** Of the time of all nodes, from 0 to 1. */
  readonly share: number
  readonly calls: number
  /** Floating-point operations of convolutions and matrix products. */
  readonly flops: number
  /** GFLOP/s; null without any such operation. */
  readonly rate: number | null
  /** The rate over the sgemm peak; null where either is not known. */
  readonly ofPeak: number | null
}

/** The nodes of one operator. */
export interface OperatorRow extends ProfileRow {
  readonly role: Role
}

/** All of it is JSON. Rows come with the most expensive first. */
export interface Profile {
  /** Steps that were measured. */
  readonly steps: number
  /** Milliseconds of a whole step, between its nodes and under the profiler. */
  readonly stepMs: number
  /** GFLOP/s of the machine's fastest matrix product; null when it was not measured. */
  readonly peak: number | null
  /** All nodes. */
  readonly total: ProfileRow
  /** The usual count for such a network, at the time of the whole step; null when it is not known. */
  readonly nominal: Pick<ProfileRow, 'flops' | 'rate' | 'ofPeak'> | null
  /** Nodes that take less than `belowMs` each. */
  readonly small: { readonly belowMs: number } & Pick<ProfileRow, 'ms' | 'share' | 'calls'>
  readonly roles: readonly ProfileRow[]
  readonly operators: readonly OperatorRow[]
  readonly layers: readonly ProfileRow[]
  /** Layers by the first two parts of their names, such as stage1.block2. */
  readonly blocks: readonly ProfileRow[]
  /** Layers by the first part of their names. */
  readonly stages: readonly ProfileRow[]
}

type Costs = Pick<ProfileRow, 'ms' | 'calls' | 'flops'>

const positive = (value: number | null | undefined): number | null =>
  value && value > 0 && Number.isFinite(value) ? value : null

/** What is done in the time, and how it compares to the peak. */
function rates(flops: number, ms: number, peak: number | null): Pick<ProfileRow, 'rate' | 'ofPeak'> {
  const rate = positive(flops / ms / 1e6)
  return { rate, ofPeak: rate !== null && peak !== null ? rate / peak : null }
}

/** Added up under one label; `whole` is the time that shares are of, in milliseconds. */
export function sumOf(label: string, parts: readonly Costs[], whole: number, peak: number | null): ProfileRow {
  const total = (field: keyof Costs) => parts.reduce((sum, part) => sum + part[field], 0)
  const [ms, calls, flops] = [total('ms'), total('calls'), total('flops')]
  return { label, ms, share: whole > 0 ? ms / whole : 0, calls, flops, ...rates(flops, ms, peak) }
}

export interface Context {
  /** Label of a node's operator. */
  readonly operator: (name: string, operator: string) => string
  /** GFLOP/s. */
  readonly peak?: number | undefined
  /** Of a step. */
  readonly nominalFlops?: number | undefined
}

const smallMs = 0.05

export function profileOf({ steps, stepMs, nodes }: StepTimes, context: Context): Profile {
  const peak = positive(context.peak)
  const nominal = positive(context.nominalFlops)
  const placed = nodes.map((node) => ({
    ...node,
    ...placeOf(node.name),
    operator: context.operator(node.name, node.operator),
  }))
  type Placed = (typeof placed)[number]
  const whole = nodes.reduce((sum, { ms }) => sum + ms, 0)

  const groups = (keyOf: (node: Placed) => string): Placed[][] => {
    const found = new Map<string, Placed[]>()
    for (const node of placed) {
      const group = found.get(keyOf(node))
      if (group) group.push(node)
      else found.set(keyOf(node), [node])
    }
    return [...found.values()]
  }
  const rowsBy = (keyOf: (node: Placed) => string): ProfileRow[] =>
    groups(keyOf)
      .map((group) => sumOf(keyOf(group[0]!), group, whole, peak))
      .sort((a, b) => b.ms - a.ms)

  const few = nodes.filter(({ ms, calls }) => ms / calls < smallMs)
  const { ms, share, calls } = sumOf('', few, whole, peak)
  return {
    steps,
    stepMs,
    peak,
    total: sumOf('total', nodes, whole, peak),
    nominal: nominal === null ? null : { flops: nominal, ...rates(nominal, stepMs, peak) },
    small: { belowMs: smallMs, ms, share, calls },
    roles: rowsBy(({ role }) => role),
    operators: groups(({ role, operator }) => `${role} ${operator}`)
      .map((group) => ({ role: group[0]!.role, ...sumOf(group[0]!.operator, group, whole, peak) }))
      .sort((a, b) => b.ms - a.ms),
    layers: rowsBy(({ layer }) => layer),
    blocks: rowsBy(({ layer }) => outerScope(layer, 2)),
    stages: rowsBy(({ layer }) => outerScope(layer, 1)),
  }
}
