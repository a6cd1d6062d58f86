// What rdm-repro prints of jobs and models.
import { paperText } from '../../../graphs/table1.js'
import { table } from '../../driver/format/table.js'
import { duration, percentage } from '../../driver/format/units.js'
import { spreadText } from '../../driver/seeds/statistics.js'
import type { ModelResult } from '../../study/repro/results.js'
import type { JobStatus } from '../../study/repro/status.js'

/** A row a model: of Table 1's networks the paper's figures stand beside ours. */
export function modelTable(models: readonly ModelResult[]): string {
  const rows = models.map(({ name, done, seeds, testError, paper, folder }) => [
    name,
    `${done} of ${seeds}`,
    testError ? spreadText(testError) : '-',
    paper ? paperText(paper) : '-',
    folder,
  ])
  return table([['model', 'seeds', 'test error %', 'paper %', 'folder'], ...rows])
}

/** A row a job. Where they are in a queue, it says who trains them and how long that will take. */
export function jobTable(jobs: readonly JobStatus[]): string {
  const queued = jobs.some(({ training }) => training)
  const rows = jobs.map(({ job, state, epoch, epochs, step, testError, folder, training }) => [
    job.id,
    state,
    ...(queued ? [training?.worker ?? '-'] : []),
    `${epoch} of ${epochs}`,
    `${step}`,
    testError === null ? '-' : percentage(testError),
    ...(queued ? [training?.imagesPerSecond?.toFixed(0) ?? '-', training?.left ? duration(training.left) : '-'] : []),
    folder,
  ])
  const header = ['job', 'state', ...(queued ? ['worker'] : []), 'epochs', 'steps', 'test error %']
  return table([[...header, ...(queued ? ['images/s', 'left'] : []), 'folder'], ...rows])
}
