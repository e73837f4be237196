/**
 * Leases of links. Plain bookkeeping with its rules in one place; the Effects around it are in `Pool`.
 *
 * A link goes back to the free ones only when it is exactly as its handshake made it and owes nothing; otherwise it is
 * destroyed. Whoever waits is served in order.
 *
 * Links are opened when they are needed, by whoever needs them. When one cannot be opened, or ends too soon, none is
 * before the Schedule's pause is over: one pause for all, however many wait.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { make as makeCommand, withDeadline } from "../../RedisCommand.js"
import { DeadlineError, type RedisError } from "../../RedisError.js"
import { longestTimer, type Restore } from "../connection/handshake.js"
import { openLogged } from "../connection/lifecycle.js"
import type { Link } from "../connection/link.js"
import type { ResolvedOptions } from "../connection/options.js"
import { firstConnection, isPermanent, type Pacer, type ReconnectSettings } from "../connection/reconnect.js"
import type { CloseReason } from "../engine/engine.js"
import { closeError } from "../request/failure.js"

export interface PoolSettings extends ReconnectSettings {
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

/** Somebody who wants a link. */
interface Want {
  /** In milliseconds, and the end of that by the engine's clock. */
  readonly limit: number
  readonly until: number
  /** It tried to open one before, which puts it before those who came later. */
  tried: boolean
}

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
  /** Those who could not open one. They are served first. */
  private readonly retrying = new Set<Waiter>()
  /** Links that are being opened: they count as members already. */
  private opening = 0
  /** How to end those. */
  private readonly aborts = new Set<(error: RedisError) => void>()
  private closed = false
  private sweeper: ReturnType<typeof setTimeout> | undefined
  private refiller: ReturnType<typeof setTimeout> | undefined
  /** Nothing is opened before the schedule's pause is over. */
  private pausing = false
  /** How many pauses there were: attempts that began before the same one fail together. */
  private pauses = 0
  /** What the last attempt failed with, until one succeeds. */
  private failure: RedisError | undefined
  /** Since when all that was opened lasted. */
  private goodSince: number | undefined
  /** The minimum is not kept before somebody asks, because the user's predicate, or the schedule, had enough. */
  private stopped = false
  /** It is being built: attempts are its builder's business. */
  private building = true
  /** Links of an earlier one were greeted with credentials that were replaced since. */
  private generation = 0

  constructor(
    readonly options: ResolvedOptions,
    readonly settings: PoolSettings,
    private readonly pacer: Pacer,
    private readonly runtime: Runtime.Runtime<never>,
    private readonly scope: Scope.Scope
  ) {
    this.home = { database: options.database }
    // They are there from the beginning, at zero: a gauge is registered when it is first changed.
    for (const gauge of [size, free, waiting]) {
      gauge.unsafeModify(0, [])
    }
  }

  get size(): number {
    return this.members.size + this.opening
  }

  get freeSize(): number {
    return this.free.length
  }

  get waiting(): number {
    return this.waiters.size + this.retrying.size
  }

  /** Lends a link until the scope closes. */
  readonly acquire: Effect.Effect<Lease, RedisError, Scope.Scope> = this.acquireWithin(Infinity)

  /** The same, within so many milliseconds where that is shorter than `acquireTimeout`. */
  acquireWithin(allowed: number): Effect.Effect<Lease, RedisError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.scope, (scope) => {
        const started = now()
        const member = this.takeHot(started)
        return member === undefined
          ? Effect.flatMap(this.take(restore, allowed), (member) => this.lend(member, scope, started))
          : this.lend(member, scope, started)
      })
    )
  }

  private lend(member: Member, scope: Scope.Scope, started: number): Effect.Effect<Lease> {
    acquireTime.unsafeUpdate(Duration.millis(now() - started), [])
    const lease: Lease = { link: member.link, released: false }
    const giveBack = Effect.sync(() => {
      lease.released = true
      member.link.endPushes(undefined)
      this.release(member)
    })
    // Not `Effect.addFinalizer`, which takes the fiber's refs along, for a finalizer that needs none.
    return Effect.as(Scope.addFinalizer(scope, giveBack), lease)
  }

  /** A free link that needs neither waiting nor asking, without an Effect. */
  private takeHot(time: number): Member | undefined {
    const member = this.free[this.free.length - 1]
    if (this.closed || this.waiting > 0 || member === undefined || !isSound(member) || !this.isHot(member, time)) {
      return undefined
    }
    this.free.pop()
    this.report()
    return member
  }

  private isHot({ idleSince, link }: Member, time: number): boolean {
    return time - Math.max(link.engine.lastRead, idleSince) < this.settings.checkAfter
  }

  /**
   * A link for the caller alone, who gives it back with `release`; failed after `acquireTimeout`, or `allowed` where that
   * is shorter, without one. To be run where nothing interrupts.
   */
  take(restore: Restore, allowed: number): Effect.Effect<Member, RedisError> {
    return Effect.suspend(() => {
      const limit = Math.min(this.settings.acquireTimeout, allowed)
      return this.takeFor({ limit, until: now() + limit, tried: false }, restore)
    })
  }

  private takeFor(want: Want, restore: Restore): Effect.Effect<Member, RedisError> {
    return Effect.suspend((): Effect.Effect<Member, RedisError> => {
      if (this.closed) {
        return Effect.fail(closeError(poolClosed, "unsent"))
      }
      if (want.tried && want.until <= now()) {
        return Effect.fail(this.late(want))
      }
      if (this.retrying.size + (want.tried ? 0 : this.waiters.size) === 0) {
        const ready = this.free.pop()
        if (ready !== undefined) {
          this.report()
          return this.check(ready, want, restore)
        }
        if (this.mayOpen()) {
          this.opening++
          return this.openFor(want, restore)
        }
      }
      if (this.failure !== undefined && this.members.size === 0 && this.refuses(this.failure)) {
        return Effect.fail(this.failure)
      }
      return Effect.flatMap(this.wait(want, restore), (grant) =>
        grant === "open" ? this.openFor(want, restore) : this.check(grant, want, restore)
      )
    })
  }

  /** Whether waiting for the next attempt is no use, or not wanted. */
  private refuses(failure: RedisError): boolean {
    return this.settings.offline === "fail" || (this.pausing && this.ends(failure))
  }

  private mayOpen(): boolean {
    return !this.pausing && this.size < this.settings.max
  }

  private openFor(want: Want, restore: Restore): Effect.Effect<Member, RedisError> {
    const { generation } = this
    return Effect.matchEffect(this.openNew(restore, want.until), {
      onFailure: (error) => {
        if (this.isReplaced(error, generation)) {
          return this.takeFor(want, restore)
        }
        if (this.settings.offline === "fail" || this.ends(error)) {
          return Effect.fail(error)
        }
        if (want.until <= now()) {
          return Effect.fail(this.late(want, error))
        }
        want.tried = true
        return this.takeFor(want, restore)
      },
      onSuccess: (member) => this.check(member, want, restore)
    })
  }

  /** What was refused are credentials that were replaced meanwhile: it says nothing of those there are now. */
  private isReplaced(error: RedisError, generation: number): boolean {
    return isPermanent(error) && generation !== this.generation
  }

  private late({ limit }: Want, error?: RedisError): DeadlineError {
    const failure = this.failure ?? error
    return new DeadlineError({
      phase: "acquire",
      delivery: "unsent",
      milliseconds: limit,
      hint:
        failure === undefined
          ? `all ${this.settings.max} connections are in use (maxSize of a pool, maxDedicated of a client)`
          : `the last attempt to connect failed: ${failure.message}`
    })
  }

  /** A link that was silent for long is asked first; a hot one costs nothing. */
  private check(member: Member, want: Want, restore: Restore): Effect.Effect<Member, RedisError> {
    const { link } = member
    if (!isSound(member)) {
      link.destroy("its pool moved to another database meanwhile")
      this.remove(member)
      return this.takeFor(want, restore)
    }
    if (this.isHot(member, now())) {
      return Effect.succeed(member)
    }
    return restore(link.send(ping)).pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit)) {
          return Effect.succeed(member)
        }
        link.destroy("it did not answer PING when it was about to be lent")
        return Exit.isInterrupted(exit) ? (exit as Exit.Exit<never>) : this.takeFor(want, restore)
      })
    )
  }

  /** Opens a link in the place that was reserved for it. */
  private openNew(restore: Restore, until = Infinity): Effect.Effect<Member, RedisError> {
    return Effect.suspend(() => {
      const { generation, pauses } = this
      const connectTimeout = Math.min(this.options.connectTimeout, Math.max(Math.ceil(until - now()), 1))
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
            this.failure = undefined
            this.stopped = false
            this.goodSince ??= now()
            return Exit.succeed(this.add(exit.value, generation))
          }
          const failed: Exit.Exit<never, RedisError> = Exit.isSuccess(exit)
            ? // It ended right behind its greeting.
              Exit.fail(closeError(exit.value.engine.closed ?? poolClosed, "unsent"))
            : Exit.failCause(exit.cause)
          const error = Exit.isFailure(failed) ? Cause.failureOption(failed.cause) : Option.none()
          // One that was given less time, because that of the one who asked was nearly up, says nothing of the server.
          const hurried = connectTimeout < this.options.connectTimeout
          if (
            Option.isSome(error) &&
            !(error.value._tag === "DeadlineError" && hurried) &&
            !this.isReplaced(error.value, generation)
          ) {
            this.failed(error.value, pauses)
          }
          this.serve()
          return failed
        })
      )
    })
  }

  /** Something could not be opened, or did not last: the pause of the schedule begins, unless it has. */
  private failed(error: RedisError, pauses: number): void {
    if (this.closed) {
      return
    }
    this.failure = error
    if (this.building) {
      return
    }
    this.stopped = this.stops(error)
    if (this.settings.offline === "fail" || this.ends(error)) {
      this.failWaiting(error)
    }
    if (this.pausing || pauses !== this.pauses) {
      return
    }
    this.pausing = true
    this.pauses++
    const startOver = this.goodSince !== undefined && now() - this.goodSince >= this.settings.readyAfter
    this.goodSince = undefined
    Runtime.runFork(this.runtime)(
      Effect.zipRight(startOver ? this.pacer.reset : Effect.void, this.pacer.pause(error)).pipe(
        Effect.catchAllDefect((defect) =>
          Effect.as(Effect.logError("The Schedule of a Redis pool died", defect), false)
        ),
        Effect.flatMap((again) => (again ? Effect.void : Effect.zipRight(this.pacer.reset, this.exhausted))),
        Effect.zipRight(
          Effect.sync(() => {
            this.pausing = false
            this.serve()
            this.refill()
          })
        ),
        // The pool may be built where nothing interrupts, and closing it must not wait for the pause.
        Effect.interruptible
      ),
      { scope: this.scope }
    )
  }

  /** The schedule is done: whoever waits hears why, and whoever comes begins it anew. */
  private readonly exhausted: Effect.Effect<void> = Effect.sync(() => {
    this.stopped = true
    if (this.failure !== undefined) {
      this.failWaiting(this.failure)
    }
  })

  /** Whether waiting longer does not help those who wait. */
  private ends(error: RedisError): boolean {
    return isPermanent(error) || this.stops(error)
  }

  private stops(error: RedisError): boolean {
    try {
      return this.settings.stopWhen(error)
    } catch {
      // It is the user's. Who asks hears the failure itself.
      return true
    }
  }

  /** Fails those who wait for a link to be opened. Where others are lent, one of those may come back. */
  private failWaiting(error: RedisError): void {
    for (const waiter of [...this.retrying, ...(this.members.size === 0 ? this.waiters : [])]) {
      waiter.resume(Effect.fail(error))
    }
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
  private wait(want: Want, restore: Restore): Effect.Effect<Grant, RedisError> {
    return Effect.suspend(() => {
      const waiter: Waiter = { grant: undefined, resume: () => {} }
      return Effect.onError(restore(this.line(waiter, want)), () =>
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

  private line(waiter: Waiter, want: Want): Effect.Effect<Grant, RedisError> {
    return Effect.async<Grant, RedisError>((resume) => {
      const line = want.tried ? this.retrying : this.waiters
      const left = Math.max(want.until - now(), 1)
      const leave = (): void => {
        clearTimeout(timer)
        line.delete(waiter)
        this.report()
      }
      waiter.resume = (result) => {
        leave()
        resume(result)
      }
      const timer =
        left > longestTimer ? undefined : setTimeout(() => waiter.resume(Effect.fail(this.late(want))), left)
      line.add(waiter)
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
    for (const line of [this.retrying, this.waiters]) {
      for (const waiter of line) {
        const member = this.free.pop()
        if (member !== undefined) {
          this.grant(waiter, member)
        } else if (this.mayOpen()) {
          this.opening++
          this.grant(waiter, "open")
        } else {
          break
        }
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
    const { engine, session } = member.link
    const { closed } = engine
    // What its borrower did to it, or we, is no sign of a server that accepts and drops.
    if (
      closed !== undefined &&
      closed.reason !== "closed" &&
      session.difference === undefined &&
      now() - member.since < this.settings.readyAfter
    ) {
      this.failed(closeError(closed, "unsent"), this.pauses)
    }
    this.serve()
    this.refill()
  }

  /** Opens what is missing to the minimum, in the background, until it is there, by the schedule. */
  private refill(): void {
    if (this.refiller === undefined && this.lacks()) {
      this.refiller = setTimeout(() => {
        this.refiller = undefined
        while (this.lacks()) {
          this.openSpare()
        }
      }, 0)
    }
  }

  private lacks(): boolean {
    return !this.closed && !this.pausing && !this.stopped && this.size < this.settings.min
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

  /** Opens the minimum, as a client makes its first connection. */
  readonly build: Effect.Effect<void, RedisError> = Effect.suspend(() =>
    Effect.ensuring(
      firstConnection(this.options.connectTimeout, this.settings.schedule, (left) => this.fill(now() + left)),
      Effect.sync(() => {
        this.building = false
      })
    )
  )

  /** Opens what is missing to the minimum. Fails with the first that fails. */
  private fill(until: number): Effect.Effect<void, RedisError> {
    return Effect.suspend(() => {
      const missing = Math.max(this.settings.min - this.size, 0)
      this.opening += missing
      return Effect.forEach(
        Array.from({ length: missing }),
        () =>
          Effect.uninterruptibleMask((restore) =>
            Effect.map(this.openNew(restore, until), (member) => this.release(member))
          ),
        { concurrency: "unbounded", discard: true }
      )
    })
  }

  /** There are new credentials: the free links end at once, those that are lent when they come back. */
  renew(): void {
    this.generation++
    // Those that were refused have a long pause before them, and speak for these no more.
    this.failure = undefined
    this.pacer.hurry()
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
    if (this.waiting > 0 || this.aborts.size > 0) {
      const error = closeError(poolClosed, "unsent")
      for (const waiter of [...this.retrying, ...this.waiters]) {
        waiter.resume(Effect.fail(error))
      }
      for (const abort of [...this.aborts]) {
        abort(error)
      }
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
    change(size, this.size - reported.size)
    change(free, this.free.length - reported.free)
    change(waiting, this.waiting - reported.waiting)
    reported.size = this.size
    reported.free = this.free.length
    reported.waiting = this.waiting
  }
  private readonly reported = { size: 0, free: 0, waiting: 0 }
}

const isSound = ({ link }: Member): boolean => link.engine.closed === undefined && link.session.difference === undefined

const change = (gauge: Metric.Metric.Gauge<number>, by: number): void => {
  if (by !== 0) {
    gauge.unsafeModify(by, [])
  }
}

const poolClosed: CloseReason = { reason: "closed", message: "the pool was closed" }

const ping = withDeadline(makeCommand("PING"), "1 second")
