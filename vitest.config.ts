import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'playground/src/**/*.test.ts',
      'scripts/**/*.test.ts',
    ],
    // Each test file cleans up what it starts, so files can share a worker: 7 s of start-up becomes 1 s.
    isolate: false,
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
