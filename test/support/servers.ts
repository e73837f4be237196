/*
 * The servers that test suites run on. They are found when this module loads, so that suites can be defined for each:
 *
 *     describeReal((server) => {
 *       layer(serverLayer(server))("strings", (it) => { … })
 *     })
 *
 * (In files that have other tests, `describe.each(realServers)` works too.)
 *
 * Laws are proven on real servers. The embedded server is less strict and lacks commands, so only listed suites use it.
 */
import { spawnSync } from "node:child_process"
import * as FileSystem from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import type * as Layer from "effect/Layer"
import * as RedisServer from "../../src/testing/RedisServer.js"

/** A server that suites can start. */
export interface TestServer {
  /** Product and release, as in `REDIS_SERVERS_REQUIRED`: `redis-7.0`, `valkey-9.1`, `embedded`. */
  readonly name: string
  readonly product: "redis" | "valkey" | "embedded"
  readonly version: string
  /** The program; undefined for the embedded server. */
  readonly executable: string | undefined
}

const root = Path.join(Path.dirname(fileURLToPath(import.meta.url)), "..", "..")
const made = Path.join(root, ".servers")

/** The servers that `npm run servers` installs and CI requires. */
export const expected: ReadonlyArray<string> = ["redis-6.0", "redis-7.0", "redis-8.0", "redis-8.6", "valkey-9.1"]

const named = (product: "redis" | "valkey", version: string, executable: string): TestServer => ({
  name: `${product}-${version.split(".").slice(0, 2).join(".")}`,
  product,
  version,
  executable
})

/** The servers in `.servers`, each with a file that describes it. */
const fromFolder = (): ReadonlyArray<TestServer> =>
  FileSystem.existsSync(made)
    ? FileSystem.readdirSync(made).flatMap((folder) => {
        const file = Path.join(made, folder, "server.json")
        if (folder.startsWith(".") || !FileSystem.existsSync(file)) return []
        const { product, version } = JSON.parse(FileSystem.readFileSync(file, "utf8"))
        return [named(product, version, Path.join(made, folder, `${product}-server`))]
      })
    : []

/** A program, identified by its `--version`. */
const fromProgram = (executable: string): ReadonlyArray<TestServer> => {
  const said = spawnSync(executable, ["--version"], { encoding: "utf8" }).stdout ?? ""
  const match = /(Redis|Valkey) server v=(\S+)/.exec(said)
  return match === null ? [] : [named(match[1] === "Valkey" ? "valkey" : "redis", match[2] ?? "0", executable)]
}

const fromPath = (): ReadonlyArray<TestServer> =>
  (process.env.PATH ?? "")
    .split(Path.delimiter)
    .filter((folder) => folder !== "")
    .flatMap((folder) => ["redis-server", "valkey-server"].map((name) => Path.join(folder, name)))
    .filter((program) => FileSystem.existsSync(program))
    .flatMap(fromProgram)

const fromEnvironment = (): ReadonlyArray<TestServer> =>
  process.env.REDIS_SERVER ? fromProgram(process.env.REDIS_SERVER) : []

const compare = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true })

/** The only servers to use, where somebody has no time for all of them: `REDIS_SERVERS_ONLY=redis-8.6,valkey-9.1`. */
const only = (process.env.REDIS_SERVERS_ONLY ?? "").split(",").filter((name) => name !== "")

/** Every real server found. For the same release, REDIS_SERVER wins over `.servers`, and `.servers` over PATH. */
const found: ReadonlyArray<TestServer> = [
  ...new Map([...fromPath(), ...fromFolder(), ...fromEnvironment()].map((server) => [server.name, server])).values()
]
  .filter(({ name }) => only.length === 0 || only.includes(name))
  .sort((a, b) => compare(a.name, b.name))

const isOlder = ({ product, version }: TestServer): boolean => product === "redis" && compare(version, "7.0") < 0

/** Servers that are older than the oldest that is supported in full: a client must connect, and run the common commands. */
export const olderServers: ReadonlyArray<TestServer> = found.filter(isOlder)

/** The servers that every command is run on. */
export const commandServers: ReadonlyArray<TestServer> = found.filter((server) => !isOlder(server))

/**
 * The servers that all other suites run on. Of Redis 8 that is the newest release: its others differ in their commands only,
 * and each server costs the suites minutes.
 */
export const realServers: ReadonlyArray<TestServer> = commandServers.filter(
  ({ name, version }) =>
    !name.startsWith("redis-8.") ||
    !commandServers.some((other) => other.name.startsWith("redis-8.") && compare(other.version, version) > 0)
)

/** The server in pure JavaScript, always available. */
export const embeddedServer: TestServer = {
  name: "embedded",
  product: "embedded",
  version: "8.0",
  executable: undefined
}

/** Every server found, the embedded one last. */
export const servers: ReadonlyArray<TestServer> = [...commandServers, embeddedServer]

/** The real servers of one release or later: `atLeast({ redis: "8.0", valkey: "9.0" })`. An omitted product has none. */
export const atLeast = (wanted: { readonly redis?: string; readonly valkey?: string }): ReadonlyArray<TestServer> =>
  commandServers.filter(({ product, version }) => {
    const lowest = product === "embedded" ? undefined : wanted[product]
    return lowest !== undefined && compare(version, lowest) >= 0
  })

/** The options that start this server. */
export const serverOptions = (
  server: TestServer,
  options: RedisServer.RedisServerOptions = {}
): RedisServer.RedisServerOptions => ({
  // Generous, because a busy machine is slow.
  startTimeout: "1 minute",
  ...options,
  executable: server.executable,
  embedded: server.product === "embedded"
})

/** Starts this server for as long as the scope is open. */
export const makeServer = (server: TestServer, options?: RedisServer.RedisServerOptions) =>
  RedisServer.make(serverOptions(server, options))

/** Starts this server for as long as the layer lives. */
export const serverLayer = (
  server: TestServer,
  options?: RedisServer.RedisServerOptions
): Layer.Layer<RedisServer.RedisServer, RedisServer.RedisServerError> =>
  RedisServer.layer(serverOptions(server, options))
