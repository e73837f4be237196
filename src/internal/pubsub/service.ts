/**
 * The service behind every subscription. Public as `RedisPubSub`; here so that the client can provide it without knowing
 * what is made of it.
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
import * as Options from "../connection/options.js"
import { reconnectSettings } from "../connection/pacer.js"
import { currentObserver } from "../telemetry/observer.js"
import { Hub, type HubSettings, problemOf, type SubscriptionOptions, type Target } from "./hub.js"
import type { Inbox } from "./inbox.js"

/** What subscriptions need of their server. */
export interface RedisPubSubService {
  /** The database that the client was told to use. */
  readonly database: number
  /**
   * Subscribes, and answers what comes, once the server has confirmed everything. The scope owns it. With `alone` it has
   * a connection to itself.
   */
  readonly open: (
    targets: ReadonlyArray<Target>,
    options: SubscriptionOptions & { readonly alone: boolean }
  ) => Effect.Effect<Inbox, RedisError, Scope.Scope>
  /** Adds to the server's `notify-keyspace-events`. */
  readonly notify: (classes: string) => Effect.Effect<void, RedisError>
  /** Logs from where no fiber is. */
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
 * Options of subscriptions' connections: those of the client, of which they are a part.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisPubSubOptions extends Options.ConnectionOptions {
  /**
   * How long to wait before each attempt to reconnect. It starts over once a connection was ready for 10 seconds; when
   * it is done, the subscriptions fail. Default: from 50 ms doubling to 2 seconds, with jitter, without end.
   */
  readonly reconnect?: Schedule.Schedule<unknown, RedisError> | undefined
  /** Failures after which there are no more attempts, once there was a connection. Default: none. */
  readonly stopReconnecting?: ((error: RedisError) => boolean) | undefined
  /** What a new subscription does while the connection is being replaced: wait (`queue`, the default) or `fail`. */
  readonly offline?: "queue" | "fail" | undefined
  /** How long the connection is kept when nobody listens any more. Default: 30 seconds. */
  readonly idleTimeout?: DurationWithUnit | undefined
}

export const make = (options: RedisPubSubOptions = {}): Effect.Effect<RedisPubSubService, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const { options: given } = yield* Credentials.source(yield* Options.resolve(options))
    const resolved = { ...given, encoding: "utf8" } as const
    const idleAfter = yield* options.idleTimeout === undefined
      ? Either.right(30_000)
      : Options.checkDuration(options.idleTimeout, "idleTimeout")
    const dial = makeDial({ options: resolved, connect, observer: yield* currentObserver })
    const settings: HubSettings = {
      dial,
      reconnect: reconnectSettings(options),
      idleAfter,
      runtime: yield* Effect.runtime<never>()
    }
    const hub = yield* makeHub(settings)
    return {
      database: resolved.database,
      open: (targets, { alone, ...rest }) =>
        alone
          ? Effect.flatMap(makeHub({ ...settings, idleAfter: 0 }), (own) => open(own, targets, rest))
          : open(hub, targets, rest),
      notify: (classes) => notify(dial, classes),
      log: (effect) => hub.log(effect)
    }
  })

const makeHub = (settings: HubSettings): Effect.Effect<Hub, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.acquireRelease(
      Effect.sync(() => new Hub(settings, scope)),
      (hub) => Effect.sync(() => hub.shut())
    )
  )

const open = (
  hub: Hub,
  targets: ReadonlyArray<Target>,
  options: SubscriptionOptions
): Effect.Effect<Inbox, RedisError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (targets.length === 0) {
        return Effect.fail(nothingNamed)
      }
      for (const target of targets) {
        const problem = problemOf(target)
        if (problem !== undefined) {
          return Effect.fail(problem)
        }
      }
      const subscription = hub.join(targets, options)
      const leave = Effect.sync(() => {
        hub.leave(subscription)
        subscription.finish()
      })
      return Effect.addFinalizer(() => leave).pipe(
        Effect.zipRight(restore(subscription.confirmed)),
        Effect.onError(() => leave),
        Effect.as(subscription.inbox)
      )
    })
  )

const nothingNamed = new UsageError({ reason: "invalidArgument", message: "a subscription needs at least one name" })

/** A connection for two commands: what is subscribed under RESP2 could not send them. */
const notify = (dial: Dial, classes: string): Effect.Effect<void, RedisError> =>
  /^[KEg$lshzxetdmnocrA]+$/.test(classes)
    ? Effect.acquireUseRelease(
        Effect.uninterruptibleMask((restore) => dial.open({ restore })),
        (link) =>
          Effect.flatMap(link.send(configGet), ([, now = ""]) => {
            const has = (letter: string): boolean => now.includes(letter) || (now.includes("A") && all.test(letter))
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

/** What the letter A stands for. */
const all = /[g$lshzxetd]/

const configGet = makeCommand("CONFIG GET", {
  args: [token("notify-keyspace-events")],
  decode: (reply) => Decode.flatEntries(reply).map(Decode.text)
})
