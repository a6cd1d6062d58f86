// What would be drawn at each step is drawn a few times a second.

/** Milliseconds from one drawing to the next. */
const PACE = 250

/** Calls `draw` a while after the first of the calls that come in that while. */
export function paced(draw: () => void): () => void {
  let willDraw = false
  return () => {
    if (willDraw) return
    willDraw = true
    setTimeout(() => {
      willDraw = false
      draw()
    }, PACE)
  }
}
