// Who takes part in the step times: our rdm-fit and PyTorch, each a process of its own that is stopped (SIGSTOP) while
// another has its turn. Each trains from the same weights; the first steps of all see the same batches.

import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Events, ours, python } from './processes.mjs'
import { paceOf, Runs } from './runs.mjs'
import { LEARNING_RATE, precisions, stepOptions } from './settings.mjs'

/** Steps whose losses must agree before anything is timed. */
export const CHECKED = 3
/** Steps of rdm-fit before it is timed, in one of its runs, and of PyTorch's profile. */
const WARM_UP = 40
const STEPS_PER_RUN = 20
const PROFILED = 20
/** Milliseconds in which rdm-fit prints the steps of a run. */
const PRINTING = 20

class Contestant {
  constructor(processes, command) {
    this.child = processes.spawn(command)
  }

  /** The next object that the process prints; throws when it has ended. */
  async next() {
    const event = await this.events.next()
    if (event) return event
    const { reason } = await this.child.ended
    throw new Error(`it has ended: ${reason}`)
  }

  pause() {
    this.child.kill('SIGSTOP')
  }

  goOn() {
    this.child.kill('SIGCONT')
  }

  end() {
    this.child.kill('SIGKILL')
  }
}

export class Ours extends Contestant {
  constructor(processes, { folder, model, data, settings, precision }) {
    const rate = ['--lr', LEARNING_RATE, '--epochs', 100_000, '--checkpoint-seconds', 1e6]
    const options = [model, '--data', data, '--out', folder, '--json', ...rate, ...stepOptions(settings, precision)]
    super(processes, ours('rdm-fit', options))
    this.events = new Events(this.child)
  }

  async start(warmUp) {
    const losses = []
    for (let steps = 0; steps < Math.max(CHECKED, warmUp); ) {
      const { event, loss, message } = await this.next()
      // What is timed is a GPU, or nothing.
      if (event === 'notice' && message.startsWith('training on the CPU')) throw new Error(message)
      if (event !== 'step') continue
      if (losses.length < CHECKED) losses.push(loss)
      steps++
    }
    await this.#settle()
    return { losses }
  }

  /** Steps for so many seconds: ms a step of each run of ONNX Runtime, and images by ms with all that lies between. */
  async turn(seconds) {
    const runs = new Runs()
    const begun = performance.now()
    for (let ends = 0; ; ) {
      const event = await this.next()
      ends = runs.add(event)
      // The first run was stopped on the way: only its end counts.
      if (event.at - begun >= 1000 * seconds && ends >= 2) break
    }
    await this.#settle(runs)
    const all = runs.close()
    const timed = all.slice(1)
    return {
      ms: timed.map(({ ms }) => ms),
      stepsPerRun: Math.max(...timed.map(({ steps }) => steps)),
      ...paceOf(all),
    }
  }

  /** Takes what the run that has just ended still prints, so that nothing of it is left for the next turn. */
  async #settle(runs) {
    await setTimeout(PRINTING)
    for (const event of this.events.take()) runs?.add(event)
  }
}

export class Torch extends Contestant {
  constructor(processes, { folder, settings, options }) {
    const device = settings.ep === 'cuda' ? 'cuda' : 'cpu'
    const group = settings.small ? ['--group', '2'] : []
    super(processes, python('torch_gpu.py', ['--case', folder, '--device', device, ...group, ...options]))
    this.events = new Events(this.child)
    this.batch = settings.batch
  }

  async ask(request) {
    this.child.stdin.write(`${JSON.stringify(request)}\n`)
    return this.next()
  }

  async start() {
    const { version, device } = await this.next()
    const { loss } = await this.ask({ steps: CHECKED })
    // One group of steps: kernels are chosen and graphs captured by then.
    await this.ask({ seconds: 0.001 })
    return { losses: loss, version, device }
  }

  async turn(seconds) {
    const { ms, steps, seconds: taken } = await this.ask({ seconds })
    return { ms, wallMs: 1000 * taken, images: steps * this.batch }
  }

  profile() {
    return this.ask({ profile: PROFILED })
  }
}

const compiled = ['--autocast', '--compile', 'default']

/** Compiles a network once, so that the contestant finds most of it in the compiler's cache. */
export async function warmCompiler(processes, settings, folder) {
  const contestant = new Torch(processes, { folder, settings, options: compiled })
  await contestant.start()
  contestant.end()
}

/** [name, how to make it] in the order of starting: those that may be left out for want of time come last. */
export function contestants(processes, given, { folder, data, warmUp = WARM_UP }) {
  // A turn of some seconds holds several such runs.
  const settings = { ...given, stepsPerRun: given.stepsPerRun ?? STEPS_PER_RUN }
  const model = join(folder, 'model.onnx')
  const torch = (...options) => ({
    precision: options.includes('--autocast') ? 'fp16' : 'fp32',
    make: () => new Torch(processes, { folder, settings, options }),
  })
  const all = Object.entries({
    ...Object.fromEntries(
      precisions(settings).map((precision) => [
        `ours ${precision}`,
        {
          precision,
          make: () => new Ours(processes, { folder: join(folder, precision), model, data, settings, precision }),
        },
      ]),
    ),
    'torch eager fp32': torch(),
    'torch channels_last autocast': torch('--autocast'),
    // Over Vulkan, on the same GPU; as many steps a run as the target has it.
    ...(settings.ep === 'cuda' && {
      'ours webgpu fp32': {
        precision: 'fp32',
        make: () => {
          const webgpu = { ...settings, ep: 'webgpu', target: 'ort-webgpu' }
          return new Ours(processes, {
            folder: join(folder, 'webgpu'),
            model,
            data,
            settings: webgpu,
            precision: 'fp32',
          })
        },
      },
    }),
    'torch compile autocast': torch(...compiled),
    'torch compile fp32': torch('--compile', 'default'),
    'torch reduce-overhead autocast': torch('--autocast', '--compile', 'reduce-overhead'),
  })
  // Compiled for the CPU they would say nothing of a GPU.
  const those = all.filter(
    ([name]) => settings.contestants?.includes(name) ?? !(settings.small && /compile|reduce/.test(name)),
  )
  return those.map(([name, each]) => ({ name, warmUp: settings.small ? CHECKED : warmUp, ...each }))
}
