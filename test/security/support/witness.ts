/** Collects everything that a program shows (errors, logs, spans, metrics) and looks for the mark in it. */
import * as util from "node:util"
import * as v8 from "node:v8"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { RedisError } from "effect-redis-client"
import { allLevels, failures, onlyLogger } from "../../support/effect.js"

/** The mark, which every secret and value has: a word that occurs nowhere else, of upper and lower case and digits. */
export const mark = "Zq7Xv9Kp2mWj4"

/** This many of the mark's letters in a row are a leak, because servers shorten what they quote. */
const pieceLength = 5

const spread = (bytes: Buffer, radix: number, between: string, width: number): string =>
  [...bytes].map((byte) => byte.toString(radix).padStart(width, "0")).join(between)

/** The mark in every form in which it may be shown: text of any case, bytes, base64. */
const pieces: ReadonlyArray<string> = (() => {
  const found = new Set<string>()
  for (let i = 0; i + pieceLength <= mark.length; i++) {
    const piece = mark.slice(i, i + pieceLength)
    const bytes = Buffer.from(piece)
    found.add(piece.toLowerCase())
    found.add(bytes.toString("hex"))
    for (const between of [" ", ":", ", ", ","]) {
      found.add(spread(bytes, 16, between, 2))
      found.add(spread(bytes, 10, between, 0))
    }
  }
  for (const padding of ["", "x", "xx"]) {
    // The middle of the base64 of the mark, at each of its three alignments.
    found.add(
      Buffer.from(padding + mark)
        .toString("base64")
        .slice(4, 16)
        .toLowerCase()
    )
  }
  return [...found]
})()

/** The part of the mark that a text has, if any. */
export const leaks = (text: string): boolean => {
  // JSON of a typed array has indexes between the bytes.
  const lower = text.toLowerCase().replace(/"\d+":\s*/g, "")
  return pieces.some((piece) => lower.includes(piece))
}

/** The text around the first part of the mark. */
const around = (text: string): string => {
  const lower = text.toLowerCase()
  const at = Math.max(0, Math.min(...pieces.map((piece) => lower.indexOf(piece)).filter((at) => at >= 0), text.length))
  return at === text.length ? text.slice(0, 600) : text.slice(Math.max(0, at - 300), at + 300)
}

/** Everything that turns a value into text. */
export const renderings = (value: unknown): ReadonlyArray<readonly [string, string]> => {
  const shown: Array<readonly [string, string]> = []
  const show = (how: string, f: () => unknown): void => {
    const text = Either.getOrElse(
      Either.try(() => f()),
      () => ""
    )
    shown.push([how, typeof text === "string" ? text : String(text)])
  }
  show("String", () => String(value))
  show("JSON.stringify", () => JSON.stringify(value))
  show("JSON.stringify, nested", () => JSON.stringify({ nested: [value] }))
  show("util.inspect", () => util.inspect(value, { depth: 20, showHidden: true, maxStringLength: Infinity }))
  show("util.format", () => util.format("%s %o %O %j", value, value, value, value))
  show("Inspectable.format", () => Inspectable.format(value))
  show("Inspectable.toStringUnknown", () => Inspectable.toStringUnknown(value))
  show("Inspectable.toJSON", () => JSON.stringify(Inspectable.toJSON(value)))
  show("v8.serialize", () => v8.serialize(value).toString("latin1"))
  show("structuredClone", () => util.inspect(structuredClone(value), { depth: 20, showHidden: true }))
  if (Exit.isExit(value)) {
    if (Exit.isFailure(value)) {
      shown.push(...renderings(value.cause))
    }
  } else if (Cause.isCause(value)) {
    show("Cause.pretty", () => Cause.pretty(value))
    show("Cause.pretty, with causes", () => Cause.pretty(value, { renderErrorCause: true }))
    show("Cause.prettyErrors", () => util.inspect(Cause.prettyErrors(value), { depth: 20, showHidden: true }))
    show("Cause.squash", () => util.inspect(Cause.squash(value), { depth: 20, showHidden: true }))
    const failure = Runtime.makeFiberFailure(value)
    show("FiberFailure", () => `${String(failure)} ${JSON.stringify(failure)} ${util.inspect(failure, { depth: 20 })}`)
    show("FiberFailure's stack", () => (failure instanceof Error ? `${failure.stack} ${failure.message}` : ""))
    for (const error of failures(value)) {
      shown.push(...renderings(error))
    }
  } else if (value instanceof Error) {
    show("its text", () => `${value.name} ${value.message} ${value.stack}`)
    show("its own properties", () =>
      Object.getOwnPropertyNames(value)
        // `results` of a failed batch holds the replies: a program that reads it asks for them.
        .filter((name) => name !== "results")
        .map((name) => util.inspect((value as unknown as Record<string, unknown>)[name], { depth: 20 }))
        .join("\n")
    )
    if (RedisError.isRedisError(value)) {
      show("getters", () => util.inspect(value, { depth: 20, getters: true, showHidden: true }))
      show("encoded", () => JSON.stringify(Schema.encodeSync(RedisError.RedisError)(value)))
    }
  }
  return shown
}

export interface Leak {
  readonly during: string
  readonly where: string
  readonly text: string
}

export interface Witness {
  readonly leaks: ReadonlyArray<Leak>
  readonly lines: () => number
  readonly spans: () => number
  /** Runs an effect inside of a span, and looks at its failure and its log lines. */
  readonly watch: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<Exit.Exit<A, E>, never, R>
  /** Looks at a value. */
  readonly look: (during: string, where: string, value: unknown) => void
  /** Receives every log line, at every level, and every span. */
  readonly layer: Layer.Layer<never>
}

export const make = (): Witness => {
  const found: Array<Leak> = []
  let during = "the beginning"
  let lines = 0
  let spans = 0
  const check = (where: string, text: string): void => {
    if (leaks(text)) {
      found.push({ during, where, text: around(text) })
    }
  }
  const look = (where: string, value: unknown): void => {
    for (const [how, text] of renderings(value)) {
      check(`${where}, ${how}`, text)
    }
  }
  const loggers = [Logger.stringLogger, Logger.logfmtLogger, Logger.jsonLogger, Logger.structuredLogger] as const
  const logger = Logger.make((options) => {
    lines++
    for (const { log } of loggers) {
      const line: unknown = log(options)
      check("log line", typeof line === "string" ? line : util.inspect(line, { depth: 20 }))
    }
    check("logged", util.inspect([options.message, options.cause], { depth: 20, showHidden: true }))
    check("logged cause", Cause.pretty(options.cause, { renderErrorCause: true }))
    check("annotations", util.inspect([...options.annotations], { depth: 20 }))
  })
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      spans++
      const attributes = new Map<string, unknown>()
      let status: Tracer.SpanStatus = { _tag: "Started", startTime }
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        spanId: String(spans),
        traceId: "1",
        parent,
        context,
        links,
        sampled: true,
        kind,
        attributes,
        get status() {
          return status
        },
        attribute: (key, value) => {
          attributes.set(key, value)
          check(`span ${name}, attribute`, `${key} ${util.inspect(value, { depth: 20 })}`)
        },
        event: (event, _, values) => check(`span ${name}, event`, `${event} ${util.inspect(values, { depth: 20 })}`),
        addLinks: () => {},
        end: (endTime, exit) => {
          status = { _tag: "Ended", startTime, endTime, exit }
          check("span's name", name)
          // A successful result is what the program asked for, so it may have the mark.
          if (Exit.isFailure(exit)) {
            check(`span ${name}, exit`, Cause.pretty(exit.cause, { renderErrorCause: true }))
            check(`span ${name}, exit`, util.inspect(exit, { depth: 20 }))
          }
        }
      }
      return span
    },
    context: (f) => f()
  })
  return {
    leaks: found,
    lines: () => lines,
    spans: () => spans,
    look: (name, where, value) => {
      during = name
      look(where, value)
    },
    watch: (name, effect) =>
      Effect.suspend(() => {
        during = name
        return Effect.exit(Effect.withSpan(Effect.tapErrorCause(effect, Effect.logDebug), "operation")).pipe(
          Effect.tap((exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit)) {
                look("exit", exit)
              }
              check("metrics", util.inspect(Metric.unsafeSnapshot(), { depth: 20, maxArrayLength: Infinity }))
            })
          )
        )
      }),
    layer: Layer.mergeAll(onlyLogger(logger), allLevels, Layer.setTracer(tracer))
  }
}

/** The typed failure, or the other outcome. */
export const outcome = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) {
    return "success"
  }
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return typeof failure === "object" && failure !== null && "_tag" in failure ? String(failure._tag) : "defect"
}
