/**
 * What an application shows of Redis: a trace of one request of each route, printed as a tree, and the metrics after some load,
 * as a table. A real application sends both to a collector; here two small exporters print them.
 */
import { NodeSdk } from "@effect/opentelemetry"
import { NodeRuntime } from "@effect/platform-node"
import { SpanStatusCode } from "@opentelemetry/api"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  type MetricData,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import {
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  SamplingDecision,
  SimpleSpanProcessor
} from "@opentelemetry/sdk-trace-base"
import { Console, Effect, Layer, Option, Schema } from "effect"
import { Pool, Redis, RedisScript } from "effect-redis-client"
import * as RedisServer from "effect-redis-client/testing/RedisServer"

// ---- The application. It knows nothing of spans but those of its own routes.

const takeFromStock = RedisScript.make({
  source: "if tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then return redis.call('DECR', KEYS[1]) else return -1 end",
  keys: 1,
  args: [],
  result: Schema.Int
})

const showUser = (id: number) =>
  Effect.gen(function* () {
    const cached = yield* Redis.get(`user:${id}`)
    if (Option.isNone(cached)) {
      const user = yield* Effect.withSpan(Effect.as(Effect.sleep("5 millis"), "Ada"), "SELECT users")
      yield* Redis.set(`user:${id}`, user, { ex: "1 minute" })
    }
    yield* Redis.pipeline([Redis.incr("visits"), Redis.zincrby("popular", 1, String(id))])
  }).pipe(Effect.withSpan("GET /users/:id"))

const order = Effect.gen(function* () {
  if ((yield* takeFromStock("stock")) >= 0) {
    yield* Redis.transaction([Redis.rpush("orders", ["book"]), Redis.publish("orders", "book")])
  }
}).pipe(Effect.withSpan("POST /orders"))

/** Somebody has stored text where a list is expected. */
const report = Effect.ignore(Pool.withConnection(Redis.lrange("popular:text", 0, 9))).pipe(
  Effect.withSpan("GET /report")
)

const load = Effect.gen(function* () {
  yield* Redis.set("stock", "1000")
  yield* Redis.set("popular:text", "none")
  yield* takeFromStock("stock") // the server holds the script from now on
  // One of each first, then many at once.
  yield* Effect.all([showUser(0), order, report])
  yield* Effect.forEach(Array.from({ length: 200 }), (_, i) => Effect.all([showUser(i % 20), order, report]), {
    concurrency: 8
  })
})

// ---- What is looked at.

const spanExporter = new InMemorySpanExporter()
const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const metricReader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 60_000 })

/** Keeps the first request of each route. The commands of all others have no span, and cost next to nothing. */
const seen = new Set<string>()
const firstOfEach = {
  shouldSample: (_context: unknown, _traceId: unknown, name: string) => {
    const isNew = / \//.test(name) && !seen.has(name)
    seen.add(name)
    return { decision: isNew ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
  }
}

const OpenTelemetryLive = NodeSdk.layer(() => ({
  resource: { serviceName: "shop" },
  spanProcessor: new SimpleSpanProcessor(spanExporter),
  tracerConfig: { sampler: new ParentBasedSampler({ root: firstOfEach }) },
  metricReader
}))

const millis = ([seconds, nanos]: readonly [number, number]): string => `${(seconds * 1e3 + nanos / 1e6).toFixed(1)} ms`

/** Attributes that all spans have alike, and one that is there when a command had to wait for a millisecond. */
const common = /^(?:db\.(?:system\.name|namespace|operation\.name)|server\.(?:address|port)|redis\.client\.queued)$/

const details = ({ attributes, events, status }: ReadableSpan): string =>
  [
    ...Object.entries(attributes)
      .filter(([name]) => !common.test(name))
      .sort()
      .map(([name, value]) => `${name}=${String(value).replace(/^[0-9a-f]{40}$/, (sha) => `${sha.slice(0, 6)}…`)}`),
    ...events.filter(({ name }) => name !== "exception").map(({ name }) => `(${name})`),
    ...(status.code === SpanStatusCode.ERROR ? ["failed"] : [])
  ].join(" ")

const treeOf = (
  all: ReadonlyArray<ReadableSpan>,
  parent: string | undefined,
  indent: string
): ReadonlyArray<string> => {
  const time = ({ startTime: [seconds, nanos] }: ReadableSpan) => seconds * 1e9 + nanos
  const below = all.filter((span) => span.parentSpanContext?.spanId === parent).sort((a, b) => time(a) - time(b))
  return below.flatMap((span, i) => {
    const isLast = i === below.length - 1
    const [branch, next] = parent === undefined ? ["", ""] : isLast ? ["└─ ", "   "] : ["├─ ", "│  "]
    const line = `${indent}${branch}${span.name}  ${millis(span.duration)}  ${details(span)}`.trimEnd()
    return [line, ...treeOf(all, span.spanContext().spanId, indent + next)]
  })
}

/** Labels that are the same in each row, or part of it. */
const hidden = /^(?:unit|server\.address|db\.system\.name)$/

const rowsOf = ({ dataPoints, descriptor }: MetricData): ReadonlyArray<string> =>
  dataPoints.map(({ attributes, value }) => {
    const labels = Object.entries(attributes).filter(([name]) => !hidden.test(name))
    const shown = labels.map(([, value]) => value).join(" ")
    const number =
      typeof value === "number"
        ? `${value} ${descriptor.unit}`
        : `${value.count} times, ${(((value.sum ?? 0) / value.count) * 1e3).toFixed(1)} ms each`
    return `${descriptor.name.padEnd(38)} ${shown.padEnd(16)} ${number}`
  })

/** Effect has metrics of its own; and the client has a pool of its own, for blocking commands, that is named after the server. */
const isOurs = (row: string): boolean => /^(?:db|redis)\./.test(row) && !/:\d+\/0/.test(row)

const show = Effect.gen(function* () {
  yield* Console.log(treeOf(spanExporter.getFinishedSpans(), undefined, "").join("\n"))
  // What is in flight is looked at every 20 ms.
  yield* Effect.sleep("100 millis")
  yield* Effect.promise(() => metricReader.forceFlush())
  const metrics = metricExporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
  yield* Console.log(metrics.flatMap(rowsOf).filter(isOurs).sort().join("\n"))
})

// ---- The server: that of REDIS_URL, or one that is started for the example.

const url = process.env.REDIS_URL
const telemetry = { metrics: { commands: true }, queryText: "shape" } as const
const ServerLive = url === undefined ? RedisServer.layerAny() : Layer.empty

const program = Effect.gen(function* () {
  const server = yield* Effect.serviceOption(RedisServer.RedisServer)
  const options = { url: Option.match(server, { onNone: () => url ?? "", onSome: (server) => server.url }), telemetry }
  const ClientLive = Layer.merge(Redis.layer(options), Pool.layer({ ...options, clientName: "reports", maxSize: 2 }))
  yield* Effect.zipRight(load, show).pipe(Effect.provide(ClientLive))
})

program.pipe(Effect.provide(Layer.merge(OpenTelemetryLive, ServerLive)), NodeRuntime.runMain)

// prints:
//   GET /users/:id  … ms
//   ├─ GET  … ms  db.query.text=GET ?
//   ├─ SELECT users  … ms
//   ├─ SET  … ms  db.query.text=SET ? ? EX ?
//   └─ PIPELINE  … ms  db.operation.batch.size=2 db.query.text=INCR ?; ZINCRBY ? ? ?
//   POST /orders  … ms
//   ├─ EVALSHA  … ms  db.query.text=EVALSHA ? ? ? db.stored_procedure.name=0f270c…
//   └─ MULTI  … ms  db.operation.batch.size=2 db.query.text=RPUSH ? ?; PUBLISH ? ?
//   GET /report  … ms
//   └─ LRANGE  … ms  db.query.text=LRANGE ? ? ? db.response.status_code=WRONGTYPE error.type=WRONGTYPE failed
//   db.client.connection.count             reports idle     … {connection}
//   db.client.connection.count             reports used     0 {connection}
//   db.client.connection.create_time                        … times, … ms each
//   …
//   db.client.connection.max               reports          2 {connection}
//   db.client.connection.pending_requests  reports          0 {request}
//   db.client.connection.timeouts          reports          0 {timeout}
//   db.client.connection.use_time          reports          201 times, … ms each
//   db.client.connection.wait_time         reports          201 times, … ms each
//   …
//   db.client.operation.duration           GET              201 times, … ms each
//   db.client.operation.duration           LRANGE WRONGTYPE 201 times, … ms each
//   db.client.operation.duration           MULTI            201 times, … ms each
//   db.client.operation.duration           PIPELINE         201 times, … ms each
//   …
//   redis.client.errors                    WRONGTYPE        201 {error}
//   redis.client.in_flight                                  0 {command}
