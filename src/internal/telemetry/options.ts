/** What a client shows of itself: the option `telemetry`. */
import * as Either from "effect/Either"
import { UsageError } from "../../RedisError.js"
import { type DurationWithUnit, wholeMillis } from "../command/args.js"

/**
 * What a client shows of itself, by the names of OpenTelemetry's semantic conventions. Without a tracer in the program it opens
 * no span. No option shows a value, a channel, the text of a script or a password.
 *
 * @since 0.1.0
 * @category options
 */
export interface TelemetryOptions {
  /**
   * Which commands, pipelines and transactions get a span.
   *
   * - `child` (the default): those that a program runs inside a span that is sampled.
   * - `all`: those without a span around them, too; and each attempt to connect, as `CONNECT`.
   * - `off`: none.
   */
  readonly spans?: "off" | "child" | "all" | undefined
  /** Whether each node of a cluster that gets a part of a request has a span of its own below the request's. Default: false. */
  readonly nodeSpans?: boolean | undefined
  /**
   * Whether spans have `db.query.text`.
   *
   * - `off` (the default): they have none.
   * - `shape`: the command with `?` in place of everything that is not a word of Redis, as in `SET ? ? EX ?`.
   * - `keys`: the same with keys, prefixes and patterns of keys as they are. Keys often name persons.
   */
  readonly queryText?: "off" | "shape" | "keys" | undefined
  /**
   * Which metrics are kept beside those of connections and pools. `commands` is a histogram of how long each command takes,
   * `db.client.operation.duration`. It costs about 0.3 microseconds for each command. Default: not kept.
   */
  readonly metrics?: { readonly commands?: boolean | undefined } | undefined
  /** `db.system.name`. The conventions have no name for Valkey yet. Default: `redis`. */
  readonly system?: "redis" | "valkey" | undefined
  /**
   * How long a command, pipeline or transaction may take before it is an event `SlowCommand` of `Redis.events`. Each command is
   * timed then. Default: none is.
   */
  readonly slowAfter?: DurationWithUnit | undefined
  /** Commands that get neither a span nor a duration, by name. Default: none. */
  readonly exclude?: ReadonlyArray<string> | undefined
  /** Further attributes of every span, such as `peer.service`. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined
}

export interface ResolvedTelemetry {
  readonly spans: "off" | "child" | "all"
  readonly queryText: "off" | "shape" | "keys"
  readonly commands: boolean
  readonly nodes: boolean
  readonly system: string
  /** In milliseconds. */
  readonly slowAfter: number | undefined
  readonly exclude: ReadonlySet<string>
  readonly attributes: ReadonlyArray<readonly [string, string | number | boolean]>
}

const oneOf = <A extends string>(
  given: A | undefined,
  what: string,
  fallback: A,
  choices: ReadonlyArray<A>
): Either.Either<A, UsageError> =>
  given === undefined || choices.includes(given)
    ? Either.right(given ?? fallback)
    : invalid(`${what} must be one of ${choices.join(", ")}`)

const checkDuration = (input: unknown): Either.Either<number, UsageError> => {
  const millis = wholeMillis(input as DurationWithUnit)
  return millis === undefined
    ? invalid('telemetry.slowAfter must be a duration with its unit, such as "100 millis"')
    : Either.right(millis)
}

const invalid = (message: string): Either.Either<never, UsageError> =>
  Either.left(new UsageError({ reason: "invalidOptions", message }))

/** Checks the option, and fills in what is left out. */
export const resolveTelemetry = (options: TelemetryOptions = {}): Either.Either<ResolvedTelemetry, UsageError> =>
  Either.gen(function* () {
    if (typeof options !== "object" || options === null) {
      return yield* invalid("telemetry must be an object of options")
    }
    const { attributes = {}, exclude = [], metrics = {} } = options
    if (!Array.isArray(exclude) || !exclude.every((name) => typeof name === "string")) {
      return yield* invalid("telemetry.exclude must be a list of names of commands")
    }
    if (typeof metrics !== "object" || metrics === null || typeof (metrics.commands ?? false) !== "boolean") {
      return yield* invalid("telemetry.metrics.commands must be true or false")
    }
    if (typeof (options.nodeSpans ?? false) !== "boolean") {
      return yield* invalid("telemetry.nodeSpans must be true or false")
    }
    const pairs = Object.entries(typeof attributes === "object" && attributes !== null ? attributes : { "": [] })
    if (!pairs.every(([, value]) => ["string", "number", "boolean"].includes(typeof value))) {
      return yield* invalid("telemetry.attributes must be texts, numbers, true or false, by their names")
    }
    return {
      spans: yield* oneOf(options.spans, "telemetry.spans", "child", ["off", "child", "all"]),
      queryText: yield* oneOf(options.queryText, "telemetry.queryText", "off", ["off", "shape", "keys"]),
      system: yield* oneOf(options.system, "telemetry.system", "redis", ["redis", "valkey"]),
      commands: metrics.commands === true,
      nodes: options.nodeSpans === true,
      slowAfter: options.slowAfter === undefined ? undefined : yield* checkDuration(options.slowAfter),
      exclude: new Set(exclude.map((name) => name.trim().toUpperCase().replace(/\s+/g, " "))),
      attributes: pairs
    }
  })
