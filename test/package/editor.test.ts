/**
 * The types as users get them, packed: editors show a comment wherever a program names something of the package, types
 * and parameters are readable, and deprecated commands are struck through.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { type Editor, open } from "./editor.js"

describe("the packed types", { timeout: 300_000 }, () => {
  let editor: Editor
  beforeAll(async () => {
    editor = await open()
  }, 300_000)

  it("compile", () => {
    const code = editor.packed.entrypoints.map((entry, i) => {
      const specifier = entry === "." ? "effect-redis-client" : `effect-redis-client/${entry}`
      return `import * as M${i} from "${specifier}"\nexport { M${i} }`
    })
    expect(editor.problems(code.join("\n"))).toEqual([])
  })

  it("can be named by the declarations that a compiler emits for a program", () => {
    const emitted = editor.declarations(`
      import { Effect, Schema } from "effect"
      import { Codec, Redis, RedisPubSub, RedisScript } from "effect-redis-client"
      export const live = Redis.layer()
      export const status = Redis.status
      export const users = Redis.withCodec(Codec.schema(Schema.Struct({ name: Schema.String })))
      export const { set, zrange } = Redis
      export const prefixed = Redis.get("k").pipe(Redis.withPrefix("app:"))
      export const news = RedisPubSub.subscribe("news")
      export const mailbox = RedisPubSub.mailbox("news")
      export const script = RedisScript.make({ source: "return 1", keys: 1, result: Schema.Number })
      export const batch = Redis.optimistic("k", Effect.succeed(Redis.transaction({ a: Redis.incr("k") })))
    `)
    expect(emitted).toContain("declare const live: ")
    expect(editor.problems(emitted)).toEqual([])
  })

  it("have `@since` and `@category` on every export", () => {
    const modules = editor.packed.entrypoints.filter((entry) => entry !== ".")
    const silent = editor
      .exports(modules.map((module) => `effect-redis-client/${module}`))
      .filter(({ tags }) => tags.since === undefined || tags.category === undefined)
      .map(({ module, name }) => `${module}: ${name}`)
    expect(silent).toEqual([])
  })

  it("show a comment for every export and every member of a service, for each overload, also while arguments are typed", async () => {
    const modules = editor.packed.entrypoints.filter((entry) => entry !== "." && !entry.startsWith("commands/"))
    const places = await editor.places(modules.map((module) => `effect-redis-client/${module}`))
    const silent = places.filter(({ silent }) => silent.length > 0)
    console.log(`${places.length - silent.length} of ${places.length} exports and members have a comment`)
    expect(places.length).toBeGreaterThan(700)
    expect(places.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["Redis.Redis.set", "RedisStream.read", "Connection.Connection.execute"])
    )
    expect(silent.map(({ name, silent }) => `${name}: ${silent.join(", ")}`)).toEqual([])
  })

  it("show what a transaction and a pipeline return, not the names of our types", () => {
    const commands = `{ a: Redis.get("a"), b: Redis.incr("b") }`
    const typeOf = (code: string) =>
      editor.hover(`import { Redis } from "effect-redis-client"\n${code}`).signature.replace(/\s+/g, " ")
    const results = "{ a: Option<string>; b: number; }"
    const eithers = "{ a: Either<Option<string>, RedisError>; b: Either<number, RedisError>; }"
    expect(typeOf(`const /*|*/r = Redis.transaction(${commands})`)).toBe(`const r: Transaction<${results}, ${eithers}>`)
    expect(typeOf(`const /*|*/r = Redis.transaction([Redis.get("a"), Redis.incr("b")])`)).toMatch(
      /^const r: Transaction<\[Option<string>, number\], \[/
    )
    expect(typeOf(`const /*|*/r = Redis.pipeline(${commands})`)).toContain(`Effect<${results}, `)
    expect(typeOf(`const /*|*/r = Redis.pipeline(${commands}, { mode: "either" })`)).toContain(`Effect<${eithers}, `)
  })

  it("name the parameters of scripts and functions", () => {
    const called = (module: string, args: string) =>
      editor
        .hover(
          `import { ${module} } from "effect-redis-client"\nimport { Schema } from "effect"\n` +
            `const s = ${module}.make(${args})\n/*|*/s()`
        )
        .signature.replace(/\s+/g, " ")
    expect(called("RedisScript", `{ source: "", keys: 1, args: [Schema.Int], rest: Schema.String }`)).toContain(
      "(key: Key, argument: number, ...rest: string[])"
    )
    expect(called("RedisScript", `{ source: "", keys: 2, args: [Schema.Int, Schema.String] }`)).toContain(
      "(key1: Key, key2: Key, argument1: number, argument2: string)"
    )
    expect(called("RedisFunction", `"f", { keys: "any", args: [Schema.Int] }`)).toContain("argument: number)")
    const eight = Array.from({ length: 8 }, () => "Schema.Int").join(", ")
    expect(called("RedisFunction", `"f", { keys: 0, args: [${eight}] }`)).toContain("argument_7: number)")
  })

  it("show doc comments on commands", () => {
    const shown = editor.hover(`import { Redis } from "effect-redis-client"\nRedis./*|*/get("key")`)
    expect(shown.documentation).not.toBe("")
    expect(shown.signature).toMatch(/get.*RedisCommand<Option<string>/)
    expect(shown.struckThrough).toBe(false)
  })

  it("strike deprecated commands through", () => {
    const shown = editor.hover(`import { Redis } from "effect-redis-client"\nRedis./*|*/getset("key", "value")`)
    expect(shown.tags.deprecated).not.toBe("")
    expect(shown.struckThrough).toBe(true)
  })

  it("strike overloads of deprecated commands through", () => {
    for (const call of [`hmset("key", { a: "1" })`, `hmset("key", "a", "1")`]) {
      const shown = editor.hover(`import { Redis } from "effect-redis-client"\nRedis./*|*/${call}`)
      expect(shown.tags.deprecated).toContain("hset")
      expect(shown.struckThrough).toBe(true)
    }
  })
})
