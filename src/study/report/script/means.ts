// Figure 2: hovering or the slider reads an epoch, the legend hides models.

import { type ModelCurves, meansChart, type Scale } from '../charts.js'
import { html } from '../page/html.js'
import { swatch } from '../page/parts.js'
import { onPage } from '../theme.js'
import { chosen, drawIn, onChoice } from './draw.js'

export function drawMeans(section: HTMLElement, models: readonly ModelCurves[]): void {
  const place = section.querySelector<HTMLElement>('.means')
  // There is nothing to draw before the first epoch.
  if (!place) return
  const { chart, show } = drawIn(place)
  const hidden = new Set<number>()
  const shown = () => models.flatMap((model, index) => (hidden.has(index) ? [] : [{ ...model, index }]))
  const at = (epoch: number) =>
    shown().flatMap(({ name, mean, index }) => {
      const point = mean[epoch - 1]
      return point ? [{ index, name, text: textOf(point), runs: point[2] }] : []
    })
  const tip = (epoch: number) =>
    html`<table><caption>epoch ${epoch}</caption>${at(epoch).map(
      ({ index, name, text, runs }) =>
        html`<tr><th>${swatch(index)}${name}</th><td>${text}</td><td>n = ${runs}</td></tr>`,
    )}</table>`
  const slider = section.querySelector<HTMLInputElement>('.epoch input')!
  const draw = () => {
    show(meansChart(models, { scale: chosen<Scale>('scale'), theme: onPage, hidden }), tip)
    slider.max = `${Math.max(1, ...shown().map(({ mean }) => mean.length))}`
  }
  draw()
  onChoice('scale', draw)

  for (const button of section.querySelectorAll<HTMLElement>('.legend button')) {
    button.addEventListener('click', () => {
      const model = Number(button.dataset.model)
      if (!hidden.delete(model)) hidden.add(model)
      button.setAttribute('aria-pressed', `${!hidden.has(model)}`)
      draw()
    })
  }

  const read = () => {
    const epoch = slider.valueAsNumber
    const points = at(epoch).map(({ name, text, runs }) => `${name} ${text}, n = ${runs}`)
    slider.setAttribute('aria-valuetext', [`epoch ${epoch}`, ...points].join('; '))
    const curve = shown().findIndex(({ mean }) => mean.length >= epoch)
    if (curve === -1) return
    // Bands come before curves.
    chart.dispatchAction({ type: 'showTip', seriesIndex: shown().length + curve, dataIndex: epoch - 1 })
  }
  slider.addEventListener('input', read)
  slider.addEventListener('focus', read)
  slider.addEventListener('blur', () => chart.dispatchAction({ type: 'hideTip' }))
}

const textOf = ([mean, std]: ModelCurves['mean'][number]) =>
  `${mean.toFixed(2)}${std === null ? '' : ` ± ${std.toFixed(2)}`} %`
