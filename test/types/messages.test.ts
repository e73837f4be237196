/** What the compiler says of wrong options: the first line of its message names what is wrong. */
import * as path from "node:path"
import ts from "typescript"
import { beforeAll, describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "../..")

const wrong = {
  unit: `Redis.set("k", "v", { ex: 60 })`,
  conditions: `Redis.set("k", "v", { nx: true, xx: true })`,
  expiries: `Redis.set("k", "v", { ex: "1 second", px: "1 second" })`,
  unknown: `Redis.set("k", "v", { changed: true })`,
  unknownToo: `Redis.set("k", "v", { ex: "1 second", changed: true })`,
  bound: `Redis.zrange("z", "-inf", 1, { byscore: true })`,
  rank: `Redis.zrange("z", "-inf", 1)`,
  scoresByLex: `Redis.zrange("z", Redis.range.lowest, Redis.range.highest, { bylex: true, withscores: true })`,
  limitOfRanks: `Redis.zrange("z", 0, 1, { limit: { offset: 0, count: 1 } })`,
  withoutCount: `Redis.zrandmember("z", { withscores: true })`,
  timeout: `Redis.blpop("k", { timeout: 5 })`
} as const

const right = {
  ttl: `Redis.set("k", "v", { ex: ttl })`,
  flag: `Redis.set("k", "v", { ex: ttl, nx: flag, get: flag })`,
  either: `Redis.set("k", "v", { nx: flag, xx: !flag })`,
  off: `Redis.set("k", "v", { nx: true, xx: false })`,
  whole: `Redis.set("k", "v", options)`,
  scores: `Redis.zrange("z", 0, 1, { withscores: flag })`,
  getex: `Redis.getex("k", { ex: ttl })`,
  hsetex: `Redis.hsetex("h", { f: "v" }, { ex: ttl, fnx: flag })`,
  expire: `Redis.expire("k", "1 second", { xx: flag, gt: true })`,
  zadd: `Redis.zadd("z", ["a", 1], { nx: flag, ch: flag })`,
  lpop: `Redis.lpop("l", { count })`,
  xadd: `Redis.xadd("s", "*", { f: "v" }, { nomkstream: flag, maxlen: 10, approximately: flag })`,
  geosearch: `Redis.geosearch("g", { frommember: "a", byradius: { radius: 1, unit: "m" } }, { withdist: flag })`,
  flushall: `Redis.flushall({ async: flag })`
} as const

const compile = (): ReadonlyMap<string, string> => {
  const file = path.join(root, "test/types/messages.snippets.ts")
  const lines = Object.entries({ ...wrong, ...right })
  const head = [
    `import { Redis, type RedisCommand } from "effect-redis-client"`,
    `declare const ttl: RedisCommand.DurationWithUnit | undefined`,
    `declare const flag: boolean`,
    `declare const count: number | undefined`,
    `declare const options: { readonly get: true } | undefined`
  ]
  const text = [...head, ...lines.map(([, code]) => code)].join("\n")
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ["node"],
    noEmit: true,
    paths: { "effect-redis-client": ["./src/index.ts"] },
    baseUrl: root
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile } = host
  host.fileExists = (name) => name === file || fileExists(name)
  host.getSourceFile = (name, language) =>
    name === file ? ts.createSourceFile(name, text, language) : getSourceFile(name, language)
  const program = ts.createProgram([file], options, host)
  const source = program.getSourceFile(file)
  if (source === undefined) {
    throw new Error("no program")
  }
  const messages = new Map<string, string>()
  for (const { messageText, start = 0 } of program.getSemanticDiagnostics(source)) {
    const at = source.getLineAndCharacterOfPosition(start).line - head.length
    const name = lines[at]?.[0] ?? "head"
    const first = ts.flattenDiagnosticMessageText(messageText, "\n").split("\n")[0] ?? ""
    messages.set(name, messages.get(name) ?? first)
  }
  return messages
}

describe("the compiler's first line", { timeout: 300_000 }, () => {
  let messages: ReadonlyMap<string, string> = new Map()
  beforeAll(() => {
    messages = compile()
  }, 300_000)

  it("says what is wrong with options", () => {
    expect(Object.fromEntries(Object.keys(wrong).map((name) => [name, messages.get(name)]))).toEqual({
      unit: "Type 'number' is not assignable to type 'DurationWithUnit | undefined'.",
      conditions: "Type 'boolean' is not assignable to type 'ExcludedBy<\"xx\">'.",
      expiries: "Type 'string' is not assignable to type 'ExcludedBy<\"px\">'.",
      unknown: expect.stringContaining("'changed' does not exist in type"),
      unknownToo: "Type 'boolean' is not assignable to type 'UnknownOption'.",
      bound: "Argument of type 'string' is not assignable to parameter of type 'ScoreBound'.",
      rank: "Argument of type 'string' is not assignable to parameter of type 'number'.",
      scoresByLex: "Type 'boolean' is not assignable to type 'ExcludedBy<\"withscores\">'.",
      limitOfRanks: expect.stringContaining('Needs<"byscore" | "bylex">'),
      withoutCount: expect.stringContaining('Needs<"count">'),
      timeout: "Type 'number' is not assignable to type 'DurationWithUnit'."
    })
  })

  it("is absent where an option may be absent", () => {
    expect(
      [...messages.keys()].filter((name) => name in right || name === "head").map((name) => messages.get(name))
    ).toEqual([])
  })
})
