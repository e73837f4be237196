/** Every failure that the doctor can meet and no real server shows on demand, by scripted peers. */
import Dns from "node:dns"
import * as Http from "node:http"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { version } from "../../src/internal/connection/version.js"
import { issue } from "../../src/testing/internal/certificates.js"
import { resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"
import { examine, fails, finding, listening, planted, runProgram, tlsPeer, urlOf } from "./support.js"

const days = (count: number) => new Date(Date.now() + count * 24 * 60 * 60 * 1000)
const now = { notBefore: days(-1), notAfter: days(100) }
const authority = issue({ name: "Authority", use: "authority", ...now })
const names = ["localhost", "127.0.0.1"]
const files = { "ca.pem": authority.cert }
const withCa = ["--ca", "ca.pem"]

/** A port on which nothing listens. */
const closedPort = Effect.map(Effect.scoped(listening(Net.createServer())), ({ port }) => port)

const infoText = [
  "# Server",
  "redis_version:8.0.2",
  "redis_mode:standalone",
  "# Memory",
  "used_memory:1000",
  "maxmemory:0",
  "# Replication",
  "role:master",
  "master_repl_offset:0"
].join("\r\n")

/** Answers as a healthy server does, unless the script has another answer. */
const healthy = (
  script: (command: ReadonlyArray<string>, connection: Peer.PeerConnection) => string | undefined = () => undefined
) =>
  Peer.greeting((command, connection) => {
    const other = script(command, connection)
    if (other !== undefined) {
      return other
    }
    const seconds = Math.floor(Date.now() / 1_000)
    switch (command.slice(0, 2).join(" ")) {
      case "INFO":
        return resp(infoText)
      case "MODULE LIST":
        return "*0\r\n"
      case "TIME":
        return resp([String(seconds), String((Date.now() % 1_000) * 1_000)])
      case "PING":
        return "+PONG\r\n"
      default:
        return "-ERR unknown command\r\n"
    }
  })

/** The lines of a server's INFO with others in their place. */
const withInfo = (...lines: ReadonlyArray<string>) =>
  healthy(([name]) => (name === "INFO" ? resp(`${infoText}\r\n${lines.join("\r\n")}`) : undefined))

describe("the network", () => {
  it.scoped("a name without an address", () =>
    Effect.gen(function* () {
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const spy = vi.spyOn(Dns, "lookup").mockImplementation(((...args: ReadonlyArray<unknown>) => {
            const answer = args.at(-1) as (error: Error) => void
            const code = args[0] === "nowhere.test" ? "ENOTFOUND" : "EAI_AGAIN"
            queueMicrotask(() => answer(Object.assign(new Error("no"), { code })))
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
      fails(yield* examine("redis://nowhere.test"), "name-not-found", /the name nowhere\.test has no address/)
      fails(yield* examine("redis://later.test"), "name-lookup-failed", /could not be looked up \(EAI_AGAIN\)/)
    })
  )

  it.scoped("a name with an address that accepts connections and one that does not", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: healthy() })
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const spy = vi.spyOn(Dns, "lookup").mockImplementation(((...args: ReadonlyArray<unknown>) => {
            const answer = args.at(-1) as (error: null, found: ReadonlyArray<Dns.LookupAddress>) => void
            const found = ["127.0.0.2", "127.0.0.1"].map((address) => ({ address, family: 4 }))
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
      const examined = yield* examine(`redis://two.test:${peer.port}`)
      expect(finding(examined, "name-resolved").message).toBe("two.test is 127.0.0.2, 127.0.0.1")
      expect(finding(examined, "tcp-some-addresses")).toMatchObject({ status: "warning" })
      expect(examined.exitCode, examined.text).toBe(0)
    })
  )

  it.scoped("nothing listens", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      fails(yield* examine(urlOf({ port })), "tcp-refused", /nothing listens on 127\.0\.0\.1:\d+/)
    })
  )

  it.scoped("there is no unix socket", () =>
    Effect.gen(function* () {
      fails(yield* examine("unix:///nowhere/redis.sock"), "socket-not-found", /there is no socket at \/nowhere/)
    })
  )

  it.scoped("the peer accepts and says nothing", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      const began = performance.now()
      fails(yield* examine(urlOf(peer), ["--timeout", "150ms"]), "silent", /did not answer the handshake within 150 ms/)
      expect(performance.now() - began).toBeLessThan(10_000)
    })
  )

  it.scoped("the peer closes at once", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onConnect: ({ end }) => end() })
      fails(yield* examine(urlOf(peer)), "closed", /closed the connection/)
    })
  )

  it.scoped("a server of HTTP, with and without TLS asked for", () =>
    Effect.gen(function* () {
      const peer = yield* listening(Http.createServer((_, response) => response.end("hello")))
      fails(yield* examine(urlOf(peer)), "not-redis", /a server of HTTP, and not of Redis/)
      fails(yield* examine(urlOf(peer, "rediss")), "not-redis", /a server of HTTP, and not of Redis/)
    })
  )

  it.scoped("a peer of another protocol", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onConnect: ({ write }) => write("220 ready\r\n") })
      fails(yield* examine(urlOf(peer)), "not-redis", /does not speak the Redis protocol/)
      const ssh = yield* Peer.make({ onConnect: ({ write }) => write("SSH-2.0-x\r\n") })
      fails(yield* examine(urlOf(ssh)), "not-redis", /a server of SSH/)
    })
  )
})

describe("TLS", () => {
  const issued = (over: Partial<Parameters<typeof issue>[0]>, by: typeof authority | undefined = authority) =>
    issue({ name: "localhost", use: "server", names, ...now, ...over }, by)

  for (const [code, certificate, args, message] of [
    ["tls-expired", issued({ notBefore: days(-3), notAfter: days(-1) }), withCa, /the certificate expired on \d{4}-/],
    ["tls-not-yet-valid", issued({ notBefore: days(1) }), withCa, /valid only from \d{4}-/],
    [
      "tls-wrong-name",
      issued({ names: ["redis.example"] }),
      withCa,
      /not for 127\.0\.0\.1, but for DNS:redis\.example/
    ],
    ["tls-self-signed", issue({ name: "localhost", use: "server", names, ...now }), [], /self-signed/],
    ["tls-unknown-issuer", issued({}), [], /authority \(Authority\) is not trusted/],
    ["tls-purpose", issued({ use: "client" }), withCa, /not one for servers/]
  ] as const) {
    it.scoped(`${code}: and the peer sees no password`, () =>
      Effect.gen(function* () {
        const peer = yield* tlsPeer(certificate)
        const world = { files, env: { REDIS_PASSWORD: planted } }
        fails(yield* examine(urlOf(peer, "rediss"), args, world), code, message)
        expect(peer.behind.connections.flatMap(({ received }) => received)).toEqual([])
      })
    )
  }

  it.scoped("everything that is wrong with a certificate is said at once", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(issued({ names: ["redis.example"], notBefore: days(-3), notAfter: days(-1) }))
      const { codes, exitCode } = yield* examine(urlOf(peer, "rediss"), withCa, { files })
      expect(codes).toEqual(["tcp-open", "tls-expired", "tls-wrong-name"])
      expect(exitCode).toBe(1)
    })
  )

  it.scoped("a trusted certificate is described, and warned of when it expires soon", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(issued({}), { onCommand: healthy() })
      const examined = yield* examine(urlOf(peer, "rediss"), withCa, { files })
      expect(finding(examined, "tls-trusted").data).toMatchObject({
        protocol: "TLSv1.3",
        issuer: "Authority",
        untrusted: null
      })
      expect(examined.exitCode, examined.text).toBe(0)
      const old = yield* tlsPeer(issued({ notAfter: days(3.5) }), { onCommand: healthy() })
      const soon = yield* examine(urlOf(old, "rediss"), withCa, { files })
      expect(finding(soon, "tls-expires-soon")).toMatchObject({ status: "warning", data: { days: 3 } })
      expect(soon.exitCode).toBe(0)
      expect((yield* examine(urlOf(old, "rediss"), [...withCa, "--strict"], { files })).exitCode).toBe(1)
    })
  )

  it.scoped("--server-name says which name the certificate must have", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(issued({ names: ["redis.example"] }), { onCommand: healthy() })
      const args = [...withCa, "--server-name", "redis.example", "--tls"]
      expect((yield* examine(urlOf(peer), args, { files })).exitCode).toBe(0)
    })
  )

  it.scoped("a TLS port that is asked in plain text", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(issued({}))
      fails(yield* examine(urlOf(peer)), "tls-needed", /this port speaks TLS, and was asked in plain text/)
    })
  )

  it.scoped("a plain port that is asked for TLS sees no password", () =>
    Effect.gen(function* () {
      const seen: Array<Buffer> = []
      const peer = yield* listening(
        Net.createServer((socket) => {
          socket.on("data", (bytes) => {
            seen.push(bytes)
            socket.write(bytes.toString().startsWith("PING") ? "-NOAUTH Authentication required.\r\n" : "-ERR\r\n")
          })
        })
      )
      const world = { env: { REDIS_PASSWORD: planted } }
      fails(yield* examine(urlOf(peer, "rediss"), [], world), "tls-plain-port", /speaks Redis without TLS/)
      expect(Buffer.concat(seen).includes(planted)).toBe(false)
    })
  )

  it.scoped("a peer that does not answer the TLS handshake, and one that closes during it", () =>
    Effect.gen(function* () {
      const mute = yield* listening(Net.createServer(() => {}))
      const silent = yield* examine(urlOf(mute, "rediss"), ["--timeout", "150ms"])
      fails(silent, "tls-silent", /did not answer the TLS handshake within 150 ms/)
      const closing = yield* listening(Net.createServer((socket) => socket.once("data", () => socket.end())))
      fails(yield* examine(urlOf(closing, "rediss")), "tls-failed", /closed the connection/)
    })
  )

  it.scoped("a certificate and a key that do not fit", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(issued({}))
      const world = { files: { ...files, "c.pem": issued({}).cert, "k.pem": issued({}).key } }
      const args = [...withCa, "--cert", "c.pem", "--key", "k.pem"]
      fails(yield* examine(urlOf(peer, "rediss"), args, world), "tls-failed", /tls\.key is not the key of tls\.cert/)
    })
  )
})

describe("the handshake", () => {
  const hello = (answer: string) =>
    Peer.make({
      onCommand: ([name], { end }) => (name === "HELLO" ? answer : name === "QUIT" ? void end() : "+OK\r\n")
    })

  for (const [code, answer, message] of [
    ["auth-required", "-NOAUTH HELLO must be called with the client already authenticated\r\n", /NOAUTH/],
    ["loading", "-LOADING Redis is loading the dataset in memory\r\n", /LOADING/],
    [
      "master-down",
      "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
      /MASTERDOWN/
    ],
    ["busy", "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n", /BUSY/],
    ["max-clients", "-ERR max number of clients reached\r\n", /max number of clients/],
    ["protected-mode", "-DENIED Redis is running in protected mode\r\n", /DENIED/]
  ] as const) {
    it.scoped(code, () =>
      Effect.gen(function* () {
        fails(yield* examine(urlOf(yield* hello(answer))), code, message)
      })
    )
  }

  it.scoped("auth-wrong, also when the server repeats the password", () =>
    Effect.gen(function* () {
      for (const words of ["invalid username-password pair or user is disabled.", `no user with password ${planted}`]) {
        const peer = yield* hello(`-WRONGPASS ${words}\r\n`)
        const found = fails(
          yield* examine(urlOf(peer), [], { env: { REDIS_PASSWORD: planted } }),
          "auth-wrong",
          /the server refused HELLO: .*WRONGPASS/
        )
        expect(found.advice).toMatch(/mistake in the password/)
      }
    })
  )

  it.scoped("a database that the server does not have", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name]) => (name === "SELECT" ? "-ERR DB index is out of range\r\n" : "+OK\r\n"))
      })
      fails(yield* examine(`${urlOf(peer)}/99`), "no-such-database", /SELECT/)
    })
  )

  it.scoped("HELLO is unknown: RESP2 is spoken, which is a warning", () =>
    Effect.gen(function* () {
      const answer = healthy()
      const peer = yield* Peer.make({
        onCommand: (command, connection) =>
          command[0] === "HELLO" || command[0] === "CLIENT"
            ? `-ERR unknown command '${command[0]}'\r\n`
            : answer(command, connection)
      })
      const examined = yield* examine(urlOf(peer))
      expect(finding(examined, "protocol-fallback")).toMatchObject({ status: "warning", data: { protocol: 2 } })
      expect(examined.exitCode, examined.text).toBe(0)
      expect((yield* examine(urlOf(peer), ["--strict"])).exitCode).toBe(1)
      expect((yield* examine(`${urlOf(peer)}?protocol=2`, ["--strict"])).exitCode).toBe(0)
    })
  )
})

describe("a server that is connected", () => {
  const peerOf = (onCommand: NonNullable<Peer.Script["onCommand"]>) => Peer.make({ onCommand })

  it.scoped("is usable when nothing is wrong with it", () =>
    Effect.gen(function* () {
      const examined = yield* examine(urlOf(yield* peerOf(healthy())))
      expect(examined.exitCode, examined.text).toBe(0)
      expect(examined.codes).toEqual([
        "tcp-open",
        "handshake-done",
        "server-known",
        "primary",
        "modules-listed",
        "memory-unlimited",
        "clock-close",
        "latency-measured"
      ])
      expect(finding(examined, "latency-measured").data).toMatchObject({ pings: 3 })
    })
  )

  it.scoped("closes in the middle", () =>
    Effect.gen(function* () {
      for (const at of ["INFO", "TIME", "PING"]) {
        const peer = yield* peerOf(
          healthy(([name], { reset }) => {
            if (name === at) {
              reset()
              return ""
            }
            return undefined
          })
        )
        fails(yield* examine(urlOf(peer)), "connection-lost", /ECONNRESET|closed/)
      }
    })
  )

  it.scoped("falls silent in the middle", () =>
    Effect.gen(function* () {
      const peer = yield* peerOf(healthy(([name]) => (name === "TIME" ? "" : undefined)))
      fails(yield* examine(urlOf(peer), ["--timeout", "150ms"]), "no-answer", /reply deadline of TIME/)
    })
  )

  it.scoped("breaks the protocol in the middle", () =>
    Effect.gen(function* () {
      const peer = yield* peerOf(healthy(([name]) => (name === "TIME" ? "HTTP/1.1 500\r\n" : undefined)))
      fails(yield* examine(urlOf(peer)), "connection-lost", /protocol/)
    })
  )

  it.scoped("loads its data set", () =>
    Effect.gen(function* () {
      const loading = "-LOADING Redis is loading the dataset in memory\r\n"
      const all = yield* peerOf(Peer.greeting(() => loading))
      fails(yield* examine(urlOf(all)), "loading", /loads its data set/)
      const withInfoOnly = yield* peerOf(withInfo("# Persistence", "loading:1", "loading_eta_seconds:7"))
      const found = fails(yield* examine(urlOf(withInfoOnly)), "loading", /loads its data set/)
      expect(found.data).toEqual({ secondsLeft: 7 })
    })
  )

  it.scoped("has a clock that is far off", () =>
    Effect.gen(function* () {
      for (const [offset, word] of [
        [-3_600, "behind"],
        [3_600, "ahead of"]
      ] as const) {
        const peer = yield* peerOf(
          healthy(([name]) =>
            name === "TIME" ? resp([String(Math.floor(Date.now() / 1_000) + offset), "0"]) : undefined
          )
        )
        const examined = yield* examine(urlOf(peer))
        const found = finding(examined, "clock-apart")
        expect(found).toMatchObject({ status: "warning" })
        expect(found.message).toContain(word)
        expect(Math.abs(Number(found.data.offsetMilliseconds) - offset * 1_000)).toBeLessThan(2_000)
        expect(examined.exitCode).toBe(0)
      }
    })
  )

  it.scoped("is older than what the library is tested on", () =>
    Effect.gen(function* () {
      const peer = yield* peerOf(withInfo("redis_version:6.0.16"))
      expect(finding(yield* examine(urlOf(peer)), "server-old")).toMatchObject({ status: "warning" })
    })
  )

  it.scoped("does not answer INFO: what depends on it is left out, and what is known from HELLO is said", () =>
    Effect.gen(function* () {
      const denied = "-NOPERM User ada has no permissions to run the 'info' command\r\n"
      const peer = yield* peerOf(healthy(([name]) => (name === "INFO" ? denied : undefined)))
      const examined = yield* examine(urlOf(peer))
      expect(finding(examined, "info-denied")).toMatchObject({ status: "unknown" })
      expect(finding(examined, "server-known").message).toBe("Redis 7.0.0, standalone")
      expect(examined.exitCode, examined.text).toBe(0)
      expect(examined.codes).not.toContain("memory-unknown")
    })
  )

  it.scoped("shows what it says about itself without control characters", () =>
    Effect.gen(function* () {
      const peer = yield* peerOf(withInfo("# Server", "redis_version:8.\u001b[31m0"))
      const examined = yield* examine(urlOf(peer))
      expect(examined.text).not.toContain("\u001b")
      expect(finding(examined, "server-known").message).toContain("8.\\u001b[31m0")
    })
  )

  it.scoped("has replicas that lag", () =>
    Effect.gen(function* () {
      const peer = yield* peerOf(
        withInfo(
          "master_repl_offset:5000",
          "slave0:ip=10.0.0.2,port=6379,state=online,offset=4900,lag=1",
          "slave1:ip=10.0.0.3,port=6379,state=online,offset=10,lag=90"
        )
      )
      const examined = yield* examine(urlOf(peer))
      const found = finding(examined, "replica-lags")
      expect(found).toMatchObject({ status: "warning", message: "replica 10.0.0.3:6379 is online, 90 s late" })
      expect(found.data.replicas).toMatchObject([{ behindBytes: 100 }, { behindBytes: 4_990, lagSeconds: 90 }])
    })
  )

  it.scoped("is nearly full, evicts, and cannot write to its disk", () =>
    Effect.gen(function* () {
      const peer = yield* peerOf(
        withInfo(
          "# Memory",
          "used_memory:950",
          "maxmemory:1000",
          "maxmemory_policy:allkeys-lru",
          "# Clients",
          "connected_clients:95",
          "maxclients:100",
          "# Persistence",
          "loading:0",
          "aof_enabled:1",
          "aof_last_write_status:err",
          "rdb_last_bgsave_status:err"
        )
      )
      const examined = yield* examine(urlOf(peer))
      for (const code of ["memory-full", "clients-full", "persistence-broken"]) {
        expect(finding(examined, code)).toMatchObject({ status: "warning" })
      }
      expect(examined.codes).not.toContain("eviction")
      expect(examined.exitCode).toBe(0)
    })
  )

  it.scoped("may not be asked PING, which health checks send", () =>
    Effect.gen(function* () {
      const denied = "-NOPERM User ada has no permissions to run the 'ping' command\r\n"
      const peer = yield* peerOf(healthy(([name]) => (name === "PING" ? denied : undefined)))
      expect(finding(yield* examine(urlOf(peer)), "latency-denied")).toMatchObject({ status: "warning" })
    })
  )
})

describe("a sentinel", () => {
  const sentinel = (port: number, flags = "master") => {
    const hello = Peer.hello3.replace("$10\r\nstandalone", "$8\r\nsentinel")
    return Peer.make({
      onCommand: ([name, second]) =>
        name === "HELLO"
          ? hello
          : name === "INFO"
            ? resp("# Server\r\nredis_version:8.0.2\r\nredis_mode:sentinel")
            : name === "SENTINEL" && second === "MASTERS"
              ? resp([["name", "main", "ip", "127.0.0.1", "port", String(port), "flags", flags]])
              : name === "PING"
                ? "+PONG\r\n"
                : "-ERR unknown command\r\n"
    })
  }

  it.scoped("is not usable as a server, and names its master", () =>
    Effect.gen(function* () {
      const master = yield* Peer.make({})
      const found = fails(
        yield* examine(urlOf(yield* sentinel(master.port))),
        "sentinel",
        /a sentinel that watches main at 127\.0\.0\.1:\d+/
      )
      expect(found.data).toMatchObject({ masters: [{ name: "main", address: `127.0.0.1:${master.port}` }] })
    })
  )

  it.scoped("whose master is down, or cannot be reached from here", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const args = ["--for", "sentinel"]
      fails(
        yield* examine(urlOf(yield* sentinel(port)), args),
        "sentinel-master-unreachable",
        /main at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)/
      )
      fails(yield* examine(urlOf(yield* sentinel(port, "s_down,master")), args), "sentinel-master-down", /main is down/)
    })
  )
})

describe("permissions, on a server that knows neither DRYRUN nor what it answers", () => {
  it.scoped("nothing more is sent in a transaction to a server that does not queue", () =>
    Effect.gen(function* () {
      const answers = healthy(([name]) => (name === "MULTI" || name === "GET" ? "+OK\r\n" : undefined))
      const peer = yield* Peer.make({ onCommand: answers })
      const examined = yield* examine(urlOf(peer), ["--for", "commands"])
      expect(finding(examined, "acl-unknown")).toMatchObject({ status: "unknown" })
      const all = peer.connections.flatMap(({ received }) => received.map(([name]) => name))
      expect(all).toContain("GET")
      expect(all).not.toContain("SET")
      expect(all).not.toContain("EXEC")
    })
  )

  it.scoped("a command that the server does not know", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: healthy(([name]) =>
          name === "MULTI"
            ? "+OK\r\n"
            : name === "XAUTOCLAIM"
              ? "-ERR unknown command 'XAUTOCLAIM'\r\n"
              : /^(X|EVAL)/.test(name ?? "")
                ? "+QUEUED\r\n"
                : undefined
        )
      })
      fails(yield* examine(urlOf(peer), ["--for", "streams"]), "command-missing", /does not know XAUTOCLAIM/)
    })
  )
})

describe("the command line", () => {
  const wrong = (args: ReadonlyArray<string>, message: RegExp, world = {}) =>
    Effect.map(runProgram(args, world), ({ exitCode, stderr, stdout }) => {
      expect([exitCode, stdout]).toEqual([2, ""])
      expect(stderr.split("\n")[0]).toMatch(message)
      expect(stderr).toContain("Usage: effect-redis-client doctor [url]")
    })

  const secret = encodeURIComponent(planted)

  it.effect("that is wrong is refused with exit code 2, and nothing secret is shown", () =>
    Effect.gen(function* () {
      yield* wrong([], /name the command: doctor/)
      yield* wrong(["nurse"], /the only command is doctor/)
      yield* wrong([`redis://a:${secret}@127.0.0.1`], /the only command is doctor/)
      yield* wrong(["doctor", "redis://a", `redis://b:${secret}@c`], /more than one URL/)
      yield* wrong(["doctor", `redis://a:${planted}@127.0.0.1`], /the URL has an @ after a \//)
      yield* wrong(["doctor", "http://127.0.0.1"], /the URL's scheme|does not begin with redis/)
      yield* wrong(["doctor", "--pasword", planted], /there is no option --pasword/)
      yield* wrong(["doctor", `--password=${planted}`], /there is no option --password/)
      yield* wrong(["doctor", "--timeout"], /--timeout/)
      yield* wrong(["doctor", "--timeout", "5"], /with its unit/)
      yield* wrong(["doctor", "--timeout", "0s"], /with its unit/)
      yield* wrong(["doctor", "--pings", "many"], /--pings must be a whole number/)
      yield* wrong(["doctor", "--for", "commands,magic"], /--for does not know magic; it knows commands, /)
      yield* wrong(["doctor", "--for", ""], /an empty name/)
      yield* wrong(["doctor", "--ca", "gone.pem", "--tls"], /the file of --ca cannot be read: ENOENT/)
      yield* wrong(["doctor", "--ca", "ca.pem"], /are for TLS/, { files })
      yield* wrong(["doctor", "--tls", "--ca", "x"], /tls\.ca must be a list of certificates in PEM/, {
        files: { x: planted }
      })
      yield* wrong(["doctor", "--tls", "--cert", "ca.pem"], /tls\.cert and tls\.key go together/, { files })
      yield* wrong(["doctor", "--user", "ada"], /username is given without a password/)
      yield* wrong(["doctor", "--password-stdin"], /EAGAIN/)
      yield* wrong(["doctor", "--password-stdin"], /found no password/, { stdin: "\n" })
    })
  )

  it.effect("--help and --version", () =>
    Effect.gen(function* () {
      const help = yield* runProgram(["--help"])
      expect([help.exitCode, help.stderr]).toEqual([0, ""])
      expect(help.stdout).toMatch(/^Usage: /)
      expect(Math.max(...help.stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(120)
      expect(yield* runProgram(["doctor", "-h"])).toEqual(help)
      expect(yield* runProgram(["--version"])).toMatchObject({ exitCode: 0, stdout: `${version}\n` })
    })
  )

  it.scoped("the password comes from the standard input, the URL or REDIS_PASSWORD, in this order", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: healthy() })
      const sent = (args: ReadonlyArray<string>, world = {}) =>
        Effect.map(runProgram(["doctor", "--pings", "0", ...args], world), (outcome) => {
          expect(outcome.exitCode, outcome.stdout).toBe(0)
          return { auth: peer.connections.at(-1)?.received[0]?.slice(2), outcome }
        })
      const env = { REDIS_PASSWORD: "of-env" }
      const withPassword = `redis://ada:${secret}@127.0.0.1:${peer.port}`
      expect((yield* sent([urlOf(peer)], { env })).auth).toEqual(["AUTH", "default", "of-env"])
      expect((yield* sent([urlOf(peer), "--user", "bob"], { env })).auth).toEqual(["AUTH", "bob", "of-env"])
      const url = yield* sent([withPassword], { env })
      expect(url.auth).toEqual(["AUTH", "ada", planted])
      expect(url.outcome.stderr).toMatch(/The password is on the command line/)
      const fromEnv = yield* sent([], { env: { REDIS_URL: withPassword } })
      expect(fromEnv.auth).toEqual(["AUTH", "ada", planted])
      expect(fromEnv.outcome.stderr).toBe("")
      const stdin = yield* sent([withPassword, "--password-stdin"], { env, stdin: "of-stdin\n" })
      expect(stdin.auth).toEqual(["AUTH", "ada", "of-stdin"])
    })
  )

  it.scoped("a password that the server repeats in words of its own is not shown", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: withInfo(`redis_version:${planted}`, `maxmemory_policy:${planted}`) })
      for (const form of [[], ["--json"]]) {
        const { stderr, stdout } = yield* runProgram(
          ["doctor", "--pings", "0", "--for", "locks", `redis://ada:${secret}@127.0.0.1:${peer.port}`, ...form],
          {}
        )
        expect(stdout).toContain("<redacted>")
        expect(`${stdout}${stderr}`).not.toContain(planted)
      }
    })
  )
})
