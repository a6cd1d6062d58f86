// Tiles side by side.

import { useEffect, useRef } from 'preact/hooks'
import type { Tile } from './tiles.js'

export function Canvas({ tile: { pixels, height, width, label } }: { readonly tile: Tile }) {
  const place = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    place.current!.getContext('2d')!.putImageData(new ImageData(pixels, width, height), 0, 0)
  }, [pixels])
  return <canvas ref={place} width={width} height={height} role="img" aria-label={label} title={label} />
}

interface GridProps {
  readonly tiles: readonly Tile[]
  /** Of the list. */
  readonly label: string
  readonly class?: string
}

export const Grid = ({ tiles, label, class: name = '' }: GridProps) => (
  <ul class={`tiles ${name}`} aria-label={label}>
    {tiles.map((tile, i) => (
      <li key={i}>
        <Canvas tile={tile} />
      </li>
    ))}
  </ul>
)
