// The losses. One of one's own is a function like these: docs/dsl.md.

export * from './binaryCrossEntropy.js'
export * from './combined.js'
export * from './crossEntropy.js'
export type { Loss, LossContext, LossValues, Metric } from './loss.js'
export * from './regression.js'
