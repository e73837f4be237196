/**
 * Clients under OpenTelemetry's SDK, as a program has it: spans end in a batch processor, whose exporter drops them. Every
 * operation runs below a span of the program. The rivals have the instrumentations that OpenTelemetry publishes for them.
 */
import { context, type Span, trace } from "@opentelemetry/api"
import { AlwaysOffSampler, AlwaysOnSampler, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import type { Place, Runner, Work } from "../work.js"
import { ours } from "./ours.js"
import { load, type Rival, runner } from "./rival.js"

/**
 * How a program traces: a tracer but no span around the commands, a span that is not sampled, or one that is. `off`: a sampled
 * one, but no span of ours: what Effect itself costs then.
 */
export type Tracing = "tracer" | "unsampled" | "sampled" | "off"

const providerOf = (tracing: Tracing) => {
  let exported = 0
  const exporter: SpanExporter = {
    export: (spans, done) => {
      exported += spans.length
      done({ code: 0 })
    },
    shutdown: () => Promise.resolve()
  }
  const provider = new NodeTracerProvider({
    sampler: tracing === "unsampled" ? new AlwaysOffSampler() : new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100_000, scheduledDelayMillis: 100 })]
  })
  return { provider, exported: () => exported }
}

/** A client that shows no span at all would look fast. */
const checked = async (
  made: Runner | undefined,
  exported: () => number,
  flush: () => Promise<void>
): Promise<Runner> => {
  if (made === undefined) {
    throw new Error("has no such thing")
  }
  await made.once()
  await flush()
  if (exported() < 2) {
    throw new Error("showed no span of its own")
  }
  return made
}

export const oursTraced = async (place: Place, work: Work, tracing: Tracing): Promise<Runner | undefined> => {
  const { exported, provider } = providerOf(tracing)
  const OtelTracer = await import("@effect/opentelemetry/Tracer")
  const Effect = await import("effect/Effect")
  const Layer = await import("effect/Layer")
  const tracer = await Effect.runPromise(
    Effect.provideService(OtelTracer.make, OtelTracer.OtelTracer, provider.getTracer("bench"))
  )
  const made = await ours(place, work, false, {
    layer: Layer.setTracer(tracer),
    ...(tracing === "off" ? { options: { telemetry: { spans: "off" } } } : {}),
    around: (effect) => (tracing === "tracer" ? effect : Effect.withSpan(effect, "program"))
  })
  return tracing === "sampled" ? checked(made, exported, () => provider.forceFlush()) : made
}

interface Instrumentation {
  setTracerProvider(provider: NodeTracerProvider): void
  enable(): void
}

interface Module {
  readonly IORedisInstrumentation?: new () => Instrumentation
  readonly RedisInstrumentation?: new () => Instrumentation
}

/** A rival with its instrumentation, which has to be there before the rival is loaded. */
export const rivalTraced = async (
  place: Place,
  work: Work,
  name: "ioredis" | "redis",
  open: () => Promise<Rival>
): Promise<Runner | undefined> => {
  const { exported, provider } = providerOf("sampled")
  provider.register()
  const module = load<Module>(place, `@opentelemetry/instrumentation-${name}`)
  const Made = module.IORedisInstrumentation ?? module.RedisInstrumentation
  if (Made === undefined) {
    throw new Error("has no such thing")
  }
  const instrumentation = new Made()
  instrumentation.setTracerProvider(provider)
  instrumentation.enable()
  const made = await runner(place, await open(), work, false)
  const tracer = trace.getTracer("bench")
  const within = async <A>(f: () => Promise<A>): Promise<A> => {
    const span: Span = tracer.startSpan("program")
    try {
      return await context.with(trace.setSpan(context.active(), span), f)
    } finally {
      span.end()
    }
  }
  return checked(
    made && {
      ...made,
      once: () => within(made.once),
      run: (concurrency, meter, samples) => within(() => made.run(concurrency, meter, samples))
    },
    exported,
    () => provider.forceFlush()
  )
}
