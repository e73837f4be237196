/**
 * A consumer of a consumer group: what it has in hand, and the fibers that read, claim, keep and acknowledge.
 *
 * An entry is in hand from when its delivery is read until the group has confirmed its acknowledgement, or until it is
 * left to be claimed. What is in hand is touched every `keepEvery`, so that others do not claim it, and is never taken
 * up a second time here, however often the server names it.
 *
 * The state is plain JavaScript that changes between two turns only; Effects are around it.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import { type Exclusive, range } from "../../commands/range.js"
import type { StreamFields, StreamId, StreamTrim } from "../../commands/stream-entry.js"
import { ConnectionError, type RedisError, ReplyError, TransactionError, UsageError } from "../../RedisError.js"
import { transaction } from "../client/batch.js"
import { optimistic } from "../client/optimistic.js"
import type { Key } from "../command/args.js"
import { text } from "../command/decode.js"
import type { RedisCommand } from "../command/model.js"
import { Redis, type RedisService } from "../command/model.js"
import { key as keyArgument, make as makeCommand } from "../command/raw.js"
import { type DecodeFields, groups, type RawEntry, streams, undecodable } from "./entry.js"
import { isTransient, isUnknown, liveClock, Persistence, pause, Signal } from "./wait.js"

/** What happened to entries that a program may want to hear of. */
export type GroupEvent =
  | {
      readonly _tag: "Failed"
      readonly stream: string
      readonly id: StreamId
      readonly attempt: number
      readonly cause: Cause.Cause<unknown>
      readonly next: "retried" | "left" | "deadLettered"
    }
  | { readonly _tag: "Claimed"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Resumed"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Gone"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Taken"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Disconnected"; readonly stream: string; readonly error: RedisError }

/** Options of a consumer, checked. Durations are milliseconds. */
export interface GroupSettings<A> {
  readonly stream: string
  readonly group: string
  readonly consumer: string
  readonly decode: DecodeFields<A>
  /** The id behind which a new group begins; `undefined` when none is to be made. */
  readonly create: StreamId | undefined
  readonly count: number
  readonly block: number
  readonly maxInHand: number
  readonly claim:
    | { readonly idle: number; readonly count: number; readonly schedule: Schedule.Schedule<unknown> }
    | undefined
  readonly keepEvery: number
  readonly ackSize: number
  readonly ackWithin: number
  readonly attempts: number
  readonly deadLetter: DeadLetter | undefined
  readonly orderBy: ((entry: EntryOf<A>) => string) | undefined
  readonly reconnect: Schedule.Schedule<unknown, RedisError>
  readonly on: ((event: GroupEvent) => Effect.Effect<unknown>) | undefined
}

export interface DeadLetter {
  readonly stream: string
  readonly trim: StreamTrim | undefined
}

export interface EntryOf<A> {
  readonly stream: string
  readonly id: StreamId
  readonly fields: A
}

/** Entries whose acknowledgement is not confirmed may be this many beside those in hand. */
const maxUnacked = 10_000

/** How many ids one command names. */
const batchSize = 500

/** Ids that were left are remembered up to this many; beyond, some are resumed earlier than they had to be. */
const maxLeft = 10_000

/** What is handed back looks this old, so that whoever claims next gets it. */
const handedBackIdle = "1 day"

/** How long the last commands of a consumer that stops may take. */
const farewell = 2_000

/**
 * - `ready`: waits for its handler, or behind another one of its key.
 * - `running`: with its handler, or with the program.
 * - `waiting`: failed, and will be tried again here.
 * - `handled`: done, and about to be acknowledged.
 * - `dropped`: not in hand any more.
 */
type State = "ready" | "running" | "waiting" | "handled" | "dropped"

export class Held<A> {
  state: State = "ready"
  lane: string | undefined
  /** Of the Schedule of its retries. */
  driver: Schedule.ScheduleDriver<unknown, Cause.Cause<unknown>> | undefined
  /** Told when the acknowledgement is confirmed, or cannot be. */
  onAcked: ((exit: Exit.Exit<void, RedisError>) => void) | undefined

  constructor(
    readonly raw: RawEntry,
    readonly fields: Either.Either<A, Cause.Cause<unknown>>,
    /** Which delivery this is, as the group counts. */
    public attempt: number
  ) {}

  get id(): StreamId {
    return this.raw.id
  }
}

const type = (key: string): RedisCommand<string> =>
  makeCommand("TYPE", { args: [keyArgument(key)], readonly: true, decode: text })

const wrongDeadLetter = (found: string): UsageError =>
  new UsageError({
    reason: "invalidOptions",
    message: `the key for dead letters holds a ${found}, not a stream; nothing was acknowledged`
  })

const stopped = new ConnectionError({
  reason: "closed",
  delivery: "unknown",
  message: "the consumer stopped before the group had confirmed the acknowledgement"
})

export class GroupConsumer<A> {
  private readonly held = new Map<StreamId, Held<A>>()
  /** Pending for this consumer, and not to be taken up by it before they are claimed. */
  private readonly left = new Set<StreamId>()
  /** Entries in hand by their ordering key: the first of each may run. */
  private readonly lanes = new Map<string, Array<Held<A>>>()
  private readonly ready: Array<Held<A>> = []
  private readonly takers: Array<(held: Held<A> | undefined) => void> = []
  private acks: Array<Held<A>> = []
  private unacked = 0
  /** Why nothing is acknowledged any more, once the server refused it for good. */
  private unackable: Exit.Exit<void, RedisError> | undefined
  private running = 0
  /** A reply that may have held entries was not read: they are pending here, and nobody knows of them. */
  private mayBeLost = false
  private resumed = false
  private stopping = false
  private over = false
  private failure: RedisError | undefined
  private readonly room = new Signal()
  private readonly ackable = new Signal()
  private readonly progress = new Signal()
  private readonly ended = new Signal()
  private readonly persistence: Persistence
  private readonly retries = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private intake: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
  private upkeep: Array<Fiber.RuntimeFiber<unknown, unknown>> = []

  constructor(
    private readonly redis: RedisService,
    private readonly settings: GroupSettings<A>
  ) {
    this.persistence = new Persistence(settings.reconnect, (error) => {
      if (isUnknown(error)) {
        this.mayBeLost = true
      }
      return this.tell({ _tag: "Disconnected", stream: settings.stream, error })
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Life
  // -------------------------------------------------------------------------------------------------------------------

  /** Starts what reads, claims, keeps and acknowledges. Whoever starts it stops it. */
  readonly start: Effect.Effect<void> = Effect.suspend(() => {
    const { claim } = this.settings
    return Effect.map(
      Effect.all([
        this.fork(this.read),
        ...(claim === undefined ? [] : [this.fork(this.claim(claim))]),
        this.fork(this.keep),
        this.fork(this.acknowledge)
      ]),
      (fibers) => {
        this.upkeep = fibers.slice(-2)
        this.intake = fibers.slice(0, -2)
      }
    )
  })

  private fork(effect: Effect.Effect<unknown, RedisError>): Effect.Effect<Fiber.RuntimeFiber<unknown, unknown>> {
    return Effect.forkDaemon(
      Effect.interruptible(
        Effect.catchAllCause(effect, (cause) =>
          Effect.suspend(() => {
            if (!Cause.isInterruptedOnly(cause)) {
              const failure = Cause.failureOrCause(cause)
              this.fail(
                Either.isLeft(failure)
                  ? failure.left
                  : new UsageError({
                      reason: "invalidArgument",
                      message: "a Schedule of the consumer, or the client under it, died"
                    })
              )
              return Either.isLeft(failure) ? Effect.void : Effect.logError("A stream consumer died", cause)
            }
            return Effect.void
          })
        )
      )
    )
  }

  private fail(error: RedisError): void {
    this.failure ??= error
    this.ended.notify()
    for (const taker of this.takers.splice(0)) {
      taker(undefined)
    }
  }

  /** Ends, typed, when there is no going on. */
  readonly end: Effect.Effect<never, RedisError> = Effect.suspend(() =>
    Effect.flatMap(
      this.ended.until(() => this.failure !== undefined),
      () => Effect.fail(this.failure as RedisError)
    )
  )

  /**
   * Stops reading, waits up to `millis` for what is with its handler, acknowledges what was handled, and hands back
   * what nobody began. `abandon` ends the handlers that are not done by then.
   */
  stop(millis: number, abandon: Effect.Effect<unknown> = Effect.void): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.stopping = true
      for (const taker of this.takers.splice(0)) {
        taker(undefined)
      }
      // What the server sends to a read that ends now is pending here; it is looked for below.
      for (const fiber of [...this.intake, ...this.retries]) {
        yield* Fiber.interruptFork(fiber)
      }
      const unbegun = [...this.held.values()].filter(({ state }) => state === "ready")
      for (const held of unbegun) {
        this.drop(held)
      }
      if (!(yield* this.progress.until(() => this.running === 0, millis))) {
        yield* abandon
      }
      this.ackable.notify()
      const handBack = this.held.size > 0 || unbegun.length > 0 || this.resumed ? this.handBack(unbegun) : Effect.void
      const finish = Effect.zipRight(
        this.progress.until(() => this.unacked === 0),
        handBack
      )
      yield* within(finish, farewell)
      this.over = true
      for (const fiber of this.upkeep) {
        yield* Fiber.interruptFork(fiber)
      }
      for (const held of this.held.values()) {
        held.onAcked?.(Exit.fail(this.failure ?? stopped))
      }
    })
  }

  /** Gives what nobody began, and what was read by nobody, to whoever claims next, as if it had not been delivered. */
  private handBack(unbegun: ReadonlyArray<Held<A>>): Effect.Effect<void> {
    const { consumer, group, stream } = this.settings
    return Effect.gen(this, function* () {
      const counts = new Map(unbegun.map(({ attempt, id }) => [id, attempt - 1]))
      let start: StreamId | Exclusive<StreamId> = "-"
      while (true) {
        const page: ReadonlyArray<PendingOne> = yield* this.redis.send(
          groups.xpending(stream, group, { start, end: "+", count: batchSize, consumer })
        )
        const last = page[page.length - 1]
        if (last === undefined) {
          return
        }
        const byCount = groupBy(
          page.filter(({ id }) => !this.held.has(id) && !this.left.has(id)),
          // What came in a reply that nobody read was not an attempt; what was pending before may have been one.
          ({ deliveries, id }) => counts.get(id) ?? Math.max(Number(deliveries) - (this.resumed ? 1 : 0), 0)
        )
        for (const [retrycount, ids] of byCount) {
          yield* this.redis.send(
            groups.xclaim(stream, group, consumer, "0 millis", ids, { idle: handedBackIdle, retrycount, justid: true })
          )
        }
        start = range.exclusive(last.id)
      }
    }).pipe(Effect.catchAllCause((cause) => Effect.logDebug("A stream consumer could not hand back", cause)))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Taking in
  // -------------------------------------------------------------------------------------------------------------------

  /** How many more entries there is room for. */
  private get free(): number {
    return Math.min(this.settings.maxInHand - (this.held.size - this.unacked), maxUnacked - this.unacked)
  }

  /** Waits for room: a good part of it, unless nothing is left to do. */
  private readonly hasRoom = (): boolean =>
    this.free > 0 && (this.ready.length === 0 || this.free >= Math.floor(this.settings.maxInHand / 2))

  /** On a connection of its own: replies with entries are large, and nobody's commands shall wait behind them. */
  private own<B>(command: RedisCommand<B>): Effect.Effect<B, RedisError> {
    return Effect.scoped(Effect.flatMap(this.redis.lease, (redis) => redis.send(command)))
  }

  private readonly read: Effect.Effect<never, RedisError> = Effect.suspend(() => {
    const { block, consumer, count, create, deadLetter, group, reconnect, stream } = this.settings
    return Effect.gen(this, function* () {
      if (create !== undefined) {
        yield* this.persistence.persist(
          Effect.catchIf(
            this.redis.send(groups.xgroupCreate(stream, group, create, { mkstream: true })),
            (error) => error instanceof ReplyError && error.code === "BUSYGROUP",
            () => Effect.void
          )
        )
      }
      if (deadLetter !== undefined) {
        const found = yield* this.persistence.persist(this.redis.send(type(deadLetter.stream)))
        if (found !== "none" && found !== "stream") {
          return yield* wrongDeadLetter(found)
        }
      }
      yield* this.resume(true)
      this.mayBeLost = false
      this.resumed = true
      this.room.notify()
      const backoff = yield* Schedule.driver(reconnect)
      while (true) {
        yield* this.room.until(this.hasRoom)
        if (this.mayBeLost) {
          this.mayBeLost = false
          yield* this.resume(false)
          continue
        }
        const started = performance.now()
        const found = yield* Effect.either(
          this.redis.send(
            groups.xreadgroup(
              group,
              consumer,
              { [stream]: ">" },
              { count: Math.min(count, this.free), block: `${block} millis` }
            )
          )
        )
        if (Either.isLeft(found)) {
          const error = found.left
          // What it may have delivered is looked for before anything else is read.
          this.mayBeLost ||= isUnknown(error)
          if (!isTransient(error)) {
            return yield* error
          }
          yield* this.tell({ _tag: "Disconnected", stream, error })
          if (Exit.isFailure(yield* liveClock(Effect.exit(backoff.next(error))))) {
            return yield* error
          }
          continue
        }
        yield* backoff.reset
        const [only] = found.right
        if (only !== undefined) {
          for (const entry of only.entries) {
            this.register(entry, 1)
          }
        } else if (performance.now() - started < block / 2) {
          // Somebody unblocked it, or this is no server: either way it must not become a tight loop.
          yield* pause(10)
        }
      }
    })
  })

  /**
   * Takes up what is pending for this consumer and not in hand: what it had before it was started, or what came in
   * replies that were never read. The first counts as a further delivery, the second does not.
   */
  private resume(before: boolean): Effect.Effect<void, RedisError> {
    const { consumer, group, stream } = this.settings
    return Effect.gen(this, function* () {
      let start: StreamId | Exclusive<StreamId> = "-"
      while (true) {
        yield* this.room.until(() => this.free > 0)
        const inHand = new Set(this.held.keys())
        const page: ReadonlyArray<PendingOne> = yield* this.persistence.persist(
          this.redis.send(groups.xpending(stream, group, { start, end: "+", count: batchSize, consumer }))
        )
        const last = page[page.length - 1]
        if (last === undefined) {
          return
        }
        const all = page.filter(({ id }) => !inHand.has(id) && !this.held.has(id) && (before || !this.left.has(id)))
        const some = all.slice(0, Math.max(this.free, 1))
        for (const [count, ids] of groupBy(some, ({ deliveries }) =>
          Math.max(Number(deliveries) + (before ? 1 : 0), 1)
        )) {
          yield* this.takeUp(ids, count)
        }
        start = range.exclusive(((some.length < all.length ? some[some.length - 1] : undefined) ?? last).id)
      }
    })
  }

  /** Claims what is this consumer's already, for the fields. Saying the count makes it safe to ask twice. */
  private takeUp(ids: Some<StreamId>, count: number): Effect.Effect<void, RedisError> {
    const { consumer, group, stream } = this.settings
    return Effect.gen(this, function* () {
      const entries = yield* this.persistence.persist(
        this.own(groups.xclaim(stream, group, consumer, "0 millis", ids, { retrycount: count }))
      )
      for (const entry of entries) {
        this.register(entry, count)
      }
      yield* this.tell({ _tag: "Resumed", stream, ids: entries.map(({ id }) => id) })
      const found = new Set(entries.map(({ id }) => id))
      yield* this.forget(ids.filter((id) => !found.has(id)))
    })
  }

  /** Pending entries that the stream has no more: nobody can handle them, so they are acknowledged. */
  private forget(ids: ReadonlyArray<StreamId>): Effect.Effect<void, RedisError> {
    const { group, stream } = this.settings
    const [first, ...rest] = ids
    return first === undefined
      ? Effect.void
      : Effect.zipRight(
          this.persistence.persist(this.redis.send(groups.xack(stream, group, [first, ...rest]))),
          this.tell({ _tag: "Gone", stream, ids })
        )
  }

  private claim(claim: NonNullable<GroupSettings<A>["claim"]>): Effect.Effect<never, RedisError> {
    const { consumer, group, stream } = this.settings
    const round = Effect.gen(this, function* () {
      let cursor = "0-0"
      do {
        yield* this.room.until(() => this.free > 0)
        const { claimed, deleted, next } = yield* this.persistence.persist(
          this.own(
            groups.xautoclaim(stream, group, consumer, `${claim.idle} millis`, cursor, {
              count: Math.min(claim.count, Math.max(this.free, 1))
            })
          )
        )
        // What is in hand may be named as well, when keeping it was late.
        const fresh = claimed.filter(({ id }) => !this.held.has(id))
        const counts = yield* this.deliveries(fresh.map(({ id }) => id))
        const ours = fresh.filter(({ id }) => counts.has(id) && !this.held.has(id))
        for (const entry of ours) {
          this.register(entry, counts.get(entry.id)?.count ?? 1)
        }
        if (ours.length > 0) {
          yield* this.tell({ _tag: "Claimed", stream, ids: ours.map(({ id }) => id) })
        }
        yield* this.forget(deleted)
        cursor = next
      } while (cursor !== "0-0")
    })
    return Effect.gen(this, function* () {
      yield* this.room.until(() => this.resumed)
      const driver = yield* Schedule.driver(claim.schedule)
      while (true) {
        yield* round
        if (Exit.isFailure(yield* liveClock(Effect.exit(driver.next(undefined))))) {
          return yield* Effect.never
        }
      }
    })
  }

  /** Of these ids, those that are pending for this consumer, with what the group knows of them. */
  private deliveries(
    ids: ReadonlyArray<StreamId>
  ): Effect.Effect<Map<StreamId, { readonly count: number }>, RedisError> {
    const { consumer, group, stream } = this.settings
    return Effect.gen(this, function* () {
      const found = new Map<StreamId, { readonly count: number }>()
      for (let at = 0; at < ids.length; at += batchSize) {
        const asked = ids
          .slice(at, at + batchSize)
          .map((id) => groups.xpending(stream, group, { start: id, end: id, count: 1, consumer }))
        const { exits } = yield* this.persistence.persist(
          Effect.tap(this.redis.sendAll(asked, { atomic: false }), ({ exits }) =>
            Effect.forEach(exits, (exit) => exit, { discard: true })
          )
        )
        for (const exit of exits as ReadonlyArray<Exit.Exit<ReadonlyArray<PendingOne>>>) {
          const one = Exit.isSuccess(exit) ? exit.value[0] : undefined
          if (one !== undefined) {
            found.set(one.id, { count: Number(one.deliveries) })
          }
        }
      }
      return found
    })
  }

  private register(raw: RawEntry, attempt: number): void {
    if (this.held.has(raw.id) || this.stopping) {
      return
    }
    const { decode, orderBy, stream } = this.settings
    this.left.delete(raw.id)
    const fields: Either.Either<A, Cause.Cause<unknown>> = guarded(() =>
      Either.mapLeft(decode(raw), (issue) => Cause.fail(undecodable("XREADGROUP", stream, raw.id, issue)))
    )
    const lane =
      orderBy === undefined
        ? Either.right(undefined)
        : Either.flatMap(fields, (fields) => guarded(() => Either.right(orderBy({ stream, id: raw.id, fields }))))
    const held = new Held<A>(
      raw,
      Either.flatMap(lane, () => fields),
      attempt
    )
    this.held.set(raw.id, held)
    if (Either.isRight(lane) && lane.right !== undefined) {
      held.lane = lane.right
      const line = this.lanes.get(lane.right)
      if (line !== undefined) {
        line.push(held)
        return
      }
      this.lanes.set(lane.right, [held])
    }
    this.offer(held)
  }

  private offer(held: Held<A>): void {
    if (this.stopping) {
      return
    }
    const taker = this.takers.shift()
    if (taker === undefined) {
      this.ready.push(held)
    } else {
      this.begin(held)
      taker(held)
    }
  }

  private begin(held: Held<A>): void {
    held.state = "running"
    this.running++
  }

  /** The next of its key may run. */
  private advance(held: Held<A>): void {
    const { lane } = held
    const line = lane === undefined ? undefined : this.lanes.get(lane)
    if (lane === undefined || line === undefined) {
      return
    }
    const at = line.indexOf(held)
    line.splice(at, 1)
    if (line.length === 0) {
      this.lanes.delete(lane)
    } else if (at === 0) {
      this.offer(line[0] as Held<A>)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Handing out
  // -------------------------------------------------------------------------------------------------------------------

  private shift(): Held<A> | undefined {
    for (let held = this.ready.shift(); held !== undefined; held = this.ready.shift()) {
      if (held.state === "ready") {
        this.begin(held)
        this.room.notify()
        return held
      }
    }
    return undefined
  }

  /** The next entry; `undefined` when there will be none. */
  readonly take: Effect.Effect<Held<A> | undefined> = Effect.async<Held<A> | undefined>((resume) => {
    const ready = this.stopping || this.failure !== undefined ? undefined : this.shift()
    if (ready !== undefined || this.stopping || this.failure !== undefined) {
      resume(Exit.succeed(ready))
      return undefined
    }
    const taker = (held: Held<A> | undefined): void => resume(Exit.succeed(held))
    this.takers.push(taker)
    this.room.notify()
    return Effect.sync(() => {
      const at = this.takers.indexOf(taker)
      if (at >= 0) {
        this.takers.splice(at, 1)
      }
    })
  })

  /** All entries that are ready, at least one. */
  readonly takeAll: Effect.Effect<ReadonlyArray<Held<A>>, Option.Option<RedisError>> = Effect.flatMap(
    this.take,
    (first): Effect.Effect<ReadonlyArray<Held<A>>, Option.Option<RedisError>> => {
      if (first === undefined) {
        return Effect.fail(Option.fromNullable(this.failure))
      }
      const all = [first]
      for (let next = this.shift(); next !== undefined; next = this.shift()) {
        all.push(next)
      }
      return Effect.succeed(all)
    }
  )

  /** Why an entry is not to be handled at all: it does not decode, or was delivered too often already. */
  refusal(held: Held<A>): Cause.Cause<unknown> | undefined {
    return Either.isLeft(held.fields)
      ? held.fields.left
      : held.attempt > this.settings.attempts
        ? Cause.fail(new Unacknowledged({ deliveries: held.attempt - 1 }))
        : undefined
  }

  entry(held: Held<A>): EntryOf<A> & { readonly attempt: number } {
    return {
      stream: this.settings.stream,
      id: held.id,
      fields: Either.getOrThrow(held.fields),
      attempt: held.attempt
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What becomes of entries
  // -------------------------------------------------------------------------------------------------------------------

  /** The entry was handled: it will be acknowledged. */
  succeed(held: Held<A>, onAcked?: (exit: Exit.Exit<void, RedisError>) => void): void {
    if (held.state !== "running") {
      onAcked?.(Exit.void)
      return
    }
    if (this.unackable !== undefined) {
      this.drop(held)
      onAcked?.(this.unackable)
      return
    }
    held.state = "handled"
    held.onAcked = onAcked
    this.running--
    this.unacked++
    this.acks.push(held)
    this.advance(held)
    this.ackable.notify()
    this.progress.notify()
    this.room.notify()
  }

  /** Acknowledges at once and by itself, for entries of a consumer that has stopped. */
  acknowledgeAlone(held: Held<A>): Effect.Effect<void, RedisError> {
    const { group, stream } = this.settings
    return Effect.asVoid(this.redis.send(groups.xack(stream, group, held.id)))
  }

  get isOver(): boolean {
    return this.over
  }

  get buffersAcks(): boolean {
    return this.settings.ackWithin > 0
  }

  /** Not in hand any more, whatever it was. */
  private drop(held: Held<A>): void {
    if (held.state === "dropped") {
      return
    }
    if (held.state === "running") {
      this.running--
    }
    if (held.state === "handled") {
      this.unacked--
    }
    const advances = held.state !== "handled"
    held.state = "dropped"
    this.held.delete(held.id)
    if (advances) {
      this.advance(held)
    }
    this.progress.notify()
    this.room.notify()
  }

  private leave(held: Held<A>): void {
    if (held.state !== "dropped") {
      this.drop(held)
      if (this.left.size >= maxLeft) {
        this.left.delete(this.left.values().next().value as StreamId)
      }
      this.left.add(held.id)
    }
  }

  /**
   * The entry was not handled. It is tried again here by `retry`, or left to be claimed; when that was its last
   * attempt, or `final`, it goes to the dead letters, or is left for good.
   */
  failed(
    held: Held<A>,
    cause: Cause.Cause<unknown>,
    retry: Schedule.Schedule<unknown, Cause.Cause<unknown>> | undefined,
    final = false
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (held.state !== "running") {
        return Effect.void
      }
      return final || held.attempt >= this.settings.attempts
        ? this.exhausted(held, cause)
        : retry === undefined || this.stopping
          ? this.leftBehind(held, cause)
          : this.tryAgain(held, cause, retry)
    })
  }

  private failure_(held: Held<A>, cause: Cause.Cause<unknown>, next: "retried" | "left" | "deadLettered") {
    const { stream } = this.settings
    return this.tell({ _tag: "Failed", stream, id: held.id, attempt: held.attempt, cause, next })
  }

  private leftBehind(held: Held<A>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.leave(held)
      return this.failure_(held, cause, "left")
    })
  }

  /** Waits by the Schedule, on the program's clock, without a handler's place; its key waits too. */
  private tryAgain(
    held: Held<A>,
    cause: Cause.Cause<unknown>,
    retry: Schedule.Schedule<unknown, Cause.Cause<unknown>>
  ): Effect.Effect<void> {
    const { consumer, group, stream } = this.settings
    const again = Effect.gen(this, function* () {
      held.driver ??= yield* Schedule.driver(retry)
      const next = yield* Effect.exit(held.driver.next(cause))
      if (held.state !== "waiting") {
        return
      }
      if (Exit.isFailure(next)) {
        this.leave(held)
        return
      }
      // The count is the group's, so that a consumer that dies in between starts none over.
      const ours = yield* this.deliveries([held.id])
      if (!ours.has(held.id)) {
        yield* this.takenAway([held])
        return
      }
      yield* this.persistence.persist(
        this.redis.send(
          groups.xclaim(stream, group, consumer, "0 millis", held.id, { retrycount: held.attempt + 1, justid: true })
        )
      )
      if (held.state === "waiting") {
        held.attempt++
        held.state = "ready"
        this.offer(held)
      }
    })
    return Effect.gen(this, function* () {
      held.state = "waiting"
      this.running--
      this.progress.notify()
      yield* this.failure_(held, cause, "retried")
      const fiber = yield* this.fork(again)
      this.retries.add(fiber)
      fiber.addObserver(() => this.retries.delete(fiber))
    })
  }

  private exhausted(held: Held<A>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const { deadLetter } = this.settings
    return deadLetter === undefined
      ? this.leftBehind(held, cause)
      : Effect.matchEffect(this.bury(held, cause, deadLetter), {
          onFailure: (error) =>
            Effect.suspend(() => {
              this.leave(held)
              this.fail(error)
              return this.failure_(held, cause, "left")
            }),
          onSuccess: (buried) =>
            Effect.suspend(() => {
              this.drop(held)
              return buried
                ? this.failure_(held, cause, "deadLettered")
                : this.tell({ _tag: "Taken", stream: this.settings.stream, ids: [held.id] })
            })
        })
  }

  /**
   * Adds the dead letter and acknowledges the entry in one transaction; answers whether the entry was still this
   * consumer's. A transaction goes on when one of its commands fails, and XACK must not without XADD: so the key is
   * watched and its type looked at before.
   */
  private bury(held: Held<A>, cause: Cause.Cause<unknown>, to: DeadLetter): Effect.Effect<boolean, RedisError> {
    const { consumer, group, stream } = this.settings
    const letter: StreamFields<Key> = [
      ...held.raw.pairs,
      ["dead-letter-stream", stream],
      ["dead-letter-id", held.id],
      ["dead-letter-group", group],
      ["dead-letter-consumer", consumer],
      ["dead-letter-attempts", String(held.attempt)],
      ["dead-letter-error", nameOf(cause)]
    ]
    const add = streams.xadd(to.stream, "*", letter, to.trim)
    const ack = groups.xack(stream, group, held.id)
    const body = Effect.gen(this, function* () {
      const redis = yield* Redis
      const found = yield* redis.send(type(to.stream))
      if (found !== "none" && found !== "stream") {
        return yield* wrongDeadLetter(found)
      }
      const pending = yield* redis.send(
        groups.xpending(stream, group, { start: held.id, end: held.id, count: 1, consumer })
      )
      return transaction(pending.length === 0 ? [] : [add, ack])
    })
    let written = false
    const once: Effect.Effect<boolean, RedisError> = Effect.suspend(() =>
      Effect.provideService(liveClock(optimistic(to.stream, body)), Redis, this.redis)
    ).pipe(
      // Not pending any more: by an EXEC that was never answered, if there was one.
      Effect.map((results) => (results as ReadonlyArray<unknown>).length > 0 || written),
      Effect.catchAll((error): Effect.Effect<boolean, RedisError> => {
        if (!(error instanceof TransactionError)) {
          written ||= isUnknown(error)
          return Effect.fail(error)
        }
        switch (error.reason) {
          case "conflict":
            // Others bury much at the same time.
            return Effect.zipRight(pause(10), once)
          case "failed":
            // Only by what no look ahead can see. The entry is made pending again before anybody hears of it.
            return Effect.zipRight(
              this.persistence.persist(
                this.redis.send(
                  groups.xclaim(stream, group, consumer, "0 millis", held.id, {
                    retrycount: held.attempt,
                    force: true,
                    justid: true
                  })
                )
              ),
              Effect.fail(error.error ?? stopped)
            )
          default:
            return Effect.fail(error.error ?? stopped)
        }
      })
    )
    return this.persistence.persist(once)
  }

  /** Entries in hand that another consumer claimed, or acknowledged: their handlers go on, nobody else begins them. */
  private takenAway(taken: ReadonlyArray<Held<A>>): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const held of taken) {
        if (held.state === "ready" || held.state === "waiting") {
          this.drop(held)
        }
      }
      return taken.length === 0
        ? Effect.void
        : this.tell({ _tag: "Taken", stream: this.settings.stream, ids: taken.map(({ id }) => id) })
    })
  }

  private readonly keep: Effect.Effect<never, RedisError> = Effect.suspend(() => {
    const { consumer, group, keepEvery, stream } = this.settings
    /** Said once of each. */
    const told = new WeakSet<Held<A>>()
    return Effect.gen(this, function* () {
      while (true) {
        yield* pause(keepEvery)
        const inHand = [...this.held.values()].filter(({ state }) => state !== "handled")
        const ours = yield* this.deliveries(inHand.map(({ id }) => id))
        const gone = inHand.filter(
          (held) => !ours.has(held.id) && held.state !== "handled" && held.state !== "dropped" && !told.has(held)
        )
        for (const held of gone) {
          told.add(held)
        }
        yield* this.takenAway(gone)
        const kept = inHand.filter(({ id, state }) => ours.has(id) && state !== "handled" && state !== "dropped")
        for (let at = 0; at < kept.length; at += batchSize) {
          const [first, ...rest] = kept.slice(at, at + batchSize).map(({ id }) => id)
          if (first !== undefined) {
            // What another one claimed a moment ago is not idle for that long, and stays with it.
            yield* this.persistence.persist(
              this.redis.send(
                groups.xclaim(stream, group, consumer, `${Math.floor(keepEvery / 2)} millis`, [first, ...rest], {
                  justid: true
                })
              )
            )
          }
        }
      }
    })
  })

  private readonly acknowledge: Effect.Effect<never, RedisError> = Effect.suspend(() => {
    const { ackSize, ackWithin, group, stream } = this.settings
    return Effect.gen(this, function* () {
      while (true) {
        yield* this.ackable.until(() => this.acks.length > 0)
        if (ackWithin > 0) {
          yield* this.ackable.until(() => this.acks.length >= ackSize || this.stopping, ackWithin)
        }
        const batch = this.acks.splice(0, ackSize)
        const ids = batch.map(({ id }) => id) as [StreamId, ...Array<StreamId>]
        // To acknowledge twice is the same as once, so it is asked until it is answered.
        const acked = yield* Effect.exit(this.persistence.persist(this.redis.send(groups.xack(stream, group, ids))))
        const outcome = Exit.asVoid(acked)
        if (Exit.isFailure(outcome)) {
          // This was the last XACK: whoever waits for a next one, and whoever comes, hears why.
          this.unackable = outcome
          batch.push(...this.acks.splice(0))
        }
        for (const held of batch) {
          this.drop(held)
          held.onAcked?.(outcome)
        }
        yield* acked
      }
    })
  })

  // -------------------------------------------------------------------------------------------------------------------
  // Telling
  // -------------------------------------------------------------------------------------------------------------------

  tell(event: GroupEvent): Effect.Effect<void> {
    const { on } = this.settings
    return on === undefined
      ? log(event)
      : Effect.catchAllCause(
          Effect.suspend(() => Effect.asVoid(on(event))),
          (cause) => Effect.logWarning("A stream consumer's listener failed", cause)
        )
  }
}

interface PendingOne {
  readonly id: StreamId
  readonly deliveries: number | bigint
}

type Some<B> = readonly [B, ...ReadonlyArray<B>]

/** The ids of equal counts: one command each. */
const groupBy = (
  pending: ReadonlyArray<PendingOne>,
  count: (one: PendingOne) => number
): ReadonlyMap<number, Some<StreamId>> => {
  const groups = new Map<number, Some<StreamId>>()
  for (const one of pending) {
    const group = groups.get(count(one))
    groups.set(count(one), group === undefined ? [one.id] : [...group, one.id])
  }
  return groups
}

/** Delivered as often as it may be, and never acknowledged: whoever handles it does not live to say so. */
class Unacknowledged extends Data.TaggedError("Unacknowledged")<{ readonly deliveries: number }> {
  override get message(): string {
    return `delivered ${this.deliveries} times, and never acknowledged`
  }
}

const log = (event: GroupEvent): Effect.Effect<void> => {
  switch (event._tag) {
    case "Failed":
      return Effect.logWarning(
        `Entry ${event.id} of a stream failed at attempt ${event.attempt} and is ${said[event.next]}`,
        event.cause
      )
    case "Gone":
      return Effect.logWarning(`Pending entries are not in their stream any more: ${list(event.ids)}`)
    case "Taken":
      return Effect.logWarning(`Another consumer has entries that were in hand here: ${list(event.ids)}`)
    case "Disconnected":
      return Effect.logDebug(`A stream consumer asks again: ${event.error.message}`)
    default:
      return Effect.logDebug(`${event._tag} ${event.ids.length} entries of a stream`)
  }
}

const said = { retried: "tried again", left: "left pending", deadLettered: "a dead letter now" } as const

const list = (ids: ReadonlyArray<StreamId>): string =>
  ids.length > 10 ? `${ids.slice(0, 10).join(" ")} and ${ids.length - 10} more` : ids.join(" ")

/** A throw in what the user wrote is that entry's failure. */
const guarded = <B>(f: () => Either.Either<B, Cause.Cause<unknown>>): Either.Either<B, Cause.Cause<unknown>> => {
  try {
    return f()
  } catch (defect) {
    return Either.left(Cause.die(defect))
  }
}

/** What an error calls itself. Never its message, which may quote anything. */
const nameOf = (cause: Cause.Cause<unknown>): string => {
  const failure = Option.getOrElse(Cause.failureOption(cause), () => Option.getOrUndefined(Cause.dieOption(cause)))
  return Predicate.hasProperty(failure, "_tag") && typeof failure._tag === "string"
    ? failure._tag
    : failure instanceof Error
      ? failure.name
      : Cause.isInterruptedOnly(cause)
        ? "Interrupted"
        : typeof failure
}

/** At most so long, by an engine timer: it holds in finalizers. */
const within = (effect: Effect.Effect<unknown>, millis: number): Effect.Effect<void> =>
  Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => {
    let done = false
    const signal = new Signal()
    fiber.addObserver(() => {
      done = true
      signal.notify()
    })
    return Effect.zipRight(
      signal.until(() => done, millis),
      Effect.asVoid(Fiber.interruptFork(fiber))
    )
  })
