/** Spans that plain callbacks open and end, as `Effect.withSpan` would. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import type { Running } from "./fork.js"

/** Whether a span that this fiber opens is looked at. `roots`: also where the fiber has no span. */
export const isTraced = (fiber: Running, roots: boolean): boolean => {
  const { tracer, tracerEnabled } = fiber.cache
  if (tracer === undefined || tracer === Tracer.nativeTracer || !tracerEnabled) {
    return false
  }
  const parent = parentOf(fiber)
  return parent === undefined ? roots : parent.sampled
}

/** The fiber's span. A span that is not to be passed on is not a parent: the one above it is. */
const parentOf = (fiber: Running): Tracer.AnySpan | undefined => {
  let { span } = fiber.cache
  // Most spans have no annotations. To look into them costs as much as an attribute of a span.
  while (
    span !== undefined &&
    span.annotations.mapUnsafe.size > 0 &&
    Context.get(span.annotations, Tracer.DisablePropagation)
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
  const clock = fiber.getRef(Clock.Clock)
  const now = fiber.getRef(References.TracerTimingEnabled) ? () => clock.currentTimeNanosUnsafe() : untimed
  const tracer = fiber.cache.tracer ?? Tracer.nativeTracer
  const span = tracer.span({
    name,
    parent: Option.fromNullishOr(parent?.span ?? parentOf(fiber)),
    annotations: Context.empty(),
    links: parent === undefined ? [...fiber.getRef(References.TracerSpanLinks)] : [],
    startTime: now(),
    kind: "client",
    root: false,
    sampled: true
  })
  for (const [key, value] of Object.entries(fiber.getRef(References.TracerSpanAnnotations))) {
    span.attribute(key, value)
  }
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
  return [{ span: Tracer.externalSpan({ traceId, spanId, sampled }), attributes: {} }]
}
