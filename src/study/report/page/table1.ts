// Table 1: a row a model, with the paper's figures beside ours.

import { formatFunctions } from '../../../../graphs/describe.js'
import { paperText } from '../../../../graphs/table1.js'
import { spreadText } from '../../../driver/seeds/statistics.js'
import type { ModelReport, Report } from '../report.js'
import { type Html, html } from './html.js'
import { type Column, cell, columns, modelHeader, numericColumns, tableOf } from './parts.js'

export function table1Section({ models }: Report): Html {
  const compared = models.some(({ paper }) => paper)
  const heads = [
    ...columns('block'),
    ...numericColumns('depth', 'r'),
    ...columns('functions'),
    ...numericColumns('parameters', ...(compared ? ['paper'] : []), 'ours', 'n', ...(compared ? ['difference'] : [])),
  ]
  const bodies = models.map((model, i) => body(model, i, heads))
  return html`<section id="table1">
<h2>Table 1. Test error</h2>
${tableOf('Table 1', [...columns('model'), ...heads], bodies)}
<p class="note">In per cent, after the last epoch: median (mean ± standard deviation of the sample) of n finished runs.
${compared ? paperNote : ''}</p>
</section>`
}

const paperNote = html`The paper is “Multi-Residual Networks with ReLU Dropping”; where it gives no mean, it quotes the
figure from another. The difference is our median less the paper’s figure, in percentage points.`

function body(model: ModelReport, index: number, heads: readonly Column[]): Html {
  const { name, network, paper, testError, finished, difference, remarks } = model
  const contents: Readonly<Record<string, string | number | undefined>> = {
    block: network?.block,
    depth: network?.depth,
    r: network?.functions.length,
    functions: network && formatFunctions(network.functions),
    parameters: network?.parameters?.toLocaleString('en-US'),
    paper: paper && paperText(paper),
    ours: testError ? spreadText(testError) : undefined,
    n: finished,
    difference: difference === undefined ? undefined : signed(difference),
  }
  const cells = heads.map((column) => cell(column, contents[column.name]))
  const told = html`<tr class="remarks"><td colspan="${heads.length + 1}"><span>${remarks.join('; ')}</span></td></tr>\n`
  return html`<tbody>
<tr>${modelHeader(index, name, paper?.title)}${cells}</tr>
${remarks.length === 0 ? '' : told}</tbody>
`
}

/** With a true minus. */
function signed(points: number): string {
  const text = Math.abs(points).toFixed(2)
  return Number(text) === 0 ? text : `${points < 0 ? '−' : '+'}${text}`
}
