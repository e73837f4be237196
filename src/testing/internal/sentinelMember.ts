/*
 * The nodes and the sentinels: their processes, the proxies in front of the nodes, and the connections over which the
 * kit sends them commands.
 */
import * as Crypto from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Redis } from "../../Redis.js"
import type * as RedisCommand from "../../RedisCommand.js"
import * as FaultProxy from "../FaultProxy.js"
import * as RedisServer from "../RedisServer.js"
import { type Login, makeRun, quoted, usersOf } from "./member.js"
import { failure, ofServer, type RedisSentinelError } from "./sentinelError.js"

/** What all nodes and sentinels of a set have in common. */
export interface Common {
  readonly name: string
  readonly executable: string | undefined
  readonly replicas: number
  readonly quorum: number
  readonly login: Login
  readonly sentinelLogin: Login
  readonly acl: ReadonlyArray<string>
  readonly tls: RedisServer.TlsOptions | undefined
  readonly hostname: string | undefined
  readonly downAfter: number
  readonly failoverTimeout: number
  readonly proxies: boolean
  readonly appendonly: boolean
  readonly config: Readonly<Record<string, RedisServer.Directive>>
  readonly sentinelConfig: Readonly<Record<string, RedisServer.Directive>>
  readonly startTimeout: number
  readonly stopTimeout: number
}

/** A node or a sentinel, and what was done to it. */
export interface Member {
  readonly server: RedisServer.RedisServer
  readonly proxy: FaultProxy.FaultProxy | undefined
  readonly host: string
  /** The port that clients and the other members connect to: that of the proxy, when there is one. */
  readonly port: number
  readonly url: Redacted.Redacted<string>
  /** Runs a command on the member itself, past its proxy. */
  readonly run: <A>(command: RedisCommand.RedisCommand<A>) => Effect.Effect<A, RedisSentinelError>
  readonly scope: Scope.CloseableScope
  paused: boolean
  cut: boolean
}

export const hostOf = ({ hostname }: Common): string => hostname ?? "127.0.0.1"

/** With a host name, the servers listen on both loopback addresses, because the name may stand for either. */
const listening = ({ hostname }: Common): Readonly<Record<string, RedisServer.Directive>> =>
  hostname === undefined ? {} : { bind: "127.0.0.1 -::1" }

const urlOf = ({ tls }: Common, { password, username }: Login, host: string, port: number) => {
  const secret = password === undefined ? "" : encodeURIComponent(Redacted.value(password))
  const login = secret === "" && username === undefined ? "" : `${encodeURIComponent(username ?? "")}:${secret}@`
  return Redacted.make(`redis${tls === undefined ? "" : "s"}://${login}${host}:${port}`)
}

/** The options that give a server its users. */
const access = (login: Login, acl: ReadonlyArray<string>): RedisServer.RedisServerOptions =>
  login.username === undefined && acl.length === 0
    ? { password: login.password }
    : {
        ...(login.username === undefined ? { password: login.password } : {}),
        acl: usersOf({ ...login, acl })
      }

const isInUse = ({ message }: RedisServer.RedisServerError): boolean => message.endsWith("is in use.")

/** Starts a server on a free port below the range of outgoing connections, with a proxy in front of it if asked for. */
const start = (
  common: Common,
  login: Login,
  proxied: boolean,
  optionsOf: (announced: number) => RedisServer.RedisServerOptions
): Effect.Effect<Member, RedisSentinelError, Scope.Scope> =>
  Effect.gen(function* () {
    const host = hostOf(common)
    /** One attempt; `undefined` when another process has the port. */
    const attempt = (port: number, scope: Scope.CloseableScope) =>
      Effect.gen(function* () {
        const proxy = proxied
          ? yield* Effect.mapError(FaultProxy.make({ host, target: { host: "127.0.0.1", port } }), (cause) =>
              failure("Start", cause.message, { cause })
            )
          : undefined
        const announced = proxy?.port ?? port
        const started = yield* Effect.either(
          RedisServer.make({
            embedded: false,
            executable: common.executable,
            port,
            ...(common.tls === undefined ? {} : { tls: common.tls }),
            startTimeout: common.startTimeout,
            stopTimeout: common.stopTimeout,
            ...optionsOf(announced)
          })
        )
        if (Either.isLeft(started)) {
          return isInUse(started.left) ? undefined : yield* ofServer(started.left)
        }
        const server = started.right
        const send = yield* makeRun(server, login, "sentinel-kit", yield* Effect.scope)
        const member: Member = {
          server,
          proxy,
          host,
          port: announced,
          url: urlOf(common, login, host, announced),
          run: (command) =>
            Effect.mapError(send(command), (cause) =>
              failure("Refused", `The server at port ${announced}: ${cause.message}`, { cause })
            ),
          scope,
          paused: false,
          cut: false
        }
        return member
      })
    for (let tries = 1; tries <= 20; tries++) {
      const port = Crypto.randomInt(10_240, 32_768)
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const member = yield* Scope.extend(attempt(port, scope), scope)
      if (member !== undefined) return member
      yield* Scope.close(scope, Exit.void)
    }
    return yield* failure("Start", "No free port was found.")
  })

/** Starts a master, or a replica of one. */
export const startNode = (
  common: Common,
  master: Member | undefined
): Effect.Effect<Member, RedisSentinelError, Scope.Scope> => {
  const { password, username } = common.login
  return start(common, common.login, common.proxies, (announced) => ({
    ...access(common.login, common.acl),
    ...(master === undefined ? {} : { mode: { replicaOf: { host: master.host, port: master.port } } }),
    appendonly: common.appendonly,
    config: {
      ...listening(common),
      "replica-announce-ip": hostOf(common),
      "replica-announce-port": announced,
      "repl-ping-replica-period": 1,
      ...(password === undefined ? {} : { masterauth: quoted(Redacted.value(password)) }),
      ...(username === undefined ? {} : { masteruser: quoted(username) }),
      ...(common.tls === undefined ? {} : { "tls-replication": true }),
      ...common.config
    }
  }))
}

/** Starts a sentinel. It knows the master only. */
export const startSentinel = (
  common: Common,
  master: Member
): Effect.Effect<Member, RedisSentinelError, Scope.Scope> => {
  const { hostname, login, name, sentinelLogin } = common
  const own = (setting: string) => `sentinel ${setting} ${quoted(name)}`
  const word = (value: string | undefined, directive: string) =>
    value === undefined ? {} : { [directive]: quoted(value) }
  const secret = (value: Redacted.Redacted<string> | undefined) =>
    value === undefined ? undefined : Redacted.value(value)
  return Effect.tap(
    start(common, sentinelLogin, false, () => ({
      ...access(sentinelLogin, []),
      mode: { monitor: { [name]: { host: master.host, port: master.port, quorum: common.quorum } } },
      config: {
        ...listening(common),
        [own("down-after-milliseconds")]: common.downAfter,
        [own("failover-timeout")]: common.failoverTimeout,
        // By default the replicas connect to a new master one after the other.
        [own("parallel-syncs")]: Math.max(1, common.replicas),
        ...word(login.username, own("auth-user")),
        ...word(secret(login.password), own("auth-pass")),
        ...word(sentinelLogin.username, "sentinel sentinel-user"),
        ...word(secret(sentinelLogin.password), "sentinel sentinel-pass"),
        ...(hostname === undefined
          ? {}
          : {
              "sentinel resolve-hostnames": true,
              "sentinel announce-hostnames": true,
              "sentinel announce-ip": hostname
            }),
        ...common.sentinelConfig
      }
    })),
    hasten
  )
}

/*
 * A sentinel forgets these times when it ends. With its own times, sentinels get to know each other in 2 to 10 s, learn of
 * a new role in up to 10 s, make a replica of an old master after 8 s more, and do nothing for 30 s after they were
 * paused. While the master is down, a sentinel promotes only replicas that it has asked within five ping periods, and it
 * asks them once a second: so the ping period must not be much shorter.
 */
const times = {
  "INFO-PERIOD": "500 millis",
  "PING-PERIOD": "400 millis",
  "PUBLISH-PERIOD": "500 millis",
  "ASK-PERIOD": "200 millis",
  "TILT-PERIOD": "1 second",
  "MIN-LINK-RECONNECT-PERIOD": "1 second"
} as const

/** Makes a sentinel that has just started look at the nodes more often. */
export const hasten = ({ run }: Member): Effect.Effect<void, RedisSentinelError> => run(Redis.sentinelDebug(times))
