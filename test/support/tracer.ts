/** A tracer that keeps its spans. Effect 4 calls tracers and ends spans differently. */
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

let ids = 0

export class Kept implements Tracer.Span {
  readonly _tag = "Span"
  readonly spanId = (++ids).toString(16).padStart(16, "0")
  readonly traceId = "0123456789abcdef0123456789abcdef"
  readonly attributes = new Map<string, unknown>()
  readonly events: Array<{ readonly name: string; readonly attributes: Record<string, unknown> | undefined }> = []
  status: Tracer.SpanStatus
  ends = 0

  constructor(
    readonly name: string,
    readonly parent: Option.Option<Tracer.AnySpan>,
    readonly context: Context.Context<never>,
    readonly links: Array<Tracer.SpanLink>,
    startTime: bigint,
    readonly kind: Tracer.SpanKind,
    readonly sampled: boolean
  ) {
    this.status = { _tag: "Started", startTime }
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.ends++
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
  }

  attribute(key: string, value: unknown): void {
    this.attributes.set(key, value)
  }

  event(name: string, _time: bigint, attributes?: Record<string, unknown>): void {
    this.events.push({ name, attributes })
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links)
  }
}

/** `sampled` decides by a span's name. */
export const keepingTracer = (sampled: (name: string) => boolean = () => true) => {
  const spans: Array<Kept> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const span = new Kept(name, parent, context, [...links], startTime, kind, sampled(name))
      spans.push(span)
      return span
    },
    context: (f) => f()
  })
  return { spans, tracer }
}
