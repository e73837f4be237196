/*
 * One node of a cluster: its process, the proxies in front of it, and the connection over which the kit asks it.
 */
import * as Crypto from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as RedisCommand from "../../RedisCommand.js"
import type { RedisError } from "../../RedisError.js"
import * as FaultProxy from "../FaultProxy.js"
import * as RedisServer from "../RedisServer.js"
import * as Bus from "./clusterBus.js"
import { failure, type RedisClusterError } from "./clusterError.js"
import { makeRun, quoted, usersOf } from "./member.js"

/** What all nodes of a cluster have in common. */
export interface Common {
  readonly executable: string | undefined
  readonly username: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly acl: ReadonlyArray<string>
  readonly tls: RedisServer.TlsOptions | undefined
  readonly hostname: (index: number) => string | undefined
  readonly nodeTimeout: number
  readonly proxies: "announced" | "mapped" | undefined
  readonly appendonly: boolean
  readonly config: Readonly<Record<string, RedisServer.Directive>>
  readonly startTimeout: number
  readonly stopTimeout: number
  /** Whether messages of the bus pass between two nodes. */
  readonly passes: (from: string, to: string) => boolean
}

export interface Member {
  readonly id: string
  readonly index: number
  readonly server: RedisServer.RedisServer
  readonly proxy: FaultProxy.FaultProxy | undefined
  readonly bus: Bus.BusProxy | undefined
  /** The port that the node announces to clients, and to its replicas. */
  readonly announcedPort: number
  readonly busPort: number
  readonly hostname: string | undefined
  /** Runs a command on the node itself, past all proxies. */
  readonly run: <A>(command: RedisCommand.RedisCommand<A>) => Effect.Effect<A, RedisClusterError>
  /** The same with any command, by name. */
  readonly ask: (name: string, ...args: ReadonlyArray<string | number>) => Effect.Effect<unknown, RedisClusterError>
  readonly scope: Scope.CloseableScope
}

const directives = (
  common: Common,
  index: number,
  ports: { readonly client: number | undefined; readonly bus: number | undefined }
): Readonly<Record<string, RedisServer.Directive>> => {
  const { hostname: hostnameOf, nodeTimeout, password, tls, username } = common
  const hostname = hostnameOf(index)
  return {
    "cluster-node-timeout": nodeTimeout,
    "cluster-announce-ip": "127.0.0.1",
    // Replicas are shown to clients from the first byte of replication on, and a primary without writes sends only pings.
    "repl-ping-replica-period": 1,
    ...(hostname === undefined
      ? {}
      : { "cluster-announce-hostname": quoted(hostname), "cluster-preferred-endpoint-type": "hostname" }),
    ...(ports.client === undefined
      ? {}
      : { [tls === undefined ? "cluster-announce-port" : "cluster-announce-tls-port"]: ports.client }),
    ...(ports.bus === undefined ? {} : { "cluster-announce-bus-port": ports.bus }),
    ...(password === undefined ? {} : { masterauth: quoted(Redacted.value(password)) }),
    ...(username === undefined ? {} : { masteruser: quoted(username) }),
    ...(tls === undefined ? {} : { "tls-replication": true }),
    ...common.config
  }
}

/** An error of a server, as an error of its cluster. */
export const ofServer = (error: RedisServer.RedisServerError): RedisClusterError =>
  failure(
    error.reason === "NotFound"
      ? "NotFound"
      : error.reason === "NotRunning" || error.reason === "Closed"
        ? "NotRunning"
        : error.reason === "Unsupported"
          ? "Unsupported"
          : "Start",
    error.message,
    { cause: error }
  )

const isInUse = ({ message }: RedisServer.RedisServerError): boolean => message.endsWith("is in use.")

/** Starts a node. It knows no other nodes. */
export const start = (common: Common, index: number): Effect.Effect<Member, RedisClusterError, Scope.Scope> =>
  Effect.gen(function* () {
    const { proxies, tls } = common
    /** One attempt; `undefined` when another process has the port, or that of the bus. */
    const attempt = (port: number, scope: Scope.CloseableScope) =>
      Effect.gen(function* () {
        let id = ""
        const proxy =
          proxies === undefined
            ? undefined
            : yield* Effect.mapError(FaultProxy.make({ target: { port } }), (cause) =>
                failure("Start", cause.message, { cause })
              )
        // With TLS the proxy could not read who sends.
        const bus =
          proxies === undefined || tls !== undefined
            ? undefined
            : yield* Bus.make(port + 10_000, (sender) => common.passes(sender, id))
        const announced = proxies === "announced" ? proxy : undefined
        const started = yield* Effect.either(
          RedisServer.make({
            embedded: false,
            executable: common.executable,
            port,
            mode: "cluster",
            ...(common.username === undefined ? { password: common.password } : {}),
            ...(common.acl.length === 0 && common.username === undefined ? {} : { acl: usersOf(common) }),
            ...(tls === undefined ? {} : { tls }),
            appendonly: common.appendonly,
            config: directives(common, index, { client: announced?.port, bus: bus?.port }),
            startTimeout: common.startTimeout,
            stopTimeout: common.stopTimeout
          })
        )
        if (Either.isLeft(started)) {
          return isInUse(started.left) ? undefined : yield* ofServer(started.left)
        }
        const server = started.right
        const send = yield* makeRun(server, common, "cluster-kit", yield* Effect.scope)
        const refused = (cause: RedisError): RedisClusterError =>
          failure("Refused", `The node at port ${server.port}: ${cause.message}`, { cause })
        const run: Member["run"] = (command) => Effect.mapError(send(command), refused)
        const ask: Member["ask"] = (name, ...args) => run(RedisCommand.make(name, { args }))
        id = String(yield* ask("CLUSTER", "MYID"))
        const member: Member = {
          id,
          index,
          server,
          proxy,
          bus,
          announcedPort: announced?.port ?? port,
          busPort: bus?.port ?? port + 10_000,
          hostname: common.hostname(index),
          run,
          ask,
          scope
        }
        return member
      })
    for (let tries = 1; tries <= 20; tries++) {
      // Below the range of outgoing connections, and so is the port of the bus.
      const port = Crypto.randomInt(10_240, 22_768)
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const member = yield* Scope.extend(attempt(port, scope), scope)
      if (member !== undefined) return member
      yield* Scope.close(scope, Exit.void)
    }
    return yield* failure("Start", "No free port was found.")
  })
