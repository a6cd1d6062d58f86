// Parameter groups as command lines say them.

import { fromText, z } from '../schemas.js'
import type { ParameterGroup } from './groups.js'

const NUMBER = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** Text like `*.bias:lr=2,decay=0` or `stem.*:frozen`. */
export const groupText: z.ZodMiniType<ParameterGroup, string> = fromText((text, report) => {
  const at = text.lastIndexOf(':')
  const pattern = text.slice(0, at)
  const group: { -readonly [K in keyof ParameterGroup]: ParameterGroup[K] } = { pattern }
  const settings = text.slice(at + 1).split(',')
  for (const part of settings) {
    const [key, value = ''] = part.split('=').map((piece) => piece.trim())
    if (key === 'frozen' && value === '') group.frozen = true
    else if (key === 'lr' && NUMBER.test(value)) group.learningRate = Number(value)
    else if (key === 'decay' && NUMBER.test(value)) group.weightDecay = Number(value)
    else if (key === 'factor' && /^\w+$/.test(value)) group.factor = value
    else {
      report(`"${text}" is no group of parameters: write PATTERN:lr=2,decay=0, PATTERN:factor=NAME or PATTERN:frozen`)
      return z.NEVER
    }
  }
  if (pattern !== '') return group
  report(`"${text}" names no parameters: write a pattern before the colon, as in *.bias:lr=2`)
  return z.NEVER
})
