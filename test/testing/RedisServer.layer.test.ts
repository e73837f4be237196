/*
 * The layers under the default services of `layer` and `it.effect`, whose clock stands still. This needs its own file,
 * because `layer` changes the meaning of `it.effect` for the rest of a file (docs/servers.md).
 */
import * as Net from "node:net"
import { describe, expect, layer } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { serverLayer, servers } from "../support/servers.js"

const ping = ({ host, port }: RedisServer.RedisServer) =>
  Effect.async<string>((resume) => {
    const socket = Net.connect({ host, port })
    socket.once("data", (chunk) => {
      socket.destroy()
      resume(Effect.succeed(`${chunk}`))
    })
    socket.write("PING\r\n")
  })

describe.each(servers)("$name", (testServer) => {
  layer(serverLayer(testServer))("as a layer", (it) => {
    it.effect("answers, and starts again, while the clock stands still", () =>
      Effect.gen(function* () {
        const server = yield* RedisServer.RedisServer
        expect(yield* ping(server)).toBe("+PONG\r\n")
        yield* server.restart
        expect(yield* ping(server)).toBe("+PONG\r\n")
        expect(yield* Clock.currentTimeMillis).toBe(0)
      })
    )
  })
})
