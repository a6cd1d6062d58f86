// What a node's name says: which part of a training step it belongs to, and which layer of the network.

/** `runtime`: nodes that ONNX Runtime put in by itself, under names without a scope. */
export type Role = 'forward' | 'recomputation' | 'backward' | 'update' | 'runtime'

export interface Place {
  readonly role: Role
  /** `stage1.block2.f1.conv1`; `update` for all updates; empty for nodes outside any layer. */
  readonly layer: string
}

/** `Conv`, `Mul_12`, `Transpose_token_3`: a part of a name that says what a node does, not where. */
const isOperator = (part: string): boolean => /^[A-Z][A-Za-z0-9]*(_\w*)?$/.test(part)

/** Whether a part of a name, `grad` or `grad.sums`, begins what a gradient or a recomputation is made of. */
const begins = (word: 'grad' | 'again', part: string): boolean => part.split('.')[0] === word

/** Of `train/stage1.block2.f1.conv1/grad/Pad`: backward, stage1.block2.f1.conv1. */
export function placeOf(name: string): Place {
  // What the runtime fuses, or puts into blocks, keeps the name of what it was, and more.
  const source = name.replace(/^fused /, '').replace(/_nchwc$/, '')
  const scope = source.split('/').filter((part) => part !== '')
  const inStep = scope[0] === 'train'
  if (inStep) scope.shift()
  else if (scope.every(isOperator)) return { role: 'runtime', layer: '' }
  if (scope[0] === 'update') return { role: 'update', layer: 'update' }
  const end = scope.findIndex((part) => begins('grad', part) || begins('again', part))
  const layer = end < 0 ? scope : scope.slice(0, end)
  while (layer.length > 0 && isOperator(layer.at(-1)!)) layer.pop()
  const has = (word: 'grad' | 'again') => scope.some((part) => begins(word, part))
  const role = has('grad') ? 'backward' : has('again') ? 'recomputation' : 'forward'
  return { role, layer: layer.join('/') }
}

/** `stage1.block2` of `stage1.block2.f1.conv1` for 2 levels, `stage1` for 1. */
export const outerScope = (layer: string, levels: number): string => layer.split('.').slice(0, levels).join('.')

/** An operator's name in tables: `nchwc.Conv`. ONNX's own operators and `com.microsoft` go without a prefix. */
export function operatorLabel(operator: string, domain: string): string {
  if (domain === '' || domain === 'ai.onnx' || domain === 'com.microsoft') return operator
  return `${domain.split('.').at(-1)}.${operator}`
}
