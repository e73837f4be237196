/** Options and URLs: every form, refusals by name, and no secret in a refusal. */
import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Connection, Pool, Redis, RedisPubSub } from "effect-redis-client"
import * as Options from "../src/internal/connection/options.js"
import type { RedisError } from "../src/RedisError.js"
import { configured, failures, prettyWithCauses } from "./support/effect.js"
import * as Peer from "./support/peer.js"

/** Part of every secret in these tests: no rendering may contain it. */
const mark = "s3cr3t"

const resolved = (options: Connection.ConnectionOptions) => Either.getOrThrow(Options.resolve(options))

const refusal = (options: Connection.ConnectionOptions) => Either.getOrThrow(Either.flip(Options.resolve(options)))

/** Opens a resource and closes it. */
const opened = (make: Effect.Effect<unknown, RedisError, Scope.Scope>): Effect.Effect<void, RedisError> =>
  Effect.asVoid(Effect.scoped(make))

/** Every rendering of a value. */
const renderings = (value: unknown): string =>
  [
    String(value),
    JSON.stringify(value),
    inspect(value, { depth: 20, showHidden: true }),
    value instanceof Error ? `${value.message} ${value.stack}` : "",
    Cause.isCause(value) ? prettyWithCauses(value) : "",
    Exit.isExit(value) && Exit.isFailure(value) ? prettyWithCauses(value.cause) : ""
  ].join("\n")

describe("URLs", () => {
  const tcp = (host: string, port: number) => ({ _tag: "Tcp", host, port })

  for (const [url, expected] of [
    ["redis://localhost", { endpoint: tcp("localhost", 6379), tls: undefined, database: 0, protocol: 3 }],
    ["redis://", { endpoint: tcp("localhost", 6379) }],
    ["redis://example.com:6380", { endpoint: tcp("example.com", 6380) }],
    ["redis://example.com:/", { endpoint: tcp("example.com", 6379), database: 0 }],
    ["REDIS://example.com", { endpoint: tcp("example.com", 6379) }],
    ["valkey://example.com", { endpoint: tcp("example.com", 6379), tls: undefined }],
    ["rediss://example.com", { endpoint: tcp("example.com", 6379), tls: {} }],
    ["valkeys://example.com:1", { endpoint: tcp("example.com", 1), tls: {} }],
    ["redis://127.0.0.1:65535", { endpoint: tcp("127.0.0.1", 65535) }],
    ["redis://[::1]", { endpoint: tcp("::1", 6379) }],
    ["redis://[2001:db8::7]:6380/4", { endpoint: tcp("2001:db8::7", 6380), database: 4 }],
    ["redis://h/0", { database: 0 }],
    ["redis://h/0/", { database: 0 }],
    ["redis://h/15", { database: 15 }],
    ["redis://h/15/?protocol=2", { database: 15, protocol: 2 }],
    ["redis://h?db=7", { database: 7 }],
    ["redis://h/?db=7", { database: 7 }],
    ["redis://h/2?protocol=2", { database: 2, protocol: 2 }],
    ["redis://h?protocol=3", { protocol: 3 }],
    ["redis://h?client_name=worker-1", { clientName: "worker-1" }],
    ["redis://h?family=4", { family: 4 }],
    ["redis://h?family=6&db=1&protocol=2&client_name=x", { family: 6, database: 1, protocol: 2, clientName: "x" }],
    ["unix:///run/redis.sock", { endpoint: { _tag: "Unix", path: "/run/redis.sock" }, tls: undefined, database: 0 }],
    ["unix:///run/my%20redis.sock?db=3", { endpoint: { _tag: "Unix", path: "/run/my redis.sock" }, database: 3 }]
  ] as const) {
    it(url, () => {
      expect(resolved({ url })).toMatchObject(expected)
      expect(resolved({ url: Redacted.make(url) })).toEqual(resolved({ url }))
    })
  }

  for (const [url, username, password] of [
    ["redis://h", undefined, undefined],
    // As some services print it, for a server without a password.
    ["redis://default@h", undefined, undefined],
    ["redis://default:@h", undefined, undefined],
    ["redis://:@h", undefined, undefined],
    ["redis://:secret@h", undefined, "secret"],
    ["redis://ada:secret@h", "ada", "secret"],
    ["redis://default:secret@h:1/2?family=4", "default", "secret"],
    ["redis://a%40b:p%40ss%2Fw%3Ard%3F%23%25@h", "a@b", "p@ss/w:rd?#%"],
    ["redis://:p%C3%A4ss%20w%C3%B6rt@h", undefined, "päss wört"],
    ["redis://:pa:ss@h", undefined, "pa:ss"],
    ["redis://:a+b@h", undefined, "a+b"]
  ] as const) {
    it(`credentials of ${url}`, () => {
      const options = resolved({ url })
      expect(options.username).toBe(username)
      expect(options.password === undefined ? undefined : Redacted.value(options.password)).toBe(password)
    })
  }

  it("a separate option wins over the URL", () => {
    const url = "redis://ada:secret@h:1/2?protocol=2&client_name=a&family=4"
    expect(
      resolved({
        url,
        host: "other",
        port: 5,
        database: 6,
        username: "bob",
        password: Redacted.make("own"),
        protocol: 3,
        clientName: "b",
        family: 6,
        tls: { serverName: "name" }
      })
    ).toMatchObject({
      endpoint: tcp("other", 5),
      database: 6,
      username: "bob",
      password: Redacted.make("own"),
      protocol: 3,
      clientName: "b",
      family: 6,
      tls: { serverName: "name" }
    })
    expect(resolved({ url: "rediss://h", tls: true }).tls).toEqual({})
    expect(resolved({ url: "redis://h", tls: true }).tls).toEqual({})
    expect(resolved({ url: "unix:///a", path: "/b" }).endpoint).toEqual({ _tag: "Unix", path: "/b" })
  })

  for (const [url, message] of [
    [`http://:${mark}@h`, /scheme is "http"; use redis, rediss, valkey, valkeys or unix/],
    [`redis+tls://:${mark}@h`, /scheme is "redis\+tls"/],
    [`localhost:6379`, /does not begin with redis:\/\//],
    [`${mark}:6379`, /does not begin with redis:\/\//],
    [`s3://${mark}`, /does not begin with redis:\/\//],
    [`:${mark}@h`, /does not begin with redis:\/\//],
    [`redis://:${mark}@h:0`, /port must be a whole number from 1 to 65535/],
    [`redis://:${mark}@h:65536`, /port must be a whole number from 1 to 65535/],
    [`redis://:${mark}@[::1]:99999/1`, /port must be a whole number from 1 to 65535/],
    [`redis://:${mark}@h:port`, /malformed; the password or the user may need percent-encoding/],
    [`redis://:${mark}@h:-1`, /malformed/],
    [`redis://:${mark} @h:1 2`, /malformed/],
    [`redis://:${mark}@h?timeout=5`, /unknown parameter "timeout"; known are db, protocol, client_name, family/],
    [`redis://:${mark}@h?password=${mark}`, /unknown parameter "password"/],
    [`redis://:${mark}@h?DB=1`, /unknown parameter "DB"/],
    [`redis://:${mark}@h?${mark}=1`, /unknown parameter; known are/],
    [`redis://:${mark}@h?db=1&db=1`, /parameter "db" twice/],
    [`redis://:${mark}@h?protocol=2&protocol=3`, /parameter "protocol" twice/],
    [`redis://:${mark}@h/1?db=1`, /database twice/],
    [`redis://:${mark}@h/-1`, /database is not a number/],
    [`redis://:${mark}@h/1.5`, /database is not a number/],
    [`redis://:${mark}@h/one`, /database is not a number/],
    [`redis://:${mark}@h/1/2`, /database is not a number; it is given as redis:\/\/host\/0/],
    [`redis://:${mark}@h//1`, /database is not a number/],
    [`redis://:${mark}@h/1//`, /database is not a number/],
    [`redis://:${mark}@h?db=`, /database is not a number/],
    [`redis://:${mark}@h/99999999999`, /database must be a whole number/],
    [`redis://:${mark}@h?protocol=4`, /protocol is neither 2 nor 3/],
    [`redis://:${mark}@h?family=5`, /family is neither 4 nor 6/],
    [`redis://:${mark}@h?client_name=a%20b`, /client_name may only hold/],
    [`redis://:${mark}@h?client_name=a%0D%0AQUIT`, /client_name may only hold/],
    [`redis://:${mark}@h/0#top`, /fragment; percent-encode a #/],
    [`redis://ada:1#${mark}@h`, /percent-encode it: %2F, %3F, %23/],
    [`redis://:${mark}#${mark}@h`, /percent-encode it/],
    [`redis://:${mark}/${mark}@h:1/0`, /percent-encode it/],
    [`redis://:${mark}?${mark}@h:1/0`, /percent-encode it/],
    [`unix://:${mark}/${mark}@/run/redis.sock`, /percent-encode it/],
    [`redis://ada:1?${mark}@h`, /percent-encode it/],
    [`redis://ada:1?${mark}=x@h`, /percent-encode it/],
    [`redis://ada:1/${mark}@h`, /percent-encode it/],
    [`redis://ada:99999/${mark}@h`, /percent-encode it/],
    [`redis://:${mark}%zz@h`, /password is not percent-encoded right; write a % itself as %25/],
    [`redis://:100%${mark}@h`, /password is not percent-encoded right/],
    [`redis://%ff:${mark}@h`, /user is not percent-encoded right/],
    [`redis://ada@h`, /username is given without a password/],
    [`unix://h/run/redis.sock?x=${mark}`, /unknown parameter "x"|no host/],
    [`unix://run/redis.sock`, /a path and no host/],
    [`unix://`, /no path/],
    [`unix:///`, /no path/],
    [`unix:///run/%zz`, /path is not percent-encoded right/],
    ["", /the URL is empty/]
  ] as const) {
    it.effect(`refused: ${url.replaceAll(mark, "…")}`, () =>
      Effect.gen(function* () {
        const error = refusal({ url: Redacted.make(url) })
        expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
        expect(error.message).toMatch(message)
        expect(renderings(error)).not.toContain(mark)
        // Opening a connection, a client or a pool fails alike, and opens nothing.
        for (const make of [Connection.make, Pool.make, Redis.make]) {
          const exit = yield* Effect.exit(opened(make({ url })))
          expect(exit).toEqual(Exit.fail(error))
          expect(renderings(exit)).not.toContain(mark)
        }
      })
    )
  }
})

describe("options", () => {
  it("have the documented defaults", () => {
    expect(resolved({})).toEqual({
      endpoint: { _tag: "Tcp", host: "localhost", port: 6379 },
      tls: undefined,
      family: undefined,
      database: 0,
      username: undefined,
      password: undefined,
      credentials: undefined,
      clientName: undefined,
      clientInfo: true,
      protocol: 3,
      expect: "standalone",
      encoding: "utf8",
      connectTimeout: 5_000,
      replyTimeout: 5_000,
      closeTimeout: 2_000,
      unresponsiveAfter: 30_000,
      pingInterval: 30_000,
      keepAliveMillis: 30_000,
      noDelay: true,
      maxInFlight: 1_048_576,
      queueBounds: expect.objectContaining({ maxCommands: 1_048_576, maxBytes: 256 * 1024 * 1024 }),
      limits: expect.objectContaining({ maxBulkLength: 512 * 1024 * 1024, maxDepth: 128 })
    })
  })

  it("are taken as given", () => {
    const limits = { maxBulkLength: 1, maxAggregateLength: 2, maxDepth: 3, maxBufferedBytes: 4 }
    expect(
      resolved({
        host: "::1",
        port: 1,
        family: 6,
        database: 2_147_483_647,
        username: "ada",
        password: Redacted.make("x"),
        clientName: "a!b~c",
        clientInfo: false,
        protocol: 2,
        encoding: "bytes",
        connectTimeout: "2 minutes",
        replyTimeout: Duration.infinity,
        closeTimeout: Duration.millis(1),
        unresponsiveTimeout: Duration.infinity,
        keepAlive: false,
        noDelay: false,
        maxInFlight: 1,
        maxQueuedCommands: 2,
        maxQueuedBytes: 3,
        limits
      })
    ).toMatchObject({
      endpoint: { _tag: "Tcp", host: "::1", port: 1 },
      family: 6,
      database: 2_147_483_647,
      username: "ada",
      clientName: "a!b~c",
      clientInfo: false,
      protocol: 2,
      encoding: "bytes",
      connectTimeout: 120_000,
      replyTimeout: Infinity,
      closeTimeout: 1,
      unresponsiveAfter: Infinity,
      keepAliveMillis: undefined,
      noDelay: false,
      maxInFlight: 1,
      queueBounds: { maxCommands: 2, maxBytes: 3 },
      limits
    })
    expect(resolved({ host: "[::1]", expect: "node" })).toMatchObject({
      endpoint: { _tag: "Tcp", host: "::1", port: 6379 },
      expect: "node"
    })
    expect(resolved({ username: "default" }).username).toBeUndefined()
    expect(resolved({ path: "/run/redis.sock", tls: false })).toMatchObject({
      endpoint: { _tag: "Unix", path: "/run/redis.sock" },
      tls: undefined
    })
  })

  for (const [options, message] of [
    [{ path: "/a", host: "h" }, /path and host \(or port\) are both given/],
    [{ path: "/a", port: 1 }, /path and host \(or port\) are both given/],
    [{ path: "/a", url: "redis://h" }, /path is given beside a URL with a host/],
    [{ url: "unix:///a", host: "h" }, /host or port is given beside a unix:\/\/ URL/],
    [{ url: "unix:///a", port: 1 }, /host or port is given beside a unix:\/\/ URL/],
    [{ path: "" }, /path must be/],
    [{ path: "a\0b" }, /path must be/],
    [{ host: "" }, /host must be/],
    [{ host: "a b" }, /host must be/],
    [{ host: "redis://h" }, /host must be/],
    [{ host: "[::1]:6379" }, /host must be/],
    [{ host: "[h]" }, /host must be/],
    [{ expect: "cluster" }, /expect must be standalone or node/],
    [{ port: 0 }, /port must be a whole number from 1 to 65535/],
    [{ port: 65_536 }, /port must be/],
    [{ port: 1.5 }, /port must be/],
    [{ port: Number.NaN }, /port must be/],
    [{ port: "6379" }, /port must be/],
    [{ database: -1 }, /database must be/],
    [{ database: 1.5 }, /database must be/],
    [{ database: Number.NaN }, /database must be/],
    [{ database: "1" }, /database must be/],
    [{ protocol: 4 }, /protocol must be 2 or 3/],
    [{ family: 5 }, /family must be 4 or 6/],
    [{ encoding: "latin1" }, /encoding must be utf8 or bytes/],
    [{ username: "ada" }, /username is given without a password/],
    [{ password: mark }, /password must be Redacted/],
    [{ clientName: "a b" }, /clientName may only hold printable ASCII/],
    [{ clientName: "a\r\nQUIT" }, /clientName/],
    [{ clientName: "a\n" }, /clientName/],
    [{ clientName: "é" }, /clientName/],
    [{ tls: "yes" }, /tls must be true, false, or an object/],
    [{ tls: { ca: "/etc/ca.pem" } }, /tls\.ca must be a list of certificates in PEM, not the names of files/],
    [{ tls: { ca: ["/etc/ca.pem"] } }, /tls\.ca must be/],
    [{ tls: { ca: [] } }, /tls\.ca must be/],
    [{ tls: { ca: [Buffer.from("-----BEGIN CERTIFICATE-----")] } }, /tls\.ca must be/],
    [{ tls: { cert: "/etc/me.pem", key: Redacted.make("k") } }, /tls\.cert must be a certificate in PEM/],
    [{ tls: { cert: "-----BEGIN CERTIFICATE-----" } }, /tls\.cert and tls\.key go together/],
    [{ tls: { key: Redacted.make("-----BEGIN EC PRIVATE KEY-----") } }, /tls\.cert and tls\.key go together/],
    [{ tls: { key: mark } }, /tls\.key and tls\.passphrase must be Redacted/],
    [{ tls: { passphrase: mark } }, /tls\.key and tls\.passphrase must be Redacted/],
    [{ tls: { key: Redacted.make(mark) } }, /tls\.key must be a private key in PEM/],
    [{ tls: { passphrase: Redacted.make(mark) } }, /tls\.passphrase is given without tls\.key/],
    [{ tls: { serverName: "" } }, /tls\.serverName must be/],
    [{ tls: { serverName: "a\0b" } }, /tls\.serverName must be/],
    [{ tls: { serverName: "a\r\nb" } }, /tls\.serverName must be/],
    [{ tls: { minVersion: "TLSv1" } }, /tls\.minVersion must be TLSv1\.2 or TLSv1\.3/],
    [{ tls: { rejectUnauthorized: "no" } }, /tls\.rejectUnauthorized must be true or false/],
    [{ url: "rediss://h", tls: false }, /tls is false beside a URL whose scheme asks for TLS/],
    [{ connectTimeout: 5_000 }, /connectTimeout must be a duration with its unit, such as "5 seconds"/],
    [{ replyTimeout: 5n }, /replyTimeout must be a duration/],
    [{ closeTimeout: [1, 0] }, /closeTimeout must be a duration/],
    [{ unresponsiveTimeout: "5" }, /unresponsiveTimeout must be a duration/],
    [{ keepAlive: 1 }, /keepAlive must be a duration/],
    [{ keepAlive: true }, /keepAlive must be a duration/],
    [{ replyTimeout: "soon" }, /replyTimeout must be a duration/],
    [{ replyTimeout: null }, /replyTimeout must be a duration/],
    [{ replyTimeout: "0 seconds" }, /replyTimeout must be longer than zero/],
    [{ connectTimeout: "-1 seconds" }, /connectTimeout must be/],
    [{ maxInFlight: 0 }, /maxInFlight must be a whole number from 1/],
    [{ maxQueuedCommands: 1.5 }, /maxQueuedCommands must be/],
    [{ maxQueuedBytes: -1 }, /maxQueuedBytes must be/],
    [{ limits: { maxBulkLength: 0 } }, /limits\.maxBulkLength must be/],
    [{ limits: { maxAggregateLength: Infinity } }, /limits\.maxAggregateLength must be/],
    [{ limits: { maxDepth: "9" } }, /limits\.maxDepth must be/],
    [{ limits: { maxBufferedBytes: Number.NaN } }, /limits\.maxBufferedBytes must be/]
  ] as ReadonlyArray<readonly [object, RegExp]>) {
    it.scoped(`refused by name: ${inspect(options).replaceAll(mark, "…")}`, () =>
      Effect.gen(function* () {
        const given = options as Connection.ConnectionOptions
        const error = refusal(given)
        expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
        expect(error.message).toMatch(message)
        expect(renderings(error)).not.toContain(mark)
        expect(yield* Effect.exit(Connection.make(given))).toEqual(Exit.fail(error))
      })
    )
  }

  for (const [options, message] of [
    [{ maxRetries: -1 }, /maxRetries must be a whole number from 0/],
    [{ maxDedicated: 0 }, /maxDedicated must be a whole number from 1/],
    [{ acquireTimeout: 5 }, /acquireTimeout must be a duration/],
    [{ idleTimeout: 5 }, /idleTimeout must be a duration/]
  ] as ReadonlyArray<readonly [object, RegExp]>) {
    it.scoped(`refused by the client: ${inspect(options)}`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Redis.make(options))
        const error = Option.getOrThrow(Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none())
        expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
        expect(error.message).toMatch(message)
      })
    )
  }
})

describe("a layer with wrong options", () => {
  const url = "http://localhost"
  for (const [name, layer] of [
    ["Redis.layer", Redis.layer({ url })],
    ["Redis.layerFromPool", Layer.provideMerge(Redis.layerFromPool, Pool.layer({ url }))],
    ["RedisPubSub.layer", RedisPubSub.layer({ url })],
    ["Pool.layer", Pool.layer({ url })],
    ["Connection.layer", Connection.layer({ url })]
  ] as ReadonlyArray<readonly [string, Layer.Layer<unknown, RedisError>]>) {
    it.scoped(`${name} fails with one error, which a main function prints once`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Layer.build(layer))
        const errors = Exit.isFailure(exit) ? failures(exit.cause) : []
        expect(errors.map(({ _tag }) => _tag)).toEqual(["UsageError"])
      })
    )
  }
})

describe("secrets", () => {
  it("are Redacted as soon as they are read", () => {
    const pem = (what: string) => `-----BEGIN ${what}-----\n${mark}\n-----END ${what}-----\n`
    const tls = {
      cert: pem("CERTIFICATE").replace(mark, "public"),
      key: Redacted.make(pem("PRIVATE KEY")),
      passphrase: Redacted.make(mark)
    }
    const options = resolved({ url: `redis://ada:${mark}@h`, tls })
    expect(options.tls).toBe(tls)
    expect(renderings(options)).not.toContain(mark)
  })

  it("that were not percent-encoded appear in no message about the URL", () => {
    for (const url of ["redis://u:1?hunter2@host:6379", "redis://u:1?a@hunter2=@host"]) {
      const result = Options.parseUrl(url)
      expect(String(result)).not.toContain("hunter2")
    }
  })

  it.scoped("appear in no connection failure, and in no log", () =>
    Effect.gen(function* () {
      const nobody = yield* Effect.scoped(Peer.make({}))
      const refusing = yield* Peer.make({
        onCommand: (words) => `-ERR no such thing as ${words.join(" ")}\r\n`
      })
      for (const { port } of [nobody, refusing]) {
        const url = `redis://ada:${mark}@127.0.0.1:${port}/3?client_name=me`
        for (const make of [Connection.make, Redis.make]) {
          const exit = yield* Effect.exit(opened(make({ url, connectTimeout: "1 second" })))
          expect(Exit.isFailure(exit)).toBe(true)
          expect(renderings(exit)).not.toContain(mark)
        }
      }
      expect(refusing.connections.length).toBeGreaterThan(0)
      expect(refusing.connections[0]?.received[0]).toContain(mark)
    })
  )
})

describe("layerConfig", () => {
  const withConfig = (entries: Readonly<Record<string, string>>) => configured(Object.entries(entries))

  const build = (
    layer:
      | Layer.Layer<never, unknown>
      | Layer.Layer<Redis, unknown>
      | Layer.Layer<Connection.Connection, unknown>
      | Layer.Layer<Pool.Pool, unknown>,
    entries: Readonly<Record<string, string>>
  ) => Effect.exit(Effect.scoped(Layer.build(Layer.provide(layer, withConfig(entries)))))

  const layers = [
    ["Redis", Redis.layerConfig({ url: Config.redacted("REDIS_URL") })],
    ["Connection", Connection.layerConfig({ url: Config.redacted("REDIS_URL") })],
    ["Pool", Pool.layerConfig({ url: Config.redacted("REDIS_URL") })]
  ] as const

  for (const [name, layer] of layers) {
    it.scoped(`${name}: reads a URL that is Redacted`, () =>
      Effect.gen(function* () {
        const peer = yield* Peer.make({ onCommand: Peer.greeting() })
        const exit = yield* build(layer, { REDIS_URL: `redis://ada:${mark}@127.0.0.1:${peer.port}/2` })
        expect(Exit.isSuccess(exit)).toBe(true)
        expect(peer.connections[0]?.received.slice(0, 2)).toEqual([
          ["HELLO", "3", "AUTH", "ada", mark],
          ["SELECT", "2"]
        ])
      })
    )

    it.effect(`${name}: a malformed URL is a typed failure that does not show it`, () =>
      Effect.gen(function* () {
        for (const url of [`redis://:${mark}@h:99999`, `${mark}`, `redis://:1?${mark}@h`, `redis://:${mark}%@h`]) {
          const exit = yield* build(layer, { REDIS_URL: url })
          expect(renderings(exit)).toContain("UsageError")
          expect(renderings(exit)).not.toContain(mark)
        }
      })
    )

    it.effect(`${name}: a variable that is missing is a ConfigError`, () =>
      Effect.gen(function* () {
        expect(renderings(yield* build(layer, {}))).toContain("REDIS_URL")
      })
    )
  }

  it.scoped("takes every option from the configuration, nested and optional ones too", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const layer = Redis.layerConfig({
        host: Config.string("HOST"),
        port: Config.port("PORT"),
        password: Config.redacted("PASSWORD"),
        database: Config.withDefault(Config.integer("DATABASE"), 4),
        replyTimeout: Config.duration("TIMEOUT"),
        limits: { maxDepth: Config.integer("DEPTH") }
      })
      const entries = { HOST: "127.0.0.1", PORT: `${peer.port}`, PASSWORD: mark, TIMEOUT: "3 seconds", DEPTH: "9" }
      expect(Exit.isSuccess(yield* build(layer, entries))).toBe(true)
      expect(peer.connections[0]?.received.slice(0, 2)).toEqual([
        ["HELLO", "3", "AUTH", "default", mark],
        ["SELECT", "4"]
      ])
      const wrong = yield* build(layer, { ...entries, TIMEOUT: "soon" })
      expect(renderings(wrong)).toContain("TIMEOUT")
      expect(renderings(wrong)).not.toContain(mark)
    })
  )
})
