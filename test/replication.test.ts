/** `Redis.withReplication`: writes, and WAIT or WAITAOF after them, on one connection. */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Redis } from "effect-redis-client"
import type { PipelineError } from "../src/RedisError.js"
import type * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, failure, on } from "./support/client.js"
import { describeReal } from "./support/describeReal.js"
import { greeting } from "./support/peer.js"
import { makeServer, type TestServer } from "./support/servers.js"

class Primary extends Context.Tag("Primary")<Primary, RedisServer.RedisServer>() {}
class Replica extends Context.Tag("Replica")<Replica, RedisServer.RedisServer>() {}

/** A server and a replica that is in sync. */
const replicated = (server: TestServer) =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const primary = yield* makeServer(server, { appendonly: true, config: { "repl-diskless-sync-delay": 0 } })
      const replica = yield* makeServer(server, { appendonly: true, mode: { replicaOf: primary } })
      const run = on(yield* Redis.make({ host: primary.host, port: primary.port }))
      const online: Effect.Effect<void, unknown> = Effect.flatMap(run(Redis.execute("INFO", "replication")), (info) =>
        /state=online/.test(String(info)) ? Effect.void : online
      )
      yield* online
      return Context.make(Primary, primary).pipe(Context.add(Replica, replica))
    })
  )

const hasWaitaof = ({ product, version }: TestServer): boolean =>
  product === "valkey" || version.localeCompare("7.2", "en", { numeric: true }) >= 0

describe("sent commands", () => {
  it.scoped("the commands and WAIT share one dedicated connection", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo({
        onCommand: greeting(([name]) => (name === "WAIT" ? ":2\r\n" : name === "INCR" ? ":7\r\n" : "+OK\r\n"))
      })
      expect(
        yield* run(
          Redis.withReplication(
            { replicas: 2, timeout: "1.5 seconds" },
            { set: Redis.set("a", "b"), n: Redis.incr("n") }
          )
        )
      ).toEqual({ results: { set: undefined, n: 7 }, replicas: 2, local: 0 })
      const received = peer.connections.map(({ received }) =>
        received.map((words) => words.join(" ")).filter((words) => !/^(HELLO|CLIENT)/.test(words))
      )
      expect(received).toEqual([[], ["SET a b", "INCR n", "WAIT 2 1500"]])
      yield* run(Redis.withReplication({ replicas: 1, timeout: Duration.infinity }, [Redis.incr("n")]))
      expect(peer.connections[1]?.received.at(-1)).toEqual(["WAIT", "1", "0"])
    })
  )

  it.scoped("invalid timeouts and counts are refused before the writes are sent", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo({ onCommand: greeting() })
      for (const options of [
        { replicas: 1, timeout: "0 millis" },
        { replicas: 1, timeout: "1500 micros" },
        { replicas: -1, timeout: "1 second" },
        { replicas: 1.5, timeout: "1 second" },
        { replicas: Number.NaN, timeout: "1 second" },
        { replicas: 1, timeout: "0 millis", aof: { local: 1 } }
      ] as ReadonlyArray<Parameters<typeof Redis.withReplication>[0]>) {
        const exit = yield* Effect.exit(run(Redis.withReplication(options, [Redis.set("a", "b")])))
        expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
      }
      expect(commands()).toEqual([])
    })
  )

  it.scoped("a failed write is reported without waiting for replicas", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo({
        onCommand: greeting(([name]) => (name === "INCR" ? "-WRONGTYPE no\r\n" : "+OK\r\n"))
      })
      const exit = yield* Effect.exit(
        run(
          Redis.withReplication({ replicas: 1, timeout: "1 second" }, { set: Redis.set("a", "b"), n: Redis.incr("n") })
        )
      )
      const error = failure(exit) as PipelineError<{ readonly set: Either.Either<void, unknown> }>
      expect(error).toMatchObject({ _tag: "PipelineError", at: "n", error: { code: "WRONGTYPE" } })
      expect(error.results.set).toEqual(Either.right(undefined))
      expect(commands()).toEqual(["SET a b", "INCR n"])
    })
  )
})

describeReal((server) => {
  const servers = replicated(server)
  // One pair serves both protocols, because the layer is built once.
  it.live("counts a replica, and not one that is paused", () =>
    Effect.gen(function* () {
      const primary = yield* Primary
      const replica = yield* Replica
      const behind = on(yield* Redis.make({ host: replica.host, port: replica.port }))
      for (const protocol of [2, 3] as const) {
        const run = on(yield* Redis.make({ host: primary.host, port: primary.port, protocol }))
        const key = `order:${protocol}`
        // The replica has the write when this returns.
        const reached = yield* run(
          Redis.withReplication({ replicas: 1, timeout: "1 minute" }, [Redis.set(key, "paid"), Redis.get(key)])
        )
        expect(reached).toEqual({ results: [undefined, Option.some("paid")], replicas: 1, local: 0 })
        expect(yield* behind(Redis.get(key))).toEqual(Option.some("paid"))

        // With nothing to wait for it succeeds too.
        expect(yield* run(Redis.withReplication({ replicas: 0, timeout: "1 second" }, [Redis.get(key)]))).toMatchObject(
          {
            results: [Option.some("paid")]
          }
        )

        if (hasWaitaof(server)) {
          expect(
            yield* run(
              Redis.withReplication({ replicas: 1, timeout: "1 minute", aof: { local: 1 } }, [Redis.incr("n")])
            )
          ).toMatchObject({ replicas: 1, local: 1 })
        } else {
          const exit = yield* Effect.exit(
            run(Redis.withReplication({ replicas: 1, timeout: "1 second", aof: { local: 0 } }, [Redis.incr("n")]))
          )
          expect(failure(exit)).toMatchObject({ _tag: "ReplyError", command: "WAITAOF" })
        }

        yield* replica.pause
        const started = performance.now()
        const none = yield* run(
          Redis.withReplication({ replicas: 1, timeout: "200 millis" }, [Redis.set(key, "changed")])
        ).pipe(Effect.ensuring(Effect.orDie(replica.resume)))
        expect(none).toEqual({ results: [undefined], replicas: 0, local: 0 })
        expect(performance.now() - started).toBeGreaterThan(150)
        // The write stays executed, and reaches the replica later.
        expect(
          yield* run(Redis.withReplication({ replicas: 1, timeout: "1 minute" }, [Redis.incr("n")]))
        ).toMatchObject({ replicas: 1 })
        expect(yield* behind(Redis.get(key))).toEqual(Option.some("changed"))
      }
    }).pipe(Effect.scoped, Effect.provide(servers))
  )

  it.live("without a replica the count is 0, within the timeout", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      for (const protocol of [2, 3] as const) {
        const run = on(yield* Redis.make({ host, port, protocol, replyTimeout: "1 minute" }))
        const started = performance.now()
        expect(
          yield* run(Redis.withReplication({ replicas: 1, timeout: "100 millis" }, { n: Redis.incr("n") }))
        ).toEqual({ results: { n: protocol - 1 }, replicas: 0, local: 0 })
        expect(performance.now() - started).toBeGreaterThan(80)
        expect(performance.now() - started).toBeLessThan(30_000)
      }
    }).pipe(Effect.scoped)
  )
})
