// The design beside the networks of the zoo.

import { ScatterChart } from 'echarts/charts'
import { use } from 'echarts/core'
import { useMemo } from 'preact/hooks'
import { axisStyleIn } from '../../driver/charts/style.js'
import { grouped } from '../../driver/format/table.js'
import { onPage } from '../../study/report/theme.js'
import { design, setDesign } from '../address.js'
import { Chart, tooltip } from '../ui/chart.js'
import { Panel } from '../ui/fields.js'
import { designFrom, nameOf } from './design.js'
import { type Facts, superscript } from './facts.js'

use([ScatterChart])

const axis = axisStyleIn(onPage)
const THIS = 'this design'

interface Mark {
  readonly name: string
  readonly value: readonly [meanLayers: number, magnitude: number]
  readonly facts: Facts
}

/** Networks whose paths are alike share a mark. */
function marksOf(zoo: readonly Facts[]): readonly Mark[] {
  const marks = new Map<string, Mark>()
  for (const facts of zoo) {
    const value = [facts.meanLayers, facts.magnitude] as const
    const earlier = marks.get(value.join())
    marks.set(value.join(), { value, facts, name: earlier ? `${earlier.name}, ${facts.name}` : facts.name })
  }
  return [...marks.values()]
}

function chartOf(own: Facts, zoo: readonly Facts[]) {
  const series = (data: readonly Mark[], style: object) => ({
    type: 'scatter',
    emphasis: { disabled: true },
    label: {
      show: true,
      position: 'top',
      distance: 7,
      fontSize: 12,
      color: 'var(--text)',
      formatter: ({ name }: { readonly name: string }) => name,
    },
    labelLayout: { moveOverlap: 'shiftY', hideOverlap: true },
    // A name above the first marks would lie across the axis.
    data: data.map((mark) => (mark.value[0] < 12 ? { ...mark, label: { position: 'right' } } : mark)),
    ...style,
  })
  const mine: Mark = { name: THIS, value: [own.meanLayers, own.magnitude], facts: own }
  return {
    grid: { left: 60, right: 64, top: 30, bottom: 44 },
    tooltip: {
      ...tooltip,
      formatter: ({ data: { name, facts } }: { readonly data: Mark }) =>
        `${name}<br>${grouped(facts.parameters)} parameters<br>${grouped(facts.multiplyAdds)} multiply-adds<br>` +
        `${facts.multiplicity} paths`,
    },
    xAxis: { ...axis, type: 'value', name: 'layers of a path, on average', nameGap: 28 },
    yAxis: {
      ...axis,
      type: 'value',
      min: 0,
      name: 'paths (multiplicity)',
      nameGap: 40,
      axisLabel: { ...axis.axisLabel, formatter: (power: number) => `10${superscript(power)}` },
    },
    series: [
      series(marksOf(zoo), { symbolSize: 10, itemStyle: { color: 'var(--quiet)' } }),
      series([mine], {
        ...{ symbol: 'diamond', symbolSize: 20, itemStyle: { color: 'var(--mark)' }, z: 3 },
        label: {
          ...{ show: true, position: 'right', distance: 6, fontSize: 13, fontWeight: 600, color: 'var(--mark)' },
          formatter: THIS,
        },
      }),
    ],
  }
}

interface ComparisonProps {
  readonly own: Facts
  readonly zoo: readonly Facts[]
}

export function Comparison({ own, zoo }: ComparisonProps) {
  const options = useMemo(() => chartOf(own, zoo), [own, zoo])
  const label = `Average length of a path against the number of paths, for this design and ${zoo.length} networks of the papers; the table below has them.`
  const current = nameOf(design.value)
  const { classes, imageSize, pixels } = design.value
  return (
    <Panel title="Beside the networks of the papers" class="comparison">
      <Chart class="zoo" options={options} label={label} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <section class="wide" tabIndex={0} aria-label="networks of the papers">
        <table>
          <thead>
            <tr>
              <th scope="col">network</th>
              <th scope="col">layers</th>
              <th scope="col">parameters</th>
              <th scope="col">multiply-adds</th>
              <th scope="col">paths</th>
              <th scope="col">
                <span class="unseen">take it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            <Row facts={{ ...own, name: THIS }} isOwn />
            {zoo.map((facts) => (
              <Row
                key={facts.name}
                facts={facts}
                isOwn={false}
                onTake={
                  facts.name === current
                    ? undefined
                    : () => setDesign({ ...designFrom(`arch=${facts.name}`), classes, imageSize, pixels })
                }
              />
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  )
}

interface RowProps {
  readonly facts: Facts
  readonly isOwn: boolean
  readonly onTake?: (() => void) | undefined
}

const Row = ({ facts, isOwn, onTake }: RowProps) => (
  <tr class={isOwn ? 'own' : ''}>
    <th scope="row">{facts.name}</th>
    <td>{grouped(facts.depth)}</td>
    <td>{grouped(facts.parameters)}</td>
    <td>{grouped(facts.multiplyAdds)}</td>
    <td>{facts.multiplicity}</td>
    <td>
      {onTake && (
        <button type="button" class="link" aria-label={`take ${facts.name}`} onClick={onTake}>
          take
        </button>
      )}
    </td>
  </tr>
)
