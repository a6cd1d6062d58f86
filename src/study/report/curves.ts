// What the charts draw, of the report: in per cent, with no more digits than a reader can see.

import type { ModelCurves } from './charts.js'
import type { Report } from './report.js'

const digits = (value: number, count: number) => Number(value.toFixed(count))
const percent = (fraction: number) => digits(100 * fraction, 4)

export const curvesOf = ({ models }: Report): readonly ModelCurves[] =>
  models.map(({ name, epochs, curve, runs }) => ({
    name,
    epochs,
    mean: curve.map(({ mean, std, runs: count }) => [percent(mean), std === null ? null : percent(std), count]),
    runs: runs
      .filter(({ history }) => history.length > 0)
      .map(({ seed, history }) => ({
        seed,
        error: history.map(({ error = 0 }) => percent(error)),
        testError: history.map(({ testError = 0 }) => percent(testError)),
        loss: history.map(({ loss }) => digits(loss, 4)),
        testLoss: history.map(({ testLoss }) => digits(testLoss, 4)),
        learningRate: history.map(({ learningRate }) => learningRate),
      })),
  }))
