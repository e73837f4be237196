/**
 * Removes consumers of the group that are not used any more. XGROUP DELCONSUMER forgets what is pending for a consumer, so
 * a script asks and removes in one step: what a consumer got in between would be lost otherwise. A consumer that still runs
 * loses nothing by it, since its next read makes it again.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RedisError } from "../../RedisError.js"
import { integer } from "../command/decode.js"
import type { RedisCommand } from "../command/model.js"
import { key, make as makeCommand } from "../command/raw.js"
import { utf8Escape } from "../resp/text.js"
import { infos } from "./entry.js"
import type { Group } from "./group.js"
import { pause } from "./wait.js"

const source = `
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then
  return 0
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1`

/** Executing it twice is the same as once. */
const remove = (stream: string, group: string, consumer: Uint8Array): RedisCommand<number> =>
  makeCommand("EVAL", { args: [source, 1, key(stream), group, consumer], decode: integer })

/** Removes consumers that have been idle for `millis`, now and then every half of that. */
export const removeIdle = <A>(group: Group<A>, millis: number): Effect.Effect<never, RedisError> => {
  const { consumer: own, group: name, stream } = group.settings
  return Effect.gen(function* () {
    while (true) {
      const removed: Array<string> = []
      for (const { idle, name: consumer, pending } of yield* group.persist(
        group.redis.send(infos.xinfoConsumers(stream, name))
      )) {
        const idleFor = Option.getOrElse(Option.map(idle, Duration.toMillis), () => 0)
        const shown = utf8Escape(consumer, 0, consumer.length)
        if (Option.contains(pending, 0) && idleFor >= millis && shown !== own) {
          if ((yield* group.persist(group.redis.send(remove(stream, name, consumer)))) === 1) {
            removed.push(shown)
          }
        }
      }
      if (removed.length > 0) {
        yield* group.report({ _tag: "Removed", consumers: removed })
      }
      yield* pause(Math.ceil(millis / 2))
    }
  })
}
