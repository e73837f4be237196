/**
 * What the fibers of a cluster's fuzz do, and what each must observe. Every key of an entity has the entity's hash tag, so
 * that it moves with its slot. Writes are recorded, and compared with the servers at the end of the round.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Redis, type RedisError, RedisPubSub, RedisScript } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import { hasEnded } from "../../src/internal/effect/fork.js"
import type * as Random from "./random.js"
import { turn } from "./task.js"

export interface Tally {
  done: number
  interrupted: number
  failed: number
  readonly byKind: Record<string, number>
  readonly failures: Record<string, number>
  readonly events: Record<string, number>
  readonly wrong: Array<string>
  readonly unsettled: Array<string>
  gaps: number
  messages: number
  handled: number
  handledAgain: number
  /** Acknowledged increments that no server has any more. */
  lost: number
  sockets: number
  timers: number
  fibers: number
}

export const emptyTally = (): Tally => ({
  done: 0,
  interrupted: 0,
  failed: 0,
  byKind: {},
  failures: {},
  events: {},
  wrong: [],
  unsettled: [],
  gaps: 0,
  messages: 0,
  handled: 0,
  handledAgain: 0,
  lost: 0,
  sockets: 0,
  timers: 0,
  fibers: 0
})

export const add = (counts: Record<string, number>, name: string): void => {
  counts[name] = (counts[name] ?? 0) + 1
}

/** From when to when something held, in milliseconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

const touches = (spans: ReadonlyArray<Span>, { from, to }: Span): boolean =>
  spans.some((span) => from <= span.to && span.from <= to)

/** One round: a client, and what is known of the servers. */
export interface World {
  readonly name: string
  readonly tally: Tally
  readonly entities: ReadonlyArray<Entity>
  readonly channels: ReadonlyArray<Series>
  readonly queues: ReadonlyArray<Queue>
  readonly jobs: ReadonlyArray<Jobs>
  /** Keys that are there from beginning to end. */
  readonly constant: ReadonlyArray<string>
  /** In these times servers may have lost writes that they had acknowledged. */
  readonly losses: Array<Span>
  /** In these times servers may have lost messages that they sent each other. */
  readonly busLosses: Array<Span>
  /** Slots whose move was given up, in which case a transaction may have been undone in part. */
  readonly torn: Set<number>
  /** Slots that moved at once. A server that takes one over publishes the events of its keys once more (seen on Valkey 9.1). */
  readonly repeated: Set<number>
  /** What the fibers read is there. */
  ready: boolean
  stopped: boolean
  /** The last messages are being published. */
  ending: boolean
}

const now = (): number => performance.now()

/** Writes of one fiber. */
class Writes {
  readonly acknowledged: Array<Span> = []
  unknown = 0

  most(): number {
    return this.acknowledged.length + this.unknown
  }

  /** Those that no server can have lost. */
  least({ losses }: World): number {
    return this.acknowledged.filter((span) => !touches(losses, span)).length
  }
}

/** A fiber's own keys in one slot. */
export class Entity {
  readonly counter = new Writes()
  readonly pair = new Writes()
  readonly pushed = new Map<number, Span>()
  /** Elements that were certainly not pushed. */
  readonly never = new Set<number>()
  next = 0
  constructor(readonly tag: string) {}
  key(name: string): string {
    return `{${this.tag}}:${name}`
  }
  get own(): string {
    return `own:${this.tag}`
  }
}

export const fields = 48

/** A channel, or the events of keys, with messages that are numbered. */
export class Series {
  readonly sent = new Map<number, Span>()
  readonly never = new Set<number>()
  next = 1
  /** The last message that was acknowledged. */
  last = 0
  constructor(
    readonly kind: "channel" | "pattern" | "shard channel" | "keyspace",
    readonly name: string
  ) {}
}

export class Queue {
  readonly pushed = new Map<string, Span>()
  readonly popped = new Map<string, number>()
  next = 0
  /** How many elements may have been taken for callers that did not get them. */
  mayBeTaken = 0
  constructor(readonly key: string) {}
}

export class Jobs {
  readonly added = new Map<string, Span>()
  readonly handled = new Map<string, number>()
  readonly never = new Set<string>()
  next = 0
  constructor(readonly stream: string) {}
}

/** What became of an operation: its value, its error, or nothing is known. */
export type Outcome<A> =
  | { readonly _tag: "Value"; readonly value: A; readonly span: Span }
  | { readonly _tag: "Error"; readonly error: RedisError.AnyRedisError }
  | { readonly _tag: "Interrupted" }

/** Runs an operation, and interrupts it at random. */
const attempt = <A, E extends RedisError.AnyRedisError, R>(
  kind: string,
  effect: Effect.Effect<A, E, R>,
  random: Random.Random,
  { tally }: World,
  chance = 0.7
): Effect.Effect<Outcome<A>, never, R> =>
  Effect.gen(function* () {
    tally.done++
    const from = now()
    if (!random.chance(chance)) {
      return outcomeOf(kind, yield* Effect.exit(effect), from, tally)
    }
    const fiber = yield* Effect.fork(effect)
    const yields = random.between(0, 6)
    for (let i = 0; i < yields; i++) yield* Effect.yieldNow()
    if (random.chance(0.4)) yield* Effect.sleep(random.between(0, random.pick([1, 4, 20])))
    yield* Fiber.interrupt(fiber)
    return outcomeOf(kind, yield* Fiber.await(fiber), from, tally)
  })

const nameOf = (error: RedisError.AnyRedisError): string => {
  const { _tag, code, delivery, reason } = error as {
    readonly _tag: string
    readonly code?: string
    readonly reason?: string
    readonly delivery?: string
  }
  return [_tag, code ?? reason, delivery].filter((part) => part !== undefined).join(" ")
}

/** Codes of errors that a cluster may answer while it changes. */
const codes = new Set(["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN", "UNBLOCKED"])

/** Whether an error may come from what was done to the cluster. */
const isExpected = (error: RedisError.AnyRedisError): boolean => {
  switch (error._tag) {
    case "ReplyError":
      return (
        codes.has(error.code) ||
        // A worker's group may be lost with its server.
        error.code === "NOGROUP" ||
        // The server became a replica between the write and its WAIT.
        /^ERR WAIT cannot be used with replica instances/.test(Redacted.value(error.raw))
      )
    case "ConnectionError":
    case "DeadlineError":
    case "PartialError":
      return true
    case "TransactionError":
      return error.error === undefined || isExpected(error.error)
    case "PipelineError":
      return error.error === undefined || isExpected(error.error)
    default:
      return false
  }
}

const outcomeOf = <A, E extends RedisError.AnyRedisError>(
  kind: string,
  exit: Exit.Exit<A, E>,
  from: number,
  tally: Tally
): Outcome<A> => {
  if (Exit.isSuccess(exit)) return { _tag: "Value", value: exit.value, span: { from, to: now() } }
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error !== undefined) {
    tally.failed++
    add(tally.failures, `${kind}: ${nameOf(error)}`)
    if (!isExpected(error)) {
      tally.wrong.push(`${kind} failed: ${nameOf(error)}: ${error.message}`)
    }
    return { _tag: "Error", error }
  }
  if (Cause.isInterruptedOnly(exit.cause)) {
    tally.interrupted++
    add(tally.byKind, kind)
    return { _tag: "Interrupted" }
  }
  tally.wrong.push(`${kind}: ${Cause.pretty(exit.cause)}`)
  return { _tag: "Interrupted" }
}

/** Whether an operation that failed or was interrupted may have been executed. */
const mayBeDone = (outcome: Exclude<Outcome<unknown>, { readonly _tag: "Value" }>): boolean => {
  if (outcome._tag === "Interrupted") {
    return true
  }
  const { error } = outcome
  return error._tag === "ConnectionError" || error._tag === "DeadlineError"
    ? error.delivery === "unknown"
    : error._tag === "ProtocolError" || error._tag === "PartialError"
}

type Step = Effect.Effect<void, never, Redis | RedisPubSub>

const counted = RedisScript.make({
  source: `return redis.call("INCR", KEYS[1])`,
  keys: 1,
  result: Schema.Number
})

const echo = RedisScript.make({
  source: `return { KEYS[1], ARGV[1], redis.call("GET", KEYS[1]) }`,
  keys: 1,
  args: [Schema.String],
  result: Schema.Tuple(Schema.String, Schema.String, Schema.NullOr(Schema.String))
})

const right = <A, E>(either: Either.Either<A, E>): Effect.Effect<A, E> =>
  Either.match(either, { onLeft: Effect.fail, onRight: Effect.succeed })

type Increment = readonly [kind: string, effect: Effect.Effect<number, RedisError.AnyRedisError, Redis>]

/** One more on a counter. */
const increments = (entity: Entity, world: World): ReadonlyArray<readonly [number, () => Increment]> => {
  const key = entity.key("n")
  const other = world.entities[0]?.key("own") ?? key
  return [
    [20, () => ["INCR", Redis.incr(key)]],
    [
      14,
      () => [
        "pipeline",
        Effect.flatMap(
          Redis.pipeline([Redis.get(other), Redis.incr(key), Redis.get(entity.key("own"))], { mode: "either" }),
          ([_, count]) => right(count)
        )
      ]
    ],
    [12, () => ["transaction", Effect.map(Redis.transaction([Redis.incr(key), Redis.get(key)]), ([count]) => count)]],
    [8, () => ["EVAL", Effect.map(Redis.execute("EVAL", "return redis.call('INCR', KEYS[1])", 1, key), Number)]],
    [12, () => ["EVALSHA", counted(key)]],
    [
      3,
      () => [
        "optimistic",
        Redis.optimistic(
          key,
          Effect.map(Redis.get(key), (value) =>
            Redis.transaction([
              Redis.incr(key),
              Redis.get(key),
              Redis.set(
                entity.key("seen"),
                Option.getOrElse(value, () => "")
              )
            ])
          )
        ).pipe(Effect.map(([count]) => count))
      ]
    ]
  ]
}

const increment = (entity: Entity, random: Random.Random, world: World): Step => {
  const [kind, effect] = random.weighted(increments(entity, world))()
  const { counter } = entity
  return Effect.map(attempt(kind, effect, random, world), (outcome) => {
    if (outcome._tag === "Value") {
      counter.acknowledged.push(outcome.span)
      if (outcome.value > counter.most()) {
        world.tally.wrong.push(`${kind}: ${entity.tag} counted to ${outcome.value}; ${counter.most()} were asked for`)
      }
    } else if (mayBeDone(outcome)) {
      counter.unknown++
    }
  })
}

/** A write and its WAIT, over a connection of their own. */
const replicated = (entity: Entity, random: Random.Random, world: World): Step =>
  Effect.map(
    attempt(
      "withReplication",
      Redis.withReplication({ replicas: 1, timeout: "200 millis" }, [Redis.incr(entity.key("n"))]),
      random,
      world
    ),
    (outcome) => {
      if (outcome._tag === "Value") {
        entity.counter.acknowledged.push(outcome.span)
      } else {
        // It may have failed in WAIT, after the write.
        entity.counter.unknown++
      }
    }
  )

const ownOf = (value: Option.Option<string>): string => Option.getOrElse(value, () => "nothing")

/** Reads what was written before the round, in several ways. */
const read = (entity: Entity, random: Random.Random, world: World, chance?: number): Step => {
  const others = Array.from({ length: 6 }, () => random.pick(world.entities))
  const keys = [entity, ...others].map((one) => one.key("own"))
  const wanted = [entity, ...others].map(({ own }) => own)
  type Reading = readonly [string, Effect.Effect<ReadonlyArray<string>, RedisError.AnyRedisError, Redis>]
  const [kind, effect] = random.weighted<() => Reading>([
    [10, () => ["GET", Effect.map(Redis.get(keys[0] as string), (value) => [ownOf(value)])]],
    [6, () => ["MGET", Effect.map(Redis.mget(keys as [string, ...Array<string>]), (values) => values.map(ownOf))]],
    [
      6,
      () => [
        "pipeline of reads",
        Effect.flatMap(
          Redis.pipeline(
            keys.map((key) => Redis.get(key)),
            { mode: "either" }
          ),
          (values) => Effect.map(Effect.forEach(values, right), (all) => all.map(ownOf))
        )
      ]
    ],
    [
      4,
      () => [
        "script that reads",
        Effect.map(echo(keys[0] as string, entity.tag), ([key, arg, value]) =>
          key === keys[0] && arg === entity.tag ? [value ?? "nothing"] : [`${key} ${arg}`]
        )
      ]
    ],
    [
      4,
      () => [
        "GET at a replica",
        // A replica may lack the last writes, so it may have nothing.
        Redis.get(keys[0] as string).pipe(
          RedisCluster.readFrom("preferReplica"),
          Effect.map((value) => [Option.getOrElse(value, () => entity.own)])
        )
      ]
    ]
  ])()
  return Effect.map(attempt(kind, effect, random, world, chance), (outcome) => {
    if (outcome._tag === "Value" && outcome.value.some((value, i) => value !== wanted[i])) {
      world.tally.wrong.push(`${kind} of ${wanted.join()} answered ${outcome.value.join()}`)
    }
  })
}

/** The counter is never below what was acknowledged, where no server lost anything. */
const readCounter = (entity: Entity, random: Random.Random, world: World): Step =>
  Effect.suspend(() => {
    const { counter } = entity
    const least = world.losses.length > 0 ? 0 : counter.acknowledged.length
    return Effect.map(
      attempt("read of a counter", Redis.mget([entity.key("n"), entity.key("none")]), random, world),
      (outcome) => {
        if (outcome._tag === "Value") {
          const value = Number(ownOf(outcome.value[0] ?? Option.none()).replace("nothing", "0"))
          if (
            value > counter.most() ||
            (value < least && world.losses.length === 0) ||
            Option.isSome(outcome.value[1] ?? Option.none())
          ) {
            world.tally.wrong.push(`MGET of ${entity.key("n")} answered ${value}, not ${least} to ${counter.most()}`)
          }
        }
      }
    )
  })

/** Two keys that only transactions write are always equal. */
const pair = (entity: Entity, random: Random.Random, world: World): Step => {
  const [a, b] = [entity.key("a"), entity.key("b")] as const
  if (random.chance(0.5)) {
    return Effect.map(
      attempt("transaction on a pair", Redis.transaction([Redis.incr(a), Redis.incr(b)]), random, world),
      (outcome) => {
        if (outcome._tag === "Value") {
          entity.pair.acknowledged.push(outcome.span)
          checkPair(entity, world, outcome.value)
        } else if (mayBeDone(outcome)) {
          entity.pair.unknown++
        }
      }
    )
  }
  return Effect.map(
    attempt("transaction that reads", Redis.transaction([Redis.get(a), Redis.get(b)]), random, world),
    (outcome) => {
      if (outcome._tag === "Value") {
        checkPair(entity, world, outcome.value.map(ownOf))
      }
    }
  )
}

const checkPair = (entity: Entity, world: World, [a, b]: ReadonlyArray<unknown>): void => {
  if (a !== b && !world.torn.has(RedisCluster.keySlot(entity.key("a")))) {
    world.tally.wrong.push(`half a transaction of ${entity.tag}: ${a} and ${b}`)
  }
}

/** Numbers that are pushed by pipelines keep their order. */
const push = (entity: Entity, random: Random.Random, world: World): Step =>
  Effect.suspend(() => {
    const numbers = Array.from({ length: random.between(1, 4) }, () => entity.next++)
    const commands = numbers.map((number) => Redis.rpush(entity.key("list"), String(number)))
    const from = now()
    return Effect.map(
      attempt(
        "pipeline of pushes",
        Redis.pipeline([Redis.get(random.pick(world.entities).key("own")), ...commands], { mode: "either" }),
        random,
        world
      ),
      (outcome) => {
        const results: ReadonlyArray<Either.Either<unknown, RedisError.AnyRedisError>> =
          outcome._tag === "Value" ? outcome.value.slice(1) : []
        numbers.forEach((number, i) => {
          const result = results[i]
          if (result === undefined) {
            if (outcome._tag === "Error" && !mayBeDone(outcome)) {
              entity.never.add(number)
            }
          } else if (Either.isRight(result)) {
            entity.pushed.set(number, { from, to: now() })
          } else {
            const error = result.left
            add(world.tally.failures, `RPUSH in a pipeline: ${nameOf(error)}`)
            if (!mayBeDone({ _tag: "Error", error })) {
              entity.never.add(number)
            }
          }
        })
      }
    )
  })

const scanHash = (entity: Entity, random: Random.Random, world: World): Step =>
  Effect.map(
    attempt("HSCAN", Stream.runCollect(Redis.hscanStream(entity.key("hash"), { count: 8 })), random, world),
    (outcome) => {
      if (outcome._tag === "Value") {
        const found = new Set(Chunk.toReadonlyArray(outcome.value).map(([field]) => field))
        if (found.size < fields) {
          world.tally.wrong.push(`HSCAN of ${entity.tag} gave ${found.size} of ${fields} fields`)
        }
      }
    }
  )

/** Several reads at once, most of which are interrupted. */
const burst = (entity: Entity, random: Random.Random, world: World): Step =>
  Effect.suspend(() =>
    Effect.all(
      Array.from({ length: random.between(10, 30) }, () => read(entity, random.fork(), world, 0.9)),
      { concurrency: "unbounded", discard: true }
    )
  )

/** A fiber that does all of this until the round ends. */
export const work = (entity: Entity, random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    while (!world.stopped) {
      yield* random.weighted<() => Step>([
        [30, () => increment(entity, random, world)],
        [12, () => read(entity, random, world)],
        [12, () => burst(entity, random, world)],
        [6, () => readCounter(entity, random, world)],
        [6, () => pair(entity, random, world)],
        [8, () => push(entity, random, world)],
        [1, () => replicated(entity, random, world)],
        [1, () => scanHash(entity, random, world)]
      ])()
      // Otherwise fibers that are interrupted at once would let no socket be read.
      yield* random.chance(0.1) ? Effect.sleep(random.between(0, 10)) : turn
    }
  })

/** Scans the whole cluster. */
export const scanAll = (random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    while (!world.stopped) {
      const outcome = yield* attempt(
        "scan",
        Stream.runCollect(Redis.scanStream({ match: `{${world.name}:*:own`, count: 100 })),
        random,
        world,
        0.1
      )
      if (outcome._tag === "Value") {
        const found = new Set(outcome.value)
        const missing = world.constant.filter((key) => !found.has(key))
        if (missing.length > 0) {
          world.tally.wrong.push(`a scan lacks ${missing.length} keys: ${missing.slice(0, 3).join()}`)
        }
      }
      yield* Effect.sleep(random.between(50, 400))
    }
  })

/** Pushes elements to a queue. */
export const produce = (queue: Queue, random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    while (!world.stopped) {
      const element = `${queue.key}#${queue.next++}`
      const outcome = yield* attempt("RPUSH", Redis.rpush(queue.key, element), random, world, 0.2)
      if (outcome._tag === "Value") {
        queue.pushed.set(element, outcome.span)
      }
      yield* Effect.sleep(random.between(2, 40))
    }
  })

/** Waits for elements of a queue. */
export const consume = (queue: Queue, random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    while (!world.stopped) {
      const outcome = yield* attempt(
        "BLPOP",
        Redis.blpop([queue.key], { timeout: `${random.between(10, 800)} millis` }),
        random,
        world,
        0.2
      )
      if (outcome._tag === "Value") {
        if (Option.isSome(outcome.value)) {
          const [key, element] = outcome.value.value
          queue.popped.set(element, (queue.popped.get(element) ?? 0) + 1)
          if (key !== queue.key || !element.startsWith(`${key}#`)) {
            world.tally.wrong.push(`BLPOP of ${queue.key} got ${element} of ${key}`)
          }
        }
      } else if (mayBeDone(outcome)) {
        queue.mayBeTaken++
      }
    }
  })

/** Publishes numbered messages, or writes numbered keys whose events are listened to. */
export const publish = (series: Series, random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    while (!world.stopped) {
      const number = series.next++
      const { kind, name } = series
      const command: Effect.Effect<unknown, RedisError.AnyRedisError, Redis> =
        kind === "shard channel"
          ? Redis.spublish(name, String(number))
          : kind === "keyspace"
            ? Redis.set(`${name}:${number}`, "x", { px: "20 seconds" })
            : Redis.publish(name, String(number))
      // The last messages must reach whoever listens.
      const chance = world.ending ? 0 : 0.25
      const outcome = yield* attempt(
        kind === "keyspace" ? "SET" : `publish to a ${kind}`,
        command,
        random,
        world,
        chance
      )
      if (outcome._tag === "Value") {
        series.sent.set(number, outcome.span)
        series.last = number
      } else if (!mayBeDone(outcome)) {
        series.never.add(number)
      }
      yield* Effect.sleep(world.ending ? 100 : random.between(0, 30))
    }
  })

/** What one listener has received of a series. */
class Received {
  private last: number
  private readonly seen = new Set<number>()
  /** Messages that are missing although no gap was reported; another one may overtake them for a moment. */
  readonly holes = new Set<number>()
  private gap = false
  constructor(
    readonly series: Series,
    private readonly world: World
  ) {
    // Messages that are published from now on are received.
    this.last = series.next - 1
  }

  onGap(): void {
    this.gap = true
    this.holes.clear()
  }

  onMessage(number: number): void {
    const { name, never, kind } = this.series
    if (never.has(number)) {
      this.world.tally.wrong.push(`${kind} ${name} received ${number}, which was not sent`)
    }
    if (this.seen.has(number) && !(kind === "keyspace" && this.world.repeated.has(RedisCluster.keySlot(name)))) {
      this.world.tally.wrong.push(`${kind} ${name} received ${number} twice`)
    }
    this.seen.add(number)
    if (number <= this.last) {
      if (this.holes.delete(number) && kind === "shard channel") {
        this.world.tally.wrong.push(`${kind} ${name} received ${number} after ${this.last}`)
      }
      return
    }
    if (!this.gap) {
      for (let missing = this.last + 1; missing < number; missing++) {
        this.holes.add(missing)
      }
    }
    this.gap = false
    this.last = number
  }

  /** Whether what was published last has arrived. */
  get upToDate(): boolean {
    return this.last >= this.series.last
  }

  get position(): number {
    return this.last
  }

  check(since: number): void {
    const { kind, name, sent } = this.series
    const { busLosses, losses, tally } = this.world
    // Between nodes, messages go over connections that the client does not see.
    const excused = kind === "channel" || kind === "pattern" ? busLosses : kind === "keyspace" ? losses : []
    for (const number of this.holes) {
      const span = sent.get(number)
      if (span !== undefined && span.from > since && !touches(excused, span)) {
        tally.wrong.push(`${kind} ${name} did not receive ${number}, and no gap was reported`)
      }
    }
  }
}

/** Listens to several series of one kind with one subscription, which begins again at random. */
export const listen = (all: ReadonlyArray<Series>, random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    const [first] = all
    while (first !== undefined && !world.stopped) {
      const names = all.map(({ name }) => name) as [string, ...Array<string>]
      const { withGaps } = RedisPubSub
      let current: ReadonlyArray<Received> = []
      let since = 0
      const started = Effect.sync(() => {
        since = now()
        current = all.map((series) => new Received(series, world))
      })
      const onGap = (): void => {
        world.tally.gaps++
        for (const one of current) one.onGap()
      }
      const onMessage = (name: string, text: string): void => {
        world.tally.messages++
        const received = current.find(({ series }) => series.name === name)
        if (received === undefined || !/^\d+$/.test(text)) {
          world.tally.wrong.push(`a subscription to ${names.join()} received ${text} of ${name}`)
        } else {
          received.onMessage(Number(text))
        }
      }
      const run =
        first.kind === "keyspace"
          ? Effect.flatMap(
              withGaps.psubscribeKeyspace(
                names.map((name) => `${name}:*`),
                { notify: "KEA" }
              ),
              (events) =>
                Effect.zipRight(
                  started,
                  Stream.runForEach(events, (event) =>
                    Effect.sync(() => {
                      if (RedisPubSub.isGap(event)) {
                        onGap()
                      } else if (event.event === "set") {
                        const at = event.key.lastIndexOf(":")
                        onMessage(event.key.slice(0, at), event.key.slice(at + 1))
                      }
                    })
                  )
                )
            )
          : Effect.flatMap(
              first.kind === "shard channel"
                ? withGaps.ssubscribe(names)
                : first.kind === "channel"
                  ? withGaps.subscribe(names)
                  : withGaps.psubscribe(names.map((name) => `${name.slice(0, -1)}[${name.at(-1)}]`)),
              (messages) =>
                Effect.zipRight(
                  started,
                  Stream.runForEach(messages, (message) =>
                    Effect.sync(() =>
                      RedisPubSub.isGap(message) ? onGap() : onMessage(message.channel, message.payload)
                    )
                  )
                )
            )
      const fiber = yield* Effect.fork(Effect.scoped(run))
      const until = now() + random.between(500, 8_000)
      while (!world.ending && now() < until && !hasEnded(fiber)) {
        yield* Effect.sleep(20)
      }
      if (world.ending && !hasEnded(fiber)) {
        // The cluster is well again: everything that is published arrives.
        const patience = now() + 30_000
        const from = all.map((series) => series.last)
        const arrived = (): boolean =>
          current.length > 0 && current.every((received, i) => received.position > (from[i] as number))
        while (now() < patience && !arrived() && !hasEnded(fiber)) {
          yield* Effect.sleep(20)
        }
        if (!arrived() && !hasEnded(fiber)) {
          world.tally.wrong.push(
            `a subscription to ${first.kind} ${names.join()} receives nothing any more: ` +
              current.map(({ position, series }) => `${position} of ${series.last}`).join()
          )
        }
      }
      const [from] = [now()]
      yield* Fiber.interrupt(fiber)
      outcomeOf(`subscription to a ${first.kind}`, yield* Fiber.await(fiber), from, world.tally)
      world.tally.done++
      for (const received of current) received.check(since)
      if (world.ending) {
        return
      }
    }
  })

/** Adds numbered entries to a stream. */
export const addJobs = (jobs: Jobs, random: Random.Random, world: World): Step =>
  Effect.gen(function* () {
    while (!world.stopped) {
      const job = String(jobs.next++)
      const outcome = yield* attempt("XADD", Redis.stream.add(jobs.stream, { job }), random, world, 0.2)
      if (outcome._tag === "Value") {
        jobs.added.set(job, outcome.span)
      } else if (!mayBeDone(outcome)) {
        jobs.never.add(job)
      }
      yield* Effect.sleep(random.between(2, 40))
    }
  })

/** A worker that is stopped and started again at random. It goes on until everything is handled. */
export const handleJobs = (
  jobs: Jobs,
  consumer: string,
  random: Random.Random,
  world: World,
  ended: () => boolean
): Step =>
  Effect.gen(function* () {
    const worker = Redis.stream.worker(
      {
        stream: jobs.stream,
        group: "workers",
        consumer,
        create: "all",
        concurrency: 4,
        block: "500 millis",
        claim: { idle: "2 seconds" },
        stopTimeout: "1 second",
        retry: Schedule.recurs(3),
        on: () => Effect.void
      },
      ({ fields }) =>
        Effect.gen(function* () {
          const job = fields.job ?? "nothing"
          if (random.chance(0.1)) yield* Effect.sleep(random.between(0, 30))
          if (random.chance(0.02)) return yield* Effect.fail("the handler fails")
          if (!/^\d+$/.test(job) || jobs.never.has(job)) {
            world.tally.wrong.push(`a worker of ${jobs.stream} got ${job}, which was not added`)
          }
          const before = jobs.handled.get(job) ?? 0
          jobs.handled.set(job, before + 1)
          before === 0 ? world.tally.handled++ : world.tally.handledAgain++
        })
    )
    while (!ended()) {
      const fiber = yield* Effect.fork(worker)
      const until = now() + random.between(300, 8_000)
      while (!ended() && now() < until && !hasEnded(fiber)) {
        yield* Effect.sleep(20)
      }
      const from = now()
      yield* Fiber.interrupt(fiber)
      outcomeOf("worker", yield* Fiber.await(fiber), from, world.tally)
      world.tally.done++
      // A handler of a stopped worker may fail by its interruption; the next one gets the entry.
      yield* Effect.sleep(random.between(0, 100))
    }
  })

/** Whether every entry that cannot be lost was handled. */
export const allHandled = (world: World): ReadonlyArray<string> =>
  world.jobs.flatMap((jobs) =>
    [...jobs.added].flatMap(([job, span]) =>
      jobs.handled.has(job) || touches(world.losses, span) ? [] : [`${jobs.stream} ${job}`]
    )
  )

/** Compares what the servers have with what was written. */
export const audit = (world: World): Effect.Effect<void, RedisError.AnyRedisError, Redis> =>
  Effect.gen(function* () {
    const { losses, tally } = world
    const wrong = (text: string): void => {
      tally.wrong.push(text)
    }
    const number = (value: Option.Option<string>): number => Number(Option.getOrElse(value, () => "0"))
    for (const entity of world.entities) {
      const { counter, never, pair, pushed, tag } = entity
      const [n, a, b] = (yield* Redis.mget([entity.key("n"), entity.key("a"), entity.key("b")])).map(number)
      for (const [what, count, writes] of [
        ["counter", n as number, counter],
        ["pair", a as number, pair]
      ] as const) {
        tally.lost += Math.max(writes.acknowledged.length - count, 0)
        if (count > writes.most() || count < writes.least(world)) {
          wrong(
            `the ${what} of ${tag} is ${count}: ${writes.acknowledged.length} were acknowledged, ` +
              `of which ${writes.least(world)} cannot be lost; ${writes.unknown} are unknown`
          )
        }
      }
      checkPair(entity, world, [a, b])
      const list = (yield* Redis.lrange(entity.key("list"), 0, -1)).map(Number)
      const sure = list.filter((element) => pushed.has(element))
      if (new Set(list).size !== list.length) wrong(`an element of the list of ${tag} was pushed twice`)
      if (sure.some((element, i) => i > 0 && element < (sure[i - 1] as number))) {
        wrong(`the list of ${tag} lost its order: ${sure.join()}`)
      }
      for (const element of list) {
        if (never.has(element)) wrong(`the list of ${tag} has ${element}, which was reported as not sent`)
      }
      for (const [element, span] of pushed) {
        if (!list.includes(element) && !touches(losses, span)) wrong(`the list of ${tag} lacks ${element}`)
      }
    }
    for (const queue of world.queues) {
      const left = yield* Redis.lrange(queue.key, 0, -1)
      const there = new Set([...left, ...queue.popped.keys()])
      const missing = [...queue.pushed].filter(([element, span]) => !there.has(element) && !touches(losses, span))
      if (missing.length > queue.mayBeTaken) {
        wrong(`${queue.key} lacks ${missing.length} elements; at most ${queue.mayBeTaken} may have been taken`)
      }
      for (const [element, times] of queue.popped) {
        if (times > 1 && losses.length === 0) wrong(`${element} was popped ${times} times`)
      }
    }
  })
