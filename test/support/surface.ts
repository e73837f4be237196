/**
 * The commands of the specification and of servers, and which of them the library has.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Codec from "../../src/Codec.js"
import * as Connection from "../../src/Connection.js"
import * as ServerCommands from "../../src/commands/server.js"
import type { Redis as RedisIdentifier } from "../../src/internal/command/model.js"
import { Redis } from "../../src/Redis.js"
import type { RedisServerOptions } from "../../src/testing/RedisServer.js"
import * as Servers from "./servers.js"

/** The specification (Redis up to 8.10, Valkey up to 9.1) of a command. */
export interface Spec {
  readonly group: string
  readonly redis_since?: string
  readonly valkey_since?: string
  readonly redis_deprecated_since?: string
  readonly valkey_deprecated_since?: string
  /** The live servers that had the command when the data were collected. */
  readonly servers: ReadonlyArray<string>
  /** `readonly`, `write`, `blocking`, according to the newest server. */
  readonly flags: ReadonlyArray<string>
  /** Request and response policies in a cluster. */
  readonly tips?: ReadonlyArray<string>
  readonly keys?: true
}

const root = Path.resolve(import.meta.dirname, "../..")

/**
 * Every command that the library must have, by its name: 431 of the core and of Sentinel, and 13 for vector sets, without
 * containers, HELP and {@link internal} commands.
 */
export const spec: Readonly<Record<string, Spec>> = JSON.parse(
  Fs.readFileSync(Path.join(root, "test/fixtures/commands.json"), "utf8")
)

/** Commands between servers, and for their developers. No client needs them. */
export const internal: ReadonlyArray<string> = [
  "PFDEBUG",
  "PFSELFTEST",
  "PSYNC",
  "SYNC",
  "REPLCONF",
  "RESTORE-ASKING",
  "TRIMSLOTS"
]

/** The name a command has in `Redis`: lower case, with a capital after a space, dot, hyphen or underscore. */
export const mechanical = (name: string): string =>
  name.toLowerCase().replace(/[ ._-]([a-z0-9])/g, (_, next: string) => next.toUpperCase())

/** The names of all factories, of every group. */
export const factoryNames = async (): Promise<ReadonlySet<string>> => {
  const folder = Path.join(root, "src/commands")
  const names = new Set<string>()
  for (const file of Fs.readdirSync(folder).filter((file) => file.endsWith(".ts"))) {
    const module = await import(Path.join(folder, file))
    if (typeof module.make === "function") {
      for (const [name, command] of Object.entries(module.make(Codec.utf8))) {
        if (typeof command === "function") {
          names.add(name)
        }
      }
    }
  }
  return names
}

/** Those of the given commands that have no factory, or are not available as `Redis.<name>`. */
export const missing = (names: Iterable<string>, typed: ReadonlySet<string>): ReadonlyArray<string> =>
  [...names].filter((name) => {
    const own = mechanical(name)
    return !typed.has(own) || typeof (Redis as unknown as Record<string, unknown>)[own] !== "function"
  })

/** The commands in a server's COMMAND LIST, without containers, HELP and internal ones. */
export const counted = (list: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = list.map((name) => name.replace("|", " ").toUpperCase())
  const containers = new Set(names.flatMap((name) => (name.includes(" ") ? [name.split(" ")[0] as string] : [])))
  containers.delete("COMMAND")
  return names
    .filter((name) => !containers.has(name) && !name.endsWith(" HELP") && !internal.includes(name))
    .sort((a, b) => a.localeCompare(b, "en"))
}

const commands = ServerCommands.make(Codec.utf8)

/** Every command and subcommand that a server has. */
export const listed = commands.commandList()

/** Starts a server, and runs an effect on a connection to it. */
export const onServer = <A, E>(
  server: Servers.TestServer,
  options: RedisServerOptions,
  effect: Effect.Effect<A, E, RedisIdentifier>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { host, port } = yield* Servers.makeServer(server, options)
      const { redis } = yield* Connection.make({ host, port, expect: "node" })
      return yield* Effect.provideService(effect, Redis, redis)
    })
  )

/** The modes in which each server lists its commands: Sentinel has its own. */
export const modes: Readonly<Record<string, RedisServerOptions>> = {
  standalone: {},
  cluster: { mode: "cluster" },
  sentinel: { mode: { monitor: {} } }
}
