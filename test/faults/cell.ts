/** One cell of the fault table: a fault in a phase of a call, and its outcome. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { type Connection, Pool, Redis, type RedisError } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type * as RedisServer from "effect-redis-client/testing/RedisServer"
import type { RedisOptions } from "../../src/Redis.js"
import { on, quickly } from "../support/client.js"
import type { Apart, Together } from "./apart.js"
import { makeInjector } from "./inject.js"
import type { Bench, CallRow, FaultRow, PhaseRow } from "./model.js"

export interface Cell {
  readonly fault: FaultRow
  readonly phase: PhaseRow
  readonly call: CallRow
  /** Later connections have the fault too, until it is healed. */
  readonly lasting: boolean
}

/** The observed outcome of a cell. */
export interface Seen {
  /** `answer`, or the error: its tag, its reason, phase or code, and its delivery. */
  readonly outcome: string
  readonly executed: number
  /** Whether the call took its whole deadline. */
  readonly overdue: boolean
  readonly problems: ReadonlyArray<string>
}

export interface Home {
  readonly plain: RedisServer.RedisServer
  readonly tls: RedisServer.RedisServer
  readonly direct: Connection.Connection
  readonly directTls: Connection.Connection
  readonly apart: Apart
  /** The cells for which the event loop is held together. */
  readonly together: Together
}

export const big = "x".repeat(300_000)

export const nameOf = ({ call, fault, lasting, phase }: Cell) =>
  `${fault.name}${lasting ? ", lasting" : ""} / ${phase.name} / ${call.name}`

/** Whether the call must wait until its deadline. Then the deadline is short; else it is too long to be reached. */
export const waits = (cell: Cell): boolean => {
  const { call, fault, lasting, phase } = cell
  if (isPast(cell) || fault.kind === "slow") {
    return false
  }
  if (fault.stops === "server" && phase.name === "largeReply") {
    return true
  }
  if (phase.when === "connecting") {
    // A fault that begins inside the handshake, towards the server, affects the command after it.
    const behind = phase.name === "greeting" && fault.direction === "toServer" && fault.kind === "silent"
    return lasting || fault.away === true || behind
  }
  // A write whose connection ended fails at once.
  const again = call.kind !== "write" || call.rounds === true || heardOf(cell)
  return fault.kind === "silent" || (fault.kind === "ends" && again && (lasting || fault.away === true))
}

/** Whether the fault comes too late for the call: the server has read the command, and its reply gets through. */
export const isPast = ({ call, fault, phase }: Cell): boolean =>
  fault.direction === "toServer" &&
  call.rounds !== true &&
  (phase.name === "awaiting" ||
    (fault.stops === undefined &&
      (phase.name === "largeReply" || (phase.name === "blocking" && fault.unasked !== true))))

/** Whether the client has noticed the end of its connection before the call. */
export const heardOf = ({ fault, phase }: Cell) => phase.name === "idle" && fault.unasked === true

const labelOf = (error: RedisError.RedisError | { readonly _tag?: string }): string => {
  const e = error as Record<string, unknown>
  switch (e._tag) {
    case "PipelineError":
      return labelOf(e.error as RedisError.RedisError)
    case "ConnectionError":
      return `ConnectionError ${e.reason} ${e.delivery}`
    case "DeadlineError":
      return `DeadlineError ${e.phase} ${e.delivery}`
    case "ReplyError":
      return `ReplyError ${e.code}`
    default:
      return String(e._tag)
  }
}

/** A time limit that is never reached, however slow the machine. */
const patience = "20 seconds"

/** Every limit of a client whose event loop is held. */
const shorterThanHeld = "5 seconds"
/** For how long it is held, in milliseconds: longer than such a limit and the time that a command blocks. */
export const heldFor = 8_500

/** Longer than any deadline in this file: an effect that takes this long never ends. */
const longest = "40 seconds"

const within = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>, problems: Array<string>) =>
  effect.pipe(
    Effect.timeoutOption(longest),
    Effect.tap((done) =>
      Effect.sync(() => {
        if (Option.isNone(done)) {
          problems.push(`${what}: never`)
        }
      })
    )
  )

export const runCell = (home: Home, cell: Cell, key: string): Effect.Effect<Seen> => {
  const { call, fault, phase } = cell
  const problems: Array<string> = []
  const server = phase.name === "tls" ? home.tls : home.plain
  const direct = phase.name === "tls" ? home.directTls : home.direct
  const held = fault.stops === "client"
  const deadline = held ? shorterThanHeld : waits(cell) ? "400 millis" : patience
  return Effect.scoped(
    Effect.gen(function* () {
      const target = { host: server.host, port: server.port }
      const proxy = yield* held ? home.apart.make(target) : FaultProxy.make({ target, seed: 1 })
      const seen = yield* Effect.scoped(
        Effect.gen(function* () {
          const ready = held ? home.together.ready : Effect.void
          const injector = yield* makeInjector(cell, proxy, server, home.together)
          const options = {
            host: proxy.host,
            port: proxy.port,
            clientName: key,
            reconnect: quickly,
            connectTimeout: held
              ? deadline
              : phase.when === "connected" || fault.kind === "slow"
                ? patience
                : waits(cell)
                  ? "300 millis"
                  : "2 seconds",
            replyTimeout: deadline,
            acquireTimeout: deadline,
            unresponsiveTimeout: held ? deadline : waits(cell) ? "1 second" : patience,
            closeTimeout: "300 millis",
            lazy: phase.when === "connecting",
            ...(Option.isSome(server.tls) ? { tls: { ca: [server.tls.value.ca], serverName: "localhost" } } : {})
          } as const satisfies RedisOptions
          // Before there is a client: a lazy one connects by itself, and what stops then must not stop this.
          yield* call.prepare({ key, size: phase.size, big, direct })
          if (phase.when === "connecting") {
            yield* ready
            yield* injector.inject
          }
          // Only the connection of the call: another one would consume the fault.
          const redis = yield* Redis.make(
            call.on === "pool" || call.on === "own" ? { ...options, lazy: true, ...nowhere } : options
          )
          const pool = yield* Pool.make(
            call.on === "pool" && !options.lazy
              ? { ...options, minSize: 1, maxSize: 2 }
              : { ...options, lazy: true, maxSize: 2 }
          )
          const bench: Bench = {
            key,
            size: phase.size,
            big,
            options,
            fault,
            redis,
            pool,
            direct,
            proxy,
            inject: injector.inject,
            injectNow: injector.injectNow,
            heal: injector.heal
          }
          if (phase.when === "connected") {
            // Opens the connection that the call will use.
            if (call.on === "leased") {
              yield* again(Effect.scoped(redis.lease))
            }
            const { accepted } = yield* proxy.stats
            if (!call.byItself) {
              yield* bench.inject
            }
            if (heardOf(cell)) {
              // Before the call, the client has noticed the end, and has reconnected where it can.
              yield* fault.away ? Effect.sleep("100 millis") : proxy.until((stats) => stats.accepted > accepted)
            }
            yield* ready
          }
          const began = performance.now()
          const ended = yield* within("the call", Effect.exit(Effect.scoped(call.run(bench))), problems)
          const overdue = performance.now() - began >= Duration.toMillis(deadline)
          const exit = Option.getOrElse(ended, () => Exit.die("never"))
          const opened = injector.opened()
          if (fault.stops !== undefined && opened === undefined) {
            problems.push("nothing was stopped")
          }
          if (held && fault.kind === "slow" && phase.when === "connected" && (yield* proxy.stats).accepted !== opened) {
            problems.push("the connection was replaced, although its peer was never silent")
          }
          yield* injector.heal
          yield* nextWorks(bench, call, problems)
          const executed = yield* call.executed(bench)
          const outcome = Exit.match(exit, {
            onSuccess: (answer) => (Equal.equals(str(answer), str(call.answer(bench))) ? "answer" : "wrong answer"),
            onFailure: (cause) =>
              Option.match(Cause.failureOption(cause), {
                onNone: () => `defect: ${Cause.pretty(cause).slice(0, 300)}`,
                onSome: (error) => labelOf(error as RedisError.RedisError)
              })
          })
          return { outcome, executed, overdue, problems }
        })
      )
      // The client is closed, so its sockets must be.
      yield* within(
        "its sockets are closed",
        proxy.until(({ open }) => open === 0),
        problems
      )
      return seen
    })
  ).pipe(
    Effect.timeoutOption("100 seconds"),
    Effect.map(
      Option.getOrElse(() => ({ outcome: "never", executed: 0, overdue: true, problems: ["the cell: never ended"] }))
    ),
    Effect.catchAllCause((cause) =>
      Effect.succeed({ outcome: "broken", executed: 0, overdue: true, problems: [Cause.pretty(cause).slice(0, 600)] })
    )
  )
}

/** An unused client connects to a port without a listener. */
const nowhere = { port: 1, reconnect: Schedule.spaced("1 hour") } as const

const again = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.retry(effect, quickly)

const str = (value: unknown): string => JSON.stringify(value) ?? "undefined"

/** After healing, the connection, lease or pool of the call works again. */
const nextWorks = ({ key, pool, redis }: Bench, { on: kind }: CallRow, problems: Array<string>) => {
  const works = <A, E>(what: string, effect: Effect.Effect<A, E>) => within(what, again(effect), problems)
  if (kind === "own") {
    return Effect.void
  }
  return kind === "pool"
    ? works(
        "the next lease of the pool works",
        Effect.scoped(Effect.flatMap(pool.acquire, (connection) => connection.execute("PING")))
      )
    : kind === "leased"
      ? works("the next lease works", on(redis)(Redis.blpop(`${key}:next`, { timeout: "1 millis" })))
      : Effect.zipRight(
          works("the next call works", on(redis)(Redis.get(`${key}:next`))),
          works("the next write works", on(redis)(Redis.set(`${key}:next`, "1")))
        )
}
