// What the sections of the page have in common.

import { lineOf } from '../charts.js'
import { onPage } from '../theme.js'
import { type Content, type Html, html } from './html.js'

/** A piece of a curve, to stand beside its name. */
export const line = (colour: string, dashes = 'none'): Html =>
  html`<svg class="swatch" viewBox="0 0 24 12" aria-hidden="true"><line x1="0" y1="6" x2="24" y2="6" stroke="${colour}" stroke-dasharray="${dashes}"/></svg>`

/** Of a model's curve. */
export function swatch(model: number): Html {
  const { color, type } = lineOf(model, onPage)
  return line(color, { solid: 'none', dashed: '6 3', dotted: '2 2' }[type])
}

export interface Column {
  readonly name: string
  /** Aligned to the right. */
  readonly numeric?: boolean
}

export const columns = (...names: readonly string[]): readonly Column[] => names.map((name) => ({ name }))
export const numericColumns = (...names: readonly string[]): readonly Column[] =>
  names.map((name) => ({ name, numeric: true }))

/** A table that scrolls to the side where there is no room for it, with the keyboard too. */
export const tableOf = (label: string, heads: readonly Column[], bodies: Content): Html =>
  html`<div class="wide" role="region" aria-label="${label}" tabindex="0"><table>
<thead><tr>${heads.map((column) => html`<th scope="col" class="${classOf(column)}">${column.name}</th>`)}</tr></thead>
${bodies}</table></div>`

/** Rows with a line between them. */
export const rowsOf = (rows: readonly Html[]): Html =>
  html`<tbody class="each">\n${rows.map((row) => html`<tr>${row}</tr>\n`)}</tbody>\n`

export const cell = (column: Column, content: string | number | undefined): Html =>
  html`<td class="${classOf(column)}" data-column="${column.name}">${content ?? nothing}</td>`

const classOf = ({ numeric }: Column) => (numeric ? 'number' : '')

/** The header of a model's row. */
export function modelHeader(model: number, name: string, title?: string): Html {
  const small = title === undefined ? '' : html`<small>${title}</small>`
  return html`<th scope="row" class="name"><span>${swatch(model)}<span>${name}${small}</span></span></th>`
}

/** A choice of one of two or three ways to see something. */
export function choice(name: string, legend: string, options: Readonly<Record<string, string>>): Html {
  const inputs = Object.entries(options).map(([value, text], i) => {
    const checked = i === 0 ? html` checked` : ''
    return html`<label><input type="radio" name="${name}" value="${value}"${checked}>${text}</label>`
  })
  return html`<fieldset class="switch"><legend>${legend}</legend>${inputs}</fieldset>`
}

/** What is not known or not there. */
const nothing = '–'
