/**
 * What is held: for how long it is certainly held, its renewals, and its end. It is plain JavaScript with one timer; a fiber
 * runs only while a renewal is under way.
 *
 * Validity is counted from before the command was sent, by a clock that only goes forward, and ends a little before the time
 * to live does: the server may be faster, and what is interrupted needs time to end.
 */
import * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import { declare, reword, run } from "../command/command.js"
import type { RedisCommand, RedisService } from "../command/model.js"
import { annotated } from "../connection/about.js"
import { type Forker, interrupt, type Running } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import { signalLine } from "./line.js"
import { LockError } from "./lockError.js"
import { publishOf, type Resource } from "./resource.js"

/** For how many milliseconds something is certainly held that was asked for with this time to live. */
export const validity = (ttl: number): number => Math.floor(ttl - ttl / 100 - 5)

/** How long a release may take that nobody needs, because the resource is free soon without it, in milliseconds. */
const shortly = 1_000

/** How long any command of a lock may take, in milliseconds. */
export const patience = 5_000

/** Runs a command that may be executed twice, within `millis`. */
export const within = <A>(
  redis: RedisService,
  command: RedisCommand<A>,
  millis: number
): Effect.Effect<A, RedisError> =>
  run(reword(declare(command, "repeatable"), { deadline: Math.max(1, Math.min(patience, Math.ceil(millis))) }), redis)

export interface Holding {
  readonly redis: RedisService
  readonly resource: Resource
  readonly ttl: number
  readonly token: string
  readonly fence: bigint | undefined
  /** When the command that obtained it was sent. */
  readonly sent: number
  /** Runs renewals and log lines. */
  readonly fork: Forker
}

export class Held {
  private state: "held" | "lost" | "released" = "held"
  private validUntil: number
  private renewAt: number
  private timer: Timers.Timer | undefined
  private renewing: Running | undefined
  /** Why it was lost. */
  error: LockError | undefined
  private readonly watchers = new Set<(error: LockError) => void>()
  /** The server said that it is held no longer, so there is nothing to release. */
  private gone = false

  constructor(readonly holding: Holding) {
    const { sent, ttl } = holding
    this.validUntil = sent + validity(ttl)
    this.renewAt = sent + ttl / 3
    this.schedule()
  }

  get fence(): bigint | undefined {
    return this.holding.fence
  }

  /** Whether it is neither lost nor released. */
  get open(): boolean {
    return this.state === "held"
  }

  /** For how many milliseconds it is certainly held. */
  get left(): number {
    return this.state === "held" ? Math.max(0, this.validUntil - Timers.now()) : 0
  }

  /** Fails when it is lost. While it is held, and when it was released before, it waits. */
  get lost(): Effect.Effect<never, LockError> {
    return Effect.async<never, LockError>((resume) => {
      if (this.error !== undefined) {
        return resume(Effect.fail(this.error))
      }
      const unwatch = this.watch((error) => resume(Effect.fail(error)))
      return Effect.sync(unwatch)
    })
  }

  /** Calls `watcher` when it is lost, at once if it was; returns how to prevent that. */
  watch(watcher: (error: LockError) => void): () => void {
    if (this.error !== undefined) {
      watcher(this.error)
      return () => {}
    }
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  /** Fails when it is not held, after looking at the clock: timers are late after a time in which the program did not run. */
  get check(): Effect.Effect<void, LockError> {
    return Effect.suspend(() => {
      if (this.state === "held" && Timers.now() >= this.validUntil) {
        this.expire()
      }
      return this.state === "held"
        ? Effect.void
        : Effect.fail(this.error ?? this.problem("it was released before, by its own scope"))
    })
  }

  /** Renews it now. */
  get ensure(): Effect.Effect<void, LockError | RedisError> {
    return Effect.suspend(() => Effect.zipRight(this.check, Effect.zipRight(this.renew, this.check)))
  }

  private schedule(): void {
    Timers.clearTimeout(this.timer)
    // While a renewal is under way, only the end of validity is waited for.
    const next = this.renewing === undefined ? Math.min(this.renewAt, this.validUntil) : this.validUntil
    this.timer = Timers.setTimeout(
      () => this.onTimer(),
      Math.min(Timers.longestTimer, Math.max(0, Math.floor(next - Timers.now())))
    )
  }

  private onTimer(): void {
    if (this.state !== "held") {
      return
    }
    const now = Timers.now()
    if (now >= this.validUntil) {
      return this.expire()
    }
    if (this.renewing === undefined && now >= this.renewAt) {
      this.renewInBackground()
    }
    this.schedule()
  }

  private renewInBackground(): void {
    const { fork, ttl } = this.holding
    const asked = Timers.now()
    let ended = false
    const fiber = fork(
      this.renew.pipe(
        Effect.catchAll(() =>
          Effect.sync(() => {
            // Whatever the reason is, asking again is all that can be done, until validity ends.
            this.renewAt = Math.max(asked + Math.min(1_000, ttl / 10), Timers.now() + 10)
          })
        ),
        Effect.ensuring(
          Effect.sync(() => {
            ended = true
            this.renewing = undefined
            if (this.state === "held") {
              this.schedule()
            }
          })
        ),
        Effect.interruptible
      )
    )
    if (!ended) {
      this.renewing = fiber
    }
  }

  /** Asks the server for another time to live. One attempt leaves time for a second one. */
  private get renew(): Effect.Effect<void, RedisError> {
    return Effect.suspend(() => {
      const { redis, resource, token, ttl } = this.holding
      const sent = Timers.now()
      return Effect.map(
        within(redis, resource.renew(token, ttl), Math.min(ttl / 3, this.validUntil - sent)),
        (renewed) => {
          if (this.state !== "held") {
            return
          }
          if (!renewed) {
            this.gone = true
            return this.lose("the server says that it is not held any more")
          }
          this.validUntil = Math.max(this.validUntil, sent + validity(ttl))
          this.renewAt = Math.max(this.renewAt, sent + ttl / 3)
        }
      )
    })
  }

  private expire(): void {
    this.lose("the server did not confirm a renewal in time")
  }

  private problem(why: string): LockError {
    const { fence, resource } = this.holding
    const what = resource.kind === "lock" ? "The lock" : "A permit of the semaphore"
    return new LockError({
      reason: "lost",
      resource: resource.name,
      message: `${what} was lost: ${why}`,
      fence
    })
  }

  private lose(why: string): void {
    const error = this.problem(why)
    this.state = "lost"
    this.error = error
    this.stop()
    this.log(Effect.logWarning(error.message))
    const watchers = [...this.watchers]
    this.watchers.clear()
    for (const watcher of watchers) {
      watcher(error)
    }
  }

  private stop(): void {
    Timers.clearTimeout(this.timer)
    if (this.renewing !== undefined) {
      interrupt(this.renewing)
    }
  }

  private log(line: Effect.Effect<void>): void {
    const { fork, redis } = this.holding
    fork(annotated(line, redis.about))
  }

  /** Releases it. It takes a bounded time and never fails: what was not released expires. */
  get release(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { left } = this
      if (this.state === "held") {
        this.state = "released"
      }
      this.stop()
      return this.gone ? Effect.void : release(this.holding, Math.max(shortly, left))
    })
  }
}

/** Releases what a token may hold, within `millis`. */
export const release = (
  { redis, resource, token, ttl }: Pick<Holding, "redis" | "resource" | "token" | "ttl">,
  millis = shortly
): Effect.Effect<void> =>
  Effect.suspend(() => {
    // The next contender of this process asks in the same turn, so both commands are in one write where they share a connection.
    signalLine(redis, resource.key)
    return within(redis, resource.release(token, publishOf(redis)), millis)
  }).pipe(
    Effect.catchAllCause((cause) =>
      annotated(
        Effect.logWarning(
          `A ${resource.kind} was not released; it is free after ${ttl} milliseconds at the latest`,
          cause
        ),
        redis.about
      )
    ),
    Effect.zipRight(Effect.sync(() => signalLine(redis, resource.key)))
  )
