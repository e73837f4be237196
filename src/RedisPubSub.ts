/**
 * Subscriptions: messages of channels, patterns and shard channels, keyspace notifications, invalidations and MONITOR, as
 * Streams that a Scope owns.
 *
 * Subscriptions have a connection of their own, which all share, and which is there as long as somebody listens. After a
 * disconnect everything is subscribed again; what may have been missed is a {@link Gap}: an element of the Stream under
 * `RedisPubSub.withGaps`, a failure with `failOnGap`, a warning in the log otherwise.
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
import type * as Mailbox from "effect/Mailbox"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Codec, utf8 } from "./Codec.js"
import { type Key, type OneOrMore, toList } from "./internal/command/args.js"
import * as Options from "./internal/connection/options.js"
import type { Kind, Target } from "./internal/pubsub/hub.js"
import { type Delivery, Gap as InboxGap, type Strategy } from "./internal/pubsub/inbox.js"
import { InboxMailbox, type Undecodable } from "./internal/pubsub/mailbox.js"
import * as Read from "./internal/pubsub/read.js"
import {
  make,
  type RedisPubSub as RedisPubSubIdentifier,
  type RedisPubSubOptions,
  type RedisPubSubService,
  RedisPubSub as RedisPubSubTag
} from "./internal/pubsub/service.js"
import { utf8Encode } from "./internal/resp/text.js"
import { type ConnectionError, type RedisError, UsageError } from "./RedisError.js"

export type {
  /**
   * Options of subscriptions' connections: those of the client, of which they are a part.
   *
   * @since 0.1.0
   * @category options
   */
  RedisPubSubOptions,
  /**
   * What subscriptions need of their server.
   *
   * @since 0.1.0
   * @category models
   */
  RedisPubSubService
}

/**
 * A message. `pattern` is the one that matched, for subscriptions by pattern.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message<out V, out K = string> extends Read.MessageShape<V, K> {}

/**
 * A place in a Stream where messages may be missing.
 *
 * - `disconnected`: the connection ended, and everything was subscribed again; `cause` says why it ended.
 * - `moved`: the server ended the subscription (a slot moved), and it was made again.
 * - `overflow`: the listener was too slow, and `dropped` messages were given up.
 *
 * What is published after a gap was taken is received; so that is when to read again what may have changed meanwhile.
 *
 * @since 0.1.0
 * @category models
 */
export interface Gap {
  readonly _tag: "Gap"
  readonly reason: "disconnected" | "moved" | "overflow"
  /** When the first message may have been missed, by this side's clock. */
  readonly since: DateTime.Utc
  /** How many messages were given up on this side. */
  readonly dropped: number
  /** Why the connection ended. */
  readonly cause: ConnectionError | undefined
}

/**
 * What happened to a key.
 *
 * @see https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
 * @since 0.1.0
 * @category models
 */
export interface KeyEvent<out K = string> extends Read.KeyEventShape<K> {}

/**
 * Keys that are no longer what they were: these `Keys`, or `All` of them, because the server was emptied (`flush`) or
 * because invalidations may have been missed (`gap`).
 *
 * @see https://redis.io/docs/latest/develop/reference/client-side-caching/
 * @since 0.1.0
 * @category models
 */
export type Invalidation<K = string> = Read.InvalidationShape<K>

/**
 * A command that a client has sent, as MONITOR shows it. Arguments are text, or bytes where they are not UTF-8.
 *
 * @see https://redis.io/docs/latest/commands/monitor/
 * @since 0.1.0
 * @category models
 */
export interface MonitorLine extends Read.MonitorLineShape {}

/**
 * How messages wait for a slow listener, and what becomes of those that cannot.
 *
 * @since 0.1.0
 * @category options
 */
export interface BufferOptions {
  /** How many messages may wait. Default: 4 096. */
  readonly bufferSize?: number | undefined
  /** How many bytes of messages may wait; a single message may be longer. Default: 16 MB. */
  readonly bufferBytes?: number | undefined
  /**
   * What happens to what comes when no more may wait. The first three never hold up other listeners.
   *
   * - `sliding` (the default): the oldest that waits is given up.
   * - `dropping`: what comes is given up.
   * - `fail`: the subscription fails with an `OverflowError`, after what waits was taken.
   * - `suspend`: nothing is given up; the subscription has a connection of its own, which is not read meanwhile. What
   *   the server then holds is bounded by its own `client-output-buffer-limit`, beyond which it ends the connection.
   */
  readonly strategy?: Strategy | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface SubscribeOptions extends BufferOptions {
  /** Whether to fail with a `ConnectionError` when messages may have been missed. Default: false. */
  readonly failOnGap?: boolean | undefined
  /**
   * What becomes of a message that does not decode: the Stream fails with a `DecodeError` that names its channel (`fail`,
   * the default), or it is passed over with a warning in the log (`skip`).
   */
  readonly onUndecodable?: "fail" | "skip" | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface KeyspaceOptions extends SubscribeOptions {
  /** The database whose keys are meant, or all. Default: the client's. */
  readonly database?: number | "all" | undefined
  /**
   * Letters that the server's `notify-keyspace-events` must have, such as `KEA`: what is missing is added first (CONFIG
   * SET), for the server as a whole. Default: none; without them the server publishes nothing.
   */
  readonly notify?: string | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface InvalidationOptions extends BufferOptions {
  /** What the keys begin with. They must not overlap. Default: all keys. */
  readonly prefixes?: OneOrMore<Key> | undefined
}

type Subscribed<A> = Effect.Effect<Stream.Stream<A, RedisError>, RedisError, RedisPubSubIdentifier | Scope.Scope>
type Lazily<A> = Stream.Stream<A, RedisError, RedisPubSubIdentifier>
type Taken<A> = Effect.Effect<Mailbox.ReadonlyMailbox<A, RedisError>, RedisError, RedisPubSubIdentifier | Scope.Scope>

/**
 * The ways to listen, over payloads of type `V`. `Extra` is what may stand among the messages: a {@link Gap}, or nothing.
 *
 * Each comes in three forms. `subscribe` and its kin return once the server has confirmed: what is published after that
 * is received. The scope owns the subscription; the Stream is a view of it, to be run once. `stream` and its kin subscribe
 * when the Stream is run. `mailbox` and its kin are `subscribe` for those who take messages one by one, or all at once.
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
  readonly subscribe: (channels: OneOrMore<Key>, options?: SubscribeOptions) => Subscribed<Message<V, K> | Extra>
  /** Subscribes to every channel whose name matches a pattern, until the scope closes. */
  readonly psubscribe: (patterns: OneOrMore<Key>, options?: SubscribeOptions) => Subscribed<Message<V, K> | Extra>
  /** Subscribes to shard channels, until the scope closes. */
  readonly ssubscribe: (channels: OneOrMore<Key>, options?: SubscribeOptions) => Subscribed<Message<V, K> | Extra>

  /** The messages of channels; subscribed to as long as the Stream runs. */
  readonly stream: (channels: OneOrMore<Key>, options?: SubscribeOptions) => Lazily<Message<V, K> | Extra>
  /** The messages of every channel whose name matches a pattern; subscribed to as long as the Stream runs. */
  readonly pstream: (patterns: OneOrMore<Key>, options?: SubscribeOptions) => Lazily<Message<V, K> | Extra>
  /** The messages of shard channels; subscribed to as long as the Stream runs. */
  readonly sstream: (channels: OneOrMore<Key>, options?: SubscribeOptions) => Lazily<Message<V, K> | Extra>

  /** Subscribes to channels, until the scope closes; messages are taken from a Mailbox. */
  readonly mailbox: (channels: OneOrMore<Key>, options?: SubscribeOptions) => Taken<Message<V, K> | Extra>
  /** Subscribes to patterns, until the scope closes; messages are taken from a Mailbox. */
  readonly pmailbox: (patterns: OneOrMore<Key>, options?: SubscribeOptions) => Taken<Message<V, K> | Extra>
  /** Subscribes to shard channels, until the scope closes; messages are taken from a Mailbox. */
  readonly smailbox: (channels: OneOrMore<Key>, options?: SubscribeOptions) => Taken<Message<V, K> | Extra>

  /**
   * What happens to these keys (keyspace notifications). The server must be configured to notify: see `notify`.
   *
   * @example
   * ```ts
   * RedisPubSub.keyspace("user:1", { notify: "KEA" }).pipe(Stream.runForEach(({ event }) => Effect.log(event)))
   * ```
   */
  readonly keyspace: (keys: OneOrMore<Key>, options?: KeyspaceOptions) => Lazily<KeyEvent<K> | Extra>
  /** What happens to every key whose name matches a pattern. */
  readonly pkeyspace: (patterns: OneOrMore<Key>, options?: KeyspaceOptions) => Lazily<KeyEvent<K> | Extra>
  /** The keys to which one of these events (`set`, `expired`, …; `*` for any) happens. */
  readonly keyevents: (events: OneOrMore<string>, options?: KeyspaceOptions) => Lazily<KeyEvent<K> | Extra>
  /** {@link Subscriptions.keyspace} that returns once it is confirmed. */
  readonly subscribeKeyspace: (keys: OneOrMore<Key>, options?: KeyspaceOptions) => Subscribed<KeyEvent<K> | Extra>
  /** {@link Subscriptions.pkeyspace} that returns once it is confirmed. */
  readonly psubscribeKeyspace: (patterns: OneOrMore<Key>, options?: KeyspaceOptions) => Subscribed<KeyEvent<K> | Extra>
  /** {@link Subscriptions.keyevents} that returns once it is confirmed. */
  readonly subscribeKeyevents: (events: OneOrMore<string>, options?: KeyspaceOptions) => Subscribed<KeyEvent<K> | Extra>

  /**
   * Every command that the server gets (MONITOR), on a connection of its own. It costs the server much of its throughput,
   * and shows what everybody stores.
   */
  readonly monitor: (options?: SubscribeOptions) => Lazily<MonitorLine | Extra>
  /** {@link Subscriptions.monitor} that returns once the server shows them. */
  readonly subscribeMonitor: (options?: SubscribeOptions) => Subscribed<MonitorLine | Extra>
}

/**
 * The ways to listen over one codec.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisPubSubOver<V, K extends Key> extends Subscriptions<V, K, never> {
  /** The same, with a {@link Gap} wherever messages may be missing. */
  readonly withGaps: Subscriptions<V, K, Gap>

  /**
   * Keys that change (CLIENT TRACKING in broadcasting mode), on a connection of its own. When the connection ends, and
   * again when it is replaced, it says `All`.
   *
   * @example
   * ```ts
   * RedisPubSub.invalidations({ prefixes: "user:" }).pipe(
   *   Stream.runForEach((it) => it._tag === "All" ? cache.clear : Effect.forEach(it.keys, cache.remove))
   * )
   * ```
   */
  readonly invalidations: (options?: InvalidationOptions) => Lazily<Invalidation<K>>
  /** {@link RedisPubSubOver.invalidations} that returns once the server tracks: what is read after that is told. */
  readonly subscribeInvalidations: (options?: InvalidationOptions) => Subscribed<Invalidation<K>>
}

/**
 * What `RedisPubSub` is: the tag of the service, its layers, and every way to listen.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisPubSubModule
  extends Context.Tag<RedisPubSubIdentifier, RedisPubSubService>,
    RedisPubSubOver<string, string> {
  /** Checks the options; connections are opened when somebody listens, and closed by the scope at the latest. */
  readonly make: (options?: RedisPubSubOptions) => Effect.Effect<RedisPubSubService, RedisError, Scope.Scope>

  /** Subscriptions alone. `Redis.layer` provides them too. */
  readonly layer: (options?: RedisPubSubOptions) => Layer.Layer<RedisPubSubIdentifier, RedisError>

  /** The same with the options read from the configuration. */
  readonly layerConfig: (
    options: Config.Config.Wrap<RedisPubSubOptions>
  ) => Layer.Layer<RedisPubSubIdentifier, RedisError | ConfigError.ConfigError>

  /** A tag for a further server: `class Events extends RedisPubSub.Tag("Events")<Events>() {}`. */
  readonly Tag: <const Id extends string>(id: Id) => <Self>() => Context.TagClass<Self, Id, RedisPubSubService>

  /** Subscriptions under a tag of your own. */
  readonly layerAs: <I>(
    tag: Context.Tag<I, RedisPubSubService>,
    options?: RedisPubSubOptions
  ) => Layer.Layer<I, RedisError>

  /** The same with the options read from the configuration. */
  readonly layerConfigAs: <I>(
    tag: Context.Tag<I, RedisPubSubService>,
    options: Config.Config.Wrap<RedisPubSubOptions>
  ) => Layer.Layer<I, RedisError | ConfigError.ConfigError>

  /**
   * Listens to the server of another tag.
   *
   * @example
   * ```ts
   * const orders = yield* RedisPubSub.subscribe("orders").pipe(RedisPubSub.using(Events))
   * ```
   */
  readonly using: {
    <I>(
      tag: Context.Tag<I, RedisPubSubService>
    ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, RedisPubSubIdentifier> | I>
    <A, E, R, I>(
      self: Effect.Effect<A, E, R>,
      tag: Context.Tag<I, RedisPubSubService>
    ): Effect.Effect<A, E, Exclude<R, RedisPubSubIdentifier> | I>
  }

  /**
   * Every way to listen over another codec.
   *
   * @example
   * ```ts
   * const orders = RedisPubSub.withCodec(Codec.schema(Order)).stream("orders") // Message<Order>
   * ```
   */
  readonly withCodec: <V, K extends Key>(codec: Codec<V, K>) => RedisPubSubOver<V, K>

  /** Whether an element of a Stream under `withGaps` is a gap. */
  readonly isGap: (element: unknown) => element is Gap
}

const defaultSize = 4096
const defaultBytes = 16 * 1024 * 1024

const strategies: ReadonlyArray<unknown> = ["suspend", "sliding", "dropping", "fail"]

interface Request {
  readonly targets: ReadonlyArray<Target>
  readonly options: SubscribeOptions
  readonly gaps: "none" | "once" | "twice"
  readonly alone: boolean
}

const open = <A>(
  request: Request,
  read: (item: Delivery) => A | undefined | Undecodable,
  onGap: (gap: InboxGap) => A | undefined
): Effect.Effect<InboxMailbox<A>, RedisError, RedisPubSubIdentifier | Scope.Scope> =>
  Effect.flatMap(RedisPubSubTag, (service) => {
    const { alone, gaps, options, targets } = request
    const { bufferBytes = defaultBytes, bufferSize = defaultSize, failOnGap = false, strategy = "sliding" } = options
    if (!strategies.includes(strategy)) {
      return Options.invalid("strategy must be suspend, sliding, dropping or fail")
    }
    const reader = options.onUndecodable === "skip" ? Read.skipping(read, service.log) : read
    return Effect.flatMap(Options.checkCount(bufferSize, "bufferSize"), (capacity) =>
      Effect.flatMap(Options.checkCount(bufferBytes, "bufferBytes"), (maxBytes) =>
        Effect.map(
          service.open(targets, {
            capacity,
            maxBytes,
            strategy,
            gaps,
            failOnGap,
            alone: alone || strategy === "suspend"
          }),
          (inbox) => new InboxMailbox<A>(inbox, (item) => (item instanceof InboxGap ? onGap(item) : reader(item)))
        )
      )
    )
  })

const streamOf = <A, E, R>(
  mailbox: Effect.Effect<InboxMailbox<A>, E, R>
): Effect.Effect<Stream.Stream<A, RedisError>, E, R> => Effect.map(mailbox, (mailbox) => mailbox.stream)

const lazily = <A>(subscribed: Subscribed<A>): Lazily<A> => Stream.unwrapScoped(subscribed)

const targetsOf = (kind: Kind, names: OneOrMore<Key>): ReadonlyArray<Target> =>
  toList(names).map((name) => ({ kind, name }))

const escapeText = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&")

/** A name as a pattern that only it matches. */
const escape = (name: Key): Key => {
  if (typeof name === "string") {
    return escapeText(name)
  }
  const special = utf8Encode("\\*?[]")
  return Uint8Array.from([...name].flatMap((byte) => (special.includes(byte) ? [92, byte] : [byte])))
}

const prepend = (prefix: string, name: Key): Key => {
  if (typeof name === "string") {
    return prefix + name
  }
  const head = utf8Encode(prefix)
  const whole = new Uint8Array(head.length + name.length)
  whole.set(head)
  whole.set(name, head.length)
  return whole
}

const listening = <V, K extends Key, Extra>(
  codec: Codec<V, K>,
  gaps: "none" | "once",
  onGap: (gap: InboxGap) => Extra | undefined
): Subscriptions<V, K, Extra> => {
  const messages =
    (kind: "subscribe" | "psubscribe" | "ssubscribe") =>
    (
      names: OneOrMore<Key>,
      options: SubscribeOptions = {}
    ): Effect.Effect<InboxMailbox<Message<V, K> | Extra>, RedisError, RedisPubSubIdentifier | Scope.Scope> =>
      Effect.suspend(() =>
        open<Message<V, K> | Extra>(
          { targets: targetsOf(kind, names), options, gaps, alone: false },
          Read.message(codec, kind.toUpperCase()),
          onGap
        )
      )
  const mailbox = messages("subscribe")
  const pmailbox = messages("psubscribe")
  const smailbox = messages("ssubscribe")

  /** Of one database they are channels; of all, and by patterns, they are patterns. */
  const notifications =
    (what: "keyspace" | "keyevent", pattern: boolean) =>
    (names: OneOrMore<Key>, options: KeyspaceOptions = {}): Subscribed<KeyEvent<K> | Extra> =>
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
            ? { kind: "psubscribe", name: prepend(prefix, pattern || any ? name : escape(name)) }
            : { kind: "subscribe", name: prepend(prefix, name) }
        })
        return Effect.zipRight(
          notify === undefined ? Effect.void : service.notify(notify),
          streamOf(open<KeyEvent<K> | Extra>({ targets, options, gaps, alone: false }, Read.keyEvent(codec), onGap))
        )
      })
  const subscribeKeyspace = notifications("keyspace", false)
  const psubscribeKeyspace = notifications("keyspace", true)
  const subscribeKeyevents = notifications("keyevent", false)

  const subscribeMonitor = (options: SubscribeOptions = {}): Subscribed<MonitorLine | Extra> =>
    streamOf(
      open<MonitorLine | Extra>(
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
        open<Invalidation<K>>(
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
    ...listening<V, K, never>(codec, "none", () => undefined),
    withGaps: listening<V, K, Gap>(codec, "once", (gap) => gap),
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
  using: dual(2, <A, E, R, I>(self: Effect.Effect<A, E, R>, tag: Context.Tag<I, RedisPubSubService>) =>
    Effect.provideServiceEffect(self, RedisPubSubTag, tag)
  ),
  withCodec,
  isGap: (element: unknown): element is Gap => Predicate.isTagged(element, "Gap")
})
