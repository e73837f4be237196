import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  defect,
  errorClass,
  errorUnion,
  literals,
  path,
  redactedText,
  withoutFrames,
  withoutStack
} from "../../src/internal/effect/errorSchemas.js"

const fields = () => ({
  code: Schema.String,
  message: Schema.String,
  size: Schema.optional(Schema.Number),
  level: literals("low", "high"),
  path: path(),
  cause: Schema.optional(defect)
})

class Ours extends errorClass<Ours>("test/errorSchemas")("Named", fields) {
  get loud(): string {
    return this.message.toUpperCase()
  }
}

/** The same class, made by Effect itself. */
class Effects extends Schema.TaggedError<Effects>("test/errorSchemas")("Named", fields()) {
  get loud(): string {
    return this.message.toUpperCase()
  }
}

const properties = { path: ["a", 1], level: "low", message: "it broke", code: "E1" } as const
const complete = { ...properties, size: 3, cause: new Error("first") } as const

/** Without what differs between the classes: their lines in a stack, and the name of their errors. */
const withoutLines = (text: string): string => text.replace(/^test\/errorSchemas/, "Named").replace(/\n\s+at .*/g, "")

const views = (Class: typeof Ours | typeof Effects) =>
  [new Class(properties), new Class(complete), new Class(properties, { disableChecks: true })].map((error) => ({
    keys: Object.keys(error).sort(),
    tag: error._tag,
    loud: error.loud,
    text: withoutLines(String(error)),
    stack: withoutLines(error.stack ?? ""),
    json: JSON.parse(JSON.stringify(error)),
    inspected: withoutLines(util.inspect(error)),
    cause: error.cause
  }))

const messageOf = (f: () => unknown): string => {
  try {
    f()
  } catch (error) {
    return String(error)
  }
  return "nothing was thrown"
}

describe("errorClass", () => {
  it("is a schema with the identifier it was given", () => {
    expect(Ours.identifier).toBe("test/errorSchemas")
    expect(Schema.isSchema(Ours)).toBe(true)
  })

  it("makes errors that look like those of Schema.TaggedError", () => {
    expect(views(Ours)).toEqual(views(Effects))
    expect(new Ours(properties).name).toBe("Named")
    expect(new Ours(properties).stack).toMatch(/^Named: it broke\n/)
  })

  it("checks what an error is made of, with the same message", () => {
    const wrong = { ...properties, level: "medium" } as never
    expect(messageOf(() => new Ours(wrong))).toBe(messageOf(() => new Effects(wrong)))
    expect(messageOf(() => new Ours(wrong))).not.toBe("nothing was thrown")
    expect(messageOf(() => new Ours({} as never))).toBe(messageOf(() => new Effects({} as never)))
    expect(new Ours({ ...properties, extra: 1 } as never)).not.toHaveProperty("extra")
    expect(new Ours(complete).cause).toBe(complete.cause)
  })

  it("encodes, decodes and recognises its own instances", () => {
    const error = new Ours(complete)
    const encoded = Schema.encodeSync(Ours)(error)
    expect(encoded).toEqual(Schema.encodeSync(Effects)(new Effects(complete)))
    const back = Schema.decodeUnknownSync(Ours)(JSON.parse(JSON.stringify(encoded)))
    expect(back).toBeInstanceOf(Ours)
    expect(back.loud).toBe("IT BROKE")
    expect(back.cause).toBeInstanceOf(Error)
    expect(Schema.is(Ours)(error)).toBe(true)
    expect(Schema.is(Ours)({ ...encoded })).toBe(false)
    expect(Schema.is(Ours)(new Error("x"))).toBe(false)
    for (const wrong of [null, {}, { ...encoded, level: "medium" }, { ...encoded, _tag: "Other" }]) {
      expect(String(Schema.decodeUnknownResult(Ours)(wrong))).toBe(String(Schema.decodeUnknownResult(Effects)(wrong)))
      expect(Result.isFailure(Schema.decodeUnknownResult(Ours)(wrong))).toBe(true)
    }
  })

  it("recognises the instances of another copy of the class", () => {
    expect(Schema.is(Ours)(new Effects(properties))).toBe(true)
    expect(Schema.is(Effects)(new Ours(properties))).toBe(true)
  })

  it("compares, prints and generates as Schema.TaggedError does", () => {
    const [error, same] = [new Ours(properties), new Ours(properties)]
    const [theirs, theirSame] = [new Effects(properties), new Effects(properties)]
    expect(Equal.equals(error, error)).toBe(true)
    expect(Equal.equals(error, same)).toBe(Equal.equals(theirs, theirSame))
    expect(Schema.toEquivalence(Ours)(error, error)).toBe(true)
    expect(Schema.toEquivalence(Ours)(error, same)).toBe(Schema.toEquivalence(Effects)(theirs, theirSame))
    expect(Schema.toFormatter(Ours)(error)).toBe(Schema.toFormatter(Effects)(theirs))
    expect(Schema.toJsonSchemaDocument(Ours)).toEqual(Schema.toJsonSchemaDocument(Effects))
  })

  it.effect("generates its own instances", () =>
    Effect.gen(function* () {
      const [made] = yield* Arbitrary.sampleEffect(Arbitrary.schema(Ours), { count: 1, seed: 1 })
      expect(made).toBeInstanceOf(Ours)
    })
  )

  it("takes annotations, and pipes", () => {
    const annotated = Ours.annotate({ title: "Annotated" })
    expect(annotated.ast.annotations?.title).toBe("Annotated")
    expect(Schema.is(annotated)(new Ours(properties))).toBe(true)
    expect(Ours.pipe((schema) => schema)).toBe(Ours)
    expect(Schema.decodeUnknownSync(Ours.pipe(Schema.NullOr))(null)).toBe(null)
  })

  it.effect("is an Effect that fails with itself", () =>
    Effect.gen(function* () {
      const error = new Ours(properties)
      const exit = yield* Effect.exit(error)
      expect(exit).toEqual(Exit.fail(error))
    })
  )
})

describe("withoutFrames", () => {
  it("makes an error without stack frames, and leaves the limit as it was", () => {
    const limit = Error.stackTraceLimit
    const error = withoutFrames(Ours, complete)
    expect(error).toBeInstanceOf(Ours)
    expect(error.stack).not.toMatch(/\n\s+at /)
    expect(String(error)).toBe("Named: it broke")
    expect(error.cause).toBe(complete.cause)
    expect(Error.stackTraceLimit).toBe(limit)
    const thrown = messageOf(() =>
      withoutStack(() => {
        throw new Error("it threw")
      })
    )
    expect(thrown).toBe("Error: it threw")
    expect(Error.stackTraceLimit).toBe(limit)
  })
})

describe("errorUnion", () => {
  class Other extends errorClass<Other>("test/Other")("Other", () => ({ message: Schema.String })) {}
  const union = errorUnion(Ours, Other)
  const reference = Schema.Union([Ours, Other])

  it("is the union that Schema.Union makes", () => {
    expect(Schema.isSchema(union)).toBe(true)
    expect(union.members).toEqual([Ours, Other])
    expect(union.ast._tag).toBe("Union")
    expect(Schema.toJsonSchemaDocument(union)).toEqual(Schema.toJsonSchemaDocument(reference))
    const other = new Other({ message: "m" })
    expect(Schema.encodeSync(union)(other)).toEqual({ _tag: "Other", message: "m" })
    expect(Schema.decodeUnknownSync(union)({ _tag: "Other", message: "m" })).toBeInstanceOf(Other)
    expect(Result.isFailure(Schema.decodeUnknownResult(union)({ _tag: "Third" }))).toBe(true)
    expect(Schema.decodeUnknownSync(union.pipe(Schema.NullOr))(null)).toBe(null)
    expect(
      Schema.decodeUnknownSync(Schema.Struct({ error: union }))({ error: { _tag: "Other", message: "m" } })
    ).toEqual({ error: other })
  })
})

describe("redactedText", () => {
  it("encodes every secret to the same text", () => {
    const schema = redactedText()
    expect(Schema.encodeSync(schema)(Redacted.make("s3cr3t"))).toBe("<redacted>")
    expect(Redacted.value(Schema.decodeSync(schema)("text"))).toBe("text")
  })
})
