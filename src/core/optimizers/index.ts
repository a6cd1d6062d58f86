// The optimizers. One of one's own is a value like these: docs/dsl.md.

export * from './adam.js'
export * from './muon.js'
export type { Named, Optimizer } from './optimizer.js'
export { type SgdOptions, sgd } from './sgd.js'
