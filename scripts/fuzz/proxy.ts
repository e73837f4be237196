/**
 * Proxies in front of a server. One passes on what comes in pieces of random sizes, after random pauses, in order; the
 * other is `testing/FaultProxy`, whose faults change all the while.
 */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as FaultProxy from "../../src/testing/FaultProxy.js"
import type { Random } from "./random.js"
import type { Target, Way } from "./round.js"
import { pause } from "./task.js"
import { untracked } from "./watch.js"

/** Latency, split writes, little bandwidth and stalls, one after the other; with `harsh` connections that end, too. */
export const faulty = (target: Target, random: Random, harsh: boolean): Effect.Effect<Way, never, Scope.Scope> =>
  Effect.gen(function* () {
    const proxy = yield* FaultProxy.make({
      target: { host: target.host, port: target.port },
      seed: random.below(2 ** 31)
    })
    const gentle = (): ReadonlyArray<FaultProxy.Fault> =>
      random.pick([
        () => [],
        () => [FaultProxy.split(random.pick([3, 50, 1_000]))],
        () => [FaultProxy.latency(`${1 + random.below(4)} millis`, { jitter: `${1 + random.below(4)} millis` })],
        () => [FaultProxy.split(200), FaultProxy.latency("1 millis", { jitter: "2 millis" })],
        () => [FaultProxy.bandwidth(2_000_000)],
        () => [FaultProxy.stall]
      ])()
    const rough = (): FaultProxy.Fault =>
      random.pick([
        () => FaultProxy.reset,
        () => FaultProxy.close,
        () => FaultProxy.halfClose,
        () => FaultProxy.cutAfter(random.below(2_000)),
        () => FaultProxy.cutAfter(random.below(50), "close")
      ])()
    yield* Effect.suspend(() => {
      const direction = random.pick(["toServer", "toClient", "both"] as const)
      const faults = gentle()
      return Effect.zipRight(
        proxy.inject(faults, { direction }),
        harsh && random.chance(0.3) ? proxy.inject(rough(), { direction, on: "live" }) : Effect.void
      ).pipe(
        Effect.zipRight(Effect.suspend(() => pause(5 + random.below(60)))),
        Effect.zipRight(proxy.heal),
        Effect.zipRight(Effect.suspend(() => pause(5 + random.below(40))))
      )
    }).pipe(Effect.forever, Effect.orDie, Effect.forkScoped)
    return { host: proxy.host, port: proxy.port }
  }).pipe(Effect.orDie)

export const splitting = (target: Target, random: Random): Effect.Effect<Way, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
        const sockets = new Set<Net.Socket>()
        const pass = (from: Net.Socket, into: Net.Socket): void => {
          const pieces: Array<Buffer> = []
          let held = 0
          let waiting = false
          let ended = false
          const next = (): void => {
            const piece = pieces.shift()
            waiting = piece !== undefined
            if (piece === undefined) {
              if (ended) {
                into.end()
              }
              return
            }
            held -= piece.length
            if (held < 65_536 && from.isPaused()) {
              from.resume()
            }
            const went = into.write(piece)
            if (!went) {
              into.once("drain", next)
            } else if (random.chance(0.08)) {
              untracked.setTimeout(next, random.next() * 4)
            } else {
              untracked.setImmediate(next)
            }
          }
          from.setNoDelay(true)
          from.on("error", () => {})
          from.on("end", () => {
            ended = true
            if (!waiting) {
              into.end()
            }
          })
          from.on("close", () => {
            sockets.delete(from)
            if (!ended) {
              into.destroy()
            }
          })
          from.on("data", (bytes) => {
            for (let at = 0; at < bytes.length; ) {
              const size = random.weighted<() => number>([
                [1, () => 1 + random.below(5)],
                [2, () => 1 + random.below(2_000)],
                [2, () => 1 + random.below(65_536)]
              ])()
              pieces.push(bytes.subarray(at, at + size))
              at += size
            }
            held += bytes.length
            // While one side does not read, the proxy stops reading from the other side.
            if (held > 262_144) {
              from.pause()
            }
            if (!waiting) {
              next()
            }
          })
        }
        const server = Net.createServer({ allowHalfOpen: true }, (client) => {
          const upstream = Net.connect({ host: target.host, port: target.port, allowHalfOpen: true })
          sockets.add(client).add(upstream)
          pass(client, upstream)
          pass(upstream, client)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
      }),
      ({ server, sockets }) =>
        Effect.async<void>((resume) => {
          for (const socket of sockets) {
            socket.destroy()
          }
          server.close(() => resume(Effect.void))
        })
    ),
    ({ server }) => ({ host: "127.0.0.1", port: (server.address() as Net.AddressInfo).port })
  )
