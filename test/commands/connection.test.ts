import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { type ClientInfo, make } from "../../src/commands/connection.js"
import { Redis, type RedisService } from "../../src/internal/command/model.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import {
  decode,
  isCluster,
  liveSuite,
  notOverCluster,
  reads,
  readsEach,
  readsError,
  refuses,
  sends,
  tagged,
  wire
} from "../support/commands.js"

const connection = make(Codec.utf8)
const binary = make(Codec.bytes)
const secret = Redacted.make("secret")
const raw = (name: string, ...args: ReadonlyArray<string>) => RedisCommand.make(name, { args })

const redis70 =
  "id=3 addr=127.0.0.1:37188 laddr=127.0.0.1:35787 fd=8 name= age=5 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=20448 argv-mem=10 multi-mem=0 rbs=16384 rbp=16384 obl=0 oll=0 omem=0 tot-mem=37658 events=r cmd=client|info user=default redir=-1 resp=2"
const valkey91 =
  "id=4 addr=/tmp/my redis/server.sock:0 laddr=/tmp/my redis/server.sock:0 fd=10 name=worker age=0 idle=70 flags=U capa=r db=2 sub=0 psub=0 ssub=0 multi=-1 watch=1 qbuf=0 qbuf-free=0 argv-mem=10 multi-mem=0 rbs=1024 rbp=343 obl=0 oll=0 omem=0 tot-mem=1690 events=r cmd=NULL user=ada redir=7 resp=3 lib-name=effect lib-ver=0.1.0 tot-net-in=9007199254740993 tot-net-out=1182 tot-cmds=5"

describe("connection commands encode their arguments", () => {
  it("AUTH and HELLO do not show their secrets", () => {
    sends(connection.auth(secret), ["AUTH", "secret"])
    sends(connection.auth("ada", secret), ["AUTH", "ada", "secret"])
    sends(connection.hello(), ["HELLO"])
    sends(connection.hello(3), ["HELLO", "3"])
    const hello = connection.hello(2, { auth: { username: "ada", password: secret }, setname: "worker" })
    sends(hello, ["HELLO", "2", "AUTH", "ada", "secret", "SETNAME", "worker"])
    refuses(connection.hello(undefined, { setname: "worker" }), /protocol's version/)
    for (const command of [connection.auth("ada", secret), hello]) {
      expect(`${command} ${JSON.stringify(command)}`).not.toContain("secret")
    }
  })

  it("CLIENT subcommands with few arguments", () => {
    sends(connection.clientCaching("yes"), ["CLIENT", "CACHING", "YES"])
    sends(connection.clientCaching("no"), ["CLIENT", "CACHING", "NO"])
    sends(connection.clientCapa("redirect"), ["CLIENT", "CAPA", "redirect"])
    sends(connection.clientCapa(["redirect", "other"]), ["CLIENT", "CAPA", "redirect", "other"])
    refuses(connection.clientCapa([] as never), /at least one/)
    sends(connection.clientGetname(), ["CLIENT", "GETNAME"])
    sends(connection.clientGetredir(), ["CLIENT", "GETREDIR"])
    sends(connection.clientId(), ["CLIENT", "ID"])
    sends(connection.clientImportSource("on"), ["CLIENT", "IMPORT-SOURCE", "ON"])
    sends(connection.clientInfo(), ["CLIENT", "INFO"])
    sends(connection.clientNoEvict("on"), ["CLIENT", "NO-EVICT", "ON"])
    sends(connection.clientNoTouch("off"), ["CLIENT", "NO-TOUCH", "OFF"])
    sends(connection.clientPause("1500 millis"), ["CLIENT", "PAUSE", "1500"])
    sends(connection.clientPause("1 second", { write: true }), ["CLIENT", "PAUSE", "1000", "WRITE"])
    sends(connection.clientPause("1 second", { all: true }), ["CLIENT", "PAUSE", "1000", "ALL"])
    sends(connection.clientReply("on"), ["CLIENT", "REPLY", "ON"])
    sends(connection.clientReply("off"), ["CLIENT", "REPLY", "OFF"])
    sends(connection.clientReply("skip"), ["CLIENT", "REPLY", "SKIP"])
    sends(connection.clientSetinfo({ libName: "effect" }), ["CLIENT", "SETINFO", "LIB-NAME", "effect"])
    sends(connection.clientSetinfo({ libVer: "0.1.0" }), ["CLIENT", "SETINFO", "LIB-VER", "0.1.0"])
    sends(connection.clientSetname("worker"), ["CLIENT", "SETNAME", "worker"])
    sends(connection.clientTrackinginfo(), ["CLIENT", "TRACKINGINFO"])
    sends(connection.clientUnblock(7), ["CLIENT", "UNBLOCK", "7"])
    sends(connection.clientUnblock(7, { timeout: true }), ["CLIENT", "UNBLOCK", "7", "TIMEOUT"])
    sends(connection.clientUnblock(7, { error: true }), ["CLIENT", "UNBLOCK", "7", "ERROR"])
    sends(connection.clientUnpause(), ["CLIENT", "UNPAUSE"])
  })

  it("CLIENT KILL and LIST", () => {
    sends(connection.clientKill("127.0.0.1:1234"), ["CLIENT", "KILL", "127.0.0.1:1234"])
    sends(connection.clientKill({ id: 7 }), ["CLIENT", "KILL", "ID", "7"])
    sends(connection.clientKill({ id: [7, 8], type: "replica", skipme: "no" }), [
      "CLIENT",
      "KILL",
      "ID",
      "7",
      "8",
      "TYPE",
      "REPLICA",
      "SKIPME",
      "NO"
    ])
    const all = {
      user: "u",
      addr: "a:1",
      laddr: "l:1",
      maxage: "1 minute",
      name: "n",
      idle: "2 seconds",
      flags: "N",
      libName: "ln",
      libVer: "lv",
      db: 1,
      capa: "r",
      ip: "::1",
      notId: [1, 2],
      notType: "pubsub",
      notUser: "nu",
      notAddr: "na",
      notLaddr: "nl",
      notName: "nn",
      notFlags: "x",
      notLibName: "nln",
      notLibVer: "nlv",
      notDb: 2,
      notCapa: "q",
      notIp: "ni"
    } as const
    const words = [
      "USER",
      "u",
      "ADDR",
      "a:1",
      "LADDR",
      "l:1",
      "MAXAGE",
      "60",
      "NAME",
      "n",
      "IDLE",
      "2",
      "FLAGS",
      "N",
      "LIB-NAME",
      "ln",
      "LIB-VER",
      "lv",
      "DB",
      "1",
      "CAPA",
      "r",
      "IP",
      "::1",
      "NOT-ID",
      "1",
      "2",
      "NOT-TYPE",
      "PUBSUB",
      "NOT-USER",
      "nu",
      "NOT-ADDR",
      "na",
      "NOT-LADDR",
      "nl",
      "NOT-NAME",
      "nn",
      "NOT-FLAGS",
      "x",
      "NOT-LIB-NAME",
      "nln",
      "NOT-LIB-VER",
      "nlv",
      "NOT-DB",
      "2",
      "NOT-CAPA",
      "q",
      "NOT-IP",
      "ni"
    ]
    sends(connection.clientKill(all), ["CLIENT", "KILL", ...words])
    sends(connection.clientList(all), ["CLIENT", "LIST", ...words])
    sends(connection.clientList(), ["CLIENT", "LIST"])
    sends(connection.clientList({ type: "normal" }), ["CLIENT", "LIST", "TYPE", "NORMAL"])
    sends(connection.clientList({ id: [1, 2] }), ["CLIENT", "LIST", "ID", "1", "2"])
    refuses(connection.clientKill({}), /at least one filter/)
    refuses(connection.clientKill({ id: [] as never }), /at least one id/)
    refuses(connection.clientKill({ maxage: "1 milli" }), /whole seconds/)
  })

  it("CLIENT TRACKING", () => {
    sends(connection.clientTracking("off"), ["CLIENT", "TRACKING", "OFF"])
    sends(connection.clientTracking("on"), ["CLIENT", "TRACKING", "ON"])
    sends(connection.clientTracking("on", { optin: true, noloop: true }), [
      "CLIENT",
      "TRACKING",
      "ON",
      "OPTIN",
      "NOLOOP"
    ])
    sends(connection.clientTracking("on", { optout: true, redirect: 7 }), [
      "CLIENT",
      "TRACKING",
      "ON",
      "REDIRECT",
      "7",
      "OPTOUT"
    ])
    sends(connection.clientTracking("on", { bcast: true, prefix: ["a:", "b:"] }), [
      "CLIENT",
      "TRACKING",
      "ON",
      "PREFIX",
      "a:",
      "PREFIX",
      "b:",
      "BCAST"
    ])
    tagged(connection.clientTracking("on", { bcast: true, prefix: "a:" }), ["token", "token", "keyPrefix", "token"])
  })

  it("ECHO, PING, QUIT, RESET, SELECT", () => {
    sends(connection.echo("hello"), ["ECHO", "hello"])
    sends(connection.ping(), ["PING"])
    sends(connection.ping("hello"), ["PING", "hello"])
    sends(connection.quit(), ["QUIT"])
    sends(connection.reset(), ["RESET"])
    sends(connection.select(2), ["SELECT", "2"])
    refuses(connection.select(1.5), /integer/)
  })

  it("commands that change the connection are stateful", () => {
    expect(connection.select(1).traits.stateful).toBe("database")
    expect(connection.clientReply("off").traits.stateful).toBe("silence")
    expect(connection.clientNoTouch("on").traits.stateful).toBe("connection")
    expect(connection.clientList().traits.stateful).toBeUndefined()
    expect(Equal.equals(connection.hello(3), connection.hello(3))).toBe(true)
    expect(Equal.equals(connection.clientTrackinginfo(), connection.clientTrackinginfo())).toBe(true)
  })
})

const addrOf = ({ addr }: ClientInfo): string => Option.getOrThrow(addr)

describe("connection commands decode their replies", () => {
  it("CLIENT INFO and LIST", () => {
    const expected = {
      id: 3,
      addr: Option.some("127.0.0.1:37188"),
      name: Option.some(""),
      age: Option.some(Duration.seconds(5)),
      idle: Option.some(Duration.zero),
      flags: Option.some("N"),
      multi: Option.some(-1),
      qbufFree: Option.some(20448),
      cmd: Option.some("client|info"),
      user: Option.some("default"),
      redir: Option.some(-1),
      resp: Option.some(2)
    }
    for (const literal of [wire.bulk(`${redis70}\n`), wire.verbatim(`${redis70}\n`)]) {
      expect(decode(connection.clientInfo(), literal)).toMatchObject({ _tag: "Success", value: expected })
    }
    const list = decode(connection.clientList(), wire.bulk(`${redis70}\n${valkey91}\n`))
    expect(list).toMatchObject({
      value: [
        expected,
        {
          id: 4,
          addr: Option.some("/tmp/my redis/server.sock:0"),
          name: Option.some("worker"),
          idle: Option.some(Duration.seconds(70)),
          capa: Option.some("r"),
          watch: Option.some(1),
          libName: Option.some("effect"),
          libVer: Option.some("0.1.0"),
          totNetIn: Option.some(9007199254740993n),
          totCmds: Option.some(5),
          fields: { "lib-name": "effect", "tot-net-in": "9007199254740993" }
        }
      ]
    })
    readsEach(connection.clientList(), [wire.bulk(""), wire.verbatim("")], [])
    readsError(connection.clientList(), wire.bulk(`${redis70}\nid=x\n`), { _tag: "DecodeError", path: [1, "id"] })
    readsError(connection.clientInfo(), wire.bulk("nonsense"), { _tag: "DecodeError" })
    reads(connection.clientKill({ id: 1 }), ":2\r\n", 2)
    reads(connection.clientKill("a:1"), "+OK\r\n", undefined)
    readsError(connection.clientKill("a:1"), "-ERR No such client\r\n", { _tag: "ReplyError", code: "ERR" })
  })

  it("CLIENT TRACKINGINFO", () => {
    const flags = [wire.bulk("on"), wire.bulk("bcast")]
    const rest = [wire.bulk("redirect"), ":0\r\n", wire.bulk("prefixes"), wire.array(wire.bulk("a:"))]
    const literals = [
      wire.array(wire.bulk("flags"), wire.array(...flags), ...rest),
      wire.map(wire.bulk("flags"), wire.set(...flags), ...rest)
    ]
    readsEach(connection.clientTrackinginfo(), literals, {
      flags: ["on", "bcast"],
      redirect: Option.some(0),
      prefixes: ["a:"],
      other: {}
    })
    readsEach(binary.clientTrackinginfo(), literals, {
      flags: ["on", "bcast"],
      redirect: Option.some(0),
      prefixes: [Uint8Array.of(0x61, 0x3a)],
      other: {}
    })
  })

  it("HELLO", () => {
    const module = [
      wire.bulk("name"),
      wire.bulk("vectorset"),
      wire.bulk("ver"),
      ":1\r\n",
      wire.bulk("path"),
      wire.bulk(""),
      wire.bulk("args"),
      wire.array(wire.bulk("x"))
    ]
    const fields = (modules: string) => [
      wire.bulk("server"),
      wire.bulk("redis"),
      wire.bulk("version"),
      wire.bulk("8.0.2"),
      wire.bulk("proto"),
      ":3\r\n",
      wire.bulk("id"),
      ":4\r\n",
      wire.bulk("mode"),
      wire.bulk("standalone"),
      wire.bulk("role"),
      wire.bulk("master"),
      wire.bulk("modules"),
      modules
    ]
    const expected = {
      server: Option.some("redis"),
      version: Option.some("8.0.2"),
      proto: 3,
      id: Option.some(4),
      mode: Option.some("standalone"),
      role: Option.some("master"),
      modules: [{ name: "vectorset", ver: Option.some(1), path: Option.some(""), args: ["x"], other: {} }],
      availabilityZone: Option.none<string>(),
      other: {}
    }
    readsEach(
      connection.hello(3),
      [wire.array(...fields(wire.array(wire.array(...module)))), wire.map(...fields(wire.array(wire.map(...module))))],
      expected
    )
    // Redis 6 reports only the name and version of a module; Valkey 8.1 reports its availability zone.
    reads(
      connection.hello(3),
      wire.map(
        ...fields(wire.array(wire.map(...module.slice(0, 4)))),
        wire.bulk("availability_zone"),
        wire.bulk("eu-1a")
      ),
      {
        ...expected,
        modules: [{ name: "vectorset", ver: Option.some(1), path: Option.none(), args: [], other: {} }],
        availabilityZone: Option.some("eu-1a")
      }
    )
    readsError(connection.hello(4 as never), "-NOPROTO unsupported protocol version\r\n", {
      _tag: "ReplyError",
      code: "NOPROTO"
    })
  })

  it("all other connection commands", () => {
    for (const command of [
      connection.auth(secret),
      connection.clientCaching("yes"),
      connection.clientPause("1 second"),
      connection.clientSetname("x"),
      connection.clientTracking("on"),
      connection.quit(),
      connection.select(1)
    ]) {
      reads(command, "+OK\r\n", undefined)
      readsError(command, wire.nil, { _tag: "DecodeError" })
    }
    reads(connection.reset(), "+RESET\r\n", undefined)
    reads(connection.clientGetname(), wire.bulk("worker"), Option.some("worker"))
    readsEach(connection.clientGetname(), [wire.nil2, wire.nil], Option.none())
    reads(connection.clientGetredir(), ":-1\r\n", -1)
    reads(connection.clientId(), ":42\r\n", 42)
    reads(connection.clientUnblock(1), ":1\r\n", true)
    reads(connection.clientUnblock(1), ":0\r\n", false)
    reads(connection.ping(), "+PONG\r\n", "PONG")
    reads(connection.ping("hi"), wire.bulk("hi"), "hi")
    reads(connection.echo("hi"), wire.bulk("hi"), "hi")
    reads(binary.echo("hi"), wire.bulk("hi"), Uint8Array.of(0x68, 0x69))
    const failed = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    readsError(connection.auth(secret), failed, { _tag: "ReplyError", code: "WRONGPASS" })
  })
})

liveSuite("connection", ({ effect, isSince, live, needs, needsVersion, onLease, product, protocol, version }) => {
  effect("PING and ECHO", () =>
    Effect.gen(function* () {
      expect(yield* connection.ping()).toBe("PONG")
      expect(yield* connection.ping("värde")).toBe("värde")
      expect(yield* connection.echo("hello")).toBe("hello")
      expect(yield* binary.echo(Uint8Array.of(0xff, 0))).toEqual(Uint8Array.of(0xff, 0))
    })
  )

  effect("HELLO", () =>
    onLease(
      Effect.gen(function* () {
        const told = yield* connection.hello()
        expect(told).toMatchObject({
          server: Option.some(product),
          version: Option.some(version),
          proto: protocol,
          mode: Option.some(isCluster ? "cluster" : "standalone"),
          role: Option.some("master")
        })
        const other = protocol === 2 ? 3 : 2
        expect((yield* connection.hello(other, { setname: "worker" })).proto).toBe(other)
        expect(yield* connection.clientGetname()).toEqual(Option.some("worker"))
        const wrong = yield* Effect.flip(
          connection.hello(other, { auth: { username: "ada", password: Redacted.make("wrong-password") } })
        )
        expect(wrong).toMatchObject({ _tag: "ReplyError", code: "WRONGPASS" })
        expect(String(wrong)).not.toContain("wrong-password")
      })
    )
  )

  effect("AUTH", () =>
    onLease(
      Effect.gen(function* () {
        yield* raw("ACL SETUSER", "ada", "on", ">sesame", "+@all", "~*")
        yield* connection.auth("ada", Redacted.make("sesame"))
        expect((yield* connection.clientInfo()).user).toEqual(Option.some("ada"))
        const wrong = yield* Effect.flip(connection.auth("ada", Redacted.make("wrong-password")))
        expect(wrong).toMatchObject({ _tag: "ReplyError", code: "WRONGPASS" })
        expect(String(wrong)).not.toContain("wrong-password")
        const none = yield* Effect.flip(connection.auth(Redacted.make("wrong-password")))
        expect(none).toMatchObject({ _tag: "ReplyError" })
        expect(String(none)).not.toContain("wrong-password")
      })
    )
  )

  effect("SELECT", () =>
    onLease(
      Effect.gen(function* () {
        yield* notOverCluster("a cluster has one database")
        yield* connection.select(3)
        expect((yield* connection.clientInfo()).db).toEqual(Option.some(3))
        yield* connection.reset()
        expect((yield* connection.clientInfo()).db).toEqual(Option.some(0))
        expect(yield* Effect.flip(connection.select(99))).toMatchObject({ _tag: "ReplyError" })
      })
    )
  )

  effect("CLIENT GETNAME, SETNAME, ID, INFO and REPLY, RESET", () =>
    onLease(
      Effect.gen(function* () {
        expect(yield* connection.clientGetname()).toEqual(Option.none())
        yield* connection.clientSetname("worker")
        expect(yield* connection.clientGetname()).toEqual(Option.some("worker"))
        const id = yield* connection.clientId()
        const info = yield* connection.clientInfo()
        expect(info).toMatchObject({
          id,
          name: Option.some("worker"),
          db: Option.some(0),
          multi: Option.some(-1),
          user: Option.some("default")
        })
        expect(Object.keys(info.fields).length).toBeGreaterThan(20)
        yield* connection.reset()
        expect(yield* connection.clientInfo()).toMatchObject({ id, name: Option.some("") })
        expect(yield* Effect.flip(connection.clientSetname("two words"))).toMatchObject({ _tag: "ReplyError" })
        yield* connection.clientReply("on")
      })
    )
  )

  effect("CLIENT INFO has a typed property for each field of the server's line", () =>
    Effect.gen(function* () {
      const known = (yield* connection.clientInfo()) as unknown as Record<string, unknown>
      const fields = Object.keys(known.fields as object)
      const unread = fields.filter((name) => {
        const camel = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
        return known[camel] === undefined
      })
      expect(unread).toEqual([])
    })
  )

  effect("CLIENT LIST", () =>
    onLease(
      Effect.gen(function* () {
        yield* connection.clientSetname("worker")
        const id = yield* connection.clientId()
        const all = yield* connection.clientList()
        expect(all.find((client) => client.id === id)).toMatchObject({
          name: Option.some("worker"),
          cmd: Option.some("client|list")
        })
        expect((yield* connection.clientList({ id: [id, 999_999] })).map((client) => client.id)).toEqual([id])
        const subscribers = yield* connection.clientList({ type: "pubsub" })
        expect((yield* connection.clientList({ type: "normal" })).length).toBe(all.length - subscribers.length)
        // A sentinel that watches the server is the only one, if there is one.
        expect(subscribers.filter(({ name }) => !/^sentinel-/.test(Option.getOrElse(name, () => "")))).toEqual([])
      })
    )
  )

  effect("CLIENT LIST by Valkey's filters", () =>
    onLease(
      Effect.gen(function* () {
        yield* needsVersion({ valkey: "9.0" })
        yield* connection.clientSetname("worker")
        const id = yield* connection.clientId()
        expect(
          (yield* connection.clientList({ name: "worker", db: 0, notType: "pubsub" })).map((client) => client.id)
        ).toEqual([id])
        expect(yield* connection.clientList({ notId: [id], name: "worker" })).toEqual([])
      })
    )
  )

  effect("CLIENT KILL", () =>
    Effect.gen(function* () {
      const redis = yield* Redis
      const victim = Effect.gen(function* () {
        const leased = yield* redis.lease
        const told = yield* leased.send(connection.clientInfo())
        return { leased, told }
      })
      const first = yield* victim
      expect(yield* connection.clientKill({ id: first.told.id })).toBe(1)
      expect(yield* connection.clientKill({ id: first.told.id })).toBe(0)
      // Waits until this side notices the kill, too. Otherwise the lease returns to its pool as a working connection.
      const noticed = ({ leased }: { readonly leased: RedisService }) =>
        Effect.gen(function* () {
          expect(yield* Effect.flip(leased.send(connection.ping()))).toMatchObject({ _tag: "ConnectionError" })
        })
      yield* noticed(first)
      const second = yield* victim
      yield* connection.clientKill(addrOf(second.told))
      expect(yield* Effect.flip(connection.clientKill(addrOf(second.told)))).toMatchObject({ _tag: "ReplyError" })
      yield* noticed(second)
      const third = yield* victim
      expect(
        yield* connection.clientKill({
          addr: addrOf(third.told),
          laddr: Option.getOrThrow(third.told.laddr),
          user: "default",
          skipme: "yes",
          type: "normal"
        })
      ).toBe(1)
      yield* noticed(third)
      if (isSince({ redis: "7.4", valkey: "8.0" })) {
        expect(yield* connection.clientKill({ maxage: "1 day" })).toBe(0)
      }
      if (isSince({ valkey: "9.0" })) {
        const fourth = yield* victim
        yield* fourth.leased.send(connection.clientSetname("victim"))
        expect(yield* connection.clientKill({ name: "victim", notId: [1, 2] })).toBe(1)
        yield* noticed(fourth)
      }
    })
  )

  live("CLIENT UNBLOCK", () =>
    Effect.gen(function* () {
      const redis = yield* Redis
      const leased = yield* redis.lease
      const id = yield* leased.send(connection.clientId())
      const blocked = yield* Effect.fork(Effect.either(leased.send(raw("BLPOP", "none", "60"))))
      const unblock = (how: Parameters<typeof connection.clientUnblock>[1]) =>
        Effect.repeat(connection.clientUnblock(id, how), { until: (done) => done })
      yield* unblock({ error: true })
      expect(yield* Fiber.join(blocked)).toMatchObject({ _tag: "Left", left: { code: "UNBLOCKED" } })
      const again = yield* Effect.fork(leased.send(raw("BLPOP", "none", "60")))
      yield* unblock({ timeout: true })
      expect(yield* Fiber.join(again)).toBeNull()
      expect(yield* connection.clientUnblock(id)).toBe(false)
    })
  )

  effect("CLIENT PAUSE and UNPAUSE", () =>
    Effect.gen(function* () {
      yield* connection.clientPause("10 seconds", { write: true })
      expect(yield* connection.ping()).toBe("PONG")
      yield* connection.clientUnpause()
      yield* connection.clientPause("1 milli", { all: true })
      yield* connection.clientUnpause()
      yield* raw("SET", "k", "v")
    })
  )

  effect("CLIENT TRACKING", () =>
    onLease(
      Effect.gen(function* () {
        const off = yield* connection.clientTrackinginfo()
        expect(off).toEqual({ flags: ["off"], redirect: Option.some(-1), prefixes: [], other: {} })
        expect(yield* connection.clientGetredir()).toBe(-1)
        const redirect = protocol === 2 ? { redirect: yield* connection.clientId() } : {}
        yield* connection.clientTracking("on", { ...redirect, bcast: true, prefix: ["a:", "b:"], noloop: true })
        const broadcast = yield* connection.clientTrackinginfo()
        expect(broadcast.flags).toEqual(expect.arrayContaining(["on", "bcast", "noloop"]))
        expect([...broadcast.prefixes].sort()).toEqual(["a:", "b:"])
        expect(yield* connection.clientGetredir()).toBe(
          protocol === 2 ? (redirect as { redirect: number }).redirect : 0
        )
        yield* connection.clientTracking("off")
        yield* connection.clientTracking("on", { ...redirect, optin: true })
        yield* connection.clientCaching("yes")
        expect((yield* connection.clientTrackinginfo()).flags).toContain("caching-yes")
        yield* connection.clientTracking("off")
        yield* connection.clientTracking("on", { ...redirect, optout: true })
        yield* connection.clientCaching("no")
        yield* connection.clientTracking("off")
        expect(yield* Effect.flip(connection.clientCaching("yes"))).toMatchObject({ _tag: "ReplyError" })
      })
    )
  )

  effect("CLIENT NO-EVICT", () =>
    onLease(
      Effect.gen(function* () {
        yield* needs("CLIENT NO-EVICT")
        yield* connection.clientNoEvict("on")
        expect(Option.getOrThrow((yield* connection.clientInfo()).flags)).toContain("e")
        yield* connection.clientNoEvict("off")
      })
    )
  )

  effect("CLIENT NO-TOUCH and SETINFO", () =>
    onLease(
      Effect.gen(function* () {
        yield* needs("CLIENT NO-TOUCH", "CLIENT SETINFO")
        yield* connection.clientNoTouch("on")
        expect(Option.getOrThrow((yield* connection.clientInfo()).flags)).toContain("T")
        yield* connection.clientNoTouch("off")
        yield* connection.clientSetinfo({ libName: "effect" })
        yield* connection.clientSetinfo({ libVer: "0.1.0" })
        expect(yield* connection.clientInfo()).toMatchObject({
          libName: Option.some("effect"),
          libVer: Option.some("0.1.0")
        })
      })
    )
  )

  effect("CLIENT CAPA and IMPORT-SOURCE", () =>
    onLease(
      Effect.gen(function* () {
        yield* needs("CLIENT CAPA", "CLIENT IMPORT-SOURCE")
        yield* connection.clientCapa("redirect")
        expect((yield* connection.clientInfo()).capa).toEqual(Option.some("r"))
        yield* raw("CONFIG SET", "import-mode", "yes")
        yield* connection.clientImportSource("on")
        expect(Option.getOrThrow((yield* connection.clientInfo()).flags)).toContain("I")
        yield* connection.clientImportSource("off")
        yield* raw("CONFIG SET", "import-mode", "no")
      })
    )
  )

  effect("QUIT", () =>
    onLease(
      Effect.gen(function* () {
        yield* connection.quit()
      })
    )
  )
})
