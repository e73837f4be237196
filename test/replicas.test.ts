/** Reads at replicas that are given as a list: which commands go there, and which server may be one. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Redis } from "../src/Redis.js"
import { failure, on } from "./support/client.js"
import { describeReal } from "./support/describeReal.js"
import { commandServers, makeServer } from "./support/servers.js"

describeReal((server) => {
  it.scopedLive("readonly commands with a key go to the replica, everything else to the primary", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(server)
      const { host, port } = primary
      const replica = yield* makeServer(server, { mode: { replicaOf: { host, port } } })
      const atReplica = on(yield* Redis.make({ host: replica.host, port: replica.port }))
      const run = on(
        yield* Redis.make({ host, port, replicas: [`redis://${replica.host}:${replica.port}`], readFrom: "replica" })
      )
      yield* run(Redis.set("k", "v"))
      yield* Effect.repeat(atReplica(Redis.get("k")), { until: Option.isSome })
      const calls = Effect.map(atReplica(Redis.execute("INFO", "commandstats")), (text) =>
        Number(/cmdstat_get:calls=(\d+)/.exec(String(text))?.[1] ?? 0)
      )
      const before = yield* calls
      expect(yield* run(Redis.get("k"))).toEqual(Option.some("v"))
      expect(yield* run(Redis.pipeline([Redis.get("k"), Redis.get("k")]))).toEqual([Option.some("v"), Option.some("v")])
      expect(yield* run(Redis.get("k").pipe(Redis.readFrom("primary")))).toEqual(Option.some("v"))
      expect((yield* calls) - before).toBe(3)
      expect(yield* run(Redis.incr("n"))).toBe(1)
    })
  )

  it.scopedLive("a server of the list that is not a replica gets no command", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const other = yield* makeServer(server)
      const run = on(
        yield* Redis.make({ host, port, replicas: [{ host: other.host, port: other.port }], readFrom: "preferReplica" })
      )
      yield* run(Redis.set("k", "here"))
      for (let i = 0; i < 20; i++) {
        expect(yield* run(Redis.get("k"))).toEqual(Option.some("here"))
      }
    })
  )

  it.live("what says where to read is checked", () =>
    Effect.gen(function* () {
      const options = [
        { readFrom: "nearest" as "replica" },
        { replicas: ["unix:///run/redis.sock"] },
        { replicas: [""] }
      ]
      for (const option of options) {
        const exit = yield* Effect.exit(Effect.scoped(Redis.make({ ...option, lazy: true })))
        expect(failure(exit), JSON.stringify(option)).toMatchObject({ _tag: "UsageError" })
        expect(Exit.isFailure(exit)).toBe(true)
      }
    })
  )
}, commandServers)
