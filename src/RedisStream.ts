/**
 * Streams of Redis as Streams of Effect: readers that keep their position, consumers of groups, workers, and a
 * producer. `Redis.stream` is this module.
 *
 * Reads that wait use a connection of their own, so they never delay other commands. docs/streams.md describes what
 * becomes of an entry.
 *
 * @see https://redis.io/docs/latest/develop/data-types/streams/
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { utf8 } from "./Codec.js"
import { make as makeStream, type XaddOptions } from "./commands/stream.js"
import type { StreamId, StreamTrim } from "./commands/stream-entry.js"
import { type AbsoluteTime, args, type DurationWithUnit } from "./internal/command/args.js"
import { declare, define, total } from "./internal/command/command.js"
import { text } from "./internal/command/decode.js"
import type { RedisCommand } from "./internal/command/model.js"
import { Redis, type RedisService } from "./internal/command/model.js"
import { annotated } from "./internal/connection/about.js"
import * as Options from "./internal/connection/options.js"
import { fromEither } from "./internal/effect/either.js"
import { currentFiber, interruptFork, type Running } from "./internal/effect/fork.js"
import { encoder } from "./internal/effect/issue.js"
import * as Pages from "./internal/effect/pages.js"
import {
  defaultReconnect,
  defaultRetry,
  everyMillis,
  liveClock,
  makeStepper,
  type Stepper
} from "./internal/effect/schedule.js"
import type { ServiceFree } from "./internal/effect/schemas.js"
import { linksTo, traceparentOf } from "./internal/effect/tracing.js"
import * as Timers from "./internal/engine/timers.js"
import { visible } from "./internal/resp/visible.js"
import { GroupConsumer } from "./internal/stream/consumer.js"
import {
  type DecodeFields,
  fieldsDecoder,
  idOf,
  streams as streamCommands,
  undecodable,
  wireMillis
} from "./internal/stream/entry.js"
import { logEvent as logGroupEvent } from "./internal/stream/events.js"
import type { Held } from "./internal/stream/hand.js"
import { isTransient, nextPause } from "./internal/stream/persistence.js"
import type { GroupEvent, GroupSettings } from "./internal/stream/settings.js"
import { pause } from "./internal/stream/wait.js"
import { leftOut, Sparse } from "./internal/telemetry/sparse.js"
import { type DecodeError, type RedisError, UsageError } from "./RedisError.js"

export type {
  /**
   * What happened to the entries of a consumer, which each event names (`stream`, `group`, `consumer`).
   *
   * - `Failed`: a handler failed, or the entry does not decode. `next` says what becomes of the entry.
   * - `Skipped`: an entry does not decode and was acknowledged, as `onUndecodable: "skip"` asks for.
   * - `Claimed`: this consumer took over entries of other consumers that had been idle for too long.
   * - `Resumed`: this consumer took up entries that were pending for it: from before its start, or of a lost reply.
   * - `Gone`: pending entries were deleted from the stream. Nobody can handle them, so they were acknowledged.
   * - `Taken`: another consumer claimed entries that are in hand here. It will handle them as well.
   * - `Removed`: other consumers that were idle and had no entries were removed, as `removeIdleConsumers` asks for.
   * - `Disconnected`: a command failed and is sent again.
   *
   * @since 0.1.0
   * @category models
   */
  GroupEvent,
  StreamId,
  StreamTrim
}

/**
 * The fields of an entry, without a schema: text by name, in a record without a prototype.
 *
 * @since 0.1.0
 * @category models
 */
export type Fields = Readonly<Record<string, string>>

/**
 * The encoded side of an entry's schema: text by name, where fields may be missing.
 *
 * @since 0.1.0
 * @category models
 */
export type EncodedFields = { readonly [name: string]: string | undefined }

/**
 * A schema of an entry's fields. It encodes to text by name, and needs no services.
 *
 * @since 0.1.0
 * @category models
 */
export interface EntrySchema extends ServiceFree {
  readonly Type: unknown
  readonly Encoded: EncodedFields
}

/**
 * The fields of an entry that a schema decodes; without a schema, text by name.
 *
 * @since 0.1.0
 * @category models
 */
export type FieldsOf<S> = S extends { readonly Type: infer A } ? A : Fields

/**
 * The schema of the entries' fields. Without it they are text by name.
 *
 * @since 0.1.0
 * @category options
 */
export interface WithSchema<out S> {
  readonly schema?: S
}

/**
 * An entry of a stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry<out A = Fields> {
  /** The stream, as the program named it. */
  readonly stream: string
  readonly id: StreamId
  readonly fields: A
}

/**
 * An entry that does not decode, for programs that take such entries (`onUndecodable: "emit"`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Undecodable {
  readonly _tag: "Undecodable"
  /** The stream, as the program named it. */
  readonly stream: string
  readonly id: StreamId
  /** The names and values of its fields: text, or bytes where they are not UTF-8. */
  readonly pairs: ReadonlyArray<readonly [name: string | Uint8Array, value: string | Uint8Array]>
  /** Why it does not decode. It names the field and shows no value. */
  readonly error: DecodeError
}

/**
 * Whether an entry is one that does not decode.
 *
 * @since 0.1.0
 * @category guards
 */
export const isUndecodable = (entry: object): entry is Undecodable => Predicate.isTagged(entry, "Undecodable")

/**
 * What a reader does with an entry that does not decode.
 *
 * - `fail`: it gives the entries before it, then fails with a `DecodeError` that names the stream, the id and the field.
 * - `skip`: it passes over the entry with a warning in the log, at most one in 10 seconds.
 * - `emit`: it gives an {@link Undecodable} in its place.
 *
 * @since 0.1.0
 * @category options
 */
export type OnUndecodable = "fail" | "skip" | "emit"

/**
 * What a consumer of a group does with an entry that does not decode.
 *
 * - `reject`: the entry becomes a dead letter at once, or is left pending when there is no `deadLetter`.
 * - `fail`: the consumer ends with a `DecodeError` that names the stream, the id and the field. The entry is left pending.
 * - `skip`: the entry is acknowledged, and reported as `Skipped`, which the log shows at most once in 10 seconds.
 * - `emit`: the program gets an {@link Undecodable} in its place, and handles it like any other entry.
 *
 * @since 0.1.0
 * @category options
 */
export type OnGroupUndecodable = "reject" | "fail" | "skip" | "emit"

/** What is among the entries besides those that decode. */
type Emitted<Mode, Entry> = "emit" extends Mode ? Entry : never

/**
 * Where reading begins: with the first entry (`"all"`), with entries that are added from now on (`"new"`), after an id,
 * or at a time.
 *
 * @since 0.1.0
 * @category models
 */
export type From = "all" | "new" | (StreamId & {}) | AbsoluteTime

/**
 * Options of {@link read}.
 *
 * @since 0.1.0
 * @category options
 */
export interface ReadOptions<out Mode extends OnUndecodable = OnUndecodable> {
  /** Where to begin. Default: `"new"`. */
  readonly from?: From | undefined
  /** At most this many entries of each stream at once. Default: 100. */
  readonly count?: number | undefined
  /** How long each read waits at the server for entries. Default: 5 seconds. */
  readonly block?: DurationWithUnit | undefined
  /**
   * How many replies are read before the program asks for them. Default: 1; with 0 each read waits until it is asked
   * for.
   */
  readonly readAhead?: number | undefined
  /**
   * What happens when an entry does not fit the schema, or is not text. Default: `fail`, because a reader that goes on
   * loses the entry, and nothing else remembers it.
   */
  readonly onUndecodable?: Mode | undefined
  /** `false` ends the Stream at the end of the streams, instead of waiting for more entries. Default: true. */
  readonly follow?: boolean | undefined
  /**
   * When to read again after a failure that may pass (the connection ended, the server is loading). It runs on the live
   * clock and starts over after each reply. Default: from 50 ms doubling to 2 seconds, with jitter, without end.
   */
  readonly reconnect?: Schedule.Schedule<unknown, RedisError> | undefined
}

const count = (value: number | undefined, what: string, fallback: number, least = 1) =>
  value === undefined ? Either.right(fallback) : Options.checkCount(value, what, least)

/** One of the words that an option allows; the first is the default. */
const mode = <const Word extends string>(
  value: NoInfer<Word> | undefined,
  words: readonly [Word, ...ReadonlyArray<Word>]
): Either.Either<Word, UsageError> =>
  value === undefined
    ? Either.right(words[0])
    : words.includes(value)
      ? Either.right(value)
      : Options.invalid(`onUndecodable must be ${words.slice(0, -1).join(", ")} or ${words[words.length - 1]}`)

const duration = (value: DurationWithUnit | undefined, what: string, fallback: number) =>
  value === undefined ? Either.right(fallback) : wireMillis(value, what)

/** A duration that may be infinite, because it is not sent to the server. */
const patience = (value: DurationWithUnit | undefined, what: string, fallback: number) =>
  value === undefined ? Either.right(fallback) : Options.checkDuration(value, what)

/**
 * The id of a stream's last entry: reading after it gives the entries that are added later. `0-0` when the stream is
 * empty.
 *
 * @since 0.1.0
 * @category reading
 */
export const lastId = (stream: string): Effect.Effect<StreamId, RedisError, Redis> =>
  Effect.flatMap(Redis, (redis) => newest(redis, stream))

const newest = (redis: RedisService, stream: string): Effect.Effect<StreamId, RedisError> =>
  Effect.map(redis.send(streamCommands.xrevrange(stream, "+", "-", { count: 1 })), ([last]) => last?.id ?? "0-0")

/**
 * Reads a stream, or several with a place in each, as a Stream of entries. It waits for entries on a connection of its
 * own and continues after the last id that it gave, after reconnects too: a read whose reply was lost is sent again.
 *
 * `"new"` is resolved to an id when the Stream starts, before the first read. When an entry does not fit the schema, or
 * is not text, `onUndecodable` decides what happens.
 *
 * @example
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { Redis } from "effect-redis-client"
 *
 * const Order = Schema.Struct({ item: Schema.String, amount: Schema.NumberFromString })
 *
 * export const program = Redis.stream.read("orders", { from: "all", schema: Order }).pipe(
 *   Stream.runForEach(({ fields, id }) => Effect.log(id, fields.amount))
 * )
 * ```
 *
 * @since 0.1.0
 * @category reading
 */
export const read: <S extends EntrySchema | undefined = undefined, Mode extends OnUndecodable = "fail">(
  streams: string | { readonly [stream: string]: From },
  options?: ReadOptions<Mode> & WithSchema<S>
) => Stream.Stream<Entry<FieldsOf<S>> | Emitted<Mode, Undecodable>, RedisError, Redis> = (<A, I>(
  streams: string | { readonly [stream: string]: From },
  options: ReadOptions & { readonly schema?: Schema.Schema<A, I> | undefined } = {}
): Stream.Stream<Entry<A>, RedisError, Redis> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const given = typeof streams === "string" ? [[streams, options.from ?? "new"] as const] : Object.entries(streams)
      if (given.length === 0) {
        return yield* new UsageError({ reason: "invalidArgument", message: "reading needs at least one stream" })
      }
      const settings: ReadSettings<A> = {
        count: yield* fromEither(count(options.count, "count", 100)),
        // Reads block even when they do not follow the stream: only blocking commands use a connection of their own.
        block: options.follow === false ? 1 : yield* fromEither(duration(options.block, "block", 5_000)),
        follow: options.follow !== false,
        onUndecodable: yield* fromEither(mode(options.onUndecodable, ["fail", "skip", "emit"])),
        reconnect: options.reconnect ?? defaultReconnect,
        decode: fieldsDecoder(options.schema)
      }
      const readAhead = yield* fromEither(count(options.readAhead, "readAhead", 1, 0))
      const redis = yield* Redis
      const positions = new Map<string, StreamId>()
      for (const [stream, from] of given) {
        positions.set(stream, (yield* fromEither(idOf(from))) ?? (yield* newest(redis, stream)))
      }
      const readers = atOneNode(redis, positions).map((positions) => {
        const reader = new Reader(redis, positions, settings)
        const entries = Pages.repeat(reader.next)
        return readAhead === 0 ? entries : Pages.readAhead(entries, readAhead)
      })
      return readers.length === 1 ? readers[0] : Stream.mergeAll(readers, { concurrency: "unbounded" })
    })
  )) as never

/** The positions in parts, each of which one server has: in a cluster those of one hash slot. */
const atOneNode = (
  redis: RedisService,
  positions: ReadonlyMap<string, StreamId>
): ReadonlyArray<Map<string, StreamId>> => {
  const parts = new Map<number, Map<string, StreamId>>()
  for (const [stream, id] of positions) {
    const slot = redis.slotOf?.(stream) ?? 0
    const part = parts.get(slot)
    part === undefined ? parts.set(slot, new Map([[stream, id]])) : part.set(stream, id)
  }
  return [...parts.values()]
}

interface ReadSettings<A> {
  readonly count: number
  readonly block: number
  readonly follow: boolean
  readonly onUndecodable: OnUndecodable
  readonly reconnect: Schedule.Schedule<unknown, RedisError>
  readonly decode: DecodeFields<A>
}

class Reader<A> {
  private broken: RedisError | undefined
  /** Lines about skipped entries. */
  private readonly skips = new Sparse()
  private readonly names: ReadonlyArray<string>

  constructor(
    private readonly redis: RedisService,
    private readonly positions: Map<string, StreamId>,
    private readonly settings: ReadSettings<A>
  ) {
    this.names = [...positions.keys()]
  }

  /** The type is of the entries that decode: only a caller that asks for others expects them. */
  readonly next: Effect.Effect<ReadonlyArray<Entry<A>>, Option.Option<RedisError>> = Effect.suspend(() => {
    const { block, count, decode, follow, onUndecodable, reconnect } = this.settings
    return Effect.gen(this, function* () {
      if (this.broken !== undefined) {
        return yield* Effect.fail(Option.some(this.broken))
      }
      let backoff: Stepper<RedisError> | undefined
      while (true) {
        const started = Timers.now()
        const found = yield* Effect.either(
          this.redis.send(
            streamCommands.xread([...this.positions], {
              count,
              block: `${block} millis`
            })
          )
        )
        if (Either.isLeft(found)) {
          const error = found.left
          backoff ??= yield* makeStepper(reconnect)
          // A read takes nothing from the server, so it may be sent again although its reply is unknown.
          if (!isTransient(error) || !(yield* liveClock(nextPause(backoff, error)))) {
            return yield* Effect.fail(Option.some(error))
          }
          continue
        }
        backoff = undefined
        const entries: Array<Entry<A> | Undecodable> = []
        let skipped = false
        for (const { entries: list, key } of found.right) {
          const stream = this.nameOf(key)
          for (const raw of list) {
            const { id, pairs } = raw
            const fields = decode(raw)
            if (Either.isRight(fields)) {
              entries.push({ stream, id, fields: fields.right })
            } else {
              const error = undecodable("XREAD", stream, id, fields.left)
              if (onUndecodable === "fail") {
                this.broken = error
                break
              }
              if (onUndecodable === "emit") {
                entries.push({ _tag: "Undecodable", stream, id, pairs, error })
              } else {
                skipped = true
                yield* this.warn(error, stream)
              }
            }
            this.positions.set(stream, id)
          }
          if (this.broken !== undefined) {
            break
          }
        }
        if (entries.length > 0) {
          return entries as Array<Entry<A>>
        }
        if (this.broken !== undefined) {
          return yield* Effect.fail(Option.some(this.broken))
        }
        if (skipped) {
          continue
        }
        if (!follow) {
          return yield* Effect.fail(Option.none())
        }
        if (Timers.now() - started < block / 2) {
          // The read was unblocked early, or the server did not wait: it must not become a tight loop.
          yield* pause(10)
        }
      }
    })
  })

  private warn(error: DecodeError, stream: string): Effect.Effect<void> {
    const left = this.skips.next()
    return left === undefined
      ? Effect.void
      : annotated(
          Effect.logWarning(`An entry of stream ${visible(stream)} is skipped: ${error.message}${leftOut(left)}`),
          this.redis.about
        ).pipe(Effect.annotateLogs("stream", visible(stream)))
  }

  /** The stream as the program named it: the server's name begins with the prefix of `withPrefix`. */
  private nameOf(key: string | Uint8Array): string {
    const { names } = this
    let found = names[0] as string
    if (names.length > 1 && typeof key === "string") {
      let best = -1
      for (const name of names) {
        if (name.length > best && key.endsWith(name)) {
          best = name.length
          found = name
        }
      }
    }
    return found
  }
}

/**
 * Options of a consumer of a group.
 *
 * @since 0.1.0
 * @category options
 */
export interface GroupOptions<out Mode extends OnGroupUndecodable = OnGroupUndecodable> {
  readonly stream: string
  readonly group: string
  /**
   * The consumer's name in the group. Give each running consumer a name of its own, and the same name after a restart:
   * it then resumes the entries that it had in hand.
   */
  readonly consumer: string
  /**
   * Makes the group if it does not exist (and an empty stream), to begin there. Without this option a missing group is
   * a `ReplyError` with the code `NOGROUP`. A group that is deleted later is not made again.
   */
  readonly create?: From | undefined
  /** At most this many entries are read at once. Default: 100. */
  readonly count?: number | undefined
  /** How long each read waits at the server for entries. Default: 5 seconds. */
  readonly block?: DurationWithUnit | undefined
  /**
   * How many entries may be in hand, that is, read and not yet acknowledged or left. Then reading pauses. Default: twice the
   * worker's `concurrency`, at least 32; 1 000 for `consume`.
   */
  readonly maxInHand?: number | undefined
  /** How to take over entries that other consumers have had for too long; `false` for never. */
  readonly claim?: ClaimOptions | false | undefined
  /**
   * How often the idle time of entries in hand is renewed, so that other consumers do not claim them. It must be well
   * below the `claim.idle` of every consumer of the group. Default: a quarter of this consumer's `claim.idle`, 15
   * seconds.
   */
  readonly keepEvery?: DurationWithUnit | undefined
  /**
   * Acknowledges in batches: when `size` entries were handled, or `within` after the first of them. Without it a
   * handled entry is acknowledged at once, and entries that are handled meanwhile go with the next XACK.
   */
  readonly acks?: { readonly size?: number | undefined; readonly within: DurationWithUnit } | undefined
  /**
   * How many attempts an entry gets, from all consumers together. After the last one it becomes a dead letter, or is
   * left pending when there is no `deadLetter`. Default: 5 with `deadLetter`, else unlimited.
   */
  readonly attempts?: number | undefined
  /**
   * What happens when an entry does not fit the schema, or is not text. Default: `reject`, because the group remembers the
   * entry, and the others need not wait for it.
   */
  readonly onUndecodable?: Mode | undefined
  /** The stream for entries that failed too often, or do not fit the schema. It must be another stream. */
  readonly deadLetter?: string | (StreamTrim & { readonly stream: string }) | undefined
  /** When to send a command again after a failure that may pass, as in {@link ReadOptions}. */
  readonly reconnect?: Schedule.Schedule<unknown, RedisError> | undefined
  /**
   * Removes consumers of the group that have no pending entry and have been idle for this long, at the start and then every
   * half of it. For programs whose consumers have a new name after each restart. A consumer with pending entries is never
   * removed: whether it has some is asked and decided by one script (EVAL). Default: none are removed.
   */
  readonly removeIdleConsumers?: DurationWithUnit | undefined
  /** Is called with each event. Default: {@link logEvent}. */
  readonly on?: ((event: GroupEvent) => Effect.Effect<unknown>) | undefined
}

/**
 * How entries of other consumers are taken over.
 *
 * @since 0.1.0
 * @category options
 */
export interface ClaimOptions {
  /** Entries that have been idle for this long are taken over (XAUTOCLAIM). Default: 1 minute. */
  readonly idle?: DurationWithUnit | undefined
  /**
   * When to search the whole group for idle entries, on the live clock. Default: every half of `idle`, with jitter.
   */
  readonly schedule?: Schedule.Schedule<unknown> | undefined
  /** At most this many entries are taken over at once. Default: 100. */
  readonly count?: number | undefined
}

/**
 * Which entries are handled one after the other.
 *
 * @since 0.1.0
 * @category options
 */
export interface OrderOptions<in A> {
  /**
   * Entries with the same key are handled one after the other, in their order, retries included; entries with other
   * keys run beside them. The order holds within one consumer: two consumers may have entries with one key at the same
   * time.
   */
  readonly orderBy?: ((entry: Entry<A>) => string) | undefined
}

/**
 * An entry of a group, as its consumer receives it.
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupEntry<out A = Fields> extends Entry<A> {
  /** Which attempt this is, from 1, by the group's count of deliveries. A delivery in a lost reply may count as one. */
  readonly attempt: number
}

/**
 * An entry of a group that does not decode, for programs that take such entries (`onUndecodable: "emit"`).
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupUndecodable extends Undecodable {
  /** Which attempt this is, as in {@link GroupEntry}. */
  readonly attempt: number
}

/**
 * An entry of a group that does not decode and that the program acknowledges itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeliveredUndecodable extends GroupUndecodable, Acknowledgeable {}

/**
 * An entry of a group that the program acknowledges itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivered<out A = Fields> extends GroupEntry<A>, Acknowledgeable {}

/**
 * How a program ends its work on an entry.
 *
 * @since 0.1.0
 * @category models
 */
export interface Acknowledgeable {
  /**
   * Acknowledges the entry. The Effect ends when the group has confirmed it; with `acks`, when the entry is in the
   * batch. Until the group has confirmed it, the entry is in hand and other consumers do not claim it.
   */
  readonly ack: Effect.Effect<void, RedisError>
  /**
   * Gives up this attempt. After its last attempt the entry becomes a dead letter; otherwise it is left pending, to be
   * claimed once it is idle.
   */
  readonly reject: (cause?: Cause.Cause<unknown>) => Effect.Effect<void>
}

/**
 * Logs an event of a consumer, as consumers do by default. Failures and lost entries are warnings, the rest is at debug
 * level. The lines name the stream, the group and the consumer, in the sentence and as annotations; within `on` they also
 * have the annotations `server` and `client`. Use it in `on` to keep the log beside something else, such as metrics.
 *
 * @example
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { Redis, RedisStream } from "effect-redis-client"
 *
 * const events = Metric.frequency("orders_events")
 *
 * export const program = Redis.stream.worker(
 *   {
 *     stream: "orders",
 *     group: "billing",
 *     consumer: "b1",
 *     on: (event) => Effect.zipRight(Metric.update(events, event._tag), RedisStream.logEvent(event))
 *   },
 *   ({ fields }) => Effect.log(fields)
 * )
 * ```
 *
 * @since 0.1.0
 * @category groups
 */
export const logEvent: (event: GroupEvent) => Effect.Effect<void> = logGroupEvent

const resolve = <A, I>(
  options: GroupOptions & OrderOptions<A> & { readonly schema?: Schema.Schema<A, I> | undefined },
  maxInHand: number
): Either.Either<GroupSettings<A>, UsageError> =>
  Either.gen(function* () {
    const { claim, deadLetter } = options
    const idle = claim === false ? 60_000 : yield* duration(claim?.idle, "claim.idle", 60_000)
    const keepEvery = yield* duration(options.keepEvery, "keepEvery", Math.max(Math.floor(idle / 4), 1))
    if (claim !== false && keepEvery >= idle) {
      return yield* Options.invalid(
        "keepEvery must be shorter than claim.idle, or consumers claim entries that are in hand"
      )
    }
    const create = options.create === undefined ? undefined : ((yield* idOf(options.create)) ?? "$")
    const [to, trim] =
      deadLetter === undefined || typeof deadLetter === "string"
        ? [deadLetter, undefined]
        : [deadLetter.stream, deadLetter]
    if (to === options.stream) {
      return yield* Options.invalid(
        "deadLetter must be another stream than the consumed one, or each dead letter is consumed again, without end"
      )
    }
    return {
      stream: options.stream,
      group: options.group,
      consumer: options.consumer,
      decode: fieldsDecoder(options.schema),
      onUndecodable: yield* mode(options.onUndecodable, ["reject", "fail", "skip", "emit"]),
      create,
      count: yield* count(options.count, "count", 100),
      block: yield* duration(options.block, "block", 5_000),
      maxInHand: yield* count(options.maxInHand, "maxInHand", maxInHand),
      claim:
        claim === false
          ? undefined
          : {
              idle,
              count: yield* count(claim?.count, "claim.count", 100),
              schedule: claim?.schedule ?? everyMillis(idle / 2)
            },
      removeIdle:
        options.removeIdleConsumers === undefined
          ? undefined
          : yield* duration(options.removeIdleConsumers, "removeIdleConsumers", 0),
      keepEvery,
      ackSize: yield* count(options.acks?.size, "acks.size", 1000),
      ackWithin: options.acks === undefined ? 0 : yield* duration(options.acks.within, "acks.within", 0),
      attempts: yield* count(options.attempts, "attempts", deadLetter === undefined ? Infinity : 5),
      deadLetter: to === undefined ? undefined : { stream: to, trim },
      orderBy: options.orderBy,
      reconnect: options.reconnect ?? defaultReconnect,
      on: options.on
    }
  })

/**
 * Consumes a stream as a member of a group: a Stream of entries, each with its `ack`. It gives the entries that are
 * pending for this consumer first, then new entries, and entries that other consumers have had for too long.
 *
 * Entries are in hand until they are acknowledged or rejected; other consumers do not claim them meanwhile. When the
 * Stream ends, entries whose `ack` was called are acknowledged, and entries that the program has not received are
 * handed back to the group.
 *
 * {@link worker} runs a handler instead, with concurrency, retries and a graceful stop.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Redis } from "effect-redis-client"
 *
 * const entries = Redis.stream.consume({ stream: "orders", group: "billing", consumer: "b1", create: "all" })
 *
 * export const program = entries.pipe(
 *   Stream.mapEffect((entry) => Effect.zipRight(Effect.log(entry.fields), entry.ack)),
 *   Stream.runDrain
 * )
 * ```
 *
 * @since 0.1.0
 * @category groups
 */
export const consume: <S extends EntrySchema | undefined = undefined, Mode extends OnGroupUndecodable = "reject">(
  options: GroupOptions<Mode> & OrderOptions<FieldsOf<S>> & WithSchema<S>
) => Stream.Stream<Delivered<FieldsOf<S>> | Emitted<Mode, DeliveredUndecodable>, RedisError, Redis> = (<A, I>(
  options: GroupOptions & OrderOptions<A> & { readonly schema?: Schema.Schema<A, I> | undefined }
): Stream.Stream<Delivered<A>, RedisError, Redis> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const settings = yield* fromEither(resolve(options, 1000))
      const redis = yield* Redis
      const consumer = new GroupConsumer(redis, settings)
      yield* Effect.acquireRelease(consumer.start, () => consumer.stop(0))
      return Pages.repeat(givable(consumer))
    })
  )) as never

const rejected = Cause.fail({ _tag: "Rejected" })

/** The next entries for the program. Entries that must not be handled become dead letters, or are left, right here. */
const givable = <A>(
  consumer: GroupConsumer<A>
): Effect.Effect<ReadonlyArray<Delivered<A>>, Option.Option<RedisError>> =>
  Effect.flatMap(consumer.takeAll, (all) =>
    Effect.gen(function* () {
      const some: Array<Delivered<A>> = []
      for (const held of all) {
        if (consumer.failing) {
          consumer.putBack(held)
        } else if (yield* consumer.admits(held)) {
          some.push(delivered(consumer, held))
        }
      }
      return some
    })
  )

/** The types are of the entries that decode: only a caller that asks for others expects them. */
const entryOf = <A>(consumer: GroupConsumer<A>, held: Held<A>): GroupEntry<A> => consumer.entry(held) as GroupEntry<A>

const delivered = <A>(consumer: GroupConsumer<A>, held: Held<A>): Delivered<A> => ({
  ...entryOf(consumer, held),
  ack: Effect.suspend(() => {
    if (consumer.isOver) {
      return consumer.acknowledgeAlone(held)
    }
    if (consumer.buffersAcks) {
      consumer.succeed(held)
      return Effect.void
    }
    return Effect.async<void, RedisError>((resume) => consumer.succeed(held, resume))
  }),
  reject: (cause) => consumer.failed(held, cause ?? rejected, undefined)
})

/**
 * Options of {@link worker}.
 *
 * @since 0.1.0
 * @category options
 */
export interface WorkerOptions<out Mode extends OnGroupUndecodable = OnGroupUndecodable> extends GroupOptions<Mode> {
  /** How many handlers run at the same time. Default: 1. */
  readonly concurrency?: number | undefined
  /**
   * When to try an entry again after its handler failed, on the program's clock; the entry stays in hand meanwhile.
   * When the Schedule is done, the entry is left pending, to be claimed once it is idle. `Schedule.recurs(0)` leaves it at
   * once. Default: from 1 second doubling to 1 minute, with jitter, up to `attempts`.
   */
  readonly retry?: Schedule.Schedule<unknown, Cause.Cause<unknown>> | undefined
  /**
   * Whether each handler runs in a span of its own, `redis.stream.process`, which is linked to the span that added the entry
   * (`add` with `propagate`). Default: false.
   */
  readonly propagate?: boolean | undefined
  /** How long a stop waits for running handlers. Default: 10 seconds; `Duration.infinity` waits until they end. */
  readonly stopTimeout?: DurationWithUnit | undefined
}

/**
 * Runs a handler for the entries of a group, and acknowledges each one after its handler succeeded. It runs until it is
 * interrupted, or fails when it cannot go on.
 *
 * - A handler that fails, dies or interrupts itself affects its own entry only: the entry is tried again by `retry`,
 *   and after `attempts` it becomes a dead letter (in one transaction with its acknowledgement) or is left pending.
 * - Interrupting the worker stops it gracefully: it reads no more entries, lets running handlers finish
 *   (`stopTimeout`), acknowledges handled entries, and hands entries that no handler began back to the group. The
 *   interruption ends after that.
 * - Delivery is at-least-once: an entry may be handled twice, when another consumer claimed it, or when a stop
 *   interrupted its handler.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Redis } from "effect-redis-client"
 *
 * const Job = Schema.Struct({ to: Schema.String })
 *
 * export const program = Redis.stream.worker(
 *   {
 *     stream: "mails",
 *     group: "senders",
 *     consumer: "sender-1",
 *     create: "all",
 *     schema: Job,
 *     concurrency: 16,
 *     deadLetter: "mails:dead"
 *   },
 *   ({ fields }) => Effect.log(fields.to)
 * )
 * ```
 *
 * @since 0.1.0
 * @category groups
 */
export const worker: <
  S extends EntrySchema | undefined = undefined,
  R = never,
  Mode extends OnGroupUndecodable = "reject"
>(
  options: WorkerOptions<Mode> & OrderOptions<FieldsOf<S>> & WithSchema<S>,
  handler: (entry: GroupEntry<FieldsOf<S>> | Emitted<Mode, GroupUndecodable>) => Effect.Effect<unknown, unknown, R>
) => Effect.Effect<never, RedisError, Redis | R> = (<A, I, R>(
  options: WorkerOptions & OrderOptions<A> & { readonly schema?: Schema.Schema<A, I> | undefined },
  handler: (entry: GroupEntry<A>) => Effect.Effect<unknown, unknown, R>
): Effect.Effect<never, RedisError, Redis | R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const concurrency = yield* fromEither(count(options.concurrency, "concurrency", 1))
      const settings = yield* fromEither(resolve(options, Math.max(2 * concurrency, 32)))
      const stopTimeout = yield* fromEither(patience(options.stopTimeout, "stopTimeout", 10_000))
      const retry = options.retry ?? defaultRetry
      const redis = yield* Redis
      const consumer = new GroupConsumer(redis, settings)
      yield* consumer.start
      const hand = Effect.interruptible(handle(consumer, handler, retry, options.propagate === true))
      const hands: Array<Running> = []
      for (let i = 0; i < concurrency; i++) {
        hands.push(yield* Effect.forkDaemon(hand))
      }
      const exit = yield* Effect.exit(restore(consumer.end))
      yield* consumer.stop(stopTimeout, Effect.forEach(hands, interruptFork, { discard: true }))
      return yield* exit
    })
  )) as never

const handle = <A, R>(
  consumer: GroupConsumer<A>,
  handler: (entry: GroupEntry<A>) => Effect.Effect<unknown, unknown, R>,
  retry: Schedule.Schedule<unknown, Cause.Cause<unknown>>,
  propagate: boolean
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    while (true) {
      const held = yield* consumer.take
      if (held === undefined) {
        return
      }
      if (!(yield* consumer.admits(held))) {
        continue
      }
      const handled = Effect.suspend(() => handler(entryOf(consumer, held)))
      const exit = yield* Effect.exit(propagate ? processing(held, handled) : handled)
      if (Exit.isSuccess(exit)) {
        consumer.succeed(held)
      } else {
        yield* consumer.failed(held, exit.cause, retry)
      }
    }
  })

/** A handler in a span that is linked to the one which added the entry. Neither the stream nor the entry is shown. */
const processing = <A, B, R>(held: Held<A>, handled: Effect.Effect<B, unknown, R>): Effect.Effect<B, unknown, R> =>
  Effect.withSpan(handled, "redis.stream.process", {
    kind: "consumer",
    links: [...linksTo(held.raw.pairs.find(([name]) => name === traceparentField)?.[1])],
    attributes: { "db.system.name": "redis", "redis.stream.attempt": held.attempt }
  }) as Effect.Effect<B, unknown, R>

/**
 * Options of {@link add}: XADD's trimming (`maxlen` or `minid`, `approximately` with a `limit`), and its idempotence
 * (`idmp`, `idmpauto`; Redis 8.6).
 *
 * @since 0.1.0
 * @category options
 */
export type AddOptions = XaddOptions & {
  /**
   * Whether the entry tells where it comes from: the field `traceparent` (W3C Trace Context) with the span of the fiber that
   * makes the command. The option `propagate` of a worker links to it. Default: false.
   */
  readonly propagate?: boolean | undefined
  /** The entry's id. Default: `*`, the server makes an id. */
  readonly id?: StreamId | undefined
}

const { xadd } = makeStream(utf8)
const XADD = define("XADD")

/**
 * Adds an entry and returns its id. It is a command: it can run alone, in pipelines and in transactions.
 *
 * With `idmp` or `idmpauto` the server recognises an entry that it has added already and does not add it again.
 * Therefore the client may send the command again when the connection ended before the reply (Redis 8.6; older servers,
 * and Valkey, refuse these options).
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Redis } from "effect-redis-client"
 *
 * const Order = Schema.Struct({ item: Schema.String, amount: Schema.NumberFromString })
 *
 * export const added = Redis.stream.add(
 *   "orders",
 *   { item: "book", amount: 2 },
 *   { schema: Order, maxlen: 100_000, approximately: true }
 * )
 * ```
 *
 * @since 0.1.0
 * @category producing
 */
export const add: <S extends EntrySchema | undefined = undefined>(
  stream: string,
  fields: NoInfer<FieldsOf<S>>,
  options?: AddOptions & WithSchema<S>
) => RedisCommand<StreamId> = (stream: string, fields: unknown, options?: AddOptions) =>
  entryAdder.xadd(stream, fields, options)

const addEntry = <A, I>(
  stream: string,
  fields: A,
  options: AddOptions & { readonly schema?: Schema.Schema<A, I> | undefined } = {}
): RedisCommand<StreamId> => {
  const { id, propagate, schema, ...rest } = options
  const encoded = schema === undefined ? Either.right<unknown>(fields) : encoder(schema)(fields)
  if (Either.isLeft(encoded)) {
    const { path, reason } = encoded.left
    const at = path.length === 0 ? "" : ` at ${visible(path.join("."))}`
    return XADD(args().key(stream).fail(`the fields do not encode${at}: ${reason}`), text)
  }
  const present = Object.entries(encoded.right as EncodedFields).filter(
    (field): field is [string, string] => field[1] !== undefined
  )
  const fiber = propagate === true ? currentFiber() : undefined
  const traceparent = fiber === undefined ? undefined : traceparentOf(fiber)
  if (traceparent !== undefined && !present.some(([name]) => name === traceparentField)) {
    present.push([traceparentField, traceparent])
  }
  const command = xadd(stream, id ?? "*", present as unknown as [[string, string]], rest as XaddOptions)
  return options.idmp !== undefined || options.idmpauto !== undefined ? declare(command, "repeatable") : command
}

/** The field of an entry that names the span which added it. */
const traceparentField = "traceparent"

/** Under the name by which a command that could not be made names itself. */
const entryAdder = total({ xadd: addEntry })
