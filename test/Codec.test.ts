import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Redis, type RedisError } from "effect-redis-client"
import * as Codec from "../src/Codec.js"
import { args } from "../src/internal/command/args.js"
import { eachServer, on } from "./support/client.js"
import { arbitraryOf, prop } from "./support/effect.js"
import {
  type AnySchema,
  asynchronous,
  failing,
  Instances,
  refusing,
  shown,
  Tags,
  Undefinable
} from "./support/schemas.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const secret = "s3cr3t-v4lue"

/** The forms in which a connection may hand over an encoded value: text, or bytes. */
const handedOver = (encoded: string | Uint8Array): ReadonlyArray<string | Uint8Array> =>
  typeof encoded === "string" ? [encoded, utf8(encoded)] : [encoded]

const roundTrip = <A, K extends string | Uint8Array>(codec: Codec.Codec<A, K>, value: A): ReadonlyArray<A> =>
  handedOver(Either.getOrThrow(codec.encode(value))).map((stored) => Either.getOrThrow(codec.decode(stored)))

const issueOf = <A, E>(result: Either.Either<A, E>): E => Either.getOrThrow(Either.flip(result))

describe("Codec.utf8", () => {
  prop("gives back any text", [FastCheck.string({ unit: "binary" })], ([text]) => {
    expect(roundTrip(Codec.utf8, text)).toEqual([text, text])
  })

  it("keeps a byte order mark, NUL and U+FFFD", () => {
    for (const text of ["\uFEFFa", "a\0b", "\uFFFD", ""]) {
      expect(roundTrip(Codec.utf8, text)).toEqual([text, text])
    }
  })

  it.each([
    ["a byte that never occurs", [0xff]],
    ["a character cut short", [0x61, 0xe2, 0x82]],
    ["an overlong form", [0xc0, 0x80]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["beyond Unicode", [0xf4, 0x90, 0x80, 0x80]]
  ])("refuses %s, as a value and as a key", (_, bytes) => {
    for (const decode of [Codec.utf8.decode, Codec.utf8.decodeKey, Codec.json.decodeKey]) {
      expect(issueOf(decode(Uint8Array.from(bytes)))).toEqual({
        path: [],
        reason: "the bytes are not UTF-8 text, or longer than a string can be; read them with Codec.bytes"
      })
    }
  })

  it("refuses values that are not text", () => {
    expect([Codec.utf8.wants, Codec.json.wants, Codec.schema(Schema.String).wants, Codec.bytes.wants]).toEqual([
      "text",
      "text",
      "text",
      "bytes"
    ])
  })
})

describe("Codec.bytes", () => {
  prop("gives back any bytes", [FastCheck.uint8Array()], ([bytes]) => {
    expect(roundTrip(Codec.bytes, bytes)).toEqual([bytes])
    expect(Either.getOrThrow(Codec.bytes.decodeKey(bytes))).toEqual(bytes)
  })

  it("reads text as bytes", () => {
    expect(Codec.bytes.decode("é")).toEqual(Either.right(utf8("é")))
    expect(Codec.bytes.decodeKey("é")).toEqual(Either.right(utf8("é")))
  })
})

describe("Codec.json", () => {
  prop("gives back any JSON value", [FastCheck.jsonValue()], ([value]) => {
    const encoded = Codec.json.encode(value)
    if (Either.isLeft(encoded)) {
      expect(encoded.left.reason).toMatch(/beyond 2\^53 - 1/)
      return
    }
    expect(roundTrip(Codec.json, value)).toEqual([value, value])
  })

  it("keeps the sign of -0", () => {
    expect(roundTrip<unknown, string>(Codec.json, [-0, "-0", "-00", { n: -0 }, 0])[1]).toEqual([
      -0,
      "-0",
      "-00",
      { n: -0 },
      0
    ])
    expect(Codec.json.encode(-0)).toEqual(Either.right("-0"))
  })

  it.each<readonly [string, unknown, ReadonlyArray<string | number>, RegExp]>([
    ["a Date", { at: new Date(0) }, ["*"], /a Date or a Map/],
    ["a Map", [new Map([[1, 2]])], [0], /a Date or a Map/],
    ["a Set", [1, new Set([1])], [1], /a Date or a Map/],
    ["bytes", Uint8Array.of(1), [], /a Date or a Map/],
    ["an Option", Option.some(1), [], /a Date or a Map/],
    ["a secret", [{ password: Redacted.make(secret) }], [0, "*"], /a Date or a Map/],
    ["an instance of a class", new (class Point {})(), [], /a Date or a Map/],
    ["a form of its own", { toJSON: () => "x" }, [], /a Date or a Map/],
    ["undefined in a list", [1, undefined], [1], /undefined/],
    ["a hole in a list", new Array(2), [0], /undefined/],
    ["NaN", [Number.NaN], [0], /NaN/],
    ["an integer that may have lost digits", { id: 2 ** 53 }, ["*"], /beyond 2\^53 - 1/],
    ["a function in a field", { f: () => secret }, ["*"], /no JSON form/]
  ])("refuses what JSON would not give back: %s", (_, value, path, reason) => {
    expect(issueOf(Codec.json.encode(value))).toEqual({ path, reason: expect.stringMatching(reason) })
  })

  it("keeps plain objects of any origin, absent fields, and numbers that are approximate anyway", () => {
    for (const value of [
      Object.assign(Object.create(null), { a: 1 }),
      JSON.parse('{"toJSON":1}'),
      1e21,
      -1.5e300,
      0.1
    ]) {
      expect(roundTrip<unknown, string>(Codec.json, value)[0]).toEqual(value)
    }
    expect(Codec.json.encode({ a: undefined, b: 1 })).toEqual(Either.right('{"b":1}'))
  })

  it("refuses a value that is nested too deeply to look at", () => {
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i++) {
      deep = [deep]
    }
    expect(Either.isLeft(Codec.json.encode(deep))).toBe(true)
  })

  it("refuses numbers of others that JavaScript would change, and no other", () => {
    const lost = "the text has a number with more digits than a JavaScript number can hold"
    for (const text of ["9007199254740993", '{"\\"":[1,-12345678901234567891]}', "1e400", `1${"0".repeat(400)}`]) {
      expect(issueOf(Codec.json.decode(text)).reason, text).toBe(lost)
    }
    for (const text of [
      "9007199254740992",
      "1152921504606846976", // 2^60, as others print it
      "1152921504606847000", // and as JavaScript does
      '"9007199254740993"',
      '{"9007199254740993":"\\\\","a":"\\"9007199254740993"}',
      `0.${"1".repeat(3000)}`,
      "1e300",
      "123456789012345678e-1"
    ]) {
      expect(Codec.json.decode(text), text).toEqual(Either.right(JSON.parse(text)))
    }
  })

  it("lone surrogates are escaped, and come back", () => {
    expect(Codec.json.encode("\uD800")).toEqual(Either.right('"\\ud800"'))
    expect(roundTrip<unknown, string>(Codec.json, "\uD800")[1]).toBe("\uD800")
  })

  it("a field called __proto__ is a field", () => {
    const value = Either.getOrThrow(Codec.json.decode('{"__proto__":{"admin":true}}')) as Record<string, unknown>
    expect(Object.keys(value)).toEqual(["__proto__"])
    expect(value.admin).toBeUndefined()
  })

  it("refuses values without a JSON form", () => {
    const circular: { self?: unknown } = {}
    circular.self = circular
    const throws = {
      toJSON: () => {
        throw new Error(secret)
      }
    }
    for (const value of [undefined, () => secret, Symbol(secret), 1n, { deep: [1n] }, circular, throws]) {
      expect(issueOf(Codec.json.encode(value))).toEqual({ path: [], reason: "the value has no JSON form" })
    }
  })

  it("refuses text that is not JSON, without showing it", () => {
    for (const text of ["", secret, `{"${secret}"`, `${secret}`, "{'a':1}", "NaN", "[1,]", "\uFEFF1"]) {
      expect(issueOf(Codec.json.decode(text))).toEqual({ path: [], reason: "the text is not JSON" })
    }
  })
})

class User extends Schema.Class<User>("User")({
  name: Schema.NonEmptyString,
  born: Schema.Date,
  score: Schema.optional(Schema.BigInt),
  tags: Tags
}) {}

describe("Codec.schema", () => {
  it("gives back values of the schema", () => {
    const user = new User({ name: "Ada", born: new Date(0), score: 12345678901234567890n, tags: new Set(["a", "b"]) })
    const codec = Codec.schema(User)
    expect(codec.encode(user)).toEqual(
      Either.right('{"name":"Ada","born":"1970-01-01T00:00:00.000Z","score":"12345678901234567890","tags":["a","b"]}')
    )
    for (const back of roundTrip(codec, user)) {
      expect(back).toBeInstanceOf(User)
      expect(back).toEqual(user)
    }
  })

  const shape = Schema.Struct({
    name: Schema.String,
    age: Schema.optional(Schema.Number.pipe(Schema.between(0, 150))),
    address: Schema.optional(Schema.Struct({ zip: Schema.NumberFromString })),
    list: Schema.optional(Schema.Array(Schema.Struct({ kind: Schema.Literal("a", "b") }))),
    byName: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number })),
    either: Schema.optional(Schema.Union(Schema.String, Schema.Number)),
    maybe: Schema.optional(Schema.NullOr(Schema.Struct({ n: Schema.Int })))
  })

  it("refuses numbers that JSON would turn into null", () => {
    const numbers = Codec.schema(Schema.Struct({ n: Schema.NullOr(Schema.Number) }))
    for (const n of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(Either.getOrThrow(Either.flip(numbers.encode({ n }))).reason).toMatch(/NaN or an infinity/)
      expect(Either.isLeft(Codec.json.encode([n]))).toBe(true)
    }
    expect(numbers.encode({ n: null })).toEqual(Either.right('{"n":null}'))
  })

  it.each<readonly [string, AnySchema, ReadonlyArray<string | number>, string]>([
    ["SetFromSelf", Schema.SetFromSelf(Schema.Number), [], shown.set],
    [
      "MapFromSelf",
      Schema.Struct({ m: Schema.MapFromSelf({ key: Schema.String, value: Schema.Number }) }),
      ["m"],
      shown.map
    ],
    [
      "OptionFromSelf",
      Schema.Struct({ o: Schema.optional(Schema.OptionFromSelf(Schema.String)) }),
      ["o"],
      shown.option
    ],
    ["DateFromSelf", Schema.Array(Schema.DateFromSelf), ["*"], shown.date],
    ["DurationFromSelf", Schema.Tuple(Schema.String, Schema.DurationFromSelf), [1], shown.duration],
    ["Uint8ArrayFromSelf", Schema.Uint8ArrayFromSelf, [], shown.bytes],
    ["RedactedFromSelf", Schema.Struct({ r: Schema.RedactedFromSelf(Schema.String) }), ["r"], shown.redacted],
    ["a class instance", Instances, [], shown.instance],
    ["a parameter that is transformed", Schema.SetFromSelf(Schema.NumberFromString), [], shown.transformedSet],
    ["bigint", Schema.Record({ key: Schema.String, value: Schema.BigIntFromSelf }), ["*"], "bigint"],
    ["a bigint literal", Schema.Literal(1n), [], "1n"],
    ["a symbol", Schema.SymbolFromSelf, [], "symbol"],
    ["undefined in a list", Schema.Array(Schema.Undefined), ["*"], "undefined"],
    ["nothing but unfit members", Schema.Union(Schema.DateFromSelf, Schema.BigIntFromSelf), [], shown.date]
  ])("refuses a schema that JSON cannot hold when the codec is used at all: %s", (_, schema, path, name) => {
    const codec = Codec.schema(schema)
    for (const issue of [issueOf(codec.encode("x")), issueOf<unknown, Codec.CodecIssue>(codec.decode('"x"'))]) {
      expect(issue.path).toEqual(path)
      expect(issue.reason).toContain(`JSON cannot hold what its schema encodes to (`)
      expect(issue.reason).toContain(name)
    }
  })

  it("refuses a value that JSON would not give back, where the schema does not say what it is", () => {
    interface Tree {
      readonly children: ReadonlyArray<Tree>
      readonly any?: unknown
    }
    const Tree: Schema.Schema<Tree> = Schema.Struct({
      children: Schema.Array(Schema.suspend(() => Tree)),
      any: Schema.optional(Schema.Unknown)
    })
    const tree = Codec.schema(Tree)
    const value: Tree = { children: [{ children: [], any: { a: [1, null] } }, { children: [] }] }
    expect(roundTrip(tree, value)).toEqual([value, value])
    expect(issueOf(tree.encode({ children: [value, { children: [], any: new Map() }] })).path).toEqual([
      "children",
      1,
      "any"
    ])
    class Point {}
    const isPoint = (u: unknown): u is Point => u instanceof Point
    expect(issueOf(Codec.schema(Schema.declare(isPoint)).encode(new Point())).reason).toContain("a Date or a Map")
    const isText = (u: unknown): u is string => typeof u === "string"
    expect(roundTrip(Codec.schema(Schema.declare(isText)), "x")).toEqual(["x", "x"])
    const either = Codec.schema(Schema.Struct({ v: Schema.Union(Schema.String, Schema.DateFromSelf) }))
    expect(roundTrip(either, { v: "x" })[0]).toEqual({ v: "x" })
    expect(issueOf(either.encode({ v: new Date(0) })).path).toEqual(["v"])
    const list = Codec.schema(Schema.Array(Schema.UndefinedOr(Schema.String)))
    expect(roundTrip(list, ["x"])[0]).toEqual(["x"])
    expect(issueOf(list.encode(["x", undefined]))).toEqual({ path: [1], reason: expect.stringContaining("undefined") })
    expect(roundTrip(Codec.schema(Schema.Struct({ a: Undefinable })), { a: undefined })[0]).toEqual({})
  })

  it("keeps -0, and refuses integers that may have lost digits", () => {
    const numbers = Codec.schema(Schema.Struct({ n: Schema.Number }))
    expect(roundTrip(numbers, { n: -0 })).toEqual([{ n: -0 }, { n: -0 }])
    expect(issueOf(numbers.encode({ n: 2 ** 53 }))).toEqual({
      path: ["n"],
      reason: "it is an integer beyond 2^53 - 1, which may have lost digits; use Schema.BigInt"
    })
    expect(issueOf(numbers.decode('{"n":9007199254740993}')).reason).toContain("more digits")
  })

  prop("gives back any value of a schema, or refuses it", [arbitraryOf(shape)], ([value]) => {
    const codec = Codec.schema(shape)
    const encoded = codec.encode(value)
    if (Either.isLeft(encoded)) {
      expect(encoded.left.reason).toMatch(/NaN or an infinity|beyond 2\^53 - 1/)
      return
    }
    const plain: unknown = JSON.parse(encoded.right as string)
    for (const back of roundTrip(codec, value)) {
      expect(JSON.parse(Either.getOrThrow(codec.encode(back)) as string)).toEqual(plain)
    }
  })

  it.each<readonly [string, unknown, ReadonlyArray<string | number>, string]>([
    ["not an object", secret, [], `expected ${shown.struct}`],
    ["a missing field", {}, ["name"], "missing"],
    ["a field of another type", { name: { [secret]: secret } }, ["name"], "expected string"],
    ["a refinement", { name: "x", age: 1234567 }, ["age"], `expected ${shown.between}`],
    ["a transformation", { name: "x", address: { zip: secret } }, ["address", "zip"], shown.notANumber],
    [
      "an element",
      { name: "x", list: [{ kind: "a" }, { kind: secret }] },
      ["list", 1, "kind"],
      `expected ${shown.literals}`
    ],
    [
      "a record, whose keys are part of the value",
      { name: "x", byName: { [secret]: secret } },
      ["byName", "*"],
      "expected number"
    ],
    ["a union", { name: "x", either: [secret] }, ["either"], "expected string | number"],
    [
      "an optional field that may be null",
      { name: "x", maybe: { n: 1234567.5 } },
      ["maybe", "n"],
      `expected ${shown.int}`
    ]
  ])("a failure for %s names the place, never the value", (_, value, path, reason) => {
    const issue = issueOf(Codec.schema(shape).decode(JSON.stringify(value)))
    expect(issue.path).toEqual(path)
    expect(issue.reason).toContain(`it does not fit the schema (${reason}`)
    expect(JSON.stringify(issue)).not.toMatch(/s3cr3t|1234567/)
  })

  it("a failure to encode names the place, never the value", () => {
    const issue = issueOf(Codec.schema(shape).encode({ name: "x", age: 1234567 }))
    expect(issue).toEqual({ path: ["age"], reason: `it does not fit the schema (expected ${shown.between})` })
    expect(JSON.stringify(issueOf(Codec.schema(User).encode({ name: secret } as unknown as User)))).not.toContain(
      secret
    )
    expect(issueOf(Codec.schema(Schema.Unknown).encode(1n)).reason).toBe("the value has no JSON form")
  })

  it("does not use the schema's own messages, which may quote the value", () => {
    for (const { decode } of [Codec.schema(refusing), Codec.schema(failing)]) {
      expect(JSON.stringify(issueOf<unknown, unknown>(decode(JSON.stringify(secret))))).not.toContain(secret)
    }
  })

  it("cuts a long description", () => {
    const wide = Schema.Struct(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`field${i}`, Schema.String])))
    expect(issueOf(Codec.schema(wide).decode("1")).reason.length).toBeLessThan(200)
  })

  it("an asynchronous schema is a failure, not a throw", () => {
    expect(issueOf(Codec.schema(asynchronous).decode('"x"')).reason).toContain("not synchronous")
  })

  it("distinguishes bytes that are not UTF-8 from text that is not JSON", () => {
    expect(issueOf(Codec.schema(shape).decode(Uint8Array.of(0xff))).reason).toContain("not UTF-8")
    expect(issueOf(Codec.schema(shape).decode(secret)).reason).toBe("the text is not JSON")
  })
})

describe("Codec.make", () => {
  const upper = Codec.make<string>({
    encode: (value) => Either.right(value.toUpperCase()),
    decode: (text) =>
      text.length > 3 ? Either.left({ path: [3], reason: "too long" }) : Either.right(text.toLowerCase())
  })

  it("is a codec of text, with text keys", () => {
    expect(roundTrip(upper, "abc")).toEqual(["abc", "abc"])
    expect(issueOf(upper.decode("ABCD"))).toEqual({ path: [3], reason: "too long" })
    expect(upper.decodeKey(utf8("Key"))).toEqual(Either.right("Key"))
    expect(Codec.TypeId in upper).toBe(true)
  })

  it("a codec that throws makes the command unsendable; the constructor does not throw", () => {
    const broken = Codec.make<string>({
      encode: (value) => {
        throw new Error(value)
      },
      decode: Either.right
    })
    const { problem } = args().value(broken, secret)
    expect(problem).toBe("a value does not encode: the codec threw")
    expect(args().values(Codec.json, "value", [1, 1n]).problem).toBe(
      "a value does not encode: the value has no JSON form"
    )
    expect(args().value(Codec.schema(Schema.Struct({ n: Schema.Int })), { n: 1.5 }).problem).toBe(
      `a value does not encode at n: it does not fit the schema (expected ${shown.int})`
    )
    expect(args().values(Codec.utf8, "value", []).problem).toBe("needs at least one value")
  })
})

eachServer((it, { connect, protocol }) => {
  const tags = Codec.schema(Schema.SetFromSelf(Schema.Number))
  const notes = Codec.schema(Schema.Struct({ note: Schema.Unknown }))

  it.scoped("a value that could not be read again is not written: not by a command, nor by a publication", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const key = `codec:${protocol}`
      for (const write of [
        Redis.withCodec(tags).set(key, new Set([1])),
        Redis.withCodec(notes).set(key, { note: new Date(0) }),
        Redis.withCodec(Codec.json).rpush(key, [{ n: 2 ** 53 }]),
        Redis.withCodec(tags).publish(key, new Set([1])),
        Redis.withCodec(notes).publish(key, { note: new Map() })
      ]) {
        const error = yield* Effect.flip(run(write as Effect.Effect<unknown, RedisError.RedisError, Redis>))
        expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
        expect(error.message).toContain("does not encode")
      }
      expect(yield* run(Redis.exists(key))).toBe(0)
      yield* run(Redis.set(key, "{}"))
      expect(yield* Effect.flip(run(Redis.withCodec(tags).get(key)))).toMatchObject({
        _tag: "DecodeError",
        reason: expect.stringContaining(shown.set)
      })
      yield* run(Redis.set(key, '{"note":9007199254740993}'))
      expect(yield* Effect.flip(run(Redis.withCodec(notes).get(key)))).toMatchObject({ _tag: "DecodeError" })
      yield* run(Redis.withCodec(notes).set(key, { note: [-0, 1e21] }))
      expect(yield* run(Redis.withCodec(notes).get(key))).toEqual(Option.some({ note: [-0, 1e21] }))
    })
  )
})
