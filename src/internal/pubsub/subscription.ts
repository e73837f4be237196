/**
 * A program's subscription: its inbox, whether the server has confirmed all of it, and how it ends. It sends nothing and
 * knows no connection. Its owner does: today one hub, later perhaps several that feed the same inbox.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import * as Timers from "../engine/timers.js"
import { Inbox, type InboxOptions, type InboxOwner } from "./inbox.js"
import type { Target } from "./target.js"

export interface SubscriptionOptions extends InboxOptions {
  /** Whether the subscription fails when messages may have been missed. */
  readonly failOnGap: boolean
}

/** Feeds subscriptions. */
export interface SubscriptionOwner {
  /** Stops feeding a subscription that has ended, and unsubscribes from topics that nobody else listens to. */
  remove(subscription: Subscription): void
  /** Stops reading, or reads again, what feeds a subscription: its inbox is full, or has room. */
  pause(subscription: Subscription, paused: boolean): void
  /** Runs an effect, a log line, outside of any fiber. */
  log(effect: Effect.Effect<void>): void
  /** Told that so many messages were dropped. */
  dropped(count: number): void
}

export class Subscription implements InboxOwner {
  readonly inbox: Inbox
  /** How many of its topics the server has not confirmed. */
  private unconfirmed = 0
  /** Set once: everything was confirmed for the first time, or the error because of which it never will be. */
  private outcome: { readonly error: RedisError | undefined } | undefined
  private onOutcome: ((error: RedisError | undefined) => void) | undefined
  private unlimit = (): void => {}
  private gap: { readonly since: number; readonly reason: string } | undefined

  constructor(
    private readonly owner: SubscriptionOwner,
    readonly targets: ReadonlyArray<Target>,
    private readonly options: SubscriptionOptions
  ) {
    this.inbox = new Inbox(options, this)
  }

  /** Whether it was confirmed once, or failed before that. */
  get started(): boolean {
    return this.outcome !== undefined
  }

  /** Waits until everything is confirmed for the first time. */
  readonly confirmed: Effect.Effect<void, RedisError> = Effect.async<void, RedisError>((resume) => {
    const settle = (error: RedisError | undefined): void =>
      resume(error === undefined ? Effect.void : Effect.fail(error))
    if (this.outcome !== undefined) {
      return settle(this.outcome.error)
    }
    this.onOutcome = settle
  })

  /** Calls `expired` after a while, unless everything is confirmed before. A new limit replaces the last one. */
  limit(millis: number, expired: () => void): void {
    this.unlimit()
    this.unlimit = Timers.limit(millis, expired)
  }

  /** One more of its topics waits for a confirmation. */
  expectConfirmation(): void {
    this.unconfirmed++
  }

  /** One of its topics that waits for a confirmation is given up; another hub is about to feed it. */
  expectNoConfirmation(): void {
    this.unconfirmed--
  }

  /** One of its topics was confirmed. */
  confirm(): void {
    this.unconfirmed--
    if (this.unconfirmed === 0) {
      this.onConfirmed()
    }
  }

  /** Its owner has all its targets. If the server has confirmed them before, for others, it starts at once. */
  begin(): void {
    if (!this.started && this.unconfirmed === 0) {
      this.start(undefined)
    }
  }

  private onConfirmed(): void {
    if (!this.started) {
      return this.start(undefined)
    }
    const { gap } = this
    this.gap = undefined
    this.inbox.lift()
    if (gap !== undefined && this.options.gaps === "none") {
      this.warn("Messages of a Redis subscription may have been missed", {
        reason: gap.reason,
        millis: Math.round(Timers.now() - gap.since)
      })
    }
  }

  /** Messages may be missing from here on, until everything is confirmed again. */
  onGap(reason: "disconnected" | "moved", cause: ConnectionError | undefined): void {
    if (!this.started) {
      // The program has not got the inbox yet. It must not begin with messages that a gap follows.
      return this.inbox.clear()
    }
    if (this.options.failOnGap) {
      return this.fail(
        new ConnectionError({
          reason: cause?.reason ?? "peerClosed",
          delivery: "unknown",
          message: `messages may have been missed: ${cause?.message ?? "the server ended the subscription"}`,
          ...(cause === undefined ? {} : { cause })
        })
      )
    }
    this.gap ??= { since: Timers.now(), reason }
    this.inbox.hold(reason, cause)
  }

  /** Ends it with an error. If it had started, the program first gets the messages that wait. */
  fail(error: RedisError): void {
    this.owner.remove(this)
    if (this.started) {
      this.inbox.finish(error)
    } else {
      this.start(error)
    }
  }

  /** Ends it without an error. The program first gets the messages that wait. */
  finish(): void {
    this.unlimit()
    this.inbox.finish(undefined)
  }

  private start(error: RedisError | undefined): void {
    this.unlimit()
    this.outcome = { error }
    try {
      this.onOutcome?.(error)
    } catch (defect) {
      this.onDefect(defect)
    }
  }

  /** Told at once: a subscription that is always behind is never at the end of a burst. */
  onDrop(): void {
    this.owner.dropped(1)
  }

  onBurst(): void {
    this.warn("A slow Redis subscription drops messages", { strategy: this.options.strategy })
  }

  onBurstEnd(dropped: number): void {
    this.log(Effect.logDebug("A slow Redis subscription has caught up"), { dropped })
  }

  onFull(): void {
    this.owner.pause(this, true)
  }

  onRoom(): void {
    this.owner.pause(this, false)
  }

  onOverflow(error: RedisError): void {
    this.fail(error)
  }

  onDefect(defect: unknown): void {
    this.log(Effect.logError("A listener of a Redis subscription threw", Cause.die(defect)), {})
  }

  private warn(message: string, details: Record<string, unknown>): void {
    this.log(Effect.logWarning(message), details)
  }

  /** Channels are arguments and may hold secrets: the log gets their number only. */
  private log(line: Effect.Effect<void>, details: Record<string, unknown>): void {
    const kind = this.targets[0]?.kind ?? "subscribe"
    this.owner.log(Effect.annotateLogs(line, { ...details, [kind]: this.targets.length }))
  }
}
