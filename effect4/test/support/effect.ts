/** What tests use of Effect and what Effect 3 has otherwise. */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { it, type Vitest } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as FastCheck from "fast-check"

/** The Schedule, with an Effect that is run with each input. */
export const onInput = <Out, In, X>(
  schedule: Schedule.Schedule<Out, In>,
  f: (input: In) => Effect.Effect<X>
): Schedule.Schedule<Out, In> =>
  Schedule.fromStep(
    Effect.map(
      Schedule.toStep(schedule),
      (step) => (now: number, input: In) => Effect.andThen(f(input), step(now, input))
    )
  ) as Schedule.Schedule<Out, In>

/** The Schedule, with an Effect that is run with each output. */
export const onOutput = <Out, In, X>(
  schedule: Schedule.Schedule<Out, In>,
  f: (output: Out) => Effect.Effect<X>
): Schedule.Schedule<Out, In> =>
  Schedule.fromStep(
    Effect.map(
      Schedule.toStep(schedule),
      (step) => (now: number, input: In) =>
        Effect.tap(step(now, input), ([output]: [Out, Duration.Duration]) => f(output))
    )
  ) as Schedule.Schedule<Out, In>

/** What `layer` gives to tests. */
export interface MethodsOf<R> {
  readonly effect: Vitest.Tester<R | Scope.Scope>
  readonly scoped: Vitest.Tester<R | Scope.Scope>
}

/** A line of the log. The level is `INFO`, `WARN`, … */
export interface LogLine {
  readonly level: string
  readonly message: unknown
  readonly cause: Cause.Cause<unknown>
  readonly annotations: Readonly<Record<string, unknown>>
}

/** A logger that gives each line to a function. */
export const recordingLogger = (record: (line: LogLine) => void): Logger.Logger<unknown, void> =>
  Logger.make(({ cause, fiber, logLevel, message }) =>
    record({
      level: logLevel.toUpperCase(),
      message: Array.isArray(message) && message.length === 1 ? message[0] : message,
      cause,
      annotations: fiber.getRef(References.CurrentLogAnnotations)
    })
  )

/** A test of a property: `check` is called with values of the arbitraries. */
export const prop = <Values extends [unknown, ...Array<unknown>]>(
  name: string,
  arbitraries: { [K in keyof Values]: FastCheck.Arbitrary<Values[K]> },
  check: (values: Values) => void,
  options: { readonly fastCheck?: { readonly numRuns: number } } = {}
): void =>
  it(name, () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.tuple(...arbitraries), (values) => check(values as unknown as Values)),
      options.fastCheck
    )
  )

/** Values of a schema. */
export const arbitraryOf = <A, I>(schema: Schema.Codec<A, I>): FastCheck.Arbitrary<A> =>
  FastCheck.integer().map(
    (seed) => Effect.runSync(Arbitrary.sampleEffect(Arbitrary.schema(schema), { count: 1, seed }))[0] as A
  )

/** Logs with this logger alone. */
export const onlyLogger = (logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> => Logger.layer([logger])

/** Logs with this logger, too. */
export const furtherLogger = (logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> =>
  Logger.layer([logger], { mergeWithExisting: true })

/** Logs nothing. */
export const noLogger: Layer.Layer<never> = Logger.layer([])

/** Logs everything, whatever its level. */
export const allLevels: Layer.Layer<never> = Layer.succeed(References.MinimumLogLevel, "All")

/** A TCP connection as a Socket of the platform. */
export const netSocket = NodeSocket.makeNet

/** Configuration from these entries alone. */
export const configured = (entries: Iterable<readonly [string, string]>): Layer.Layer<never> =>
  ConfigProvider.layer(ConfigProvider.fromUnknown(Object.fromEntries(entries)))

export const defects = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> =>
  cause.reasons.flatMap((reason) => (Cause.isDieReason(reason) ? [reason.defect] : []))

export const failures = <E>(cause: Cause.Cause<E>): ReadonlyArray<E> =>
  cause.reasons.flatMap((reason) => (Cause.isFailReason(reason) ? [reason.error] : []))

/** Runs an Effect with the services of tests: its clock stands still. */
export const withTestServices = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(effect, TestClock.layer()) as Effect.Effect<A, E, R>

/** Makes a fiber yield once, before its `at`th operation, so that other fibers run at a point where they rarely do. */
export const yieldingAt = (at: number) => {
  let count = 0
  const usual = new Scheduler.MixedScheduler()
  return Effect.provideService(Scheduler.Scheduler, {
    executionMode: "async",
    shouldYield: () => ++count === at,
    makeDispatcher: () => usual.makeDispatcher()
  })
}

/** Interrupts a fiber, and waits for its result. */
export const interruptAndWait = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))

/** A Cause as text. Effect 4 shows the causes of its errors anyway. */
export const prettyWithCauses = (cause: Cause.Cause<unknown>): string => Cause.pretty(cause)

/** A metric of the process with its labels. */
export interface ShownMetric {
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly description: string
  readonly state: unknown
}

/** The metrics of the process. */
export const metrics: Effect.Effect<ReadonlyArray<ShownMetric>> = Effect.map(Metric.snapshot, (snapshots) =>
  snapshots.map(({ attributes = {}, description = "", id, state }) => ({
    name: id,
    tags: attributes,
    description,
    state
  }))
)

/** What a request to this URL fails with when there is no connection. */
export const httpError = (url: string): Error =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request: HttpClientRequest.get(url) })
  })

/** Its tag. */
export const httpErrorTag = "HttpClientError"

/** The name of what an interruption is as an error. */
export const interruptName = "Error"

/** The tag of the error for a value that does not fit a schema. */
export const schemaErrorTag = "SchemaError"
