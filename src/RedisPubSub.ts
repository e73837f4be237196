/**
 * Subscriptions: messages of channels, patterns and shard channels, keyspace notifications, invalidations and MONITOR, as
 * Streams that a Scope owns. This module does not publish: `Redis.publish` does.
 *
 * All subscriptions share one connection, which carries no other commands and is open while there are subscriptions. After
 * a disconnect everything is subscribed again. A place where messages may be missing is a {@link Gap}: an element of the
 * Stream under `RedisPubSub.withGaps`, a failure with `failOnGap`, and otherwise a warning in the log.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Codec, utf8 } from "./Codec.js"
import { type Key, type OneOrMany, toList } from "./internal/command/args.js"
import { escapePattern, prepend } from "./internal/command/prefix.js"
import * as Options from "./internal/connection/options.js"
import { fromEither } from "./internal/effect/either.js"
import { type Program, type Provided, provide } from "./internal/effect/program.js"
import { type Gap as InboxGap, isGap as isInboxGap, type Strategy } from "./internal/pubsub/inbox.js"
import * as InboxMailbox from "./internal/pubsub/mailbox.js"
import * as Read from "./internal/pubsub/read.js"
import {
  make,
  type RedisPubSub as RedisPubSubIdentifier,
  type RedisPubSubOptions,
  type RedisPubSubService,
  RedisPubSub as RedisPubSubTag
} from "./internal/pubsub/service.js"
import type { Kind, Target } from "./internal/pubsub/target.js"
import { type ConnectionError, type RedisError, UsageError } from "./RedisError.js"

export type {
  /**
   * Options of the connections for subscriptions. They are a part of the client's options.
   *
   * @since 0.1.0
   * @category options
   */
  RedisPubSubOptions,
  /**
   * What subscriptions need from their server.
   *
   * @since 0.1.0
   * @category models
   */
  RedisPubSubService
}

/**
 * A message. For subscriptions to patterns, `pattern` is the pattern that matched.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message<out V, out K = string> extends Read.MessageShape<V, K> {}

/**
 * A place in a Stream where messages may be missing.
 *
 * - `disconnected`: the connection ended or was replaced, and everything was subscribed again; `cause` says why.
 * - `moved`: the server ended the subscription, because a hash slot moved, and the client subscribed again.
 * - `overflow`: the listener was too slow, and `dropped` messages were dropped.
 *
 * Messages that are published after a program took the gap are received. So a program that takes a gap can read again
 * what may have changed meanwhile, and then misses nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Gap {
  readonly _tag: "Gap"
  readonly reason: "disconnected" | "moved" | "overflow"
  /** When the first message may have been missed, by the client's clock. */
  readonly since: DateTime.Utc
  /** How many messages the client dropped. */
  readonly dropped: number
  /** Why the connection ended, for `disconnected`. */
  readonly cause: ConnectionError | undefined
}

/**
 * A message that does not decode, for programs that take such messages (`onUndecodable: "emit"`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Undecodable extends Read.UndecodableShape {}

/**
 * An event of a key: a command changed it, or it expired or was evicted.
 *
 * @see https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
 * @since 0.1.0
 * @category models
 */
export interface KeyEvent<out K = string> extends Read.KeyEventShape<K> {}

/**
 * Keys whose values have changed: these `Keys`, or `All` keys, because the server was emptied (`flush`) or because
 * invalidations may have been missed (`gap`).
 *
 * @see https://redis.io/docs/latest/develop/reference/client-side-caching/
 * @since 0.1.0
 * @category models
 */
export type Invalidation<K = string> = Read.InvalidationShape<K>

/**
 * A command that a client has sent, as MONITOR shows it. Arguments that are not UTF-8 are bytes, all others text.
 *
 * @see https://redis.io/docs/latest/commands/monitor/
 * @since 0.1.0
 * @category models
 */
export interface MonitorLine extends Read.MonitorLineShape {}

/**
 * How many messages wait for a slow listener, and what happens to further ones.
 *
 * @since 0.1.0
 * @category options
 */
export interface BufferOptions {
  /** How many messages may wait. Default: 4 096. */
  readonly bufferSize?: number | undefined
  /** How many bytes of messages may wait. A single message may be longer. Default: 16 MB. */
  readonly bufferBytes?: number | undefined
  /**
   * What happens when a message arrives and the buffer is full. No strategy delays other listeners.
   *
   * - `sliding` (the default): the oldest message that waits is dropped.
   * - `dropping`: the new message is dropped.
   * - `fail`: the subscription fails with an `OverflowError`, after the messages that wait were taken.
   * - `suspend`: no message is dropped. The subscription has a connection of its own, which the client stops reading. The
   *   server then holds the messages, up to its `client-output-buffer-limit`; beyond that it ends the connection.
   */
  readonly strategy?: Strategy | undefined
}

/**
 * What happens when a message does not decode.
 *
 * - `fail`: the Stream gives the messages before it, then fails with a `DecodeError` that names the channel.
 * - `skip`: the message is passed over with a warning in the log, at most one in 10 seconds.
 * - `emit`: the Stream gives an {@link Undecodable} in its place.
 *
 * @since 0.1.0
 * @category options
 */
export type OnUndecodable = "fail" | "skip" | "emit"

/**
 * Options of a subscription.
 *
 * @since 0.1.0
 * @category options
 */
export interface SubscribeOptions<out Mode extends OnUndecodable = OnUndecodable> extends BufferOptions {
  /** Whether to fail with a `ConnectionError` when messages may have been missed. Default: false. */
  readonly failOnGap?: boolean | undefined
  /**
   * What happens when a message does not decode. Default: `fail`, because a listener that goes on loses the message, and
   * the server keeps no copy of it. Everybody who may publish to the channel can send such a message, so a listener that
   * has to stay should `skip` or `emit`.
   */
  readonly onUndecodable?: Mode | undefined
}

/**
 * Options of a subscription to keyspace notifications.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyspaceOptions<out Mode extends OnUndecodable = OnUndecodable> extends SubscribeOptions<Mode> {
  /** The number of the database that has the keys, or `all`. Default: the client's database. */
  readonly database?: number | "all" | undefined
  /**
   * Letters that the server's `notify-keyspace-events` must have, such as `KEA`. Missing letters are added first (CONFIG
   * SET), for the whole server. Default: none are added. A server without such letters publishes no notifications.
   */
  readonly notify?: string | undefined
}

/**
 * Options of a subscription to invalidations.
 *
 * @since 0.1.0
 * @category options
 */
export interface InvalidationOptions extends BufferOptions {
  /** Prefixes of the keys. They must not overlap. Default: all keys. */
  readonly prefixes?: OneOrMany<Key> | undefined
}

/** What is among the messages besides those that decode. */
type Emitted<Mode> = "emit" extends Mode ? Undecodable : never

type Subscribed<A> = Effect.Effect<Stream.Stream<A, RedisError>, RedisError, RedisPubSubIdentifier | Scope.Scope>
type Lazily<A> = Stream.Stream<A, RedisError, RedisPubSubIdentifier>
type Taken<A> = Effect.Effect<InboxMailbox.Messages<A>, RedisError, RedisPubSubIdentifier | Scope.Scope>

/**
 * The ways to subscribe, for payloads of type `V`. `Extra` is what may stand among the messages: a {@link Gap}, or nothing.
 *
 * There are three forms. `subscribe` and its kin return once the server has confirmed the subscription: messages that are
 * published after that are received. The scope owns the subscription; the Stream is a view of it, to be run once. `stream`
 * and its kin subscribe when the Stream is run. `mailbox` and its kin are like `subscribe`, for programs that take messages
 * one by one or in batches.
 *
 * @since 0.1.0
 * @category models
 */
export interface Subscriptions<V, K extends Key, Extra> {
  /**
   * Subscribes to channels, until the scope closes.
   *
   * @example
   * ```ts
   * const news = yield* RedisPubSub.subscribe("news")
   * yield* Redis.publish("news", "hello")
   * yield* news.pipe(Stream.take(1), Stream.runForEach(({ payload }) => Effect.log(payload)))
   * ```
   */
  readonly subscribe: <Mode extends OnUndecodable = "fail">(
    channels: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Subscribed<Message<V, K> | Emitted<Mode> | Extra>
  /** Subscribes to every channel whose name matches a pattern, until the scope closes. */
  readonly psubscribe: <Mode extends OnUndecodable = "fail">(
    patterns: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Subscribed<Message<V, K> | Emitted<Mode> | Extra>
  /** Subscribes to shard channels, until the scope closes. */
  readonly ssubscribe: <Mode extends OnUndecodable = "fail">(
    channels: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Subscribed<Message<V, K> | Emitted<Mode> | Extra>

  /** The messages of channels. The subscription lasts as long as the Stream runs. */
  readonly stream: <Mode extends OnUndecodable = "fail">(
    channels: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Lazily<Message<V, K> | Emitted<Mode> | Extra>
  /** The messages of every channel whose name matches a pattern. The subscription lasts as long as the Stream runs. */
  readonly pstream: <Mode extends OnUndecodable = "fail">(
    patterns: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Lazily<Message<V, K> | Emitted<Mode> | Extra>
  /** The messages of shard channels. The subscription lasts as long as the Stream runs. */
  readonly sstream: <Mode extends OnUndecodable = "fail">(
    channels: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Lazily<Message<V, K> | Emitted<Mode> | Extra>

  /** Subscribes to channels, until the scope closes. The program takes messages from a Mailbox. */
  readonly mailbox: <Mode extends OnUndecodable = "fail">(
    channels: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Taken<Message<V, K> | Emitted<Mode> | Extra>
  /** Subscribes to patterns, until the scope closes. The program takes messages from a Mailbox. */
  readonly pmailbox: <Mode extends OnUndecodable = "fail">(
    patterns: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Taken<Message<V, K> | Emitted<Mode> | Extra>
  /** Subscribes to shard channels, until the scope closes. The program takes messages from a Mailbox. */
  readonly smailbox: <Mode extends OnUndecodable = "fail">(
    channels: OneOrMany<Key>,
    options?: SubscribeOptions<Mode>
  ) => Taken<Message<V, K> | Emitted<Mode> | Extra>

  /**
   * The events of these keys (keyspace notifications). The server must be configured to notify: see `notify`.
   *
   * @example
   * ```ts
   * RedisPubSub.keyspace("user:1", { notify: "KEA" }).pipe(Stream.runForEach(({ event }) => Effect.log(event)))
   * ```
   */
  readonly keyspace: <Mode extends OnUndecodable = "fail">(
    keys: OneOrMany<Key>,
    options?: KeyspaceOptions<Mode>
  ) => Lazily<KeyEvent<K> | Emitted<Mode> | Extra>
  /** The events of every key whose name matches a pattern. */
  readonly pkeyspace: <Mode extends OnUndecodable = "fail">(
    patterns: OneOrMany<Key>,
    options?: KeyspaceOptions<Mode>
  ) => Lazily<KeyEvent<K> | Emitted<Mode> | Extra>
  /** The keys that have one of these events (`set`, `expired`, …; `*` for any). */
  readonly keyevents: <Mode extends OnUndecodable = "fail">(
    events: OneOrMany<string>,
    options?: KeyspaceOptions<Mode>
  ) => Lazily<KeyEvent<K> | Emitted<Mode> | Extra>
  /** Like {@link Subscriptions.keyspace}, but returns once the server has confirmed. */
  readonly subscribeKeyspace: <Mode extends OnUndecodable = "fail">(
    keys: OneOrMany<Key>,
    options?: KeyspaceOptions<Mode>
  ) => Subscribed<KeyEvent<K> | Emitted<Mode> | Extra>
  /** Like {@link Subscriptions.pkeyspace}, but returns once the server has confirmed. */
  readonly psubscribeKeyspace: <Mode extends OnUndecodable = "fail">(
    patterns: OneOrMany<Key>,
    options?: KeyspaceOptions<Mode>
  ) => Subscribed<KeyEvent<K> | Emitted<Mode> | Extra>
  /** Like {@link Subscriptions.keyevents}, but returns once the server has confirmed. */
  readonly subscribeKeyevents: <Mode extends OnUndecodable = "fail">(
    events: OneOrMany<string>,
    options?: KeyspaceOptions<Mode>
  ) => Subscribed<KeyEvent<K> | Emitted<Mode> | Extra>

  /**
   * Every command that the server receives (MONITOR), on a connection of its own. It costs the server much of its
   * throughput, and shows the arguments of all clients.
   */
  readonly monitor: <Mode extends OnUndecodable = "fail">(
    options?: SubscribeOptions<Mode>
  ) => Lazily<MonitorLine | Emitted<Mode> | Extra>
  /** Like {@link Subscriptions.monitor}, but returns once the server has confirmed. */
  readonly subscribeMonitor: <Mode extends OnUndecodable = "fail">(
    options?: SubscribeOptions<Mode>
  ) => Subscribed<MonitorLine | Emitted<Mode> | Extra>
}

/**
 * The ways to subscribe with one codec.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisPubSubOver<V, K extends Key> extends Subscriptions<V, K, never> {
  /** The same, with a {@link Gap} wherever messages may be missing. */
  readonly withGaps: Subscriptions<V, K, Gap>

  /**
   * Keys that change (CLIENT TRACKING in broadcasting mode), on a connection of its own. There is an `All` when the
   * connection ends, and another when the next one tracks.
   *
   * @example
   * ```ts
   * RedisPubSub.invalidations({ prefixes: "user:" }).pipe(
   *   Stream.runForEach((it) => it._tag === "All" ? cache.clear : Effect.forEach(it.keys, cache.remove))
   * )
   * ```
   */
  readonly invalidations: (options?: InvalidationOptions) => Lazily<Invalidation<K>>
  /**
   * Like {@link RedisPubSubOver.invalidations}, but returns once the server tracks: later changes of keys that the program
   * reads after that are reported.
   */
  readonly subscribeInvalidations: (options?: InvalidationOptions) => Subscribed<Invalidation<K>>
}

/**
 * What `RedisPubSub` is: the tag of the service, its layers, and every way to subscribe.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisPubSubModule
  extends Context.Tag<RedisPubSubIdentifier, RedisPubSubService>,
    RedisPubSubOver<string, string> {
  /** Checks the options. Connections are opened for subscriptions, and closed when the scope closes at the latest. */
  readonly make: (options?: RedisPubSubOptions) => Effect.Effect<RedisPubSubService, RedisError, Scope.Scope>

  /** Subscriptions without a client. `Redis.layer` provides both. */
  readonly layer: (options?: RedisPubSubOptions) => Layer.Layer<RedisPubSubIdentifier, RedisError>

  /** Like `layer`, with the options read from the configuration. */
  readonly layerConfig: (
    options: Config.Config.Wrap<RedisPubSubOptions>
  ) => Layer.Layer<RedisPubSubIdentifier, RedisError | ConfigError.ConfigError>

  /** A tag for another server: `class Events extends RedisPubSub.Tag("Events")<Events>() {}`. */
  readonly Tag: <const Id extends string>(id: Id) => <Self>() => Context.TagClass<Self, Id, RedisPubSubService>

  /** Subscriptions under a tag of your own. */
  readonly layerAs: <I>(
    tag: Context.Tag<I, RedisPubSubService>,
    options?: RedisPubSubOptions
  ) => Layer.Layer<I, RedisError>

  /** Like `layerAs`, with the options read from the configuration. */
  readonly layerConfigAs: <I>(
    tag: Context.Tag<I, RedisPubSubService>,
    options: Config.Config.Wrap<RedisPubSubOptions>
  ) => Layer.Layer<I, RedisError | ConfigError.ConfigError>

  /** Runs an Effect or a Stream with the subscriptions of another tag's server. */
  readonly using: {
    /**
     * Runs an Effect or a Stream with the subscriptions of another tag's server.
     *
     * @example
     * ```ts
     * const orders = yield* RedisPubSub.subscribe("orders").pipe(RedisPubSub.using(Events))
     * const news = RedisPubSub.stream("news").pipe(RedisPubSub.using(Events))
     * ```
     */
    <I>(
      tag: Context.Tag<I, RedisPubSubService>
    ): <Self extends Program>(self: Self) => Provided<Self, RedisPubSubIdentifier, I>
    /**
     * Runs an Effect or a Stream with the subscriptions of another tag's server.
     *
     * @example
     * ```ts
     * const orders = yield* RedisPubSub.using(RedisPubSub.subscribe("orders"), Events)
     * const news = RedisPubSub.using(RedisPubSub.stream("news"), Events)
     * ```
     */
    <Self extends Program, I>(
      self: Self,
      tag: Context.Tag<I, RedisPubSubService>
    ): Provided<Self, RedisPubSubIdentifier, I>
  }

  /**
   * Every way to subscribe, with another codec.
   *
   * @example
   * ```ts
   * const orders = RedisPubSub.withCodec(Codec.schema(Order)).stream("orders") // Message<Order>
   * ```
   */
  readonly withCodec: <V, K extends Key>(codec: Codec<V, K>) => RedisPubSubOver<V, K>

  /** Whether an element of a Stream under `withGaps` is a gap. */
  readonly isGap: (element: unknown) => element is Gap

  /** Whether an element of a Stream with `onUndecodable: "emit"` is a message that does not decode. */
  readonly isUndecodable: (element: unknown) => element is Undecodable
}

const defaultSize = 4096
const defaultBytes = 16 * 1024 * 1024

const strategies: ReadonlyArray<unknown> = ["suspend", "sliding", "dropping", "fail"]

/** What becomes of a message that does not decode. */
const modes = {
  fail: <A>(read: Read.Read<A>): Read.Read<A> => read,
  skip: <A>(read: Read.Read<A>, service: RedisPubSubService): Read.Read<A> => Read.skipping(read, service.log),
  // The type is of the messages that decode: only a caller that asks for others expects them.
  emit: <A>(read: Read.Read<A>): Read.Read<A> => Read.emitting(read) as Read.Read<A>
}

interface Request {
  readonly targets: ReadonlyArray<Target>
  readonly options: SubscribeOptions
  readonly gaps: "none" | "once" | "twice"
  readonly alone: boolean
}

const openMailbox = <A>(request: Request, read: Read.Read<A>, onGap: (gap: InboxGap) => A | undefined): Taken<A> =>
  Effect.flatMap(RedisPubSubTag, (service) => {
    const { alone, gaps, options, targets } = request
    const { bufferBytes = defaultBytes, bufferSize = defaultSize, failOnGap = false, strategy = "sliding" } = options
    if (!strategies.includes(strategy)) {
      return fromEither(Options.invalid("strategy must be suspend, sliding, dropping or fail"))
    }
    const { onUndecodable = "fail" } = options
    if (!Object.hasOwn(modes, onUndecodable)) {
      return fromEither(Options.invalid("onUndecodable must be fail, skip or emit"))
    }
    const reader = modes[onUndecodable](read, service)
    return Effect.flatMap(fromEither(Options.checkCount(bufferSize, "bufferSize")), (capacity) =>
      Effect.flatMap(fromEither(Options.checkCount(bufferBytes, "bufferBytes")), (maxBytes) =>
        Effect.map(
          service.subscribe(targets, {
            capacity,
            maxBytes,
            strategy,
            gaps,
            failOnGap,
            alone: alone || strategy === "suspend"
          }),
          (inbox) => InboxMailbox.make<A>(inbox, (item) => (isInboxGap(item) ? onGap(item) : reader(item)))
        )
      )
    )
  })

const streamOf = <A>(mailbox: Taken<A>): Subscribed<A> => Effect.map(mailbox, InboxMailbox.toStream)

const lazily = <A>(subscribed: Subscribed<A>): Lazily<A> => Stream.unwrapScoped(subscribed)

const targetsOf = (kind: Kind, names: OneOrMany<Key>): ReadonlyArray<Target> =>
  toList(names).map((name) => ({ kind, name }))

const subscriptions = <V, K extends Key, Extra>(
  codec: Codec<V, K>,
  gaps: "none" | "once",
  onGap: (gap: InboxGap) => Extra | undefined
): Subscriptions<V, K, Extra> => {
  const messages =
    (kind: "subscribe" | "psubscribe" | "ssubscribe") =>
    (names: OneOrMany<Key>, options: SubscribeOptions = {}): Taken<Message<V, K> | Extra> =>
      Effect.suspend(() =>
        openMailbox<Message<V, K> | Extra>(
          { targets: targetsOf(kind, names), options, gaps, alone: false },
          Read.message(codec, kind.toUpperCase()),
          onGap
        )
      )
  const mailbox = messages("subscribe")
  const pmailbox = messages("psubscribe")
  const smailbox = messages("ssubscribe")

  /** Notifications of one database are channels. Notifications of all databases, or by patterns, are patterns. */
  const notifications =
    (what: "keyspace" | "keyevent", pattern: boolean) =>
    (names: OneOrMany<Key>, options: KeyspaceOptions = {}): Subscribed<KeyEvent<K> | Extra> =>
      Effect.flatMap(RedisPubSubTag, (service) => {
        const { database = service.database, notify } = options
        if (database !== "all" && !(Number.isInteger(database) && database >= 0)) {
          return Effect.fail(
            new UsageError({ reason: "invalidOptions", message: "database must be a whole number from 0, or all" })
          )
        }
        const prefix = `__${what}@${database === "all" ? "*" : database}__:`
        const targets = toList(names).map((name): Target => {
          const any = what === "keyevent" && name === "*"
          return pattern || any || database === "all"
            ? { kind: "psubscribe", name: prepend(prefix, pattern || any ? name : escapePattern(name)) }
            : { kind: "subscribe", name: prepend(prefix, name) }
        })
        return Effect.zipRight(
          notify === undefined ? Effect.void : service.notify(notify),
          streamOf(
            openMailbox<KeyEvent<K> | Extra>({ targets, options, gaps, alone: false }, Read.keyEvent(codec), onGap)
          )
        )
      })
  const subscribeKeyspace = notifications("keyspace", false)
  const psubscribeKeyspace = notifications("keyspace", true)
  const subscribeKeyevents = notifications("keyevent", false)

  const subscribeMonitor = (options: SubscribeOptions = {}): Subscribed<MonitorLine | Extra> =>
    streamOf(
      openMailbox<MonitorLine | Extra>(
        { targets: [{ kind: "monitor", name: "" }], options, gaps, alone: true },
        Read.monitorLine,
        onGap
      )
    )

  return {
    mailbox,
    pmailbox,
    smailbox,
    subscribe: (names, options) => streamOf(mailbox(names, options)),
    psubscribe: (names, options) => streamOf(pmailbox(names, options)),
    ssubscribe: (names, options) => streamOf(smailbox(names, options)),
    stream: (names, options) => lazily(streamOf(mailbox(names, options))),
    pstream: (names, options) => lazily(streamOf(pmailbox(names, options))),
    sstream: (names, options) => lazily(streamOf(smailbox(names, options))),
    subscribeKeyspace,
    psubscribeKeyspace,
    subscribeKeyevents,
    keyspace: (keys, options) => lazily(subscribeKeyspace(keys, options)),
    pkeyspace: (patterns, options) => lazily(psubscribeKeyspace(patterns, options)),
    keyevents: (events, options) => lazily(subscribeKeyevents(events, options)),
    subscribeMonitor,
    monitor: (options) => lazily(subscribeMonitor(options))
  }
}

const withCodec = <V, K extends Key>(codec: Codec<V, K>): RedisPubSubOver<V, K> => {
  const subscribeInvalidations = (options: InvalidationOptions = {}): Subscribed<Invalidation<K>> =>
    Effect.suspend(() =>
      streamOf(
        openMailbox<Invalidation<K>>(
          {
            targets: [
              {
                kind: "tracking",
                name: "",
                prefixes: options.prefixes === undefined ? undefined : toList(options.prefixes)
              }
            ],
            options,
            gaps: "twice",
            alone: true
          },
          Read.invalidation(codec),
          () => ({ _tag: "All", reason: "gap" })
        )
      )
    )
  return {
    ...subscriptions<V, K, never>(codec, "none", () => undefined),
    withGaps: subscriptions<V, K, Gap>(codec, "once", (gap) => gap),
    subscribeInvalidations,
    invalidations: (options) => lazily(subscribeInvalidations(options))
  }
}

const layerAs = <I>(
  tag: Context.Tag<I, RedisPubSubService>,
  options?: RedisPubSubOptions
): Layer.Layer<I, RedisError> => Layer.scoped(tag, make(options))

const layerConfigAs = <I>(
  tag: Context.Tag<I, RedisPubSubService>,
  options: Config.Config.Wrap<RedisPubSubOptions>
): Layer.Layer<I, RedisError | ConfigError.ConfigError> =>
  Layer.scoped(tag, Effect.flatMap(Config.unwrap(options), make))

/**
 * The identifier of subscriptions in an Effect's requirements.
 *
 * @since 0.1.0
 * @category models
 */
export type RedisPubSub = RedisPubSubIdentifier

/**
 * Subscriptions: the tag of their service, its layers, and every way to subscribe.
 *
 * @since 0.1.0
 * @category tags
 */
export const RedisPubSub: RedisPubSubModule = Object.assign(RedisPubSubTag, withCodec(utf8), {
  make,
  layer: (options?: RedisPubSubOptions) => layerAs(RedisPubSubTag, options),
  layerConfig: (options: Config.Config.Wrap<RedisPubSubOptions>) => layerConfigAs(RedisPubSubTag, options),
  Tag: (<const Id extends string>(id: Id) =>
    <Self>() =>
      Context.Tag(id)<Self, RedisPubSubService>()) as RedisPubSubModule["Tag"],
  layerAs,
  layerConfigAs,
  using: dual(
    2,
    <A, E, R, I>(self: Effect.Effect<A, E, R> | Stream.Stream<A, E, R>, tag: Context.Tag<I, RedisPubSubService>) =>
      provide(self, RedisPubSubTag, tag)
  ) as RedisPubSubModule["using"],
  withCodec,
  isGap: (element: unknown): element is Gap => Predicate.isTagged(element, "Gap"),
  isUndecodable: (element: unknown): element is Undecodable => Predicate.isTagged(element, "Undecodable")
})
