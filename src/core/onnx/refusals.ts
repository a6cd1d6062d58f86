// What of a model cannot be read, told together.

import { UserError } from '../errors.js'
import { input, type Value } from '../graph/value.js'
import type { Named } from './sequences.js'

/** Something in a model that cannot be read. */
export interface Refusal {
  /** Name of the node, with those of the calls that it lies in (`block1/conv`); empty for what is no node's. */
  readonly node: string
  /** The node's type; empty for what is no node's. */
  readonly operator: string
  /** What is wrong, what was expected and what to do. */
  readonly reason: string
}

/** Reading ends when so many are found. */
const MOST = 10_000

/** Messages are one line: more are counted. The property `refusals` has all. */
const limits = { reasons: 8, names: 3 }

function sentence([first, ...others]: readonly Refusal[]): string {
  const { node, operator, reason } = first!
  if (operator === '') return reason
  if (others.length === 0) return `node '${node}' (${operator}): ${reason}`
  const names = [node, ...others.map((other) => other.node)]
  const shown = names.slice(0, limits.names).map((name) => `'${name}'`)
  return `${names.length} nodes ${shown.join(', ')}${names.length > limits.names ? ', …' : ''} (${operator}): ${reason}`
}

function messageOf(refusals: readonly Refusal[]): string {
  const alike = new Map<string, Refusal[]>()
  for (const refusal of refusals) {
    const key = `${refusal.operator}\n${refusal.reason}`
    const group = alike.get(key)
    if (group) group.push(refusal)
    else alike.set(key, [refusal])
  }
  const sentences = [...alike.values()].map(sentence)
  if (sentences.length === 1) return sentences[0]!
  const rest = sentences.length - limits.reasons
  const more = rest > 0 ? `; and ${rest} more` : ''
  const count = refusals.length < MOST ? refusals.length : `${refusals.length} or more`
  return `${count} things in the model cannot be read: ${sentences.slice(0, limits.reasons).join('; ')}${more}`
}

/** A model that cannot be read, with all that is in the way. What needs a refused value is not listed for that alone. */
export class ModelError extends UserError {
  /** In the order of the file. */
  readonly refusals: readonly Refusal[]

  constructor(refusals: readonly Refusal[]) {
    super(messageOf(refusals))
    this.refusals = refusals
  }
}

/** That a node needs something which was refused before: told there. */
export class Skipped extends UserError {}

/** That a file is larger than will be read: nothing more of it is. */
export class LimitError extends UserError {
  private isNamed = false

  /** Itself, with the innermost node that it is thrown in. */
  at(node: string, operator: string): this {
    if (!this.isNamed && operator !== '') this.message = `node '${node}' (${operator}): ${this.message}`
    this.isNamed ||= operator !== ''
    return this
  }
}

/** What was refused so far of a model that is being read. */
export class Refusals {
  private readonly all: Refusal[] = []
  /** What stands for something that was refused; its reason where it is to be told of who uses it. */
  private readonly standIns = new Map<Named, string | undefined>()

  /** Notes what is refused instead of throwing it, so that all is told at once. */
  tried<T>(node: string, operator: string, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (error instanceof LimitError) throw error.at(node, operator)
      if (!(error instanceof UserError) || error instanceof ModelError) throw error
      if (error instanceof Skipped) return undefined
      this.all.push({ node, operator, reason: error.message })
      if (this.all.length === MOST) this.throwAny()
      return undefined
    }
  }

  /** A value in the place of what was refused. @param reason to be told of the first that uses it, unless it was told already */
  standIn(reason?: string): Value {
    const value = input('', 'float32', [])
    this.standIns.set(value, reason)
    return value
  }

  has(value: Named): boolean {
    return this.standIns.has(value)
  }

  /** @throws UserError for what was refused and has not been told yet, Skipped where it has */
  require(value: Named | undefined): void {
    if (!value || !this.standIns.has(value)) return
    const reason = this.standIns.get(value)
    this.standIns.set(value, undefined)
    throw reason === undefined ? new Skipped() : new UserError(reason)
  }

  /** @throws ModelError where anything was refused */
  throwAny(): void {
    if (this.all.length > 0) throw new ModelError(this.all)
  }
}
