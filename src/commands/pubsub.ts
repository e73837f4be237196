/**
 * Publishing, and what the server reports about subscribers. To subscribe, use `RedisPubSub`.
 *
 * @see https://redis.io/docs/latest/commands/?group=pubsub
 * @since 0.1.0
 */
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"

/**
 * How many clients have subscribed to a channel by its name. Subscriptions by pattern do not count.
 *
 * @since 0.1.0
 * @category models
 */
export interface ChannelSubscribers<out K = string> {
  readonly channel: K
  readonly subscribers: number
}

/**
 * The commands on channels.
 *
 * @since 0.1.0
 * @category models
 */
export interface PubsubCommands<V, K> {
  /**
   * Subscribes to every channel whose name matches a pattern. This is the raw command, which shared connections refuse;
   * use `RedisPubSub.psubscribe` instead.
   *
   * O(N) in the patterns. Since Redis 2.0.0.
   */
  readonly psubscribe: (patterns: OneOrMany<Key>) => RedisCommand<void>

  /**
   * Sends a message to the subscribers of a channel, and returns how many clients of this server received it.
   *
   * O(N + M) in the channel's subscribers and all patterns subscribed to. Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.publish("news", "hello")
   * ```
   */
  readonly publish: (channel: Key, message: V) => RedisCommand<number>

  /**
   * The channels with at least one subscriber by name: all, or those that match a pattern.
   *
   * O(N) in the channels. Since Redis 2.8.0.
   */
  readonly pubsubChannels: (options?: { readonly pattern?: Key | undefined }) => RedisCommand<Array<K>>

  /**
   * The number of different patterns that clients have subscribed to.
   *
   * O(1). Since Redis 2.8.0.
   */
  readonly pubsubNumpat: () => RedisCommand<number>

  /**
   * The number of subscribers of each of these channels.
   *
   * O(N) in the given channels. Since Redis 2.8.0.
   */
  readonly pubsubNumsub: (channels: OneOrMany<Key>) => RedisCommand<Array<ChannelSubscribers<K>>>

  /**
   * The shard channels with at least one subscriber: all, or those that match a pattern.
   *
   * O(N) in the shard channels. Since Redis 7.0.0.
   */
  readonly pubsubShardchannels: (options?: { readonly pattern?: Key | undefined }) => RedisCommand<Array<K>>

  /**
   * The number of subscribers of each of these shard channels.
   *
   * O(N) in the given channels. Since Redis 7.0.0.
   */
  readonly pubsubShardnumsub: (channels: OneOrMany<Key>) => RedisCommand<Array<ChannelSubscribers<K>>>

  /**
   * Ends subscriptions to patterns. This is the raw command, which shared connections refuse. A subscription on a
   * `Connection` of its own ends with its scope. A connection refuses the command without patterns (which would end all
   * subscriptions), because the number of confirmations to expect is unknown.
   *
   * O(N) in the patterns. Since Redis 2.0.0.
   */
  readonly punsubscribe: (patterns?: OneOrMany<Key>) => RedisCommand<void>

  /**
   * Sends a message to the subscribers of a shard channel, within the shard that owns the channel's slot. Returns how
   * many clients of this server received it.
   *
   * O(N) in the channel's subscribers. Since Redis 7.0.0.
   */
  readonly spublish: (channel: Key, message: V) => RedisCommand<number>

  /**
   * Subscribes to shard channels. This is the raw command, which shared connections refuse; use
   * `RedisPubSub.ssubscribe` instead.
   *
   * O(N) in the channels. Since Redis 7.0.0.
   */
  readonly ssubscribe: (channels: OneOrMany<Key>) => RedisCommand<void>

  /**
   * Subscribes to channels. This is the raw command, which shared connections refuse; use `RedisPubSub.subscribe`
   * instead.
   *
   * O(N) in the channels. Since Redis 2.0.0.
   */
  readonly subscribe: (channels: OneOrMany<Key>) => RedisCommand<void>

  /**
   * Ends subscriptions to shard channels. This is the raw command, which shared connections refuse. A subscription on a
   * `Connection` of its own ends with its scope. A connection refuses the command without channels (which would end all
   * subscriptions), because the number of confirmations to expect is unknown.
   *
   * O(N) in the channels. Since Redis 7.0.0.
   */
  readonly sunsubscribe: (channels?: OneOrMany<Key>) => RedisCommand<void>

  /**
   * Ends subscriptions to channels. This is the raw command, which shared connections refuse. A subscription on a
   * `Connection` of its own ends with its scope. A connection refuses the command without channels (which would end all
   * subscriptions), because the number of confirmations to expect is unknown.
   *
   * O(N) in the channels. Since Redis 2.0.0.
   */
  readonly unsubscribe: (channels?: OneOrMany<Key>) => RedisCommand<void>
}

const PSUBSCRIBE = define("PSUBSCRIBE")
const PUBLISH = define("PUBLISH")
const PUBSUB_CHANNELS = define("PUBSUB CHANNELS")
const PUBSUB_NUMPAT = define("PUBSUB NUMPAT")
const PUBSUB_NUMSUB = define("PUBSUB NUMSUB")
const PUBSUB_SHARDCHANNELS = define("PUBSUB SHARDCHANNELS")
const PUBSUB_SHARDNUMSUB = define("PUBSUB SHARDNUMSUB")
const PUNSUBSCRIBE = define("PUNSUBSCRIBE")
const SPUBLISH = define("SPUBLISH")
const SSUBSCRIBE = define("SSUBSCRIBE")
const SUBSCRIBE = define("SUBSCRIBE")
const SUNSUBSCRIBE = define("SUNSUBSCRIBE")
const UNSUBSCRIBE = define("UNSUBSCRIBE")

const channels = (input: OneOrMany<Key>) => args().some("channel", input, (args, channel) => args.channel(channel))

/** Patterns over channels. The argument kind `pattern` is for patterns over keys. */
const patterns = (input: OneOrMany<Key>) => args().some("pattern", input, (args, pattern) => args.channel(pattern))

/** A confirmation only repeats what the command asked for. */
const confirmation: Decode.Decoder<void> = () => undefined

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): PubsubCommands<V, K> => {
  const text = codec.wants === "text"
  const name = Report.name(codec)
  const names = Decode.array(name)
  const counts = Decode.entries(name, Report.integer)
  const subscribers: Decode.Decoder<Array<ChannelSubscribers<K>>> = (reply) =>
    counts(reply).map(([channel, subscribers]) => ({ channel, subscribers }))
  const matching = (options: { readonly pattern?: Key | undefined } | undefined) =>
    args().when(options?.pattern, (args, pattern) => args.channel(pattern))

  return {
    psubscribe: (input) => PSUBSCRIBE(patterns(input), confirmation),
    publish: (channel, message) => PUBLISH(args().channel(channel).value(codec, message), Decode.integer),
    pubsubChannels: (options) => PUBSUB_CHANNELS(matching(options), names, text),
    pubsubNumpat: () => PUBSUB_NUMPAT(args(), Decode.integer),
    pubsubNumsub: (input) => PUBSUB_NUMSUB(channels(input), subscribers, text),
    pubsubShardchannels: (options) => PUBSUB_SHARDCHANNELS(matching(options), names, text),
    pubsubShardnumsub: (input) => PUBSUB_SHARDNUMSUB(channels(input), subscribers, text),
    punsubscribe: (input) => PUNSUBSCRIBE(input === undefined ? args() : patterns(input), confirmation),
    spublish: (channel, message) => SPUBLISH(args().channel(channel).value(codec, message), Decode.integer),
    ssubscribe: (input) => SSUBSCRIBE(channels(input), confirmation),
    subscribe: (input) => SUBSCRIBE(channels(input), confirmation),
    sunsubscribe: (input) => SUNSUBSCRIBE(input === undefined ? args() : channels(input), confirmation),
    unsubscribe: (input) => UNSUBSCRIBE(input === undefined ? args() : channels(input), confirmation)
  }
}
