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
    // Machines are slow and busy. A test that hangs fails by conditions of its own, and these are for the rest.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    // A test that waits for nothing is a failure of the test.
    passWithNoTests: false
  }
})
