// The colours of the page, whichever it has at the moment: by day or by night, on a screen or on paper.

import { onWhite, type Theme } from '../../driver/charts/style.js'

export const onPage: Theme = {
  background: 'transparent',
  ...{ text: 'var(--text)', quiet: 'var(--quiet)', line: 'var(--line)', grid: 'var(--grid)' },
  curves: onWhite.curves.map((_, i) => `var(--curve-${i})`),
}
