// What is printed: nothing that a terminal obeys.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { printable } from '../../src/cli/output.js'
import { run } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-output-'))
afterAll(() => rmSync(root, { recursive: true }))

describe('what is printed', () => {
  it('has lines and tabs, and letters of any language', () => {
    const text = 'Größe\tдлина 长度 😀\nnext'
    expect(printable(text)).toBe(text)
  })

  it('has control characters, and those that turn text around, written out', () => {
    expect(printable('a\u001b[2J\u0007\r\u009b1m\u202e\u2066\u2028\u007f')).toBe(
      'a\\u001b[2J\\u0007\\u000d\\u009b1m\\u202e\\u2066\\u2028\\u007f',
    )
    expect(printable('\u{e0001}')).toBe('\\udb40\\udc01')
  })

  it('is the same value where it is JSON', () => {
    const value = { name: '\u001b[31m\u009b\u202e\ud800 "x"' }
    expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(value)
  })

  it('names a folder whatever it is called', () => {
    const folder = join(root, '\u009b31mred')
    const { code, out, err } = run('rdm-data', ['synth', folder, '--train', '20', '--test', '10'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('\\u009b31mred: 20 training and 10 test images')
    expect(run('rdm-data', [`--\u001b[31m`]).err).toMatch(/^rdm-data: unknown option '--\\u001b\[31m'/)
  })
})
