/**
 * The shared client: one connection that everybody's commands share, replaced when it ends, and a pool for what cannot
 * share. It decides what happens to a command whose connection ended:
 *
 * - never written: it waits for the next connection, in order, within its deadline and the bounds of the queue;
 * - written and readonly: sent again, at most `maxRetries` times;
 * - written otherwise: it fails, and says that its fate is unknown.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { RedisCommand } from "../RedisCommand.js"
import { ConnectionError, DeadlineError, type RedisError, UsageError } from "../RedisError.js"
import { blockingMillis, nothing, prepare, prepareAll, type Unit } from "./calls.js"
import type { CloseReason, Failure } from "./engine.js"
import { closeError } from "./failure.js"
import { openLogged } from "./lifecycle.js"
import type { Link } from "./link.js"
import type { ResolvedOptions } from "./options.js"
import { CommandQueue, settleFailure, withdraw } from "./queue.js"
import type { BatchResult } from "./service.js"

export interface ClientSettings {
  /** How long to wait before each attempt to reconnect. */
  readonly schedule: Schedule.Schedule<unknown, RedisError>
  /** A connection that was ready for this long, in milliseconds, starts the schedule over when it ends. */
  readonly readyAfter: number
  /** What commands do while there is no connection: wait, or fail. */
  readonly offline: "queue" | "fail"
  /** How often a readonly command that was written is sent again. */
  readonly maxRetries: number
}

/** How often the deadlines of waiting commands are looked at, in milliseconds. */
const tickMillis = 20

export class SharedClient {
  private link: Link | undefined
  private lastClose: CloseReason = { reason: "connect", message: "there was no connection yet" }
  private closed = false
  private readonly waiting: CommandQueue
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly options: ResolvedOptions,
    readonly settings: ClientSettings
  ) {
    this.waiting = new CommandQueue(options.maxQueuedCommands, options.maxQueuedBytes)
  }

  send<A>(command: RedisCommand<A>): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call = prepare(command, resume, this.options.replyTimeout, undefined)
      return call instanceof UsageError ? resume(Exit.fail(call)) : this.accept(call)
    })
  }

  sendAll(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: { readonly atomic: boolean }
  ): Effect.Effect<BatchResult, RedisError> {
    if (commands.length === 0) {
      return Effect.succeed(nothing)
    }
    return Effect.async<BatchResult, RedisError>((resume) => {
      for (const command of commands) {
        const refusal = refuseShared(command)
        if (refusal !== undefined) {
          return resume(Exit.fail(refusal))
        }
      }
      const unit = prepareAll(commands, options, resume, this.options.replyTimeout, undefined)
      return unit instanceof UsageError ? resume(Exit.fail(unit)) : this.accept(unit)
    })
  }

  /** Takes a unit; answers how to take it back when it has to wait. */
  private accept(unit: Unit): Effect.Effect<void> | undefined {
    unit.recover = this.recover
    const { link } = this
    if (link !== undefined) {
      unit.deadline = link.engine.now() + unit.allowed
      unit.attempts = 1
      return link.engine.accept(unit, unit.encoded) ? undefined : Effect.sync(() => withdraw(unit))
    }
    unit.deadline = performance.now() + unit.allowed
    if (this.closed || this.settings.offline === "fail") {
      settleFailure(unit, { _tag: "Closed", close: this.lastClose, delivery: "unsent" })
      return undefined
    }
    const overflow = this.wait(unit)
    if (overflow !== undefined) {
      unit.settled = true
      unit.fail(overflow)
      return undefined
    }
    return Effect.sync(() => withdraw(unit))
  }

  private wait(unit: Unit): Failure | undefined {
    const overflow = this.waiting.add(unit, unit.encoded)
    if (overflow === undefined && this.timer === undefined) {
      this.timer = setTimeout(this.tick, tickMillis)
    }
    return overflow
  }

  private readonly tick = (): void => {
    this.timer = undefined
    this.waiting.expire(performance.now())
    if (this.waiting.length > 0) {
      this.timer = setTimeout(this.tick, tickMillis)
    }
  }

  /** Whether a unit whose connection ended is kept, to be sent on the next one. */
  private readonly recover = (unit: Unit, failure: Failure): boolean => {
    if (
      failure._tag !== "Closed" ||
      this.closed ||
      this.settings.offline === "fail" ||
      unit.deadline <= performance.now()
    ) {
      return false
    }
    if (failure.delivery === "unknown" && !(unit.repeatable && unit.attempts <= this.settings.maxRetries)) {
      return false
    }
    if (failure.delivery === "unsent") {
      unit.attempts--
    }
    unit.settled = false
    return this.wait(unit) === undefined
  }

  /** Makes a connection the current one: what waited goes first. */
  private attach(link: Link): void {
    clearTimeout(this.timer)
    this.timer = undefined
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      const unit = next.pending as Unit
      unit.attempts++
      link.engine.accept(unit, next.encoded)
    }
    this.link = link
    link.onClose((close) => {
      this.lastClose = close
      if (this.link === link) {
        this.link = undefined
      }
    })
  }

  private failWaiting(close: CloseReason): void {
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      const unit = next.pending as Unit
      unit.settled = true
      unit.fail({ _tag: "Closed", close, delivery: "unsent" })
    }
  }

  /**
   * The first connection: attempts by the schedule, within the connect deadline, ended at once by a failure that no
   * attempt will mend.
   */
  readonly connect: Effect.Effect<void, RedisError> = Effect.suspend(() => {
    const { connectTimeout } = this.options
    const until = performance.now() + connectTimeout
    const left = () => Math.max(until - performance.now(), 0)
    // Of the attempts' failures the last one tells, unless it only tells that time was up.
    let last: RedisError = new DeadlineError({ phase: "connect", delivery: "unsent", milliseconds: connectTimeout })
    // Each attempt, and each pause, ends with the whole by itself: that works where nothing can be interrupted, too.
    const attempt = Effect.suspend(() => (left() > 0 ? this.openLink(left()) : Effect.fail(last))).pipe(
      Effect.mapError((error) => (error._tag === "DeadlineError" ? last : error)),
      Effect.tapError((error) =>
        Effect.sync(() => {
          last = error
        })
      )
    )
    const schedule = Schedule.modifyDelay(this.settings.schedule, (_, delay) =>
      Duration.min(delay, Duration.millis(left()))
    )
    return Effect.retry(attempt, { schedule, while: (error) => left() > 0 && !isPermanent(error) }).pipe(liveClock)
  })

  /** Opens a link and makes it the current one, or leaves nothing. */
  private readonly openLink = (connectTimeout: number): Effect.Effect<void, RedisError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(openLogged({ ...this.options, connectTimeout }, restore), (link) => {
        const { closed } = link.engine
        if (closed !== undefined) {
          // It ended right behind its greeting: what waits must not be handed to it, only to come back.
          return Effect.fail(closeError(closed, "unsent"))
        }
        if (this.closed) {
          link.destroy("the client was closed")
        } else {
          this.attach(link)
        }
        return Effect.void
      })
    )

  /** Replaces the connection whenever it ends. Runs until it is interrupted, or the schedule is done. */
  readonly keepConnected: Effect.Effect<void> = Effect.suspend(() => {
    const { readyAfter, schedule } = this.settings
    const open = this.openLink(this.options.connectTimeout)
    return Effect.flatMap(Schedule.driver(schedule), (driver) => {
      const pause = (error: RedisError) => Effect.either(driver.next(error))
      const reconnect: Effect.Effect<void> = Effect.flatMap(Effect.either(open), (opened) => {
        if (Either.isRight(opened)) {
          return Effect.void
        }
        const error = opened.left
        this.lastClose = reasonOf(error)
        if (isPermanent(error)) {
          // Waiting longer will not help those who wait; but passwords rotate, so the attempts go on.
          this.failWaiting(this.lastClose)
        }
        return Effect.flatMap(pause(error), (next) => (Either.isRight(next) ? reconnect : this.giveUp))
      })
      const loop: Effect.Effect<void> = Effect.suspend(() => {
        const { link } = this
        if (link === undefined) {
          return this.closed ? Effect.void : Effect.zipRight(reconnect, loop)
        }
        const since = performance.now()
        return Effect.flatMap(ended(link), (close) => {
          // A server that accepts and drops must not be asked in a tight loop.
          const next =
            performance.now() - since >= readyAfter
              ? Effect.as(driver.reset, Either.right<unknown>(undefined))
              : pause(closeError(close, "unsent"))
          return Effect.flatMap(next, (paused) =>
            Either.isLeft(paused) ? this.giveUp : Effect.zipRight(reconnect, loop)
          )
        })
      })
      return loop
    }).pipe(
      liveClock,
      // A Schedule of the user's that dies must not leave commands waiting for a connection that never comes.
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(this.giveUp, Effect.logError("A Redis client stopped reconnecting: its Schedule died", defect))
      )
    )
  })

  /** The schedule has no more attempts: whoever waits, and whoever comes, hears why. */
  private readonly giveUp: Effect.Effect<void> = Effect.sync(() => {
    this.closed = true
    this.failWaiting(this.lastClose)
  })

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    this.lastClose = { reason: "closed", message: "the client was closed" }
    clearTimeout(this.timer)
    this.failWaiting(this.lastClose)
    const { link } = this
    this.link = undefined
    return link === undefined ? Effect.void : link.close(this.options.closeTimeout)
  })
}

/** I/O keeps real time, whatever clock the program runs under. */
const liveClock = Effect.withClock(Clock.make())

const ended = (link: Link): Effect.Effect<CloseReason> =>
  Effect.async<CloseReason>((resume) => {
    const { closed } = link.engine
    if (closed !== undefined) {
      resume(Effect.succeed(closed))
      return undefined
    }
    const off = link.onClose((close) => resume(Effect.succeed(close)))
    return Effect.sync(off)
  })

/** Failures that the same attempt will meet again: wrong credentials, a refused greeting, the wrong certificate. */
export const isPermanent = (error: RedisError): boolean => {
  switch (error._tag) {
    case "UsageError":
    case "ProtocolError":
      return true
    case "ConnectionError":
      return (
        error.reason === "authentication" ||
        error.reason === "tls" ||
        error.reason === "protocol" ||
        (error.reason === "handshake" && !/max number of clients|LOADING|MASTERDOWN|BUSY/.test(error.message))
      )
    default:
      return false
  }
}

const reasonOf = (error: RedisError): CloseReason =>
  error instanceof ConnectionError
    ? { reason: error.reason, message: error.message, cause: error.cause }
    : { reason: "connect", message: error.message }

/** What cannot share a connection, with the way that can. */
export const refuseShared = (command: RedisCommand<unknown>): UsageError | undefined => {
  const { name, traits } = command
  if (traits.stateful !== undefined) {
    return new UsageError({
      reason: "statefulCommand",
      command: name,
      message: `${name} was not sent: ${wayFor(command)}`
    })
  }
  if (traits.blocking !== undefined && blockingMillis(command) !== undefined) {
    return new UsageError({
      reason: "blockingCommand",
      command: name,
      message: `${name} was not sent: it would block everybody's commands; run it on its own, outside of the pipeline`
    })
  }
  return undefined
}

const wayFor = ({ traits }: RedisCommand<unknown>): string => {
  switch (traits.stateful) {
    case "database":
      return "it would change the database for everybody; give `database` to the layer, or use Pool.acquire"
    case "transaction":
      return "it would put everybody's commands into one transaction; use Redis.transaction"
    case "watch":
      return "it would watch for everybody; use Redis.optimistic"
    case "subscription":
      return "subscriptions need a connection of their own: use Pool.acquire, or Connection.make, and its pushes"
    case "silence":
      return "without replies no command could ever be known to be done"
    default:
      return "it would change the connection for everybody; give it as an option of the layer, or use Pool.acquire"
  }
}

/** Runs what keeps a client connected, as long as the scope lives. */
export const supervise = (client: SharedClient): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.interruptible(client.keepConnected)))
