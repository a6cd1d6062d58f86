// How the models were trained: what all have in common, and below it what is each one's own.

import type { Report } from '../report.js'
import { type Html, html } from './html.js'
import { cell, columns, modelHeader, rowsOf, tableOf } from './parts.js'

export function configurationSection({ models, settings }: Report): Html {
  const isCommon = ({ values }: Report['settings'][number]) => values.every((value) => value === values[0])
  const common = settings.filter(isCommon).map(({ name, values }) => html`<dt>${name}</dt><dd>${values[0]}</dd>\n`)
  const own = settings.filter((setting) => !isCommon(setting))
  const heads = columns(...own.map(({ name }) => name))
  const rows = models.map(({ name }, i) => {
    const cells = own.map(({ values }, at) => cell(heads[at]!, values[i]))
    return html`${modelHeader(i, name)}${cells}`
  })
  return html`<section id="configuration">
<h2>Configuration</h2>
<dl>
${common}</dl>
${own.length === 0 ? '' : tableOf('Configuration by model', [...columns('model'), ...heads], rowsOf(rows))}
</section>`
}
