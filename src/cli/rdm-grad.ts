// rdm-grad: from a network of an ONNX file to a file of its derivatives.

import { Option } from 'commander'
import type { Product } from '../core/derive/derivation.js'
import { exportDerivative, type Layout, layouts } from '../core/derive/derivative.js'
import { readNetwork } from '../core/onnx/network.js'
import { collectedBy, createProgram, runProgram } from './command.js'
import { addFileOptions, type FileFlags, nameList, readingOf, requireDestination, writeOut } from './fileOptions.js'
import { readInput } from './input.js'

interface Options extends FileFlags {
  readonly of?: readonly (readonly string[])[]
  readonly wrt?: readonly (readonly string[])[]
  readonly forward?: true
  readonly hessian?: true
  readonly sum?: true
  readonly layout: Layout
}

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-grad', 'Write the derivatives of the network of an ONNX file as an ONNX file.', [
    'rdm-grad resnet18.onnx --of logits --wrt images > gradient.onnx',
    'rdm-grad resnet18.onnx --of logits --wrt /layer4/layer4.1/relu_1/Relu_output_0 > gradcam.onnx',
    'rdm-grad energy.onnx --of energy --wrt positions --sum > forces.onnx',
    'rdm-grad mlp.onnx --forward > jvp.onnx',
    "rdm-grad mlp.onnx --hessian --sum --wrt '*.weight' > hvp.onnx",
    'rdm-grad f.onnx --layout casadi > adj_f.onnx',
  ])
    .argument('<model>', 'the ONNX file; - for standard input')
    .option(
      '--of <names>',
      'outputs or inner values that are differentiated (default: all outputs of floats)',
      collectedBy(nameList),
    )
    .option(
      '--wrt <names>',
      "inputs, weights or inner values to differentiate by, or patterns of names such as 'fc.*' (default: all inputs of floats)",
      collectedBy(nameList),
    )
    .addOption(new Option('--forward', 'Jacobian-vector products: takes tangents, gives tangents').conflicts('hessian'))
    .option('--hessian', 'Hessian-vector products: takes seeds and tangents, gives gradients and products')
    .option('--sum', 'no seeds: each of --of is summed over all its numbers')
    .addOption(
      new Option('--layout <layout>', "names and shapes of what is added: our own, or CasADi's")
        .choices(layouts)
        .default('named'),
    )
  addFileOptions(program, 'the graph').action(run)
  await runProgram(program, argv)
}

async function run(path: string, options: Options): Promise<void> {
  const { sum, layout, forward, hessian, inline, opset, portableLevel: level } = options
  const [of, wrt] = [options.of?.flat(), options.wrt?.flat()]
  const product: Product = forward ? 'jvp' : hessian ? 'hvp' : 'vjp'
  const bytes = await readInput(path)
  const inner = [...(of ?? []), ...(wrt ?? [])].filter((name) => !name.includes('*'))
  const network = readNetwork(bytes, { ...readingOf(options), inner })
  requireDestination(options)
  await writeOut(exportDerivative(network, { of, wrt, product, sum, layout, inline, level, opset }), options)
}
