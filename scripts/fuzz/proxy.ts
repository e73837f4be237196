/** A proxy in front of a server: it passes on what comes in pieces of random sizes, after random pauses, in order. */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Random } from "./random.js"
import type { Target, Way } from "./round.js"
import { untracked } from "./watch.js"

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
            // What is not taken on the other side is not read on this one.
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
