/** What tests use of Effect and what Effect 4 has otherwise: the edition for Effect 4 replaces this file alone. */

import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { it, type Vitest } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import * as TestContext from "effect/TestContext"

/** The Schedule, with an Effect that is run with each input. */
export const onInput = <Out, In, X>(
  schedule: Schedule.Schedule<Out, In>,
  f: (input: In) => Effect.Effect<X>
): Schedule.Schedule<Out, In> => Schedule.tapInput(schedule, f)

/** The Schedule, with an Effect that is run with each output. */
export const onOutput = <Out, In, X>(
  schedule: Schedule.Schedule<Out, In>,
  f: (output: Out) => Effect.Effect<X>
): Schedule.Schedule<Out, In> => Schedule.tapOutput(schedule, f)

/** What `layer` gives to tests. */
export type MethodsOf<R> = Vitest.MethodsNonLive<R, true>

/** A line of the log. The level is `INFO`, `WARN`, … */
export interface LogLine {
  readonly level: string
  readonly message: unknown
  readonly cause: Cause.Cause<unknown>
  readonly annotations: Readonly<Record<string, unknown>>
}

/** A logger that gives each line to a function. */
export const recordingLogger = (record: (line: LogLine) => void): Logger.Logger<unknown, void> =>
  Logger.make(({ annotations, cause, logLevel, message }) =>
    record({ level: logLevel.label, message, cause, annotations: Object.fromEntries(HashMap.toEntries(annotations)) })
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
export const arbitraryOf = <A, I>(schema: Schema.Schema<A, I>): FastCheck.Arbitrary<A> => Arbitrary.make(schema)

/** Logs with this logger alone. */
export const onlyLogger = (logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> =>
  Logger.replace(Logger.defaultLogger, logger)

/** Logs with this logger, too. */
export const furtherLogger = (logger: Logger.Logger<unknown, unknown>): Layer.Layer<never> => Logger.add(logger)

/** Logs nothing. */
export const noLogger: Layer.Layer<never> = Logger.remove(Logger.defaultLogger)

/** Logs everything, whatever its level. */
export const allLevels: Layer.Layer<never> = Logger.minimumLogLevel(LogLevel.All)

/** A TCP connection as a Socket of the platform. */
export const netSocket = NodeSocket.makeNet

/** Configuration from these entries alone. */
export const configured = (entries: Iterable<readonly [string, string]>): Layer.Layer<never> =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(entries)))

export const defects = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> => [...Cause.defects(cause)]

export const failures = <E>(cause: Cause.Cause<E>): ReadonlyArray<E> => [...Cause.failures(cause)]

/** Runs an Effect with the services of tests: its clock stands still. */
export const withTestServices = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(effect, TestContext.TestContext) as Effect.Effect<A, E, R>

/** Makes a fiber yield once, before its `at`th operation, so that other fibers run at a point where they rarely do. */
export const yieldingAt = (at: number) => {
  let count = 0
  return Effect.withScheduler({
    scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    shouldYield: () => (++count === at ? 0 : false)
  })
}

/** Interrupts a fiber, and waits for its result. */
export const interruptAndWait = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.zipRight(Fiber.interrupt(fiber), Fiber.await(fiber))

/** A Cause as text, with the causes of its errors. */
export const prettyWithCauses = (cause: Cause.Cause<unknown>): string => Cause.pretty(cause, { renderErrorCause: true })

/** A metric of the process with its labels. */
export interface ShownMetric {
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly description: string
  readonly state: unknown
}

/** The metrics of the process. */
export const metrics: Effect.Effect<ReadonlyArray<ShownMetric>> = Effect.map(Metric.snapshot, (pairs) =>
  pairs.map(({ metricKey, metricState }) => ({
    name: metricKey.name,
    tags: Object.fromEntries([...metricKey.tags].map(({ key, value }) => [key, value])),
    description: Option.getOrElse(metricKey.description, () => ""),
    state: metricState
  }))
)

/** What a request to this URL fails with when there is no connection. */
export const httpError = (url: string): Error =>
  new HttpClientError.RequestError({ request: HttpClientRequest.get(url), reason: "Transport" })

/** Its tag. */
export const httpErrorTag = "RequestError"

/** The name of what an interruption is as an error. */
export const interruptName = "InterruptedException"

/** The tag of the error for a value that does not fit a schema. */
export const schemaErrorTag = "ParseError"
