// The block that is designed, drawn as in Figure 1 of the paper: a shortcut, and beside it each residual function as a chain of batch
// norm, ReLU and convolution. A dropped ReLU is not there; a click where it would be puts it in again.

import { convolutionsOf } from '../../../graphs/residual.js'
import type { Design } from './design.js'

const COLUMN = 138
const BOX = { width: 108, height: 30 }
const STEP = 44
/** Columns that fit beside each other and can still be read. */
const MOST = 6

type Unit = { readonly kind: 'bn' | 'conv'; readonly text: string } | { readonly kind: 'relu'; readonly place: number }

/** The operators of a function from its input to its output, dropped ReLUs included. */
function unitsOf({ block, activation, widths }: Design): readonly Unit[] {
  const width = widths[0] ?? 0
  const kernels = block === 'basic' ? ['3×3', '3×3'] : ['1×1', '3×3', '1×1']
  return kernels.flatMap((kernel, place): Unit[] => {
    const isLast = place === kernels.length - 1
    const channels = block === 'bottleneck' && isLast ? 4 * width : width
    const conv: Unit = { kind: 'conv', text: `${kernel} conv, ${channels}` }
    const activate: readonly Unit[] = [
      { kind: 'bn', text: 'BN' },
      { kind: 'relu', place },
    ]
    return activation === 'pre' ? [...activate, conv] : [conv, ...activate]
  })
}

interface Column {
  readonly mask: string
  /** Functions that it stands for: the first of them, and how many. */
  readonly first: number
  readonly count: number
}

/** A column a function; equal ones that follow each other share one where there are many. */
function columnsOf(functions: readonly string[]): readonly Column[] {
  const columns: Column[] = []
  functions.forEach((mask, first) => {
    const last = columns.at(-1)
    if (functions.length > 4 && last?.mask === mask) columns[columns.length - 1] = { ...last, count: last.count + 1 }
    else columns.push({ mask, first, count: 1 })
  })
  return columns
}

interface FigureProps {
  readonly design: Design
  /** A ReLU of the function at the index, counted from 0, is to be put in or taken out. */
  readonly onRelu: (functionIndex: number, place: number) => void
}

export function BlockFigure({ design, onRelu }: FigureProps) {
  const units = unitsOf(design)
  const all = columnsOf(design.functions)
  const columns = all.slice(0, MOST)
  const hidden = design.functions.length - columns.reduce((sum, { count }) => sum + count, 0)
  const [top, left] = [46, 98]
  const xOf = (column: number) => left + COLUMN / 2 + column * COLUMN
  const firstUnit = top + 42
  const bottom = firstUnit + units.length * STEP
  const isGated = design.stochasticDepth !== undefined
  const sumAt = { x: 49, y: bottom + 34 }
  const isPost = design.activation === 'post'
  const width = left + columns.length * COLUMN + (hidden > 0 ? 62 : 8)
  const height = sumAt.y + (isPost ? 108 : 62)
  const right = xOf(columns.length - 1)
  return (
    <svg
      class="figure"
      viewBox={`0 0 ${width} ${height}`}
      style={{ maxWidth: `${width * 1.12}px` }}
      role="img"
      aria-label={describe(design)}
    >
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0.6 8 4 0 7.4z" class="head" />
        </marker>
      </defs>
      <text class="value" x={sumAt.x} y={18}>
        x
      </text>
      {/* The shortcut, and the way to each function. */}
      <path class="wire shortcut" d={`M${sumAt.x} 26V${sumAt.y - 12}`} marker-end="url(#arrow)" />
      <path class="wire" d={`M${sumAt.x} ${top}H${right}`} />
      <text class="side" transform={`translate(${sumAt.x - 13} ${(top + bottom) / 2}) rotate(-90)`}>
        {design.shortcut === 'projection' ? 'shortcut: identity, or 1×1 conv' : 'shortcut: identity, or pool and zeros'}
      </text>
      {columns.map(({ mask, first, count }, column) => {
        const x = xOf(column)
        return (
          <g key={`${first}-${count}`}>
            <path class="wire" d={`M${x} ${top}V${bottom + 4 + (isGated ? 0 : 30)}`} />
            <text class="name" x={x + 8} y={top + 19}>
              f<tspan class="index">{first + 1}</tspan>
              {count > 1 && (
                <>
                  …<tspan class="index">{first + count}</tspan>
                  <tspan> × {count}</tspan>
                </>
              )}
            </text>
            {units.map((unit, row) => {
              const y = firstUnit + row * STEP
              if (unit.kind !== 'relu') return <Box key={row} kind={unit.kind} x={x} y={y} text={unit.text} />
              const isThere = mask[unit.place] === '1'
              const flip = () => {
                for (let each = first; each < first + count; each++) onRelu(each, unit.place)
              }
              return (
                // biome-ignore lint/a11y/noStaticElementInteractions: for the pointer; the form has a button for the same
                <g key={row} class={isThere ? 'switch' : 'switch dropped'} onClick={flip}>
                  <title>{isThere ? 'a click drops this ReLU' : 'a click puts the ReLU in'}</title>
                  <Box kind="relu" x={x} y={y} text="ReLU" />
                </g>
              )
            })}
            {isGated && <path class="wire" d={`M${x} ${bottom + 4}V${sumAt.y}`} />}
          </g>
        )
      })}
      {hidden > 0 && (
        <text class="more" x={right + COLUMN / 2 + 24} y={(top + bottom) / 2}>
          + {hidden}
        </text>
      )}
      <path class="wire" d={`M${right} ${sumAt.y}H${sumAt.x + 13}`} marker-end="url(#arrow)" />
      {isGated && (
        <g class="box pill">
          <rect x={xOf(0) - 82} y={sumAt.y - 12} width="64" height="24" rx="12" />
          <text x={xOf(0) - 50} y={sumAt.y + 4.5}>
            gate p
          </text>
        </g>
      )}
      <circle class="sum" cx={sumAt.x} cy={sumAt.y} r="11" />
      <path class="wire" d={`M${sumAt.x - 6} ${sumAt.y}h12M${sumAt.x} ${sumAt.y - 6}v12`} />
      <path class="wire" d={`M${sumAt.x} ${sumAt.y + 11}V${height - 24}`} marker-end="url(#arrow)" />
      {isPost && <Box kind="relu" x={sumAt.x} y={sumAt.y + 24} text="ReLU" narrow />}
      <text class="value" x={sumAt.x} y={height - 6}>
        y
      </text>
    </svg>
  )
}

interface BoxProps {
  readonly kind: 'bn' | 'relu' | 'conv'
  readonly x: number
  readonly y: number
  readonly text: string
  readonly narrow?: boolean
}

function Box({ kind, x, y, text, narrow = false }: BoxProps) {
  const width = narrow ? 64 : BOX.width
  return (
    <g class={`box ${kind === 'relu' ? 'pill' : kind}`}>
      <rect x={x - width / 2} y={y} width={width} height={BOX.height} rx={kind === 'relu' ? 15 : 5} />
      <text x={x} y={y + BOX.height / 2 + 4.5}>
        {text}
      </text>
    </g>
  )
}

/** The drawing in words. */
function describe(design: Design): string {
  const { block, functions, activation, stochasticDepth } = design
  const places = Array.from({ length: convolutionsOf(design) }, (_, place) => place)
  const each = functions.slice(0, 8).map((mask, i) => {
    const dropped = places.filter((place) => mask[place] === '0').map((place) => place + 1)
    return `function ${i + 1} ${dropped.length === 0 ? 'keeps every ReLU' : `drops ReLU ${dropped.join(' and ')}`}`
  })
  const rest = functions.length > 8 ? [`and ${functions.length - 8} more`] : []
  const kind = `A ${block} block with ${activation}-activation, a shortcut and ${functions.length} residual function${functions.length === 1 ? '' : 's'}`
  const gate = stochasticDepth === undefined ? '' : ', behind a gate'
  return `${kind}${gate}: ${[...each, ...rest].join('; ')}.`
}
