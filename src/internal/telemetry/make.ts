/** The observer of a client: its spans, its metrics, and who else observes. */
import * as Effect from "effect/Effect"
import type { UsageError } from "../../RedisError.js"
import { fromEither } from "../effect/either.js"
import type { QueueBounds } from "../engine/queue.js"
import { clientMetrics } from "./clientMetrics.js"
import { currentObserver, notify, type Observer, type RequestWatch } from "./observer.js"
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
    const observer = joined([
      ...(resolved.spans === "off" ? [] : [spansOf({ ...resolved, database })]),
      clientMetrics(address, resolved),
      ...(other === undefined ? [] : [other])
    ])
    let waiting = { commands: 0, bytes: 0 }
    bounds.onChange = (commands, bytes) => {
      const change = { inFlight: 0, commands: commands - waiting.commands, bytes: bytes - waiting.bytes }
      waiting = { commands, bytes }
      notify(observer.load, change)
    }
    return observer
  })

/** Several observers as one. */
const joined = (observers: ReadonlyArray<Observer>): Observer => {
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
  const watching = observers.filter(({ request }) => request !== undefined)
  const asksAll = watching.some(({ watches }) => watches === undefined)
  const [only] = watching
  return {
    ...(watching.length === 0
      ? {}
      : {
          watches:
            watching.length === 1
              ? only?.watches
              : asksAll
                ? undefined
                : () => watching.some(({ watches }) => watches?.() === true),
          request: (start) => {
            const watches = watching.flatMap((observer) =>
              observer.watches === undefined || observer.watches() ? (notify(observer.request, start) ?? []) : []
            )
            return watches.length < 2 ? watches[0] : together(watches)
          }
        }),
    retry: all(({ retry }) => retry),
    failed: all(({ failed }) => failed),
    attempt: begun(({ attempt }) => attempt),
    connection: all(({ connection }) => connection),
    reconnected: all(({ reconnected }) => reconnected),
    lease: begun<{ readonly server: string; readonly waited: number }, void>(({ lease }) => lease),
    pool: all(({ pool }) => pool),
    message: all(({ message }) => message),
    dropped: all(({ dropped }) => dropped),
    load: all(({ load }) => load)
  }
}

const together = (watches: ReadonlyArray<RequestWatch>): RequestWatch => ({
  handed: (server) => {
    for (const { handed } of watches) {
      notify(handed, server)
    }
  },
  retry: (retry) => {
    for (const watch of watches) {
      notify(watch.retry, retry)
    }
  },
  ended: (exit) => {
    for (const { ended } of watches) {
      notify(ended, exit)
    }
  }
})
