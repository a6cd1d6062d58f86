// The fields of a design.

import { architectureFrom } from '../../../graphs/describe.js'
import { convolutionsOf, depthOf } from '../../../graphs/residual.js'
import { zoo } from '../../../graphs/zoo.js'
import { design, setDesign } from '../address.js'
import { Check, Choice, DecimalField, Panel, Select, WholeField } from '../ui/fields.js'
import { type Design, designFrom, nameOf, withBlock, withRelu } from './design.js'

const change = (changes: Partial<Design>) => setDesign({ ...design.value, ...changes })

export function DesignForm() {
  return (
    <div class="form">
      <Start />
      <Block />
      <Functions />
      <Stages />
      <Data />
    </div>
  )
}

function Start() {
  const name = nameOf(design.value) ?? ''
  const own = name === '' ? ([['', 'a design of your own']] as const) : []
  const { classes, imageSize, pixels } = design.value
  return (
    <Panel title="Network">
      <Select
        label="Start from"
        value={name}
        choices={[...own, ...zoo.map(({ architecture }) => [architecture.name, architecture.name] as const)]}
        onChange={(arch) => setDesign({ ...designFrom(`arch=${arch}`), classes, imageSize, pixels })}
      />
    </Panel>
  )
}

function Block() {
  const { block, activation, shortcut, stochasticDepth } = design.value
  return (
    <Panel title="Block">
      <Choice
        label="Kind"
        value={block}
        choices={[
          ['basic', 'basic'],
          ['bottleneck', 'bottleneck'],
        ]}
        onChange={(next) => setDesign(withBlock(design.value, next))}
      />
      <Choice
        label="BN and ReLU"
        value={activation}
        choices={[
          ['pre', 'before the convolution'],
          ['post', 'after it'],
        ]}
        onChange={(next) => change({ activation: next })}
      />
      <Choice
        label="Shortcut where the shape changes"
        value={shortcut}
        choices={[
          ['projection', '1×1 convolution'],
          ['padding', 'pooling and zeros'],
        ]}
        onChange={(next) => change({ shortcut: next })}
      />
      <Check
        checked={stochasticDepth !== undefined}
        onChange={(on) => change({ stochasticDepth: on ? 0.5 : undefined } as Partial<Design>)}
      >
        Stochastic depth
      </Check>
      {stochasticDepth !== undefined && (
        <DecimalField
          label="Survival probability of the last block"
          hint="It falls linearly from 1 at the input."
          value={stochasticDepth}
          {...{ min: 1e-6, max: 1, by: 0.05 }}
          onChange={(next) => change({ stochasticDepth: next })}
        />
      )}
    </Panel>
  )
}

function Functions() {
  const { functions } = design.value
  const length = convolutionsOf(design.value)
  const resize = (r: number) => {
    // A new one is like the paper's second: its first ReLUs dropped.
    const added = new Array<string>(Math.max(0, r - functions.length)).fill(`${'0'.repeat(length - 1)}1`)
    change({ functions: [...functions.slice(0, r), ...added] })
  }
  return (
    <Panel title="Residual functions">
      <WholeField label="How many a block (r)" value={functions.length} min={1} max={1000} onChange={resize} />
      <p class="hint">Each ReLU is a switch. The paper drops the first ones of the second function.</p>
      <ul class="functions">
        {functions.map((mask, index) => (
          <li key={index}>
            <span class="label" id={`function-${index}`}>
              f<sub>{index + 1}</sub>
            </span>
            <fieldset class="switches" aria-label={`function ${index + 1}`}>
              {[...mask].map((digit, place) => (
                <button
                  key={place}
                  type="button"
                  role="switch"
                  aria-checked={digit === '1'}
                  aria-label={`ReLU ${place + 1} of function ${index + 1}`}
                  onClick={() => setDesign(withRelu(design.value, index, place))}
                >
                  ReLU {place + 1}
                </button>
              ))}
            </fieldset>
            <button
              type="button"
              class="quiet"
              aria-label={`remove function ${index + 1}`}
              disabled={functions.length === 1}
              onClick={() => change({ functions: functions.filter((_, i) => i !== index) })}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <button type="button" disabled={functions.length === 1000} onClick={() => resize(functions.length + 1)}>
        Add a function
      </button>
    </Panel>
  )
}

/** @throws UserError where stages alike do not make up the depth, with the nearest that do */
function setDepth(depth: number): void {
  const { block, functions, widths } = design.value
  const spelled = (key: string) => (key === 'blocks' ? 'the fields below' : `a ${key} of`)
  change({ blocks: architectureFrom({ block, functions, widths, depth }, spelled).architecture.blocks })
}

function Stages() {
  const { blocks, widths } = design.value
  const replaced = (list: readonly number[], at: number, value: number) =>
    list.map((old, i) => (i === at ? value : old))
  return (
    <Panel title="Stages">
      <WholeField
        label="Depth, in layers"
        value={depthOf(design.value)}
        {...{ min: 2, max: 100_000, by: convolutionsOf(design.value) * blocks.length }}
        onChange={setDepth}
      />
      <fieldset class="stages" aria-label="blocks and width of each stage">
        {blocks.map((count, stage) => (
          <div key={stage}>
            <WholeField
              label={`Stage ${stage + 1}: blocks`}
              value={count}
              {...{ min: 1, max: 1000 }}
              onChange={(next) => change({ blocks: replaced(blocks, stage, next) })}
            />
            <WholeField
              label="width"
              value={widths[stage]!}
              {...{ min: 1, max: 65_536, by: 8 }}
              onChange={(next) => change({ widths: replaced(widths, stage, next) })}
            />
          </div>
        ))}
      </fieldset>
      <div class="row">
        <button
          type="button"
          disabled={blocks.length === 8}
          onClick={() => change({ blocks: [...blocks, blocks.at(-1)!], widths: [...widths, 2 * widths.at(-1)!] })}
        >
          Add a stage
        </button>
        <button
          type="button"
          disabled={blocks.length === 1}
          onClick={() => change({ blocks: blocks.slice(0, -1), widths: widths.slice(0, -1) })}
        >
          Remove the last
        </button>
      </div>
    </Panel>
  )
}

function Data() {
  const { classes, imageSize, pixels } = design.value
  return (
    <Panel title="Images">
      <div class="pair">
        <WholeField
          label="Classes"
          value={classes}
          {...{ min: 2, max: 256 }}
          onChange={(next) => change({ classes: next })}
        />
        <WholeField
          label="Height and width"
          value={imageSize}
          {...{ min: 1, max: 1024, by: 8 }}
          onChange={(next) => change({ imageSize: next })}
        />
      </div>
      <Choice
        label="Pixels are normalized as those of"
        value={pixels}
        choices={[
          ['cifar10', 'CIFAR-10'],
          ['cifar100', 'CIFAR-100'],
        ]}
        onChange={(next) => change({ pixels: next })}
      />
    </Panel>
  )
}
