// The number of paths through a residual network.

/** m = (1 + r)^b: each of b blocks offers its shortcut and r residual functions (the paper, Appendix A). Exact. */
export const multiplicity = (r: number, blocks: number): bigint => BigInt(1 + r) ** BigInt(blocks)
