/**
 * Persisted queues under faults: 50 000 elements and four processes. Every worker of one line is killed (-9) in turn, and the
 * connections of two others are cut all the time.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { describeReal } from "../support/describeReal.js"
import { fight } from "../support/queueWorkers.js"
import { realServers } from "../support/servers.js"

const elements = Number(process.env.QUEUE_ELEMENTS ?? 50_000)

describeReal((server) => {
  it.scopedLive(
    "of 50 000 elements none is lost, and none is handled by two workers at once while a lease holds",
    () =>
      Effect.gen(function* () {
        const kills = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85]
        const outcome = yield* fight(server, { elements, cut: 2, kills, lease: 5_000, concurrency: 32, cutEvery: 400 })
        console.log(`${server.name}: ${JSON.stringify({ ...outcome, overlaps: outcome.overlaps.length })}`)
        expect(outcome).toMatchObject({ lost: 0, overlaps: [], early: [], kills: kills.length })
        expect(outcome.orphaned).toBeGreaterThan(0)
        expect(outcome.leftKeys).toEqual(["{queue:jobs}:done"])
      }),
    600_000
  )
}, realServers.slice(-1))
