/** The servers that are measured against: real ones, pinned to a processor of their own. */
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as RedisServer from "effect-redis-client/testing/RedisServer"
import { root } from "./build.js"

export interface Server {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** The processors for server and clients, when they can be chosen. */
export const pins: { readonly server: string; readonly client: string } | undefined = (() => {
  const own = spawnSync("taskset", ["-c", "-p", String(process.pid)], { encoding: "utf8" })
  const list = own.status === 0 ? (/list: (\S+)/.exec(own.stdout)?.[1] ?? "") : ""
  const processors = list.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
  })
  const [server, client] = processors
  return server === undefined || client === undefined ? undefined : { server, client }
})()

const servers = path.join(root, ".servers")

const executableIn = (folder: string): string | undefined =>
  ["redis-server", "valkey-server"].map((name) => path.join(servers, folder, name)).find((file) => fs.existsSync(file))

/**
 * `redis-8.0`, `valkey-9.1` (folders of `.servers/`, or the beginning of their names), a program, a `redis://` URL, or
 * `all` for the newest Redis and the newest Valkey. Nothing: what the tests would take, if it is a real server.
 */
export const named = (given: string | undefined): ReadonlyArray<string | undefined> => {
  if (given === "all") {
    return ["redis", "valkey"]
  }
  return given === undefined ? [undefined] : given.split(",")
}

/** The program that a name of a server means. */
export const find = (given: string): string => {
  if (given.includes("/")) {
    return given
  }
  const folders = fs.existsSync(servers) ? fs.readdirSync(servers) : []
  const fitting = folders
    .filter((name) => name.startsWith(given))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
  const executable = fitting.map(executableIn).find((file) => file !== undefined)
  return executable ?? given
}

/** Gives a server the processor for servers. */
export const pin = (server: RedisServer.RedisServer): Effect.Effect<void> =>
  Effect.map(server.pid, (pid) => {
    if (pins !== undefined && Option.isSome(pid)) {
      execFileSync("taskset", ["-a", "-c", "-p", pins.server, String(pid.value)], { stdio: "ignore" })
    }
  })

export const nameOf = ({ product, version }: { readonly product: string; readonly version: string }): string =>
  `${product === "valkey" ? "Valkey" : "Redis"} ${version}`

export const start = (given: string | undefined): Effect.Effect<Server, RedisServer.RedisServerError, Scope.Scope> =>
  Effect.gen(function* () {
    if (given?.startsWith("redis://")) {
      const url = new URL(given)
      return { name: "the server at a URL", host: url.hostname, port: Number(url.port || 6379) }
    }
    const server = yield* RedisServer.make({
      executable: given === undefined ? undefined : find(given),
      config: { maxclients: 10_000, "proto-max-bulk-len": "512mb", "client-output-buffer-limit": "pubsub 0 0 0" }
    })
    yield* pin(server)
    return {
      name: nameOf(server),
      host: server.host,
      port: server.port
    }
  })
