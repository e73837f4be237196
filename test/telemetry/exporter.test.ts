/**
 * Spans and metrics as OpenTelemetry's SDK exports them by `@effect/opentelemetry`: parents, kinds, status, attributes and
 * events; kinds of instruments, units and values.
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { expect } from "@effect/vitest"
import { SpanKind, SpanStatusCode } from "@opentelemetry/api"
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  type MetricData,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import {
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  SimpleSpanProcessor
} from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { Pool, Redis } from "effect-redis-client"
import * as Instruments from "../../src/internal/telemetry/instruments.js"
import type { RedisOptions } from "../../src/Redis.js"
import type { RedisError } from "../../src/RedisError.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, on } from "../support/client.js"

/** An SDK in memory, for as long as the scope is open. */
const makeSdk = (sampler?: Sampler) => {
  const spanExporter = new InMemorySpanExporter()
  const spanProcessor = new SimpleSpanProcessor(spanExporter)
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const metricReader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 3_600_000 })
  return {
    layer: NodeSdk.layer(() => ({
      resource: { serviceName: "test" },
      spanProcessor,
      tracerConfig: sampler === undefined ? {} : { sampler },
      metricReader
    })),
    /** The spans that ended. The SDK forgets them when it is shut down. */
    spans: Effect.promise(async (): Promise<ReadonlyArray<ReadableSpan>> => {
      await spanProcessor.forceFlush()
      return [...spanExporter.getFinishedSpans()]
    }),
    /** The metrics, with the points that have these attributes. */
    metrics: (labels: Readonly<Record<string, string>>) =>
      Effect.promise(async () => {
        metricExporter.reset()
        await metricReader.forceFlush()
        return metricExporter
          .getMetrics()
          .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
          .map((metric) => ({
            ...metric,
            points: pointsOf(metric).filter(({ attributes }) =>
              Object.entries(labels).every(([name, value]) => attributes[name] === value)
            )
          }))
          .filter(({ points }) => points.length > 0)
      })
  }
}

/** Attributes without the wait in the queue: on a busy machine any command waits for a millisecond. */
const steady = (span: { readonly attributes: object } | undefined) =>
  Object.fromEntries(Object.entries(span?.attributes ?? {}).filter(([key]) => key !== "redis.client.queued"))

const pointsOf = (metric: MetricData) =>
  metric.dataPoints as ReadonlyArray<{ readonly attributes: Record<string, unknown>; readonly value: unknown }>

/** `SUM up and down {connection}`. */
const shapeOf = (metric: MetricData): string =>
  metric.dataPointType === DataPointType.HISTOGRAM
    ? `histogram ${metric.descriptor.unit}`
    : metric.dataPointType === DataPointType.SUM
      ? `${metric.isMonotonic ? "counter" : "upDown"} ${metric.descriptor.unit}`
      : `other ${metric.descriptor.unit}`

eachServer((it, { connect, protocol }) => {
  /** The spans of a program that runs inside the span `request`. */
  const traced = (
    program: (run: ReturnType<typeof on>) => Effect.Effect<void, RedisError, RedisServer.RedisServer | Scope.Scope>,
    options?: RedisOptions,
    sampler?: Sampler
  ) =>
    Effect.suspend(() => {
      const sdk = makeSdk(sampler)
      return Effect.flatMap(connect(options), (redis) => Effect.withSpan(program(on(redis)), "request")).pipe(
        Effect.zipRight(sdk.spans),
        Effect.map((spans) => ({ all: spans, named: (name: string) => spans.filter((span) => span.name === name) })),
        Effect.provide(sdk.layer)
      )
    })

  it.scoped("a span is a CLIENT span under the caller's, with status, attributes and events", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const spans = yield* traced(
        (run) =>
          Effect.gen(function* () {
            yield* run(Redis.set("text", "v", { ex: "1 minute" }))
            yield* Effect.exit(run(Redis.lpush("text", "v")))
            yield* Effect.exit(run(Redis.pipeline([Redis.get("text"), Redis.lpush("text", "v")])))
          }),
        { telemetry: { queryText: "shape", attributes: { "peer.service": "sessions", shards: 2 } } }
      )
      const [request] = spans.named("request")
      for (const name of ["SET", "LPUSH", "PIPELINE"]) {
        const [span] = spans.named(name)
        expect(span?.kind).toBe(SpanKind.CLIENT)
        expect(span?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId)
        expect(span?.spanContext().traceId).toBe(request?.spanContext().traceId)
      }
      const where = {
        "db.system.name": "redis",
        "db.namespace": "0",
        "server.address": host,
        "server.port": port,
        "peer.service": "sessions",
        shards: 2
      }
      const [set] = spans.named("SET")
      expect(set?.status).toEqual({ code: SpanStatusCode.OK })
      expect(steady(set)).toEqual({ ...where, "db.operation.name": "SET", "db.query.text": "SET ? ? EX ?" })
      const [push] = spans.named("LPUSH")
      expect(steady(push)).toEqual({
        ...where,
        "db.operation.name": "LPUSH",
        "db.query.text": "LPUSH ? ?",
        "db.response.status_code": "WRONGTYPE",
        "error.type": "WRONGTYPE"
      })
      expect(push?.status).toMatchObject({ code: SpanStatusCode.ERROR, message: /WRONGTYPE/ })
      expect(push?.events.map(({ attributes, name }) => [name, attributes?.["exception.type"]])).toEqual([
        // OpenTelemetry takes the code of an error as its type.
        ["exception", "WRONGTYPE"]
      ])
      const [pipeline] = spans.named("PIPELINE")
      expect(pipeline?.status.code).toBe(SpanStatusCode.OK)
      expect(pipeline?.attributes["db.operation.batch.size"]).toBe(2)
      expect(pipeline?.events.map(({ attributes, name }) => [name, attributes])).toEqual([
        ["redis.error", { index: 1, "error.type": "WRONGTYPE" }]
      ])
    })
  )

  it.scoped("a caller that is interrupted ends its span once, which OpenTelemetry shows as interrupted", () =>
    Effect.gen(function* () {
      const spans = yield* traced((run) =>
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(run(Redis.blpop("nothing", { timeout: "1 minute" })))
          yield* run(
            Effect.repeat(Redis.clientList(), {
              until: (clients) => clients.some(({ cmd }) => /blpop/.test(String(cmd)))
            })
          )
          yield* Fiber.interrupt(waiting)
        })
      )
      const blocked = spans.named("BLPOP")
      expect(blocked.length).toBe(1)
      expect(blocked[0]?.attributes).toMatchObject({ "redis.blocking": true, "status.interrupted": true })
      expect(blocked[0]?.status.code).toBe(SpanStatusCode.OK)
    })
  )

  it.scoped("a sampler sees the name of a span alone, and a request that it leaves out has no span of a command", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [name: string, attributes: number]> = []
      const sampler: Sampler = {
        shouldSample: (_context, _trace, name, _kind, attributes) => {
          asked.push([name, Object.keys(attributes).length])
          return { decision: name === "GET" ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED }
        },
        toString: () => "without GET"
      }
      const spans = yield* traced((run) => Effect.asVoid(run(Effect.zip(Redis.get("a"), Redis.del("a")))), {}, sampler)
      expect(spans.all.map(({ name }) => name)).toEqual(["DEL", "request"])
      expect(asked.filter(([name]) => name !== "request")).toEqual([
        ["GET", 0],
        ["DEL", 0]
      ])
      const nothing: Sampler = {
        shouldSample: (_context, _trace, name) => {
          asked.push([name, 0])
          return { decision: SamplingDecision.NOT_RECORD }
        },
        toString: () => "nothing"
      }
      asked.length = 0
      const unsampled = yield* traced((run) => Effect.asVoid(run(Redis.get("a"))), {}, nothing)
      expect(unsampled.all).toEqual([])
      expect(asked).toEqual([["request", 0]])
    })
  )

  it.scoped("metrics are counters, sums that go up and down, and histograms, with their units", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const server = `${host}:${port}`
      const clientName = `exporter-${protocol}-${port}`
      const sdk = makeSdk()
      yield* Effect.gen(function* () {
        const redis = yield* connect({ telemetry: { metrics: { commands: true } } })
        const run = on(redis)
        yield* run(Redis.set("text", "v"))
        yield* Effect.exit(run(Redis.lpush("text", "v")))
        const pool = yield* Pool.make({ host, port, protocol, clientName, minSize: 1, maxSize: 3 })
        yield* Effect.scoped(pool.acquire)
        const ofClient = yield* sdk.metrics({ "server.address": server })
        const ofPool = yield* sdk.metrics({ "db.client.connection.pool.name": clientName })
        const table = new Map(Object.values(Instruments).map((instrument) => [instrument.name, instrument]))
        for (const metric of [...ofClient, ...ofPool]) {
          const { description, kind, unit } = table.get(metric.descriptor.name) ?? {}
          expect([metric.descriptor.name, shapeOf(metric), metric.descriptor.description]).toEqual([
            metric.descriptor.name,
            `${kind} ${unit}`,
            description
          ])
          expect(metric.points.every(({ attributes }) => attributes.unit === unit)).toBe(true)
        }
        const valueOf = (name: string, labels: Readonly<Record<string, string>> = {}) =>
          [...ofClient, ...ofPool]
            .filter((metric) => metric.descriptor.name === name)
            .flatMap(({ points }) => points)
            .find(({ attributes }) => Object.entries(labels).every(([label, value]) => attributes[label] === value))
            ?.value
        expect(valueOf("db.client.connection.count", { "db.client.connection.state": "idle" })).toBe(1)
        expect(valueOf("db.client.connection.count", { "db.client.connection.state": "used" })).toBe(0)
        expect(valueOf("db.client.connection.max")).toBe(3)
        expect(valueOf("db.client.connection.idle.min")).toBe(1)
        expect(valueOf("db.client.connection.wait_time")).toMatchObject({ count: 1 })
        expect(valueOf("redis.client.errors", { "error.type": "WRONGTYPE" })).toBeGreaterThan(0)
        const set = { "db.operation.name": "SET", "db.system.name": "redis" }
        expect(valueOf("db.client.operation.duration", set)).toMatchObject({
          count: expect.any(Number),
          buckets: { boundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] }
        })
        expect(
          valueOf("db.client.operation.duration", { "db.operation.name": "LPUSH", "error.type": "WRONGTYPE" })
        ).toMatchObject({ count: expect.any(Number) })
      }).pipe(Effect.scoped, Effect.provide(sdk.layer))
    })
  )
})
