/** The doctor examines real servers and the embedded one. What no real server shows on demand is in peers.test.ts. */
import { spawn } from "node:child_process"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Connection, Redis } from "effect-redis-client"
import type { RedisServer } from "../../src/testing/RedisServer.js"
import { describeReal } from "../support/describeReal.js"
import { until } from "../support/pubsub.js"
import { embeddedServer, makeServer } from "../support/servers.js"
import { examine, fails, finding, passwordOf, planted, urlOf } from "./support.js"

/** Runs commands on the server as its default user. */
const administer = (
  server: RedisServer,
  ...lines: ReadonlyArray<readonly [string, ...ReadonlyArray<string | number>]>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Connection.make({ url: server.url, expect: "node" })
      return yield* Effect.forEach(lines, ([name, ...args]) => connection.execute(name, ...args))
    })
  )

const keysOf = (server: RedisServer) => Effect.map(administer(server, ["DBSIZE"]), ([keys]) => keys)

/** An ACL user's password. */
const pw = { env: { REDIS_PASSWORD: "pw" } }

describe("the embedded server", () => {
  it.scoped("is usable", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(embeddedServer)
      const examined = yield* examine(urlOf(server))
      expect(examined.exitCode, examined.text).toBe(0)
      expect(finding(examined, "latency-measured").data).toMatchObject({ pings: 3 })
    })
  )
})

describeReal((real) => {
  const all = "commands,transactions,scripts,functions,pubsub,streams,locks,tracking"

  it.scoped("a healthy server is usable for everything, over both protocols, and nothing is left on it", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real, { password: Redacted.make(planted) })
      for (const url of [urlOf(server), `${urlOf(server)}?protocol=2`]) {
        const examined = yield* examine(url, ["--for", all], passwordOf(server))
        expect(examined.json.failures, examined.text).toBe(0)
        expect(examined.exitCode).toBe(0)
        const allowed = examined.json.findings.filter(({ code }) => code === "acl-allowed")
        expect(allowed.map(({ data }) => data.feature)).toEqual(all.split(","))
        expect(allowed[0]?.data.how).toBe("dryrun")
        expect(finding(examined, "server-known").data).toMatchObject({ product: real.product, version: real.version })
        expect(finding(examined, "clock-close").data).toMatchObject({ offsetMilliseconds: expect.any(Number) })
      }
      expect(yield* keysOf(server)).toBe(0)
    })
  )

  it.scoped("a wrong password, a missing one, and a user who does not exist", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real, { password: Redacted.make("right") })
      const wrong = yield* examine(urlOf(server), [], { env: { REDIS_PASSWORD: planted } })
      expect(fails(wrong, "auth-wrong", /WRONGPASS/).advice).toBe(
        "Look for a mistake in the password; ask the server with ACL GETUSER whether the user is on."
      )
      const stranger = yield* examine(urlOf(server), ["--user", "ada"], { env: { REDIS_PASSWORD: planted } })
      expect(fails(stranger, "auth-wrong", /WRONGPASS/).advice).toContain("and the user")
      fails(yield* examine(urlOf(server)), "auth-required", /NOAUTH/)
    })
  )

  it.scoped("a TLS port in plain text, a plain port over TLS, and a client's certificate that is missing", () =>
    Effect.gen(function* () {
      const tls = yield* makeServer(real, { tls: { clients: "required" } })
      const { ca, clientCert, clientKey } = Option.getOrThrow(tls.tls)
      const files = { "ca.pem": ca, "c.pem": clientCert, "k.pem": Redacted.value(clientKey) }
      fails(yield* examine(urlOf(tls)), "tls-needed", /this port speaks TLS, and was asked in plain text/)
      fails(yield* examine(urlOf(tls, "rediss")), "tls-unknown-issuer", /is not trusted/)
      const without = yield* examine(urlOf(tls, "rediss"), ["--ca", "ca.pem"], { files })
      expect(without.exitCode, without.text).toBe(1)
      expect(without.text).toMatch(/asks for a client's certificate|closed the connection/)
      const args = ["--ca", "ca.pem", "--cert", "c.pem", "--key", "k.pem"]
      const examined = yield* examine(urlOf(tls, "rediss"), args, { files })
      expect(examined.exitCode, examined.text).toBe(0)
      const plain = yield* makeServer(real)
      fails(
        yield* examine(urlOf(plain, "rediss"), ["--timeout", "500ms"]),
        "tls-plain-port",
        /speaks Redis without TLS/
      )
    })
  )

  it.scoped("a server that is stopped (SIGSTOP) does not hang the doctor", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real)
      yield* server.pause
      const began = performance.now()
      fails(
        yield* examine(urlOf(server), ["--timeout", "300ms"]),
        "silent",
        /did not answer the handshake within 300 ms/
      )
      // Two runs of a handshake, a TLS handshake and a PING.
      expect(performance.now() - began).toBeLessThan(10_000)
      yield* server.resume
    })
  )

  it.scoped("a unix socket", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real)
      const examined = yield* examine(`unix://${server.socketPath}`)
      expect(examined.exitCode, examined.text).toBe(0)
      expect(examined.json.target.address).toBe(server.socketPath)
    })
  )

  it.scoped(
    "a user with few permissions, who may not use DRYRUN: what is missing is named, and nothing is executed",
    () =>
      Effect.gen(function* () {
        const server = yield* makeServer(real, {
          acl: [
            "few on >pw ~* &* -@all +get +xadd +hello +multi +subscribe +ping",
            "ordinary on >pw ~app:* resetchannels &app:* +@all -@admin -@dangerous +info",
            "untransacted on >pw ~* &* +@all -@admin -multi"
          ]
        })
        const few = yield* examine(urlOf(server), ["--user", "few", "--for", "commands,streams,pubsub"], pw)
        expect(few.exitCode, few.text).toBe(1)
        expect(finding(few, "info-denied").status).toBe("unknown")
        const denied = few.json.findings.filter(({ code }) => code === "acl-denied")
        expect(denied.map(({ data }) => data.feature)).toEqual(["commands", "streams", "pubsub"])
        const [commands, streams, pubsub] = denied.map(({ data }) => data.denied)
        expect(commands).toEqual(expect.arrayContaining(["SET", "DEL", "SCAN"]))
        expect(commands).not.toContain("GET")
        expect(streams).toEqual(expect.arrayContaining(["XREADGROUP", "XGROUP CREATE", "EVAL"]))
        expect(streams).not.toContain("XADD")
        expect(pubsub).toEqual(expect.arrayContaining(["PUBLISH", "PSUBSCRIBE"]))
        expect(pubsub).not.toContain("SUBSCRIBE")
        expect(few.text).toMatch(/ACL SETUSER few .*\+xgroup\|create/)
        expect(denied[0]?.data.how).toBe("trial")
        const elsewhere = yield* examine(`${urlOf(server)}/1`, ["--user", "few"], pw)
        fails(elsewhere, "handshake-denied", /the server refused SELECT: .*NOPERM/)

        const ordinary = ["--user", "ordinary", "--for", "commands,transactions,scripts,pubsub,streams,locks"]
        const limited = yield* examine(urlOf(server), ordinary, pw)
        expect(limited.exitCode, limited.text).toBe(0)
        expect(finding(limited, "acl-limited").status).toBe("warning")
        const within = yield* examine(urlOf(server), [...ordinary, "--prefix", "app:"], pw)
        expect(within.exitCode, within.text).toBe(0)
        expect(within.json.findings.filter(({ code }) => code === "acl-allowed").length).toBe(6)
        const outside = yield* examine(urlOf(server), [...ordinary, "--prefix", "other:"], pw)
        expect(outside.exitCode).toBe(1)
        expect(finding(outside, "acl-keys").advice).toBe("ACL SETUSER ordinary ~other:* &other:*")

        const user = ["--user", "untransacted", "--for"]
        const unsure = yield* examine(urlOf(server), [...user, "commands"], pw)
        expect(finding(unsure, "acl-unknown").status).toBe("unknown")
        const transactions = yield* examine(urlOf(server), [...user, "transactions"], pw)
        expect(fails(transactions, "acl-denied", /transactions: the user may not run MULTI/).data.missing).toEqual([])
        expect(yield* keysOf(server)).toBe(0)
      })
  )

  it.scoped("what DRYRUN refuses to another user of the same permissions is the same", () =>
    Effect.gen(function* () {
      const rules = "on >pw ~app:* resetchannels &app:* -@all +@read +@transaction +@pubsub +hello +ping"
      const server = yield* makeServer(real, {
        acl: [`plain ${rules}`, `dry ${rules} +acl|dryrun +acl|whoami`]
      })
      for (const prefix of [[], ["--prefix", "app:"], ["--prefix", "b:"]]) {
        const aclOf = (user: string) =>
          Effect.map(examine(urlOf(server), ["--user", user, "--for", all, ...prefix], pw), ({ json }) =>
            json.findings
              .filter(({ check }) => check === "acl")
              .map(({ code, data }) => ({ code, feature: data.feature, denied: data.denied, limited: data.limited }))
          )
        expect(yield* aclOf("dry")).toEqual(yield* aclOf("plain"))
      }
    })
  )

  it.scoped("keyspace events are switched off, and on", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real)
      const args = ["--for", "keyspace-events"]
      fails(yield* examine(urlOf(server), args), "keyspace-events-off", /sends no keyspace events/)
      yield* administer(server, ["CONFIG SET", "notify-keyspace-events", "KEA"])
      expect((yield* examine(urlOf(server), args)).exitCode).toBe(0)
    })
  )

  it.scoped("eviction in the way of streams and locks, and a server without persistence in the way of streams", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real)
      const lost = (policy: string, features: string) =>
        Effect.gen(function* () {
          yield* administer(
            server,
            ["CONFIG SET", "maxmemory", "100mb"],
            ["CONFIG SET", "maxmemory-policy", policy],
            ["CONFIG SET", "save", ""]
          )
          const examined = yield* examine(urlOf(server), ["--for", features])
          const found = examined.codes.includes("eviction") ? finding(examined, "eviction") : undefined
          expect(found?.status ?? "warning").toBe("warning")
          expect(examined.exitCode).toBe(0)
          return [found?.data.lost ?? [], finding(examined, "persistence-off").status] as const
        })
      expect(yield* lost("allkeys-lru", "streams,locks")).toEqual([["streams", "locks"], "warning"])
      expect(yield* lost("volatile-ttl", "streams,locks")).toEqual([["locks"], "warning"])
      expect(yield* lost("noeviction", "streams,locks")).toEqual([[], "warning"])
      expect(yield* lost("allkeys-lfu", "commands")).toEqual([[], "ok"])
    })
  )

  it.scoped("a replica is in the way of writes, and one without its primary is old", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(real)
      const replica = yield* makeServer(real, { mode: { replicaOf: primary } })
      yield* Effect.repeat(administer(replica, ["ROLE"]), {
        until: ([role]) => Array.isArray(role) && role[3] === "connected"
      })
      const reads = yield* examine(urlOf(replica), ["--for", "pubsub"])
      expect(finding(reads, "replica")).toMatchObject({ status: "warning", data: { linkUp: true } })
      expect(reads.exitCode, reads.text).toBe(0)
      fails(
        yield* examine(urlOf(replica), ["--for", "streams"]),
        "replica",
        /accepts no writes \(READONLY\); streams need them/
      )
      const lead = yield* examine(urlOf(primary))
      expect(finding(lead, "primary").message).toMatch(/^primary with 1 replica, at most/)
      yield* primary.stop
      yield* Effect.repeat(administer(replica, ["ROLE"]), {
        until: ([role]) => Array.isArray(role) && role[3] !== "connected"
      })
      expect(finding(yield* examine(urlOf(replica)), "replica-cut-off").status).toBe("warning")
    })
  )

  it.scoped("a node of a cluster with slots that nobody owns, and with all of them", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real, { mode: "cluster" })
      yield* administer(server, ["CLUSTER ADDSLOTSRANGE", 0, 5460, 5462, 16_000])
      const args = ["--for", "commands,cluster"]
      const found = fails(
        yield* examine(urlOf(server), args),
        "cluster-slots-uncovered",
        /no working primary owns the hash slots 5461, 16001-16383/
      )
      expect(found.data.uncoveredSlots).toEqual(["5461", "16001-16383"])
      yield* administer(server, ["CLUSTER ADDSLOTSRANGE", 5461, 5461, 16_001, 16_383])
      yield* Effect.repeat(administer(server, ["CLUSTER INFO"]), {
        until: ([info]) => String(info).includes("cluster_state:ok")
      })
      const whole = yield* examine(urlOf(server), args)
      expect(whole.exitCode, whole.text).toBe(0)
      expect(finding(whole, "cluster-ok").message).toBe("1 primary, 0 replicas, all 16384 slots covered")
      const plain = yield* examine(urlOf(server))
      expect(finding(plain, "cluster-client").status).toBe("warning")
      expect(plain.exitCode).toBe(0)
      fails(yield* examine(urlOf(server), ["--for", "sentinel"]), "not-a-sentinel", /a node of a cluster/)
      yield* administer(server, ["CONFIG SET", "cluster-announce-ip", "127.0.0.2"])
      const away = yield* examine(urlOf(server), args)
      fails(away, "cluster-nodes-unreachable", /from here there is no connection to 127\.0\.0\.2:\d+ \(ECONNREFUSED\)/)
    })
  )

  it.scoped("a server of its own where a cluster or a sentinel was expected", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real)
      fails(yield* examine(urlOf(server), ["--for", "cluster"]), "not-a-cluster", /not a node of a cluster/)
      fails(yield* examine(urlOf(server), ["--for", "sentinel"]), "not-a-sentinel", /not a sentinel/)
    })
  )

  it.scoped("a sentinel names its master", () =>
    Effect.gen(function* () {
      const master = yield* makeServer(real)
      const sentinel = yield* makeServer(real, { mode: { monitor: { main: master } } })
      const found = fails(yield* examine(urlOf(sentinel)), "sentinel", /watches main at 127\.0\.0\.1:\d+/)
      expect(found.data).toMatchObject({ masters: [{ name: "main", address: `127.0.0.1:${master.port}` }] })
      const wanted = yield* examine(urlOf(sentinel), ["--for", "sentinel"])
      expect(wanted.exitCode, wanted.text).toBe(0)
      fails(yield* examine(urlOf(sentinel), ["--for", "sentinel,cluster"]), "not-a-cluster", /is a sentinel/)
    })
  )

  it.scoped("too many clients", () =>
    Effect.gen(function* () {
      // A server counts a connection that was just closed for a moment longer: with room for two, the second examination
      // is not refused because of the first one's connection.
      const server = yield* makeServer(real, { config: { maxclients: 12 } })
      const url = urlOf(server)
      const redis = yield* Connection.make({ url })
      yield* Effect.forEach(Array.from({ length: 9 }), () => Connection.make({ url }))
      expect(yield* redis.execute(Redis.ping())).toBe("PONG")
      const almost = yield* examine(url)
      expect(finding(almost, "clients-full").status).toBe("warning")
      yield* until(
        "the examinations are disconnected",
        Effect.map(redis.execute("CLIENT", "LIST"), (list) => String(list).trim().split("\n").length === 10)
      )
      yield* Effect.forEach(Array.from({ length: 2 }), () => Connection.make({ url }))
      fails(yield* examine(url), "max-clients", /max number of clients/)
    })
  )

  it.scoped("the process takes a password from its standard input, and ends with the exit code", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(real, { password: Redacted.make(planted) })
      const main = Path.join(import.meta.dirname, "../../src/cli/main.ts")
      const run = (args: ReadonlyArray<string>, input: string) =>
        Effect.async<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>((resume) => {
          const child = spawn(process.execPath, ["--import", "tsx", main, ...args], { stdio: "pipe" })
          const out = { stdout: "", stderr: "" }
          child.stdout.on("data", (text) => (out.stdout += text))
          child.stderr.on("data", (text) => (out.stderr += text))
          child.once("close", (code) => resume(Effect.succeed({ code, ...out })))
          child.stdin.end(input)
        })
      const args = ["doctor", urlOf(server), "--password-stdin", "--pings", "1000"]
      const good = yield* run(args, `${planted}\n`)
      expect(good, good.stderr).toMatchObject({ code: 0, stderr: "" })
      expect(good.stdout).toMatch(/1000 PINGs: half within/)
      const bad = yield* run([...args, "--json"], "wrong\n")
      expect(bad).toMatchObject({ code: 1, stderr: "" })
      const codes = JSON.parse(bad.stdout).findings.map(({ code }: { readonly code: string }) => code)
      expect(codes).toEqual(["tcp-open", "auth-wrong"])
      expect((yield* run(["doctor", "--nonsense"], "")).code).toBe(2)
      for (const { stderr, stdout } of [good, bad]) {
        expect(stdout + stderr).not.toContain(planted)
      }
    })
  )
})
