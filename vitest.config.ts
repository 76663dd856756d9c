import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'playground/src/**/*.test.ts',
      'scripts/**/*.test.ts',
    ],
    // A process for each file. One process for a hundred of them holds the native parts of onnxruntime, libsql and sharp that all have used, and has
    // once ended without a word; the suite is half as long again for it.
    isolate: true,
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What a test waits for ends the wait when it is there; on a busy machine that may be after the second that is the default.
    expect: { poll: { timeout: 10_000 } },
  },
})
