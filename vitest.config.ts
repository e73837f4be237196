import * as path from "node:path"
import { configDefaults, defineConfig } from "vitest/config"

const src = path.resolve(import.meta.dirname, "src")

/** Tests that inject faults for minutes, and one that counts all that is open in its process, and so needs one of its own. */
const faults = [
  "test/adapters/queue-delivery.test.ts",
  "test/faults/**/*.test.ts",
  "test/fuzz.test.ts",
  "test/interruption.test.ts",
  "test/leaks.test.ts",
  "test/pubsub/delivery.test.ts",
  "test/stream/delivery.test.ts"
]

/**
 * Tests of clusters and of Sentinel: of real servers and of scripted peers, which take long. What needs no connection is
 * in `npm test`.
 */
const cluster = [
  "test/adapters/cluster.test.ts",
  "test/cluster/{cases,client,lifetimes,redirections,replicas,settings}.test.ts",
  "test/lock/{cluster,sentinel}.test.ts",
  "test/sentinel/client.test.ts",
  "test/limiter/cluster.test.ts",
  "test/testing/Redis{Cluster,Sentinel}.test.ts"
]

const commands = "test/commands/**/*.test.ts"

/** Tests of commands on servers that they start themselves, one by one, so that the layer changes nothing. */
const single = ["reports", "schemas", "sentinel"].map((file) => `test/commands/${file}.test.ts`)

/** Tests of what users get: the docs' examples, the built package, what editors show of it and what its types cost. */
const published = [
  "test/docs.test.ts",
  "test/examples-chat.test.ts",
  "test/package/**/*.test.ts",
  "test/types/budget.test.ts"
]

const all = "test/**/*.test.ts"

/**
 * What `vitest run --mode <name>` runs. Without a mode: every test, which is what a single file needs
 * (`npx vitest run test/x.test.ts`). `layer` is the client that the command suites run over (test/support/commands.ts).
 * Where `shared` is true, two processes run all files, one after the other, so that Effect and the sources are loaded
 * twice and not once per file. A file that changes its process (timers, environment, defaults of Node, mocked modules)
 * restores it when it ends.
 */
const modes: Record<string, { include: Array<string>; exclude?: Array<string>; shared?: boolean; layer?: string }> = {
  main: { include: [all], exclude: [...faults, ...cluster, ...published], shared: true },
  cluster: { include: [...cluster, commands], exclude: single, shared: true, layer: "cluster" },
  faults: { include: faults },
  published: { include: published },
  pool: { include: [commands], shared: true, layer: "pool" },
  sentinel: { include: [commands, "test/script/script.test.ts"], exclude: single, shared: true, layer: "sentinel" }
}

export default defineConfig(({ mode }) => {
  const { include, exclude = [], layer, shared = false } = modes[mode] ?? { include: [all] }
  return {
    resolve: {
      alias: [
        { find: /^effect-redis-client$/, replacement: path.join(src, "index.ts") },
        { find: /^effect-redis-client\/(.*)$/, replacement: path.join(src, "$1.ts") }
      ]
    },
    test: {
      include,
      exclude: [...configDefaults.exclude, ...exclude],
      env: layer === undefined ? {} : { REDIS_TEST_LAYER: layer },
      globalSetup: ["test/globalSetup.ts"],
      reporters: ["default", "./test/support/closingLine.ts"],
      // Processes, not threads: a test that counts sockets and timers must not see those of other files.
      pool: "forks",
      isolate: !shared,
      maxWorkers: 2,
      // Generous, because machines are slow and busy. Tests of time limits have bounds of their own.
      testTimeout: 120_000,
      // What failed only once is printed at the end (test/support/closingLine.ts).
      retry: process.env.CI === undefined ? 0 : 1,
      hookTimeout: 180_000,
      teardownTimeout: 60_000,
      // A filter that matches no file is a mistake.
      passWithNoTests: false
    }
  }
})
