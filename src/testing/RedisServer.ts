/**
 * A Redis or Valkey server for tests: a real process on a free port with a folder of its own, or the embedded one.
 *
 * It runs on Node, Bun and Deno, with `@effect/platform-node` on each of them. It needs a `redis-server` or `valkey-server`,
 * or the npm package `js-redis-server` for the embedded one.
 *
 * All waiting here uses timers of JavaScript, so servers start and stop under Effect's `TestClock` as well.
 *
 * @since 0.1.0
 */

import * as Crypto from "node:crypto"
import * as Path from "node:path"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { defect, literals } from "../internal/effect/errorSchemas.js"
import { Redis, type RedisOptions } from "../Redis.js"
import type { RedisError } from "../RedisError.js"
import type { RedisPubSub } from "../RedisPubSub.js"
import { issue } from "./internal/certificates.js"
import * as EmbeddedServer from "./internal/embeddedServer.js"
import * as ServerProcess from "./internal/serverProcess.js"
import { outputOf, type Platform, platform } from "./internal/spawn.js"

/**
 * The property by which a server is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/testing/RedisServer")

/**
 * The property by which a server is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * Why a server could not do what was asked.
 *
 * - `NotFound`: no server was found to start.
 * - `Start`: the server did not start, or not in time; `log` has the last of its output.
 * - `NotRunning`: the operation needs a running server.
 * - `Unsupported`: this kind of server cannot do it.
 * - `Closed`: the server's scope is closed.
 *
 * @since 0.1.0
 * @category errors
 */
export class RedisServerError extends Schema.TaggedError<RedisServerError>(
  "effect-redis-client/testing/RedisServerError"
)("RedisServerError", {
  reason: literals("NotFound", "Start", "NotRunning", "Unsupported", "Closed"),
  message: Schema.String,
  log: Schema.String,
  cause: Schema.optional(defect)
}) {}

/**
 * A server's program, and what it reports with `--version`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Executable {
  readonly executable: string
  readonly product: "redis" | "valkey"
  readonly version: string
}

/**
 * Certificates made for one server, in PEM.
 *
 * @since 0.1.0
 * @category models
 */
export interface Certificates {
  /** The authority that signed the others: what a client has to trust. */
  readonly ca: string
  /** The server's certificate and key. */
  readonly cert: string
  readonly key: Redacted.Redacted<string>
  /** A client's certificate and key, for servers that ask for one. */
  readonly clientCert: string
  readonly clientKey: Redacted.Redacted<string>
}

/**
 * A server that was started. It stops when its scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisServer {
  readonly [TypeId]: TypeId
  readonly product: "redis" | "valkey" | "embedded"
  /** Its version; for the embedded server the Redis version that it imitates. */
  readonly version: string
  /** Its executable; none for the embedded server. */
  readonly executable: Option.Option<string>
  readonly host: string
  /** The port of its TCP socket, which speaks TLS when `tls` was asked for. */
  readonly port: number
  /** The path of its unix socket, which never speaks TLS. */
  readonly socketPath: string
  /** `redis://…` or `rediss://…`, with the password when there is one. */
  readonly url: Redacted.Redacted<string>
  readonly password: Option.Option<Redacted.Redacted<string>>
  readonly tls: Option.Option<Certificates>
  /** The folder with its configuration, log and data. */
  readonly folder: string
  /** The id of its process while it runs. */
  readonly pid: Effect.Effect<Option.Option<number>>
  /** The last 64 KB that it printed, over all its runs. */
  readonly log: Effect.Effect<string>
  /** Starts it again on the same port and folder, and waits until it answers. Does nothing when it runs. */
  readonly start: Effect.Effect<void, RedisServerError>
  /** Ends it with SIGTERM, and kills it when that takes too long. Does nothing when it does not run. */
  readonly stop: Effect.Effect<void, RedisServerError>
  /** `stop`, then `start`. Data that is not persisted (see the option `appendonly`) is lost. */
  readonly restart: Effect.Effect<void, RedisServerError>
  /** Kills it (SIGKILL). Does nothing when it does not run. */
  readonly kill: Effect.Effect<void, RedisServerError>
  /** Freezes it (SIGSTOP): connections stay open, and no command is answered. */
  readonly pause: Effect.Effect<void, RedisServerError>
  /** Resumes it after `pause`. */
  readonly resume: Effect.Effect<void, RedisServerError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const RedisServer: Context.Tag<RedisServer, RedisServer> = Context.GenericTag<RedisServer>(
  "effect-redis-client/testing/RedisServer"
)

/**
 * Another server, for replication or for a sentinel. A `RedisServer` is one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Peer {
  readonly host: string
  readonly port: number
  readonly password?: Option.Option<Redacted.Redacted<string>> | undefined
}

/**
 * The role of a server.
 *
 * - `"standalone"`: a server on its own.
 * - `"cluster"`: a node with cluster mode on. It knows no other nodes and serves no hash slots yet.
 * - `replicaOf`: a replica of another server. It counts as started when it answers, which may be before it has
 *   synchronised.
 * - `monitor`: a sentinel that watches other servers, by name.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode =
  | "standalone"
  | "cluster"
  | { readonly replicaOf: Peer }
  | {
      readonly monitor: Readonly<Record<string, Peer & { readonly quorum?: number | undefined }>>
    }

/**
 * What the certificates of a server say.
 *
 * @since 0.1.0
 * @category models
 */
export interface TlsOptions {
  /** The names and addresses in the server's certificate: `localhost`, `127.0.0.1` and `::1` when not given. */
  readonly names?: ReadonlyArray<string> | undefined
  /** The begin of its validity: yesterday when not given. */
  readonly notBefore?: Date | undefined
  /** The end of its validity: in a year when not given. A date in the past makes an expired certificate. */
  readonly notAfter?: Date | undefined
  /** Whether clients must present a certificate signed by the authority: `"optional"` when not given. */
  readonly clients?: "ignored" | "optional" | "required" | undefined
  /** The certificates of another server, so that replicas, and the nodes of a cluster, trust each other. */
  readonly certificates?: Certificates | undefined
}

/**
 * The value of a directive in `redis.conf`, as it would be written there. Several values make several lines.
 *
 * @since 0.1.0
 * @category models
 */
export type Directive = string | number | boolean | ReadonlyArray<string | number>

/**
 * Options of a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisServerOptions {
  /**
   * The server to start, by path or name. When not given: the environment variable `REDIS_SERVER`, then `redis-server`
   * and `valkey-server` on the PATH, then those in the folder `.servers` of the working directory, where the repository of
   * this package keeps its servers.
   */
  readonly executable?: string | undefined
  /**
   * Start the embedded server (the npm package `js-redis-server`) instead of a process. With `makeAny`, `layerAny` and
   * `layerRedis`, `false` demands a real server: without one they fail with `NotFound`, and the embedded server is no
   * replacement. Default: the embedded server where no other is found; with `make` and `layer`, `false`.
   */
  readonly embedded?: boolean | undefined
  /** A free port when not given. */
  readonly port?: number | undefined
  readonly mode?: Mode | undefined
  /** The password of the default user. */
  readonly password?: Redacted.Redacted<string> | undefined
  /** Users, as in an ACL file: `"user ada on >secret ~* &* +@all"`. */
  readonly acl?: ReadonlyArray<string> | undefined
  /** A file with users, which is copied: the server may write into the copy. */
  readonly aclFile?: string | undefined
  /** Speak TLS on the port, with certificates made for this server. */
  readonly tls?: boolean | TlsOptions | undefined
  /** Write each change to disk at once (`appendfsync always`), so that a restart or a kill loses no data. */
  readonly appendonly?: boolean | undefined
  readonly databases?: number | undefined
  /** Further directives of `redis.conf`; they come last. */
  readonly config?: Readonly<Record<string, Directive>> | undefined
  /** How long the server may take to answer its first PING: 10 seconds when not given. */
  readonly startTimeout?: Duration.DurationInput | undefined
  /** How long the server may take to end before it is killed: 3 seconds when not given. */
  readonly stopTimeout?: Duration.DurationInput | undefined
}

const failure = (
  reason: RedisServerError["reason"],
  message: string,
  more: { readonly log?: string; readonly cause?: unknown } = {}
) => new RedisServerError({ reason, message, log: more.log ?? "", ...("cause" in more ? { cause: more.cause } : {}) })

const cannot = (what: string) => (cause: unknown) =>
  failure("Start", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })

// ---------------------------------------------------------------------------------------------------------------------
// Finding a server
// ---------------------------------------------------------------------------------------------------------------------

const programs = ["redis-server", "valkey-server"]

/** The versions of executables that were asked before, by path: asking starts a process. */
const known = new Map<string, Executable>()

const inspect = (executable: string): Effect.Effect<Executable, RedisServerError, Platform> =>
  Effect.suspend(() => {
    const before = known.get(executable)
    if (before !== undefined) return Effect.succeed(before)
    return outputOf(executable, "--version").pipe(
      Effect.mapError((cause) =>
        failure("NotFound", `The server ${executable} cannot be run: ${cause.message}`, { cause })
      ),
      Effect.flatMap((text) => {
        const match = /(Redis|Valkey) server v=(\S+)/.exec(text)
        if (match === null) {
          return failure(
            "NotFound",
            `${executable} is not a Redis or Valkey server: --version printed ${text.slice(0, 200)}`
          )
        }
        const found: Executable = {
          executable,
          product: match[1] === "Valkey" ? "valkey" : "redis",
          version: match[2] ?? "0"
        }
        known.set(executable, found)
        return Effect.succeed(found)
      })
    )
  })

const candidates = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folders = (process.env.PATH ?? "").split(Path.delimiter).filter((folder) => folder !== "")
  const made = Path.resolve(".servers")
  const names = yield* fs.readDirectory(made).pipe(Effect.orElseSucceed((): Array<string> => []))
  // The newest first, and Redis before Valkey.
  const rank = (name: string) => (name.startsWith("redis-") ? 0 : 1)
  names.sort((a, b) => rank(a) - rank(b) || b.localeCompare(a, undefined, { numeric: true }))
  return [...folders, ...names.map((name) => Path.join(made, name))].flatMap((folder) =>
    programs.map((program) => Path.join(folder, program))
  )
})

/** The server that is named by the options or the environment. */
const nameOf = (executable: string | undefined): string | undefined => {
  const named = executable ?? process.env.REDIS_SERVER
  return named === "" ? undefined : named
}

const findExecutable = (executable: string | undefined): Effect.Effect<Executable, RedisServerError, Platform> =>
  Effect.gen(function* () {
    const named = nameOf(executable)
    if (named !== undefined) return yield* inspect(named)
    const fs = yield* FileSystem.FileSystem
    let broken: RedisServerError | undefined
    for (const candidate of yield* candidates) {
      if (!(yield* Effect.orElseSucceed(fs.exists(candidate), () => false))) continue
      const result = yield* Effect.either(inspect(candidate))
      if (result._tag === "Right") return result.right
      broken ??= result.left
    }
    if (broken !== undefined) return yield* broken
    return yield* failure(
      "NotFound",
      "Found no Redis or Valkey server. Install redis-server or valkey-server, or name one with the environment " +
        "variable REDIS_SERVER or the option `executable`, or use RedisServer.layerEmbedded."
    )
  })

/**
 * The server that would be started: by the option `executable`, the environment variable `REDIS_SERVER`, the PATH, or
 * the folder `.servers`, in this order.
 *
 * @since 0.1.0
 * @category finding
 */
export const find = (
  options?: { readonly executable?: string | undefined } | undefined
): Effect.Effect<Executable, RedisServerError> => Effect.provide(findExecutable(options?.executable), platform)

// ---------------------------------------------------------------------------------------------------------------------
// Certificates
// ---------------------------------------------------------------------------------------------------------------------

const day = 24 * 60 * 60 * 1000

/**
 * Makes an authority, a server's certificate and a client's certificate. No program and no package is needed.
 *
 * @since 0.1.0
 * @category certificates
 */
export const makeCertificates = (options?: TlsOptions | undefined): Effect.Effect<Certificates> =>
  Effect.sync(() => {
    const now = Date.now()
    const always = { notBefore: new Date(now - 2 * day), notAfter: new Date(now + 366 * day) }
    const ca = issue({ name: `Test authority ${Crypto.randomUUID()}`, use: "authority", ...always })
    const notAfter = options?.notAfter ?? new Date(now + 365 * day)
    // An expired certificate was valid once.
    const notBefore = options?.notBefore ?? new Date(Math.min(now, notAfter.getTime()) - day)
    const names = options?.names ?? ["localhost", "127.0.0.1", "::1"]
    const server = issue({ name: names[0] ?? "server", use: "server", names, notBefore, notAfter }, ca)
    const client = issue({ name: "client", use: "client", ...always }, ca)
    return {
      ca: ca.cert,
      cert: server.cert,
      key: Redacted.make(server.key),
      clientCert: client.cert,
      clientKey: Redacted.make(client.key)
    }
  })

const tlsOptions = (options: RedisServerOptions): TlsOptions | undefined =>
  options.tls === undefined || options.tls === false ? undefined : options.tls === true ? {} : options.tls

// ---------------------------------------------------------------------------------------------------------------------
// Configuration
// ---------------------------------------------------------------------------------------------------------------------

/** A word of `redis.conf`, quoted so that it may contain anything. */
const quoted = (word: string): string =>
  `"${word.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r")}"`

const rendered = (name: string, value: Directive): ReadonlyArray<string> =>
  Array.isArray(value)
    ? value.flatMap((one: string | number) => rendered(name, one))
    : [`${name} ${value === true ? "yes" : value === false ? "no" : value === "" ? '""' : String(value)}`]

const secret = (peer: Peer): string | undefined =>
  peer.password === undefined ? undefined : Option.getOrUndefined(Option.map(peer.password, Redacted.value))

interface Files {
  readonly folder: string
  readonly socket: string
  readonly acl: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const filesIn = (folder: string): Files => ({
  folder,
  socket: Path.join(folder, "redis.sock"),
  acl: Path.join(folder, "users.acl"),
  ca: Path.join(folder, "ca.crt"),
  cert: Path.join(folder, "server.crt"),
  key: Path.join(folder, "server.key")
})

const configuration = (
  options: RedisServerOptions,
  found: Executable,
  files: Files,
  port: number,
  users: string | undefined
): string => {
  const tls = tlsOptions(options)
  const mode = options.mode ?? "standalone"
  const sentinel = typeof mode === "object" && "monitor" in mode
  const seven = found.product === "valkey" || Number.parseInt(found.version, 10) >= 7
  const lines = [
    "bind 127.0.0.1",
    "protected-mode no",
    "daemonize no",
    `dir ${quoted(files.folder)}`,
    `unixsocket ${quoted(files.socket)}`,
    "unixsocketperm 700",
    // The server checks for signals this many times a second: stopping takes 20 ms instead of 100.
    "hz 50"
  ]
  if (tls === undefined) {
    lines.push(`port ${port}`)
  } else {
    lines.push(
      "port 0",
      `tls-port ${port}`,
      `tls-ca-cert-file ${quoted(files.ca)}`,
      `tls-cert-file ${quoted(files.cert)}`,
      `tls-key-file ${quoted(files.key)}`,
      `tls-auth-clients ${{ ignored: "no", optional: "optional", required: "yes" }[tls.clients ?? "optional"]}`
    )
  }
  if (options.password !== undefined) lines.push(`requirepass ${quoted(Redacted.value(options.password))}`)
  if (users !== undefined) lines.push(`aclfile ${quoted(files.acl)}`)
  if (seven) lines.push("enable-debug-command local")
  if (!sentinel) {
    lines.push('save ""', `databases ${options.databases ?? 16}`, `appendonly ${options.appendonly ? "yes" : "no"}`)
    if (options.appendonly) lines.push("appendfsync always")
    // In a test a replica should not wait for other replicas to connect, nor a stopping server for its replicas.
    lines.push("repl-diskless-sync-delay 0")
    if (seven) lines.push("shutdown-timeout 0")
  }
  if (mode === "cluster") {
    lines.push("cluster-enabled yes", "cluster-config-file nodes.conf")
    if (tls !== undefined) lines.push("tls-cluster yes")
  } else if (typeof mode === "object" && "replicaOf" in mode) {
    const password = secret(mode.replicaOf)
    lines.push(`replicaof ${mode.replicaOf.host} ${mode.replicaOf.port}`)
    if (password !== undefined) lines.push(`masterauth ${quoted(password)}`)
    if (tls !== undefined) lines.push("tls-replication yes")
  } else if (typeof mode === "object") {
    for (const [name, peer] of Object.entries(mode.monitor)) {
      const password = secret(peer)
      lines.push(`sentinel monitor ${quoted(name)} ${peer.host} ${peer.port} ${peer.quorum ?? 1}`)
      if (password !== undefined) lines.push(`sentinel auth-pass ${quoted(name)} ${quoted(password)}`)
    }
    if (tls !== undefined) lines.push("tls-replication yes")
  }
  for (const [name, value] of Object.entries(options.config ?? {})) lines.push(...rendered(name, value))
  return `${lines.join("\n")}\n`
}

/** The users of the options, as an ACL file; none when there are no such options. */
const usersOf = (options: RedisServerOptions): Effect.Effect<string | undefined, RedisServerError, Platform> =>
  Effect.gen(function* () {
    if (options.acl === undefined && options.aclFile === undefined) return undefined
    const fs = yield* FileSystem.FileSystem
    const file =
      options.aclFile === undefined
        ? ""
        : yield* Effect.mapError(fs.readFileString(options.aclFile), cannot("The ACL file cannot be read"))
    const lines = (options.acl ?? []).map((line) => (/^\s*user\s/.test(line) ? line.trim() : `user ${line.trim()}`))
    const text = [...lines, file].join("\n")
    // An ACL file without the default user would remove that user's password.
    return options.password === undefined || /^\s*user\s+default\s/m.test(text)
      ? text
      : `user default on #${sha256(Redacted.value(options.password))} ~* &* +@all\n${text}`
  })

const sha256 = (text: string): string => Crypto.createHash("sha256").update(text).digest("hex")

// ---------------------------------------------------------------------------------------------------------------------
// Starting a process
// ---------------------------------------------------------------------------------------------------------------------

/** Ports below the range for outgoing connections. The bus of a cluster node uses the port 10 000 above. */
const randomPort = (mode: Mode | undefined): number => Crypto.randomInt(10_240, mode === "cluster" ? 22_768 : 32_768)

const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  Effect.acquireRelease(
    Effect.mapError(fs.makeTempDirectory({ prefix: "effect-redis-" }), cannot("No temporary folder can be made")),
    (folder) => Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
  )
)

const makeProcess = (
  options: RedisServerOptions
): Effect.Effect<RedisServer, RedisServerError, Platform | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const context = yield* Effect.context<Platform>()
    const found = yield* findExecutable(options.executable)
    const files = filesIn(yield* temporaryFolder)
    const tls = tlsOptions(options)
    const certificates = tls === undefined ? undefined : (tls.certificates ?? (yield* makeCertificates(tls)))
    const users = yield* usersOf(options)
    const mode = options.mode ?? "standalone"
    const sentinel = typeof mode === "object" && "monitor" in mode
    const startMillis = Duration.toMillis(options.startTimeout ?? "10 seconds")
    const stopMillis = Duration.toMillis(options.stopTimeout ?? "3 seconds")

    const write = (file: string, text: string) =>
      Effect.mapError(fs.writeFileString(file, text, { mode: 0o600 }), cannot(`${file} cannot be written`))
    if (users !== undefined) yield* write(files.acl, users)
    if (certificates !== undefined) {
      yield* write(files.ca, certificates.ca)
      yield* write(files.cert, certificates.cert)
      yield* write(files.key, Redacted.value(certificates.key))
    }

    const log = new ServerProcess.ServerLog()
    const configFile = Path.join(files.folder, sentinel ? "sentinel.conf" : "redis.conf")
    const program = ServerProcess.guarded(
      files.folder,
      found.executable,
      configFile,
      ...(sentinel ? ["--sentinel"] : [])
    )
    const lock = yield* Effect.makeSemaphore(1)
    let port = options.port
    let running: ServerProcess.ServerProcess | undefined
    let closed = false

    const terminate = (graceMillis: number) =>
      Effect.suspend(() => {
        const old = running
        if (old === undefined || old.hasExited) return Effect.void
        return ServerProcess.terminate(old, graceMillis)
      })

    /** One attempt to start; false when another process has the port. */
    const attempt: Effect.Effect<boolean, RedisServerError> = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const started = yield* Effect.mapError(
          Effect.provide(ServerProcess.spawn(program, log), context),
          cannot(`${found.executable} cannot be started`)
        )
        running = started
        const outcome = yield* restore(
          ServerProcess.awaitReady(started, {
            socketPath: files.socket,
            password: options.password === undefined ? undefined : Redacted.value(options.password),
            millis: startMillis,
            logSaysReady: () => /eady to accept connections|Sentinel ID is/.test(log.thisRun)
          })
        ).pipe(Effect.onInterrupt(() => terminate(0)))
        if (outcome === "ready") return true
        yield* terminate(0)
        if (outcome === "exited" && /Address already in use/.test(log.thisRun)) return false
        const said = log.tail(15)
        return yield* failure(
          "Start",
          `${found.product} ${found.version} ${
            outcome === "exited" ? "ended instead of starting" : `did not answer within ${startMillis} ms`
          }. ${said === "" ? "It printed nothing." : `The last of its output:\n${said}`}`,
          { log: log.thisRun }
        )
      })
    )

    /** Sentinels and cluster nodes write their state into their files, so the files are written once for each port. */
    let written: number | undefined
    const configure = (port: number) =>
      written === port
        ? Effect.void
        : Effect.zipRight(
            write(configFile, configuration(options, found, files, port, users)),
            Effect.sync(() => {
              written = port
            })
          )

    const launch = Effect.gen(function* () {
      if (closed) return yield* failure("Closed", "The scope of this server is closed.")
      if (running !== undefined && !running.hasExited) return
      const fixed = port
      // The server's earlier port may be taken for a moment by an outgoing connection. A port that the options ask for
      // is not
      // tried again: another process has it.
      const limit = running === undefined && fixed !== undefined ? 1 : 20
      for (let tries = 1; tries <= limit; tries++) {
        const chosen = fixed ?? randomPort(options.mode)
        yield* configure(chosen)
        if (yield* attempt) {
          port = chosen
          return
        }
        if (fixed !== undefined) yield* ServerProcess.sleep(50)
      }
      return yield* failure("Start", fixed === undefined ? "No free port was found." : `Port ${fixed} is in use.`, {
        log: log.thisRun
      })
    })

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        // Twice: a start that is under way in another fiber may begin its process after the first time.
        return Effect.zipRight(terminate(stopMillis), lock.withPermits(1)(terminate(0)))
      })
    )
    yield* lock.withPermits(1)(launch)

    const locked = <A>(effect: Effect.Effect<A, RedisServerError>) => lock.withPermits(1)(effect)
    const signal = (name: "SIGSTOP" | "SIGCONT", doing: string) =>
      locked(
        Effect.suspend(() =>
          running?.signal(name)
            ? Effect.void
            : failure("NotRunning", `The server does not run, so it cannot be ${doing}.`)
        )
      )
    const password = Option.fromNullable(options.password)
    const stop = terminate(stopMillis)
    const server: RedisServer = {
      [TypeId]: TypeId,
      product: found.product,
      version: found.version,
      executable: Option.some(found.executable),
      host: "127.0.0.1",
      port: port ?? 0,
      socketPath: files.socket,
      url: urlOf(port ?? 0, password, tls !== undefined),
      password,
      tls: Option.fromNullable(certificates),
      folder: files.folder,
      pid: Effect.sync(() => (running === undefined || running.hasExited ? Option.none() : Option.some(running.pid))),
      log: Effect.sync(() => log.all),
      start: locked(launch),
      stop: locked(stop),
      restart: locked(Effect.zipRight(stop, launch)),
      kill: locked(terminate(0)),
      pause: signal("SIGSTOP", "paused"),
      resume: signal("SIGCONT", "resumed")
    }
    return server
  })

const urlOf = (port: number, password: Option.Option<Redacted.Redacted<string>>, tls: boolean) => {
  const login = Option.match(password, {
    onNone: () => "",
    onSome: (secret) => `:${encodeURIComponent(Redacted.value(secret))}@`
  })
  return Redacted.make(`redis${tls ? "s" : ""}://${login}127.0.0.1:${port}`)
}

// ---------------------------------------------------------------------------------------------------------------------
// The embedded server
// ---------------------------------------------------------------------------------------------------------------------

const notEmbedded = (what: string) =>
  failure("Unsupported", `The embedded server has no ${what}. Use a real server for this: RedisServer.layer.`)

const makeEmbeddedServer = (
  options: RedisServerOptions
): Effect.Effect<RedisServer, RedisServerError, Platform | Scope.Scope> =>
  Effect.gen(function* () {
    if (options.mode !== undefined && options.mode !== "standalone") return yield* notEmbedded("modes")
    if (options.acl !== undefined || options.aclFile !== undefined) return yield* notEmbedded("users")
    if (options.config !== undefined) return yield* notEmbedded("configuration file")
    const files = filesIn(yield* temporaryFolder)
    const tls = tlsOptions(options)
    const certificates = tls === undefined ? undefined : (tls.certificates ?? (yield* makeCertificates(tls)))
    const password = Option.fromNullable(options.password)
    const lock = yield* Effect.makeSemaphore(1)
    const embedded = yield* EmbeddedServer.make({
      databases: options.databases,
      password: Option.getOrUndefined(Option.map(password, Redacted.value)),
      socketPath: files.socket,
      keepData: options.appendonly === true,
      tls:
        certificates === undefined
          ? undefined
          : {
              ca: certificates.ca,
              cert: certificates.cert,
              key: Redacted.value(certificates.key),
              requestCert: tls?.clients !== "ignored",
              rejectUnauthorized: tls?.clients === "required"
            }
    }).pipe(
      Effect.mapError((cause) =>
        failure(
          "NotFound",
          "The embedded server needs the npm package js-redis-server: npm install -D js-redis-server",
          {
            cause
          }
        )
      )
    )
    let closed = false
    let port = options.port ?? 0
    const launch = Effect.gen(function* () {
      if (closed) return yield* failure("Closed", "The scope of this server is closed.")
      if (embedded.isRunning()) return
      port = yield* Effect.mapError(embedded.start(port), cannot("The embedded server cannot listen"))
    })
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Effect.sync(() => {
          closed = true
        }),
        lock.withPermits(1)(embedded.stop)
      )
    )
    yield* lock.withPermits(1)(launch)
    const server: RedisServer = {
      [TypeId]: TypeId,
      product: "embedded",
      version: embedded.version,
      executable: Option.none(),
      host: "127.0.0.1",
      port,
      socketPath: files.socket,
      url: urlOf(port, password, tls !== undefined),
      password,
      tls: Option.fromNullable(certificates),
      folder: files.folder,
      pid: Effect.succeedNone,
      log: Effect.succeed(""),
      start: lock.withPermits(1)(launch),
      stop: lock.withPermits(1)(embedded.stop),
      restart: lock.withPermits(1)(Effect.zipRight(embedded.stop, launch)),
      kill: notEmbedded("process that could be killed"),
      pause: notEmbedded("process that could be paused"),
      resume: notEmbedded("process that could be resumed")
    }
    return server
  })

// ---------------------------------------------------------------------------------------------------------------------
// Constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Starts a server and waits until it answers. When the scope closes, the server is stopped and its folder removed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: RedisServerOptions = {}): Effect.Effect<RedisServer, RedisServerError, Scope.Scope> =>
  Effect.provide(options.embedded === true ? makeEmbeddedServer(options) : makeProcess(options), platform)

/**
 * Starts the embedded server: in this process, in memory, in pure JavaScript. It checks less than real servers do and
 * lacks some commands. Needs the npm package `js-redis-server`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEmbedded = (
  options: RedisServerOptions = {}
): Effect.Effect<RedisServer, RedisServerError, Scope.Scope> => make({ ...options, embedded: true })

/**
 * Starts a real server if one is found, else the embedded one. With `embedded: false` a missing real server is a failure.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeAny = (options: RedisServerOptions = {}): Effect.Effect<RedisServer, RedisServerError, Scope.Scope> =>
  options.embedded !== undefined
    ? make(options)
    : Effect.flatMap(Effect.either(find(options)), (found) =>
        // When a server was named, the embedded server is no replacement: it would hide that the named server is missing.
        make({ ...options, embedded: found._tag === "Left" && nameOf(options.executable) === undefined })
      )

/**
 * A server for as long as the layer lives.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: RedisServerOptions = {}): Layer.Layer<RedisServer, RedisServerError> =>
  Layer.scoped(RedisServer, make(options))

/**
 * The embedded server for as long as the layer lives: see {@link makeEmbedded}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEmbedded = (options: RedisServerOptions = {}): Layer.Layer<RedisServer, RedisServerError> =>
  Layer.scoped(RedisServer, makeEmbedded(options))

/**
 * A real server if one is found, else the embedded one. With `embedded: false` a missing real server is a failure.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAny = (options: RedisServerOptions = {}): Layer.Layer<RedisServer, RedisServerError> =>
  Layer.scoped(RedisServer, makeAny(options))

/**
 * A client of a server of its own, with subscriptions, for a test: the first real server that is found, else the embedded
 * one. Tests that need a real server say `embedded: false`, so that they fail where there is none. `client` has further
 * options of the client.
 *
 * @example
 * ```ts
 * import { layer } from "@effect/vitest"
 * import { Redis } from "effect-redis-client"
 * import * as RedisServer from "effect-redis-client/testing/RedisServer"
 *
 * layer(RedisServer.layerRedis())("counters", (it) => {
 *   it.effect("count", () => Redis.incr("visits"))
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRedis = (
  options: RedisServerOptions & { readonly client?: RedisOptions | undefined } = {}
): Layer.Layer<Redis | RedisPubSub | RedisServer, RedisServerError | RedisError> =>
  Layer.provideMerge(
    Layer.unwrapEffect(
      Effect.map(RedisServer, ({ tls, url }) =>
        Redis.layer({
          url,
          // A cluster's node or a sentinel was asked for.
          ...(options.mode === undefined ? {} : { expect: "node" as const }),
          ...(Option.isSome(tls) ? { tls: { ca: [tls.value.ca] } } : {}),
          ...options.client
        })
      )
    ),
    layerAny(options)
  )
