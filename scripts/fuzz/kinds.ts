/**
 * The kinds of tasks, and what each must observe. A task asks for values that hold its own name. Its writes are compared with
 * the server at the end of the round, when it is known how often each may have been executed.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Codec, type Connection, type Pool, Redis, RedisCommand, RedisPubSub, RedisScript } from "effect-redis-client"
import type { RedisService } from "../../src/Redis.js"
import { poll } from "../../test/support/fibers.js"
import { currentTask, pause, type Task } from "./task.js"

/** The clients and records that the tasks of a round share. */
export interface World {
  readonly name: string
  /** The shared client, and one that may have few commands in flight, so that most of them wait. */
  readonly shared: RedisService
  readonly tight: RedisService
  readonly pool: Pool.Pool
  readonly pooled: RedisService
  /** Opens a connection for one task. */
  readonly connect: Effect.Effect<Connection.Connection, unknown, Scope.Scope>
  /** Subscriptions of all tasks, over one connection. */
  readonly pubsub: Effect.Effect.Success<ReturnType<typeof RedisPubSub.make>>
  readonly ledger: Ledger
  /** Large values are many: sockets are full. */
  readonly large: boolean
  /** Connections are killed all the while. */
  readonly killing: boolean
}

/** What was written, to be compared with the server at the end of the round. */
export class Ledger {
  /** By key: how often a write was sent, and how often it was confirmed. */
  readonly counters = new Map<string, { sent: number; confirmed: number }>()
  /** Pairs that only transactions write: they are always the same. */
  readonly pairs = new Map<string, { sent: number; confirmed: number }>()
  /** Of optimistic transactions, by log: what was confirmed, as `number|task`. */
  readonly logs = new Map<string, Array<string>>()

  static of(map: Map<string, { sent: number; confirmed: number }>, key: string): { sent: number; confirmed: number } {
    let entry = map.get(key)
    if (entry === undefined) {
      entry = { sent: 0, confirmed: 0 }
      map.set(key, entry)
    }
    return entry
  }
}

export const owners = 256
export const bigs = 16
export const members = 60

export const ownKey = (i: number): string => `key:${i}`
export const bigKey = (i: number): string => `big:${i}`
export const bigValue = (i: number): string => `big:${i}|`.repeat(i * i * 180 + 40)
export const setKey = (i: number): string => `set:${i}`
export const hashKey = (i: number): string => `hash:${i}`
export const optimisticGroups = 6

type Complaints = ReadonlyArray<string>

type Work = Effect.Effect<Complaints, unknown, Redis | RedisPubSub | Scope.Scope>

const fine: Complaints = []

/** The complaint that a task got another task's value. */
const same = (task: Task, got: unknown, wanted: unknown = task.own): Complaints =>
  got === wanted ? fine : [`${task.kind} of ${String(wanted).slice(0, 40)} got ${show(got)}`]

const show = (value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return String(text).slice(0, 80)
}

const textOf = (value: Option.Option<string>): string => Option.getOrElse(value, () => "nothing")

/** The same command, with decoding as a place where the task may be interrupted. */
const decoding = <A>(task: Task, command: RedisCommand.RedisCommand<A>): RedisCommand.RedisCommand<A> =>
  RedisCommand.map(command, (value) => {
    const { stage } = task
    task.stage = "decoding"
    task.reached("decode")
    task.stage = stage
    return value
  })

/** Text with encoding as a place where the task may be interrupted. */
const hooked = Redis.withCodec(
  Codec.make<string>({
    encode: (value) => {
      currentTask()?.reached("encode")
      return Either.right(value)
    },
    decode: Either.right
  })
)

const bytes = Redis.withCodec(Codec.bytes)

/** Marks the time of releasing, which begins before the library's own finalizers. */
const releasing = (task: Task): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer(() =>
    Effect.zipRight(
      Effect.sync(() => {
        task.stage = "releasing"
        task.reached("release")
      }),
      task.random.chance(0.3) ? Effect.yieldNow() : Effect.void
    )
  )

/** What is acquired in the task's scope: waiting for it is a place of its own. */
const acquired = <A, E, R>(task: Task, acquire: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.suspend(() => {
    task.stage = "acquiring"
    return acquire
  }).pipe(
    Effect.tap(() => {
      task.stage = "working"
      return releasing(task)
    })
  )

const echo = RedisScript.make({
  source: `
    local seen = redis.call("GET", KEYS[1])
    return { KEYS[1], ARGV[1], seen }`,
  keys: 1,
  args: [Schema.String],
  result: Schema.Tuple(Schema.String, Schema.String, Schema.NullOr(Schema.String))
})

const increment = RedisScript.make({
  source: `return redis.call("INCR", KEYS[1])`,
  keys: 1,
  result: Schema.Number
})

/** When a failure says that the write was not executed, the write is removed from those that may have been. */
const counted = <A, E, R>(
  entry: { sent: number; confirmed: number },
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    entry.sent++
    return effect
  }).pipe(
    Effect.tap(() =>
      Effect.sync(() => {
        entry.confirmed++
      })
    ),
    Effect.tapError((error) =>
      Effect.sync(() => {
        if (unsent(error)) {
          entry.sent--
        }
      })
    )
  )

/** Whether an error says that the command never reached the server. */
export const unsent = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "delivery" in error && error.delivery === "unsent"

const get = (_: World, task: Task): Work =>
  Effect.map(decoding(task, Redis.get(task.own)), (v) => same(task, textOf(v)))

const getBytes = (_: World, task: Task): Work =>
  Effect.map(decoding(task, bytes.get(task.own)), (value) =>
    same(task, Option.match(value, { onNone: () => "nothing", onSome: (got) => new TextDecoder().decode(got) }))
  )

const getBig = (_: World, task: Task): Work => {
  const i = task.random.below(bigs)
  return Effect.map(decoding(task, Redis.get(bigKey(i))), (value) => {
    const got = textOf(value)
    return got === bigValue(i) ? fine : [`a big value of ${bigKey(i)} got ${got.length} characters: ${show(got)}`]
  })
}

const set = (world: World, task: Task): Work => {
  const key = `${world.name}:set:${task.id}`
  return Effect.zipRight(
    hooked.set(key, task.own),
    Effect.map(decoding(task, Redis.get(key)), (got) => same(task, textOf(got)))
  )
}

const setBig = (world: World, task: Task): Work => {
  const key = `${world.name}:setbig:${task.id}`
  const value = `${key}|`.repeat(200 + task.random.below(world.large ? 40_000 : 10_000))
  return Effect.zipRight(
    hooked.set(key, value, { ex: "10 minutes" }),
    Effect.map(decoding(task, Redis.getdel(key)), (got) =>
      textOf(got) === value ? fine : [`what was set to ${key} came back as ${show(textOf(got))}`]
    )
  )
}

const mget = (_: World, task: Task): Work =>
  Effect.map(decoding(task, Redis.mget([task.own, "no such key", task.own])), (values) =>
    same(task, values.map(textOf).join(), [task.own, "nothing", task.own].join())
  )

const hgetall = (_: World, task: Task): Work => {
  const key = hashKey(task.random.below(owners))
  return Effect.map(decoding(task, Redis.hgetall(key)), (fields) =>
    Object.entries(fields).flatMap(([field, value]) => same(task, value, `${key}:${field}`))
  )
}

const incr = (world: World, task: Task): Work => {
  const key = `${world.name}:n:${task.id}`
  const entry = Ledger.of(world.ledger.counters, key)
  const once = Effect.flatMap(counted(entry, decoding(task, Redis.incr(key))), (n) =>
    n === entry.confirmed ? Effect.succeed(fine) : Effect.succeed([`${key}: call ${entry.confirmed} answered ${n}`])
  )
  return Effect.map(Effect.all(Array.from({ length: 1 + task.random.below(3) }, () => once)), (all) => all.flat())
}

/** A command whose reply is late: the next command must not get that reply. */
const late = (_: World, task: Task): Work =>
  Effect.flatMap(
    Effect.either(RedisCommand.withDeadline(Redis.get("not this one's"), `${1 + task.random.below(40)} millis`)),
    (first) =>
      Either.isLeft(first) && first.left._tag !== "DeadlineError"
        ? Effect.fail(first.left)
        : Effect.map(Redis.get(task.own), (value) => same(task, textOf(value)))
  )

/** When a user's function throws, only that caller gets the defect. */
const throws = (_: World, task: Task): Work =>
  Effect.flatMap(
    Effect.exit(
      RedisCommand.map(Redis.get(task.own), () => {
        throw new Error("a user's function")
      })
    ),
    (exit) =>
      Exit.isFailure(exit) && (Cause.isDie(exit.cause) || Exit.isInterrupted(exit))
        ? Effect.map(Redis.get(task.own), (value) => same(task, textOf(value)))
        : Effect.failCause((exit as Exit.Failure<never, unknown>).cause)
  )

const pipeline = (world: World, task: Task): Work => {
  const key = `${world.name}:p:${task.id}`
  const entry = Ledger.of(world.ledger.counters, key)
  return Effect.map(
    counted(
      entry,
      Redis.pipeline([
        decoding(task, Redis.get(task.own)),
        Redis.incr(key),
        bytes.get(task.own),
        Redis.mget([task.own, task.own])
      ])
    ),
    ([one, n, raw, two]) => [
      ...same(task, textOf(one)),
      ...same(task, n, 1),
      ...same(task, new TextDecoder().decode(Option.getOrElse(raw, () => new Uint8Array()))),
      ...two.flatMap((value) => same(task, textOf(value)))
    ]
  )
}

const either = (_: World, task: Task): Work =>
  Effect.flatMap(
    Redis.pipeline(
      { own: Redis.get(task.own), refused: Redis.lpush(task.own, ["x"]), big: Redis.get(bigKey(3)) },
      {
        mode: "either"
      }
    ),
    ({ big, own, refused }) => {
      const broken = [own, big].find((slot) => Either.isLeft(slot))
      if (broken !== undefined && Either.isLeft(broken)) {
        return Effect.fail(broken.left)
      }
      if (Either.isRight(refused) || refused.left._tag !== "ReplyError") {
        return Either.isLeft(refused) ? Effect.fail(refused.left) : Effect.succeed(["LPUSH on a string was executed"])
      }
      return Effect.succeed([
        ...same(task, textOf(Either.getOrThrow(own))),
        ...same(task, textOf(Either.getOrThrow(big)), bigValue(3)),
        ...same(task, refused.left.code, "WRONGTYPE")
      ])
    }
  )

const transaction = (world: World, task: Task): Work => {
  const key = `${world.name}:t:${task.id}`
  const entry = Ledger.of(world.ledger.pairs, key)
  return Effect.map(
    counted(
      entry,
      Redis.transaction({
        one: Redis.incr(`${key}:a`),
        own: decoding(task, Redis.get(task.own)),
        // The server loses its scripts all the while: see `flush`.
        two: increment(`${key}:b`),
        missing: Redis.get("no such key")
      })
    ),
    ({ missing, one, own, two }) => [
      ...same(task, textOf(own)),
      ...same(task, `${one},${two}`, "1,1"),
      ...same(task, textOf(missing), "nothing")
    ]
  )
}

const flush = (): Work => Effect.as(Redis.scriptFlush(), fine)

const optimistic = (world: World, task: Task): Work => {
  const key = `${world.name}:o:${task.random.below(optimisticGroups)}`
  task.stage = "acquiring"
  return Redis.optimistic(
    key,
    Effect.gen(function* () {
      task.stage = "working"
      const seen = yield* Redis.get(key)
      const mine = yield* Redis.get(task.own)
      const n = Number(Option.getOrElse(seen, () => "0")) + 1
      return Redis.transaction([
        Redis.set(key, String(n)),
        Redis.rpush(`${key}:log`, [`${n}|${task.id}`]),
        decoding(task, Redis.set(`${key}:last`, textOf(mine)))
      ])
    })
  ).pipe(
    Effect.map(([, length]) => {
      const log = world.ledger.logs.get(`${key}:log`) ?? []
      world.ledger.logs.set(`${key}:log`, [...log, `${length}|${task.id}`])
      return fine
    })
  )
}

const script = (world: World, task: Task): Work =>
  Effect.flatMap(
    task.random.chance(0.03) ? Effect.asVoid(Redis.scriptFlush()) : Effect.void,
    (): Work =>
      Effect.map(decoding(task, echo(task.own, `${world.name}:${task.id}`)), ([key, arg, seen]) =>
        same(task, `${key},${arg},${seen}`, `${task.own},${world.name}:${task.id},${task.own}`)
      )
  )

const scan = (_: World, task: Task): Work => {
  const i = task.random.below(owners)
  const count = 5 + task.random.below(30)
  const pages = task.random.chance(0.5)
    ? Redis.sscanStream(setKey(i), { count }).pipe(Stream.map((member) => [member, setKey(i)] as const))
    : Redis.hscanStream(hashKey(i), { count }).pipe(Stream.map(([, value]) => [value, hashKey(i)] as const))
  return Effect.map(
    Stream.runCollect(Stream.tap(pages, () => (task.random.chance(0.02) ? pause(task.random.below(5)) : Effect.void))),
    (all) => {
      const seen = new Set(Chunk.toReadonlyArray(all).map(([value]) => value))
      const foreign = Chunk.toReadonlyArray(all).filter(([value, key]) => !value.startsWith(`${key}:`))
      return [
        ...foreign.map(([value, key]) => `a scan of ${key} gave ${show(value)}`),
        ...(seen.size === members ? fine : [`a scan of ${members} gave ${seen.size}`])
      ]
    }
  )
}

/** A list of its own; what is pushed by another connection, sooner or later, or was there already. */
const blocking = (world: World, task: Task): Work => {
  const key = `${world.name}:l:${task.id}`
  const push = Effect.provideService(Redis.rpush(key, [task.own]), Redis, world.shared)
  const wait = task.random.pick([
    () => Redis.blpop(key, { timeout: "20 seconds" }),
    () => Redis.brpop([`${key}:none`, key], { timeout: "20 seconds" }),
    // Without a timeout: the client asks the server in slices.
    () => Redis.blpop([key], { timeout: Duration.infinity })
  ] as const)
  const ask = Effect.map(
    Effect.suspend(() => {
      task.stage = "new"
      return decoding(task, wait())
    }),
    (got) =>
      same(
        task,
        Option.match(got, { onNone: () => "nothing", onSome: ([from, value]) => `${from}=${value}` }),
        `${key}=${task.own}`
      )
  )
  if (task.random.chance(0.4)) {
    return Effect.zipRight(push, ask)
  }
  // The push has its own fiber, which ends with the task, so an interrupted task gets nothing pushed.
  return Effect.scoped(
    Effect.zipRight(Effect.forkScoped(Effect.ignore(Effect.zipRight(pause(task.random.below(25)), push))), ask)
  )
}

/** A channel of its own, over a connection of its own. */
const subscription = (world: World, task: Task): Work =>
  Effect.gen(function* () {
    const channel = `${world.name}:c:${task.id}`
    const connection = yield* acquired(task, world.connect)
    const first = yield* Effect.forkScoped(
      connection.pushes.pipe(
        Stream.filter((push) => push.kind === "message"),
        Stream.take(3),
        Stream.runCollect
      )
    )
    yield* Effect.yieldNow()
    yield* connection.execute("SUBSCRIBE", channel, `${channel}:other`)
    const publish = (text: string) => Effect.provideService(Redis.publish(channel, text), Redis, world.shared)
    for (const n of [1, 2, 3]) {
      // A PUBLISH that was in flight on a lost connection is not sent again, because it may have been executed.
      const reached = yield* publish(`${task.own}#${n}`)
      if (reached !== 1 && !(world.killing && reached === 0)) {
        return [`${channel} had ${reached} subscribers`]
      }
    }
    const got = Chunk.toReadonlyArray(yield* Fiber.join(first)).map(({ items }) => `${items[1]}=${items[2]}`)
    return same(task, got.join(), [1, 2, 3].map((n) => `${channel}=${task.own}#${n}`).join())
  })

/** A channel of its own over the connection that all subscriptions share. */
const pubsub = (world: World, task: Task): Work =>
  Effect.gen(function* () {
    // It ends in a full stop, so that the pattern of task 21 does not match the channel of task 218.
    const channel = `${world.name}:${task.random.pick(["d", "e"])}:${task.id}.`
    const byPattern = task.random.chance(0.3)
    const messages = yield* acquired(
      task,
      byPattern ? RedisPubSub.psubscribe(`${channel}*`) : RedisPubSub.subscribe([channel, `${channel}:other`])
    )
    const first = yield* Effect.forkScoped(Stream.runCollect(Stream.take(messages, 3)))
    for (const n of [1, 2, 3]) {
      const reached = yield* Effect.provideService(Redis.publish(channel, `${task.own}#${n}`), Redis, world.shared)
      if (reached !== 1 && !world.killing) {
        return [`${channel} had ${reached} subscribers`]
      }
    }
    if (world.killing) {
      // What was published while the connection was replaced is not received.
      yield* Effect.raceFirst(Fiber.await(first), pause(30))
      const some = yield* poll(first)
      return Option.isSome(some) && Exit.isSuccess(some.value)
        ? Chunk.toReadonlyArray(some.value.value).flatMap((message) => same(task, message.channel, channel))
        : fine
    }
    const got = Chunk.toReadonlyArray(yield* Fiber.join(first)).map(({ channel, payload }) => `${channel}=${payload}`)
    return same(task, got.join(), [1, 2, 3].map((n) => `${channel}=${task.own}#${n}`).join())
  })

/** Leases a connection of the pool and leaves it in a state that must not reach the next borrower. */
const lease = (world: World, task: Task): Work =>
  Effect.gen(function* () {
    const connection = yield* acquired(task, world.pool.acquire)
    const complaints: Array<string> = []
    if ((yield* connection.db) !== 0) {
      complaints.push(`a lease came with database ${yield* connection.db}`)
    }
    complaints.push(...same(task, textOf(yield* connection.execute(decoding(task, Redis.get(task.own))))))
    switch (task.random.below(6)) {
      case 0:
        yield* connection.select(3)
        complaints.push(...same(task, textOf(yield* connection.execute(Redis.get(task.own))), "nothing"))
        break
      case 1:
        yield* connection.execute("MULTI")
        break
      case 2:
        yield* connection.execute("WATCH", task.own)
        break
      case 3:
        yield* connection.execute("SUBSCRIBE", `${world.name}:never`)
        break
      default:
        complaints.push(...same(task, textOf(yield* connection.execute(Redis.get(task.own)))))
    }
    return complaints
  })

/** Runs several kinds at once in one fiber, so that an interruption interrupts all of them. */
const several = (_: World, task: Task): Work =>
  Effect.map(
    Effect.all(
      Array.from({ length: 4 }, () => decoding(task, Redis.get(task.own))),
      { concurrency: "unbounded" }
    ),
    (values) => values.flatMap((value) => same(task, textOf(value)))
  )

export interface Kind {
  readonly name: string
  readonly weight: number
  readonly work: (world: World, task: Task) => Work
  /** Whether the kind chooses its connection itself. */
  readonly own?: boolean
  /** Whether the kind passes the places `encode` and `release`. */
  readonly encodes?: boolean
  readonly releases?: boolean
}

export const kinds: ReadonlyArray<Kind> = [
  { name: "GET", weight: 16, work: get },
  { name: "GET as bytes", weight: 10, work: getBytes },
  { name: "MGET", weight: 8, work: mget },
  { name: "HGETALL", weight: 4, work: hgetall },
  { name: "SET", weight: 6, work: set, encodes: true },
  { name: "large GET", weight: 1, work: getBig },
  { name: "large SET", weight: 1, work: setBig, encodes: true },
  { name: "INCR", weight: 8, work: incr },
  { name: "late reply", weight: 4, work: late },
  { name: "function that throws", weight: 3, work: throws },
  { name: "several at once", weight: 4, work: several },
  { name: "pipeline", weight: 10, work: pipeline },
  { name: "pipeline (either)", weight: 4, work: either },
  { name: "transaction", weight: 10, work: transaction },
  { name: "optimistic", weight: 1, work: optimistic },
  { name: "script", weight: 8, work: script },
  { name: "SCRIPT FLUSH", weight: 3, work: flush },
  { name: "scan", weight: 4, work: scan },
  { name: "blocking", weight: 1, work: blocking },
  { name: "subscription", weight: 0.5, work: subscription, own: true, releases: true },
  { name: "RedisPubSub", weight: 1.5, work: pubsub, own: true, releases: true },
  { name: "lease", weight: 2, work: lease, own: true, releases: true }
]
