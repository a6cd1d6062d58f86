// The families of operators that take each number for itself.

export * from './activations.js'
export * from './arithmetic.js'
export * from './casts.js'
export * from './choice.js'
export * from './comparison.js'
export type { Operand } from './pointwise.js'
export * from './trigonometry.js'
