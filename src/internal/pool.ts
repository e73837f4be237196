/**
 * Leases of links. Plain bookkeeping with its rules in one place; the Effects around it are in `Pool`.
 *
 * A link goes back to the free ones only when it is exactly as its handshake made it and owes nothing; otherwise it is
 * destroyed. Whoever waits is served in order.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { make as makeCommand, withDeadline } from "../RedisCommand.js"
import { DeadlineError, type RedisError } from "../RedisError.js"
import type { CloseReason } from "./engine.js"
import { closeError } from "./failure.js"
import { longestTimer, type Restore } from "./handshake.js"
import { openLogged } from "./lifecycle.js"
import type { Link } from "./link.js"
import type { ResolvedOptions } from "./options.js"

export interface PoolSettings {
  readonly min: number
  readonly max: number
  /** All in milliseconds; Infinity for never. */
  readonly acquireTimeout: number
  readonly idleTimeout: number
  readonly maxAge: number
  /** A free link that has been silent for this long is asked with PING before it is lent. */
  readonly checkAfter: number
}

/** A link of a pool. */
export interface Member {
  readonly link: Link
  readonly since: number
  readonly expires: number
  readonly generation: number
  idleSince: number
}

/** A link that is lent. Once it is released, its borrower must not reach the link any more. */
export interface Lease {
  readonly link: Link
  released: boolean
}

/** What a waiter is given: a link, or the right to open one. */
type Grant = Member | "open"

/** A fiber that waits. It is out of the queue once it has its grant. */
interface Waiter {
  grant: Grant | undefined
  resume: (result: Effect.Effect<Grant, RedisError>) => void
}

const size = Metric.gauge("redis_pool_size", { description: "Connections of Redis pools" })
const free = Metric.gauge("redis_pool_free", { description: "Connections of Redis pools that nobody holds" })
const waiting = Metric.gauge("redis_pool_waiting", { description: "Fibers that wait for a connection of a Redis pool" })
const acquireTime = Metric.timer("redis_pool_acquire", "How long acquiring a connection of a Redis pool took")

const now = (): number => performance.now()

export class PoolCore {
  /** Where links are at home: shared with their sessions, so that `select` moves them all. */
  readonly home: { database: number }
  private readonly free: Array<Member> = []
  private readonly members = new Set<Member>()
  /** In order of arrival. */
  private readonly waiters = new Set<Waiter>()
  /** Links that are being opened: they count as members already. */
  private opening = 0
  /** How to end those. */
  private readonly aborts = new Set<(error: RedisError) => void>()
  private closed = false
  private sweeper: ReturnType<typeof setTimeout> | undefined
  private refiller: ReturnType<typeof setTimeout> | undefined
  /** Before the next refill, in milliseconds: it grows as long as what is opened does not last. */
  private pause = 0
  /** Links of an earlier one were greeted with credentials that were replaced since. */
  private generation = 0

  constructor(
    readonly options: ResolvedOptions,
    readonly settings: PoolSettings,
    private readonly runtime: Runtime.Runtime<never>,
    private readonly scope: Scope.Scope
  ) {
    this.home = { database: options.database }
  }

  get size(): number {
    return this.members.size + this.opening
  }

  get freeSize(): number {
    return this.free.length
  }

  get waiting(): number {
    return this.waiters.size
  }

  /** Lends a link until the scope closes. */
  readonly acquire: Effect.Effect<Lease, RedisError, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const started = now()
      return Effect.flatMap(this.take(restore, Infinity), (member) => {
        acquireTime.unsafeUpdate(Duration.millis(now() - started), [])
        const lease: Lease = { link: member.link, released: false }
        return Effect.as(
          Effect.addFinalizer(() =>
            Effect.sync(() => {
              lease.released = true
              member.link.endPushes(undefined)
              this.release(member)
            })
          ),
          lease
        )
      })
    })
  )

  /**
   * A link for the caller alone, who gives it back with `release`; failed at `until`, by the engine's clock, or after
   * `acquireTimeout` without one. To be run where nothing interrupts.
   */
  take(restore: Restore, until: number): Effect.Effect<Member, RedisError> {
    return Effect.suspend((): Effect.Effect<Member, RedisError> => {
      if (this.closed) {
        return Effect.fail(closeError(poolClosed, "unsent"))
      }
      const ready = this.waiters.size === 0 ? this.free.pop() : undefined
      if (ready !== undefined) {
        this.report()
        return this.check(ready, restore, until)
      }
      if (this.waiters.size === 0 && this.size < this.settings.max) {
        this.opening++
        return this.openFor(restore, until)
      }
      return Effect.flatMap(this.wait(restore, until), (grant) =>
        grant === "open" ? this.openFor(restore, until) : this.check(grant, restore, until)
      )
    })
  }

  private openFor(restore: Restore, until: number): Effect.Effect<Member, RedisError> {
    return Effect.flatMap(this.openNew(restore, until), (member) => this.check(member, restore, until))
  }

  /** A link that was silent for long is asked first; a hot one costs nothing. */
  private check(member: Member, restore: Restore, until: number): Effect.Effect<Member, RedisError> {
    const { link } = member
    if (link.engine.closed !== undefined || link.session.difference !== undefined) {
      link.destroy("its pool moved to another database meanwhile")
      this.remove(member)
      return this.take(restore, until)
    }
    if (now() - Math.max(link.engine.lastRead, member.idleSince) < this.settings.checkAfter) {
      return Effect.succeed(member)
    }
    return restore(link.send(ping)).pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit)) {
          return Effect.succeed(member)
        }
        link.destroy("it did not answer PING when it was about to be lent")
        return Exit.isInterrupted(exit) ? (exit as Exit.Exit<never>) : this.take(restore, until)
      })
    )
  }

  /** Opens a link in the place that was reserved for it. */
  private openNew(restore: Restore, until = Infinity): Effect.Effect<Member, RedisError> {
    return Effect.suspend(() => {
      const { generation } = this
      const connectTimeout = Math.min(this.options.connectTimeout, Math.max(until - now(), 1))
      let abort: ((error: RedisError) => void) | undefined
      return openLogged({ ...this.options, connectTimeout, database: this.home.database }, restore, (given) => {
        abort = given
        this.aborts.add(given)
      }).pipe(
        Effect.exit,
        // In one step: nobody sees a place that is neither being opened nor a member.
        Effect.flatMap((exit) => {
          this.opening--
          if (abort !== undefined) {
            this.aborts.delete(abort)
          }
          if (Exit.isSuccess(exit) && this.closed) {
            // The right to open it was given just before.
            exit.value.destroy(poolClosed.message)
          }
          if (Exit.isSuccess(exit) && exit.value.engine.closed === undefined) {
            return Exit.succeed(this.add(exit.value, generation))
          }
          this.serve()
          return Exit.flatMap(exit, ({ engine }) =>
            // It ended right behind its greeting.
            Exit.fail(closeError(engine.closed ?? poolClosed, "unsent"))
          )
        })
      )
    })
  }

  private add(link: Link, generation: number): Member {
    const { maxAge } = this.settings
    // Up to a tenth earlier, so that links opened together do not end together.
    const since = now()
    const member: Member = {
      link,
      since,
      generation,
      idleSince: since,
      expires: since + maxAge * (1 - Math.random() / 10)
    }
    link.session.home = this.home
    this.members.add(member)
    link.onClose(() => this.remove(member))
    this.report()
    return member
  }

  /** Waits in line. A grant that the fiber does not take, at whatever step it is interrupted, goes to the next. */
  private wait(restore: Restore, until: number): Effect.Effect<Grant, RedisError> {
    return Effect.suspend(() => {
      const waiter: Waiter = { grant: undefined, resume: () => {} }
      return Effect.onError(restore(this.line(waiter, until)), () =>
        Effect.sync(() => {
          if (waiter.grant === "open") {
            this.opening--
            this.serve()
          } else if (waiter.grant !== undefined) {
            this.release(waiter.grant)
          }
        })
      )
    })
  }

  private line(waiter: Waiter, until: number): Effect.Effect<Grant, RedisError> {
    return Effect.async<Grant, RedisError>((resume) => {
      const acquireTimeout = Math.min(this.settings.acquireTimeout, Math.max(until - now(), 1))
      const leave = (): void => {
        clearTimeout(timer)
        this.waiters.delete(waiter)
        this.report()
      }
      waiter.resume = (result) => {
        leave()
        resume(result)
      }
      const timer =
        acquireTimeout > longestTimer
          ? undefined
          : setTimeout(() => {
              waiter.resume(
                Effect.fail(
                  new DeadlineError({
                    phase: "acquire",
                    delivery: "unsent",
                    milliseconds: acquireTimeout,
                    hint: `all ${this.settings.max} connections are in use (maxSize of a pool, maxDedicated of a client)`
                  })
                )
              )
            }, acquireTimeout)
      this.waiters.add(waiter)
      this.report()
      return Effect.sync(leave)
    })
  }

  private grant(waiter: Waiter, grant: Grant): void {
    waiter.grant = grant
    waiter.resume(Effect.succeed(grant))
  }

  /** Gives whoever waits the room there is. */
  private serve(): void {
    for (const waiter of this.waiters) {
      const member = this.free.pop()
      if (member !== undefined) {
        this.grant(waiter, member)
      } else if (this.size < this.settings.max) {
        this.opening++
        this.grant(waiter, "open")
      } else {
        break
      }
    }
    this.report()
  }

  /** Takes a link back: to the next who waits, to the free ones, or to its end. */
  release(member: Member): void {
    const { link } = member
    const unfit = this.closed
      ? "its pool was closed"
      : link.session.difference !== undefined
        ? `${link.session.difference} changed it while it was lent`
        : link.engine.pending > 0
          ? "replies were owed when it was given back"
          : member.generation !== this.generation
            ? "its credentials were replaced"
            : member.expires <= now()
              ? "it reached its age"
              : this.size > this.settings.max
                ? "its pool is full"
                : undefined
    if (unfit !== undefined || link.engine.closed !== undefined) {
      link.destroy(unfit ?? "it had ended")
      // Destroying tells `remove`, unless it had ended before.
      this.remove(member)
      return
    }
    member.idleSince = now()
    this.free.push(member)
    this.serve()
    this.sweepLater()
  }

  private remove(member: Member): void {
    if (!this.members.delete(member)) {
      return
    }
    const at = this.free.indexOf(member)
    if (at >= 0) {
      this.free.splice(at, 1)
    }
    if (member.link.engine.closed?.reason === "closed" || now() - member.since >= lasting) {
      this.pause = 0
    }
    this.serve()
    this.refill()
  }

  /**
   * Opens what is missing to the minimum, in the background, until it is there. A server that is not there, or greets and
   * drops, is not asked in a tight loop.
   */
  private refill(): void {
    if (this.closed || this.refiller !== undefined || this.size >= this.settings.min) {
      return
    }
    this.refiller = setTimeout(() => {
      this.refiller = undefined
      for (let missing = this.settings.min - this.size; missing > 0; missing--) {
        this.openSpare()
      }
    }, this.pause)
    this.pause = Math.min(Math.max(2 * this.pause, 50), longestPause)
  }

  private openSpare(): void {
    this.opening++
    Runtime.runFork(this.runtime)(
      Effect.uninterruptibleMask((restore) =>
        Effect.matchEffect(this.openNew(restore), {
          onFailure: (error) => {
            this.refill()
            return Effect.logDebug(`A Redis pool could not replace a connection: ${error.message}`)
          },
          onSuccess: (member) => Effect.sync(() => this.release(member))
        })
      ),
      { scope: this.scope }
    )
  }

  /** Opens the minimum. Fails with the first that fails. */
  readonly fill: Effect.Effect<void, RedisError> = Effect.suspend(() => {
    const missing = this.settings.min - this.size
    this.opening += Math.max(missing, 0)
    return Effect.forEach(
      Array.from({ length: Math.max(missing, 0) }),
      () =>
        Effect.uninterruptibleMask((restore) => Effect.map(this.openNew(restore), (member) => this.release(member))),
      { concurrency: "unbounded", discard: true }
    )
  })

  /** There are new credentials: the free links end at once, those that are lent when they come back. */
  renew(): void {
    this.generation++
    for (const member of [...this.free]) {
      member.link.destroy("its credentials were replaced")
    }
  }

  /** Ends the free links. */
  readonly clear: Effect.Effect<void> = Effect.suspend(() => this.closeAll(this.free.splice(0)))

  /** Moves the pool to another database: its free links at once, those that are lent when they come back (they end). */
  readonly select = (database: number): Effect.Effect<void, RedisError> =>
    Effect.scoped(
      Effect.flatMap(this.acquire, ({ link }) =>
        // Tried on one link first: a database that does not exist must not cost the others.
        Effect.map(link.send(makeCommand("SELECT", { args: [database] })), () => {
          this.home.database = database
          for (const member of [...this.free]) {
            member.link.destroy("its pool moved to another database")
          }
        })
      )
    )

  /** Ends everything: whoever waits, the free links, and those that are lent, each after what it owes, with a bound. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    clearTimeout(this.sweeper)
    clearTimeout(this.refiller)
    const error = closeError(poolClosed, "unsent")
    for (const waiter of [...this.waiters]) {
      waiter.resume(Effect.fail(error))
    }
    for (const abort of [...this.aborts]) {
      abort(error)
    }
    this.free.length = 0
    return this.closeAll([...this.members])
  })

  private closeAll(members: ReadonlyArray<Member>): Effect.Effect<void> {
    return Effect.forEach(members, ({ link }) => link.close(this.options.closeTimeout), {
      concurrency: "unbounded",
      discard: true
    })
  }

  private sweepLater(): void {
    const { idleTimeout, maxAge } = this.settings
    const soonest = Math.min(idleTimeout, maxAge)
    if (this.sweeper === undefined && soonest !== Infinity) {
      this.sweeper = setTimeout(this.sweep, Math.min(Math.max(soonest / 4, 100), longestTimer))
    }
  }

  /** Ends free links that nobody needed for long, down to the minimum, and those that reached their age. */
  private readonly sweep = (): void => {
    this.sweeper = undefined
    const time = now()
    for (const member of [...this.free]) {
      if (member.expires <= time) {
        member.link.destroy("it reached its age")
      } else if (time - member.idleSince >= this.settings.idleTimeout && this.size > this.settings.min) {
        member.link.destroy("nobody needed it")
      }
    }
    if (this.free.length > 0) {
      this.sweepLater()
    }
  }

  /** The gauges are of all pools together: each tells what changed. */
  private report(): void {
    const { reported } = this
    const current = { size: this.size, free: this.free.length, waiting: this.waiters.size }
    size.unsafeModify(current.size - reported.size, [])
    free.unsafeModify(current.free - reported.free, [])
    waiting.unsafeModify(current.waiting - reported.waiting, [])
    this.reported = current
  }
  private reported = { size: 0, free: 0, waiting: 0 }
}

const poolClosed: CloseReason = { reason: "closed", message: "the pool was closed" }

/** A link that was there for so long, in milliseconds, was no false start. */
const lasting = 10_000

/** Between attempts to have the minimum again, in milliseconds. */
const longestPause = 2_000

const ping = withDeadline(makeCommand("PING"), "1 second")
