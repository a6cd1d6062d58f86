// The address bar says which tab is shown and which network is designed: `#design?block=basic&depth=8`. So a reload, a bookmark and
// the buttons for back and forward bring both again.

import { batch, effect, signal } from '@preact/signals'
import { messageOf } from '../core/errors.js'
import type { LayerRange } from '../study/paths/lengths.js'
import { type Design, designFrom, firstDesign, queryOf } from './design/design.js'
import { formatRange, rangeFrom } from './design/range.js'

export const tab = signal('design')
export const design = signal<Design>(firstDesign)
/** Layers of the paths that count as effective. */
export const range = signal<LayerRange>(rangeFrom(null))
/** What is wrong with the address, in a line. */
export const addressProblem = signal<string | undefined>(undefined)

/** Changes that come faster than this are one step for the button back. */
const ONE_STEP = 700

const written = () => {
  const given = [queryOf(design.value), ...(formatRange(range.value) ? [`range=${formatRange(range.value)}`] : [])]
  return `#${tab.value}?${given.join('&')}`
}

function read(): void {
  const [name = '', query = ''] = location.hash.slice(1).split('?', 2)
  try {
    const found = designFrom(query)
    const layers = rangeFrom(new URLSearchParams(query).get('range'))
    design.value = found
    range.value = layers
    addressProblem.value = undefined
  } catch (error) {
    addressProblem.value = `The address says no network: ${messageOf(error)}`
  }
  if (name !== '') tab.value = name
}

/** Reads the address, now and whenever it changes, and writes it when something else changes. */
export function followAddress(): void {
  let isReading = false
  const follow = () => {
    isReading = true
    batch(read)
    isReading = false
  }
  follow()
  addEventListener('popstate', follow)
  let last = { at: Number.NEGATIVE_INFINITY, tab: tab.peek() }
  let isFirst = true
  effect(() => {
    const text = written()
    if (text === location.hash || addressProblem.value !== undefined) return
    // What was read is the same place in other words.
    if (isFirst || isReading) history.replaceState(null, '', text)
    else {
      const isOne = last.tab === tab.value && performance.now() - last.at < ONE_STEP
      last = { at: performance.now(), tab: tab.value }
      history[isOne ? 'replaceState' : 'pushState'](null, '', text)
    }
    isFirst = false
  })
}

/** Takes another design. */
export function setDesign(next: Design): void {
  addressProblem.value = undefined
  design.value = next
}
