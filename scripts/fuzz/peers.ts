/**
 * Hostile servers against live connections, over real sockets: each case is a connection, what the program does with it,
 * and bytes in the place of one of the answers. It must end in time with a typed error or with a value of its type, and
 * nothing may be left.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connection, Pool, Redis } from "effect-redis-client"
import * as Peer from "../../test/support/peer.js"
import { bytesOf, hostile, parts } from "./bytes.js"
import type { Random } from "./random.js"

/** The reply that the bytes replace. */
export const phases = [
  "greeting",
  "idle",
  "command",
  "pipeline",
  "transaction",
  "optimistic",
  "scan",
  "subscribed",
  "blocked",
  "client",
  "pool"
] as const

export type Phase = (typeof phases)[number]

interface Case {
  readonly phase: Phase
  readonly protocol: 2 | 3
  readonly bytes: ReadonlyArray<Buffer>
  /** Before which answer they come. */
  readonly before: number
  /** What the peer does afterwards. */
  readonly afterwards: "end" | "reset" | "answer" | "silence"
}

const caseOf = (random: Random): Case => ({
  phase: random.pick(phases),
  protocol: random.chance(0.5) ? 2 : 3,
  bytes: parts(random, bytesOf(hostile(random))),
  before: random.below(4),
  afterwards: random.weighted([
    [70, "end"],
    [10, "reset"],
    [17, "answer"],
    [3, "silence"]
  ] as const)
})

export interface PeerTally {
  cases: number
  /** Values of the right type, and typed errors by their tag. */
  answered: number
  readonly errors: Record<string, number>
  readonly byPhase: Record<string, number>
  /** The longest that a case took, in milliseconds. */
  slowest: number
  readonly problems: Array<string>
}

export const emptyPeers = (): PeerTally => ({
  cases: 0,
  answered: 0,
  errors: {},
  byPhase: {},
  slowest: 0,
  problems: []
})

/** What an honest server would say. */
const honest = ([name]: ReadonlyArray<string>, protocol: 2 | 3): string => {
  switch (name) {
    case "HELLO":
      return Peer.hello3
    case "CLIENT":
      return ":7\r\n"
    case "GET":
      return "$2\r\nok\r\n"
    case "INCR":
      return ":1\r\n"
    case "HGETALL":
      return protocol === 3 ? "%1\r\n$1\r\nf\r\n$1\r\nv\r\n" : "*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    case "EXEC":
      return "*2\r\n$2\r\nok\r\n:1\r\n"
    case "SCAN":
      return "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"
    case "BLPOP":
      return "*2\r\n$1\r\nl\r\n$1\r\nv\r\n"
    case "SUBSCRIBE":
      return `${protocol === 3 ? ">" : "*"}3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n`
    case "INFO":
      return "$12\r\nrun_id:abc\r\n\r\n"
    default:
      return "+OK\r\n"
  }
}

/** Which commands the bytes may take the place of. */
const places: Record<Phase, RegExp> = {
  greeting: /^(?:HELLO|CLIENT)$/,
  idle: /^never$/,
  command: /^HGETALL$/,
  pipeline: /^(?:GET|INCR|HGETALL)$/,
  transaction: /^(?:MULTI|GET|INCR|EXEC)$/,
  optimistic: /^(?:WATCH|GET|MULTI|EXEC|UNWATCH)$/,
  scan: /^(?:SCAN|INFO)$/,
  subscribed: /^SUBSCRIBE$/,
  blocked: /^BLPOP$/,
  client: /^(?:GET|INCR)$/,
  pool: /^GET$/
}

const attack = (connection: Peer.PeerConnection, { bytes, afterwards }: Case): void => {
  for (const part of bytes) {
    connection.write(part)
  }
  if (afterwards === "end") {
    connection.end()
  } else if (afterwards === "reset") {
    // After the bytes have left, or the reset overtakes them.
    setImmediate(() => connection.reset())
  }
}

const options = (port: number, { afterwards, protocol }: Case) =>
  ({
    host: "127.0.0.1",
    port,
    protocol,
    connectTimeout: afterwards === "silence" ? "500 millis" : "10 seconds",
    replyTimeout: afterwards === "silence" || afterwards === "answer" ? "300 millis" : "10 seconds",
    closeTimeout: "50 millis",
    limits: { maxBulkLength: 1_048_576, maxAggregateLength: 65_536, maxDepth: 64, maxBufferedBytes: 2_097_152 }
  }) as const

const isText = (value: unknown): boolean => value === undefined || typeof value === "string"

const isRecord = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.values(value).every((item) => typeof item === "string")

const optional = (value: Option.Option<unknown>): boolean => isText(Option.getOrUndefined(value))

/** What the program does; it answers whether what it got is of its type. */
const program = (port: number, attacked: () => Peer.PeerConnection | undefined, one: Case) => {
  const on = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Connection.make(options(port, one)), (connection) =>
      Effect.provideService(effect, Redis, connection.redis)
    )
  const doing: Record<Phase, () => Effect.Effect<boolean, unknown, Scope.Scope>> = {
    greeting: () => on(Effect.map(Redis.get("a"), optional)),
    idle: () =>
      on(
        Effect.gen(function* () {
          const connection = attacked()
          if (connection !== undefined) {
            attack(connection, one)
          }
          yield* Effect.yieldNow()
          return optional(yield* Redis.get("a"))
        })
      ),
    command: () => on(Effect.map(Redis.hgetall("a"), isRecord)),
    pipeline: () =>
      on(
        Effect.map(
          Redis.pipeline([Redis.get("a"), Redis.incr("b"), Redis.hgetall("c"), Redis.get("d")], { mode: "either" }),
          ([a, b, c, d]) =>
            (Either.isLeft(a) || optional(a.right)) &&
            (Either.isLeft(b) || typeof b.right === "number") &&
            (Either.isLeft(c) || isRecord(c.right)) &&
            (Either.isLeft(d) || optional(d.right))
        )
      ),
    transaction: () =>
      on(
        Effect.map(
          Redis.transaction({ a: Redis.get("a"), b: Redis.incr("b") }),
          ({ a, b }) => optional(a) && typeof b === "number"
        )
      ),
    optimistic: () =>
      on(
        Effect.map(
          Redis.optimistic(
            "a",
            Effect.map(Redis.get("a"), () => Redis.transaction([Redis.get("a"), Redis.incr("b")])),
            { schedule: Schedule.recurs(1) }
          ),
          ([a, b]) => optional(a) && typeof b === "number"
        )
      ),
    scan: () =>
      on(Effect.map(Stream.runCollect(Stream.take(Redis.scanStream(), 500)), (keys) => [...keys].every(isText))),
    subscribed: () =>
      Effect.gen(function* () {
        const connection = yield* Connection.make(options(port, one))
        yield* Effect.forkScoped(Stream.runDrain(connection.pushes))
        yield* connection.execute("SUBSCRIBE", "c")
        const peer = attacked()
        if (peer !== undefined && one.before > 0) {
          attack(peer, one)
        }
        yield* connection.execute(Redis.ping())
        return true
      }),
    blocked: () =>
      on(
        Effect.map(Redis.blpop("l", { timeout: "200 millis" }), (popped) =>
          Option.match(popped, { onNone: () => true, onSome: ([key, value]) => isText(key) && isText(value) })
        )
      ),
    client: () =>
      Effect.gen(function* () {
        const redis = yield* Redis.make({ ...options(port, one), reconnect: Schedule.recurs(1), maxRetries: 1 })
        const both = yield* Effect.all([Effect.either(Redis.get("a")), Effect.either(Redis.incr("b"))], {
          concurrency: "unbounded"
        }).pipe(Effect.provideService(Redis, redis))
        const [a, b] = both
        return (Either.isLeft(a) || optional(a.right)) && (Either.isLeft(b) || typeof b.right === "number")
      }),
    pool: () =>
      Effect.gen(function* () {
        const pool = yield* Pool.make({ ...options(port, one), maxSize: 2, minSize: 0, acquireTimeout: "500 millis" })
        const got = yield* Effect.all(
          Array.from({ length: 3 }, () =>
            Effect.scoped(
              Effect.flatMap(pool.acquire, (connection) => Effect.either(connection.execute(Redis.get("a"))))
            )
          ),
          { concurrency: "unbounded" }
        )
        return got.every((either) => Either.isLeft(either) || optional(either.right))
      })
  }
  return Effect.scoped(doing[one.phase]())
}

const tags = new Set([
  "ReplyError",
  "ConnectionError",
  "DeadlineError",
  "DecodeError",
  "ProtocolError",
  "UsageError",
  "OverflowError",
  "PipelineError",
  "TransactionError"
])

/** A case may take this long, in milliseconds: every deadline of its connection, on a machine that has other things to do. */
const patience = 30_000

const showCase = ({ afterwards, before, bytes, phase, protocol }: Case): string =>
  `${phase}, RESP${protocol}, before answer ${before}, then ${afterwards}: ${JSON.stringify(Buffer.concat(bytes).toString("latin1")).slice(0, 400)}`

/** One worker: a peer, and cases against it one after the other. */
const worker = (random: Random, more: () => boolean, tally: PeerTally): Effect.Effect<void> =>
  Effect.scoped(
    Effect.gen(function* () {
      let one = caseOf(random)
      // What was asked in this case, on all of its connections, in the places where the bytes may come.
      let asked = 0
      let latest: Peer.PeerConnection | undefined
      const of = new Map<Peer.PeerConnection, Case>()
      const peer = yield* Peer.make({
        onConnect: (connection) => {
          of.set(connection, one)
          connection.socket.on("close", () => of.delete(connection))
          latest = connection
        },
        onCommand: (command, connection) => {
          const mine = of.get(connection)
          if (mine === undefined) {
            return undefined
          }
          const { afterwards, before, phase, protocol } = mine
          const attacks =
            mine === one && places[phase].test(command[0] ?? "") && !(phase === "subscribed" && before > 0)
          if (attacks && asked++ === (phase === "greeting" || phase === "command" ? 0 : before)) {
            attack(connection, mine)
            return undefined
          }
          return asked > before && afterwards === "silence" && attacks ? undefined : honest(command, protocol)
        }
      })
      while (more()) {
        one = caseOf(random)
        asked = 0
        latest = undefined
        const began = performance.now()
        const exit = yield* Effect.exit(
          Effect.timeoutOption(
            program(peer.port, () => latest, one),
            patience
          )
        )
        const took = performance.now() - began
        tally.cases++
        tally.slowest = Math.max(tally.slowest, took)
        tally.byPhase[one.phase] = (tally.byPhase[one.phase] ?? 0) + 1
        if (Exit.isSuccess(exit)) {
          if (Option.isNone(exit.value)) {
            tally.problems.push(`no end: ${showCase(one)}`)
          } else if (!exit.value.value) {
            tally.problems.push(`a value of another type: ${showCase(one)}`)
          }
          tally.answered++
        } else {
          const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
          const tag =
            typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "(no typed error)"
          tally.errors[tag] = (tally.errors[tag] ?? 0) + 1
          if (!tags.has(tag)) {
            tally.problems.push(`${Cause.pretty(exit.cause).slice(0, 800)}: ${showCase(one)}`)
          }
        }
        // The list of what was received grows with every connection.
        ;(peer.connections as Array<Peer.PeerConnection>).length = 0
      }
      yield* Peer.eventually("the peer's sockets are closed", () => peer.open() === 0).pipe(
        Effect.catchAllDefect(() =>
          Effect.sync(() => tally.problems.push(`${peer.open()} sockets of one worker are left`))
        )
      )
    })
  )

/** So many cases, or as many as the time allows. */
export const run = (random: Random, count: number, millis: number, workers: number, tally: PeerTally) => {
  const started = performance.now()
  let begun = 0
  const more = (): boolean => begun < count && performance.now() - started < millis && begun++ >= 0
  return Effect.forEach(
    Array.from({ length: workers }, () => random.fork()),
    (random) => worker(random, more, tally),
    { concurrency: "unbounded", discard: true }
  )
}

/** What became of a command while its server sent without end. */
export interface Flooded {
  /** The tag of its error, or `answered`. */
  readonly outcome: string
  readonly reason: string
  /** The number of bytes that the server could send. */
  readonly sent: number
  /** The growth of memory meanwhile, in bytes, and the time of all of it, in milliseconds. */
  readonly grown: number
  readonly millis: number
}

const memory = (): number => {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** A command waits for its reply, and the server sends bytes that never complete a reply, as fast as they are read. */
export const flood = (
  stream: { readonly begin: string; readonly more: string; readonly harmless?: boolean },
  protocol: 2 | 3
): Effect.Effect<Flooded> =>
  Effect.scoped(
    Effect.gen(function* () {
      const began = performance.now()
      const before = memory()
      let sent = 0
      let grown = 0
      const more = bytesOf(stream.more.repeat(Math.ceil(65_536 / stream.more.length)))
      const peer = yield* Peer.make({
        onCommand: (command, { socket }) => {
          if (command[0] !== "GET") {
            return honest(command, protocol)
          }
          const go = (): void => {
            let room = true
            while (room && !socket.destroyed && socket.writable) {
              room = socket.write(more)
              sent += more.length
            }
            grown = Math.max(grown, memory() - before)
            socket.once("drain", go)
          }
          socket.write(bytesOf(stream.begin))
          go()
          return undefined
        }
      })
      const exit = yield* Effect.exit(
        Effect.scoped(
          Effect.flatMap(
            Connection.make({
              host: "127.0.0.1",
              port: peer.port,
              protocol,
              replyTimeout: stream.harmless === true ? "1 second" : "20 seconds",
              closeTimeout: "200 millis",
              limits: {
                maxBulkLength: 1_048_576,
                maxAggregateLength: 1_048_576,
                maxDepth: 64,
                maxBufferedBytes: 4_194_304
              }
            }),
            (connection) => connection.execute(Redis.get("a"))
          )
        )
      )
      const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
      yield* Peer.eventually("the peer's sockets are closed", () => peer.open() === 0)
      return {
        outcome: Exit.isSuccess(exit) ? "answered" : (error?._tag ?? "a defect"),
        reason: error?.message ?? "",
        sent,
        grown,
        millis: performance.now() - began
      }
    })
  )
