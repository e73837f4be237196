/**
 * The service behind all subscriptions: it checks what a program asks for and gives it to a hub. Its public face is
 * `RedisPubSub`; it stands here so that the client's layer can provide it without importing that. It does not decode
 * messages and makes no Streams.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type RedisError, UsageError } from "../../RedisError.js"
import type { DurationWithUnit } from "../command/args.js"
import * as Decode from "../command/decode.js"
import { make as makeCommand, token } from "../command/raw.js"
import * as Credentials from "../connection/credentials.js"
import { type Dial, makeDial } from "../connection/dial.js"
import { connect } from "../connection/lazyNodeTransport.js"
import { observing } from "../connection/observing.js"
import * as Options from "../connection/options.js"
import { type ReconnectSettings, reconnectSettings } from "../connection/pacer.js"
import { forker, forkerIn } from "../effect/fork.js"
import { Hub, type HubSettings } from "./hub.js"
import type { Inbox } from "./inbox.js"
import { Subscription, type SubscriptionOptions, type SubscriptionOwner } from "./subscription.js"
import { problemOf, type Target } from "./target.js"

/** What subscriptions need from their server. */
export interface RedisPubSubService {
  /** The database that the client was told to use. */
  readonly database: number
  /**
   * Subscribes, and returns the inbox once the server has confirmed everything. The scope owns the subscription. With
   * `alone` it has a connection of its own.
   */
  readonly subscribe: (
    targets: ReadonlyArray<Target>,
    options: SubscriptionOptions & { readonly alone: boolean }
  ) => Effect.Effect<Inbox, RedisError, Scope.Scope>
  /** Adds classes of events to the server's `notify-keyspace-events`. */
  readonly notify: (classes: string) => Effect.Effect<void, RedisError>
  /** Runs an effect, a log line, outside of any fiber. */
  readonly log: (effect: Effect.Effect<void>) => void
}

/** The identifier of the service in an Effect's requirements. */
export interface RedisPubSub {
  readonly _: unique symbol
}

export const RedisPubSub: Context.Tag<RedisPubSub, RedisPubSubService> = Context.GenericTag<
  RedisPubSub,
  RedisPubSubService
>("effect-redis-client/RedisPubSub")

/**
 * Options of the connections for subscriptions. They are a part of the client's options.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisPubSubOptions extends Options.ConnectionOptions {
  /**
   * How long to wait before each attempt to reconnect. The Schedule starts over when a connection that ends was ready for
   * 10 seconds or more. When the Schedule is done, the subscriptions fail. Default: from 50 ms doubling to 2 seconds, with
   * jitter, without end.
   */
  readonly reconnect?: Schedule.Schedule<unknown, RedisError> | undefined
  /** The failures after which reconnecting stops. Default: none. */
  readonly stopReconnecting?: ((error: RedisError) => boolean) | undefined
  /** What a new subscription does while there is no connection: wait for it (`queue`, the default) or `fail`. */
  readonly offline?: "queue" | "fail" | undefined
  /** How long the connection is kept after the last subscription has ended. Default: 30 seconds. */
  readonly idleTimeout?: DurationWithUnit | undefined
}

export const make = (options: RedisPubSubOptions = {}): Effect.Effect<RedisPubSubService, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const { onRotate, options: given } = yield* Credentials.source(yield* Options.resolve(options))
    const resolved = { ...given, encoding: "utf8" } as const
    const idleAfter = yield* idleAfterOf(options)
    const dial = makeDial({ options: resolved, connect, observer: yield* observing(options, resolved) })
    return yield* makeOver(dial, { reconnect: reconnectSettings(options), idleAfter, onRotate })
  })

/** What subscriptions over one dial take from their client. */
export interface OverSettings {
  readonly reconnect: ReconnectSettings
  readonly idleAfter: number
  /** Calls the listener whenever the credentials have changed. */
  readonly onRotate: (listener: () => void) => void
  /** Is given how to leave the server for another one. */
  readonly onLeave?: ((leave: (message: string) => void) => void) | undefined
}

/** Subscriptions to whichever server a dial leads to. */
export const makeOver = (
  dial: Dial,
  { idleAfter, onLeave, onRotate, reconnect }: OverSettings
): Effect.Effect<RedisPubSubService, never, Scope.Scope> =>
  Effect.gen(function* () {
    const settings: HubSettings = { dial, reconnect, idleAfter, logger: yield* forker() }
    const hubs = new Set<Hub>()
    onRotate(() => {
      for (const hub of hubs) {
        hub.renew()
      }
    })
    onLeave?.((message) => {
      for (const hub of hubs) {
        hub.abandon(message)
      }
    })
    const shared = yield* makeHub(settings, hubs)
    const own = makeHub({ ...settings, idleAfter: 0 }, hubs)
    return {
      database: dial.options.database,
      subscribe: (targets, { alone, ...rest }) =>
        alone ? Effect.flatMap(own, (hub) => subscribeOver(hub, targets, rest)) : subscribeOver(shared, targets, rest),
      notify: (classes) => notify(dial, classes),
      log: (effect) => shared.log(effect)
    }
  })

/** How long an idle connection is kept, in milliseconds. */
export const idleAfterOf = ({ idleTimeout }: RedisPubSubOptions): Either.Either<number, UsageError> =>
  idleTimeout === undefined ? Either.right(30_000) : Options.checkDuration(idleTimeout, "idleTimeout")

/** The hub is a member of `hubs` until the scope closes it. */
export const makeHub = (settings: HubSettings, hubs: Set<Hub>): Effect.Effect<Hub, never, Scope.Scope> =>
  Effect.flatMap(Effect.flatMap(Effect.scope, forkerIn), (fork) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const hub = new Hub(settings, fork)
        hubs.add(hub)
        return hub
      }),
      (hub) =>
        Effect.sync(() => {
          hubs.delete(hub)
          hub.close()
        })
    )
  )

/** What feeds subscriptions: a hub, or several. */
export interface Feeder extends SubscriptionOwner {
  readonly add: (subscription: Subscription, targets: ReadonlyArray<Target>) => void
}

export const subscribeOver = (
  hub: Feeder,
  targets: ReadonlyArray<Target>,
  options: SubscriptionOptions
): Effect.Effect<Inbox, RedisError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (targets.length === 0) {
        return Effect.fail(withoutNames())
      }
      for (const target of targets) {
        const problem = problemOf(target)
        if (problem !== undefined) {
          return Effect.fail(problem)
        }
      }
      const subscription = new Subscription(hub, targets, options)
      hub.add(subscription, targets)
      subscription.begin()
      const end = Effect.sync(() => {
        hub.remove(subscription)
        subscription.finish()
      })
      return Effect.addFinalizer(() => end).pipe(
        Effect.zipRight(restore(subscription.confirmed)),
        Effect.onError(() => end),
        Effect.as(subscription.inbox)
      )
    })
  )

const withoutNames = (): UsageError =>
  new UsageError({ reason: "invalidArgument", message: "a subscription needs at least one name" })

/** Uses a connection of its own: under RESP2 a connection with subscriptions cannot send CONFIG. */
export const notify = (dial: Dial, classes: string): Effect.Effect<void, RedisError> =>
  /^[KEg$lshzxetdmnocrA]+$/.test(classes)
    ? Effect.acquireUseRelease(
        Effect.uninterruptibleMask((restore) => dial.open({ restore })),
        (link) =>
          Effect.flatMap(link.send(configGet), ([, now = ""]) => {
            const has = (letter: string): boolean =>
              now.includes(letter) || (now.includes("A") && includedInA.test(letter))
            const missing = [...new Set(classes)].filter((letter) => !has(letter)).join("")
            return missing === ""
              ? Effect.void
              : Effect.asVoid(
                  link.send(makeCommand("CONFIG SET", { args: [token("notify-keyspace-events"), now + missing] }))
                )
          }),
        (link) => link.close(dial.options.closeTimeout)
      )
    : Effect.fail(
        new UsageError({
          reason: "invalidOptions",
          message: "notify must be letters of notify-keyspace-events, such as KEA"
        })
      )

/** The classes for which the letter A stands. */
const includedInA = /[g$lshzxetd]/

const configGet = makeCommand("CONFIG GET", {
  args: [token("notify-keyspace-events")],
  decode: (reply) => Decode.flatEntries(reply).map(Decode.text)
})
