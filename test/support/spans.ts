/** Spans as text, so that a test can say what it expects in one line for each. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type Kept, keepingTracer } from "./tracer.js"

/** A span as one line, without what differs from run to run. */
export const line = (span: Kept): string => {
  const attributes = [...span.attributes]
    // On a busy machine any command waits for a millisecond. A test of its own has this attribute.
    .filter(([key]) => key !== "redis.client.queued")
    .map(([key, value]) => [key, key === "server.port" ? "PORT" : value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
  const events = span.events.map(({ attributes, name }) => `${name}${JSON.stringify(attributes ?? {})}`)
  const { status } = span
  const ending =
    status._tag === "Started"
      ? "open"
      : Exit.isSuccess(status.exit)
        ? "ok"
        : Cause.isInterruptedOnly(status.exit.cause)
          ? "interrupted"
          : "failed"
  return [`${span.kind} ${span.name} ${ending}`, ...attributes, ...events].join(" ")
}

export const parentName = ({ parent }: Kept): string =>
  Option.match(parent, { onNone: () => "none", onSome: (span) => (span._tag === "Span" ? span.name : "external") })

/** Runs a program inside a span, and returns the lines of the spans below it. */
export const traced = <A, E, R>(program: Effect.Effect<A, E, R>, sampled?: (name: string) => boolean) =>
  Effect.gen(function* () {
    const { spans, tracer } = keepingTracer(sampled)
    const exit = yield* Effect.exit(program.pipe(Effect.withSpan("request"), Effect.withTracer(tracer)))
    return { exit, spans, lines: spans.filter(({ name }) => name !== "request").map(line) }
  })
