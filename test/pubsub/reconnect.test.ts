/** After a disconnect everything is subscribed again, and a gap says where messages may be missing. */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Redis, RedisPubSub } from "effect-redis-client"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure, on, quickly } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import * as Peer from "../support/peer.js"
import { collecting, first, listener, listenOn, until, warnings } from "../support/pubsub.js"
import { makeServer } from "../support/servers.js"

describeReal((server) => {
  plain.scoped("a service under TestClock is built, subscribes, reconnects and closes", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      yield* Effect.gen(function* () {
        const messages = yield* RedisPubSub.withGaps.mailbox("clock")
        yield* Redis.publish("clock", "one")
        expect(yield* messages.take).toMatchObject({ payload: "one" })
        yield* Redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        expect(yield* messages.take).toMatchObject({ _tag: "Gap", reason: "disconnected" })
        yield* Redis.publish("clock", "two")
        expect(yield* messages.take).toMatchObject({ payload: "two" })
      }).pipe(Effect.scoped, Effect.provide(Redis.layer({ host, port })))
    })
  )

  plain.scopedLive("a shard channel whose hash slot leaves the node and returns is subscribed again, with a gap", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server, { mode: "cluster" })
      const run = on(yield* Redis.make({ host, port, expect: "node", reconnect: quickly }))
      yield* run(Redis.execute("CLUSTER", "ADDSLOTSRANGE", 0, 16383))
      yield* until(
        "the cluster is up",
        run(Redis.execute("CLUSTER", "INFO")).pipe(Effect.map((info) => String(info).includes("cluster_state:ok")))
      )
      for (const protocol of [2, 3] as const) {
        const listen = listenOn(yield* RedisPubSub.make({ host, port, protocol, expect: "node", reconnect: quickly }))
        const moved = yield* listen(RedisPubSub.withGaps.smailbox("foo"))
        const stays = yield* listen(RedisPubSub.withGaps.smailbox("bar"))
        const slot = String(yield* run(Redis.execute("CLUSTER", "KEYSLOT", "foo")))
        yield* run(
          Redis.pipeline([Redis.execute("CLUSTER", "DELSLOTS", slot), Redis.execute("CLUSTER", "ADDSLOTS", slot)])
        )
        expect(yield* moved.take).toMatchObject({ _tag: "Gap", reason: "moved" })
        expect(yield* run(Redis.spublish("foo", "after"))).toBe(protocol - 1)
        expect(yield* moved.take).toMatchObject({ payload: "after" })
        yield* run(Redis.spublish("bar", "all along"))
        expect(yield* stays.take).toMatchObject({ payload: "all along" })
      }
    })
  )

  plain.scoped("subscriptions fail when the reconnect Schedule ends; a later subscription connects again", () =>
    Effect.gen(function* () {
      const running = yield* makeServer(server)
      const { host, port } = running
      const service = yield* RedisPubSub.make({
        host,
        port,
        connectTimeout: "10 seconds",
        reconnect: Schedule.intersect(quickly, Schedule.recurs(3))
      })
      const listen = listenOn(service)
      const messages = yield* listen(RedisPubSub.mailbox("gone"))
      yield* running.kill
      expect(failure(yield* Effect.exit(messages.takeAll))).toMatchObject({ _tag: "ConnectionError" })
      const late = yield* Effect.exit(Effect.scoped(listen(RedisPubSub.subscribe("gone"))))
      expect(failure(late)).toMatchObject({ _tag: "ConnectionError", reason: "connect" })
      yield* running.start
      yield* listen(RedisPubSub.mailbox("gone"))
    })
  )
})

eachServer((it, live) => {
  describe("subscriptions after a disconnect", () => {
    it.scoped("are all restored, and each Stream has one gap, at the place of the disconnect", () =>
      Effect.gen(function* () {
        const { kill, listen, numsub, run } = yield* listener(live)
        const names = ["r:0", ...Array.from({ length: 49 }, (_, i) => `r:${i + 1}`)] as const
        const one = yield* collecting(yield* listen(RedisPubSub.withGaps.subscribe(names)))
        const two = yield* collecting(yield* listen(RedisPubSub.withGaps.psubscribe("r:*")))
        const three = yield* collecting(yield* listen(RedisPubSub.withGaps.ssubscribe("r:shard")))
        const four = yield* collecting(yield* listen(RedisPubSub.withGaps.subscribe("r:1", { strategy: "suspend" })))
        yield* run(Redis.publish("r:1", "before"))
        yield* run(Redis.spublish("r:shard", "before"))
        for (const { has } of [one, two, three, four]) {
          yield* has(1)
        }
        yield* kill
        for (const { has } of [one, two, three, four]) {
          yield* has(2)
        }
        expect(yield* numsub("r:49")).toBe(1)
        yield* run(Redis.publish("r:1", "after"))
        yield* run(Redis.publish("r:49", "after"))
        yield* run(Redis.spublish("r:shard", "after"))
        yield* one.has(4)
        yield* two.has(4)
        yield* three.has(3)
        yield* four.has(3)
        const shown = (got: ReadonlyArray<unknown>) =>
          got.map((element) => (element as { payload?: string; reason?: string }).payload ?? "gap")
        expect(shown(one.got)).toEqual(["before", "gap", "after", "after"])
        expect(shown(two.got)).toEqual(["before", "gap", "after", "after"])
        expect(shown(three.got)).toEqual(["before", "gap", "after"])
        expect(shown(four.got)).toEqual(["before", "gap", "after"])
        const gap = one.got[1]
        expect(RedisPubSub.isGap(gap) && gap).toMatchObject({
          reason: "disconnected",
          dropped: 0,
          cause: { _tag: "ConnectionError", reason: "peerClosed" }
        })
      })
    )

    it.scoped(
      "give messages received before the disconnect at once, and the gap once everything is subscribed again",
      () =>
        Effect.gen(function* () {
          const { kill, listen, run } = yield* listener(live)
          const messages = yield* listen(RedisPubSub.withGaps.mailbox(["r:a", "r:b"]))
          yield* run(Redis.publish("r:a", "before"))
          yield* until(
            "the message is buffered",
            Effect.sync(() => Option.getOrNull(messages.unsafeSize()) === 1)
          )
          yield* kill
          expect(yield* messages.take).toMatchObject({ payload: "before" })
          expect(yield* messages.take).toMatchObject({ _tag: "Gap" })
          // A program that reads its state again now misses no later message on any channel.
          expect(yield* run(Redis.publish("r:a", "1"))).toBe(1)
          expect(yield* run(Redis.publish("r:b", "2"))).toBe(1)
          expect(yield* messages.take).toMatchObject({ payload: "1" })
          expect(yield* messages.take).toMatchObject({ payload: "2" })
        })
    )

    it.scoped("log a warning when gaps were not asked for, and fail with ConnectionError when failOnGap is set", () => {
      const { layer, lines } = warnings()
      return Effect.gen(function* () {
        const { kill, listen, run } = yield* listener(live)
        const quiet = yield* listen(RedisPubSub.mailbox("r:log"))
        const strict = yield* listen(RedisPubSub.mailbox("r:log", { failOnGap: true }))
        yield* run(Redis.publish("r:log", "before"))
        yield* until(
          "the message is buffered",
          Effect.sync(() => Option.getOrNull(strict.unsafeSize()) === 1)
        )
        yield* kill
        expect(yield* strict.take).toMatchObject({ payload: "before" })
        expect(failure(yield* Effect.exit(strict.take))).toMatchObject({
          _tag: "ConnectionError",
          reason: "peerClosed",
          delivery: "unknown"
        })
        yield* Peer.eventually("it is logged", () => lines.some((line) => line.includes("may have been missed")))
        yield* run(Redis.publish("r:log", "after"))
        expect([...(yield* quiet.takeN(2))[0]]).toMatchObject([{ payload: "before" }, { payload: "after" }])
        expect(lines.filter((line) => line.includes("may have been missed")).length).toBe(1)
      }).pipe(Effect.provide(layer))
    })

    it.scoped("fail only where the user lost the permission for a channel", () =>
      Effect.gen(function* () {
        const { run } = yield* listener(live)
        const { host, port } = yield* RedisServer.RedisServer
        const allow = (...rules: ReadonlyArray<string>) => run(Redis.execute("ACL", "SETUSER", "nomad", ...rules))
        yield* allow("reset", "on", ">pw", "resetchannels", "&p:*", "+@all")
        const credentials = { username: "nomad", password: Redacted.make("pw") }
        const service = yield* RedisPubSub.make({
          host,
          port,
          protocol: live.protocol,
          reconnect: quickly,
          ...credentials
        })
        const listen = listenOn(service)
        const losing = yield* listen(RedisPubSub.mailbox(["p:kept", "p:lost"]))
        const keeping = yield* listen(RedisPubSub.mailbox("p:kept"))
        // The server closes the connections of a user who loses channels.
        yield* allow("resetchannels", "&p:kept")
        expect(failure(yield* Effect.exit(losing.takeAll))).toMatchObject({ _tag: "ReplyError", code: "NOPERM" })
        yield* run(Redis.publish("p:kept", "still"))
        expect(yield* keeping.take).toMatchObject({ payload: "still" })
      })
    )

    it.scoped("include a subscribe that was in flight: it completes on the next connection", () =>
      Effect.gen(function* () {
        const { kill, listen, run } = yield* listener(live)
        yield* listen(RedisPubSub.subscribe("r:first"))
        for (let i = 0; i < 20; i++) {
          const [messages] = yield* Effect.all([listen(RedisPubSub.withGaps.mailbox(`r:race:${i}`)), kill], {
            concurrency: "unbounded"
          })
          yield* until(
            "it is subscribed",
            run(Redis.publish(`r:race:${i}`, "here")).pipe(Effect.map((count) => count === 1))
          )
          let taken = yield* messages.take
          while (RedisPubSub.isGap(taken)) {
            taken = yield* messages.take
          }
          expect(taken.payload).toBe("here")
        }
      })
    )

    it.scoped("give All for invalidations, at once and again when tracking is restored", () =>
      Effect.gen(function* () {
        const { redis, run } = yield* listener(live)
        const { host, port } = yield* RedisServer.RedisServer
        const service = yield* RedisPubSub.make({
          host,
          port,
          protocol: live.protocol,
          reconnect: quickly,
          clientName: "tracker"
        })
        const { got, has } = yield* collecting(
          yield* listenOn(service)(RedisPubSub.subscribeInvalidations({ prefixes: ["i:a", "i:b"] }))
        )
        yield* run(Redis.set("i:a1", "1"))
        yield* run(Redis.set("i:c", "1"))
        yield* run(Redis.set("i:b1", "1"))
        yield* has(2)
        expect(got).toEqual([
          { _tag: "Keys", keys: ["i:a1"] },
          { _tag: "Keys", keys: ["i:b1"] }
        ])
        const list = yield* on(redis)(Redis.execute("CLIENT", "LIST"))
        const id = /id=(\d+) [^\n]*name=tracker/.exec(String(list))?.[1] ?? ""
        yield* run(Redis.execute("CLIENT", "KILL", "ID", id))
        yield* has(4)
        yield* run(Redis.set("i:a2", "1"))
        yield* has(5)
        expect(got.slice(2)).toEqual([
          { _tag: "All", reason: "gap" },
          { _tag: "All", reason: "gap" },
          { _tag: "Keys", keys: ["i:a2"] }
        ])
      })
    )
  })

  it.scoped("an idle subscription connection is pinged, and the reply is not given as a message", () =>
    Effect.gen(function* () {
      const { calls, listen, resetCalls, run } = yield* listener(live, { pingInterval: "20 millis" })
      const messages = yield* listen(RedisPubSub.withGaps.mailbox("r:ping"))
      yield* resetCalls
      yield* until(
        "three pings were sent",
        Effect.map(calls("ping"), (count) => count >= 3)
      )
      yield* run(Redis.publish("r:ping", "first"))
      expect(yield* messages.take).toMatchObject({ payload: "first" })
    })
  )

  describe("Streams of events", () => {
    it.scoped("keyspace notifications are typed, by key, by pattern and by event", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        yield* run(Redis.configSet({ "notify-keyspace-events": "" }))
        const byKey = yield* listen(RedisPubSub.subscribeKeyspace("k:[1]*", { notify: "K$g", database: "all" }))
        expect(yield* run(Redis.execute("CONFIG", "GET", "notify-keyspace-events"))).not.toContain("E")
        const exactly = yield* listen(RedisPubSub.subscribeKeyspace("k:1"))
        const byPattern = yield* listen(RedisPubSub.psubscribeKeyspace("k:?"))
        const byEvent = yield* listen(RedisPubSub.subscribeKeyevents(["expired", "del"], { notify: "EA" }))
        const any = yield* listen(RedisPubSub.subscribeKeyevents("*"))
        yield* run(Redis.set("k:1", "1"))
        yield* run(Redis.set("k:[1]*", "1"))
        yield* run(Redis.del("k:1"))
        const event = (key: string, event: string) => ({ _tag: "KeyEvent", database: 0, key, event })
        expect(yield* first(byKey, 1)).toEqual([event("k:[1]*", "set")])
        expect(yield* first(exactly, 2)).toEqual([event("k:1", "set"), event("k:1", "del")])
        expect(yield* first(byPattern, 2)).toEqual([event("k:1", "set"), event("k:1", "del")])
        expect(yield* first(byEvent, 1)).toEqual([event("k:1", "del")])
        expect(yield* first(any, 3)).toEqual([event("k:1", "set"), event("k:[1]*", "set"), event("k:1", "del")])
        const wrong = yield* Effect.exit(Effect.scoped(listen(RedisPubSub.subscribeKeyspace("k", { notify: "K E" }))))
        expect(failure(wrong)).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
      })
    )

    it.scoped("MONITOR lines are typed, with escaped bytes decoded", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        const lines = yield* listen(RedisPubSub.subscribeMonitor())
        const bytes = Uint8Array.of(0, 7, 8, 9, 10, 13, 34, 92, 127, 255)
        yield* run(Redis.execute("SET", "m:é€", bytes))
        yield* run(Redis.eval("return redis.call('GET', KEYS[1])", { keys: ["m:x"] }))
        const got = yield* first(lines, 3)
        expect(got[0]).toMatchObject({ _tag: "MonitorLine", database: 0, command: "SET", args: ["m:é€", bytes] })
        expect(got[0]?.client).toMatch(/^127\.0\.0\.1:\d+$/)
        expect(Math.abs(Number(got[0]?.time.epochMillis) - Date.now())).toBeLessThan(60_000)
        expect(got[1]).toMatchObject({ command: "EVAL", args: ["return redis.call('GET', KEYS[1])", "1", "m:x"] })
        expect(got[2]).toMatchObject({ client: "lua", command: "GET", args: ["m:x"] })
      })
    )

    it.scoped("invalidations report a flush; overlapping prefixes are refused", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        const all = yield* listen(RedisPubSub.subscribeInvalidations())
        yield* run(Redis.set("any", "1"))
        yield* run(Redis.flushall())
        expect(yield* first(all, 2)).toEqual([
          { _tag: "Keys", keys: ["any"] },
          { _tag: "All", reason: "flush" }
        ])
        const wrong = yield* Effect.exit(
          Effect.scoped(listen(RedisPubSub.subscribeInvalidations({ prefixes: ["a", "ab"] })))
        )
        expect(failure(wrong)).toMatchObject({ _tag: "ReplyError" })
      })
    )
  })
})
