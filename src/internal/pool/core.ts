/**
 * Leases of links: plain bookkeeping with its rules in one place. The public Effects around it are in `Pool`.
 *
 * A link becomes free again only when its state is what the handshake made it and it owes nothing; otherwise it is
 * destroyed. Waiting callers are served in order.
 *
 * A link is opened when a caller needs it, by that caller. When an attempt fails, or a link ends too soon, no other attempt
 * begins before the pause of the Schedule is over. There is one pause for all callers, however many wait.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { DeadlineError, type RedisError } from "../../RedisError.js"
import { withDeadline } from "../command/command.js"
import { make as makeCommand } from "../command/raw.js"
import type { Dial } from "../connection/dial.js"
import type { Link } from "../connection/link.js"
import type { Restore } from "../connection/opening.js"
import type { ResolvedOptions } from "../connection/options.js"
import { Outages } from "../connection/outages.js"
import { firstConnection, makePacer, type Pacer, type ReconnectSettings } from "../connection/pacer.js"
import { type Forker, forkerIn } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { CloseReason } from "../engine/transport.js"
import { closeError } from "../request/failure.js"
import { untraced } from "../request/observed.js"
import { isPermanent } from "../request/recovery.js"
import { notify, type PoolChange } from "../telemetry/observer.js"
import { type PoolMetrics, poolMetrics } from "../telemetry/poolMetrics.js"

export interface PoolSettings extends ReconnectSettings {
  readonly min: number
  readonly max: number
  /** All in milliseconds; Infinity for never. */
  readonly acquireTimeout: number
  readonly idleTimeout: number
  readonly maxAge: number
  /** A free link that has been idle for this long is asked with PING before it is lent. */
  readonly checkAfter: number
  /** Whether lost connections are logged. */
  readonly logsOutages: boolean
}

/** A link of a pool. */
export interface Member {
  readonly link: Link
  readonly since: number
  readonly expires: number
  readonly generation: number
  idleSince: number
}

/** A link that is lent. Once the lease is released, its borrower must not reach the link any more. */
export interface Lease {
  readonly link: Link
  released: boolean
}

/** What a waiting caller is given: a link, or the right to open one. */
type Grant = Member | "open"

/** A caller that wants a link. */
interface Want {
  /** How long it may wait, in milliseconds, and when that ends, by the engine's clock. */
  readonly limit: number
  readonly until: number
  /** It tried to open a link before, so it comes before callers that came later. */
  tried: boolean
}

/** A waiting fiber. It leaves the queue when it gets its grant. */
interface Waiter {
  grant: Grant | undefined
  resume: (result: Effect.Effect<Grant, RedisError>) => void
}

const { now } = Timers

export class PoolCore {
  /** The database of all links. Their sessions share it, so that `select` moves all of them. */
  readonly home: { database: number }
  private readonly free: Array<Member> = []
  private readonly members = new Set<Member>()
  /** In order of arrival. */
  private readonly waiters = new Set<Waiter>()
  /** Callers whose attempt to open a link failed. They are served first. */
  private readonly retrying = new Set<Waiter>()
  /** How many links are being opened. They count as members already. */
  private opening = 0
  /** How to end those attempts. */
  private readonly aborts = new Set<(error: RedisError) => void>()
  private closed = false
  private sweeper: Timers.Timer | undefined
  private refiller: Timers.Timer | undefined
  /** The schedule's pause is running: nothing is opened. */
  private pausing = false
  /** How many pauses there were. Attempts that began before the same pause fail together. */
  private pauses = 0
  /** The failure of the last attempt, until one succeeds. */
  private failure: RedisError | undefined
  /** Since when every link that was opened has lasted. */
  private goodSince: number | undefined
  /** The user's predicate or the schedule ended the attempts: the minimum is not kept until a caller asks for a link. */
  private stopped = false
  /** The pool is being built: its builder paces the attempts. */
  private building = true
  /** Counts replaced credentials. The handshake of a link of an earlier generation used older ones. */
  private generation = 0

  constructor(
    readonly dial: Dial,
    readonly settings: PoolSettings,
    private readonly pacer: Pacer,
    private readonly fork: Forker
  ) {
    this.home = { database: dial.options.database }
    const { clientName, database } = dial.options
    this.metrics = poolMetrics(clientName ?? `${dial.address}/${database}`, settings)
    this.outages = settings.logsOutages
      ? new Outages(fork, "A connection of a pool", dial.options.clientName)
      : undefined
  }

  private readonly outages: Outages | undefined

  get options(): ResolvedOptions {
    return this.dial.options
  }

  private readonly metrics: PoolMetrics

  get size(): number {
    return this.members.size + this.opening
  }

  get freeSize(): number {
    return this.free.length
  }

  get lent(): number {
    return this.members.size - this.free.length
  }

  get waiting(): number {
    return this.waiters.size + this.retrying.size
  }

  /** A caller was given a link after so many milliseconds, or had one for so long. */
  waited(millis: number): void {
    this.metrics.waited(millis)
  }

  used(millis: number): void {
    this.metrics.used(millis)
  }

  /** Lends a link until the scope closes. */
  readonly acquire: Effect.Effect<Lease, RedisError, Scope.Scope> = this.acquireWithin(Infinity)

  /** The same, within this many milliseconds where that is shorter than `acquireTimeout`. */
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
    const leased = { server: member.link.address, waited: now() - started }
    this.metrics.waited(leased.waited)
    const ended = notify(this.dial.observer?.lease, leased)
    const given = now()
    const lease: Lease = { link: member.link, released: false }
    const giveBack = Effect.sync(() => {
      lease.released = true
      this.metrics.used(now() - given)
      notify(ended, undefined)
      member.link.endPushes(undefined)
      this.release(member)
    })
    // `Effect.addFinalizer` would keep the fiber's refs, which this finalizer does not need.
    return Effect.as(Scope.addFinalizer(scope, giveBack), lease)
  }

  /** Takes a free link that needs neither a wait nor a PING, without an Effect. */
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
   * Takes a link for one caller, which gives it back with `release`. Fails after `acquireTimeout`, or after `allowed` where
   * that is shorter. To be run where nothing interrupts.
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
        return Effect.fail(closeError(poolClosed, "unsent", this.dial.address))
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

  /** Whether a caller fails at once and does not wait for the next attempt. */
  private refuses(failure: RedisError): boolean {
    return this.settings.offline === "fail" || (this.pausing && this.ends(failure))
  }

  private mayOpen(): boolean {
    return !this.pausing && this.size < this.settings.max
  }

  private openFor(want: Want, restore: Restore): Effect.Effect<Member, RedisError> {
    const { generation } = this
    return Effect.matchEffect(this.openNew(restore, want.until - now()), {
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
        if (this.stopped) {
          // In Effect 4 a fiber starts where it is forked, so a schedule without any pause is done by now.
          return Effect.fail(error)
        }
        want.tried = true
        return this.takeFor(want, restore)
      },
      onSuccess: (member) => this.check(member, want, restore)
    })
  }

  /** The server refused credentials that were replaced meanwhile. That says nothing against the present ones. */
  private isReplaced(error: RedisError, generation: number): boolean {
    return isPermanent(error) && generation !== this.generation
  }

  private late({ limit }: Want, error?: RedisError): DeadlineError {
    const failure = this.failure ?? error
    const { stage } = this.dial
    this.metrics.timedOut()
    return new DeadlineError({
      phase: "acquire",
      delivery: "unsent",
      milliseconds: limit,
      server: this.dial.address,
      hint:
        failure === undefined && this.members.size === 0 && stage !== undefined
          ? `no connection could be opened yet: ${stage}`
          : failure === undefined
            ? `all ${this.settings.max} connections are in use (maxSize of a pool, maxDedicated of a client)`
            : `the last attempt to connect failed: ${failure.message}`
    })
  }

  /** A link that was idle for long is asked with PING first. A link that was just used costs nothing. */
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
    return restore(untraced(link.send(ping))).pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit) && !link.engine.closing) {
          return Effect.succeed(member)
        }
        link.destroy("it did not answer PING when it was about to be lent")
        return Exit.isInterrupted(exit) ? (exit as Exit.Exit<never>) : this.takeFor(want, restore)
      })
    )
  }

  /** Opens a link in the place that was reserved for it. */
  private openNew(restore: Restore, left = Infinity): Effect.Effect<Member, RedisError> {
    return Effect.suspend(() => {
      const { generation, pauses } = this
      const connectTimeout = Math.min(this.options.connectTimeout, Math.max(Math.ceil(left), 1))
      let abort: ((error: RedisError) => void) | undefined
      return this.dial
        .open({
          restore,
          connectTimeout,
          database: this.home.database,
          started: (given) => {
            abort = given
            this.aborts.add(given)
          }
        })
        .pipe(
          Effect.exit,
          // In one step, so that the place never counts as neither opening nor member.
          Effect.flatMap((exit) => {
            this.opening--
            if (abort !== undefined) {
              this.aborts.delete(abort)
            }
            if (Exit.isSuccess(exit) && this.closed) {
              // The right to open it was given just before the pool closed.
              exit.value.destroy(poolClosed.message)
            }
            if (Exit.isSuccess(exit) && exit.value.engine.closed === undefined) {
              this.failure = undefined
              this.stopped = false
              this.goodSince ??= now()
              this.outages?.back(exit.value.address, exit.value.id)
              return Exit.succeed(this.add(exit.value, generation))
            }
            const failed: Exit.Exit<never, RedisError> = Exit.isSuccess(exit)
              ? // It ended right after its handshake.
                Exit.fail(closeError(exit.value.engine.closed ?? poolClosed, "unsent", this.dial.address))
              : Exit.failCause(exit.cause)
            const error = Exit.isFailure(failed) ? Cause.failureOption(failed.cause) : Option.none()
            // An attempt that was cut short by its caller's deadline is no evidence against the server.
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

  /** A link could not be opened, or did not last: the pause of the schedule begins, unless it is running. */
  private failed(error: RedisError, pauses: number): void {
    if (this.closed) {
      return
    }
    this.failure = error
    if (this.building) {
      return
    }
    this.stopped = this.stops(error)
    if (!this.pausing && pauses === this.pauses) {
      this.pause(error)
    }
    // Last, because a caller that fails may acquire again right here: in Effect 4 it continues where it is resumed.
    if (this.settings.offline === "fail" || this.ends(error)) {
      this.failWaiting(error)
    }
  }

  private pause(error: RedisError): void {
    this.pausing = true
    this.pauses++
    const startOver = this.goodSince !== undefined && now() - this.goodSince >= this.settings.readyAfter
    this.goodSince = undefined
    this.fork(
      Effect.zipRight(startOver ? this.pacer.reset : Effect.void, this.pacer.pause(error)).pipe(
        Effect.catchAllDefect((defect) =>
          Effect.as(Effect.logError("The Schedule of a Redis pool died", defect), false)
        ),
        Effect.flatMap((again) => (again ? Effect.succeed(true) : Effect.as(this.pacer.reset, false))),
        Effect.flatMap((again) => Effect.sync(() => this.afterPause(again))),
        // The pool may be built where nothing interrupts, but closing it must not wait for the pause.
        Effect.interruptible
      )
    )
  }

  /** When the schedule is done, waiting callers fail with the reason, and the next caller starts it over. */
  private afterPause(again: boolean): void {
    this.pausing = false
    this.stopped ||= !again
    if (!again && this.failure !== undefined) {
      this.failWaiting(this.failure)
    }
    this.serve()
    this.refill()
  }

  /** Whether waiting callers fail, because waiting longer does not help. */
  private ends(error: RedisError): boolean {
    return isPermanent(error) || this.stops(error)
  }

  private stops(error: RedisError): boolean {
    try {
      return this.settings.stopWhen(error)
    } catch {
      // The user's predicate threw. The caller gets the failure itself.
      return true
    }
  }

  /** Fails callers that wait for an attempt. While links are lent, other callers may still get one that comes back. */
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

  /** Waits in line. When the fiber is interrupted, at whatever step, its grant goes to the next caller. */
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
        unlimit()
        line.delete(waiter)
        this.report()
      }
      waiter.resume = (result) => {
        leave()
        resume(result)
      }
      const unlimit = Timers.limit(left, () => waiter.resume(Effect.fail(this.late(want))))
      line.add(waiter)
      this.report()
      return Effect.sync(leave)
    })
  }

  private grant(waiter: Waiter, grant: Grant): void {
    waiter.grant = grant
    waiter.resume(Effect.succeed(grant))
  }

  /** Gives waiting callers the free links, and the room to open new ones. */
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

  /** Takes a link back. It goes to the next waiting caller, becomes free, or is destroyed. */
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
      // Destroying calls `remove`, unless the link had ended before.
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
    // A link that its borrower or this client ended says nothing against the server.
    if (closed !== undefined && closed.reason !== "closed" && session.difference === undefined) {
      if (!this.closed) {
        this.outages?.lost(closed, member.link.address, member.link.id)
      }
      if (now() - member.since < this.settings.readyAfter) {
        this.failed(closeError(closed, "unsent", this.dial.address), this.pauses)
      }
    }
    this.serve()
    this.refill()
  }

  /** Opens links up to the minimum, in the background, by the schedule. */
  private refill(): void {
    if (this.refiller === undefined && this.lacks()) {
      this.refiller = Timers.setTimeout(() => {
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
    this.fork(
      Effect.uninterruptibleMask((restore) =>
        Effect.matchEffect(this.openNew(restore), {
          onFailure: (error) => {
            this.refill()
            return Effect.logDebug(`A Redis pool could not replace a connection: ${error.message}`)
          },
          onSuccess: (member) => Effect.sync(() => this.release(member))
        })
      )
    )
  }

  /** Opens the minimum, in the way a client opens its first connection. */
  readonly build: Effect.Effect<void, RedisError> = Effect.suspend(() =>
    Effect.ensuring(
      firstConnection(this.options.connectTimeout, this.settings.schedule, (left) => this.fill(left)),
      Effect.sync(() => {
        this.building = false
      })
    )
  )

  /** Opens links up to the minimum, within `left` milliseconds. Fails with the first failure. */
  private fill(left: number): Effect.Effect<void, RedisError> {
    return Effect.suspend(() => {
      const missing = Math.max(this.settings.min - this.size, 0)
      this.opening += missing
      return Effect.forEach(
        Array.from({ length: missing }),
        () =>
          Effect.uninterruptibleMask((restore) =>
            Effect.map(this.openNew(restore, left), (member) => this.release(member))
          ),
        { concurrency: "unbounded", discard: true }
      )
    })
  }

  /** There are new credentials: free links end at once, lent links when they come back. */
  renew(): void {
    this.generation++
    // The last failure was about the old credentials, and the long pause after it ends.
    this.failure = undefined
    this.pacer.hurry()
    for (const member of [...this.free]) {
      member.link.destroy("its credentials were replaced")
    }
  }

  /**
   * Leaves the server, because another one has taken its place: from now on nothing goes to it. Nobody is called before the
   * returned function is: it ends the free links, and reads the replies that are owed over lent ones for at most so many
   * milliseconds, except those of blocking commands.
   */
  withdraw(message: string, graceMillis: number): () => void {
    this.generation++
    this.failure = undefined
    const free = this.free.splice(0)
    const lent = [...this.members].filter((member) => !free.includes(member))
    for (const { link } of lent) {
      link.engine.closing = true
    }
    return () => {
      this.pacer.hurry()
      const reason: CloseReason = { reason: "closed", message }
      for (const { link } of free) {
        link.destroy(message)
      }
      for (const { link } of lent) {
        link.engine.retract(reason)
        link.engine.close(graceMillis, () => {}, reason)
      }
    }
  }

  /** Ends the free links. */
  readonly clear: Effect.Effect<void> = Effect.suspend(() => this.closeAll(this.free.splice(0)))

  /** Moves the pool to another database. Free links end at once, lent links when they come back. */
  readonly select = (database: number): Effect.Effect<void, RedisError> =>
    Effect.scoped(
      Effect.flatMap(this.acquire, ({ link }) =>
        // Tried on one link first, so that a database that does not exist costs no other link.
        Effect.map(link.send(makeCommand("SELECT", { args: [database] })), () => {
          this.home.database = database
          for (const member of [...this.free]) {
            member.link.destroy("its pool moved to another database")
          }
        })
      )
    )

  /** Closes the pool: waiting callers fail, and each link is closed after the replies that it owes, within a bound. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    Timers.clearTimeout(this.sweeper)
    Timers.clearTimeout(this.refiller)
    this.outages?.end()
    if (this.waiting > 0 || this.aborts.size > 0) {
      const error = closeError(poolClosed, "unsent", this.dial.address)
      for (const waiter of [...this.retrying, ...this.waiters]) {
        waiter.resume(Effect.fail(error))
      }
      for (const abort of [...this.aborts]) {
        abort(error)
      }
    }
    this.free.length = 0
    this.metrics.end()
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
      this.sweeper = Timers.setTimeout(this.sweep, Math.min(Math.max(soonest / 4, 100), Timers.longestTimer))
    }
  }

  /** Closes free links that were idle for long, down to the minimum, and links that reached their age. */
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

  /** What was reported last. */
  private reported: PoolChange = { size: 0, free: 0, waiting: 0 }

  private report(): void {
    const { reported } = this
    const now: PoolChange = { size: this.members.size, free: this.free.length, waiting: this.waiting }
    this.reported = now
    const change = {
      size: now.size - reported.size,
      free: now.free - reported.free,
      waiting: now.waiting - reported.waiting
    }
    this.metrics.changed(change)
    notify(this.dial.observer?.pool, change)
  }
}

const isSound = ({ link }: Member): boolean => link.engine.closed === undefined && link.session.difference === undefined

const poolClosed: CloseReason = { reason: "closed", message: "the pool was closed" }

const ping = withDeadline(makeCommand("PING"), "1 second")

/** Opens a pool, filled to its minimum. The scope closes it. */
export const makeCore = (dial: Dial, settings: PoolSettings): Effect.Effect<PoolCore, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* forkerIn(yield* Effect.scope)
    const core = new PoolCore(dial, settings, yield* makePacer(settings.schedule), fork)
    yield* Effect.addFinalizer(() => core.close)
    yield* core.build
    return core
  })

/** The bookkeeping of pools that this copy of the library made. A program may make a `Pool` of its own. */
export const coreOfPool = new WeakMap<object, PoolCore>()
