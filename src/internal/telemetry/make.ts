/** The observer of a client: its spans, its metrics, and who else observes. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { RedisError, UsageError } from "../../RedisError.js"
import type { Insight } from "../command/insight.js"
import { fromEither } from "../effect/either.js"
import type { QueueBounds } from "../engine/queue.js"
import { clientMetrics } from "./clientMetrics.js"
import { insightOf } from "./insight.js"
import {
  currentObserver,
  type Ended,
  notify,
  type Observer,
  type RequestPart,
  type RequestWatch,
  type Retry
} from "./observer.js"
import { resolveTelemetry, type TelemetryOptions } from "./options.js"
import { spansOf } from "./spans.js"

/** Where a client is, for its spans and metrics. */
export interface Observed {
  /** The address that it was given. */
  readonly address: string
  readonly database: number
  /** What may wait unsent, over all of its connections. */
  readonly bounds: QueueBounds
}

export const telemetry = (
  options: TelemetryOptions | undefined,
  { address, bounds, database }: Observed
): Effect.Effect<Observer, UsageError> =>
  Effect.gen(function* () {
    const resolved = yield* fromEither(resolveTelemetry(options))
    const other = yield* currentObserver
    const { insight, observer: counting } = insightOf(resolved.slowAfter)
    const observer = joined(insight, [
      ...(resolved.spans === "off" ? [] : [spansOf({ ...resolved, database })]),
      clientMetrics(address, resolved),
      counting,
      ...(other === undefined ? [] : [other])
    ])
    let waiting = { commands: 0, bytes: 0 }
    bounds.onChange = (commands, bytes) => {
      const change = {
        server: undefined,
        inFlight: 0,
        commands: commands - waiting.commands,
        bytes: bytes - waiting.bytes
      }
      waiting = { commands, bytes }
      notify(observer.load, change)
    }
    return observer
  })

/** Several observers as one. */
const joined = (insight: Insight, observers: ReadonlyArray<Observer>): Observer => {
  const all = <A>(which: (observer: Observer) => ((event: A) => void) | undefined) => {
    const calls = observers.flatMap((observer) => which(observer) ?? [])
    return calls.length === 0
      ? undefined
      : (event: A): void => {
          for (const call of calls) {
            notify(call, event)
          }
        }
  }
  /** Calls whose results are called at the end. */
  const begun = <A, B>(which: (observer: Observer) => ((event: A) => ((end: B) => void) | undefined) | undefined) => {
    const calls = observers.flatMap((observer) => which(observer) ?? [])
    return calls.length === 0
      ? undefined
      : (event: A): ((end: B) => void) | undefined => {
          const ends = calls.flatMap((call) => notify(call, event) ?? [])
          return ends.length === 0
            ? undefined
            : (end) => {
                for (const ended of ends) {
                  notify(ended, end)
                }
              }
        }
  }
  return {
    ...requestsOf(observers.filter(({ request }) => request !== undefined)),
    retry: all(({ retry }) => retry),
    failed: all(({ failed }) => failed),
    attempt: begun(({ attempt }) => attempt),
    connection: all(({ connection }) => connection),
    reconnected: all(({ reconnected }) => reconnected),
    lease: begun<{ readonly server: string; readonly waited: number }, void>(({ lease }) => lease),
    pool: all(({ pool }) => pool),
    message: all(({ message }) => message),
    dropped: all(({ dropped }) => dropped),
    load: all(({ load }) => load),
    answered: all(({ answered }) => answered),
    insight
  }
}

/** Who watches requests. In most programs it is one observer, which is then asked itself. */
const requestsOf = (observers: ReadonlyArray<Observer>): Pick<Observer, "watches" | "request"> => {
  const [first, ...others] = observers
  if (first === undefined || others.length === 0) {
    return { watches: first?.watches, request: first?.request }
  }
  return {
    watches: observers.every(({ watches }) => watches !== undefined)
      ? () => observers.some(({ watches }) => watches?.() === true)
      : undefined,
    request: (start) => {
      let found: RequestWatch | undefined
      for (const { request, watches } of observers) {
        const next = watches === undefined || watches() ? notify(request, start) : undefined
        found = found === undefined || next === undefined ? (found ?? next) : new Both(found, next)
      }
      return found
    }
  }
}

class Both implements RequestWatch {
  constructor(
    private readonly one: RequestWatch,
    private readonly other: RequestWatch
  ) {}

  get untilInterrupted(): boolean {
    return this.one.untilInterrupted || this.other.untilInterrupted
  }

  handed(server: string): void {
    this.one.handed?.(server)
    this.other.handed?.(server)
  }

  retry(retry: Retry): void {
    this.one.retry?.(retry)
    this.other.retry?.(retry)
  }

  part(part: RequestPart): Ended<RedisError> | undefined {
    const one = this.one.part?.(part)
    const other = this.other.part?.(part)
    return one === undefined || other === undefined
      ? (one ?? other)
      : (exit) => {
          notify(one, exit)
          notify(other, exit)
        }
  }

  ended(exit: Exit.Exit<unknown, RedisError>): void {
    notify((exit: Exit.Exit<unknown, RedisError>) => this.one.ended(exit), exit)
    this.other.ended(exit)
  }
}
