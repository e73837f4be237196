/** Workers of a persisted queue that are killed and cut off, in small; in large: queue-delivery.test.ts. */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { describeReal } from "../support/describeReal.js"
import { fight } from "../support/queueWorkers.js"
import { realServers } from "../support/servers.js"

describeReal((server) => {
  it.scopedLive(
    "no element is lost, and none is handled by two workers at once, when a worker is killed and one is cut off",
    () =>
      Effect.gen(function* () {
        const battle = { elements: 1_200, cut: 1, kills: [0.3], lease: 2_000, concurrency: 16, cutEvery: 150 }
        const outcome = yield* fight(server, battle)
        expect(outcome).toMatchObject({ lost: 0, overlaps: [], early: [], kills: 1 })
        expect(outcome.cuts).toBeGreaterThan(0)
        expect(outcome.orphaned).toBeGreaterThan(0)
        expect(outcome.leftKeys).toEqual(["{queue:jobs}:done"])
      })
  )
}, realServers.slice(-1))
