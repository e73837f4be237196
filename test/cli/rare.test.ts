/** Findings that no ordinary server shows: what is in the way is between the doctor and the server, or the server is half ill. */
import * as FileSystem from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { issue } from "../../src/testing/internal/certificates.js"
import { resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"
import { examine, fails, finding, listening, urlOf } from "./support.js"

/**
 * A port whose queue of new connections is full. The thread that listens there is blocked, so nobody takes a connection out
 * of the queue, and the system drops the first packet of each further one, as a firewall does.
 */
const fullPort: Effect.Effect<{ readonly port: number; readonly waiting: () => number }, never, Scope.Scope> =
  Effect.gen(function* () {
    const { port } = yield* Effect.acquireRelease(
      Effect.async<{ readonly port: number; readonly worker: Worker }>((resume) => {
        const worker = new Worker(
          `const { parentPort } = require("node:worker_threads")
         const server = require("node:net").createServer()
         server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
           parentPort.postMessage(server.address().port)
           Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
         })`,
          { eval: true, execArgv: [] }
        )
        worker.once("message", (port: number) => resume(Effect.succeed({ port, worker })))
        worker.once("error", (error) => resume(Effect.die(error)))
      }),
      ({ worker }) => Effect.promise(() => worker.terminate())
    )
    const fillers = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Array.from({ length: 16 }, () => {
          const socket = Net.connect(port, "127.0.0.1")
          socket.on("error", () => {})
          return socket
        })
      ),
      (sockets) =>
        Effect.sync(() => {
          for (const socket of sockets) {
            socket.destroy()
          }
        })
    )
    const waiting = () => fillers.filter(({ connecting }) => connecting).length
    // The system connects them one after the other, so where the first is connected, each that still waits met a full queue.
    yield* Peer.eventually("a connection is in the queue", () => waiting() < fillers.length)
    return { port, waiting }
  })

/** Passes bytes on in both ways. When the server closes or resets its connection, the client gets all bytes and then the end. */
const relay = (port: number) =>
  listening(
    Net.createServer((client) => {
      const server = Net.connect(port, "127.0.0.1")
      server.on("error", () => {})
      server.on("data", (bytes) => client.write(bytes))
      server.on("close", () => client.end())
      client.on("data", (bytes) => server.write(bytes))
      client.on("close", () => server.destroy())
    })
  )

/** A user without rights, by the number that systems give it. */
const nobody = 65_534

/** Why the kernel cannot be made to refuse a file to this process; undefined where it can. */
const notRefused = ((): string | undefined => {
  if (process.geteuid === undefined || process.seteuid === undefined) {
    return "this system has no users whom it refuses a unix socket"
  }
  if (process.geteuid() !== 0) {
    return undefined
  }
  try {
    process.seteuid(nobody)
    process.seteuid(0)
    return undefined
  } catch (error) {
    return `root may open every file, and cannot become another user here (${String(error)})`
  }
})()

/** Permissions do not bind root, so it is another user until the scope ends. */
const asOrdinaryUser = Effect.suspend(() =>
  process.geteuid?.() === 0
    ? Effect.acquireRelease(
        Effect.sync(() => process.seteuid?.(nobody)),
        () => Effect.sync(() => process.seteuid?.(0))
      )
    : Effect.void
)

/** A unix socket that accepts connections, in a folder of its own. */
const unixSocket = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => FileSystem.mkdtempSync(Path.join(Os.tmpdir(), "doctor-"))),
    (folder) =>
      Effect.sync(() => {
        FileSystem.chmodSync(folder, 0o700)
        FileSystem.rmSync(folder, { recursive: true, force: true })
      })
  )
  FileSystem.chmodSync(folder, 0o755)
  const path = Path.join(folder, "redis.sock")
  yield* Effect.acquireRelease(
    Effect.async<Net.Server>((resume) => {
      const server = Net.createServer((socket) => socket.destroy())
      server.listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  return { folder, path }
})

describe("the network", () => {
  it.scoped("tcp-timeout: nobody answers the first packet", () =>
    Effect.gen(function* () {
      const { port, waiting } = yield* fullPort
      const examined = yield* examine(urlOf({ port }), ["--timeout", "150ms"])
      const found = fails(
        examined,
        "tcp-timeout",
        new RegExp(`127\\.0\\.0\\.1:${port} did not answer within 150 ms$`, "m")
      )
      expect(found).toMatchObject({
        check: "tcp",
        status: "failure",
        advice: "A firewall or security group drops the packets, or the machine is not there.",
        data: { addresses: [{ address: `127.0.0.1:${port}`, milliseconds: null, error: "ETIMEDOUT" }] }
      })
      expect(examined.codes).toEqual(["tcp-timeout"])
      expect(waiting()).toBeGreaterThan(0)
    })
  )

  if (notRefused !== undefined) {
    it.skip(`socket-forbidden, not run: ${notRefused}`, () => {})
  } else {
    for (const [title, close] of [
      ["the file of the socket", ({ path }: { readonly path: string }) => FileSystem.chmodSync(path, 0)],
      ["the folder of the socket", ({ folder }: { readonly folder: string }) => FileSystem.chmodSync(folder, 0)]
    ] as const) {
      it.scoped(`socket-forbidden: the permissions of ${title} refuse the user`, () =>
        Effect.gen(function* () {
          const socket = yield* unixSocket
          // Before its permissions are taken away, the doctor gets as far as the handshake.
          expect((yield* examine(`unix://${socket.path}`)).codes).toEqual(["tcp-open", "closed"])
          close(socket)
          const examined = yield* Effect.scoped(Effect.zipRight(asOrdinaryUser, examine(`unix://${socket.path}`)))
          const found = fails(examined, "socket-forbidden", /this user may not open \S+\/redis\.sock$/m)
          expect(found).toMatchObject({
            check: "tcp",
            status: "failure",
            message: `this user may not open ${socket.path}`,
            advice: "Compare the file's permissions with unixsocketperm in the server's configuration.",
            data: { addresses: [{ address: socket.path, error: "EACCES" }] }
          })
          expect(examined.codes).toEqual(["socket-forbidden"])
        })
      )
    }
  }
})

describe("the handshake", () => {
  it.scoped(
    "tls-refused: the server trusts only clients with a certificate, and says so after the handshake of TLS",
    () =>
      Effect.gen(function* () {
        const day = 24 * 60 * 60 * 1_000
        const now = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 100 * day) }
        const authority = issue({ name: "Authority", use: "authority", ...now })
        const own = issue({ name: "localhost", use: "server", names: ["127.0.0.1"], ...now }, authority)
        const server = Tls.createServer({
          cert: own.cert,
          key: own.key,
          ca: authority.cert,
          requestCert: true,
          rejectUnauthorized: true,
          // An older TLS asks for the certificate before its handshake is done: the finding would be tls-failed.
          minVersion: "TLSv1.3"
        })
        server.on("tlsClientError", () => {})
        // Without it, a reset could overtake the reason: the server closes while HELLO is on its way.
        const { port } = yield* relay((yield* listening(server)).port)
        const examined = yield* examine(urlOf({ port }, "rediss"), ["--ca", "ca.pem"], {
          files: { "ca.pem": authority.cert }
        })
        const found = fails(
          examined,
          "tls-refused",
          /the server asks for a client's certificate: give tls\.cert and tls\.key/
        )
        expect(found).toMatchObject({
          check: "handshake",
          status: "failure",
          advice: "Compare --cert, --key and --ca with the server's tls-auth-clients and tls-ca-cert-file.",
          data: { error: "ConnectionError" }
        })
        expect(examined.codes).toEqual(["tcp-open", "tls-trusted", "tls-refused"])
      })
  )

  it.scoped("handshake-denied: the user may not choose the database of the URL", () =>
    Effect.gen(function* () {
      const denied = "-NOPERM User ada has no permissions to run the 'select' command\r\n"
      const peer = yield* Peer.make({ onCommand: Peer.greeting(([name]) => (name === "SELECT" ? denied : "+OK\r\n")) })
      const examined = yield* examine(`${urlOf(peer)}/1`, ["--user", "ada"], { env: { REDIS_PASSWORD: "pw" } })
      const found = fails(examined, "handshake-denied", /the server refused SELECT: NOPERM$/m)
      expect(found).toMatchObject({
        check: "handshake",
        status: "failure",
        message: "the server refused SELECT: NOPERM",
        advice: "Give the user the permission for the command (ACL SETUSER).",
        data: { error: "ConnectionError" }
      })
      expect(examined.codes).toEqual(["tcp-open", "handshake-denied"])
    })
  )
})

describe("a node of a cluster", () => {
  /** One of two nodes that own the slots. `state` and `flags` are what it says of the cluster and of the other node. */
  const node = (state: string, flags: string) =>
    Effect.gen(function* () {
      const other = yield* Peer.make({})
      const hello = Peer.hello3.replace("$10\r\nstandalone", "$7\r\ncluster")
      const peer: Peer.Peer = yield* Peer.make({
        onCommand: (words) => {
          switch (words.slice(0, 2).join(" ")) {
            case "HELLO 3":
              return hello
            case "INFO":
              return resp("# Server\r\nredis_version:8.0.2\r\nredis_mode:cluster")
            case "CLUSTER INFO":
              return resp(`cluster_state:${state}\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:2\r\n`)
            case "CLUSTER NODES":
              return resp(
                [
                  `node0 127.0.0.1:${peer.port}@1 myself,master - 0 0 1 connected 0-8191`,
                  `node1 127.0.0.1:${other.port}@1 ${flags} - 0 0 2 connected 8192-16383`,
                  ""
                ].join("\n")
              )
            case "PING":
              return "+PONG\r\n"
            default:
              return "-ERR unknown command\r\n"
          }
        }
      })
      return { peer, other }
    })

  const args = ["--for", "cluster"]

  it.scoped("cluster-down: all slots have an owner, and the node serves none", () =>
    Effect.gen(function* () {
      const { peer } = yield* node("fail", "master")
      const examined = yield* examine(urlOf(peer), args)
      const found = fails(examined, "cluster-down", /the cluster's state is fail for this node$/m)
      expect(found).toMatchObject({
        check: "mode",
        status: "failure",
        message: "the cluster's state is fail for this node",
        advice:
          "The node sees too few primaries to serve commands: look at the network between the nodes (the bus port).",
        data: { state: "fail", nodes: 2, primaries: 2, replicas: 0, uncoveredSlots: [] }
      })
      expect(examined.codes).not.toContain("cluster-ok")
      expect(examined.codes).not.toContain("cluster-nodes-failed")
    })
  )

  it.scoped("cluster-nodes-failed: the node suspects another one, which is a warning", () =>
    Effect.gen(function* () {
      const { other, peer } = yield* node("ok", "master,fail?")
      const examined = yield* examine(urlOf(peer), args)
      const found = finding(examined, "cluster-nodes-failed")
      expect(found).toMatchObject({
        check: "mode",
        status: "warning",
        message: `this node cannot reach 127.0.0.1:${other.port}`,
        advice: "Bring these nodes back, or remove them (CLUSTER FORGET).",
        data: { nodes: [`127.0.0.1:${other.port}`] }
      })
      expect(examined.text).toContain(`! mode         ${found.message}\n`)
      expect(examined.text).toContain(`→ ${found.advice}\n`)
      expect(examined.codes).toContain("cluster-ok")
      expect(examined.json).toMatchObject({ failures: 0, warnings: 1, usable: true })
      expect(examined.exitCode).toBe(0)
      expect((yield* examine(urlOf(peer), [...args, "--strict"])).exitCode).toBe(1)
      // Nobody asks a node that is suspected whether it can be reached from here.
      expect(other.connections).toEqual([])
    })
  )

  it.scoped("cluster-nodes-failed and cluster-down: the node lost the one other primary", () =>
    Effect.gen(function* () {
      const { peer } = yield* node("fail", "master,fail?")
      const examined = yield* examine(urlOf(peer), args)
      fails(examined, "cluster-down", /the cluster's state is fail for this node/)
      expect(finding(examined, "cluster-nodes-failed").status).toBe("warning")
    })
  )
})
