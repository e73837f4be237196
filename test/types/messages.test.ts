/** What the compiler says of wrong options: the first line of its message names what is wrong. */
import * as fs from "node:fs"
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
  timeout: `Redis.blpop("k", { timeout: 5 })`,
  sortWords: `Redis.sort("k", { asc: true, desc: true })`,
  sortLimit: `Redis.sort("k", { limit: 5 })`,
  sortStore: `Redis.sortRo("k", { store: "to" })`,
  aclLog: `Redis.aclLog({ count: "5" })`,
  aclLogWords: `Redis.aclLog({ count: 5, reset: true })`,
  sentinelConfig: `Redis.sentinelConfig({ get: "*", set: { "resolve-hostnames": true } })`,
  sentinelConfigNone: `Redis.sentinelConfig({})`,
  sentinelCrash: `Redis.sentinelSimulateFailure("crash")`,
  migration: `Redis.clusterMigration({ import: { start: "0", end: 1 } })`,
  migrationWords: `Redis.clusterMigration({ cancel: { all: true }, status: { all: true } })`,
  pipelineMode: `Redis.pipeline([Redis.get("k")], { mode: "eithers" })`,
  pipelineCommand: `Redis.pipeline([5])`,
  zaddMembers: `Redis.zadd("z", ["a", "1"])`,
  zaddOption: `Redis.zadd("z", ["a", 1], { changed: true })`,
  xaddOption: `Redis.xadd("s", "*", { f: "v" }, { nomkstreams: true })`,
  kill: `Redis.clientKill({ user: "ada", types: "normal" })`,
  tracking: `Redis.clientTracking("of")`,
  trackingOff: `Redis.clientTracking("off", { bcast: true })`,
  commandlog: `Redis.commandlogGet(5, "fast")`,
  arop: `Redis.arop("k", 0, 1, "average")`,
  bitop: `Redis.bitop("nand", "to", ["a", "b"])`,
  bitopNot: `Redis.bitop("not", "to", ["a", "b"])`,
  georadius: `Redis.georadius("k", { longitude: 1, latitude: 2 }, 1, "km", { withdist: true, store: "to" })`,
  georadiusAny: `Redis.georadiusbymember("k", "m", 1, "km", { any: true })`,
  consumer: `Redis.stream.consume({ stream: "s", group: "g" })`,
  entrySchema: `Redis.stream.read("s", { schema: Schema.Struct({ n: Schema.Number }) })`,
  hashSchema: `RedisHash.make(Schema.Struct({ n: Schema.Number }))`,
  entryFields: `Redis.stream.add("s", { n: 1 })`,
  using: `Redis.using(5, Other)`,
  withPrefix: `Redis.withPrefix(Redis.get("k"), 5)`
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
  flushall: `Redis.flushall({ async: flag })`,
  sorted: `Redis.sort("k", { desc: flag, get: pattern })`,
  aclLogCount: `Redis.aclLog({ count, reset: false })`,
  modeOrNone: `Redis.pipeline([Redis.get("k")], { mode: flag ? "either" : undefined })`,
  around: `Redis.georadius("k", { longitude: 1, latitude: 2 }, 1, "km", { withdist: flag, count })`
} as const

const compile = (): ReadonlyMap<string, string> => {
  const file = path.join(root, "test/types/messages.snippets.ts")
  const lines = Object.entries({ ...wrong, ...right })
  const head = [
    `import { Redis, type RedisCommand, RedisHash } from "effect-redis-client"`,
    `import * as Schema from "effect/Schema"`,
    `class Other extends Redis.Tag("Other")<Other>() {}`,
    `declare const ttl: RedisCommand.DurationWithUnit | undefined`,
    `declare const flag: boolean`,
    `declare const count: number | undefined`,
    `declare const pattern: string | undefined`,
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

/** The public members and functions of which one call may mean two signatures: they take the same number of arguments. */
const overlapping = (): ReadonlyArray<string> => {
  const found: Array<string> = []
  const arity = ({ parameters }: ts.CallSignatureDeclaration) => ({
    least: parameters.filter((parameter) => !parameter.questionToken && !parameter.dotDotDotToken).length,
    most: parameters.some((parameter) => parameter.dotDotDotToken) ? Number.POSITIVE_INFINITY : parameters.length
  })
  const src = path.join(root, "src")
  for (const name of ts.sys.readDirectory(src, [".ts"])) {
    const file = ts.createSourceFile(name, fs.readFileSync(name, "utf8"), ts.ScriptTarget.ES2022)
    const visit = (node: ts.Node): void => {
      if (
        (ts.isPropertySignature(node) || ts.isVariableDeclaration(node)) &&
        node.type &&
        ts.isTypeLiteralNode(node.type)
      ) {
        const arities = node.type.members.filter(ts.isCallSignatureDeclaration).map(arity)
        if (arities.some((a, i) => arities.some((b, j) => i < j && a.least <= b.most && b.least <= a.most))) {
          found.push(`${path.relative(src, name)} ${node.name.getText(file)}`)
        }
      }
      ts.forEachChild(node, visit)
    }
    visit(file)
  }
  return found.sort()
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
      scoresByLex: "Type 'boolean' is not assignable to type 'ExcludedBy<\"bylex\">'.",
      limitOfRanks: expect.stringContaining('Needs<"byscore" | "bylex">'),
      withoutCount: expect.stringContaining('Needs<"count">'),
      timeout: "Type 'number' is not assignable to type 'DurationWithUnit'.",
      sortWords: "Type 'boolean' is not assignable to type 'ExcludedBy<\"desc\">'.",
      sortLimit: "Type 'number' is not assignable to type '{ readonly offset: number; readonly count: number; }'.",
      sortStore: expect.stringContaining("'store' does not exist in type"),
      aclLog: "Type 'string' is not assignable to type 'number'.",
      aclLogWords: "Type 'number' is not assignable to type 'ExcludedBy<\"reset\">'.",
      sentinelConfig: "Type 'string' is not assignable to type 'ExcludedBy<\"set\">'.",
      sentinelConfigNone: expect.stringContaining('CheckedOne<{}, SentinelConfigOptions, "get" | "set">'),
      sentinelCrash: expect.stringContaining("'OneOrMany<Crash> | \"help\"'"),
      migration: "Type '{ start: string; end: number; }' is not assignable to type 'OneOrMany<SlotRange> | undefined'.",
      migrationWords: expect.stringContaining("'ExcludedBy<\"status\">'"),
      pipelineMode: expect.stringContaining('\'"default" | "either" | undefined\''),
      pipelineCommand: "Type 'number' is not assignable to type 'RedisCommand<unknown>'.",
      zaddMembers: "Type 'string' is not assignable to type 'number'.",
      zaddOption: expect.stringContaining("'changed' does not exist in type"),
      xaddOption: expect.stringContaining("'nomkstreams' does not exist in type"),
      kill: "Type 'string' is not assignable to type 'UnknownOption'.",
      tracking: expect.stringContaining('\'"on" | "off"\''),
      trackingOff: "Argument of type '{ bcast: boolean; }' is not assignable to parameter of type 'undefined'.",
      commandlog: expect.stringContaining("'CommandLogType'"),
      arop: expect.stringContaining("'AropOperation<string>'"),
      bitop: expect.stringContaining("'\"not\" | BitOperation'"),
      bitopNot: "Argument of type 'string[]' is not assignable to parameter of type 'Key'.",
      georadius: "Type 'true' is not assignable to type 'true & ExcludedBy<\"store\">'.",
      georadiusAny: "Type 'true' is not assignable to type 'true & Needs<\"count\">'.",
      consumer: expect.stringContaining("to parameter of type 'GroupOptions<"),
      entrySchema: expect.stringContaining("is not assignable to type 'EntrySchema'."),
      entryFields: "Type 'number' is not assignable to type 'string'.",
      hashSchema: expect.stringContaining("to parameter of type 'HashSchema'."),
      using: "Argument of type 'number' is not assignable to parameter of type 'Program'.",
      withPrefix: "Argument of type 'number' is not assignable to parameter of type 'string'."
    })
  })

  it("is never 'No overload matches this call', save for overloads that cannot be one signature", () => {
    expect(overlapping()).toEqual([
      // Whether there is a `decode` or `result` decides the answer. As a type parameter with a default it is fixed before
      // the parameter of such a function gets its type; the answer as a type parameter is taken from what the program
      // expects, so that `make("GET")` would be a `RedisCommand<number>` where one is expected.
      "RedisCommand.ts make",
      "RedisFunction.ts make",
      // Data first and data last, with options that may be left out in both, as `Effect.withSpan` has them.
      "RedisLock.ts leader",
      "RedisLock.ts tryWithLock",
      "RedisLock.ts withLock",
      "RedisScript.ts make",
      "internal/command/raw.ts make"
    ])
  })

  it("is absent where an option may be absent", () => {
    expect(
      [...messages.keys()].filter((name) => name in right || name === "head").map((name) => messages.get(name))
    ).toEqual([])
  })
})
