/**
 * Type tests: the compiler checks them in `npm run check`, at run time they assert nothing (docs/decisions/0002).
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Codec from "effect-redis-client/Codec"
import * as RedisError from "effect-redis-client/RedisError"
import { describe, expectTypeOf, it } from "vitest"

describe("Codec", () => {
  it("infers what it carries", () => {
    expectTypeOf(Codec.utf8).toEqualTypeOf<Codec.Codec<string>>()
    expectTypeOf(Codec.bytes).toEqualTypeOf<Codec.Codec<Uint8Array, Uint8Array>>()
    expectTypeOf(Codec.json).toEqualTypeOf<Codec.Codec<unknown>>()
    const user = Codec.schema(Schema.Struct({ name: Schema.String, age: Schema.NumberFromString }))
    expectTypeOf(user).toEqualTypeOf<Codec.Codec<{ readonly name: string; readonly age: number }>>()
  })

  it("takes no schema that needs services", () => {
    const schema = Schema.declare((u): u is string => typeof u === "string") as Schema.Schema<
      string,
      string,
      "Database"
    >
    // @ts-expect-error: it would need a Database to encode
    Codec.schema(schema)
  })
})

describe("RedisError", () => {
  it("is a closed union of tags", () => {
    expectTypeOf<RedisError.RedisError["_tag"]>().toEqualTypeOf<
      | "ReplyError"
      | "ProtocolError"
      | "ConnectionError"
      | "DeadlineError"
      | "DecodeError"
      | "UsageError"
      | "OverflowError"
    >()
  })

  it("says whether a command may have been carried out where that is in question", () => {
    expectTypeOf<RedisError.ConnectionError["delivery"]>().toEqualTypeOf<"unsent" | "unknown">()
    expectTypeOf<RedisError.DeadlineError["delivery"]>().toEqualTypeOf<"unsent" | "unknown">()
    // @ts-expect-error: a reply was read, so the command was
    expectTypeOf<RedisError.ReplyError["delivery"]>()
  })

  it("adds what the handler of a code gives, and its errors", () => {
    const reading = Effect.fail(null as unknown as RedisError.RedisError) as Effect.Effect<
      string,
      RedisError.RedisError
    >
    expectTypeOf(reading.pipe(RedisError.catchCode("WRONGTYPE", () => Effect.succeed(0)))).toEqualTypeOf<
      Effect.Effect<string | number, RedisError.RedisError>
    >()
    expectTypeOf(RedisError.catchCode(reading, ["NOSCRIPT", "LOADING"], () => Effect.fail("no"))).toEqualTypeOf<
      Effect.Effect<string, string | RedisError.RedisError>
    >()
  })
})
