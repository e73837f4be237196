/**
 * How a lock or a permit is obtained: the contender waits for its turn in this process, asks the server, and asks again when
 * it may be free. It stops at any point without leaving anything behind: not its place in the line, and not a lock that was
 * obtained for nobody.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isUnsent, type RedisError } from "../../RedisError.js"
import { args } from "../command/args.js"
import { define } from "../command/command.js"
import { integer } from "../command/decode.js"
import type { RedisCommand, RedisService } from "../command/model.js"
import { type Forker, forker } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { RedisPubSubService } from "../pubsub/service.js"
import { Held, patience, release, validity, within } from "./held.js"
import { Turn } from "./line.js"
import { LockError } from "./lockError.js"
import { type Answer, publishOf, type Resource } from "./resource.js"

/** Options of a contender, checked. Durations are milliseconds. */
export interface Settings {
  readonly ttl: number
  /** For how long it waits. Infinity: for ever. */
  readonly wait: number
  readonly replicas: Replicas | undefined
}

/** How many replicas must have a lock, and for how long they are waited for, in milliseconds. */
export interface Replicas {
  readonly count: number
  readonly millis: number
}

/** What a contender needs of its program. */
export interface World {
  readonly redis: RedisService
  readonly pubsub: Option.Option<RedisPubSubService>
}

/** How long a contender waits between two questions where no message of the server wakes it, in milliseconds. */
const pollEvery = 100

/** How long it waits where messages do wake it: one may be lost. */
const longestPause = 1_000

/** Different processes ask at different times. */
const jitter = (): number => Math.random() * 25

let seed = ""
let made = 0

/** A token is different from all others, of this process and of others. */
const newToken = (): string => {
  seed ||= [...globalThis.crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
  made++
  return `${seed}-${made}`
}

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** What one question to the server came to. */
type Outcome = Held | LockError | Extract<Answer, { readonly _tag: "Taken" }>

/** One question to the server. A grant that came too late, or that too few replicas have, is given back. */
const attempt = (
  { redis }: World,
  resource: Resource,
  { replicas, ttl }: Settings,
  fork: Forker,
  millis: number,
  restore: Restore
): Effect.Effect<Outcome, RedisError> =>
  Effect.suspend(() => {
    const token = newToken()
    const sent = Timers.now()
    const giveBack = () => release({ redis, resource, token, ttl })
    const acquire = resource.acquire(token, ttl)
    const asked =
      replicas === undefined
        ? within(redis, acquire, millis)
        : replicated(redis, acquire, replicas, resource, millis, giveBack)
    const granted = (answer: Answer | LockError): Effect.Effect<Outcome> => {
      if (answer._tag === "Taken") {
        return Effect.succeed(answer)
      }
      if (answer._tag === "LockError") {
        return Effect.as(giveBack(), answer)
      }
      return Timers.now() < sent + validity(ttl)
        ? Effect.sync(() => new Held({ redis, resource, ttl, token, fence: answer.fence, sent, fork }))
        : Effect.as(giveBack(), { _tag: "Taken", expires: 0, channel: "" })
    }
    return Effect.onExit(restore(asked), (exit) =>
      // Nobody knows whether it was executed. Also where the server refused it: it may have been sent twice, or a part of the
      // script may have been executed before.
      Exit.isFailure(exit) && mayHold(exit.cause) ? giveBack() : Effect.void
    ).pipe(Effect.flatMap(granted))
  })

const mayHold = (cause: Cause.Cause<RedisError>): boolean => {
  const error = Cause.failureOption(cause)
  return Option.isNone(error) || !isUnsent(error.value)
}

const WAIT = define("WAIT")

/** Asks on a connection of its own, because WAIT speaks of the writes of its connection. */
const replicated = (
  redis: RedisService,
  acquire: RedisCommand<Answer>,
  { count, millis }: Replicas,
  { name }: Resource,
  patience: number,
  giveBack: () => Effect.Effect<void>
): Effect.Effect<Answer | LockError, RedisError> =>
  Effect.scoped(
    Effect.flatMap(redis.lease, (leased) =>
      Effect.flatMap(
        within(leased, acquire, patience),
        (answer): Effect.Effect<Answer | LockError, RedisError> =>
          answer._tag === "Taken"
            ? Effect.succeed(answer)
            : Effect.map(
                Effect.tapErrorCause(leased.send(WAIT(args().integer(count).integer(millis), integer)), giveBack),
                (reached) =>
                  reached >= count
                    ? answer
                    : new LockError({
                        reason: "replicas",
                        resource: name,
                        message: `it was given back: ${reached} of ${count} replicas had it within ${millis} milliseconds`
                      })
              )
      )
    )
  )

/** Asks once. `undefined`: it is taken. */
export const tryOnce = (world: World, resource: Resource, settings: Settings, restore: Restore) =>
  Effect.flatMap(forker(), (fork) =>
    Effect.flatMap(
      attempt(world, resource, settings, fork, patience, restore),
      (result): Effect.Effect<Held | undefined, LockError> =>
        result instanceof LockError ? Effect.fail(result) : Effect.succeed(result instanceof Held ? result : undefined)
    )
  )

/** Waits until it is obtained. */
export const contend = (
  world: World,
  resource: Resource,
  settings: Settings,
  restore: Restore
): Effect.Effect<Held, LockError | RedisError> =>
  Effect.suspend(() => {
    const turn = new Turn()
    const until = Timers.now() + settings.wait
    return Effect.ensuring(
      obtain(world, resource, settings, restore, turn, until),
      Effect.sync(() => turn.leave())
    )
  })

const obtain = Effect.fnUntraced(function* (
  world: World,
  resource: Resource,
  settings: Settings,
  restore: Restore,
  turn: Turn,
  until: number
) {
  const { pubsub, redis } = world
  const fork = yield* forker()
  if (!turn.takeNow(redis, resource.key)) {
    yield* restore(turn.take(redis, resource.key, settings.wait))
  }
  while (true) {
    const { at: line } = turn
    const left = until - Timers.now()
    if (line === undefined || left <= 0) {
      return yield* timedOut(resource, settings)
    }
    // Read before the question: a release after the server's answer is not missed.
    const seen = line.signals
    const result = yield* Effect.catchTag(
      attempt(world, resource, settings, fork, left, restore),
      "DeadlineError",
      (error): Effect.Effect<never, LockError | RedisError> =>
        Timers.now() >= until ? timedOut(resource, settings) : Effect.fail(error)
    )
    if (result instanceof Held) {
      return result
    }
    if (result instanceof LockError) {
      return yield* result
    }
    if (pubsub._tag === "Some" && result.channel !== "") {
      const kind = publishOf(redis) === "SPUBLISH" ? "ssubscribe" : "subscribe"
      line.listen(pubsub.value, { kind, name: result.channel }, fork)
    }
    const pause = line.listening ? longestPause : pollEvery
    const expires = result.expires < 0 ? pause : Math.min(pause, result.expires)
    yield* restore(line.wait(seen, Math.min(expires + jitter(), until - Timers.now())))
  }
})

const timedOut = ({ kind, name }: Resource, { wait }: Settings): Effect.Effect<never, LockError> =>
  Effect.suspend(() =>
    Effect.fail(
      new LockError({
        reason: "timeout",
        resource: name,
        message: `${kind === "lock" ? "The lock" : "A permit of the semaphore"} was not free within ${wait} milliseconds`
      })
    )
  )
