import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/failOnConsole.ts'],
    reporters: ['default', './test/support/summaryReporter.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Timings of this machine stay out of the user's cache, and come from nowhere else.
    env: { XDG_CACHE_HOME: mkdtempSync(join(tmpdir(), 'rdm-cache-')) },
    pool: 'forks',
    maxWorkers: 2,
  },
})
