// What an optimizer is: the state that it keeps for a weight, and an update written in the DSL.

import type { Type } from '../graph/operator.js'
import type { Value } from '../graph/value.js'

/** Values by name. */
export type Named = Readonly<Record<string, Value>>

/** How a weight is updated, as two functions that write a graph. docs/dsl.md shows how to write one. */
export interface Optimizer {
  /** Of the function that stands for an update in files, such as `AdamW`. */
  readonly name: string
  /** The formula, and where it is from. */
  readonly text: string
  /** Scalars that each step is fed with beside the learning rate, and what they are unless something else is fed. */
  readonly hyperparameters: Readonly<Record<string, number>>
  /** The learning rate that suits it where nobody says one; that of the recipe unless given. */
  readonly learningRate?: number
  /** Tensors that are kept for a weight, of its shape: the first value of each. */
  state(weight: Type): Readonly<Record<string, number>>
  /**
   * One weight's update.
   * @param state by name, as `state` says
   * @param hyperparameters scalars of the dtype of the weight: `learning_rate`, those of this optimizer, and `step`, the number
   *   of this update from 1
   * @returns the next weight as `w`, and the next value of each state tensor
   */
  update(w: Value, gradient: Value, state: Named, hyperparameters: Named): Named & { readonly w: Value }
}
