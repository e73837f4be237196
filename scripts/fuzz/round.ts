/** One round: clients, a pool and connections of one server, thousands of tasks on them, and what is left afterwards. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Connection, Pool, Redis, RedisPubSub } from "effect-redis-client"
import { interruptFork } from "../../src/internal/effect/fork.js"
import type { RedisService } from "../../src/Redis.js"
import { launcher } from "../../test/support/fibers.js"
import {
  bigKey,
  bigs,
  bigValue,
  hashKey,
  type Kind,
  kinds,
  Ledger,
  members,
  optimisticGroups,
  owners,
  ownKey,
  setKey,
  type World
} from "./kinds.js"
import * as Random from "./random.js"
import { asTask, engines, type Plan, type Point, pause, plan, points, schedule, Task, turn } from "./task.js"
import { type Left, leftBy } from "./watch.js"

/** A server under test, with a connection of the fuzzer's that nothing disturbs. */
export interface Target {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly observer: Connection.Connection
}

/** How clients reach a server: through a proxy that splits and delays, say. `cut` ends some of its connections. */
export interface Way {
  readonly host: string
  readonly port: number
}

export interface RoundOptions {
  readonly seed: number
  readonly round: number
  readonly targets: ReadonlyArray<Target>
  readonly tasks: number
  /** Opens a proxy in front of a target; where it is `harsh`, it may end connections. */
  readonly proxy: (target: Target, random: Random.Random, harsh: boolean) => Effect.Effect<Way, never, Scope.Scope>
}

export interface Tally {
  rounds: number
  tasks: number
  answered: number
  /** Failures with an expected reason: a killed connection, a deadline, a conflict. */
  failed: number
  interrupted: number
  /** Interruptions that came after the task had ended. */
  tooLate: number
  readonly met: Record<Point, number>
  readonly byKind: Record<string, number>
  kills: number
  readonly wrong: Array<string>
  readonly unsettled: Array<string>
  sockets: number
  readonly timers: Array<string>
  readonly fibers: Array<string>
}

export const emptyTally = (): Tally => ({
  rounds: 0,
  tasks: 0,
  answered: 0,
  failed: 0,
  interrupted: 0,
  tooLate: 0,
  met: Object.fromEntries(points.map((point) => [point, 0])) as Record<Point, number>,
  byKind: Object.fromEntries(kinds.map(({ name }) => [name, 0])),
  kills: 0,
  wrong: [],
  unsettled: [],
  sockets: 0,
  timers: [],
  fibers: []
})

/** Whether everything is as it must be. */
export const clean = (tally: Tally): boolean =>
  tally.wrong.length + tally.unsettled.length + tally.sockets + tally.timers.length + tally.fibers.length === 0

/** The settings of this round: its number decides those that must alternate, its seed the rest. */
interface Shape {
  readonly target: Target
  readonly protocol: 2 | 3
  readonly proxied: boolean
  /** Connections are killed all the while. */
  readonly killing: boolean
  /** The program does not run for up to 60 milliseconds now and then. */
  readonly holding: boolean
  /** Many large values, over sockets that are full. */
  readonly large: boolean
  readonly tightness: number
  readonly poolSize: number
  readonly burst: number
  readonly alive: number
}

const shapeOf = ({ round, targets }: RoundOptions, random: Random.Random): Shape => ({
  target: targets[round % targets.length] as Target,
  protocol: Math.floor(round / targets.length) % 2 === 0 ? 2 : 3,
  ...random.weighted([
    [70, { proxied: true, large: false }],
    [20, { proxied: false, large: false }],
    [10, { proxied: true, large: true }]
  ]),
  killing: random.chance(0.2),
  holding: random.chance(0.25),
  tightness: random.pick([1, 2, 8, 32]),
  poolSize: random.pick([1, 3, 8, 16]),
  burst: random.pick([1, 20, 100, 400]),
  alive: random.pick([50, 300, 1_000])
})

export const describe = (options: RoundOptions): string => {
  const { killing, large, protocol, proxied, target } = shapeOf(options, Random.make(options.seed, options.round))
  return (
    `round ${options.round}: ${target.name}, RESP${protocol}, ${proxied ? "through the proxy" : "directly"}` +
    (large ? ", large values" : "") +
    (killing ? ", connections killed" : "")
  )
}

/** Writes the keys that the tasks read. */
const fill = (observer: Connection.Connection) =>
  Effect.gen(function* () {
    yield* observer.execute("FLUSHALL")
    const numbers = Array.from({ length: owners }, (_, i) => i)
    const parts = Array.from({ length: members }, (_, i) => i)
    yield* observer.execute(Redis.mset(Object.fromEntries(numbers.map((i) => [ownKey(i), ownKey(i)]))))
    yield* observer.execute(
      Redis.mset(Object.fromEntries(Array.from({ length: bigs }, (_, i) => [bigKey(i), bigValue(i)])))
    )
    yield* Effect.provideService(
      Redis.pipeline(
        numbers.flatMap((i) => [
          Redis.sadd(setKey(i), parts.map((j) => `${setKey(i)}:${j}`) as [string, ...Array<string>]),
          Redis.hset(hashKey(i), Object.fromEntries(parts.map((j) => [`f${j}`, `${hashKey(i)}:f${j}`])))
        ])
      ),
      Redis,
      observer.redis
    )
  })

/** Whether the round itself explains a failure. */
const permitted = (error: unknown, kind: Kind, killing: boolean): boolean => {
  if (typeof error !== "object" || error === null || !("_tag" in error)) {
    return false
  }
  switch (error._tag) {
    case "ConnectionError":
      return killing
    case "PipelineError":
      return "error" in error && permitted(error.error, kind, killing)
    case "TransactionError":
      return kind.name === "optimistic" && "reason" in error && error.reason === "conflict"
    default:
      return false
  }
}

const showError = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error
    ? `${error._tag} ${"message" in error ? String(error.message).slice(0, 200) : ""}`
    : String(error)

export const run = (options: RoundOptions, tally: Tally): Effect.Effect<Left> =>
  Effect.gen(function* () {
    const random = Random.make(options.seed, options.round)
    const shape = shapeOf(options, random)
    // The tasks' random numbers must not depend on how many numbers other parts drew.
    const streams = { proxy: random.fork(), tasks: random.fork(), kills: random.fork() }
    yield* Effect.orDie(fill(shape.target.observer))
    engines.clear()
    const ledger = new Ledger()
    const name = `r${options.round}`
    const [, left] = yield* leftBy(
      Effect.scoped(
        Effect.gen(function* () {
          const way = shape.proxied ? yield* options.proxy(shape.target, streams.proxy, shape.killing) : shape.target
          const world = yield* Effect.orDie(open(name, way, shape, ledger))
          yield* work(options, shape, world, streams, tally)
          // Late replies of interrupted commands still arrive; after them nothing more is executed.
          yield* settled(tally, name)
        })
      ),
      10_000
    )
    yield* Effect.orDie(audit(shape.target.observer, ledger, name, tally))
    tally.rounds++
    tally.sockets += left.sockets
    tally.timers.push(...left.timers)
    tally.fibers.push(...left.fibers)
    return left
  })

const open = (name: string, way: Way, shape: Shape, ledger: Ledger) =>
  Effect.gen(function* () {
    const base = {
      host: way.host,
      port: way.port,
      protocol: shape.protocol,
      connectTimeout: "1 minute",
      replyTimeout: "1 minute",
      acquireTimeout: "2 minutes",
      closeTimeout: "20 seconds"
    } as const
    const client = { ...base, reconnect: Schedule.spaced("5 millis"), maxRetries: 10_000, maxDedicated: shape.poolSize }
    const shared = yield* Redis.make(client)
    const tight = yield* Redis.make({ ...client, maxInFlight: shape.tightness })
    const pool = yield* Pool.make({ ...base, minSize: 0, maxSize: shape.poolSize })
    const pooled = yield* Effect.provideService(
      Effect.flatMap(Redis, Effect.succeed).pipe(Effect.provide(Redis.layerFromPool)),
      Pool.Pool,
      pool
    )
    const pubsub = yield* RedisPubSub.make({ ...base, reconnect: Schedule.spaced("5 millis") })
    const world: World = {
      name,
      shared,
      tight,
      pool,
      pooled,
      connect: Connection.make(base),
      pubsub,
      ledger,
      large: shape.large,
      killing: shape.killing
    }
    return world
  })

const work = (
  options: RoundOptions,
  shape: Shape,
  world: World,
  streams: { readonly tasks: Random.Random; readonly kills: Random.Random },
  tally: Tally
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const fork = yield* launcher
    const random = streams.tasks
    const alive = new Set<Task>()
    const weights = kinds.map((kind) => [shape.large && /^large/.test(kind.name) ? 25 : kind.weight, kind] as const)
    // A round of large values takes as long with fewer.
    const tasks = shape.large ? Math.ceil(options.tasks / 8) : options.tasks

    const launch = (id: number): void => {
      const kind = random.weighted(weights)
      const own = ownKey(random.below(owners))
      const service = random.weighted<RedisService>([
        [70, world.shared],
        // Few tasks at once, because more would only wait for each other.
        [Math.min(30, 4 * shape.tightness), world.tight],
        [1.5 * shape.poolSize, world.pooled]
      ])
      const places = {
        encode: kind.encodes === true,
        queue: service === world.tight && kind.own !== true,
        release: kind.releases === true
      }
      const task = new Task(id, kind.name, own, plan(random, places), random.fork())
      if (service === world.pooled && kind.own !== true) {
        task.stage = "acquiring"
      }
      const effect = Effect.withFiberRuntime<ReadonlyArray<string>, unknown>((fiber) => {
        task.fiber = fiber
        return kind
          .work(world, task)
          .pipe(Effect.scoped, Effect.provideService(Redis, service), Effect.provideService(RedisPubSub, world.pubsub))
      }).pipe(asTask(task))
      alive.add(task)
      tally.tasks++
      const fiber = fork(effect, task.plan.at !== "start" && random.chance(0.7))
      task.fiber = fiber
      fiber.addObserver((exit) => {
        alive.delete(task)
        task.ended = true
        account(exit, task, kind)
      })
      schedule(task)
    }

    const account = (exit: Exit.Exit<ReadonlyArray<string>, unknown>, task: Task, kind: Kind): void => {
      if (Exit.isSuccess(exit)) {
        tally.answered++
        if (task.met !== undefined) {
          tally.tooLate++
        }
        tally.wrong.push(...exit.value.map((complaint) => `${describe(options)}: ${complaint}`))
      } else if (Cause.isInterruptedOnly(exit.cause)) {
        if (task.met === undefined) {
          tally.wrong.push(`${describe(options)}: ${kind.name} was interrupted by nobody`)
        } else {
          tally.interrupted++
          tally.met[task.met]++
          tally.byKind[kind.name] = (tally.byKind[kind.name] ?? 0) + 1
        }
      } else {
        const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
        if (failure !== undefined && permitted(failure, kind, shape.killing)) {
          tally.failed++
        } else {
          tally.wrong.push(
            `${describe(options)}: ${kind.name} (${JSON.stringify(task.plan)}) failed: ` +
              (failure === undefined ? Cause.pretty(exit.cause).slice(0, 600) : showError(failure))
          )
        }
      }
    }

    const killing = shape.killing ? yield* Effect.fork(kill(shape, streams.kills, tally)) : undefined
    for (let id = 0; id < tasks; ) {
      const until = Math.min(tasks, id + 1 + random.below(shape.burst))
      while (id < until) {
        launch(id++)
      }
      yield* turn
      if (shape.holding && random.chance(0.1)) {
        hold(random.below(60))
      }
      // No more tasks at once than this round's settings allow.
      while (alive.size > shape.alive) {
        yield* pause(1)
      }
    }
    const started = Date.now()
    while (alive.size > 0 && Date.now() - started < 120_000) {
      yield* pause(2)
    }
    if (killing !== undefined) {
      yield* interruptFork(killing)
    }
    for (const { kind, plan } of alive) {
      tally.unsettled.push(`${describe(options)}: ${kind} (${showPlan(plan)})`)
    }
  })

/** Keeps everything else from running for this long, in milliseconds. */
const hold = (millis: number): void => {
  for (const until = performance.now() + millis; performance.now() < until; ) {
    // Nothing else runs.
  }
}

const showPlan = (plan: Plan): string => JSON.stringify(plan)

const kill = (shape: Shape, random: Random.Random, tally: Tally): Effect.Effect<never> =>
  Effect.forever(
    Effect.zipRight(
      Effect.suspend(() => pause(20 + random.below(120))),
      Effect.suspend(() =>
        Effect.map(
          Effect.orDie(
            shape.target.observer.execute("CLIENT", "KILL", "TYPE", random.pick(["normal", "normal", "pubsub"]))
          ),
          (killed) => {
            tally.kills += Number(killed)
          }
        )
      )
    )
  )

/** Checks that no engine, open or ended, has a command in flight. */
const settled = (tally: Tally, name: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const owed = () => [...engines].filter((engine) => engine.pending > 0)
    const started = Date.now()
    while (owed().length > 0 && Date.now() - started < 60_000) {
      yield* pause(2)
    }
    for (const engine of owed()) {
      tally.unsettled.push(`${name}: ${engine.pending} replies are owed on a connection`)
    }
  })

/** Compares what the server holds with what was sent and confirmed. */
const audit = (observer: Connection.Connection, ledger: Ledger, name: string, tally: Tally) =>
  Effect.gen(function* () {
    const wrong = (complaint: string): void => {
      tally.wrong.push(`${name}: ${complaint}`)
    }
    const check = (key: string, value: number, entry: { readonly sent: number; readonly confirmed: number }): void => {
      if (value < entry.confirmed || value > entry.sent) {
        wrong(`${key} is ${value}, with ${entry.confirmed} confirmed of ${entry.sent} sent`)
      }
    }
    const read = (keys: ReadonlyArray<string>) =>
      keys.length === 0
        ? Effect.succeed([])
        : Effect.map(observer.execute(Redis.mget(keys as [string, ...Array<string>])), (values) =>
            values.map((value) => Number(Option.getOrElse(value, () => "0")))
          )
    const counters = [...ledger.counters]
    const counts = yield* read(counters.map(([key]) => key))
    counters.forEach(([key, entry], i) => {
      check(key, counts[i] as number, entry)
    })
    const pairs = [...ledger.pairs]
    const ones = yield* read(pairs.flatMap(([key]) => [`${key}:a`, `${key}:b`]))
    pairs.forEach(([key, entry], i) => {
      const [one, two] = [ones[2 * i] as number, ones[2 * i + 1] as number]
      check(key, one, entry)
      if (one !== two) {
        wrong(`${key}: half a transaction, ${one} and ${two}`)
      }
    })
    for (let group = 0; group < optimisticGroups; group++) {
      const key = `${name}:o:${group}`
      const log = yield* observer.execute(Redis.lrange(`${key}:log`, 0, -1))
      const value = Number(Option.getOrElse(yield* observer.execute(Redis.get(key)), () => "0"))
      if (value !== log.length || log.some((line, i) => !line.startsWith(`${i + 1}|`))) {
        wrong(`${key} is ${value}, and its log has ${log.length} lines: an update was lost`)
      }
      if (new Set(log.map((line) => line.split("|")[1])).size !== log.length) {
        wrong(`${key}: a transaction was executed twice`)
      }
      for (const line of ledger.logs.get(`${key}:log`) ?? []) {
        if (log[Number(line.split("|")[0]) - 1] !== line) {
          wrong(`${key}: ${line} was confirmed and is not there`)
        }
      }
    }
  })
