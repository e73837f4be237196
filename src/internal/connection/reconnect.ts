/**
 * Keeps one link open: opens the first one, replaces it whenever it ends, and reports its status. What is sent over the link
 * is the business of its owner ({@link LinkOwner}).
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import type { Status } from "../command/model.js"
import { forker } from "../effect/fork.js"
import { liveClock } from "../effect/schedule.js"
import * as Timers from "../engine/timers.js"
import type { CloseReason } from "../engine/transport.js"
import { closeError } from "../request/failure.js"
import { isPermanent } from "../request/recovery.js"
import { notify } from "../telemetry/observer.js"
import type { Dial } from "./dial.js"
import type { Link } from "./link.js"
import { Outages } from "./outages.js"
import { firstConnection, makePacer, type Pacer, type ReconnectSettings } from "./pacer.js"
import { StatusSource } from "./statusSource.js"

/** The owner of the link. It is called from plain callbacks, so it must not throw. */
export interface LinkOwner {
  /** There is a new link: waiting requests go over it. */
  readonly attach: (link: Link) => void
  /** Waiting longer does not help: waiting requests fail with the reason. */
  readonly failWaiting: (close: CloseReason) => void
  /** What the log calls the link. Default: `The connection`. */
  readonly subject?: string | undefined
}

const noneYet: CloseReason = { reason: "connect", message: "there was no connection yet" }

export class Reconnector {
  /** The link that is up. */
  link: Link | undefined
  /** Why there is no link, when there is none. */
  lastClose: CloseReason = noneYet
  /** There will be no more links. */
  closed = false
  /** The last attempt failed permanently (wrong password, bad certificate). Until the next attempt starts, commands fail at once. */
  refused = false
  /** When the link came up. */
  private since = 0
  /** There was no link yet. */
  private isFirst = true
  private readonly source = new StatusSource()

  constructor(
    readonly dial: Dial,
    private readonly settings: ReconnectSettings,
    private readonly owner: LinkOwner
  ) {}

  /** The status now, and as it changes. */
  readonly status = this.source.subscribable

  /** The current status was not reported yet: that happens when its attempt's time is known. */
  private unreported = false

  private report(status: Status): void {
    this.unreported = false
    this.source.report(status)
  }

  /**
   * Reports that an attempt is next, after a pause of so many milliseconds if there is one. Does nothing when there are no
   * more attempts, or when newer credentials have brought a link meanwhile.
   */
  private reconnecting(attempt: number, cause: RedisError, pause?: number): void {
    if (this.closed || this.link !== undefined) {
      return
    }
    const next = pause === undefined ? undefined : Option.getOrUndefined(DateTime.make(Timers.timeOfDay() + pause))
    this.report({ _tag: "Reconnecting", attempt, next, cause })
  }

  /** Logs losses while the link is kept open. */
  private outages: Outages | undefined

  /** Whether it is not known yet if there can be a link. */
  get isNew(): boolean {
    return this.link === undefined && this.lastClose === noneYet
  }

  /** Why there is no link, for errors. While the first attempt lasts, it is how far that has come. */
  get absence(): string {
    const { stage } = this.dial
    return this.lastClose === noneYet && stage !== undefined ? stage : this.lastClose.message
  }

  /** The first connection. */
  readonly connect: Effect.Effect<void, RedisError> = Effect.suspend(() =>
    firstConnection(this.dial.options.connectTimeout, this.settings.schedule, this.openLink)
  )

  /** Counts up when there are new credentials. */
  private generation = 0
  /** How many links are being opened. */
  private opening = 0

  /** Opens a link and makes it the current one. When its credentials were replaced meanwhile, so is the link. */
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
    Effect.catchAll(this.openLink(this.dial.options.connectTimeout), (error) =>
      Effect.logWarning(`A Redis client could not connect with its new credentials: ${error.message}`)
    )
  )

  private readonly openOne = (connectTimeout: number): Effect.Effect<void, RedisError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.dial.open({ restore, connectTimeout }), (link) => {
        const { closed } = link.engine
        if (closed !== undefined) {
          // It ended right after its handshake: requests that were handed to it would only come back.
          return Effect.fail(closeError(closed, "unsent", link.address))
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
    this.since = Timers.now()
    this.outages?.back(link.address, link.id)
    if (previous === undefined && !this.isFirst) {
      notify(this.dial.observer?.reconnected, { server: link.address })
    }
    this.isFirst = false
    link.onClose((close) => {
      if (this.link === link) {
        this.lost(link, close)
      }
    })
    this.owner.attach(link)
    // Requests that waited go first. In Effect 4 a program that waits for the status goes on inside `report`.
    if (this.link === link) {
      this.report({ _tag: "Ready" })
    }
    if (previous !== undefined) {
      // Requests that are in flight over the old link still get their replies.
      this.drain(previous)
    }
  }

  /** Links that were left or replaced, and still owe replies. */
  private readonly draining = new Set<Link>()

  private drain(link: Link, longest = longestDrain, reason?: CloseReason): void {
    this.draining.add(link)
    const grace = Math.min(this.dial.options.replyTimeout, longest)
    link.engine.close(grace, () => this.draining.delete(link), reason)
  }

  private lost(link: Link, close: CloseReason): void {
    this.link = undefined
    this.lastClose = close
    this.outages?.lost(close, link.address, link.id)
    const cause = closeError(close, "unsent", this.dial.address)
    if (this.onLoss !== undefined && this.droppedSoon() && !this.closed) {
      // Each attempt is reported once. A pause is about to begin, and then it is known when the first attempt does.
      this.source.current = { _tag: "Reconnecting", attempt: 1, next: undefined, cause }
      this.unreported = true
    } else {
      this.reconnecting(1, cause)
    }
    this.onLoss?.(close)
  }

  /** Whether the link that ended had been up so briefly that a pause comes before the first attempt. */
  private droppedSoon(): boolean {
    return Timers.now() - this.since < this.settings.readyAfter
  }

  /** Waits until there is no link. A replaced link does not count. */
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
   * Leaves the current link, because a new connection may reach a better server (after a failover). It is closed once it
   * owes nothing. Commands wait for the next link from now on.
   */
  leave(message: string): void {
    const { link } = this
    if (link !== undefined) {
      // First, so that a client that is closed inside of `lost` also closes this link.
      this.draining.add(link)
      this.lost(link, { reason: "closed", message })
      this.drain(link)
    }
  }

  /**
   * Leaves the server at once, because another one has taken its place: nothing more is written to it. What was not written
   * waits for the next link, which is opened without a pause. Replies that are owed are read for at most `closeTimeout`.
   */
  abandon(message: string): void {
    this.withdraw(message)()
  }

  /** The first half of {@link abandon}, which calls nobody: from now on nothing goes to the server. Returns the second half. */
  withdraw(message: string): () => void {
    const { link } = this
    if (link === undefined) {
      return () => this.pacer?.hurry()
    }
    const close: CloseReason = { reason: "closed", message }
    this.draining.add(link)
    this.link = undefined
    this.since = -Infinity
    return () => {
      link.engine.retract(close)
      if (this.link === undefined) {
        this.lost(link, close)
      }
      this.drain(link, this.dial.options.closeTimeout, close)
    }
  }

  private pacer: Pacer | undefined

  /** Replaces the current link by one with a new handshake, for new credentials. Commands do not notice. */
  readonly renew: Effect.Effect<void> = Effect.suspend(() => {
    this.generation++
    // After refused credentials there is a long pause, which new ones end.
    if (this.source.current._tag === "Reconnecting" && this.source.current.next !== undefined) {
      this.report({ ...this.source.current, next: undefined })
    }
    this.refused = false
    this.pacer?.hurry()
    // An attempt that is running sees the new generation when it is done.
    return this.link === undefined || this.opening > 0 ? Effect.void : this.openNewest
  })

  /** Replaces the link whenever it ends. Runs until it is interrupted, or the schedule is done. */
  readonly keepConnected: Effect.Effect<void> = Effect.suspend(() => {
    const { schedule, stopWhen } = this.settings
    const open = this.openLink(this.dial.options.connectTimeout)
    return Effect.flatMap(Effect.zip(makePacer(schedule), forker()), ([pacer, fork]) => {
      this.pacer = pacer
      this.outages = new Outages(fork, this.owner.subject ?? "The connection", this.dial.options.clientName)
      const opening = Effect.suspend(() => {
        const { generation } = this
        if (this.unreported) {
          this.report(this.source.current)
        }
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
            // The credentials that were refused have been replaced already.
            this.reconnecting(attempt + 1, error)
            return reconnect(attempt + 1)
          }
          if (stopWhen(error)) {
            return this.giveUp
          }
          if (isPermanent(error)) {
            // Commands fail until the next attempt starts. The attempts go on, because passwords rotate.
            this.refused = true
            this.outages?.refused(error.message, this.dial.address)
            this.owner.failWaiting(this.lastClose)
          }
          return pause(attempt + 1, error, reconnect(attempt + 1))
        })
      const pause = (attempt: number, error: RedisError, then: Effect.Effect<void>): Effect.Effect<void> =>
        Effect.flatMap(
          pacer.pause(error, (millis) => this.reconnecting(attempt, error, millis)),
          (again) => {
            // The attempt that begins now may succeed, so commands wait for it.
            this.refused = false
            return again ? then : this.giveUp
          }
        )
      const loop: Effect.Effect<void> = Effect.suspend(() => {
        if (this.link === undefined) {
          return this.closed ? Effect.void : Effect.zipRight(reconnect(1), loop)
        }
        return Effect.flatMap(this.loss, (close) => {
          // Without a pause, a server that accepts and drops connections would be asked in a tight loop.
          return this.droppedSoon()
            ? pause(1, closeError(close, "unsent", this.dial.address), loop)
            : Effect.zipRight(pacer.reset, loop)
        })
      })
      return loop
    }).pipe(
      liveClock,
      // When the user's Schedule dies, commands must not wait for a connection that never comes.
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(this.giveUp, Effect.logError("A Redis client stopped reconnecting: its Schedule died", defect))
      )
    )
  })

  /** There are no more attempts: waiting and later commands fail with the reason. */
  private readonly giveUp: Effect.Effect<void> = Effect.sync(() => {
    this.closed = true
    const { message } = this.lastClose
    this.lastClose = {
      ...this.lastClose,
      message: `there are no more attempts to connect (reconnect is done, or stopReconnecting said so): ${message}`
    }
    this.report({ _tag: "Closed", cause: closeError(this.lastClose, "unsent", this.dial.address) })
    this.owner.failWaiting(this.lastClose)
  })

  /** Closes the link after the replies that it owes, within a bound. There will be no other. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    this.outages?.end()
    this.lastClose = { reason: "closed", message: "the client was closed" }
    this.report({ _tag: "Closed", cause: undefined })
    this.owner.failWaiting(this.lastClose)
    const { link } = this
    this.link = undefined
    return Effect.forEach(
      link === undefined ? this.draining : [link, ...this.draining],
      (link) => link.close(this.dial.options.closeTimeout),
      { concurrency: "unbounded", discard: true }
    )
  })
}

/** How long a replaced link may owe replies at most, in milliseconds. */
const longestDrain = 60_000

const reasonOf = (error: RedisError): CloseReason =>
  error instanceof ConnectionError
    ? { reason: error.reason, message: error.message, cause: error.cause }
    : error._tag === "ProtocolError"
      ? { reason: "protocol", message: error.message }
      : { reason: "connect", message: error.message }

/** Keeps a link open as long as the scope lives. */
export const supervise = (reconnector: Reconnector): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.interruptible(reconnector.keepConnected)))
