/*
 * The test kit for Sentinel: each operation is proven by what every sentinel and every node says.
 */
import * as FileSystem from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Connection, Redis, RedisCommand } from "effect-redis-client"
import * as RedisSentinel from "../../src/testing/RedisSentinel.js"
import { describeReal } from "../support/describeReal.js"
import { commandServers, olderServers } from "../support/servers.js"

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const refuses = (port: number) =>
  Effect.async<boolean>((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    socket.on("error", () => resume(Effect.succeed(true)))
    socket.on("connect", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

// All folders of servers are made in this one, which has to be empty at the end.
const temporary = FileSystem.mkdtempSync(Path.join(Os.tmpdir(), "rs-"))
const before = process.env.TMPDIR

beforeAll(() => {
  process.env.TMPDIR = temporary
})

afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  const left = FileSystem.readdirSync(temporary)
  FileSystem.rmSync(temporary, { recursive: true, force: true })
  expect(left).toEqual([])
})

// ---------------------------------------------------------------------------------------------------------------------
// What sentinels and nodes say
// ---------------------------------------------------------------------------------------------------------------------

type Kit = RedisSentinel.RedisSentinel

/** Asks every sentinel that runs, except the given ones. */
const askEach = <A>(
  { sentinels }: Kit,
  command: RedisCommand.RedisCommand<A>,
  except: ReadonlyArray<RedisSentinel.Sentinel> = []
) =>
  Effect.forEach(
    sentinels.filter((sentinel) => !except.includes(sentinel)),
    ({ run }) => run(command),
    { concurrency: "unbounded" }
  )

/** The addresses that sentinels give to clients, without repetitions. */
const addresses = (kit: Kit, except: ReadonlyArray<RedisSentinel.Sentinel> = []) =>
  Effect.map(askEach(kit, Redis.sentinelGetMasterAddrByName(kit.name), except), (all) => [
    ...new Set(all.map(Option.match({ onNone: () => "none", onSome: ({ host, port }) => `${host}:${port}` })))
  ])

/** What sentinels say of the replicas: the flags by port, without repetitions. */
const replicaFlags = (kit: Kit) =>
  Effect.map(askEach(kit, Redis.sentinelReplicas(kit.name)), (all) => [
    ...new Set(
      all.map((replicas) =>
        replicas
          .map(({ flags, port }) => `${Option.getOrUndefined(port)}:${flags.join(",")}`)
          .sort()
          .join(" ")
      )
    )
  ])

const roles = (kit: Kit) =>
  Effect.map(kit.nodes, (nodes) => nodes.map(({ role }) => Option.getOrElse(role, () => "none")).sort())

const addressOf = ({ host, port }: { readonly host: string; readonly port: number }) => `${host}:${port}`

const others = (kit: Kit, node: RedisSentinel.SentinelNode) =>
  Effect.map(kit.nodes, (nodes) => nodes.filter(({ port }) => port !== node.port))

const only = <A>(values: ReadonlyArray<A>): A => {
  const [value] = values
  if (value === undefined) throw new Error("there is none")
  return value
}

const refusal = (effect: Effect.Effect<unknown, RedisSentinel.RedisSentinelError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** Writes at the master, and waits until all replicas have the write. */
const write = (kit: Kit, key: string, replicas = 2) =>
  Effect.gen(function* () {
    const { run } = yield* kit.master
    yield* run(Redis.set(key, "kept"))
    expect(yield* run(RedisCommand.make("WAIT", { args: [replicas, 5_000] }))).toBe(replicas)
  })

/** A set of servers that lives as long as the tests of a block. */
const shared = (options: RedisSentinel.RedisSentinelOptions) => {
  const made: { kit?: Kit; scope?: Scope.CloseableScope; millis: number } = { millis: 0 }
  const close = Effect.suspend(() => (made.scope === undefined ? Effect.void : Scope.close(made.scope, Exit.void)))
  const start = Effect.gen(function* () {
    made.scope = yield* Scope.make()
    const begin = performance.now()
    made.kit = yield* Scope.extend(RedisSentinel.make(options), made.scope)
    made.millis = performance.now() - begin
  })
  beforeAll(() => Effect.runPromise(start))
  // What a failed test has left must not fail its second attempt, nor the tests after it.
  beforeEach(({ task }) =>
    (task.result?.retryCount ?? 0) > 0 ? Effect.runPromise(Effect.zipRight(close, start)) : undefined
  )
  afterAll(() => Effect.runPromise(close))
  return {
    /** How long its start took. */
    millis: Effect.sync(() => made.millis),
    kit: Effect.suspend(() => (made.kit === undefined ? Effect.die("not started") : Effect.succeed(made.kit))),
    close
  }
}

describeReal((server) => {
  const all = shared({ executable: server.executable, proxies: true })

  it.effect("starts a master, two replicas and three sentinels, in less than five seconds on an idle machine", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const isBusy = (Os.loadavg()[0] ?? 0) > Os.cpus().length
      expect(yield* all.millis).toBeLessThan(isBusy ? 20_000 : 5_000)
      expect(kit).toMatchObject({ name: "mymaster", product: server.product, version: server.version })
      const master = yield* kit.master
      expect(yield* roles(kit)).toEqual(["master", "replica", "replica"])
      expect(yield* addresses(kit)).toEqual([addressOf(master)])
      const flags = (yield* others(kit, master)).map(({ port }) => `${port}:slave`).sort()
      expect(yield* replicaFlags(kit)).toEqual([flags.join(" ")])
      const seen = yield* askEach(kit, Redis.sentinelMaster(kit.name))
      for (const one of seen) {
        expect(one).toMatchObject({
          flags: ["master"],
          quorum: Option.some(2),
          numSlaves: Option.some(2),
          numOtherSentinels: Option.some(2)
        })
      }
      expect(yield* askEach(kit, Redis.sentinelCkquorum(kit.name))).toEqual(
        Array.from({ length: 3 }, () => expect.stringMatching(/^OK 3 usable/))
      )
    })
  )

  it.scoped("names the proxies, which lead to the nodes", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      for (const node of yield* kit.nodes) {
        const proxy = Option.getOrThrow(node.proxy)
        expect(node.port).toBe(proxy.port)
        expect(node.port).not.toBe(node.server.port)
        const { accepted } = yield* proxy.stats
        const connection = yield* Connection.make({ url: node.url })
        yield* connection.execute(Redis.ping())
        expect((yield* proxy.stats).accepted).toBeGreaterThan(accepted)
      }
      for (const sentinel of kit.sentinels) {
        const connection = yield* Connection.make({ url: sentinel.url, expect: "node" })
        const address = yield* connection.execute(Redis.sentinelGetMasterAddrByName(kit.name))
        expect(Option.map(address, ({ port }) => port)).toEqual(Option.some((yield* kit.master).port))
      }
    })
  )

  it.effect("fails over, and the old master becomes a replica", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const old = yield* kit.master
      yield* write(kit, "failover")
      const now = yield* kit.failover()
      expect(now.port).not.toBe(old.port)
      expect(now.role).toEqual(Option.some("master"))
      expect(yield* addresses(kit)).toEqual([addressOf(now)])
      expect(yield* now.run(Redis.get("failover"))).toEqual(Option.some("kept"))
      yield* kit.agreed
      expect((yield* kit.node(old)).role).toEqual(Option.some("replica"))
      expect((yield* kit.master).port).toBe(now.port)
    })
  )

  it.effect("fails over twice in a row", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const first = yield* kit.failover()
      const second = yield* kit.failover()
      expect(second.port).not.toBe(first.port)
      yield* kit.agreed
      expect(yield* addresses(kit)).toEqual([addressOf(second)])
    })
  )

  it.effect("hands over without a loss on Valkey, and says that Redis cannot", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const old = yield* kit.master
      if (server.product === "redis") {
        expect(yield* refusal(kit.failover({ coordinated: true }))).toBe("Refused")
        expect((yield* kit.master).port).toBe(old.port)
      } else {
        const now = yield* kit.failover({ coordinated: true })
        expect(now.port).not.toBe(old.port)
        yield* kit.agreed
      }
    })
  )

  it.effect("kills the master, waits until a replica is promoted, and takes the old master back", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const old = yield* kit.master
      yield* write(kit, "kill")
      const pid = Option.getOrThrow(yield* old.server.pid)
      yield* kit.kill(old)
      expect(lives(pid)).toBe(false)
      expect(yield* addresses(kit)).toEqual([addressOf(old)])
      expect((yield* kit.node(old)).role).toEqual(Option.none())
      yield* kit.agreed
      const now = yield* kit.master
      expect(now.port).not.toBe(old.port)
      expect(yield* addresses(kit)).toEqual([addressOf(now)])
      expect(yield* now.run(Redis.get("kill"))).toEqual(Option.some("kept"))
      yield* kit.restart(old.port)
      yield* kit.agreed
      expect((yield* kit.node(old)).role).toEqual(Option.some("replica"))
      expect(yield* old.run(Redis.get("kill"))).toEqual(Option.some("kept"))
    })
  )

  it.effect("pauses the master, waits until a replica is promoted, and resumes it", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const old = yield* kit.master
      yield* kit.pause(old)
      expect((yield* kit.node(old)).role).toEqual(Option.none())
      yield* kit.agreed
      const now = yield* kit.master
      expect(now.port).not.toBe(old.port)
      yield* kit.resume(old)
      yield* kit.agreed
      expect((yield* kit.node(old)).role).toEqual(Option.some("replica"))
    })
  )

  it.effect("cuts the master off, which goes on being one, and takes it back as a replica", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const old = yield* kit.master
      yield* kit.cut(old)
      yield* kit.agreed
      const now = yield* kit.master
      expect(now.port).not.toBe(old.port)
      expect((yield* kit.node(old)).role).toEqual(Option.some("master"))
      yield* old.run(Redis.set("cut", "lost"))
      yield* kit.heal(old)
      yield* kit.agreed
      expect((yield* kit.node(old)).role).toEqual(Option.some("replica"))
      expect(yield* old.run(Redis.get("cut"))).toEqual(Option.none())
    })
  )

  it.effect("kills a sentinel, fails over without it, and starts it again", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const killed = only(kit.sentinels)
      const id = yield* killed.run(Redis.sentinelMyid())
      yield* kit.killSentinel(killed)
      expect(yield* killed.server.pid).toEqual(Option.none())
      yield* kit.agreed
      for (const others of yield* askEach(kit, Redis.sentinelSentinels(kit.name), [killed])) {
        const line = others.find(({ port }) => Option.contains(port, killed.port))
        expect(line?.flags).toContain("s_down")
      }
      const now = yield* kit.failover()
      expect(yield* addresses(kit, [killed])).toEqual([addressOf(now)])
      yield* kit.restartSentinel(killed)
      yield* kit.agreed
      expect(yield* addresses(kit)).toEqual([addressOf(now)])
      expect(yield* killed.run(Redis.sentinelMyid())).toBe(id)
      // Its times are short again.
      const times = yield* askEach(kit, Redis.sentinelDebug())
      expect(times.map((times) => times["PUBLISH-PERIOD"])).toEqual(times.map(() => Duration.millis(500)))
    })
  )

  it.effect("pauses all sentinels, and knows the master without them", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const { port } = yield* kit.master
      yield* Effect.forEach(kit.sentinels, kit.pauseSentinel)
      expect((yield* kit.master).port).toBe(port)
      expect(yield* refusal(kit.failover())).toBe("NotRunning")
      yield* Effect.forEach(kit.sentinels, kit.resumeSentinel)
      yield* kit.agreed
      const old = yield* kit.master
      expect((yield* kit.failover()).port).not.toBe(old.port)
    })
  )

  it.effect("refuses ports that are not of its servers", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const sentinel = only(kit.sentinels)
      expect(
        yield* Effect.all([
          refusal(kit.kill(sentinel)),
          refusal(kit.killSentinel(yield* kit.master)),
          refusal(kit.cut(1)),
          refusal(kit.node({ port: 1 }))
        ])
      ).toEqual(["UnknownNode", "UnknownNode", "UnknownNode", "UnknownNode"])
    })
  )

  it.effect("leaves nothing when its scope closes, with servers that are paused and killed", () =>
    Effect.gen(function* () {
      const kit = yield* all.kit
      const nodes = yield* kit.nodes
      const servers = [...nodes, ...kit.sentinels].map(({ server }) => server)
      const pids = (yield* Effect.forEach(servers, ({ pid }) => pid)).flatMap(Option.toArray)
      expect(pids).toHaveLength(6)
      const [killed, paused] = nodes
      if (killed === undefined || paused === undefined) throw new Error("there are not two nodes")
      yield* kit.kill(killed)
      yield* kit.pause(paused)
      yield* kit.pauseSentinel(only(kit.sentinels))
      yield* all.close
      expect(pids.filter(lives)).toEqual([])
      expect(FileSystem.readdirSync(temporary)).toEqual([])
      const ports = [...nodes, ...kit.sentinels].flatMap(({ port, server }) => [port, server.port])
      expect(yield* Effect.forEach(ports, refuses)).toEqual(ports.map(() => true))
    })
  )
}, commandServers.slice(-2))

/** Of the options, only the oldest and the newest server differ. */
const ends = commandServers.filter((_, n) => n === 0 || n === commandServers.length - 1)

const secret = Redacted.make('s"e\\c r%t')

describeReal((server) => {
  it.scoped("speaks TLS, has users of its own for nodes and sentinels, and announces a host name", () =>
    Effect.gen(function* () {
      const kit = yield* RedisSentinel.make({
        executable: server.executable,
        name: "orders",
        replicas: 1,
        tls: true,
        username: "ada",
        password: secret,
        acl: ["eve on >two ~app:* +get"],
        sentinelUsername: "watcher",
        sentinelPassword: Redacted.make("three"),
        hostname: "localhost"
      })
      const tls = { ca: [Option.getOrThrow(kit.tls).ca] }
      for (const node of yield* kit.nodes) {
        expect(node).toMatchObject({ host: "localhost", port: node.server.port, proxy: Option.none() })
        const connection = yield* Connection.make({ url: node.url, tls })
        expect(yield* connection.execute(Redis.aclWhoami())).toBe("ada")
      }
      for (const sentinel of kit.sentinels) {
        const connection = yield* Connection.make({ url: sentinel.url, expect: "node", tls })
        expect(yield* connection.execute(Redis.aclWhoami())).toBe("watcher")
        const without = Connection.make({ host: "localhost", port: sentinel.port, expect: "node", tls })
        const refused = yield* Effect.flip(
          Effect.scoped(Effect.flatMap(without, (connection) => connection.execute(Redis.ping())))
        )
        expect(refused.message).toMatch(/NOAUTH|WRONGPASS/)
      }
      const old = yield* kit.master
      expect(yield* addresses(kit)).toEqual([addressOf(old)])
      yield* write(kit, "tls", 1)
      yield* kit.kill(old)
      yield* kit.agreed
      const now = yield* kit.master
      expect(now.port).not.toBe(old.port)
      expect(yield* addresses(kit)).toEqual([`localhost:${now.port}`])
      expect(yield* now.run(Redis.get("tls"))).toEqual(Option.some("kept"))
      expect(yield* refusal(kit.cut(now))).toBe("Unsupported")
    })
  )

  it.scoped("has passwords, host names and proxies together, as a layer", () =>
    Effect.gen(function* () {
      const kit = Context.get(
        yield* Layer.build(
          RedisSentinel.layer({
            executable: server.executable,
            replicas: 1,
            password: secret,
            sentinelPassword: Redacted.make("three"),
            hostname: "localhost",
            proxies: true,
            config: { "min-replicas-max-lag": 3 },
            sentinelConfig: { "sentinel deny-scripts-reconfig": true }
          })
        ),
        RedisSentinel.RedisSentinel
      )
      const old = yield* kit.master
      expect(yield* old.run(Redis.configGet("min-replicas-max-lag"))).toEqual({ "min-replicas-max-lag": "3" })
      const now = yield* kit.failover()
      yield* kit.agreed
      expect(yield* addresses(kit)).toEqual([`localhost:${now.port}`])
      const connection = yield* Connection.make({ url: now.url })
      yield* connection.execute(Redis.set("a", "b"))
      expect((yield* kit.node(old)).role).toEqual(Option.some("replica"))
    })
  )

  it.effect("leaves nothing when its start is interrupted", () =>
    Effect.gen(function* () {
      const folders = FileSystem.readdirSync(temporary)
      for (const millis of [20, 150, 600]) {
        const fiber = yield* Effect.fork(
          Effect.scoped(RedisSentinel.make({ executable: server.executable, proxies: true }))
        )
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))
        yield* Fiber.interrupt(fiber)
        expect(FileSystem.readdirSync(temporary)).toHaveLength(folders.length)
      }
    })
  )
}, ends)

describe("a set that cannot start", () => {
  it.scoped("says that its server was not found", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisSentinel.make({ executable: "/nowhere/redis-server" }))
      expect(error).toMatchObject({ _tag: "RedisSentinelError", reason: "NotFound" })
    })
  )

  it.scoped("says that a number is wrong", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisSentinel.make({ sentinels: 0 }))
      expect(error).toMatchObject({ reason: "Unsupported", message: "sentinels must be a whole number from 1." })
    })
  )

  const [old] = olderServers
  it.scoped.skipIf(old === undefined)("says that the server is too old", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisSentinel.make({ executable: old?.executable }))
      expect(error).toMatchObject({ reason: "Unsupported", message: expect.stringContaining("from 7.0 on") })
    })
  )
})
