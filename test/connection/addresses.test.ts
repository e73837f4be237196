/** Names with several addresses: how long each of them is tried. */
import * as ChildProcess from "node:child_process"
import Dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Connection } from "effect-redis-client"
import { vi } from "vitest"
import { timeForAddress } from "../../src/internal/connection/nodeTransport.js"
import { failure } from "../support/client.js"

/** Resolves every name under `.test` to these addresses. */
const resolving = (addresses: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const real = Dns.lookup as (...args: ReadonlyArray<unknown>) => void
      const spy = vi.spyOn(Dns, "lookup").mockImplementation(((...args: ReadonlyArray<unknown>) => {
        // Servers look up the address that they listen on, too.
        if (!String(args[0]).endsWith(".test")) {
          return real(...args)
        }
        const answer = args.at(-1) as Answer
        const found = addresses.map((address) => ({ address, family: Net.isIP(address) }))
        queueMicrotask(() => answer(null, found))
      }) as never)
      syncBuiltinESMExports()
      return spy
    }),
    (spy) =>
      Effect.sync(() => {
        spy.mockRestore()
        syncBuiltinESMExports()
      })
  )

type Answer = (error: null, addresses: ReadonlyArray<Dns.LookupAddress>) => void

const listener = `
  const server = require("node:net").createServer(() => {})
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => process.send(server.address().port))
`

/** A process that listens and is stopped, with a full backlog: the kernel drops the first packet of every further client. */
const stopped = Effect.gen(function* () {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      ChildProcess.spawn(process.execPath, ["-e", listener], { stdio: ["ignore", "ignore", "inherit", "ipc"] })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const port = yield* Effect.async<number>((resume) => {
    child.once("message", (port) => resume(Effect.succeed(port as number)))
  })
  child.kill("SIGSTOP")
  for (const _ of [1, 2]) {
    yield* Effect.acquireRelease(
      Effect.async<Net.Socket>((resume) => {
        const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
        socket.on("error", () => {})
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
  }
  return { port, goOn: () => child.kill("SIGCONT") }
})

describe("a name with several addresses", () => {
  // How a full backlog is treated is the kernel's business; this is Linux's way.
  it.scopedLive.skipIf(process.platform !== "linux")(
    "connects where a TCP handshake takes longer than Node's 250 ms",
    () =>
      Effect.gen(function* () {
        yield* resolving(["127.0.0.1", "240.0.0.1"])
        const { goOn, port } = yield* stopped
        // The client's second packet comes a second after its first.
        setTimeout(goOn, 400)
        const before = performance.now()
        const connection = yield* Connection.make({
          host: "two.test",
          port,
          protocol: 2,
          clientInfo: false,
          connectTimeout: "20 seconds"
        })
        expect(yield* connection.closed).toBe(false)
        expect(performance.now() - before).toBeGreaterThan(300)
      })
  )

  it.scopedLive("goes on to the next address when one refuses", () =>
    Effect.gen(function* () {
      yield* resolving(["127.0.0.2", "127.0.0.1"])
      const server = yield* Effect.acquireRelease(
        Effect.async<Net.Server>((resume) => {
          const server = Net.createServer(() => {}).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as Net.AddressInfo
      const connection = yield* Connection.make({ host: "two.test", port, protocol: 2, clientInfo: false })
      expect(yield* connection.closed).toBe(false)
    })
  )

  it.scopedLive("a name that does not exist is reported as before", () =>
    Effect.gen(function* () {
      const error = failure(yield* Effect.exit(Connection.make({ host: "no-such-host.invalid" })))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "connect" })
      expect(error.message).toMatch(/^no connection to no-such-host\.invalid:6379: getaddrinfo /)
    })
  )

  it("gives each address its share of half of connectTimeout, within bounds", () => {
    expect(timeForAddress(5_000, 2)).toBe(1_250)
    expect(timeForAddress(5_000, 5)).toBe(500)
    expect(timeForAddress(500, 2)).toBe(Net.getDefaultAutoSelectFamilyAttemptTimeout())
    expect(timeForAddress(Infinity, 2)).toBe(10_000)
  })
})
