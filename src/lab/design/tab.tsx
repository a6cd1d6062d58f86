// The tab Design: Figure 1 of the paper, alive.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { zoo } from '../../../graphs/zoo.js'
import { messageOf } from '../../core/errors.js'
import { grouped } from '../../driver/format/table.js'
import { addressProblem, design, range, setDesign } from '../address.js'
import { Panel } from '../ui/fields.js'
import { Work } from '../work/work.js'
import { Comparison } from './comparison.js'
import { architectureOf, withRelu } from './design.js'
import type { Facts } from './facts.js'
import { BlockFigure } from './figure.js'
import { DesignForm } from './form.js'
import { LengthsPanel } from './lengths.js'

const architectures = zoo.map(({ architecture }) => architecture)
/** Milliseconds without a change after which numbers are worked out. */
const PAUSE = 60

export function DesignTab() {
  const problem = useSignal<string | undefined>(undefined)
  const facts = useSignal<readonly Facts[]>([])
  const [now, layers] = [design.value, range.value]
  useEffect(() => {
    const timer = setTimeout(async () => {
      try {
        const networks = [architectureOf(now), ...architectures]
        const answer = await work.ask('facts', { networks, range: layers })
        if (answer) facts.value = answer
        problem.value = undefined
      } catch (error) {
        problem.value = messageOf(error)
      }
    }, PAUSE)
    return () => clearTimeout(timer)
  }, [now, layers])
  const [own, ...others] = facts.value
  const said = addressProblem.value ?? problem.value
  return (
    <div class="columns design">
      <div class="upper">
        <p class="problem banner" role="alert" hidden={said === undefined}>
          {said}
        </p>
        <Panel title="The block" class="block">
          <BlockFigure design={now} onRelu={(index, place) => setDesign(withRelu(design.value, index, place))} />
        </Panel>
        <div class="numbers" aria-live="polite" aria-atomic="true">
          {own && <Numbers facts={own} />}
        </div>
      </div>
      <DesignForm />
      {own && (
        <div class="results">
          <LengthsPanel facts={own} />
          <Comparison own={own} zoo={others} />
        </div>
      )}
    </div>
  )
}

const work = new Work()

const Numbers = ({ facts }: { readonly facts: Facts }) => (
  <dl>
    <Fact name="network" value={facts.name} small />
    <Fact name="parameters" value={grouped(facts.parameters)} />
    <Fact name="multiply-adds an image" value={grouped(facts.multiplyAdds)} />
    <Fact name={`paths: ${facts.r + 1} to the power of ${facts.blocks}`} value={facts.multiplicity} />
    <Fact name="layers" value={grouped(facts.depth)} />
    <Fact name={`edges, ${facts.r + 1} in each of ${facts.blocks} blocks`} value={grouped(facts.edges)} />
  </dl>
)

const Fact = ({
  name,
  value,
  small = false,
}: {
  readonly name: string
  readonly value: string
  readonly small?: boolean
}) => (
  <div class={small ? 'small' : ''}>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)
