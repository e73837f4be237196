/**
 * docs/reliability.md cannot rot: the tests and scripts that it names exist, the README's promises lead to it, and the
 * tables of options name the options there are, with nothing left out. (That links lead somewhere: docs.test.ts.)
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as ts from "typescript"
import { describe, expect, it } from "vitest"
import { anchorsOf } from "./support/pages.js"

const root = path.resolve(import.meta.dirname, "..")
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

/** The functions that declare tests. A suite's own helpers are called `test`, or are members of one of these. */
const declares = /^(?:it|test|describe|describeReal|plain|live|slow|layer)$/

const leftmost = (node: ts.Expression): string => {
  let at = node
  while (ts.isCallExpression(at) || ts.isPropertyAccessExpression(at) || ts.isTaggedTemplateExpression(at)) {
    at = ts.isTaggedTemplateExpression(at) ? at.tag : at.expression
  }
  return ts.isIdentifier(at) ? at.text : ""
}

/** A title as the page writes it: `…` stands for an interpolated value. */
const titleOf = (node: ts.Expression | undefined): string | undefined =>
  node === undefined
    ? undefined
    : ts.isStringLiteralLike(node)
      ? node.text
      : ts.isTemplateExpression(node)
        ? `${node.head.text}${node.templateSpans.map(({ literal }) => `…${literal.text}`).join("")}`
        : undefined

/** The titles of the tests that a file runs, without groups and skipped tests. */
const titlesIn = (source: string): ReadonlySet<string> => {
  const titles = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.arguments.length > 1 && declares.test(leftmost(node.expression))) {
      const title = titleOf(node.arguments[0])
      if (title !== undefined && !/^describe|\.(?:skip|todo)\b/.test(node.expression.getText())) {
        titles.add(title)
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile("test.ts", source, ts.ScriptTarget.Latest, true))
  return titles
}

interface Promised {
  readonly heading: string
  readonly how: boolean
  /** The file and title of each named test. */
  readonly tests: ReadonlyArray<readonly [file: string, title: string]>
  readonly scripts: ReadonlyArray<string>
}

/** The promises of the page: its third-level headings. */
const promisesIn = (page: string): ReadonlyArray<Promised> =>
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const proofs = [...section.matchAll(/^- `([^`]+)`: (.+(?:\n {2}.+)*)$/gm)].map(
        ([, what = "", title = ""]) => [what, title.replace(/\n\s+/g, " ")] as const
      )
      return {
        heading: section.slice(0, section.indexOf("\n")),
        how: /^\*\*How\.\*\* \S/m.test(section),
        tests: proofs.filter(([what]) => !what.startsWith("npm run ")),
        scripts: proofs.filter(([what]) => what.startsWith("npm run ")).map(([what]) => what.slice("npm run ".length))
      }
    })

/** The problems of a page of promises. */
const problemsOf = (
  page: string,
  files: (file: string) => string | undefined,
  scripts: ReadonlyArray<string>,
  titles = new Map<string, ReadonlySet<string>>()
): ReadonlyArray<string> =>
  promisesIn(page).flatMap((promise) => [
    ...(promise.how ? [] : [`${promise.heading}: it is not said how`]),
    ...(promise.tests.length > 0 ? [] : [`${promise.heading}: no test is named`]),
    ...promise.scripts.filter((name) => !scripts.includes(name)).map((name) => `no such script: ${name}`),
    ...promise.tests.flatMap(([file, title]) => {
      const source = files(file)
      if (source === undefined) {
        return [`no such file: ${file}`]
      }
      const found = titles.get(file) ?? titlesIn(source)
      titles.set(file, found)
      return found.has(title) ? [] : [`no such test in ${file}: ${title}`]
    })
  ])

const page = read("docs/reliability.md")
const sources = new Map<string, string | undefined>()
const source = (file: string): string | undefined => {
  if (!sources.has(file)) {
    sources.set(
      file,
      /^test\/.+\.test\.ts$/.test(file) && fs.existsSync(path.join(root, file)) ? read(file) : undefined
    )
  }
  return sources.get(file)
}

describe("docs/reliability.md", () => {
  const scripts = Object.keys((JSON.parse(read("package.json")) as { readonly scripts: object }).scripts)

  it("names tests and scripts that exist", () => {
    const promises = promisesIn(page)
    expect(promises.length).toBeGreaterThan(30)
    expect(promises.flatMap(({ tests }) => tests).length).toBeGreaterThan(100)
    // Every line that looks like a proof was parsed as one.
    expect(page.match(/^- `/gm)?.length).toBe(promises.flatMap(({ scripts, tests }) => [...tests, ...scripts]).length)
    expect(problemsOf(page, source, scripts)).toEqual([])
  })

  it("a wrong name would be caught", () => {
    const files = (file: string) =>
      file === "test/a.test.ts"
        ? 'it("is there", () => {})\nit.skip("is skipped", () => {})\ndescribe("a group", () => {})\nit(`n=$' +
          "{n}: b`, f)"
        : undefined
    const one = (proof: string) => problemsOf(`### A\n\n**How.** So.\n\n${proof}`, files, ["fuzz"])
    expect(one("- `test/a.test.ts`: is there")).toEqual([])
    expect(one("- `test/a.test.ts`: n=…: b")).toEqual([])
    expect(one("- `test/a.test.ts`: is\n  there\n- `npm run fuzz`: so")).toEqual([])
    expect(one("- `test/a.test.ts`: was there")).toEqual(["no such test in test/a.test.ts: was there"])
    expect(one("- `test/a.test.ts`: is skipped")).toEqual(["no such test in test/a.test.ts: is skipped"])
    expect(one("- `test/a.test.ts`: a group")).toEqual(["no such test in test/a.test.ts: a group"])
    expect(one("- `test/b.test.ts`: is there")).toEqual(["no such file: test/b.test.ts"])
    expect(one("- `npm run soak`: so")).toEqual(["A: no test is named", "no such script: soak"])
    expect(problemsOf("### A\n\n- `test/a.test.ts`: is there", files, [])).toEqual(["A: it is not said how"])
  })
})

describe("README.md", () => {
  const readme = read("README.md")

  it("states promises that the page proves", () => {
    const section = /^## What it promises\n([\s\S]*?)^## /m.exec(readme)?.[1] ?? ""
    const promises = section.split(/^- /m).slice(1)
    expect(promises.length).toBeGreaterThan(8)
    const anchors = anchorsOf(page)
    for (const promise of promises) {
      const links = [...promise.matchAll(/\]\(docs\/reliability\.md#([\w-]+)\)/g)].map(([, anchor]) => anchor)
      expect([promise, links.length > 0]).toEqual([promise, true])
      for (const anchor of links) {
        expect([...anchors]).toContain(anchor)
      }
    }
  })
})

/** The names of an interface's own members, sorted. */
const membersOf = (file: string, name: string): ReadonlyArray<string> => {
  const parsed = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true)
  const found = parsed.statements.find(
    (one): one is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(one) && one.name.text === name
  )
  return (found?.members ?? []).map((member) => member.name?.getText() ?? "").sort()
}

/** The options in the first column of a table. The table follows a line that begins with the interface's name. */
const tabled = (text: string, name: string): ReadonlyArray<string> => {
  const table = new RegExp(`^\`${name}\`[\\s\\S]*?\\n((?:\\|.*\\n)+)`, "m").exec(text)?.[1] ?? ""
  return table
    .split("\n")
    .slice(2)
    .flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`(\w+)`/g)].map(([, option = ""]) => option))
    .sort()
}

describe("tables of options", () => {
  for (const [where, file, name] of [
    ["docs/options.md", "src/internal/connection/options.ts", "ConnectionOptions"],
    ["docs/options.md", "src/Pool.ts", "PoolOptions"],
    ["docs/options.md", "src/Redis.ts", "RedisOptions"],
    ["docs/pubsub.md", "src/internal/pubsub/service.ts", "RedisPubSubOptions"],
    ["docs/pubsub.md", "src/RedisPubSub.ts", "BufferOptions"],
    ["docs/pubsub.md", "src/RedisPubSub.ts", "SubscribeOptions"],
    ["docs/pubsub.md", "src/RedisPubSub.ts", "KeyspaceOptions"],
    ["docs/pubsub.md", "src/RedisPubSub.ts", "InvalidationOptions"],
    ["docs/locks.md", "src/RedisLock.ts", "LockOptions"],
    ["docs/locks.md", "src/RedisLock.ts", "TryOptions"],
    ["docs/options.md", "src/KeyValueStore.ts", "KeyValueStoreOptions"],
    ["docs/options.md", "src/Persistence.ts", "PersistenceOptions"],
    ["docs/options.md", "src/RateLimiterStore.ts", "RateLimiterStoreOptions"],
    ["docs/options.md", "src/PersistedQueue.ts", "PersistedQueueOptions"],
    ["docs/streams.md", "src/RedisStream.ts", "ReadOptions"],
    ["docs/streams.md", "src/RedisStream.ts", "GroupOptions"],
    ["docs/streams.md", "src/RedisStream.ts", "ClaimOptions"],
    ["docs/streams.md", "src/RedisStream.ts", "WorkerOptions"],
    ["docs/rate-limits.md", "src/RedisRateLimiter.ts", "GcraOptions"],
    ["docs/rate-limits.md", "src/RedisRateLimiter.ts", "TokenBucketOptions"],
    ["docs/rate-limits.md", "src/RedisRateLimiter.ts", "WindowOptions"],
    ["docs/rate-limits.md", "src/RedisRateLimiter.ts", "CommonOptions"],
    ["docs/rate-limits.md", "src/RedisRateLimiter.ts", "LimitOptions"]
  ] as const) {
    it(`${where} has those of ${name}, and no others`, () => {
      const members = membersOf(file, name)
      expect(members.length).toBeGreaterThan(0)
      expect(tabled(read(where), name)).toEqual(members)
    })
  }
})
