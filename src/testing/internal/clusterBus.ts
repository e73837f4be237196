/*
 * A proxy in front of a node's cluster bus, which can separate this node from some of the others.
 *
 * Each node opens a connection to the bus of every other node, and a proxy would not know whose connection it is. But the
 * first message on a connection has the sender's id, at a fixed place in its header. (With TLS it cannot be read.)
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { failure, type RedisClusterError } from "./clusterError.js"

const signature = "RCmb"
const senderAt = 40
const senderLength = 40

/** Whether messages pass between the node with this id and the node that the proxy stands in front of. */
export type Passes = (sender: string) => boolean

interface Relay {
  /** Whether bytes were swallowed, so that the rest of the stream makes no sense. */
  readonly lost: () => boolean
  readonly end: () => void
}

const relay = (client: Net.Socket, port: number, passes: Passes, onEnd: (self: Relay) => void): Relay => {
  const server = Net.connect({ host: "127.0.0.1", port, noDelay: true })
  let sender: string | undefined
  let head = Buffer.alloc(0)
  let lost = false
  const end = () => {
    client.destroy()
    server.destroy()
    onEnd(self)
  }
  const self: Relay = { lost: () => lost, end }
  for (const socket of [client, server]) {
    socket.on("error", end)
    socket.on("close", end)
  }
  const pass = (to: Net.Socket, chunk: Buffer) => {
    if (sender !== undefined && passes(sender)) to.write(chunk)
    else lost = true
  }
  client.on("data", (chunk: Buffer) => {
    if (sender !== undefined) return pass(server, chunk)
    head = Buffer.concat([head, chunk])
    if (head.length < senderAt + senderLength) return
    if (head.toString("latin1", 0, signature.length) !== signature) return end()
    sender = head.toString("latin1", senderAt, senderAt + senderLength)
    pass(server, head)
  })
  server.on("data", (chunk: Buffer) => pass(client, chunk))
  return self
}

/** A proxy that listens. */
export interface BusProxy {
  readonly port: number
  /** Ends the connections that lost bytes: their nodes open new ones. */
  readonly heal: Effect.Effect<void>
}

const listen = (server: Net.Server, port: number) =>
  Effect.async<void, Error>((resume) => {
    const failed = (error: Error) => resume(Effect.fail(error))
    server.once("error", failed)
    server.listen({ host: "127.0.0.1", port }, () => {
      server.removeListener("error", failed)
      resume(Effect.void)
    })
  })

/** Listens on a free port, for connections to the bus at `port`. */
export const make = (port: number, passes: Passes): Effect.Effect<BusProxy, RedisClusterError, Scope.Scope> =>
  Effect.gen(function* () {
    const relays = new Set<Relay>()
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Net.createServer({ noDelay: true }, (client) =>
          relays.add(relay(client, port, passes, (ended) => relays.delete(ended)))
        )
      ),
      (server) =>
        Effect.async<void>((resume) => {
          for (const one of [...relays]) one.end()
          if (server.listening) server.close(() => resume(Effect.void))
          else resume(Effect.void)
        })
    )
    for (let tries = 1; ; tries++) {
      // Below the range of outgoing connections, as in FaultProxy.
      const chosen = Crypto.randomInt(10_240, 32_768)
      const problem = yield* Effect.match(listen(server, chosen), {
        onFailure: (cause) => cause,
        onSuccess: () => undefined
      })
      if (problem === undefined) {
        return {
          port: chosen,
          heal: Effect.sync(() => {
            for (const one of [...relays]) if (one.lost()) one.end()
          })
        }
      }
      if (tries === 20) return yield* failure("Start", "No free port was found for a bus.", { cause: problem })
    }
  })
