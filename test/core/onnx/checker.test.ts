// Every part of every kind of network, in every version of ONNX's operators, by the checker of ONNX's own package (`full_check`)
// and its strict inference of shapes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type ExportOptions, parts } from '../../../src/core/model/write.js'
import { writableOpsets } from '../../../src/core/onnx/opsets.js'
import { edited, fileOf, networkNames, networks } from '../../support/models.js'
import { askOnnxPackage, hasOnnxPackage } from '../../support/onnxPackage.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-checker-'))
afterAll(() => rmSync(folder, { recursive: true }))

const { from, to } = writableOpsets
const opsets = Array.from({ length: to - from + 1 }, (_, i) => from + i)
/** The checker does not look into training_info: what is in there it sees in the other parts. */
const forms: readonly Partial<ExportOptions>[] = [...parts.map((part) => ({ part })), { part: 'train', inline: true }]

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, `${name}.onnx`)
  writeFileSync(path, bytes)
  return path
}

describe.runIf(hasOnnxPackage)("ONNX's own checker", () => {
  it('takes all parts in every version', async () => {
    const paths = networkNames.flatMap((name) => {
      const network = networks[name]!()
      return opsets.flatMap((opset) =>
        forms.map((form, i) => written(`${opset} ${name} ${i}`, fileOf(network, { ...form, opset }))),
      )
    })
    expect(await askOnnxPackage('check', ...paths)).toBe('')
  })

  it('does not take what is of another version', async () => {
    const file = edited(fileOf(networks['a plain CNN']!(), { part: 'train', inline: true }), (model) => {
      model.opsetImport[0]!.version = 17
    })
    expect(await askOnnxPackage('check', written('wrong', file))).toMatch(
      /^\S+wrong\.onnx: .*input size \d not in range.*\n$/,
    )
  })
})
