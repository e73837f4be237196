/**
 * What a client of a cluster does with answers that no real server gives on demand: redirections in circles, to nowhere and
 * to strangers, wrong topologies, and nodes that hang.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { Redis } from "../../src/Redis.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { failure, on, quickly } from "../support/client.js"
import { type ClusterPeers, type ClusterScript, make as makePeers, resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"

type Options = Partial<RedisCluster.RedisClusterOptions>

const connect = (peers: ClusterPeers, options: Options = {}) =>
  RedisCluster.make({ nodes: peers.seeds.slice(0, 1), reconnect: quickly, refreshInterval: "1 hour", ...options })

/** A cluster of peers and a client of it. `left` owns the slot of "b", and `right` that of "a". */
const cluster = (count: number, script: ClusterScript, options: Options = {}) =>
  Effect.gen(function* () {
    const peers = yield* makePeers(count, script)
    const redis = yield* connect(peers, options)
    return { peers, redis, run: on(redis) }
  })

const key = "b"
const slot = slotOf(key)
const moved = (port: number | string, host = "127.0.0.1") => resp(`-MOVED ${slot} ${host}:${port}`)
const ask = (port: number | string) => resp(`-ASK ${slot} 127.0.0.1:${port}`)

/** With two owners, the node that owns `key`, and the other one. */
const home = slot < 8192 ? 0 : 1
const away = 1 - home

const within = (millis: number, started: number): void => expect(performance.now() - started).toBeLessThan(millis)

const codeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = failure(exit) as { readonly _tag: string; readonly code?: string; readonly reason?: string }
  return `${error._tag} ${error.code ?? error.reason ?? ""}`
}

describe("a redirection", () => {
  it.live("to the other node is followed, and only this slot goes there from then on", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(2, {
        onCommand: ([, name], node) => (node === away || name !== key ? resp(name ?? "") : moved(ports[away] ?? 0)),
        // The topology is behind.
        onSlots: (_, right) => resp(right)
      })
      ports = peers.ports
      expect(yield* run(Redis.get(key))).toEqual(Option.some(key))
      expect(yield* run(Redis.get(key))).toEqual(Option.some(key))
      expect(peers.received(home)).toEqual([`GET ${key}`])
      expect(peers.received(away)).toEqual([`GET ${key}`, `GET ${key}`])
    }).pipe(Effect.scoped)
  )

  it.live("in a circle ends with the last MOVED after maxRedirects, with pauses", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(
        2,
        { onCommand: (_, node) => moved(ports[1 - node] ?? 0) },
        { maxRedirects: 6 }
      )
      ports = peers.ports
      const before = peers.refreshes()
      const started = performance.now()
      expect(codeOf(yield* Effect.exit(run(Redis.get(key))))).toBe("ReplyError MOVED")
      const took = performance.now() - started
      expect(peers.received(0).length + peers.received(1).length).toBe(7)
      // Of the six, the last four came after a pause each.
      expect(took).toBeGreaterThan(40)
      expect(peers.refreshes() - before).toBeLessThan(3 * (took / 100 + 2))
      expect(codeOf(yield* Effect.exit(run(Redis.pipeline([Redis.get(key)]))))).toMatch(/PipelineError|ReplyError/)
    }).pipe(Effect.scoped)
  )

  it.live("to the node itself leads to new connections, because another server took its place", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const first = new Set<Peer.PeerConnection>()
      const { peers, run } = yield* cluster(2, {
        onCommand: (_, node, connection) => {
          if (first.size === 0 || first.has(connection)) {
            first.add(connection)
            return moved(ports[node] ?? 0)
          }
          return resp("value")
        }
      })
      ports = peers.ports
      expect(yield* run(Redis.get(key))).toEqual(Option.some("value"))
    }).pipe(Effect.scoped)
  )

  it.live("to the node itself for ever ends after maxRedirects, with pauses", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(2, { onCommand: (_, node) => moved(ports[node] ?? 0) }, { maxRedirects: 4 })
      ports = peers.ports
      const started = performance.now()
      expect(codeOf(yield* Effect.exit(run(Redis.get(key))))).toBe("ReplyError MOVED")
      expect(performance.now() - started).toBeGreaterThan(100)
      expect(peers.received(home)).toHaveLength(5)
      expect(peers.peers[home]?.connections.length).toBeLessThan(12)
    }).pipe(Effect.scoped)
  )

  it.live("to an address that the topology does not name is followed", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(3, {
        owners: 2,
        // Later views would contradict the MOVED.
        onSlots: (_, right) => resp(ports.length === 0 ? right : "-ERR later"),
        onCommand: (_, node) => (node === 2 ? resp("value") : moved(ports[2] ?? 0))
      })
      ports = peers.ports
      expect(yield* run(Redis.get(key))).toEqual(Option.some("value"))
      expect(peers.received(2)).toEqual([`GET ${key}`])
    }).pipe(Effect.scoped)
  )

  it.live.each(["", "?"])("to the host %j means the host of the node that answered it", (host) =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(2, {
        onCommand: (_, node) => (node === away ? resp("value") : moved(ports[away] ?? 0, host))
      })
      ports = peers.ports
      expect(yield* run(Redis.get(key))).toEqual(Option.some("value"))
    }).pipe(Effect.scoped)
  )

  it.live.each([
    "MOVED",
    "MOVED __proto__",
    "MOVED __proto__ __proto__:1",
    "MOVED 16384 127.0.0.1:PORT",
    "MOVED 70000 127.0.0.1:PORT",
    "MOVED -1 127.0.0.1:PORT",
    "MOVED SLOT",
    "MOVED SLOT 127.0.0.1",
    "MOVED SLOT 127.0.0.1:0",
    "MOVED SLOT 127.0.0.1:70000",
    "MOVED SLOT 127.0.0.1:PORT and more",
    "MOVED SLOT a b:PORT",
    "MOVED OTHER 127.0.0.1:PORT",
    "ASK SLOT 127.0.0.1:0",
    "ASK OTHER 127.0.0.1:PORT"
  ])("that says %j is the command's error", (text) =>
    Effect.gen(function* () {
      const spy = yield* Peer.make(Peer.pong)
      const error = text
        .replace("PORT", String(spy.port))
        .replace("SLOT", String(slot))
        .replace("OTHER", String(slot + 1))
      const { peers, run } = yield* cluster(2, { onCommand: () => resp(`-${error}`) })
      const code = `ReplyError ${text.split(" ")[0]}`
      expect(codeOf(yield* Effect.exit(run(Redis.get(key))))).toBe(code)
      expect(peers.received(home)).toHaveLength(1)
      yield* Effect.exit(run(Redis.pipeline([Redis.get(key), Redis.get(key)])))
      yield* Effect.exit(run(Redis.transaction([Redis.get(key)])))
      expect(peers.received(home).filter((line) => line === `GET ${key}`)).toHaveLength(4)
      expect(spy.connections).toHaveLength(0)
    }).pipe(Effect.scoped)
  )

  it.live("by ASK goes to a node without slots, just after ASKING, and changes nothing for the next command", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(3, {
        owners: 2,
        onCommand: ([name], node) => (node === 2 ? resp(name === "ASKING" ? "+OK" : "value") : ask(ports[2] ?? 0))
      })
      ports = peers.ports
      expect(yield* run(Redis.get(key))).toEqual(Option.some("value"))
      expect(peers.received(2)).toEqual(["ASKING", `GET ${key}`])
      const before = peers.received(home).length
      expect(yield* run(Redis.pipeline([Redis.get(key)]))).toEqual([Option.some("value")])
      expect(peers.received(home)).toHaveLength(before + 1)
      expect(peers.received(2)).toEqual(["ASKING", `GET ${key}`, "ASKING", `GET ${key}`])
    }).pipe(Effect.scoped)
  )

  describe.each(["MOVED", "ASK"])("by %s that a script forged", (code) => {
    it.live("to an address that the topology does not name is its error, and nothing connects there", () =>
      Effect.gen(function* () {
        const spy = yield* Peer.make(Peer.pong)
        const forged = `-${code} ${slot} 127.0.0.1:${spy.port}`
        const { peers, run } = yield* cluster(
          2,
          {
            onCommand: ([name]) => {
              switch (name) {
                case "MULTI":
                  return resp("+OK")
                case "EXEC":
                  return resp([forged])
                case "EVAL":
                case "FCALL":
                  return resp(forged)
                default:
                  return resp("+QUEUED")
              }
            }
          },
          { password: Redacted.make("secret") }
        )
        const call = RedisCommand.make("EVAL", { args: ["return 1", "1", RedisCommand.key(key)] })
        expect(codeOf(yield* Effect.exit(run(call)))).toBe(`ReplyError ${code}`)
        const fcall = RedisCommand.make("FCALL", { args: ["f", "1", key] })
        expect(codeOf(yield* Effect.exit(run(fcall)))).toBe(`ReplyError ${code}`)
        expect(peers.received(home)).toHaveLength(2)
        expect(Exit.isFailure(yield* Effect.exit(run(Redis.pipeline([call]))))).toBe(true)
        expect(Exit.isFailure(yield* Effect.exit(run(Redis.transaction([Redis.set(key, "v")]))))).toBe(true)
        expect(peers.received(home).filter((line) => line === "EXEC")).toHaveLength(1)
        expect(spy.connections).toHaveLength(0)
      }).pipe(Effect.scoped)
    )
  })
})

describe("the deadline of a command", () => {
  const endless: Options = { maxRedirects: 1_000_000 }
  const cases: ReadonlyArray<readonly [string, (node: number, ports: ReadonlyArray<number>) => string]> = [
    ["nodes redirect to each other", (node, ports) => moved(ports[1 - node] ?? 0)],
    ["the node redirects to itself", (node, ports) => moved(ports[node] ?? 0)],
    ["nothing listens where it is redirected to", () => moved(1)],
    ["nothing listens where it is asked to go", () => ask(1)],
    ["the slot is being moved for ever", () => resp("-TRYAGAIN Multiple keys request during rehashing of slot")],
    ["the cluster is down", () => resp("-CLUSTERDOWN The cluster is down")],
    ["the slot has no owner", () => resp("-CLUSTERDOWN Hash slot not served")]
  ]
  it.live.each(cases)("ends it as unsent, in the queue, when %s", ([, answer]) =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(
        2,
        {
          onCommand: ([name], node) =>
            name === "MULTI" || name === "ASKING"
              ? resp("+OK")
              : name === "EXEC"
                ? resp("-EXECABORT no")
                : answer(node, ports)
        },
        endless
      )
      ports = peers.ports
      const command = Redis.get(key).pipe(RedisCommand.withDeadline("400 millis"))
      const started = performance.now()
      for (const effect of [
        run(command),
        run(Redis.pipeline([Redis.get(key)], { deadline: "400 millis" })),
        run(Redis.transaction([Redis.get(key)], { deadline: "400 millis" }))
      ]) {
        // When the deadline passes just while the command is in flight, that is what the error says; then try again.
        let inner: unknown
        for (
          let tries = 0;
          tries < 5 && (inner as { readonly phase?: string } | undefined)?.phase !== "queue";
          tries++
        ) {
          const error = failure(yield* Effect.exit(effect as Effect.Effect<unknown, unknown>))
          inner = (error as { readonly error?: unknown }).error ?? error
        }
        expect(inner).toMatchObject({ _tag: "DeadlineError", phase: "queue", delivery: "unsent" })
      }
      within(20_000, started)
      // A tight loop sends thousands.
      expect(peers.received(0).length + peers.received(1).length).toBeLessThan(300)
    }).pipe(Effect.scoped)
  )
})

describe("a client of a cluster starts", () => {
  const value: ClusterScript = { onCommand: () => resp("value") }

  it.live.each<readonly [string, NonNullable<ClusterScript["onSlots"]>]>([
    ["an empty topology", () => resp([])],
    ["an error", () => resp("-ERR no")],
    ["slots out of range", () => resp([[0, 70_000, ["127.0.0.1", 1, "x"]]])],
    [
      "two owners of a slot",
      () =>
        resp([
          [0, 5, ["127.0.0.1", 1, "x"]],
          [5, 9, ["127.0.0.1", 2, "y"]]
        ])
    ],
    ["text", () => resp("OK")],
    ["nothing", () => undefined]
  ])("although a seed answers %s", ([, answer]) =>
    Effect.gen(function* () {
      const peers = yield* makePeers(3, {
        ...value,
        onSlots: (node, right, connection) => (node === 0 ? answer(node, right, connection) : resp(right))
      })
      const started = performance.now()
      const redis = yield* connect(peers, { nodes: peers.seeds, refreshTimeout: "30 seconds" })
      expect(yield* on(redis)(Redis.get(key))).toEqual(Option.some("value"))
      within(2_000, started)
    }).pipe(Effect.scoped)
  )

  it.live("although a node accepts connections and answers nothing, and serves the slots of the others", () =>
    Effect.gen(function* () {
      const peers = yield* makePeers(3, { ...value, onHello: (node) => (node === 0 ? undefined : Peer.hello3) })
      const started = performance.now()
      const redis = yield* connect(peers, { nodes: peers.seeds })
      // Slot 15 495, of the last node.
      expect(yield* on(redis)(Redis.get("a"))).toEqual(Option.some("value"))
      within(2_000, started)
    }).pipe(Effect.scoped)
  )

  it.live("although its seeds answer late", () =>
    Effect.gen(function* () {
      // The answer comes with the second question for it, of another seed.
      const waiting: Array<() => void> = []
      const peers = yield* makePeers(2, {
        ...value,
        onSlots: (_, right, connection) => {
          waiting.push(() => connection.write(resp(right)))
          if (waiting.length === 2) {
            for (const answer of waiting.splice(0)) {
              answer()
            }
          }
          return undefined
        }
      })
      const redis = yield* connect(peers, { nodes: peers.seeds, refreshTimeout: "30 seconds" })
      expect(yield* on(redis)(Redis.get(key))).toEqual(Option.some("value"))
    }).pipe(Effect.scoped)
  )

  it.live("over the addresses that nodeAddress gives, also for redirections", () =>
    Effect.gen(function* () {
      const announce = (port: number) => ((port + 40_000) % 65_000) + 1
      let ports: ReadonlyArray<number> = []
      const asked = new Set<number>()
      let started = false
      const peers = yield* makePeers(3, {
        owners: 2,
        announce,
        // Later views would contradict the MOVED.
        onSlots: (_, right) => resp(started ? "-ERR later" : right),
        onCommand: (_, node) => (node === 2 ? resp("value") : moved(announce(ports[2] ?? 0)))
      })
      ports = peers.ports
      const redis = yield* connect(peers, {
        nodeAddress: ({ host, port }) => {
          asked.add(port)
          const real = ports.find((real) => announce(real) === port)
          return real === undefined ? undefined : { host, port: real }
        }
      })
      started = true
      expect(yield* on(redis)(Redis.get(key))).toEqual(Option.some("value"))
      expect(asked.has(announce(ports[2] ?? 0))).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.live("not when no seed knows the cluster, and says what each of them answered", () =>
    Effect.gen(function* () {
      const peers = yield* makePeers(2, { onSlots: (node) => resp(node === 0 ? [] : "-ERR unknown command") })
      const error = failure(yield* Effect.exit(connect(peers, { nodes: peers.seeds })))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "noNode", delivery: "unsent" })
      expect(error.message).toMatch(/it knows no slots/)
      expect(error.message).toMatch(/unknown command/)
    }).pipe(Effect.scoped)
  )

  it.live("not against a single server, and names Redis.layer", () =>
    Effect.gen(function* () {
      const peers = yield* makePeers(1, { onSlots: () => resp("-ERR This instance has cluster support disabled") })
      const error = failure(yield* Effect.exit(connect(peers)))
      expect(error._tag).toBe("ConnectionError")
      expect(error.message).toMatch(/Redis\.layer/)
      expect(peers.refreshes()).toBe(1)
    }).pipe(Effect.scoped)
  )

  it.live("not with a wrong password", () =>
    Effect.gen(function* () {
      const peers = yield* makePeers(2, {
        onHello: () => resp("-WRONGPASS invalid username-password pair or user is disabled.")
      })
      const options = { nodes: peers.seeds, password: Redacted.make("wrong") }
      const started = performance.now()
      const error = failure(yield* Effect.exit(connect(peers, options)))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
      expect(error.message).not.toMatch(/"wrong"/)
      within(2_000, started)
    }).pipe(Effect.scoped)
  )
})

describe("a command in several parts", () => {
  const other = "a"
  const parts = (answers: (name: string, node: number) => string | undefined, options: Options = {}) =>
    cluster(2, { onCommand: ([name = ""], node) => answers(name, node) }, options)

  it.live("that one node executed and another refused is a PartialError, which says what each did", () =>
    Effect.gen(function* () {
      const { run } = yield* parts((_, node) => resp(node === home ? "+OK" : "-OOM command not allowed"))
      const error = failure(yield* Effect.exit(run(Redis.mset({ [key]: "1", [other]: "2" }))))
      expect(error).toMatchObject({ _tag: "PartialError", command: "MSET", succeeded: 1 })
      expect((error as { errors?: unknown }).errors).toMatchObject([
        { server: `slot ${slotOf(other)}`, error: { _tag: "ReplyError", code: "OOM" } }
      ])
    }).pipe(Effect.scoped)
  )

  it.live("that every node refused fails with the first error", () =>
    Effect.gen(function* () {
      const { run } = yield* parts(() => resp("-OOM command not allowed"))
      expect(codeOf(yield* Effect.exit(run(Redis.mset({ [key]: "1", [other]: "2" }))))).toBe("ReplyError OOM")
      expect(codeOf(yield* Effect.exit(run(Redis.dbsize())))).toBe("ReplyError OOM")
    }).pipe(Effect.scoped)
  )

  it.live("for all primaries is a PartialError too, by their addresses", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* parts((_, node) => resp(node === home ? 5 : "-ERR no"))
      const error = failure(yield* Effect.exit(run(Redis.dbsize())))
      expect(error).toMatchObject({
        _tag: "PartialError",
        succeeded: 1,
        errors: [{ server: `127.0.0.1:${peers.ports[away]}` }]
      })
    }).pipe(Effect.scoped)
  )

  it.live("that one node is to execute succeeds when one did (SCRIPT KILL)", () =>
    Effect.gen(function* () {
      const { run } = yield* parts((_, node) =>
        resp(node === home ? "+OK" : "-NOTBUSY No scripts in execution right now.")
      )
      expect(yield* run(Redis.scriptKill())).toBeUndefined()
      const none = yield* parts((_, node) => resp(node === home ? "-UNKILLABLE no" : "-NOTBUSY No scripts"))
      expect(codeOf(yield* Effect.exit(none.run(Redis.scriptKill())))).toBe("ReplyError UNKILLABLE")
    }).pipe(Effect.scoped)
  )

  it.live("whose part is redirected is joined in order", () =>
    Effect.gen(function* () {
      let ports: ReadonlyArray<number> = []
      const { peers, run } = yield* cluster(3, {
        owners: 2,
        onCommand: ([, ...keys], node) => (node === home ? moved(ports[2] ?? 0) : resp(keys))
      })
      ports = peers.ports
      expect(yield* run(Redis.mget([key, other, key]))).toEqual([key, other, key].map(Option.some))
    }).pipe(Effect.scoped)
  )
})
