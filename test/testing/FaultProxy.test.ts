/** Tests the fault proxy with raw sockets on both sides. */
import * as Net from "node:net"
import { describe, expect, it, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import * as RedisServer from "effect-redis-client/testing/RedisServer"
import { eventually } from "../support/peer.js"

/** A socket and the events it has seen. */
interface Seen {
  readonly socket: Net.Socket
  readonly chunks: Array<Buffer>
  readonly text: () => string
  ended: boolean
  /** The code of its error, or `""` when it closed without one. */
  closed: string | undefined
}

const watch = (socket: Net.Socket): Seen => {
  let code = ""
  const seen: Seen = {
    socket,
    chunks: [],
    text: () => Buffer.concat(seen.chunks).toString("latin1"),
    ended: false,
    closed: undefined
  }
  socket.on("data", (bytes) => seen.chunks.push(bytes))
  socket.on("end", () => {
    seen.ended = true
  })
  socket.on("error", (error) => {
    code = String((error as { code?: unknown }).code)
  })
  socket.on("close", () => {
    seen.closed = code
  })
  return seen
}

/** A server that records what it receives, and never ends a connection by itself. */
const makeServer: Effect.Effect<
  { readonly port: number; readonly sockets: Array<Seen>; readonly reading: (yes: boolean) => void },
  never,
  Scope.Scope
> = Effect.acquireRelease(
  Effect.async<{ readonly server: Net.Server; readonly port: number; readonly sockets: Array<Seen> }>((resume) => {
    const sockets: Array<Seen> = []
    const server = Net.createServer({ allowHalfOpen: true }, (socket) => sockets.push(watch(socket)))
    server.listen(0, "127.0.0.1", () => {
      resume(Effect.succeed({ server, sockets, port: (server.address() as Net.AddressInfo).port }))
    })
  }),
  ({ server, sockets }) =>
    Effect.async<void>((resume) => {
      for (const { socket } of sockets) socket.destroy()
      server.close(() => resume(Effect.void))
    })
).pipe(
  Effect.map(({ port, sockets }) => ({
    port,
    sockets,
    reading: (yes) => {
      for (const { socket } of sockets) yes ? socket.resume() : socket.pause()
    }
  }))
)

const connect = (port: number): Effect.Effect<Seen, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => watch(Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true }))),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** A client that is connected to a server through a proxy. */
const through = (options?: Omit<FaultProxy.FaultProxyOptions, "target">) =>
  Effect.gen(function* () {
    const server = yield* makeServer
    const proxy = yield* FaultProxy.make({ ...options, target: { port: server.port } })
    const client = yield* connect(proxy.port)
    yield* eventually("the server is reached", () => server.sockets.length === 1)
    const [peer] = server.sockets as [Seen]
    return { server, proxy, client, peer }
  })

const isOpen = (...sockets: ReadonlyArray<Seen>) => sockets.every(({ closed, ended }) => !ended && closed === undefined)

/** When a RST arrives together with bytes, libuv reports an end after these bytes. */
const isGone = ({ closed, ended }: Seen) => ended || closed !== undefined

describe("a proxy without faults", () => {
  it.scoped("passes on bytes both ways, and counts them", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      client.socket.write("question")
      yield* eventually("it arrives", () => peer.text() === "question")
      peer.socket.write("an answer")
      yield* eventually("it comes back", () => client.text() === "an answer")
      const counted = { bytesToServer: 8, bytesToClient: 9, swallowed: 0 }
      expect(yield* proxy.stats).toEqual({ accepted: 1, open: 1, unreachable: 0, ...counted })
      expect(yield* proxy.connections).toEqual([{ id: 0, ...counted }])
    })
  )

  it.scoped("passes on a FIN one way, and later bytes the other way", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      client.socket.end("last")
      yield* eventually("the server sees the end", () => peer.text() === "last" && peer.ended)
      peer.socket.end("words")
      yield* eventually("the client received all", () => client.text() === "words" && client.ended)
      yield* proxy.until(({ open }) => open === 0)
      expect((yield* proxy.stats).bytesToClient).toBe(5)
      yield* eventually("both closed", () => client.closed === "" && peer.closed === "")
    })
  )

  it.scoped("passes on a reset", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* through()
      peer.socket.resetAndDestroy()
      yield* eventually("the client is reset", () => client.closed === "ECONNRESET")
    })
  )

  it.scoped("resets a client when the server cannot be reached", () =>
    Effect.gen(function* () {
      const nobody = yield* Effect.scoped(makeServer)
      const proxy = yield* FaultProxy.make({ target: { port: nobody.port } })
      const client = yield* connect(proxy.port)
      yield* eventually("the client is reset", () => client.closed === "ECONNRESET")
      expect((yield* proxy.stats).unreachable).toBe(1)
    })
  )

  it.scoped("buffers nothing itself: when the server does not read, the client has to wait", () =>
    Effect.gen(function* () {
      const { client, peer, proxy, server } = yield* through()
      server.reading(false)
      const size = 64 * 1024 * 1024
      client.socket.write(Buffer.alloc(size, 120))
      let passed = -1
      yield* Effect.repeat(
        Effect.gen(function* () {
          yield* soon(50)
          const now = (yield* proxy.stats).bytesToServer
          const still = now === passed
          passed = now
          return still && now > 0
        }),
        { until: (still) => still }
      )
      expect(passed).toBeLessThan(size)
      expect(client.socket.writableLength).toBeGreaterThan(0)
      server.reading(true)
      yield* proxy.until(({ bytesToServer }) => bytesToServer === size)
      yield* eventually("all arrives", () => peer.chunks.reduce((sum, { length }) => sum + length, 0) === size)
    })
  )

  it.scoped("closes all connections when its scope closes", () =>
    Effect.gen(function* () {
      const server = yield* makeServer
      const clients = yield* Effect.scoped(
        Effect.gen(function* () {
          const proxy = yield* FaultProxy.make({ target: { port: server.port } })
          yield* proxy.inject([FaultProxy.latency("1 hour"), FaultProxy.blackHole], { on: "new", times: 1 })
          const clients = yield* Effect.acquireRelease(
            Effect.sync(() => [1, 2, 3].map(() => watch(Net.connect(proxy.port, "127.0.0.1")))),
            () => Effect.void
          )
          clients[0]?.socket.write("swallowed")
          yield* eventually("all are through", () => server.sockets.length === 3)
          return clients
        })
      )
      yield* eventually("all ended", () => [...clients, ...server.sockets].every(({ closed }) => closed !== undefined))
    })
  )
})

const soon = (millis: number) =>
  Effect.async<void>((resume) => {
    setTimeout(() => resume(Effect.void), millis)
  })

describe("faults", () => {
  it.scoped("latency delays bytes in order, and jitter stays within its bound", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through({ seed: 7 })
      yield* proxy.inject(FaultProxy.latency("60 millis", { jitter: "40 millis" }), { direction: "toServer" })
      const started = performance.now()
      for (let i = 0; i < 10; i++) {
        client.socket.write(String(i))
        yield* soon(2)
      }
      yield* eventually("all arrive", () => peer.text() === "0123456789")
      expect(performance.now() - started).toBeGreaterThanOrEqual(60)
      const before = performance.now()
      peer.socket.write("back")
      yield* eventually("the other way is not delayed", () => client.text() === "back")
      expect(performance.now() - before).toBeLessThan(60)
    })
  )

  it.scoped("healing passes on delayed bytes at once", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.latency("1 hour"))
      client.socket.write("late")
      yield* soon(20)
      expect(peer.text()).toBe("")
      yield* proxy.heal
      yield* eventually("it arrives", () => peer.text() === "late")
      expect(isOpen(client, peer)).toBe(true)
    })
  )

  it.scoped("bandwidth is never more than was set", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.bandwidth(20_000))
      const started = performance.now()
      client.socket.write(Buffer.alloc(4_000))
      yield* eventually("all arrives", () => peer.text().length === 4_000)
      // The first piece is free: 200 of the 4 000 bytes.
      expect(performance.now() - started).toBeGreaterThanOrEqual(185)
    })
  )

  it.scoped("split delivers single bytes, or pieces of the size that was set", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.split(), { direction: "toClient" })
      yield* proxy.inject(FaultProxy.split(3), { direction: "toServer" })
      peer.socket.write("x".repeat(100))
      client.socket.write("y".repeat(100))
      yield* eventually("all arrives", () => client.text().length === 100 && peer.text().length === 100)
      expect(client.chunks.length).toBeGreaterThan(50)
      expect(peer.chunks.length).toBeGreaterThan(15)
      expect(peer.chunks.length).toBeLessThanOrEqual(34)
    })
  )

  it.scoped("a stall stops reading and loses nothing", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.stall, { direction: "toServer" })
      client.socket.write("waits")
      peer.socket.write("passes")
      yield* eventually("the other way passes", () => client.text() === "passes")
      expect(peer.text()).toBe("")
      yield* proxy.heal
      yield* eventually("it arrives", () => peer.text() === "waits")
      expect(isOpen(client, peer)).toBe(true)
    })
  )

  it.scoped("a black hole swallows bytes and ends; healing resets its connections", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.blackHole)
      client.socket.write("lost")
      peer.socket.end("lost as well")
      yield* proxy.until(({ swallowed }) => swallowed === 16)
      yield* soon(20)
      expect(isOpen(client)).toBe(true)
      expect(peer.text()).toBe("")
      yield* proxy.heal
      yield* eventually("both are reset", () => client.closed === "ECONNRESET" && peer.closed === "ECONNRESET")
      const next = yield* connect(proxy.port)
      next.socket.write("again")
      yield* proxy.until(({ bytesToServer }) => bytesToServer === 5)
    })
  )

  it.scoped("a black hole one way lets bytes of the other way through", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.blackHole, { direction: "toClient" })
      peer.socket.write("lost")
      client.socket.write("passes")
      yield* eventually("it arrives", () => peer.text() === "passes")
      yield* proxy.until(({ swallowed }) => swallowed === 4)
      expect(client.text()).toBe("")
    })
  )

  it.scoped("one byte is corrupted, however the bytes are split", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject([FaultProxy.corrupt(5, { xor: 0x20 }), FaultProxy.corrupt(1, { xor: 0x20 })], {
        direction: "toServer"
      })
      client.socket.write("abcd")
      yield* eventually("the first piece", () => peer.text() === "aBcd")
      client.socket.write("efgh")
      yield* eventually("the second piece", () => peer.text() === "aBcdeFgh")
    })
  )

  for (const [ending, closed] of [
    ["reset", "ECONNRESET"],
    ["close", ""]
  ] as const) {
    it.scoped(`${ending} after a number of bytes`, () =>
      Effect.gen(function* () {
        const { client, peer, proxy } = yield* through()
        yield* proxy.inject(FaultProxy.cutAfter(6, ending), { direction: "toServer" })
        client.socket.write("abcd")
        yield* eventually("the first piece", () => peer.text() === "abcd")
        expect(isOpen(client, peer)).toBe(true)
        client.socket.write("efgh")
        yield* eventually("both ended", () =>
          ending === "reset" ? client.closed === closed && isGone(peer) : client.ended && peer.ended
        )
        expect(peer.text()).toBe("abcdef")
        expect((yield* proxy.stats).swallowed).toBe(2)
      })
    )
  }

  it.scoped("a cut after exactly the bytes that were written happens without a further byte", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject([FaultProxy.cutAfter(4), FaultProxy.latency("10 millis"), FaultProxy.split()], {
        direction: "toServer"
      })
      client.socket.write("abcd")
      yield* eventually("both are reset", () => client.closed === "ECONNRESET" && isGone(peer))
      expect(peer.text()).toBe("abcd")
    })
  )

  it.scoped("a cut after 0 bytes happens when the first byte arrives", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient" })
      client.socket.write("question")
      yield* eventually("it arrives", () => peer.text() === "question")
      expect(isOpen(client, peer)).toBe(true)
      peer.socket.write("answer")
      yield* eventually("both are reset", () => client.closed === "ECONNRESET" && peer.closed === "ECONNRESET")
      expect(client.text()).toBe("")
    })
  )

  it.scoped("a black hole begins after a number of bytes", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.cutAfter(2, "blackHole"), { direction: "toServer" })
      client.socket.write("abcd")
      yield* eventually("some arrives", () => peer.text() === "ab")
      peer.socket.write("answer")
      yield* proxy.until(({ swallowed }) => swallowed === 8)
      expect(isOpen(client, peer)).toBe(true)
    })
  )

  it.scoped("half-close ends one way, and the other way goes on", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.halfClose, { direction: "toClient", on: "live" })
      yield* eventually("the client hears an end", () => client.ended)
      client.socket.write("still there")
      yield* eventually("it arrives", () => peer.text() === "still there")
      peer.socket.write("lost")
      yield* proxy.until(({ swallowed }) => swallowed === 4)
      expect(isOpen(peer)).toBe(true)
    })
  )

  it.scoped("reset and close act on open connections at once", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      const other = yield* connect(proxy.port)
      yield* proxy.until(({ accepted }) => accepted === 2)
      yield* proxy.inject(FaultProxy.close, { on: 0 })
      yield* eventually("the first is closed", () => client.ended && peer.ended)
      expect(isOpen(other)).toBe(true)
      yield* proxy.inject(FaultProxy.reset)
      yield* eventually("the second is reset", () => other.closed === "ECONNRESET")
    })
  )

  it.scoped("later connections are refused, reset or closed, as many as were set", () =>
    Effect.gen(function* () {
      const { client, proxy } = yield* through()
      yield* proxy.inject(FaultProxy.reset, { on: "new", times: 1 })
      const first = yield* connect(proxy.port)
      yield* eventually("the next is reset", () => first.closed === "ECONNRESET")
      yield* proxy.inject(FaultProxy.close, { on: "new", times: 1 })
      const second = yield* connect(proxy.port)
      yield* eventually("the next is closed", () => second.ended)
      const third = yield* connect(proxy.port)
      yield* proxy.until(({ accepted }) => accepted === 4)
      yield* proxy.inject(FaultProxy.refuse)
      const fourth = yield* connect(proxy.port)
      yield* eventually("nobody listens", () => fourth.closed === "ECONNREFUSED")
      yield* proxy.heal
      const fifth = yield* connect(proxy.port)
      yield* proxy.until(({ accepted }) => accepted === 5)
      expect(isOpen(client, third, fifth)).toBe(true)
    })
  )

  it.scoped("a fault may be replaced by another one between two bytes", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      yield* proxy.inject(
        [
          FaultProxy.after(3, FaultProxy.corrupt(1, { xor: 0x20 }), { direction: "toServer" }),
          FaultProxy.after(5, FaultProxy.blackHole, { direction: "toClient" })
        ],
        { direction: "toServer" }
      )
      client.socket.write("ab")
      client.socket.write("cdef")
      yield* eventually("it arrives, changed", () => peer.text() === "abcdEf")
      peer.socket.write("lost")
      yield* proxy.until(({ swallowed }) => swallowed === 4)
      client.socket.write("g")
      yield* eventually("the rest arrives", () => peer.text() === "abcdEfg")
      expect(client.text()).toBe("")
    })
  )

  it.scoped("a fault with invalid settings is refused", () =>
    Effect.gen(function* () {
      const { client, peer, proxy } = yield* through()
      for (const fault of [
        FaultProxy.latency(Duration.infinity),
        FaultProxy.latency("soon" as "1 hour"),
        FaultProxy.bandwidth(0),
        FaultProxy.split(0.5),
        FaultProxy.corrupt(-1),
        FaultProxy.corrupt(0, { xor: 0 }),
        FaultProxy.cutAfter(Number.NaN)
      ]) {
        expect(yield* Effect.flip(proxy.inject([FaultProxy.reset, fault]))).toMatchObject({ reason: "InvalidFault" })
      }
      expect(isOpen(client, peer)).toBe(true)
    })
  )

  it.scoped("fails when its port is in use", () =>
    Effect.gen(function* () {
      const server = yield* makeServer
      const taken = FaultProxy.make({ port: server.port, target: { port: server.port } })
      expect(yield* Effect.flip(taken)).toMatchObject({ _tag: "FaultProxyError", reason: "Listen" })
    })
  )
})

let attempts = 0

layer(FaultProxy.layerServer().pipe(Layer.provideMerge(RedisServer.layerAny())))("as a layer", (it) => {
  it.scoped("an INCR may be executed without its reply reaching the client", () =>
    Effect.gen(function* () {
      const proxy = yield* FaultProxy.FaultProxy
      const { host, port } = yield* RedisServer.RedisServer
      const redis = yield* Redis.make({ host: proxy.host, port: proxy.port })
      const visits = `visits-${++attempts}`
      yield* proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })
      const error = yield* Effect.flip(Effect.provideService(Redis.incr(visits), Redis, redis))
      expect(error).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      const direct = yield* Redis.make({ host, port })
      expect(yield* Effect.provideService(Redis.incr(visits), Redis, direct)).toBe(2)
    })
  )
})
