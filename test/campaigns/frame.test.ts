import { expect, test } from 'vitest'

// JavaScript that no types describe.
const { documentOf, resultOf } = await import('../../campaigns/document.mjs' as string)

test('the page has a section a campaign, with its figures or without', () => {
  const campaigns = {
    killed: { title: 'Killed', about: 'Runs are killed.' },
    disk: { title: 'Full disks', about: 'They fill.' },
  }
  const found = { columns: ['what', 'times'], rows: [['a | b', 3]], faults: ['a half file'], seed: 1, seconds: 90 }
  const text = documentOf(campaigns, { killed: resultOf(found) })
  expect(text).toContain('| what | times |\n| --- | --- |\n| a \\| b | 3 |')
  expect(text).toContain('1.5 minutes on')
  expect(text).toContain('**Faults: 1.**\n\n- a half file')
  expect(text).toContain('`npm run campaign -- disk`: it has not run yet.')
})
