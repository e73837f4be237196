/**
 * Runs the checks from the lowest layer up, and stops where the next one has nothing to stand on. The result is a report;
 * how it looks is decided by text.ts and json.ts.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Connection } from "../Connection.js"
import type { RedisError } from "../RedisError.js"
import { checkAcl } from "./checks/acl.js"
import { checkHandshake } from "./checks/handshake.js"
import { checkMode } from "./checks/mode.js"
import { checkName, checkTcp } from "./checks/network.js"
import { checkReplication } from "./checks/replication.js"
import { checkClients, checkMemory, checkModules, checkPersistence, checkServer } from "./checks/server.js"
import { checkClock, checkLatency } from "./checks/timing.js"
import { checkTls } from "./checks/tls.js"
import { interrupted, isOver, meet, type Patient } from "./patient.js"
import { count, type Finding, failure, hasFailed, type Report } from "./report.js"
import type { Check, Settings } from "./settings.js"

/** The checks of a server that is connected, in the order of the report. */
const examinations: ReadonlyArray<
  readonly [Check, (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError>]
> = [
  ["server", checkServer],
  ["mode", checkMode],
  ["replication", checkReplication],
  ["modules", checkModules],
  ["acl", checkAcl],
  ["memory", checkMemory],
  ["clients", checkClients],
  ["persistence", checkPersistence],
  ["clock", checkClock],
  ["latency", checkLatency]
]

/** A sentinel holds no data, so only these make sense. */
const ofSentinels: ReadonlySet<Check> = new Set(["server", "mode", "acl", "latency"])

/** A check consists of several steps. It ends after this many times the bound of one. */
const steps = 10

/** Runs a check; its errors become findings. */
const bounded = (
  check: Check,
  timeout: number,
  effect: Effect.Effect<ReadonlyArray<Finding>, RedisError>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.map(
    Effect.timeoutOption(
      Effect.catchAll(effect, (error) => Effect.succeed([interrupted(check, error)])),
      timeout * steps
    ),
    Option.getOrElse(() => [
      failure(check, "no-answer", `the server needs longer than ${timeout * steps} ms for this check`, {
        advice: "The server hangs, or is far slower than --timeout."
      })
    ])
  )

const examineServer: (settings: Settings, connection: Connection) => Effect.Effect<ReadonlyArray<Finding>> =
  Effect.fnUntraced(function* (settings: Settings, connection: Connection) {
    const met = yield* Effect.either(meet(settings, connection))
    if (Either.isLeft(met)) {
      return [interrupted("server", met.left)]
    }
    const patient = met.right
    const findings: Array<Finding> = []
    for (const [check, examine] of examinations) {
      if (patient.mode === "sentinel" && !ofSentinels.has(check)) {
        continue
      }
      findings.push(...(yield* bounded(check, settings.timeout, examine(patient))))
      if (findings.some(isOver)) {
        break
      }
    }
    return findings
  })

/** The findings, in order. */
const examineAll: (settings: Settings) => Effect.Effect<ReadonlyArray<Finding>> = Effect.fnUntraced(function* (
  settings: Settings
) {
  const names = yield* checkName(settings)
  if (names.value === undefined) {
    return names.findings
  }
  const tcp = yield* checkTcp(settings, names.value)
  const below = [...names.findings, ...tcp.findings]
  const place = tcp.value
  if (place === undefined) {
    return below
  }
  const { tls } = settings.resolved
  const secure = tls === undefined ? [] : yield* checkTls(settings, tls, place)
  if (hasFailed(secure)) {
    return [...below, ...secure]
  }
  const above = yield* Effect.scoped(
    Effect.flatMap(checkHandshake(settings, place), ({ findings, value }) =>
      value === undefined
        ? Effect.succeed(findings)
        : Effect.map(examineServer(settings, value), (more) => [...findings, ...more])
    )
  )
  return [...below, ...secure, ...above]
})

/** Examines a server. Never fails: what is wrong is in the report. */
export const examine: (settings: Settings) => Effect.Effect<Report> = Effect.fnUntraced(function* (settings: Settings) {
  const startedAt = new Date()
  const began = performance.now()
  const findings = yield* examineAll(settings)
  return {
    target: settings.target,
    startedAt,
    milliseconds: performance.now() - began,
    findings,
    usable: !hasFailed(findings) && !(settings.strict && count(findings, "warning") > 0)
  }
})
