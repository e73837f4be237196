/**
 * Dead letters: an entry that failed too often is added to another stream and acknowledged, in one transaction. Whether
 * an entry becomes one is decided by `retry.ts`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { StreamFields } from "../../commands/stream-entry.js"
import { ConnectionError, type RedisError, UsageError } from "../../RedisError.js"
import { transaction } from "../client/batch.js"
import { optimistic } from "../client/optimistic.js"
import type { Key } from "../command/args.js"
import { text } from "../command/decode.js"
import type { RedisCommand } from "../command/model.js"
import { Redis } from "../command/model.js"
import { key, make as makeCommand } from "../command/raw.js"
import { defectOf } from "../effect/cause.js"
import { liveClock } from "../effect/schedule.js"
import { streams } from "./entry.js"
import type { Group } from "./group.js"
import type { Held } from "./hand.js"
import { isUnknown } from "./persistence.js"
import type { DeadLetter } from "./settings.js"
import { pause } from "./wait.js"

const typeOf = (name: string): RedisCommand<string> =>
  makeCommand("TYPE", { args: [key(name)], readonly: true, decode: text })

const wrongType = (found: string): UsageError =>
  new UsageError({
    reason: "invalidOptions",
    message: `the key for dead letters holds a ${found}, not a stream; nothing was acknowledged`
  })

/** Fails when the key for dead letters holds something else than a stream, or is in another hash slot of a cluster. */
export const checkDeadLetter = <A>(group: Group<A>): Effect.Effect<void, RedisError> => {
  const { redis, settings } = group
  const { deadLetter, stream } = settings
  if (deadLetter === undefined) {
    return Effect.void
  }
  if (redis.slotOf !== undefined && redis.slotOf(deadLetter.stream) !== redis.slotOf(stream)) {
    return Effect.fail(otherSlot)
  }
  return Effect.flatMap(group.persist(redis.send(typeOf(deadLetter.stream))), (found) =>
    found === "none" || found === "stream" ? Effect.void : Effect.fail(wrongType(found))
  )
}

const otherSlot = new UsageError({
  reason: "crossSlot",
  command: "XADD",
  message:
    "the stream for dead letters is in another hash slot of the cluster than the stream, and a dead letter is added and " +
    "its entry acknowledged in one transaction; give both a hash tag in common, such as {orders} and {orders}:dead"
})

/** The consumer stopped, and a reply that was owed is not read any more. */
export const stopped = (): ConnectionError =>
  new ConnectionError({
    reason: "closed",
    delivery: "unknown",
    message: "the consumer stopped before the group had confirmed the acknowledgement"
  })

/**
 * Adds the dead letter and acknowledges the entry in one transaction; returns whether the entry was still this
 * consumer's. A transaction goes on when one of its commands fails, and XACK must not run without XADD: therefore the
 * key is watched, and its type is checked before.
 */
export const bury = <A>(
  group: Group<A>,
  held: Held<A>,
  cause: Cause.Cause<unknown>,
  to: DeadLetter
): Effect.Effect<boolean, RedisError> => {
  const { consumer, group: name, stream } = group.settings
  const letter: StreamFields<Key> = [
    ...held.raw.pairs,
    ["dead-letter-stream", stream],
    ["dead-letter-id", held.id],
    ["dead-letter-group", name],
    ["dead-letter-consumer", consumer],
    ["dead-letter-attempts", String(held.attempt)],
    ["dead-letter-error", nameOf(cause)]
  ]
  const add = streams.xadd(to.stream, "*", letter, to.trim)
  const body = Effect.gen(function* () {
    const redis = yield* Redis
    const found = yield* redis.send(typeOf(to.stream))
    if (found !== "none" && found !== "stream") {
      return yield* wrongType(found)
    }
    const pending = yield* redis.send(group.xpendingOne(held.id))
    return transaction(pending.length === 0 ? [] : [add, group.xack(held.id)])
  })
  let mayBeWritten = false
  const once: Effect.Effect<boolean, RedisError> = Effect.suspend(() =>
    Effect.provideService(liveClock(optimistic(to.stream, body)), Redis, group.redis)
  ).pipe(
    // When the entry is not pending any more, an EXEC whose reply was lost has buried it, if there was one.
    Effect.map((results) => (results as ReadonlyArray<unknown>).length > 0 || mayBeWritten),
    Effect.catchAll((error): Effect.Effect<boolean, RedisError> => {
      if (error._tag !== "TransactionError") {
        mayBeWritten ||= isUnknown(error)
        return Effect.fail(error)
      }
      switch (error.reason) {
        case "conflict":
          // Other consumers add many dead letters at the same time.
          return Effect.zipRight(pause(10), once)
        case "failed":
          // A command failed that no check before could foresee. The entry is made pending again before this is
          // reported.
          return Effect.zipRight(
            group.persist(group.redis.send(group.touch(held.id, { retrycount: held.attempt, force: true }))),
            Effect.fail(error.error ?? stopped())
          )
        default:
          return Effect.fail(error.error ?? stopped())
      }
    })
  )
  return group.persist(once)
}

/** What an error calls itself. Never its message, which may quote anything. */
const nameOf = (cause: Cause.Cause<unknown>): string => {
  const failure = Option.getOrElse(Cause.failureOption(cause), () => defectOf(cause))
  return Predicate.hasProperty(failure, "_tag") && typeof failure._tag === "string"
    ? failure._tag
    : failure instanceof Error
      ? failure.name
      : Cause.isInterruptedOnly(cause)
        ? "Interrupted"
        : typeof failure
}
