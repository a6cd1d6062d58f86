// Whether the CUDA provider has a kernel for every node of the graphs that target ort-cuda writes: a node without one is
// computed by the CPU, and its operands cross the bus in every step. By ONNX Runtime's list of its kernels
// (docs/OperatorKernels.md, opset 18) everywhere, and by where the provider put them where there is a GPU.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import type { DType } from '../../../src/core/graph/tensor.js'
import { zeros } from '../../../src/core/graph/tensor.js'
import { constant, type Node, nameOf } from '../../../src/core/graph/value.js'
import { parametersAsInputs } from '../../../src/core/model/write.js'
import { encodeModel } from '../../../src/core/onnx/tensors.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import { readEvents } from '../../../src/driver/profile/readEvents.js'
import { createSession, toOrt } from '../../../src/driver/runtime/ort.js'
import { evaluationSteps, stepNodes, trainingSteps } from '../../../src/driver/targets/ort-cuda/steps.js'
import { precisions } from '../../../src/driver/targets/target.js'
import { networkNames, networks } from '../../support/models.js'
import { tinyNetwork } from '../../support/networks.js'
import { sgdStep } from '../../support/steps.js'

interface Kernel {
  readonly domain: string
  /** Element types by the name of a constraint. */
  readonly types: Readonly<Record<string, readonly string[]>>
  /** [formal name, constraint]; the last one stands for all that follow. */
  readonly inputs: readonly (readonly [string, string])[]
  readonly outputs: readonly (readonly [string, string])[]
}
const kernels: Readonly<Record<string, Kernel>> = JSON.parse(
  readFileSync(new URL('../../support/cudaKernels.json', import.meta.url), 'utf8'),
)

/** What speaks against a node on CUDA; undefined when nothing does. */
function objection({ operator, inputs, outputs }: Node): string | undefined {
  const kernel = kernels[operator.name]
  if (!kernel || kernel.domain !== operator.domain) return `${operator.domain}.${operator.name} has no kernel`
  const refused = (formals: Kernel['inputs'], types: readonly (DType | undefined)[]) =>
    types.find((dtype, i) => {
      const [, constraint] = formals[Math.min(i, formals.length - 1)] ?? ['', '']
      // A constraint that the list does not explain is one that the kernel does not make.
      return dtype && !(kernel.types[constraint] ?? [constraint, dtype]).includes(dtype)
    })
  const type =
    refused(
      kernel.inputs,
      inputs.map((value) => value?.dtype),
    ) ??
    refused(
      kernel.outputs,
      outputs.map(({ dtype }) => dtype),
    )
  return type && `${operator.name} takes no ${type}`
}

const objections = (nodes: Graph['nodes']) => [...new Set(nodes.flatMap((node) => objection(node) ?? []))]

describe.each(networkNames)('%s', (name) => {
  const network = networks[name]!()
  const step = sgdStep(network, { momentum: 0.9, weightDecay: 1e-4 })
  const open = parametersAsInputs(step.graph, step.graph.parameters)

  it.each(precisions)('trains in %s by kernels that CUDA has', (precision) => {
    const { graph } = trainingSteps(open, step.signature, { precision })
    expect(stepNodes(graph).length).toBeGreaterThan(100)
    expect(objections([...stepNodes(graph), ...graph.nodes])).toEqual([])
  })

  it('is evaluated by kernels that CUDA has', () => {
    const graph = evaluationSteps(parametersAsInputs(network, network.parameters), network.inputs.map(nameOf), [
      'logits',
    ])
    expect(objections([...stepNodes(graph), ...graph.nodes])).toEqual([])
  })
})

it('a node without a kernel is found', () => {
  const step = sgdStep(tinyNetwork('RDM basic'), { momentum: 0.9 })
  const found = objections(step.graph.nodes)
  expect(found).toContain('rdm.training.BatchNormTraining has no kernel')
})

const onCuda = await createSession(
  encodeModel(writeModel({ graph: graph('none', [], { y: constant('float32', 1) }), weights: new Map() })),
  {
    provider: 'cuda',
  },
).then(
  async (session) => {
    await session.release()
    return true
  },
  () => false,
)

describe.runIf(onCuda)('on this GPU', () => {
  it.each(precisions)(
    'no node of a step in %s is computed by the CPU, but for arithmetic on shapes',
    async (precision) => {
      const network = tinyNetwork('RDM basic')
      const step = sgdStep(network, { momentum: 0.9, weightDecay: 1e-4 })
      const open = parametersAsInputs(step.graph, step.graph.parameters)
      const { graph: steps } = trainingSteps(open, step.signature, { precision })
      const folder = mkdtempSync(join(tmpdir(), 'rdm-placement-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const session = await createSession(
        encodeModel(writeModel({ graph: steps, weights: new Map() })),
        { provider: 'cuda' },
        join(folder, 'run'),
      )
      const sizes: Record<string, number> = { count: 4, steps: 2, batch: 3 }
      const feeds = Object.fromEntries(
        steps.inputs.map(({ dtype, shape, origin }) => {
          const known = shape.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]!))
          return ['name' in origin ? origin.name : '', toOrt(zeros(dtype, known))]
        }),
      )
      await session.run(feeds)
      session.endProfiling()
      await session.release()
      const onCpu = (await readEvents(folder)).flatMap((event) =>
        event.cat === 'Node' && event.args.provider === 'CPUExecutionProvider' ? [event.args.op_name] : [],
      )
      const ofShapes = ['Shape', 'Size', 'Gather', 'Cast', 'Squeeze', 'Unsqueeze', 'Concat', 'Slice']
      expect(onCpu.filter((operator) => !ofShapes.includes(operator))).toEqual([])
    },
  )
})
