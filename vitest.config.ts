import * as path from "node:path"
import { defineConfig } from "vitest/config"

const src = path.resolve(import.meta.dirname, "src")

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-redis-client$/, replacement: path.join(src, "index.ts") },
      { find: /^effect-redis-client\/(.*)$/, replacement: path.join(src, "$1.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/globalSetup.ts"],
    reporters: ["default", "./test/support/closingLine.ts"],
    // Processes, not threads: a test that counts sockets and timers must not see its neighbours'.
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // A test that waits for nothing is a failure of the test.
    passWithNoTests: false
  }
})
