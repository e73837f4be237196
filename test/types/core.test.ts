/**
 * Type tests: the compiler checks them in `npm run check`, at run time they assert nothing (docs/decisions/0002).
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Codec from "effect-redis-client/Codec"
import * as RedisError from "effect-redis-client/RedisError"
import { describe, expectTypeOf, it } from "vitest"

describe("Codec", () => {
  it("infers the type of its values", () => {
    expectTypeOf(Codec.utf8).toEqualTypeOf<Codec.Codec<string>>()
    expectTypeOf(Codec.bytes).toEqualTypeOf<Codec.Codec<Uint8Array, Uint8Array>>()
    expectTypeOf(Codec.json).toEqualTypeOf<Codec.Codec<unknown>>()
    const user = Codec.schema(Schema.Struct({ name: Schema.String, age: Schema.NumberFromString }))
    expectTypeOf(user).toEqualTypeOf<Codec.Codec<{ readonly name: string; readonly age: number }>>()
  })

  it("refuses a schema that needs services", () => {
    const schema = Schema.declare((u): u is string => typeof u === "string") as Schema.Schema<
      string,
      string,
      "Database"
    >
    // @ts-expect-error: the schema needs a Database service to encode
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
      | "PartialError"
    >()
  })

  it("has `delivery` only on errors after which the command may or may not have been executed", () => {
    expectTypeOf<RedisError.ConnectionError["delivery"]>().toEqualTypeOf<"unsent" | "unknown">()
    expectTypeOf<RedisError.DeadlineError["delivery"]>().toEqualTypeOf<"unsent" | "unknown">()
    // @ts-expect-error: a ReplyError has no `delivery`, because the command was executed
    expectTypeOf<RedisError.ReplyError["delivery"]>()
  })

  it("catching a code adds the handler's result and errors to the type", () => {
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
