// The one namer: values get names when a graph is written, from their scope and operator, the same every time.

import type { Node } from '../graph/value.js'

export class Namer {
  private readonly taken = new Set<string>()
  private readonly counts = new Map<string, number>()

  /** Keeps a name that is given from outside (an input, a parameter, an output). */
  reserve(name: string): string {
    this.taken.add(name)
    return name
  }

  /** `base`, or `base_2`, `base_3`, … when it is taken. */
  unique(base: string): string {
    let name = base
    for (let count = this.counts.get(base) ?? 2; this.taken.has(name); count++) {
      name = `${base}_${count}`
      this.counts.set(base, count + 1)
    }
    return this.reserve(name)
  }

  /** A node's name: its scope when that is free (`stage1.block1.f1.conv1`), else the scope and the operator. */
  forNode({ scope, operator }: Node): string {
    if (scope !== '' && !this.taken.has(scope)) return this.reserve(scope)
    return this.unique(scope === '' ? operator.name : `${scope}/${operator.name}`)
  }
}
