/**
 * A leaderboard: a sorted set keeps members in the order of their scores.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Option, Redacted } from "effect"
import { Redis } from "effect-redis-client"

const board = "example:board"

/** Keeps a player's best result. With `gt` a lower score changes nothing. */
const submit = (player: string, points: number) => Redis.zadd(board, [[player, points]], { gt: true })

const top = (count: number) => Redis.zrange(board, 0, count - 1, { rev: true, withscores: true })

/** A player's place, from 1, with who is just above and just below. */
const around = (player: string) =>
  Effect.gen(function* () {
    const place = yield* Redis.zrevrank(board, player)
    if (Option.isNone(place)) {
      return yield* Effect.succeedNone
    }
    const first = Math.max(0, place.value - 1)
    const neighbours = yield* Redis.zrange(board, first, place.value + 1, { rev: true, withscores: true })
    return Option.some({ place: place.value + 1, neighbours })
  })

const program = Effect.gen(function* () {
  yield* Redis.del(board)
  yield* Redis.pipeline([submit("ada", 90), submit("bob", 70), submit("cyd", 80), submit("dan", 60), submit("ada", 50)])

  for (const [player, points] of yield* top(3)) {
    yield* Console.log(`${player} ${points}`)
  }

  const bonus = yield* Redis.zincrby(board, 15, "dan")
  yield* Console.log(`dan has ${bonus} now`)

  const dan = yield* around("dan")
  if (Option.isSome(dan)) {
    const names = dan.value.neighbours.map(([player]) => player)
    yield* Console.log(`dan is number ${dan.value.place}, among ${names.join(", ")}`)
  }

  const passed = yield* Redis.zcount(board, Redis.range.exclusive(70), Redis.range.highest)
  yield* Console.log(`above 70: ${passed}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   ada 90
//   cyd 80
//   bob 70
//   dan has 75 now
//   dan is number 3, among cyd, dan, bob
//   above 70: 3
