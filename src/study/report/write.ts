// A report as files: the page, and Figure 2 as pictures.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '../../core/errors.js'
import { pngOf } from '../../driver/charts/png.js'
import { makeFolder } from '../../driver/folders.js'
import { readPlainFile, writeAtomically } from '../../driver/run/files.js'
import { scales } from './charts.js'
import { curvesOf } from './curves.js'
import { generator, pageOf } from './page/page.js'
import { meansSvg } from './pictures.js'
import type { Report } from './report.js'

/** Names of Figure 2's files, without their endings. */
const pictureNames = { linear: 'figure2', log: 'figure2-log' } as const

/**
 * Writes the report into a folder, over an earlier one that may be there. The same report gives the same bytes.
 * @returns the paths of its files, the page first
 * @throws UserError for a folder that cannot be written to, or whose page is another's
 */
export async function writeReport(report: Report, out: string): Promise<readonly string[]> {
  const page = join(out, 'index.html')
  if (existsSync(page) && !(await readPlainFile(page)).toString().includes(generator))
    throw new UserError(`${page} is no report: choose another folder with --out`)
  // Made by the build, beside this file.
  const script = await readFile(new URL('./script.js', import.meta.url), 'utf8')
  const files = new Map<string, string | Uint8Array>([[page, pageOf(report, script)]])
  const curves = curvesOf(report)
  if (curves.some(({ mean }) => mean.length > 0)) {
    for (const scale of scales) {
      const svg = meansSvg(curves, report.title, scale)
      const name = join(out, pictureNames[scale])
      files.set(`${name}.svg`, svg).set(`${name}.png`, await pngOf(svg))
    }
  }
  await makeFolder(out).catch((error: unknown) => {
    throw new UserError(`cannot write the report to ${out}: ${messageOf(error)}; choose another folder with --out`)
  })
  for (const [path, content] of files) await writeAtomically(path, content)
  return [...files.keys()]
}
