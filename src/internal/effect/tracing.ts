/**
 * Spans that plain callbacks open and end, as `Effect.withSpan` would: under the fiber's span, with its annotations and links,
 * by its tracer and clock. Effect 4 keeps all of these elsewhere and calls the tracer differently; used by the spans of
 * requests.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Running } from "./fork.js"

/** The tracer that is there when nobody has provided one. It keeps its spans to itself. */
const unread = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether a span that this fiber opens is looked at. `roots`: also where the fiber has no span. */
export const isTraced = (fiber: Running, roots: boolean): boolean => {
  if (fiber.currentTracer === unread || !fiber.getFiberRef(FiberRef.currentTracerEnabled)) {
    return false
  }
  const parent = parentOf(fiber)
  return parent === undefined ? roots : parent.sampled
}

/** The fiber's span. A span that is not to be passed on is not a parent: the one above it is. */
const parentOf = (fiber: Running): Tracer.AnySpan | undefined => {
  let span = fiber.currentSpan
  // Most spans have an empty context. To look into it costs as much as an attribute of a span.
  while (
    span !== undefined &&
    span.context.unsafeMap.size > 0 &&
    Context.get(span.context, Tracer.DisablePropagation)
  ) {
    span = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
  }
  return span
}

/** A span that is not ended yet. */
export class OpenSpan {
  constructor(
    readonly span: Tracer.Span,
    private readonly now: () => bigint
  ) {}

  attribute(key: string, value: unknown): void {
    this.span.attribute(key, value)
  }

  event(name: string, attributes: Record<string, unknown>): void {
    this.span.event(name, this.now(), attributes)
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    this.span.end(this.now(), exit)
  }
}

const untimed = () => 0n

/** Opens a span of kind `client` under another one, or under the fiber's. */
export const openSpan = (fiber: Running, name: string, parent?: OpenSpan): OpenSpan => {
  const clock = Context.get(fiber.getFiberRef(DefaultServices.currentServices), Clock.Clock)
  const now = fiber.getFiberRef(FiberRef.currentTracerTimingEnabled) ? () => clock.unsafeCurrentTimeNanos() : untimed
  const span = fiber.currentTracer.span(
    name,
    Option.fromNullable(parent?.span ?? parentOf(fiber)),
    Context.empty(),
    parent === undefined ? Chunk.toReadonlyArray(fiber.getFiberRef(FiberRef.currentTracerSpanLinks)) : [],
    now(),
    "client"
  )
  HashMap.forEach(fiber.getFiberRef(FiberRef.currentTracerSpanAnnotations), (value, key) => span.attribute(key, value))
  return new OpenSpan(span, now)
}

/** The fiber's span as the text that W3C's Trace Context calls `traceparent`; `undefined` where it has none. */
export const traceparentOf = (fiber: Running): string | undefined => {
  const span = parentOf(fiber)
  return span !== undefined && /^[0-9a-f]{32}$/.test(span.traceId) && /^[0-9a-f]{16}$/.test(span.spanId)
    ? `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`
    : undefined
}

/** The links of a span to what a `traceparent` names: none where it is no such text. */
export const linksTo = (traceparent: unknown): ReadonlyArray<Tracer.SpanLink> => {
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(typeof traceparent === "string" ? traceparent : "") ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) {
    return []
  }
  const sampled = (Number.parseInt(flags, 16) & 1) === 1
  return [{ _tag: "SpanLink", span: Tracer.externalSpan({ traceId, spanId, sampled }), attributes: {} }]
}
