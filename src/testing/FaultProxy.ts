/**
 * A TCP proxy that injects faults, for tests: between a client and its server it delays, splits, corrupts, cuts,
 * swallows and refuses.
 *
 * It runs on Node, Bun and Deno. It passes bytes without reading them, so it works with TLS too. All waiting here uses
 * timers of JavaScript, so it works under Effect's `TestClock` as well.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { DurationWithUnit } from "../internal/command/args.js"
import { defect, literals } from "../internal/effect/errorSchemas.js"
import * as Core from "./internal/faultProxyCore.js"
import { RedisServer as Server } from "./internal/serverTag.js"
import type { RedisServer } from "./RedisServer.js"

/**
 * The property by which a proxy is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/testing/FaultProxy")

/**
 * The property by which a proxy is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * Why the proxy could not do what was asked.
 *
 * - `Listen`: the proxy cannot listen on its host and port.
 * - `InvalidFault`: a number or a duration of a fault is not valid.
 *
 * @since 0.1.0
 * @category errors
 */
export class FaultProxyError extends Schema.TaggedError<FaultProxyError>("effect-redis-client/testing/FaultProxyError")(
  "FaultProxyError",
  {
    reason: literals("Listen", "InvalidFault"),
    message: Schema.String,
    cause: Schema.optional(defect)
  }
) {}

// ---------------------------------------------------------------------------------------------------------------------
// Faults
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A fault as a value. Faults on one connection add up: latencies are summed, the smallest bandwidth and the smallest
 * piece size apply, and each cut and each corruption happens by itself.
 *
 * @since 0.1.0
 * @category faults
 */
export interface Fault {
  /** Its name in tables and logs. */
  readonly name: string
  /** @internal */
  readonly fault: Core.Fault
  /** @internal */
  readonly problem: string | undefined
}

/**
 * How a connection ends.
 *
 * - `"reset"`: with a RST to both sides. Bytes that were not read yet may be lost.
 * - `"close"`: with a FIN to both sides.
 * - `"halfClose"`: with a FIN in one direction. The other direction goes on.
 * - `"blackHole"`: without a FIN or RST: bytes are swallowed, and neither side is informed.
 *
 * @since 0.1.0
 * @category faults
 */
export type Ending = Core.Ending

const define = (name: string, fault: Core.Fault, problem?: string | undefined): Fault => ({ name, fault, problem })

/** NaN for an input that is not a duration. */
const millisOf = (input: DurationWithUnit): number =>
  Option.match(Duration.decodeUnknown(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })

const checkMillis = (name: string, millis: number): string | undefined =>
  millis <= 0x7fff_ffff ? undefined : `${name} must be a duration of at most 24 days`

const checkWhole = (name: string, value: number, least: number): string | undefined =>
  Number.isSafeInteger(value) && value >= least ? undefined : `${name} must be a whole number from ${least}`

/**
 * All bytes arrive later, in order. `jitter` is the most that a random part, by the proxy's `seed`, adds to each delay.
 *
 * @since 0.1.0
 * @category faults
 */
export const latency = (
  duration: DurationWithUnit,
  options?: { readonly jitter?: DurationWithUnit | undefined } | undefined
): Fault => {
  const millis = millisOf(duration)
  const jitter = options?.jitter === undefined ? 0 : millisOf(options.jitter)
  return define(
    `latency of ${millis} ms${jitter === 0 ? "" : ` and up to ${jitter} ms more`}`,
    { _tag: "Latency", millis, jitter },
    checkMillis("latency", millis) ?? checkMillis("jitter", jitter)
  )
}

/**
 * At most this many bytes a second, in each direction.
 *
 * @since 0.1.0
 * @category faults
 */
export const bandwidth = (bytesPerSecond: number): Fault =>
  define(
    `${bytesPerSecond} bytes a second`,
    { _tag: "Bandwidth", bytesPerSecond },
    bytesPerSecond > 0 ? undefined : "bandwidth must be more than zero"
  )

/**
 * Bytes arrive in pieces of this size, each in a turn of the event loop of its own: one byte each when not given. When
 * the reader is slow, its operating system may join pieces again.
 *
 * @since 0.1.0
 * @category faults
 */
export const split = (size = 1): Fault =>
  define(`split every ${size} bytes`, { _tag: "Split", size }, checkWhole("size", size, 1))

/**
 * The proxy stops reading until it is healed. What a peer sends fills the buffers of the operating system and then
 * waits at the sender. Nothing is lost.
 *
 * @since 0.1.0
 * @category faults
 */
export const stall: Fault = define("stalled", { _tag: "Stall" })

/**
 * All bytes are read and thrown away, and the end of either side is not passed on, as when a peer disappears without a
 * FIN.
 *
 * @since 0.1.0
 * @category faults
 */
export const blackHole: Fault = define("black hole", { _tag: "BlackHole" })

/**
 * Changes the byte at `offset`, counted from now on a live connection and from the first byte on a new one. `xor`
 * selects the bits that change: all of them when not given.
 *
 * @since 0.1.0
 * @category faults
 */
export const corrupt = (offset: number, options?: { readonly xor?: number | undefined } | undefined): Fault => {
  const xor = options?.xor ?? 0xff
  return define(
    `byte ${offset} corrupted`,
    { _tag: "Corrupt", offset, xor },
    checkWhole("offset", offset, 0) ?? (xor >= 1 && xor <= 0xff ? undefined : "xor must be a number from 1 to 255")
  )
}

/**
 * Ends the connection as soon as `bytes` bytes have passed, counted from now on a live connection and from the first
 * byte on a new one. With 0 the connection ends when the first byte arrives, which does not pass. So `cutAfter(0)` in
 * the direction `"toClient"` cuts after the write and before the reply: the server has executed the command, and the
 * client does not learn of it.
 *
 * @since 0.1.0
 * @category faults
 */
export const cutAfter = (bytes: number, ending: Ending = "reset"): Fault =>
  define(`${ending} after ${bytes} bytes`, { _tag: "Cut", after: bytes, ending }, checkWhole("bytes", bytes, 0))

/**
 * Ends the connection with a RST, at once. A new connection is accepted and then reset.
 *
 * @since 0.1.0
 * @category faults
 */
export const reset: Fault = define("reset", { _tag: "End", ending: "reset" })

/**
 * Ends the connection with a FIN to both sides, after the bytes that are under way. A new connection is accepted and
 * then closed.
 *
 * @since 0.1.0
 * @category faults
 */
export const close: Fault = define("close", { _tag: "End", ending: "close" })

/**
 * A FIN in one direction, after the bytes that are under way; later bytes in that direction are thrown away. The other
 * direction goes on.
 *
 * @since 0.1.0
 * @category faults
 */
export const halfClose: Fault = define("half-close", { _tag: "End", ending: "halfClose" })

/**
 * Another fault that begins when `bytes` bytes have passed and more arrive, just before the first of these. The bytes
 * are counted in the direction in which this fault is injected, from now on a live connection and from the first byte
 * on a new one. The other fault then applies to `direction`, or to both directions.
 *
 * @example
 * ```ts
 * import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
 *
 * // Injected in the direction "toClient": from the first byte of the reply on, nothing passes in either direction.
 * export const silence = FaultProxy.after(0, FaultProxy.blackHole)
 * ```
 *
 * @since 0.1.0
 * @category faults
 */
export const after = (
  bytes: number,
  fault: Fault,
  options?: { readonly direction?: "toServer" | "toClient" | "both" | undefined } | undefined
): Fault =>
  define(
    `${fault.name}, after ${bytes} bytes`,
    { _tag: "After", bytes, fault: fault.fault, direction: options?.direction ?? "both" },
    fault.problem ?? checkWhole("bytes", bytes, 0)
  )

/**
 * The proxy stops listening: new connections are refused (ECONNREFUSED), live ones go on. It applies to the whole
 * proxy, whatever `Where` says.
 *
 * @since 0.1.0
 * @category faults
 */
export const refuse: Fault = define("refused", { _tag: "Refuse" })

// ---------------------------------------------------------------------------------------------------------------------
// The proxy
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Where a fault applies.
 *
 * @since 0.1.0
 * @category models
 */
export interface Where {
  /** The direction: both when not given. */
  readonly direction?: "toServer" | "toClient" | "both" | undefined
  /** The live connections, new connections, both (when not given), or one live connection by its id. */
  readonly on?: "live" | "new" | "all" | number | undefined
  /** How many of the new connections have the fault: all when not given. */
  readonly times?: number | undefined
}

/**
 * What passed through a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionStats {
  /** Counted from 0, in order of arrival. */
  readonly id: number
  readonly bytesToServer: number
  readonly bytesToClient: number
  /** Bytes that were read and not passed on, in both directions together. */
  readonly swallowed: number
}

/**
 * What passed through the proxy, ended connections included.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** Connections that were accepted. */
  readonly accepted: number
  /** Connections that their clients have not ended. */
  readonly open: number
  /** Connections that were reset because the server could not be reached. */
  readonly unreachable: number
  readonly bytesToServer: number
  readonly bytesToClient: number
  /** Bytes that were read and not passed on, in both directions together. */
  readonly swallowed: number
}

/**
 * A proxy that listens. When its scope closes, it ends with all its connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface FaultProxy {
  readonly [TypeId]: TypeId
  /** The address to connect to. */
  readonly host: string
  /** The port to connect to. */
  readonly port: number
  /** What has passed through until now. */
  readonly stats: Effect.Effect<Stats>
  /** The live connections. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionStats>>
  /** Waits until the statistics satisfy the predicate: that bytes have passed, or a connection was opened or closed. */
  readonly until: (predicate: (stats: Stats) => boolean) => Effect.Effect<Stats>
  /** Adds a fault to those that are active, until the proxy is healed. Several faults are added in one step. */
  readonly inject: (
    fault: Fault | ReadonlyArray<Fault>,
    where?: Where | undefined
  ) => Effect.Effect<void, FaultProxyError>
  /**
   * Ends all faults and accepts new connections. Delayed bytes pass at once. Connections that lost bytes, or one of
   * their ends, are reset, because they cannot go on.
   */
  readonly heal: Effect.Effect<void, FaultProxyError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export const FaultProxy: Context.Tag<FaultProxy, FaultProxy> = Context.GenericTag<FaultProxy>(
  "effect-redis-client/testing/FaultProxy"
)

/**
 * Options of a proxy.
 *
 * @since 0.1.0
 * @category options
 */
export interface FaultProxyOptions {
  /** The server: by host and port, or by the path of a unix socket. */
  readonly target:
    | { readonly host?: string | undefined; readonly port: number; readonly path?: undefined }
    | { readonly path: string; readonly host?: undefined; readonly port?: undefined }
  /** The address to listen on: `127.0.0.1` when not given. */
  readonly host?: string | undefined
  /** A free port when not given. */
  readonly port?: number | undefined
  /** The seed of random numbers: the same seed makes the same jitter. 0 when not given. */
  readonly seed?: number | undefined
}

/** Listening is tried again: the proxy's earlier port may be taken by an outgoing connection for a moment. */
const listenTries = 20

/**
 * Ports below the range for outgoing connections. A client that keeps connecting to a port of that range, while nobody
 * listens there, ends up connected to itself.
 */
const randomPort = (): number => 10_240 + Math.floor(Math.random() * (32_768 - 10_240))

const listening = (
  attempt: (port: number, done: (problem: Error | undefined) => void) => void,
  host: string,
  port: number | undefined
): Effect.Effect<void, FaultProxyError> =>
  Effect.async<void, FaultProxyError>((resume) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const go = (left: number): void => {
      const chosen = port ?? randomPort()
      attempt(chosen, (problem) => {
        if (problem === undefined) {
          resume(Effect.void)
        } else if (left > 0 && (problem as { readonly code?: unknown }).code === "EADDRINUSE") {
          timer = setTimeout(go, port === undefined ? 0 : 50, left - 1)
        } else {
          resume(
            new FaultProxyError({
              reason: "Listen",
              message: `The proxy cannot listen on ${host}:${chosen}: ${problem.message}`,
              cause: problem
            })
          )
        }
      })
    }
    go(listenTries)
    return Effect.sync(() => clearTimeout(timer))
  })

/**
 * Starts a proxy in front of a server. It ends when the scope closes.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-redis-client"
 * import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
 * import { Effect } from "effect"
 *
 * // The server executes INCR, and the connection is cut before the reply arrives.
 * export const program = Effect.scoped(Effect.gen(function*() {
 *   const proxy = yield* FaultProxy.make({ target: { port: 6379 } })
 *   const redis = yield* Redis.make({ host: proxy.host, port: proxy.port })
 *   yield* proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })
 *   const error = yield* Effect.flip(Effect.provideService(Redis.incr("visits"), Redis, redis))
 *   yield* Effect.log(error._tag) // ConnectionError, with delivery "unknown"
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: FaultProxyOptions): Effect.Effect<FaultProxy, FaultProxyError, Scope.Scope> =>
  Effect.gen(function* () {
    const host = options.host ?? "127.0.0.1"
    const core = yield* Effect.acquireRelease(
      Effect.sync(() => new Core.ProxyCore({ target: options.target, host, seed: options.seed ?? 0 })),
      (core) =>
        Effect.async<void>((resume) => {
          core.close(() => resume(Effect.void))
        })
    )
    yield* listening((port, done) => core.listen(port, done), host, options.port)
    const proxy: FaultProxy = {
      [TypeId]: TypeId,
      host,
      port: core.port,
      stats: Effect.sync(() => core.stats),
      connections: Effect.sync(() => core.connections),
      until: (predicate) =>
        Effect.async<Stats>((resume) => {
          let stop = (): void => {}
          const look = (): boolean => {
            const { stats } = core
            // It runs on a socket's stack, where nobody would catch a throw.
            const answer = Either.try(() => predicate(stats))
            if (Either.isRight(answer) && !answer.right) {
              return false
            }
            stop()
            resume(Either.isRight(answer) ? Effect.succeed(stats) : Effect.die(answer.left))
            return true
          }
          if (!look()) {
            stop = core.observe(look)
          }
          return Effect.sync(() => stop())
        }),
      inject: (fault, where) =>
        Effect.suspend(() => {
          const faults: ReadonlyArray<Fault> = "fault" in fault ? [fault] : fault
          const times = where?.times ?? Number.POSITIVE_INFINITY
          const problem =
            faults.find((one) => one.problem !== undefined)?.problem ??
            (times >= 1 ? undefined : "times must be a number from 1")
          if (problem !== undefined) {
            return new FaultProxyError({ reason: "InvalidFault", message: problem })
          }
          for (const one of faults) {
            core.inject(one.fault, { direction: where?.direction ?? "both", on: where?.on ?? "all", times })
          }
          return Effect.void
        }),
      heal: listening((_, done) => core.heal(done), host, core.port)
    }
    return proxy
  })

/**
 * A proxy for as long as the layer lives.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: FaultProxyOptions): Layer.Layer<FaultProxy, FaultProxyError> =>
  Layer.scoped(FaultProxy, make(options))

/**
 * A proxy in front of the `RedisServer` of the context.
 *
 * @example
 * ```ts
 * import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
 * import * as RedisServer from "effect-redis-client/testing/RedisServer"
 * import { Layer } from "effect"
 *
 * export const Proxied = FaultProxy.layerServer().pipe(Layer.provideMerge(RedisServer.layer()))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = (
  options?: Omit<FaultProxyOptions, "target"> | undefined
): Layer.Layer<FaultProxy, FaultProxyError, RedisServer> =>
  Layer.scoped(
    FaultProxy,
    Effect.flatMap(Server, ({ host, port }) => make({ ...options, target: { host, port } }))
  )
