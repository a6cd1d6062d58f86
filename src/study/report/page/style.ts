// How the page looks: on a screen by day and by night, on a small one, and on paper.

import { onDark, onWhite, type Theme } from '../../../driver/charts/style.js'

const variables = ({ background, text, quiet, line, grid, curves }: Theme): string =>
  [
    ...Object.entries({ background, text, quiet, line, grid }),
    ...curves.map((colour, i) => [`curve-${i}`, colour] as const),
  ]
    .map(([name, value]) => `--${name}: ${value};`)
    .join(' ')

export const style = `
:root { ${variables(onWhite)} --muted: #5d6570; --accent: #2b5c8a; --card: #ffffff; color-scheme: light; }
@media screen and (prefers-color-scheme: dark) {
  :root { ${variables(onDark)} --muted: #9aa3af; --accent: #79b8ff; --card: #20242a; color-scheme: dark; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--background); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, "Liberation Sans", sans-serif;
}
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 3rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 52rem; }
.note, figcaption, .remarks, dt { color: var(--muted); font-size: .875rem; }
.swatch { width: 1.5rem; height: .75rem; margin-right: .4rem; vertical-align: baseline; flex: none; }
.swatch line { stroke-width: 3; }

.wide { overflow-x: auto; }
.wide:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px;
}
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .55rem; text-align: left; vertical-align: baseline; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
thead th { border-bottom: 2px solid var(--text); font-weight: 600; vertical-align: bottom; }
tbody { border-bottom: 1px solid var(--line); }
tbody th { font-weight: 600; }
tbody.each { border: 0; }
tbody.each tr { border-bottom: 1px solid var(--grid); }
.number { text-align: right; }
[data-column="ours"] { font-weight: 600; }
td[data-column="processor"], td[data-column="versions"], td[data-column="data"], td[data-column="learning rate"] {
  white-space: normal; overflow-wrap: anywhere; min-width: 12rem;
}
td[data-column="learning rate"] { min-width: 18rem; }
.name { white-space: normal; min-width: 11rem; }
.name > span { display: flex; align-items: baseline; }
.name > span > span { max-width: 16rem; overflow-wrap: break-word; }
.name small { display: block; color: var(--muted); font-weight: 400; }
.remarks td { padding-top: 0; white-space: normal; }
.remarks span { position: sticky; left: 0; display: inline-block; max-width: min(60rem, calc(100vw - 2.5rem)); }

.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; margin: .75rem 0; }
.switch { display: flex; border: 0; margin: 0; padding: 0; }
.switch legend { position: absolute; clip-path: inset(50%); }
.switch label { border: 1px solid var(--line); padding: .15rem .75rem; font-size: .875rem; cursor: pointer; }
.switch label:first-of-type { border-radius: .4rem 0 0 .4rem; }
.switch label:last-of-type { border-radius: 0 .4rem .4rem 0; border-left: 0; }
.switch input { position: absolute; opacity: 0; pointer-events: none; }
.switch label:has(:checked) { background: var(--accent); border-color: var(--accent); color: var(--background); }
.switch label:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem .5rem; list-style: none; margin: 0 0 0 -.5rem; padding: 0; }
.legend button {
  display: flex; align-items: center; max-width: 20rem; padding: .15rem .5rem; border: 1px solid transparent;
  border-radius: .4rem; background: none; color: inherit; font: inherit; font-size: .875rem; text-align: left;
  overflow-wrap: anywhere; cursor: pointer;
}
.legend button:hover { border-color: var(--line); }
.legend [aria-pressed="false"] { opacity: .45; text-decoration: line-through; }
.epoch { display: flex; align-items: center; margin-bottom: .75rem; font-size: .875rem; color: var(--muted); }
.epoch span { width: 50px; flex: none; }
.epoch input { flex: 1; margin: 0 8px 0 0; accent-color: var(--accent); }

figure { margin: 0; }
.chart { position: relative; aspect-ratio: 960 / 520; }
.chart > * { position: absolute; inset: 0; }
.static > svg { display: block; width: 100%; height: 100%; }
.means { min-height: 20rem; width: 100%; }
.runs { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(max(11rem, (100% - (var(--columns) - 1) * 1rem) / var(--columns)), 1fr)); }
.run { aspect-ratio: 280 / 180; }
.runs figcaption { display: flex; justify-content: space-between; gap: .5rem; }
.runs figcaption span { overflow-wrap: anywhere; }
.runs figure { max-width: 48rem; }
.live > .static { display: none; }

#figure2:has([value="log"]:checked) .static.linear, #figure2:has([value="linear"]:checked) .static.log,
#curves:has([value="loss"]:checked) .static.error, #curves:has([value="error"]:checked) .static.loss { display: none; }

dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .75rem 0; font-size: .9rem; }
dd { margin: 0; overflow-wrap: anywhere; }
details { margin: .75rem 0; }
summary { cursor: pointer; font-size: .875rem; color: var(--muted); }
details .wide { max-height: 30rem; overflow-y: auto; }
.tip tbody { border: 0; }
.tip table { font-size: .8125rem; }
.tip th, .tip td { padding: 0 0 0 .75rem; font-weight: 400; }
.tip th { padding: 0; }
.tip td { text-align: right; }
.tip caption { text-align: left; font-weight: 600; padding-bottom: .2rem; }

@media (max-width: 40rem) {
  main { padding: 1.25rem 1rem 3rem; }
  #table1 table, #table1 tbody { display: block; }
  #table1 thead { display: none; }
  #table1 tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .3rem 0; }
  #table1 th, #table1 td { padding: 0; text-align: left; }
  #table1 .name { flex-basis: 100%; }
  #table1 [data-column]::before { content: attr(data-column) " "; color: var(--muted); font-weight: 400; font-size: .8125rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print {
  html { font-size: 9pt; }
  th, td { padding: .3rem .5rem; }
  main { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; }
  tbody, figure { break-inside: avoid; }
  tbody.each { break-inside: auto; }
  .wide { overflow: visible; }
  .switch, .epoch, details { display: none; }
  .live > .static { display: block; }
  .live > .drawn { display: none; }
  .means { max-height: 12cm; }
}
`
