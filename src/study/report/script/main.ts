// The page's script: draws the charts anew, to be pointed at, and lets models be hidden. Runs in a browser.

import type { ModelCurves } from '../charts.js'
import { drawMeans } from './means.js'
import { drawRuns } from './runs.js'

const models = JSON.parse(document.getElementById('data')!.textContent!) as readonly ModelCurves[]

drawMeans(document.getElementById('figure2')!, models)
drawRuns(document.getElementById('curves'), models)
