/*
 * Two servers pick the same random port. This is rare, so the random numbers are fixed here. The servers are real.
 */
import * as Net from "node:net"
import { afterAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { describeReal } from "../support/describeReal.js"
import { makeServer } from "../support/servers.js"

const loaded = vi.hoisted((): { ports: Array<number> } => {
  // An earlier test file of this process may have loaded the modules with Node's own random numbers.
  vi.resetModules()
  return { ports: [] }
})

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>()
  return { ...crypto, randomInt: (...args: [number, number]) => loaded.ports.shift() ?? crypto.randomInt(...args) }
})

afterAll(() => {
  vi.resetModules()
})

const occupied = Effect.acquireRelease(
  Effect.async<Net.Server>((resume) => {
    const server = Net.createServer()
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

describeReal((testServer) => {
  it.scoped("tries another port when the first ones are in use", () =>
    Effect.gen(function* () {
      const address = (yield* occupied).address()
      const taken = typeof address === "object" && address !== null ? address.port : 0
      loaded.ports = [taken, taken]
      const server = yield* makeServer(testServer)
      expect(loaded.ports).toEqual([])
      expect(server.port).not.toBe(taken)
      expect(yield* server.log).toContain("Address already in use")
    })
  )
})
