// The page: one file with everything in it, that asks nobody for anything.

import { createHash } from 'node:crypto'
import { curvesOf } from '../curves.js'
import type { Report } from '../report.js'
import { configurationSection } from './configuration.js'
import { figure2Section } from './figure2.js'
import { html, jsonText, raw } from './html.js'
import { runsSection } from './runs.js'
import { style } from './style.js'
import { table1Section } from './table1.js'
import { timeSection } from './time.js'

/** By it a page of ours is known. */
export const generator = '<meta name="generator" content="rdm-report">'

/** @param script what makes its charts answer to a pointer */
export function pageOf(report: Report, script: string): string {
  const curves = curvesOf(report)
  // An end of the element within a text of the script would end it in the middle.
  const code = script.replaceAll('</script', '<\\/script')
  const hash = createHash('sha256').update(code).digest('base64')
  // The browser itself keeps the page from loading anything, and from running what is not ours.
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`
  const { title } = report
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
${raw(generator)}
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${raw(style)}</style>
<noscript><style>.scripted { display: none !important; } .legend button { pointer-events: none; }</style></noscript>
</head>
<body>
<main>
<header><h1>${title}</h1><p>${summaryOf(report)}</p></header>
${table1Section(report)}
${figure2Section(report, curves)}
${runsSection(report, curves)}
${timeSection(report)}
${configurationSection(report)}
</main>
<script type="application/json" id="data">${jsonText(curves)}</script>
<script>${raw(code)}</script>
</body>
</html>
`
  return page.text
}

function summaryOf({ models, settings, standing }: Report): string {
  const count = models.length === 1 ? 'One model' : `${models.length} models`
  const data = new Set(settings.find(({ name }) => name === 'data')?.values)
  return `${[count, ...(data.size === 1 ? [`data: ${[...data].join()}`] : []), standing].join('; ')}.`
}
