// Training curves: a small chart for each run, in rows by model.

import { type ModelCurves, type Quantity, quantities, type RunAxis, runAxis } from '../charts.js'
import { runInPage } from '../pictures.js'
import type { Report } from '../report.js'
import { type Html, html, raw } from './html.js'
import { choice, line, swatch } from './parts.js'

/** So many charts side by side can still be read. */
const mostColumns = 5
/** Charts of fewer would be as large as Figure 2. */
const leastColumns = 3

export function runsSection({ models }: Report, curves: readonly ModelCurves[]): Html {
  const counts = curves.map(({ runs }) => runs.length)
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return html``
  const most = Math.max(...counts)
  const columns = total === 1 ? 1 : Math.min(mostColumns, Math.max(leastColumns, most))
  const row = (content: readonly Html[]) => html`<div class="runs" style="--columns: ${columns}">${content}</div>`
  const axes = { error: runAxis(curves, 'error'), loss: runAxis(curves, 'loss') }
  const figures = curves.map(({ name, runs }, model) =>
    runs.map((run, i) => figure(curves, axes, { model, run: i }, `${most === 1 ? `${name}, ` : ''}seed ${run.seed}`)),
  )
  const rows = models.map(({ name }, model) =>
    figures[model]!.length === 0 ? '' : html`<h3>${swatch(model)}${name}</h3>${row(figures[model]!)}`,
  )
  return html`<section id="curves">
<h2>Training curves</h2>
<div class="controls">
${choice('quantity', 'What the curves show', { error: 'error (%)', loss: 'loss' })}
<span class="note">${line('var(--quiet)')}training; in the model’s colour: test</span>
</div>
${most === 1 ? row(figures.flat()) : rows}
<p class="note">By epoch. The training curve is the mean over the epoch’s batches, each before the step that it leads to; the loss
is the cross-entropy, in nats. Dashed lines: another learning rate from there on.</p>
</section>`
}

function figure(
  curves: readonly ModelCurves[],
  axes: Readonly<Record<Quantity, RunAxis>>,
  { model, run }: { readonly model: number; readonly run: number },
  caption: string,
): Html {
  const { epochs, runs } = curves[model]!
  const { testError } = runs[run]!
  const drawings = quantities.map((quantity) => {
    const svg = runInPage(curves, { model, run, quantity }, axes[quantity])
    return html`<div class="static ${quantity}">${raw(svg)}</div>\n`
  })
  const part = testError.length < epochs ? `epoch ${testError.length}: ` : ''
  return html`<figure>
<figcaption><span>${caption}</span><span>${part}${testError.at(-1)!.toFixed(2)} %</span></figcaption>
<div class="chart run" data-model="${model}" data-run="${run}" role="img" aria-label="Training and test curve, ${caption}">
${drawings}</div>
</figure>
`
}
