// The weights of a network as a tree by their names, with a switch for each and for each branch.

import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { grouped } from '../../driver/format/table.js'
import { Panel } from '../ui/fields.js'
import type { NetworkFacts, WeightFacts } from './inspection.js'
import { choose } from './model.js'
import { type Branch, leavesOf, partsOf, treeOf } from './names.js'

/** Levels that are open at first, of trees that are small. */
const OPEN = 1
const FEW = 60

export function Weights({ network, disabled }: { readonly network: NetworkFacts; readonly disabled: boolean }) {
  const { weights, last } = network
  const tree = treeOf(weights)
  const trained = weights.filter(({ trains }) => trains)
  const count = (some: readonly WeightFacts[]) => grouped(some.reduce((sum, weight) => sum + weight.count, 0))
  const turn = (names: readonly string[], on: boolean) => {
    const turned = new Set(names)
    const next = weights.filter(({ name, trains, canTrain }) => canTrain && (turned.has(name) ? on : trains))
    choose({ train: next.map(({ name }) => name) })
  }
  return (
    <Panel title="Weights" class="weights">
      <p>
        <strong>{count(trained)}</strong> of {count(weights)} numbers train, in {trained.length} of {weights.length}{' '}
        tensors.
      </p>
      <div class="row">
        {last.length > 0 && (
          <button type="button" disabled={disabled} onClick={() => choose({ train: 'last' })}>
            The last layer alone
          </button>
        )}
        <button type="button" disabled={disabled} onClick={() => choose({ train: 'all' })}>
          All of them
        </button>
      </div>
      <fieldset class="tree" disabled={disabled} aria-label="weights that train">
        <ul>
          <Inside branch={tree} depth={0} isSmall={weights.length <= FEW} onTurn={turn} />
        </ul>
      </fieldset>
    </Panel>
  )
}

interface InsideProps {
  readonly branch: Branch
  readonly depth: number
  readonly isSmall: boolean
  readonly onTurn: (names: readonly string[], on: boolean) => void
}

const Inside = ({ branch, ...rest }: InsideProps) => (
  <>
    {branch.branches.map((inner) => (
      <li key={`branch ${inner.name}`}>
        <Twig branch={inner} {...rest} />
      </li>
    ))}
    {branch.weights.map((weight) => (
      <li key={weight.name} class="leaf">
        <Leaf weight={weight} onTurn={rest.onTurn} />
      </li>
    ))}
  </>
)

function Twig({ branch, depth, isSmall, onTurn }: InsideProps) {
  const isOpen = useSignal(isSmall && depth < OPEN)
  const able = [...leavesOf(branch)].filter(({ canTrain }) => canTrain)
  const trained = able.filter(({ trains }) => trains).length
  const numbers = [...leavesOf(branch)].reduce((sum, { count }) => sum + count, 0)
  return (
    <details
      open={isOpen.value}
      onToggle={({ currentTarget }) => {
        isOpen.value = currentTarget.open
      }}
    >
      <summary>
        <Switch
          label={`${branch.name}, ${able.length} weights`}
          state={trained === 0 ? 'off' : trained === able.length ? 'on' : 'some'}
          disabled={able.length === 0}
          onTurn={(on) =>
            onTurn(
              able.map(({ name }) => name),
              on,
            )
          }
        />
        <span class="name">{branch.name}</span>
        <span class="numbers-of">{grouped(numbers)}</span>
      </summary>
      {isOpen.value && (
        <ul>
          <Inside branch={branch} depth={depth + 1} isSmall={isSmall} onTurn={onTurn} />
        </ul>
      )}
    </details>
  )
}

function Leaf({ weight, onTurn }: { readonly weight: WeightFacts; readonly onTurn: InsideProps['onTurn'] }) {
  const { name, shape, count, trains, canTrain } = weight
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the switch is an input
    <label>
      <Switch label={name} state={trains ? 'on' : 'off'} disabled={!canTrain} onTurn={(on) => onTurn([name], on)} />
      <span class="name">{partsOf(name).at(-1) ?? name}</span>
      <span class="shape">{canTrain ? shape.join('×') || 'a number' : 'statistics'}</span>
      <span class="numbers-of">{grouped(count)}</span>
    </label>
  )
}

interface SwitchProps {
  readonly label: string
  readonly state: 'on' | 'off' | 'some'
  readonly disabled: boolean
  readonly onTurn: (on: boolean) => void
}

function Switch({ label, state, disabled, onTurn }: SwitchProps) {
  const box = useRef<HTMLInputElement>(null)
  useEffect(() => {
    box.current!.indeterminate = state === 'some'
  }, [state])
  return (
    <input
      ref={box}
      type="checkbox"
      aria-label={`train ${label}`}
      checked={state === 'on'}
      disabled={disabled}
      onClick={(event) => event.stopPropagation()}
      onChange={() => onTurn(state !== 'on')}
    />
  )
}
