/** A slow listener's buffer is bounded by its own strategy, and does not affect other listeners. */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RedisPubSub } from "effect-redis-client"
import { eachServer, failure, quickly } from "../support/client.js"
import * as Peer from "../support/peer.js"
import { listener, listenOn, publish, until, warnings } from "../support/pubsub.js"

const payloads = (messages: Iterable<{ readonly payload: string }>) =>
  [...messages].map(({ payload }) => Number.parseInt(payload, 10))

eachServer((it, live) => {
  describe("a slow listener", () => {
    it.scoped(
      "keeps the newest messages with sliding, the oldest with dropping, and logs one warning per burst",
      () => {
        const { layer, lines } = warnings()
        return Effect.gen(function* () {
          const { listen, redis } = yield* listener(live)
          const sliding = yield* listen(RedisPubSub.mailbox("o:1", { bufferSize: 100 }))
          const dropping = yield* listen(RedisPubSub.mailbox("o:1", { bufferSize: 100, strategy: "dropping" }))
          const quick = yield* listen(RedisPubSub.mailbox("o:1", { bufferSize: 10_000 }))
          for (let burst = 1; burst <= 2; burst++) {
            yield* publish(redis, "o:1", 5000)
            const [all] = yield* quick.takeN(5000)
            expect(payloads(all)).toEqual(Array.from({ length: 5000 }, (_, i) => i))
            expect(payloads((yield* sliding.takeAll)[0])).toEqual(Array.from({ length: 100 }, (_, i) => 4900 + i))
            expect(payloads((yield* dropping.takeAll)[0])).toEqual(Array.from({ length: 100 }, (_, i) => i))
            expect(lines.filter((line) => line.includes("slow Redis subscription drops")).length).toBe(2 * burst)
          }
          for (const annotation of [
            /"server\.address":"127\.0\.0\.1:\d+"/,
            /"subscribe":1\b/,
            /"strategy":"sliding"/
          ]) {
            expect(lines.filter((line) => annotation.test(line)).length).toBeGreaterThanOrEqual(2)
          }
        }).pipe(Effect.provide(layer))
      }
    )

    it.scoped("with gaps, gets an overflow gap with the number of lost messages at the place of the loss", () =>
      Effect.gen(function* () {
        const { listen, redis } = yield* listener(live)
        const options = { bufferSize: 100 } as const
        const sliding = yield* listen(RedisPubSub.withGaps.mailbox("o:2", options))
        const dropping = yield* listen(RedisPubSub.withGaps.mailbox("o:2", { ...options, strategy: "dropping" }))
        const quick = yield* listen(RedisPubSub.mailbox("o:2", { bufferSize: 10_000 }))
        yield* publish(redis, "o:2", 1000)
        yield* quick.takeN(1000)
        const shown = (elements: Iterable<unknown>) =>
          [...elements].map((element) =>
            RedisPubSub.isGap(element)
              ? `${element.reason} ${element.dropped}`
              : Number((element as { readonly payload: string }).payload)
          )
        const numbers = (from: number) => Array.from({ length: 100 }, (_, i) => from + i)
        expect(shown((yield* sliding.takeAll)[0])).toEqual(["overflow 900", ...numbers(900)])
        expect(shown((yield* dropping.takeAll)[0])).toEqual([...numbers(0), "overflow 900"])
      })
    )

    it.scoped("fails with OverflowError under the fail strategy, after the messages it had buffered", () =>
      Effect.gen(function* () {
        const { listen, numsub, redis } = yield* listener(live)
        const failing = yield* listen(RedisPubSub.mailbox("o:3", { bufferSize: 100, strategy: "fail" }))
        const bytes = yield* listen(RedisPubSub.mailbox("o:4", { bufferBytes: 10_000, strategy: "fail" }))
        yield* publish(redis, "o:3", 1000)
        yield* publish(redis, "o:4", 100, 1000)
        yield* until(
          "they are unsubscribed",
          Effect.map(numsub("o:3"), (count) => count === 0)
        )
        expect(payloads((yield* failing.takeAll)[0])).toEqual(Array.from({ length: 100 }, (_, i) => i))
        expect(failure(yield* Effect.exit(failing.takeAll))).toMatchObject({
          _tag: "OverflowError",
          limit: "messages",
          maximum: 100
        })
        expect(failure(yield* Effect.exit(failing.await))).toMatchObject({ _tag: "OverflowError" })
        yield* until(
          "they are unsubscribed",
          Effect.map(numsub("o:4"), (count) => count === 0)
        )
        expect(Chunk.size((yield* bytes.takeAll)[0])).toBeLessThan(10)
        expect(failure(yield* Effect.exit(bytes.takeAll))).toMatchObject({ limit: "messageBytes", maximum: 10_000 })
      })
    )

    it.scoped("loses nothing with suspend, because it has its own connection", () =>
      Effect.gen(function* () {
        const { listen, redis, subscribers } = yield* listener(live)
        const quick = yield* listen(RedisPubSub.mailbox("o:5", { bufferSize: 100_000 }))
        const suspended = yield* listen(RedisPubSub.mailbox("o:5", { bufferSize: 100, strategy: "suspend" }))
        expect(yield* subscribers).toBe(2)
        const count = 20_000
        yield* publish(redis, "o:5", count, 100)
        expect(Chunk.size((yield* quick.takeN(count))[0])).toBe(count)
        // The bound may be exceeded by what one read of the socket brings.
        expect(Option.getOrThrow(yield* suspended.size)).toBeLessThan(100 + 2000)
        const got: Array<number> = []
        while (got.length < count) {
          for (const number of payloads((yield* suspended.takeAll)[0])) {
            got.push(number)
          }
        }
        expect(got.findIndex((number, i) => number !== i)).toBe(-1)
      })
    )

    it.scoped("never holds more than its bound when it takes nothing", () =>
      Effect.gen(function* () {
        const { listen, redis } = yield* listener(live)
        const never = yield* listen(RedisPubSub.mailbox("o:6"))
        const counting = yield* listen(RedisPubSub.mailbox("o:6", { bufferSize: 200_000, bufferBytes: 1e9 }))
        const count = 100_000
        yield* Effect.forkScoped(publish(redis, "o:6", count, 200))
        let got = 0
        let largest = 0
        while (got < count) {
          got += Chunk.size((yield* counting.takeAll)[0])
          largest = Math.max(largest, Option.getOrThrow(never.unsafeSize()))
        }
        expect(largest).toBe(4096)
        const [left] = yield* never.takeAll
        expect(Chunk.size(left)).toBe(4096)
        expect(Number.parseInt([...left][0]?.payload ?? "", 10)).toBe(count - 4096)
        expect(never.toJSON()).toMatchObject({ dropped: count - 4096 })
      })
    )
  })
})

describe("a suspended subscription that nobody reads", () => {
  plain.scoped("stays within its bound after a reconnect, too", () =>
    Effect.gen(function* () {
      const message = `>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100000\r\n${"x".repeat(100_000)}\r\n`
      const short = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\ny\r\n"
      const confirmed = ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
      const peer = yield* Peer.make({
        onCommand: (command, connection) =>
          Peer.greeting(() =>
            command[0] !== "SUBSCRIBE"
              ? undefined
              : connection.index === 0
                ? `${confirmed}${short.repeat(8)}!broken\r\n`
                : confirmed + message.repeat(300)
          )(command, connection)
      })
      const service = yield* RedisPubSub.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly })
      const mailbox = yield* RedisPubSub.mailbox("c", { strategy: "suspend", bufferSize: 8 }).pipe(listenOn(service))
      const second = () => peer.connections[1]?.socket
      yield* Peer.eventually("it is connected again", () => (second()?.bytesWritten ?? 0) > 30_000_000)
      let before = -1
      let since = performance.now()
      yield* Peer.eventually("the peer cannot write any more", () => {
        const waits = second()?.writableLength ?? 0
        if (waits !== before) {
          before = waits
          since = performance.now()
        }
        return performance.now() - since > 500
      })
      expect(before).toBeGreaterThan(0)
      expect(Option.getOrThrow(mailbox.unsafeSize())).toBeLessThan(100)
    })
  )
})
