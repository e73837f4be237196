/** What only Effect 4 says of a schema, read for JSON. test/Codec.test.ts tests what both editions promise. */
import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { jsonSide } from "../../src/internal/effect/jsonSide.js"

const problemOf = (schema: Schema.Constraint) => jsonSide(schema).problem

describe("jsonSide", () => {
  it("refuses a field that may be undefined but not missing: JSON leaves it out, and it could not be read again", () => {
    const reason = "JSON cannot hold what its schema encodes to (string | undefined)"
    expect(problemOf(Schema.Struct({ a: Schema.UndefinedOr(Schema.String) }))).toEqual({ path: ["a"], reason })
    expect(problemOf(Schema.Struct({ a: Schema.Undefined }))).toMatchObject({ path: ["a"] })
    expect(problemOf(Schema.Struct({ a: Schema.optional(Schema.String) }))).toBeUndefined()
    expect(problemOf(Schema.Struct({ a: Schema.optionalKey(Schema.String) }))).toBeUndefined()
    expect(problemOf(Schema.Record(Schema.String, Schema.UndefinedOr(Schema.String)))).toBeUndefined()
  })

  it("takes JSON for JSON, and looks at the values of other declarations that are not of Effect's own data", () => {
    for (const schema of [Schema.Json, Schema.MutableJson, Schema.Struct({ any: Schema.Json })]) {
      expect(jsonSide(schema)).toMatchObject({ problem: undefined, faithful: false })
    }
    const text = Schema.declare((u: unknown): u is string => typeof u === "string")
    for (const schema of [text, Schema.instanceOf(URL)]) {
      expect(jsonSide(schema)).toMatchObject({ problem: undefined, faithful: false })
    }
  })

  it("refuses Effect's own data and instances of classes", () => {
    class Point extends Schema.Class<Point>("Point")({ x: Schema.Number }) {}
    for (const [schema, name] of [
      [Schema.Date, "a valid Date"],
      [Schema.URL, "URL"],
      [Schema.Option(Schema.String), "Option"],
      [Schema.HashMap(Schema.String, Schema.Number), "HashMap"],
      [Schema.Redacted(Schema.String), "Redacted"],
      [Schema.toType(Point), "Point"]
    ] as const) {
      const reason = `JSON cannot hold what its schema encodes to (${name})`
      expect(problemOf(schema)).toEqual({ path: [], reason })
    }
    expect(problemOf(Point)).toBeUndefined()
  })
})
