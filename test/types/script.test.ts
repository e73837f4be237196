/** What compiles of scripts and functions, and what does not: see core.test.ts. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Codec, Redis, RedisFunction, RedisScript, type Resp } from "effect-redis-client"
import { describe, expectTypeOf, it } from "vitest"
import type { RedisCommand } from "../../src/RedisCommand.js"

const source = "return 1"
const strings: ReadonlyArray<string> = []

describe("RedisScript and RedisFunction", () => {
  it("have the answer of their result schema", () => {
    expectTypeOf(RedisScript.make({ source, keys: 0 })()).toEqualTypeOf<RedisCommand<Resp.Reply>>()
    expectTypeOf(RedisScript.make({ source, keys: 0, result: Schema.Int })()).toEqualTypeOf<RedisCommand<number>>()
    const maybe = RedisScript.make({ source, keys: 0, result: Schema.OptionFromNullOr(Schema.Date) })
    expectTypeOf(maybe()).toEqualTypeOf<RedisCommand<Option.Option<Date>>>()
    const read = RedisScript.make({ source, keys: 0, result: (reply) => ({ none: reply === null }) })
    expectTypeOf(read()).toEqualTypeOf<RedisCommand<{ none: boolean }>>()
    const fn = RedisFunction.make("f", { keys: 1, result: Schema.Array(Schema.String), readonly: true })
    expectTypeOf(fn("k")).toEqualTypeOf<RedisCommand<ReadonlyArray<string>>>()
    const batch = Redis.pipeline({ a: fn("k"), b: maybe() })
    expectTypeOf<Effect.Effect.Success<typeof batch>>().toEqualTypeOf<{
      a: ReadonlyArray<string>
      b: Option.Option<Date>
    }>()
  })

  it("infer types from schemas written in place", () => {
    const script = RedisScript.make({
      source,
      keys: 0,
      args: [Schema.String.pipe(Schema.filter((text) => text.length > 1))],
      rest: Schema.transform(Schema.String, Schema.Number, {
        decode: (text) => Number(text),
        encode: (n) => String(n)
      }),
      result: Schema.transform(Schema.Number, Schema.Boolean, {
        decode: (n) => n > 0,
        encode: (b) => Number(b)
      })
    })
    expectTypeOf(script).parameters.toEqualTypeOf<[string, ...Array<number>]>()
    expectTypeOf(script("ab", 1, 2)).toEqualTypeOf<RedisCommand<boolean>>()
  })

  it("take exactly their number of keys, or a list of any length", () => {
    const two = RedisScript.make({ source, keys: 2, args: [Schema.DurationFromMillis] })
    type Key = string | Uint8Array
    expectTypeOf(two).parameters.toEqualTypeOf<[Key, Key, Duration.Duration]>()
    const none = RedisScript.make({ source, keys: 0 })
    none()
    // @ts-expect-error: the script takes no key
    none("k")
    const one = RedisScript.make({ source, keys: 1 })
    one("k")
    // @ts-expect-error: the key is missing
    one()
    // @ts-expect-error: one key too many
    one("k", "l")
    // @ts-expect-error: one key is not a list
    one(["k"])
    const any = RedisScript.make({ source, keys: "any", args: [Schema.String] })
    any("k", "a")
    any(["k", "l"], "a")
    any(strings, "a")
    // @ts-expect-error: with any number of keys, they are passed as one list
    any("k", "l", "a")
    // @ts-expect-error: the number of keys is required
    RedisScript.make({ source })
    // @ts-expect-error: "some" is not a number of keys
    RedisFunction.make("f", { keys: "some" })
    // @ts-expect-error: the number of keys must be an integer
    RedisScript.make({ source, keys: 0.5 })()
    // @ts-expect-error: the number of keys must be a literal
    RedisScript.make({ source, keys: strings.length })("k")
  })

  it("take arguments whose schemas encode to text, a number or bytes", () => {
    const typed = RedisScript.make({ source, keys: 1, args: [Schema.Int, Codec.bytes] })
    typed("k", 1, new Uint8Array())
    // @ts-expect-error: the first argument must be a number
    typed("k", "1", new Uint8Array())
    // @ts-expect-error: the second argument must be bytes
    typed("k", 1, "bytes")
    // @ts-expect-error: an argument is missing
    typed("k", 1)
    // @ts-expect-error: a struct has no form as text without Schema.parseJson or Codec.schema
    RedisScript.make({ source, keys: 1, args: [Schema.Struct({ a: Schema.String })] })
    RedisScript.make({ source, keys: 1, args: [Codec.schema(Schema.Struct({ a: Schema.String }))] })
  })
})
