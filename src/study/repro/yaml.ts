// YAML to a checked value; whatever is wrong is told with its line.

import { isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { messageOf, UserError } from '../../core/errors.js'
import { nearest } from '../../core/near.js'

export interface ParsedYaml<T> {
  readonly value: T
  /**
   * Refuses what stands at this place.
   * @throws UserError always
   */
  fail(path: readonly PropertyKey[], message: string): never
}

/**
 * Parses and checks the text of a YAML file. All scalars stay text (YAML's own rules would make the number 1 of the mask
 * 01): the schema says what they are to be.
 * @param name of the file, for messages
 * @param keysAt the keys that are possible at a place, for the nearest to a wrong one
 * @throws UserError in one line with the file, the line and the place in it
 */
export function parseYaml<T>(
  text: string,
  name: string,
  schema: z.ZodType<T>,
  keysAt: (path: readonly PropertyKey[]) => readonly string[],
): ParsedYaml<T> {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    schema: 'failsafe',
    stringKeys: true,
    prettyErrors: false,
    lineCounter: lines,
    // Its warnings are about tags that mean nothing here.
    logLevel: 'error',
  })
  const at = (offset: number | undefined) => (offset === undefined ? name : `${name}:${lines.linePos(offset).line}`)
  const broken = document.errors[0]
  if (broken) throw new UserError(`${at(broken.pos[0])}: no YAML: ${broken.message}`)

  /** The innermost thing on the way that is in the file. */
  const offsetOf = (path: readonly PropertyKey[]): number | undefined => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true)
      if (isNode(node)) return node.range?.[0]
    }
    return document.contents?.range?.[0]
  }
  const keyOffset = (path: readonly PropertyKey[], key: string) => {
    const map = path.length === 0 ? document.contents : document.getIn(path, true)
    const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined
    return isNode(pair?.key) ? pair.key.range?.[0] : offsetOf(path)
  }
  const told = (offset: number | undefined, path: readonly PropertyKey[], message: string) =>
    `${at(offset)}: ${path.length > 0 ? `${formatPath(path)}: ` : ''}${message}`

  const describe = (issue: z.core.$ZodIssue): string => {
    const { path } = issue
    if (issue.code !== 'unrecognized_keys') {
      const found = document.getIn(path, true)
      const got = isScalar(found) ? `, got '${found.value}'` : ''
      return told(offsetOf(path), path, `${issue.message}${got}`)
    }
    const key = issue.keys[0]!
    return told(
      keyOffset(path, key),
      path,
      `there is no key '${key}'; nearest are ${nearest(key, keysAt(path)).join(', ')}`,
    )
  }
  const result = schema.safeParse(plain(document, name))
  // One thing at a time: what is wrong further down is often its consequence.
  if (!result.success) throw new UserError(describe(result.error.issues[0]!))
  return {
    value: result.data,
    fail(path, message) {
      throw new UserError(told(offsetOf(path), path, message))
    },
  }
}

/** @throws UserError for what parses and says nothing: an alias of nothing, or of itself over and over */
function plain(document: ReturnType<typeof parseDocument>, name: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw new UserError(`${name}: no YAML: ${messageOf(error)}`)
  }
}

const formatPath = (path: readonly PropertyKey[]) =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('')
