/** The difference of the clocks, and how long a PING takes. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Redis } from "../../Redis.js"
import type { RedisError } from "../../RedisError.js"
import { interrupted, isOver, type Patient } from "../patient.js"
import { type Finding, ms, ok, warning } from "../report.js"

/** How often the server is asked for its time. The shortest round trip is the most exact. */
const asked = 5

/** A difference that is longer than this, in milliseconds, by more than the error of its measurement, is worth a warning. */
const apart = 1_000

export const checkClock: (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError> = Effect.fnUntraced(
  function* ({ connection }: Patient) {
    let best: { readonly offset: number; readonly error: number } | undefined
    for (let i = 0; i < asked; i++) {
      const began = performance.now()
      const before = Date.now()
      const { epochMicros } = yield* connection.execute(Redis.time())
      const half = (performance.now() - began) / 2
      if (best === undefined || half < best.error) {
        // The server looked at its clock between the two ends of the round trip.
        best = { offset: epochMicros / 1_000 - (before + half), error: half }
      }
    }
    const { error, offset } = best ?? { error: 0, offset: 0 }
    // Date.now() counts whole milliseconds.
    const bound = error + 1
    const data = { offsetMilliseconds: Math.round(offset), errorMilliseconds: Math.ceil(bound) }
    const how = `${ms(Math.abs(Math.round(offset)))} ${offset < 0 ? "behind" : "ahead of"} this machine's (± ${ms(Math.ceil(bound))})`
    return [
      Math.abs(offset) - bound <= apart
        ? ok("clock", "clock-close", `the server's clock is ${how}`, data)
        : warning("clock", "clock-apart", `the server's clock is ${how}`, {
            advice:
              "Have both follow an NTP server: expiries by absolute time, ids of stream entries and certificates depend on the clocks.",
            data
          })
    ]
  }
)

/** PINGs end after this many times the bound of one step, however many were asked for. */
const longest = 2

export const checkLatency: (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError> = Effect.fnUntraced(
  function* ({ connection, settings: { pings, timeout } }: Patient) {
    const took: Array<number> = []
    const began = performance.now()
    while (took.length < pings && performance.now() - began < timeout * longest) {
      const sent = performance.now()
      const answer = yield* Effect.either(connection.execute("PING"))
      if (Either.isLeft(answer)) {
        const finding = interrupted("latency", answer.left)
        return [
          isOver(finding)
            ? { ...finding, message: `${finding.message}, after ${took.length} PINGs that were answered` }
            : { ...finding, status: "warning", advice: "Health checks use PING: ACL SETUSER … +ping." }
        ]
      }
      took.push(performance.now() - sent)
    }
    if (took.length === 0) {
      return []
    }
    const sorted = took.sort((a, b) => a - b)
    const at = (share: number): number => sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? 0
    const data = { pings: sorted.length, min: at(0), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
    return [
      ok(
        "latency",
        "latency-measured",
        `${sorted.length} PINGs: half within ${ms(data.p50)}, 90 % within ${ms(data.p90)}, 99 % within ${ms(data.p99)}, all within ${ms(data.max)}`,
        data
      )
    ]
  }
)
