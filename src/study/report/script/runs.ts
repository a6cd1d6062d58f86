// Training curves: each chart is drawn when it comes into view, for there may be hundreds.

import { curveKeys, type ModelCurves, type Quantity, runAxis, runChart } from '../charts.js'
import { html } from '../page/html.js'
import { line, swatch } from '../page/parts.js'
import { onPage } from '../theme.js'
import { chosen, drawIn, onChoice } from './draw.js'

/** @param section null where no run has finished an epoch */
export function drawRuns(section: HTMLElement | null, models: readonly ModelCurves[]): void {
  if (!section) return
  const drawings: (() => void)[] = []
  const axes = { error: runAxis(models, 'error'), loss: runAxis(models, 'loss') }
  const begin = (place: HTMLElement) => {
    const { show } = drawIn(place)
    const [model, run] = [Number(place.dataset.model), Number(place.dataset.run)]
    const draw = () => {
      const quantity = chosen<Quantity>('quantity')
      show(runChart(models, { model, run, quantity }, axes[quantity], onPage), (epoch) => tip(epoch, quantity))
    }
    const tip = (epoch: number, quantity: Quantity) => {
      const curves = models[model]!.runs[run]!
      const { training, test } = curveKeys[quantity]
      const text = (values: readonly number[]) => {
        const value = values[epoch - 1]!
        return quantity === 'error' ? `${value.toFixed(2)} %` : value.toFixed(4)
      }
      return html`<table><caption>epoch ${epoch}, learning rate ${curves.learningRate[epoch - 1]}</caption>
<tr><th>${line(onPage.quiet)}training</th><td>${text(curves[training])}</td></tr>
<tr><th>${swatch(model)}test</th><td>${text(curves[test])}</td></tr></table>`
    }
    draw()
    drawings.push(draw)
  }
  onChoice('quantity', () => {
    for (const draw of drawings) draw()
  })
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue
        seen.unobserve(target)
        begin(target as HTMLElement)
      }
    },
    { rootMargin: '200px' },
  )
  for (const place of section.querySelectorAll('.run')) seen.observe(place)
}
