/**
 * How commands are tested: the words they send ({@link sends}), how they read replies ({@link reads},
 * {@link readsError}), and round trips on every real server over RESP2 and RESP3 ({@link liveSuite}).
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { specFor } from "../../src/internal/command/command.js"
import { Redis, type RedisService } from "../../src/internal/command/model.js"
import { EncodeFailure, encode } from "../../src/internal/resp/encoder.js"
import { Parser } from "../../src/internal/resp/parser.js"
import type { Reply } from "../../src/internal/resp/values.js"
import * as Pool from "../../src/Pool.js"
import { Redis as RedisClient } from "../../src/Redis.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import type { RedisError } from "../../src/RedisError.js"
import type * as RedisServer from "../../src/testing/RedisServer.js"
import * as CommandCluster from "./commandCluster.js"
import * as CommandSentinel from "./commandSentinel.js"
import { defects, withTestServices } from "./effect.js"
import { LiveMatrix } from "./liveMatrix.js"
import * as Servers from "./servers.js"

type AnyCommand = RedisCommand.RedisCommand<unknown>

const bytesOf = (data: string | Uint8Array): Buffer =>
  typeof data === "string" ? Buffer.from(data, "utf8") : Buffer.from(data)

/** Readable in the message of a failed assertion. */
const shown = (data: string | Uint8Array): string => bytesOf(data).toString("latin1")

/**
 * Expects a command to send exactly these words: the words of its name, then its arguments, as text or bytes. The
 * encoded bytes are checked too.
 */
export const sends = (command: AnyCommand, expected: ReadonlyArray<string | Uint8Array>): void => {
  expect(command.problem?.message, "the command cannot be sent").toBeUndefined()
  expect([...command.name.split(" "), ...command.args.map(({ data }) => data)].map(shown)).toEqual(expected.map(shown))
  const encoded = encode(specFor(command).wire, command.args)
  if (encoded instanceof EncodeFailure) {
    throw new Error(encoded.reason)
  }
  const wire = Buffer.concat((typeof encoded === "string" ? [encoded] : encoded).map(bytesOf))
  const bulk = (data: string | Uint8Array) =>
    Buffer.concat([Buffer.from(`$${bytesOf(data).length}\r\n`), bytesOf(data), Buffer.from("\r\n")])
  expect(wire.toString("latin1")).toBe(
    Buffer.concat([Buffer.from(`*${expected.length}\r\n`), ...expected.map(bulk)]).toString("latin1")
  )
}

/** Expects the kinds of the arguments after the name: `tagged(strings.get("k"), ["key"])`. */
export const tagged = (command: AnyCommand, kinds: ReadonlyArray<RedisCommand.ArgumentKind>): void => {
  expect(command.args.map(({ kind }) => kind)).toEqual(kinds)
}

/** Expects that a command cannot be sent, with a message that matches `reason`. */
export const refuses = (command: AnyCommand, reason: RegExp): void => {
  expect(command.problem?.reason).toBe("invalidArgument")
  expect(command.problem?.message).toMatch(reason)
}

/** Encoded replies, for literals too long to write out: `wire.array(wire.bulk("a"), wire.int(1))`. */
export const wire = {
  simple: (text: string) => `+${text}\r\n`,
  error: (text: string) => `-${text}\r\n`,
  int: (value: number | bigint) => `:${value}\r\n`,
  /** Text; for bytes, give {@link reads} a buffer. */
  bulk: (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`,
  nil2: "$-1\r\n",
  nilArray: "*-1\r\n",
  nil: "_\r\n",
  double: (text: string | number) => `,${text}\r\n`,
  boolean: (value: boolean) => (value ? "#t\r\n" : "#f\r\n"),
  bigNumber: (value: bigint) => `(${value}\r\n`,
  verbatim: (text: string, format = "txt") => `=${Buffer.byteLength(text) + 4}\r\n${format}:${text}\r\n`,
  array: (...items: ReadonlyArray<string>) => `*${items.length}\r\n${items.join("")}`,
  set: (...items: ReadonlyArray<string>) => `~${items.length}\r\n${items.join("")}`,
  /** Alternating keys and values. */
  map: (...items: ReadonlyArray<string>) => `%${items.length / 2}\r\n${items.join("")}`
}

/** Parses one reply as the client would for this command. */
export const parse = (command: AnyCommand, literal: string | Uint8Array): Reply => {
  const replies: Array<Reply> = []
  const parser = new Parser(
    { onReply: (reply) => replies.push(reply), onPush: () => {}, onAttribute: () => {} },
    undefined,
    { text: command.text }
  )
  const failure = parser.write(bytesOf(literal))
  if (failure !== undefined || replies.length !== 1 || !parser.idle) {
    throw new Error(
      `the literal is not one RESP reply: ${failure?.reason ?? `${replies.length} replies, idle: ${parser.idle}`}`
    )
  }
  return replies[0] as Reply
}

/** Decodes one reply with the real parser and the command's own decoder. */
export const decode = <A>(
  command: RedisCommand.RedisCommand<A>,
  literal: string | Uint8Array
): Exit.Exit<A, RedisError> => RedisCommand.decode(command, parse(command, literal))

/** Expects a command to read `literal` as `expected`. Literals are complete: `"$1\r\nv\r\n"`. */
export const reads = <A>(command: RedisCommand.RedisCommand<A>, literal: string | Uint8Array, expected: A): void => {
  const exit = decode(command, literal)
  if (Exit.isFailure(exit)) {
    throw new Error(`expected an answer, got ${Cause.pretty(exit.cause)}`)
  }
  expect(exit.value).toEqual(expected)
}

/** Expects the same value from each literal: the RESP2 and RESP3 forms of one reply. */
export const readsEach = <A>(
  command: RedisCommand.RedisCommand<A>,
  literals: ReadonlyArray<string | Uint8Array>,
  expected: A
): void => {
  for (const literal of literals) {
    reads(command, literal, expected)
  }
}

/** Expects a command to fail on `literal`: `readsError(get, "-WRONGTYPE …\r\n", { _tag: "ReplyError", code: "WRONGTYPE" })`. */
export const readsError = (
  command: AnyCommand,
  literal: string | Uint8Array,
  expected: { readonly _tag: RedisError["_tag"]; readonly [field: string]: unknown }
): void => {
  const exit = decode(command, literal)
  if (Exit.isSuccess(exit)) {
    throw new Error(`expected ${expected._tag}, got ${JSON.stringify(exit.value)}`)
  }
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) {
    throw new Error(`expected ${expected._tag}, got ${Cause.pretty(exit.cause)}`)
  }
  expect(failure.value).toMatchObject(expected)
}

/** Thrown by a test body that cannot run on this server. */
class Skip {
  constructor(readonly reason: string) {}
}

/** Thrown by a test body over a cluster, when it must be run with all keys in one slot. */
class NeedsOneSlot {}

/** The first version of each product that has it; an omitted product never has it. */
export interface Since {
  readonly redis?: string | undefined
  readonly valkey?: string | undefined
}

type Body = () => Effect.Effect<void, unknown, Redis | Scope.Scope>

/** The server and protocol of a suite, and the functions that register its tests. */
export interface Live {
  readonly product: "redis" | "valkey"
  /** The version, as in `7.0.15`. */
  readonly version: string
  /** Product and release, as in `redis-7.0`. */
  readonly name: string
  readonly protocol: 2 | 3
  /** The running server, available inside tests. */
  readonly server: () => RedisServer.RedisServer
  /** A test on an empty server, with TestClock. Its scope closes at its end. */
  readonly effect: (name: string, body: Body) => void
  /** The same with the real clock, for tests that sleep. */
  readonly live: (name: string, body: Body) => void
  /** Whether the server is at least of this version of its product. */
  readonly isSince: (since: Since) => boolean
  /** Skips the test, with a reason, unless the server has these commands (`"CLIENT NO-TOUCH"`). Call it first. */
  readonly needs: (...commands: ReadonlyArray<string>) => Effect.Effect<void, RedisError>
  /** Skips the test, with a reason, unless the server has this version. For options of commands. */
  readonly needsVersion: (since: Since) => Effect.Effect<void>
  /** Skips the test with a reason. */
  readonly skip: (reason: string) => Effect.Effect<never>
  /** Runs on a dedicated connection: for blocking commands and commands that change the connection's state. */
  readonly onLease: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RedisError, R | Redis>
}

const compareVersions = (a: string, b: string): number => {
  const [as, bs] = [a, b].map((version) => version.split(".").map(Number)) as [Array<number>, Array<number>]
  for (let i = 0; i < 3; i++) {
    const difference = (as[i] ?? 0) - (bs[i] ?? 0)
    if (difference !== 0) {
      return difference
    }
  }
  return 0
}

/** Records the commands that the server executed, from their results. */
const observed = (service: RedisService, ran: (name: string) => void): RedisService => {
  const seen = (command: AnyCommand, exit: Exit.Exit<unknown, RedisError>): void => {
    const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none()
    // An error counts too, unless the server does not know the command.
    if (
      Exit.isSuccess(exit) ||
      (Option.isSome(failure) &&
        failure.value._tag === "ReplyError" &&
        !/unknown (?:sub)?command/.test(failure.value.message))
    ) {
      ran(command.name)
    }
  }
  return {
    send: (command) => Effect.onExit(service.send(command), (exit) => Effect.sync(() => seen(command, exit))),
    sendAll: (commands, options) =>
      Effect.tap(service.sendAll(commands, options), ({ exits }) =>
        Effect.sync(() =>
          commands.forEach((command, i) => {
            const exit = exits[i]
            if (exit !== undefined) {
              seen(command, exit)
            }
          })
        )
      ),
    lease: Effect.map(service.lease, (leased) => observed(leased, ran)),
    status: service.status
  }
}

interface LayerOptions {
  readonly protocol: 2 | 3
  readonly replyTimeout: "30 seconds"
  readonly acquireTimeout: "30 seconds"
}

/** A layer that provides `Redis`, over servers that it names itself. */
interface TestLayer {
  /** The server of a suite. */
  readonly start: (
    server: Servers.TestServer,
    options: RedisServer.RedisServerOptions | undefined
  ) => Effect.Effect<RedisServer.RedisServer, unknown, Scope.Scope>
  readonly make: (
    server: Servers.TestServer,
    running: RedisServer.RedisServer,
    options: LayerOptions
  ) => Effect.Effect<CommandCluster.Services, RedisError, Scope.Scope>
}

const overServer = (
  make: (
    options: LayerOptions & { readonly host: string; readonly port: number; readonly expect: "node" }
  ) => Effect.Effect<RedisService, RedisError, Scope.Scope>
): TestLayer => ({
  start: (server, options) => Servers.makeServer(server, options),
  make: (_, { host, port }, options) =>
    // Some suites run on a node of a cluster.
    Effect.map(make({ ...options, host, port, expect: "node" }), (service) => ({ spread: service, oneSlot: service }))
})

/** The layers that provide `Redis`, by the names that REDIS_TEST_LAYER may have. Every command suite runs over each. */
const layers: Record<string, TestLayer> = {
  client: overServer(RedisClient.make),
  pool: overServer((options) =>
    Effect.map(Layer.build(Layer.provide(RedisClient.layerFromPool, Pool.layer(options))), (built) =>
      Context.get(built, Redis)
    )
  ),
  cluster: {
    start: (server) => Effect.promise(() => CommandCluster.nodeOf(server)),
    make: (server, _, options) => CommandCluster.makeServices(server, options)
  },
  sentinel: {
    start: CommandSentinel.start,
    make: (_, running, options) =>
      Effect.map(CommandSentinel.make(running, options), (service) => ({ spread: service, oneSlot: service }))
  }
}
const layerName = process.env.REDIS_TEST_LAYER ?? "client"

/** Whether the command suites run over a cluster. */
export const isCluster = layerName === "cluster"

/** Whether they run over a sentinel. */
const isSentinel = layerName === "sentinel"

/** Whether the test that runs has all its keys on one node. */
let isOnOneNode = true

const skip = (reason: string) => Effect.die(new Skip(reason))

/** Skips a test over a cluster, with a reason. It comes first in the test. */
export const notOverCluster = (reason: string): Effect.Effect<void> =>
  isCluster ? skip(`not over a cluster: ${reason}`) : Effect.void

/** Over a cluster, runs a test with all its keys on one node. It comes first in the test. */
export const onOneNode: Effect.Effect<void> = Effect.suspend(() =>
  isOnOneNode ? Effect.void : Effect.die(new NeedsOneSlot())
)

/** Over the client the newest Redis 8 is enough; over the other layers every release runs, which keeps `npm test` short. */
const liveServers = layerName === "client" ? Servers.realServers : Servers.commandServers
const layer = layers[layerName]
if (layer === undefined) {
  throw new Error(`REDIS_TEST_LAYER is "${layerName}", and must be one of ${Object.keys(layers).join(", ")}`)
}
const testLayer: TestLayer = layer

const flush = RedisCommand.make("FLUSHALL", { args: ["SYNC"] })

/**
 * Registers the tests of `define` for every real server and both protocols.
 *
 * ```ts
 * liveSuite("string", ({ effect, needs }) => {
 *   effect("SET and GET", () =>
 *     Effect.gen(function*() {
 *       yield* strings.set("k", "v")
 *       expect(yield* strings.get("k")).toEqual(Option.some("v"))
 *     }))
 *   effect("DELEX", () =>
 *     Effect.gen(function*() {
 *       yield* needs("DELEX")
 *       …
 *     }))
 * })
 * ```
 *
 * Each test starts on an empty server. The commands that ran on each server are printed at the end of the file and of
 * the run.
 */
export const liveSuite = (
  group: string,
  define: (live: Live) => void,
  options?: {
    /** How the servers are started: `{ config: { "maxmemory-policy": "allkeys-lfu" } }`. */
    readonly server?:
      | RedisServer.RedisServerOptions
      | ((server: Servers.TestServer) => RedisServer.RedisServerOptions)
      | undefined
  }
): void => {
  describe(`${group}, live over the ${layerName}`, () => {
    const matrix = new LiveMatrix(group)
    if (liveServers.length === 0) {
      it.skip("no real server found: run `npm run servers`", () => {})
    }
    const hasMode = typeof options?.server === "object" && options.server.mode !== undefined
    if ((isCluster || isSentinel) && hasMode) {
      it.skip(`not over a ${layerName}: this suite is about one node of a mode of its own`, () => {})
      return
    }
    afterAll(() => matrix.finish())
    for (const server of liveServers) {
      describe(server.name, () => {
        const scope = Effect.runSync(Scope.make())
        let started: RedisServer.RedisServer | undefined
        beforeAll(async () => {
          const given = options?.server
          const how = typeof given === "function" ? given(server) : given
          started = await Effect.runPromise(Scope.extend(testLayer.start(server, how), scope))
        })
        afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
        const running = (): RedisServer.RedisServer => {
          if (started === undefined) {
            throw new Error(`${server.name} has not been started`)
          }
          return started
        }
        for (const protocol of [2, 3] as const) {
          describe(`RESP${protocol}`, () => define(suiteOn(server, running, protocol, matrix)))
        }
      })
    }
  })
}

const suiteOn = (
  installed: Servers.TestServer,
  running: () => RedisServer.RedisServer,
  protocol: 2 | 3,
  matrix: LiveMatrix
): Live => {
  const scope = Effect.runSync(Scope.make())
  /** Not observed: the suite's own commands do not count. */
  let plain: RedisService | undefined
  /** Over a cluster this is of the keys of one slot. */
  let oneSlot: RedisService | undefined
  let service: RedisService | undefined
  beforeAll(async () => {
    // Longer than a busy machine takes.
    const options = { protocol, replyTimeout: "30 seconds", acquireTimeout: "30 seconds" } as const
    const made = await Effect.runPromise(Scope.extend(testLayer.make(installed, running(), options), scope))
    const ran = (name: string) => matrix.ran(name, installed.name, protocol)
    plain = made.spread
    service = observed(made.spread, ran)
    oneSlot = observed(made.oneSlot, ran)
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const known = new Map<string, boolean>()
  const isSince = (since: Since): boolean => {
    const first = installed.product === "embedded" ? undefined : since[installed.product]
    return first !== undefined && compareVersions(installed.version, first) >= 0
  }

  const register =
    (clock: "test" | "live") =>
    (name: string, body: Body): void => {
      it(name, async (context) => {
        if (plain === undefined || service === undefined || oneSlot === undefined) {
          throw new Error("the client was not built")
        }
        const flushed = Effect.scoped(Effect.zipRight(plain.send(flush), Effect.suspend(body)))
        const run = (effect: Effect.Effect<void, unknown, Redis>, redis: RedisService) => {
          const provided = Effect.provideService(effect, Redis, redis)
          return Effect.runPromiseExit(clock === "test" ? withTestServices(provided) : provided, {
            signal: context.signal
          })
        }
        const of = <A>(exit: Exit.Exit<unknown, unknown>, kind: new (...args: never) => A): A | undefined =>
          Exit.isFailure(exit) ? defects(exit.cause).find((defect): defect is A => defect instanceof kind) : undefined
        let exit: Exit.Exit<void, unknown>
        isOnOneNode = !isCluster
        if (isCluster) {
          // What was refused may be hidden in a fiber, and the test may wait for what it would have done.
          const stopped = Effect.runSync(Deferred.make<never>())
          let refused: string | undefined
          const refuse = (command: string) => {
            refused ??= command
            Deferred.unsafeDone(stopped, Effect.die(new NeedsOneSlot()))
          }
          exit = await run(Effect.raceFirst(flushed, Deferred.await(stopped)), CommandCluster.watched(service, refuse))
          if (refused !== undefined || of(exit, NeedsOneSlot) !== undefined) {
            isOnOneNode = true
            exit = await run(flushed, oneSlot)
          }
          if (Exit.isSuccess(exit)) {
            matrix.placed(isOnOneNode ? "oneSlot" : "anySlots", refused)
          }
        } else {
          exit = await run(flushed, service)
        }
        if (Exit.isFailure(exit)) {
          const skipped = of(exit, Skip)
          if (skipped !== undefined) {
            matrix.skipped(name, installed.name, skipped.reason)
            context.skip(skipped.reason)
          }
          throw Cause.squash(exit.cause)
        }
      })
    }

  return {
    product: installed.product === "valkey" ? "valkey" : "redis",
    version: installed.version,
    name: installed.name,
    protocol,
    server: running,
    effect: register("test"),
    live: register("live"),
    isSince,
    needs: (...commands) =>
      Effect.forEach(
        commands,
        (command) =>
          Effect.gen(function* () {
            const name = command.replace(" ", "|").toLowerCase()
            if (!known.has(name) && plain !== undefined) {
              const info = yield* plain.send(RedisCommand.make("COMMAND INFO", { args: [name] }))
              known.set(name, Array.isArray(info) && info[0] !== null)
            }
            return known.get(name) === true ? undefined : yield* skip(`${installed.name} has no ${command}`)
          }),
        { discard: true }
      ),
    needsVersion: (since) =>
      isSince(since)
        ? Effect.void
        : skip(
            `needs ${Object.entries(since)
              .map(([product, version]) => `${product} ${version}`)
              .join(" or ")}, this is ${installed.name}`
          ),
    skip,
    onLease: (effect) =>
      Effect.scoped(
        Effect.flatMap(Redis, (redis) =>
          Effect.flatMap(redis.lease, (leased) => Effect.provideService(effect, Redis, leased))
        )
      ) as never
  }
}
