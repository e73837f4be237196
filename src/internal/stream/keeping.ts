/**
 * Keeps entries in hand from being claimed by other consumers: renews their idle time, and finds out which entries
 * other consumers have claimed nevertheless. It ends no handler.
 */
import * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import { batchSize, type Group } from "./group.js"
import type { Hand, Held } from "./hand.js"
import { pause } from "./wait.js"

/** Renews every `keepEvery`, without end. */
export const keep = <A>(group: Group<A>, hand: Hand<A>): Effect.Effect<never, RedisError> =>
  Effect.suspend(() => {
    const { keepEvery } = group.settings
    /** Entries that were reported as taken: each is reported once. */
    const reported = new WeakSet<Held<A>>()
    return Effect.gen(function* () {
      while (true) {
        yield* pause(keepEvery)
        const inHand = hand.entries.filter(({ state }) => state !== "handled")
        const ours = yield* group.deliveries(inHand.map(({ id }) => id))
        const gone = inHand.filter(
          (held) => !ours.has(held.id) && held.state !== "handled" && held.state !== "dropped" && !reported.has(held)
        )
        for (const held of gone) {
          reported.add(held)
        }
        yield* takenAway(group, hand, gone)
        const kept = inHand.filter(({ id, state }) => ours.has(id) && state !== "handled" && state !== "dropped")
        for (let at = 0; at < kept.length; at += batchSize) {
          const [first, ...rest] = kept.slice(at, at + batchSize).map(({ id }) => id)
          if (first !== undefined) {
            // An entry that another consumer claimed a moment ago has been idle for less, and stays with that consumer.
            yield* group.persist(group.redis.send(group.touch([first, ...rest], {}, Math.floor(keepEvery / 2))))
          }
        }
      }
    })
  })

/**
 * Entries in hand that another consumer claimed or acknowledged. Those that no handler has begun are dropped; handlers
 * that run go on.
 */
export const takenAway = <A>(group: Group<A>, hand: Hand<A>, taken: ReadonlyArray<Held<A>>): Effect.Effect<void> =>
  Effect.suspend(() => {
    for (const held of taken) {
      if (held.state === "ready" || held.state === "waiting") {
        hand.drop(held)
      }
    }
    return taken.length === 0 ? Effect.void : group.report({ _tag: "Taken", ids: taken.map(({ id }) => id) })
  })
