import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as JSONSchema from "effect/JSONSchema"
import * as Pretty from "effect/Pretty"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { defect, errorClass, errorUnion, literals, path, redactedText } from "../../src/internal/effect/errorSchemas.js"

const fields = () => ({
  code: Schema.String,
  message: Schema.String,
  size: Schema.optional(Schema.Number),
  level: literals("low", "high"),
  path: path(),
  cause: Schema.optional(defect)
})

let evaluations = 0

class Ours extends errorClass<Ours>("test/errorSchemas")("Named", () => {
  evaluations++
  return fields()
}) {
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

/** Both classes have the same name in a stack, and stand on different lines. */
const withoutLines = (text: string): string => text.replaceAll("Effects", "Ours").replace(/\n\s+at .*/g, "")

const views = (Class: typeof Ours | typeof Effects) =>
  [new Class(properties), new Class(complete), new Class(properties, true)].map((error) => ({
    keys: Object.keys(error).sort(),
    name: error.name,
    tag: error._tag,
    loud: error.loud,
    text: String(error),
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
  it("evaluates the fields at the first use, not at the definition", () => {
    class Unused extends errorClass<Unused>("test/Unused")("Unused", () => {
      throw new Error("evaluated")
    }) {}
    expect(Unused.identifier).toBe("test/Unused")
    expect(Schema.isSchema(Unused)).toBe(true)
    expect(() => Unused.ast).toThrow("evaluated")
    const before = evaluations
    new Ours(properties)
    Schema.is(Ours)
    Schema.encodeSync(Ours)
    const after = evaluations
    expect(after).toBeLessThanOrEqual(before + 2)
    new Ours(properties)
    Schema.is(Ours)
    expect(evaluations).toBe(after)
  })

  it("makes errors that look like those of Schema.TaggedError", () => {
    expect(views(Ours)).toEqual(views(Effects))
  })

  it("checks what an error is made of, with the same message, unless told not to", () => {
    const wrong = { ...properties, level: "medium" } as never
    expect(messageOf(() => new Ours(wrong))).toBe(messageOf(() => new Effects(wrong)))
    expect(messageOf(() => new Ours({} as never))).toBe(messageOf(() => new Effects({} as never)))
    expect(new Ours(wrong, true).level).toBe("medium")
    expect(new Ours(wrong, { disableValidation: true }).level).toBe("medium")
    expect(new Ours({ ...properties, extra: 1 } as never)).not.toHaveProperty("extra")
  })

  it("encodes, decodes and recognises its own instances", () => {
    const error = new Ours(complete)
    const encoded = Schema.encodeSync(Ours)(error)
    expect(encoded).toEqual(Schema.encodeSync(Effects)(new Effects(complete)))
    const back = Schema.decodeUnknownSync(Ours)(JSON.parse(JSON.stringify(encoded)))
    expect(back).toBeInstanceOf(Ours)
    expect(back.loud).toBe("IT BROKE")
    expect(Schema.is(Ours)(error)).toBe(true)
    expect(Schema.is(Ours)({ ...encoded })).toBe(false)
    expect(Schema.is(Ours)(new Error("x"))).toBe(false)
    for (const wrong of [null, {}, { ...encoded, level: "medium" }, { ...encoded, _tag: "Other" }]) {
      expect(String(Schema.decodeUnknownEither(Ours)(wrong))).toBe(String(Schema.decodeUnknownEither(Effects)(wrong)))
    }
  })

  it("recognises the instances of another copy of the class", () => {
    expect(Schema.is(Ours)(new Effects(properties))).toBe(true)
    expect(Schema.is(Effects)(new Ours(properties))).toBe(true)
  })

  it("compares, prints and generates as Schema.TaggedError does", () => {
    const error = new Ours(properties)
    expect(Equal.equals(error, error)).toBe(true)
    expect(Equal.equals(error, new Ours(properties))).toBe(
      Equal.equals(new Effects(properties), new Effects(properties))
    )
    expect(Schema.equivalence(Ours)(error, error)).toBe(true)
    expect(String(Ours)).toBe(String(Effects))
    expect(Pretty.make(Ours)(error)).toBe(Pretty.make(Effects)(new Effects(properties)))
    expect(JSONSchema.make(Ours)).toEqual(JSONSchema.make(Effects))
    const [made] = FastCheck.sample(Arbitrary.make(Ours), 1)
    expect(made).toBeInstanceOf(Ours)
  })

  it("takes annotations, and pipes", () => {
    const annotated = Ours.annotations({ title: "Annotated" })
    expect(annotated.ast.annotations).toEqual(Effects.annotations({ title: "Annotated" }).ast.annotations)
    expect(Schema.is(annotated)(new Ours(properties))).toBe(true)
    expect(Ours.pipe((schema) => schema)).toBe(Ours)
    expect(Schema.decodeUnknownSync(Ours.pipe(Schema.NullOr))(null)).toBe(null)
  })

  it.effect("is an Effect that fails with itself", () =>
    Effect.gen(function* () {
      const error = new Ours(properties)
      expect(yield* Effect.exit(error)).toEqual(Exit.fail(error))
    })
  )
})

describe("errorUnion", () => {
  class Other extends errorClass<Other>("test/Other")("Other", () => ({ message: Schema.String })) {}
  const union = errorUnion(Ours, Other)
  const reference = Schema.Union(Ours, Other)

  it("is the union that Schema.Union makes, made when first used", () => {
    expect(Schema.isSchema(union)).toBe(true)
    expect(union.members).toEqual([Ours, Other])
    expect(String(union)).toBe(String(reference))
    expect(union.ast._tag).toBe("Union")
    expect(JSONSchema.make(union)).toEqual(JSONSchema.make(reference))
    expect(union.annotations({ title: "T" }).ast.annotations).toEqual(
      reference.annotations({ title: "T" }).ast.annotations
    )
    const other = new Other({ message: "m" })
    expect(Schema.encodeSync(union)(other)).toEqual({ _tag: "Other", message: "m" })
    expect(Schema.decodeUnknownSync(union)({ _tag: "Other", message: "m" })).toBeInstanceOf(Other)
    expect(Either.isLeft(Schema.decodeUnknownEither(union)({ _tag: "Third" }))).toBe(true)
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
