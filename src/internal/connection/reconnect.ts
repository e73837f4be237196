/**
 * Keeps one link open: opens the first, replaces it whenever it ends, and tells what it is doing. What goes over the link
 * is its owner's business ({@link LinkOwner}).
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { constFalse } from "effect/Function"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import { ConnectionError, DeadlineError, type RedisError } from "../../RedisError.js"
import type { Status } from "../command/model.js"
import type { CloseReason } from "../engine/engine.js"
import { closeError } from "../request/failure.js"
import { openLogged } from "./lifecycle.js"
import type { Link } from "./link.js"
import type { ResolvedOptions } from "./options.js"

/** From 50 ms doubling to 2 seconds, with jitter, without end. */
export const defaultReconnect: Schedule.Schedule<unknown> = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("2 seconds")),
  Schedule.jittered
)

/** A connection that was ready for less, in milliseconds, is one that was accepted and dropped. */
const readyAfter = 10_000

export interface ReconnectSettings {
  /** How long to wait before each attempt to reconnect. */
  readonly schedule: Schedule.Schedule<unknown, RedisError>
  /** A connection that was ready for this long, in milliseconds, starts the schedule over when it ends. */
  readonly readyAfter: number
  /** Failures after which there are no more attempts, once there was a connection. */
  readonly stopWhen: (error: RedisError) => boolean
  /** What is done while there is no connection: wait, or fail. */
  readonly offline: "queue" | "fail"
}

/** What clients, pools and subscriptions call it, with the same defaults. */
export const reconnectSettings = (options: {
  readonly reconnect?: ReconnectSettings["schedule"] | undefined
  readonly stopReconnecting?: ReconnectSettings["stopWhen"] | undefined
  readonly offline?: ReconnectSettings["offline"] | undefined
}): ReconnectSettings => ({
  schedule: options.reconnect ?? defaultReconnect,
  readyAfter,
  stopWhen: options.stopReconnecting ?? constFalse,
  offline: options.offline ?? "queue"
})

type Reconnect = ReconnectSettings["schedule"]

/**
 * The first connection of what is being built: attempts by the schedule, within the connect deadline (in milliseconds, of
 * which each attempt is told what is left), ended at once by a failure that no attempt will mend.
 */
export const firstConnection = (
  connectTimeout: number,
  reconnect: Reconnect,
  attempt: (left: number) => Effect.Effect<void, RedisError>
): Effect.Effect<void, RedisError> =>
  Effect.suspend(() => {
    const until = performance.now() + connectTimeout
    const left = () => Math.max(until - performance.now(), 0)
    // Of the attempts' failures the last one tells, unless it only tells that time was up.
    let last: RedisError | undefined
    // Made when it is needed: making an error costs a twentieth of connecting.
    const late = () => last ?? new DeadlineError({ phase: "connect", delivery: "unsent", milliseconds: connectTimeout })
    // Each attempt, and each pause, ends with the whole by itself: that works where nothing can be interrupted, too.
    const next = Effect.suspend(() => (left() > 0 ? attempt(left()) : Effect.fail(late()))).pipe(
      Effect.mapError((error) => (error._tag === "DeadlineError" ? late() : error)),
      Effect.tapError((error) =>
        Effect.sync(() => {
          last = error
        })
      )
    )
    const schedule = Schedule.modifyDelay(reconnect, (_, delay) => Duration.min(delay, Duration.millis(left())))
    return Effect.retry(next, { schedule, while: (error) => left() > 0 && !isPermanent(error) }).pipe(liveClock)
  })

/** How many of a schedule's next delays are looked at for its slowest, and how long that is at most, in milliseconds. */
const stepsAhead = 32
const longestAhead = 60_000

/** The slowest of a schedule's next delays, in milliseconds. Steps are taken from its state, and not kept. */
export const slowestAhead = (schedule: Reconnect, from: unknown, error: RedisError): Effect.Effect<number> =>
  Effect.suspend(() => {
    let slowest = 0
    const ahead = (steps: number, now: number, state: unknown): Effect.Effect<void> =>
      Effect.flatMap(schedule.step(now, error, state), ([next, , decision]) => {
        if (ScheduleDecision.isDone(decision)) {
          return Effect.void
        }
        const delay = Math.max(ScheduleIntervals.start(decision.intervals) - now, 0)
        slowest = Math.max(slowest, delay)
        return steps === 1 || slowest >= longestAhead ? Effect.void : ahead(steps - 1, now + delay, next)
      })
    return Effect.flatMap(Clock.currentTimeMillis, (now) => ahead(stepsAhead, now, from)).pipe(
      // What dies ahead says so when it is its turn.
      Effect.catchAllDefect(() => Effect.void),
      Effect.map(() => Math.min(slowest, longestAhead))
    )
  })

/** The pauses between attempts, by a Schedule; behind a failure that no attempt will mend, as long as its slowest. */
export interface Pacer {
  /**
   * Waits after a failed attempt, or a connection that did not last; answers whether there is to be another attempt.
   * `onPause` is told how long it is to be, in milliseconds.
   */
  readonly pause: (error: RedisError, onPause?: (millis: number) => void) => Effect.Effect<boolean>
  /** Ends the pause under way, because of something that makes another attempt worth it. */
  readonly hurry: () => void
  /** The next pause is the first one again. */
  readonly reset: Effect.Effect<void>
}

export const makePacer = (schedule: Reconnect): Effect.Effect<Pacer> =>
  Effect.suspend(() => {
    let least = Duration.zero
    let told: ((millis: number) => void) | undefined
    let hurry = (): void => {}
    const hurried = Effect.async<boolean>((resume) => {
      hurry = () => resume(Effect.succeed(true))
    })
    const paced = Schedule.modifyDelayEffect(schedule, (_, delay) =>
      Effect.sync(() => {
        const pause = Duration.max(delay, least)
        told?.(Duration.toMillis(pause))
        return pause
      })
    )
    return Effect.map(Schedule.driver(paced), (driver) => ({
      pause: (error, onPause) =>
        (isPermanent(error)
          ? Effect.flatMap(driver.state, (state) => slowestAhead(schedule, state, error))
          : Effect.succeed(0)
        ).pipe(
          Effect.flatMap((millis) => {
            least = Duration.millis(millis)
            told = onPause
            return Effect.isSuccess(driver.next(error))
          }),
          // From the beginning: the steps ahead may take long, too.
          (paused) => Effect.raceFirst(hurried, paused),
          liveClock
        ),
      hurry: () => hurry(),
      reset: driver.reset
    }))
  })

/** Whose link it is. All of it is called from plain callbacks: it must not throw. */
export interface LinkOwner {
  /** There is a new link; what waits goes over it. */
  readonly attach: (link: Link) => void
  /** Waiting longer does not help: whoever waits hears why. */
  readonly failWaiting: (close: CloseReason) => void
}

export class Reconnector {
  /** The link that is up. */
  link: Link | undefined
  /** Why there is no link, when there is none. */
  lastClose: CloseReason = { reason: "connect", message: "there was no connection yet" }
  /** There will be no more links. */
  closed = false
  /** The last attempt failed by what no other will mend, and the next one comes after a pause: waiting for it is no use. */
  refused = false
  /** When the link came up. */
  private since = 0
  private current: Status = { _tag: "Connecting" }
  private readonly listeners = new Set<(status: Status) => void>()

  constructor(
    readonly options: ResolvedOptions,
    private readonly settings: ReconnectSettings,
    private readonly owner: LinkOwner
  ) {}

  /** The status now, and as it changes. A subscriber that lags sees the newest few. */
  readonly status: Subscribable.Subscribable<Status> = Subscribable.make({
    get: Effect.sync(() => this.current),
    changes: Stream.asyncPush<Status>(
      (emit) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const listener = (status: Status): void => {
              emit.single(status)
              if (status._tag === "Closed") {
                emit.end()
              }
            }
            this.listeners.add(listener)
            listener(this.current)
            return listener
          }),
          (listener) => Effect.sync(() => this.listeners.delete(listener))
        ),
      { bufferSize: 64, strategy: "sliding" }
    )
  })

  private report(status: Status): void {
    this.current = status
    for (const listener of [...this.listeners]) {
      listener(status)
    }
  }

  /**
   * An attempt is next, after a pause of so many milliseconds if there is one: unless it is over, or newer credentials
   * have brought a link meanwhile.
   */
  private reconnecting(attempt: number, cause: RedisError, pause?: number): void {
    if (this.closed || this.link !== undefined) {
      return
    }
    const next = pause === undefined ? undefined : Option.getOrUndefined(DateTime.make(Date.now() + pause))
    this.report({ _tag: "Reconnecting", attempt, next, cause })
  }

  /** The first connection. */
  readonly connect: Effect.Effect<void, RedisError> = Effect.suspend(() =>
    firstConnection(this.options.connectTimeout, this.settings.schedule, this.openLink)
  )

  /** Counts up when there are new credentials. */
  private generation = 0
  /** How many links are being opened. */
  private opening = 0

  /** Opens a link and makes it the current one, or leaves nothing. It is replaced if its credentials were meanwhile. */
  private readonly openLink = (connectTimeout: number): Effect.Effect<void, RedisError> =>
    Effect.suspend(() => {
      const { generation } = this
      this.opening++
      return Effect.flatMap(
        Effect.ensuring(
          this.openOne(connectTimeout),
          Effect.sync(() => {
            this.opening--
          })
        ),
        () => (generation === this.generation || this.closed ? Effect.void : this.openNewest)
      )
    })

  private readonly openNewest: Effect.Effect<void> = Effect.suspend(() =>
    Effect.catchAll(this.openLink(this.options.connectTimeout), (error) =>
      Effect.logWarning(`A Redis client could not connect with its new credentials: ${error.message}`)
    )
  )

  private readonly openOne = (connectTimeout: number): Effect.Effect<void, RedisError> =>
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

  private attach(link: Link): void {
    const previous = this.link
    this.link = link
    this.refused = false
    this.since = performance.now()
    this.report({ _tag: "Ready" })
    link.onClose((close) => {
      if (this.link === link) {
        this.lost(close)
      }
    })
    this.owner.attach(link)
    if (previous !== undefined) {
      // What is on its way over the old one still gets its replies.
      this.drain(previous)
    }
  }

  /** Links that were left or replaced, and owe replies. */
  private readonly draining = new Set<Link>()

  private drain(link: Link): void {
    this.draining.add(link)
    link.engine.close(Math.min(this.options.replyTimeout, longestDrain), () => this.draining.delete(link))
  }

  private lost(close: CloseReason): void {
    this.link = undefined
    this.lastClose = close
    this.reconnecting(1, closeError(close, "unsent"))
    this.onLoss?.(close)
  }

  /** Waits until there is no link, which a replacement is not. */
  private readonly loss: Effect.Effect<CloseReason> = Effect.async<CloseReason>((resume) => {
    if (this.link === undefined) {
      return resume(Effect.succeed(this.lastClose))
    }
    this.onLoss = (close) => {
      this.onLoss = undefined
      resume(Effect.succeed(close))
    }
  })
  private onLoss: ((close: CloseReason) => void) | undefined

  /**
   * Ends the current link, once it owes nothing, because another would serve better: there the server may be another
   * one. Commands wait for the next from now on.
   */
  leave(message: string): void {
    const { link } = this
    if (link !== undefined) {
      this.lost({ reason: "closed", message })
      this.drain(link)
    }
  }

  private pacer: Pacer | undefined

  /** Replaces the current link by one that is greeted anew, say with new credentials. Commands do not notice. */
  readonly renew: Effect.Effect<void> = Effect.suspend(() => {
    this.generation++
    // Those that were refused have a long pause before them.
    if (this.current._tag === "Reconnecting" && this.current.next !== undefined) {
      this.report({ ...this.current, next: undefined })
    }
    this.refused = false
    this.pacer?.hurry()
    // Whoever opens one now sees that there are newer ones.
    return this.link === undefined || this.opening > 0 ? Effect.void : this.openNewest
  })

  /** Replaces the link whenever it ends. Runs until it is interrupted, or the schedule is done. */
  readonly keepConnected: Effect.Effect<void> = Effect.suspend(() => {
    const { readyAfter, schedule, stopWhen } = this.settings
    const open = this.openLink(this.options.connectTimeout)
    return Effect.flatMap(makePacer(schedule), (pacer) => {
      this.pacer = pacer
      const opening = Effect.suspend(() => {
        const { generation } = this
        return Effect.map(Effect.either(open), (opened) => ({ generation, opened }))
      })
      const reconnect = (attempt: number): Effect.Effect<void> =>
        Effect.flatMap(opening, ({ generation, opened }) => {
          if (Either.isRight(opened)) {
            return Effect.void
          }
          const error = opened.left
          this.lastClose = reasonOf(error)
          if (isPermanent(error) && generation !== this.generation) {
            // What was refused is replaced already.
            this.reconnecting(attempt + 1, error)
            return reconnect(attempt + 1)
          }
          if (stopWhen(error)) {
            return this.giveUp
          }
          if (isPermanent(error)) {
            // Waiting longer will not help those who wait, or come; but passwords rotate, so the attempts go on.
            this.refused = true
            this.owner.failWaiting(this.lastClose)
          }
          return pause(attempt + 1, error, reconnect(attempt + 1))
        })
      const pause = (attempt: number, error: RedisError, then: Effect.Effect<void>): Effect.Effect<void> =>
        Effect.flatMap(
          pacer.pause(error, (millis) => this.reconnecting(attempt, error, millis)),
          (again) => {
            // The attempt that begins may be the one: it is waited for.
            this.refused = false
            return again ? then : this.giveUp
          }
        )
      const loop: Effect.Effect<void> = Effect.suspend(() => {
        if (this.link === undefined) {
          return this.closed ? Effect.void : Effect.zipRight(reconnect(1), loop)
        }
        return Effect.flatMap(this.loss, (close) => {
          // A server that accepts and drops must not be asked in a tight loop.
          return performance.now() - this.since >= readyAfter
            ? Effect.zipRight(pacer.reset, loop)
            : pause(1, closeError(close, "unsent"), loop)
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

  /** There are no more attempts: whoever waits, and whoever comes, hears why. */
  private readonly giveUp: Effect.Effect<void> = Effect.sync(() => {
    this.closed = true
    const { message } = this.lastClose
    this.lastClose = {
      ...this.lastClose,
      message: `there are no more attempts to connect (reconnect is done, or stopReconnecting said so): ${message}`
    }
    this.report({ _tag: "Closed", cause: closeError(this.lastClose, "unsent") })
    this.owner.failWaiting(this.lastClose)
  })

  /** Ends the link, after what it owes, with a bound. There will be no other. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    this.lastClose = { reason: "closed", message: "the client was closed" }
    this.report({ _tag: "Closed", cause: undefined })
    this.owner.failWaiting(this.lastClose)
    const { link } = this
    this.link = undefined
    return Effect.forEach(
      link === undefined ? this.draining : [link, ...this.draining],
      (link) => link.close(this.options.closeTimeout),
      { concurrency: "unbounded", discard: true }
    )
  })
}

/** A link that is replaced may owe replies for as long as commands may take, but not for ever. In milliseconds. */
const longestDrain = 60_000

/** I/O keeps real time, whatever clock the program runs under. */
const liveClock = Effect.withClock(Clock.make())

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
    : error._tag === "ProtocolError"
      ? { reason: "protocol", message: error.message }
      : { reason: "connect", message: error.message }

/** Keeps a link open as long as the scope lives. */
export const supervise = (reconnector: Reconnector): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.interruptible(reconnector.keepConnected)))
