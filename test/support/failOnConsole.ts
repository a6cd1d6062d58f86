// A test that prints is a test that hides something: any console output fails it.
import { afterEach, beforeEach, expect, vi } from 'vitest'

const methods = ['log', 'info', 'warn', 'error', 'debug'] as const

beforeEach(() => {
  for (const method of methods) vi.spyOn(console, method).mockImplementation(() => {})
})

afterEach(() => {
  const printed = methods.flatMap((method) => vi.mocked(console[method]).mock.calls.map((call) => call.join(' ')))
  vi.restoreAllMocks()
  expect(printed, 'unexpected console output').toEqual([])
})
