// The pictures of a report: Figure 2 as files, and every chart as it stands in the page without its script.

import { LegendComponent, TitleComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { colours, onWhite, titleStyle } from '../../driver/charts/style.js'
import { svgOf } from '../../driver/charts/svg.js'
import { type ModelCurves, meansChart, type RunAxis, type RunPlace, runChart, type Scale } from './charts.js'
import { onPage } from './theme.js'

use([LegendComponent, TitleComponent])

/** Figure 2 as the text of an SVG file. */
export function meansSvg(models: readonly ModelCurves[], title: string, scale: Scale): string {
  const { legend, height } = legendOf(models)
  return svgOf(
    {
      ...meansChart(models, { scale, theme: onWhite }),
      title: { ...titleStyle, text: title, subtext: 'mean test error of the runs ± standard deviation' },
      legend: { ...legend, type: 'plain', top: 62, left: 'center' },
      grid: { left: 70, right: 30, top: 70 + height, bottom: 60, containLabel: false },
    },
    { height: 470 + height },
  )
}

/** Names in columns, each with room for a viewer's wider font than the renderer reckons with. */
function legendOf(models: readonly ModelCurves[]) {
  const [most, itemWidth, itemGap, line] = [720, 22, 14, 28]
  const width = 8.5 * Math.max(...models.map(({ name }) => name.length))
  // The renderer puts 5 pixels between a symbol and its name.
  const columns = Math.max(1, Math.floor((most + itemGap) / (itemWidth + 5 + width + itemGap)))
  const legend = {
    ...{ width: most, itemWidth, itemHeight: 7, itemGap },
    // Only a text with a background takes the width that it is given.
    textStyle: { width, fontSize: 13, color: colours.text, backgroundColor: 'transparent' },
    data: models.map(({ name }) => name),
  }
  return { legend, height: line * Math.ceil(models.length / columns) }
}

const inPage = { backgroundColor: 'transparent' }

export const meansInPage = (models: readonly ModelCurves[], scale: Scale): string =>
  svgOf({ ...meansChart(models, { scale, theme: onPage }), ...inPage }, { width: 960, height: 520, names: `${scale}-` })

export const runInPage = (models: readonly ModelCurves[], place: RunPlace, axis: RunAxis): string =>
  svgOf(
    { ...runChart(models, place, axis, onPage), ...inPage },
    { width: 280, height: 180, names: `${place.quantity}-${place.model}-${place.run}-` },
  )
