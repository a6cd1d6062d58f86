// Steps as rdm-fit tells of them, back to the runs of ONNX Runtime that they were: the steps of one run arrive together.

const sum = (list, value) => list.reduce((total, each) => total + value(each), 0)

/** The runs of one training run from now on. */
export class Runs {
  /** { at, ms, steps, images, epoch } of each run that is complete; `at`: when it ended; `epoch`: an evaluation followed */
  complete = []
  #open

  /**
   * Takes an event of rdm-fit with the time `at` of its arrival in ms; `ms` of a step is that of its run by its steps.
   * @returns how many runs have ended, that of this step included
   */
  add({ event, at, ms, images }) {
    if (event === 'epoch' && this.#open) this.#open.epoch = true
    if (event === 'step') {
      if (this.#open && at - this.#open.last < Math.max(1, ms / 2)) {
        Object.assign(this.#open, { last: at, steps: this.#open.steps + 1, images: this.#open.images + images })
      } else {
        this.close()
        this.#open = { at, last: at, ms, steps: 1, images, epoch: false }
      }
    }
    return this.complete.length + Number(this.#open !== undefined)
  }

  /** All runs, the last one complete by now. */
  close() {
    if (this.#open) this.complete.push(this.#open)
    this.#open = undefined
    return this.complete
  }
}

/** Images in how many ms, from the end of the first of these runs to that of the last, evaluations left out. */
export function paceOf(runs) {
  const pairs = runs.slice(1).map((run, i) => ({ ...run, before: runs[i] }))
  const steady = pairs.filter(({ before }) => !before.epoch)
  return { images: sum(steady, ({ images }) => images), wallMs: sum(steady, ({ at, before }) => at - before.at) }
}
