/** Shared by suites over one connection. */
import * as Effect from "effect/Effect"
import { Connection } from "effect-redis-client"
import * as Peer from "./peer.js"

/** A scripted peer, a connection to it, and the newest socket on the peer's side. */
export const connectTo = (script: Peer.Script, options: Connection.ConnectionOptions = {}) =>
  Effect.gen(function* () {
    const peer = yield* Peer.make(script)
    const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port, ...options })
    return { peer, connection, socket: () => peer.connections.at(-1) as Peer.PeerConnection }
  })

/** Runs an effect in a fiber and waits until the peer has received that many more commands. */
export const inFlight = <A, E>(effect: Effect.Effect<A, E>, socket: () => Peer.PeerConnection, commands: number) =>
  Effect.gen(function* () {
    const before = socket().received.length
    const fiber = yield* Effect.fork(Effect.exit(effect))
    yield* Peer.eventually("the commands arrived", () => socket().received.length >= before + commands)
    return fiber
  })
