// Figure 2: mean test error by epoch. What can be chosen is chosen without a script; the script draws it to be pointed at.

import { type ModelCurves, scales } from '../charts.js'
import { meansInPage } from '../pictures.js'
import type { Report } from '../report.js'
import { type Html, html, raw } from './html.js'
import { cell, choice, numericColumns, rowsOf, swatch, tableOf } from './parts.js'

export function figure2Section({ models }: Report, curves: readonly ModelCurves[]): Html {
  const epochs = Math.max(...models.map(({ curve }) => curve.length))
  return html`<section id="figure2">
<h2>Figure 2. Mean test error by epoch</h2>
${epochs === 0 ? html`<p>No run has finished an epoch yet.</p>` : figure(models, curves, epochs)}
</section>`
}

function figure(models: Report['models'], curves: readonly ModelCurves[], epochs: number): Html {
  const buttons = models.map(
    ({ name }, i) =>
      html`<li><button type="button" aria-pressed="true" data-model="${i}">${swatch(i)}<span>${name}</span></button></li>\n`,
  )
  const pictures = scales.map((scale) => html`<div class="static ${scale}">${raw(meansInPage(curves, scale))}</div>\n`)
  return html`<div class="controls">
${choice('scale', 'Scale', { linear: 'linear', log: 'logarithmic' })}
<ul class="legend" aria-label="Models, shown or hidden">
${buttons}</ul>
</div>
<figure>
<div class="chart means" role="img" aria-label="Mean test error of each model by epoch; the numbers are below">
${pictures}</div>
<label class="epoch scripted"><span>epoch</span><input type="range" min="1" max="${epochs}" value="${epochs}"></label>
<figcaption>Each curve is the mean over the runs that have the epoch, finished or not; its band reaches a standard deviation
of the sample to either side, and is missing where one run alone has the epoch.</figcaption>
</figure>
<details><summary>The numbers of Figure 2</summary>
<p class="note">Mean ± standard deviation in per cent, and in parentheses how many runs.</p>
${numbers(models, epochs)}
</details>`
}

/** A row an epoch, a column a model. */
function numbers(models: Report['models'], epochs: number): Html {
  const percent = (fraction: number) => (100 * fraction).toFixed(2)
  const heads = numericColumns(...models.map(({ name }) => name))
  const rows = Array.from({ length: epochs }, (_, epoch) => {
    const cells = models.map(({ curve }, i) => {
      const point = curve[epoch]
      if (!point) return cell(heads[i]!, undefined)
      const { mean, std, runs } = point
      return cell(heads[i]!, `${percent(mean)}${std === null ? '' : ` ± ${percent(std)}`} (${runs})`)
    })
    return html`<th scope="row" class="number">${epoch + 1}</th>${cells}`
  })
  return tableOf('The numbers of Figure 2', [...numericColumns('epoch'), ...heads], rowsOf(rows))
}
