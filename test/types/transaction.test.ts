/**
 * Type tests: the compiler checks them in `npm run check`, at run time they assert nothing (docs/decisions/0002).
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Option from "effect/Option"
import { Codec, Redis } from "effect-redis-client"
import type { PipelineError, RedisError, TransactionError } from "effect-redis-client/RedisError"
import { describe, expectTypeOf, it } from "vitest"

class SoldOut extends Data.TaggedError("SoldOut") {}

type Failed<E> = RedisError | TransactionError<E>

describe("transaction", () => {
  it("answers a tuple for a tuple and a record for a record", () => {
    expectTypeOf(Redis.transaction([Redis.get("a"), Redis.incr("b")])).toMatchTypeOf<
      Effect.Effect<
        [Option.Option<string>, number],
        Failed<[Either.Either<Option.Option<string>, RedisError>, Either.Either<number, RedisError>]>,
        Redis
      >
    >()
    const record = Redis.transaction({ text: Redis.get("a"), blob: Redis.withCodec(Codec.bytes).get("b") })
    expectTypeOf<Effect.Effect.Success<typeof record>>().toEqualTypeOf<{
      text: Option.Option<string>
      blob: Option.Option<Uint8Array>
    }>()
  })

  it("takes commands only, not Effects made from them", () => {
    // @ts-expect-error: an Effect over a command is not a command
    Redis.transaction([Redis.get("a").pipe(Effect.map(() => 1))])
    // @ts-expect-error: a transaction is not a command either
    Redis.transaction([Redis.transaction([Redis.get("a")])])
  })
})

describe("optimistic", () => {
  it("answers what the body's transaction answers, and adds the body's failures", () => {
    const body = Effect.gen(function* () {
      const stock = yield* Redis.get("stock")
      return stock._tag === "None" ? yield* new SoldOut() : Redis.transaction({ left: Redis.decr("stock") })
    })
    expectTypeOf(Redis.optimistic("stock", body)).toEqualTypeOf<
      Effect.Effect<{ left: number }, SoldOut | Failed<{ left: Either.Either<number, RedisError> }>, Redis>
    >()
  })

  it("takes a transaction with a deadline", () => {
    const body = Effect.succeed(Redis.transaction({ left: Redis.decr("stock") }, { deadline: "1 second" }))
    expectTypeOf<Effect.Effect.Success<ReturnType<typeof run>>>().toEqualTypeOf<{ left: number }>()
    const run = () => Redis.optimistic("stock", body)
  })

  it("infers a union from branches that return different transactions", () => {
    const body = Effect.map(Redis.get("stock"), (stock) =>
      stock._tag === "None" ? Redis.transaction([]) : Redis.transaction({ left: Redis.decr("stock") })
    )
    expectTypeOf<Effect.Effect.Success<ReturnType<typeof run>>>().toEqualTypeOf<[] | { left: number }>()
    const run = () => Redis.optimistic(["stock"], body)
  })

  it("refuses a body that runs the transaction or returns none", () => {
    const ran = Effect.flatMap(Redis.get("k"), () => Redis.transaction([Redis.incr("k")]))
    // @ts-expect-error: the body ran the transaction and returns its results, not the transaction
    Redis.optimistic("k", ran)
    // @ts-expect-error: a transaction as the body would be run, because it is an Effect
    Redis.optimistic("k", Redis.transaction([Redis.incr("k")]))
    // @ts-expect-error: a pipeline is not a transaction
    Redis.optimistic("k", Effect.succeed(Redis.pipeline([Redis.incr("k")])))
    // @ts-expect-error: a command is not a transaction
    Redis.optimistic("k", Effect.succeed(Redis.incr("k")))
    // @ts-expect-error: the body must return a transaction
    Redis.optimistic("k", Effect.asVoid(Redis.get("k")))
  })

  it("watches keys", () => {
    Redis.optimistic([], Effect.succeed(Redis.transaction([Redis.incr("k")])))
  })
})

describe("withReplication", () => {
  it("answers the commands' results in their shape, and the number of replicas reached", () => {
    const written = Redis.withReplication({ replicas: 1, timeout: "1 second" }, [Redis.incr("n"), Redis.get("a")])
    expectTypeOf<Effect.Effect.Success<typeof written>>().toMatchTypeOf<{
      readonly results: [number, Option.Option<string>]
      readonly replicas: number
      readonly local: number
    }>()
    expectTypeOf<Extract<Effect.Effect.Error<typeof written>, { _tag: "PipelineError" }>>().toEqualTypeOf<
      PipelineError<[Either.Either<number, RedisError>, Either.Either<Option.Option<string>, RedisError>]>
    >()
  })

  it("takes only durations with a unit", () => {
    // @ts-expect-error: a duration needs a unit
    Redis.withReplication({ replicas: 1, timeout: 500 }, [Redis.incr("n")])
    // @ts-expect-error: `local` is 0 or 1, because a server has one AOF
    Redis.withReplication({ replicas: 1, timeout: "1 second", aof: { local: 2 } }, [Redis.incr("n")])
  })
})
