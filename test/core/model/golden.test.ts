// The printed graphs of one small network, and of the step derived from it: a change of autodiff shows in review.
// After a deliberate change, `npx vitest run test/model/golden.test.ts -u` writes the files anew.
import { expect, it } from 'vitest'
import { residualNetwork } from '../../../graphs/residual.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { paper } from '../../support/models.js'
import { tinyNetworks } from '../../support/networks.js'
import { sgdStep } from '../../support/steps.js'

const network = () =>
  residualNetwork({ ...tinyNetworks['RDM basic'], functions: ['11', '01'], blocks: [1, 1], widths: [4, 6] })

it('the network', async () => {
  await expect(printGraph(network())).toMatchFileSnapshot('golden/rdm-basic.network.txt')
})

it('its training step', async () => {
  const { graph } = sgdStep(network(), paper)
  await expect(printGraph(graph)).toMatchFileSnapshot('golden/rdm-basic.step.txt')
})
