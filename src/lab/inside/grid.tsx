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

export const Grid = ({ tiles, label }: { readonly tiles: readonly Tile[]; readonly label: string }) => (
  <ul class="tiles" aria-label={label}>
    {tiles.map((tile, i) => (
      <li key={i}>
        <Canvas tile={tile} />
      </li>
    ))}
  </ul>
)
