/**
 * The table of metrics in docs/observability.md: it has what src/internal/telemetry/instruments.ts has, and so does the registry
 * of a program in which everything happens that is counted. The page's other tables have every attribute and event of spans,
 * and the dashboard and the alerts name only metrics and labels that there are.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Pool, Redis, RedisPubSub } from "effect-redis-client"
import type { Instrument } from "../../src/internal/effect/metrics.js"
import * as Instruments from "../../src/internal/telemetry/instruments.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import { on, quickly } from "../support/client.js"
import { make as makeClusterPeers, resp } from "../support/clusterPeers.js"
import { metrics } from "../support/effect.js"
import * as Peer from "../support/peer.js"

const root = path.resolve(import.meta.dirname, "../..")
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const page = read("docs/observability.md")

/** The rows of the page's tables: what stands in each column. */
const rows: ReadonlyArray<ReadonlyArray<string>> = page
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll("\\|", "|"))
  )

const plain = (cell = ""): string => cell.replaceAll("`", "")

interface Row extends Instrument {
  /** Labels that each of its series has. */
  readonly always: ReadonlyArray<string>
  /** Labels that some have. */
  readonly sometimes: ReadonlyArray<string>
}

const table: ReadonlyMap<string, Row> = new Map(
  rows
    .filter((cells) => cells.length === 5 && cells[0]?.startsWith("`"))
    .map(([name, kind, unit, labels = "", description = ""]) => {
      const all = labels.split(", ").map((label) => [plain(label.split(" ")[0]), label.includes(" where ")] as const)
      const of = (wanted: boolean) => all.filter(([, some]) => some === wanted).map(([label]) => label)
      return [
        plain(name),
        {
          name: plain(name),
          kind: kind === "up/down" ? "upDown" : (kind as Instrument["kind"]),
          unit: plain(unit),
          description,
          always: [...of(false), "unit"].sort(),
          sometimes: of(true)
        }
      ]
    })
)

const instruments: ReadonlyArray<Instrument> = Object.values(Instruments)

describe("the table of metrics", () => {
  it("has every metric with its kind, unit and description, and no other", () => {
    const shown = [...table.values()].map(({ description, kind, name, unit }) => ({ name, kind, unit, description }))
    const byName = (a: Instrument, b: Instrument): number => (a.name < b.name ? -1 : 1)
    expect(shown.sort(byName)).toEqual([...instruments].sort(byName))
  })

  it.scopedLive("has what a program registers, with its labels, and all of it happens", () =>
    Effect.gen(function* () {
      const keyOf = ({ name, tags }: { readonly name: string; readonly tags: Readonly<Record<string, string>> }) =>
        JSON.stringify([name, Object.entries(tags).sort()])
      /** Metrics stay in the process: those of this test are new, because its ports are. */
      const before = new Set((yield* metrics).map(keyOf))
      const seen = new Map<string, Readonly<Record<string, string>>>()
      /** Metrics that have counted anything at some time. */
      const counted = new Set<string>()
      const look = Effect.map(metrics, (all) => {
        for (const metric of all) {
          if (!before.has(keyOf(metric)) && /^(?:db|redis)\./.test(metric.name)) {
            seen.set(keyOf(metric), metric.tags)
            if ((metric.state as { readonly count: number }).count !== 0) {
              counted.add(metric.name)
            }
          }
        }
      })
      const until = (name: string) =>
        Effect.repeat(Effect.zipRight(Effect.sleep("2 millis"), look), { until: () => counted.has(name) }).pipe(
          Effect.timeout("20 seconds"),
          Effect.catchAll(() => Effect.dieMessage(`${name} counted nothing`))
        )
      yield* everything(until)
      yield* look

      const problems = [...seen].flatMap(([key, tags]) => {
        const [name] = JSON.parse(key) as [string]
        const row = table.get(name)
        const labels = Object.keys(tags)
          .filter((label) => !row?.sometimes.includes(label))
          .sort()
        return row === undefined
          ? [`${name} is not in the table`]
          : labels.join() !== row.always.join() || tags.unit !== row.unit
            ? [
                `${name} has the labels ${labels.join()} (${tags.unit}), and the table ${row.always.join()} (${row.unit})`
              ]
            : []
      })
      expect(problems).toEqual([])
      // `redis.client.redirections` needs a cluster, which `everything` has too. Those of workers need a real server, and are in
      // propagate.test.ts.
      expect(instruments.map(({ name }) => name).filter((name) => !counted.has(name))).toEqual([
        "redis.client.stream.lag",
        "redis.client.stream.in_hand"
      ])
    })
  )
})

/** A program in which everything happens that is counted. `until` waits for a metric. */
const everything = (until: (name: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    let isOpen = false
    const resets = new Set<string>()
    const peer = yield* Peer.make({
      onCommand: (words, connection) => {
        const [name = ""] = words
        if (!isOpen) {
          return undefined
        }
        if (name === "HELLO" && words.includes("wrong")) {
          return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        }
        if (name === "SUBSCRIBE") {
          connection.write(">3\r\n+subscribe\r\n+news\r\n:1\r\n")
          return ">3\r\n+message\r\n+news\r\n+hello\r\n".repeat(20)
        }
        if (name === "MGET" && !resets.has(name)) {
          resets.add(name)
          connection.reset()
          return undefined
        }
        return Peer.greeting(([name]) =>
          name === "INCR" ? "-ERR value is not an integer or out of range\r\n" : name === "SET" ? undefined : "+OK\r\n"
        )(words, connection)
      }
    })
    const where = { host: "127.0.0.1", port: peer.port, reconnect: quickly } as const
    const telemetry = { metrics: { commands: true } }
    const redis = yield* Redis.make({ ...where, lazy: true, telemetry })
    const run = on(redis)

    // Commands wait for the connection, which the server does not answer yet.
    const early = yield* Effect.fork(run(Redis.execute("GET", "k")))
    yield* until("redis.client.queue.commands")
    yield* until("redis.client.queue.bytes")
    isOpen = true
    for (const { socket, write } of peer.connections) {
      socket.resume()
      write("")
      socket.destroy()
    }
    yield* Fiber.join(early)

    // An error, a connection that is lost, and a command that the server does not answer.
    yield* Effect.exit(run(Redis.incr("k")))
    yield* Effect.exit(run(Redis.execute("MGET", "k")))
    const silent = yield* Effect.fork(run(Redis.set("k", "v")))
    yield* until("redis.client.in_flight")
    yield* Fiber.interrupt(silent)

    // A password that the server refuses.
    yield* Effect.exit(
      Effect.scoped(Redis.make({ ...where, password: Redacted.make("wrong"), reconnect: Schedule.recurs(0) }))
    )

    // A pool of one, for which a second borrower waits too long.
    const pool = yield* Pool.make({ ...where, minSize: 1, maxSize: 1, acquireTimeout: "100 millis" })
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* pool.acquire
        const second = yield* Effect.fork(Effect.exit(Effect.scoped(pool.acquire)))
        yield* until("db.client.connection.pending_requests")
        yield* Fiber.join(second)
      })
    )

    // A subscription that takes none of its messages: it has dropped some, although it never catches up.
    yield* RedisPubSub.mailbox("news", { bufferSize: 1 }).pipe(
      Effect.zipRight(until("redis.client.pubsub.dropped")),
      Effect.scoped,
      Effect.provide(RedisPubSub.layer(where))
    )

    // A node of a cluster that sends a command elsewhere.
    let ports: ReadonlyArray<number> = []
    const cluster = yield* makeClusterPeers(2, {
      onCommand: (_, node) => (node === 0 ? resp(`-MOVED 3300 127.0.0.1:${ports[1]}`) : resp("v"))
    })
    ports = cluster.ports
    const client = yield* RedisCluster.make({
      nodes: cluster.seeds.slice(0, 1),
      reconnect: quickly,
      refreshInterval: "1 hour"
    })
    yield* on(client)(Redis.get("b"))
  })

describe("the tables of spans", () => {
  it("have every attribute and event of a span, and no other", () => {
    const source = ["spans", "server"].map((name) => read(`src/internal/telemetry/${name}.ts`)).join("\n")
    const written = new Set(
      [...source.matchAll(/"((?:db|redis|server|network|error)\.[a-z_.]+)"/g)].map(([, name = ""]) => name)
    )
    const shown = new Set(
      rows
        .filter((cells) => cells.length === 2 && /^`(?:db|redis|server|network|error)\./.test(cells[0] ?? ""))
        .flatMap(([names = ""]) => names.split(", ").map(plain))
    )
    expect([...shown].sort()).toEqual([...written].sort())
  })
})

/** Names and labels as the translation from OTLP to Prometheus makes them. */
const inPrometheus = (name: string): string => name.replaceAll(".", "_")

const prometheus: ReadonlyMap<string, Row> = new Map(
  [...table.values()].flatMap((row): ReadonlyArray<readonly [string, Row]> => {
    const words = inPrometheus(row.name)
    const unit = row.unit === "s" ? "seconds" : row.unit === "By" ? "bytes" : ""
    const name = unit === "" || words.split("_").includes(unit) ? words : `${words}_${unit}`
    return row.kind === "histogram"
      ? ["bucket", "sum", "count"].map((part) => [`${name}_${part}`, row])
      : [[row.kind === "counter" ? `${name}_total` : name, row]]
  })
)

/** Metrics and labels of a query that there are not. */
const strangersIn = (query: string): ReadonlyArray<string> => {
  const words = query.replace(/"(?:\\.|[^"\\])*"/g, "").match(/[a-zA-Z_]\w*/g) ?? []
  const used = words.filter((word) => /^(?:db|redis)_client_/.test(word) && prometheus.has(word))
  const labels = new Set([
    "le",
    "job",
    ...used.flatMap((name) => {
      const { always = [], sometimes = [] } = prometheus.get(name) ?? {}
      return [...always, ...sometimes].map(inPrometheus)
    })
  ])
  const ours = words.filter((word) => /^(?:db|redis|server|error|reason|kind)(?:_|$)/.test(word))
  return used.length === 0 ? [query] : ours.filter((word) => !prometheus.has(word) && !labels.has(word))
}

describe("the dashboard and the alerts", () => {
  interface Panel {
    readonly title: string
    readonly type: string
    readonly targets?: ReadonlyArray<{ readonly expr: string }>
  }
  const dashboard = JSON.parse(read("docs/dashboards/redis-client.json")) as {
    readonly panels: ReadonlyArray<Panel>
    readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly query: unknown }> }
  }
  const queries = dashboard.panels.flatMap(({ targets = [], title }) =>
    targets.map(({ expr }) => [title, expr] as const)
  )

  it("have queries of metrics and labels that there are", () => {
    expect(queries.length).toBeGreaterThan(15)
    expect(queries.flatMap(([title, expr]) => strangersIn(expr).map((word) => `${title}: ${word}`))).toEqual([])
    const alerts = rows.flatMap(([, expression = ""]) => /^`([^`]*_client_[^`]*)`/.exec(expression)?.[1] ?? [])
    expect(alerts.length).toBeGreaterThan(5)
    expect(alerts.flatMap(strangersIn)).toEqual([])
  })

  it("name a metric or a label that there is not", () => {
    expect(strangersIn("rate(redis_client_errors[5m])")).not.toEqual([])
    expect(strangersIn("sum by (reason) (rate(redis_client_errors_total[5m]))")).toEqual(["reason"])
  })

  it("show every metric", () => {
    const text = queries.map(([, expr]) => expr).join("\n")
    const shown = [...table.keys()].filter((name) =>
      [...prometheus].some(([other, row]) => row.name === name && new RegExp(`\\b${other}\\b`).test(text))
    )
    expect([...table.keys()].filter((name) => !shown.includes(name))).toEqual([])
  })
})
