/**
 * `npm run fuzz -- --cluster`: fibers that count, read, pipeline, transact and wait, over a cluster whose slots move and
 * whose primaries are failed over, stopped and killed, at random. What a fiber asked for is interrupted at random. Each
 * counter must end between what was acknowledged and that plus what may have been executed; where the cluster itself can
 * have lost acknowledged writes (a primary was stopped or killed), only the upper bound counts.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Redis, type RedisError } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import type { TestServer } from "../../test/support/servers.js"
import * as Random from "./random.js"

export interface Options {
  readonly seed: number
  readonly seconds: number
  readonly fibers: number
  readonly servers: ReadonlyArray<TestServer>
}

interface Tally {
  done: number
  interrupted: number
  failed: number
  events: Record<string, number>
  wrong: Array<string>
  unsettled: number
  sockets: number
}

/** What is known of one counter. */
interface Counter {
  readonly key: string
  acknowledged: number
  /** How many increments may have been executed, because their fate is not known. */
  unknown: number
}

const n = (count: number): string => count.toLocaleString("en-US").replaceAll(",", " ")

const line = (name: string, seed: number, tally: Tally): string =>
  `fuzz --cluster: ${name}, seed ${seed}, ${n(tally.done)} operations, ${n(tally.interrupted)} interruptions, ` +
  `${n(tally.failed)} failures with a reason, ` +
  `${Object.entries(tally.events)
    .map(([event, count]) => `${count} ${event}`)
    .join(", ")}; ` +
  `${tally.wrong.length} wrong answers, ${tally.unsettled} unsettled, ${tally.sockets} sockets leaked`

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

/** What became of an operation: its value, its error, or nothing is known. */
type Outcome<A> =
  | { readonly _tag: "Value"; readonly value: A }
  | { readonly _tag: "Error"; readonly error: RedisError.AnyRedisError }
  | { readonly _tag: "Interrupted" }

/** Runs an operation, and interrupts it at random. */
const attempt = <A, E extends RedisError.AnyRedisError, R>(
  effect: Effect.Effect<A, E, R>,
  random: Random.Random,
  tally: Tally
): Effect.Effect<Outcome<A>, never, R> =>
  Effect.gen(function* () {
    tally.done++
    if (!random.chance(0.3)) {
      return outcomeOf(yield* Effect.exit(effect), tally)
    }
    const fiber = yield* Effect.fork(effect)
    const yields = random.between(0, 6)
    for (let i = 0; i < yields; i++) yield* Effect.yieldNow()
    if (random.chance(0.3)) yield* Effect.sleep(random.between(0, 20))
    yield* Fiber.interrupt(fiber)
    return outcomeOf(yield* Fiber.await(fiber), tally)
  })

const outcomeOf = <A, E extends RedisError.AnyRedisError>(exit: Exit.Exit<A, E>, tally: Tally): Outcome<A> => {
  if (Exit.isSuccess(exit)) return { _tag: "Value", value: exit.value }
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error !== undefined) {
    tally.failed++
    return { _tag: "Error", error }
  }
  if (Cause.isInterruptedOnly(exit.cause)) {
    tally.interrupted++
    return { _tag: "Interrupted" }
  }
  tally.wrong.push(Cause.pretty(exit.cause))
  return { _tag: "Interrupted" }
}

/** Whether a failed operation may have been executed. */
const mayBeDone = (error: RedisError.AnyRedisError): boolean =>
  error._tag === "ConnectionError" || error._tag === "DeadlineError"
    ? error.delivery === "unknown"
    : error._tag === "ProtocolError" || error._tag === "PartialError"

/** One more on a counter: alone, in a pipeline, in a transaction or in a script. */
const increment = (counter: Counter, random: Random.Random, tally: Tally) => {
  const { key } = counter
  const one = Redis.incr(key)
  const ways: ReadonlyArray<Effect.Effect<number, RedisError.AnyRedisError, Redis>> = [
    one,
    one,
    Effect.map(
      Redis.pipeline([Redis.get("other:1"), one, Redis.get("other:2")], { mode: "either" }),
      (all) => all[1]
    ).pipe(Effect.flatMap(Either.match({ onLeft: Effect.fail, onRight: Effect.succeed }))),
    Effect.map(Redis.transaction([one, Redis.get(key)]), ([count]) => count),
    Effect.map(Redis.execute("EVAL", "return redis.call('INCR', KEYS[1])", 1, key), Number)
  ]
  return Effect.map(
    attempt(ways[random.between(0, ways.length - 1)] as (typeof ways)[number], random, tally),
    (outcome) => {
      if (outcome._tag === "Value") {
        counter.acknowledged++
        if (outcome.value > counter.acknowledged + counter.unknown) {
          tally.wrong.push(
            `${key} is ${outcome.value}; at most ${counter.acknowledged + counter.unknown} was asked for`
          )
        }
      } else if (outcome._tag === "Interrupted" || mayBeDone(outcome.error)) {
        counter.unknown++
      }
    }
  )
}

const worker = (counter: Counter, random: Random.Random, tally: Tally, stopped: () => boolean) =>
  Effect.gen(function* () {
    while (!stopped()) {
      yield* increment(counter, random, tally)
      if (random.chance(0.2)) {
        const read = yield* attempt(Redis.mget([counter.key, `none:${counter.key}`]), random, tally)
        if (read._tag === "Value") {
          const value = Number(Option.getOrElse(read.value[0] ?? Option.none(), () => "0"))
          if (value > counter.acknowledged + counter.unknown || Option.isSome(read.value[1] ?? Option.none())) {
            tally.wrong.push(`MGET of ${counter.key} answered ${value}`)
          }
        }
      }
      if (random.chance(0.05)) {
        const popped = yield* attempt(Redis.blpop([`empty:${counter.key}`], { timeout: "10 millis" }), random, tally)
        if (popped._tag === "Value" && Option.isSome(popped.value)) {
          tally.wrong.push(`BLPOP of ${counter.key} took what nobody pushed`)
        }
      }
    }
  })

/** Does something to the cluster. Returns whether it may have lost acknowledged writes. */
const disturb = (cluster: Kit.RedisCluster, random: Random.Random, counters: ReadonlyArray<Counter>, tally: Tally) =>
  Effect.gen(function* () {
    const count = (event: string) => {
      tally.events[event] = (tally.events[event] ?? 0) + 1
    }
    const primaries = yield* cluster.primaries
    const kind = random.between(0, 9)
    if (kind <= 5) {
      const { key } = counters[random.between(0, counters.length - 1)] as Counter
      const slot = RedisCluster.keySlot(key)
      const owner = yield* cluster.ownerOf(slot)
      const others = primaries.filter(({ id }) => id !== owner.id)
      const to = others[random.between(0, others.length - 1)]
      if (to === undefined) return false
      if (cluster.product === "valkey" && random.chance(0.3)) {
        count("slots moved at once")
        yield* cluster.moveAtOnce(slot, to)
      } else {
        count("slots moved key by key")
        const move = yield* cluster.beginMove(slot, to)
        yield* Effect.sleep(random.between(0, 200))
        yield* random.chance(0.8) ? move.finish : move.cancel
      }
      return false
    }
    const primary = primaries[random.between(0, primaries.length - 1)] as Kit.ClusterNode
    const [replica] = yield* cluster.replicasOf(primary)
    if (replica === undefined) return false
    if (kind <= 7) {
      count("failovers")
      yield* cluster.failover(replica)
      return false
    }
    if (kind === 8) {
      count("primaries stopped for a while")
      yield* cluster.pause(primary)
      yield* Effect.sleep(random.between(100, 2_500))
      yield* cluster.resume(primary)
    } else {
      count("primaries killed")
      yield* cluster.kill(primary)
      yield* Effect.sleep(random.between(500, 3_000))
      yield* cluster.restart(primary)
    }
    yield* cluster.agreed
    return true
  })

const runOn = (server: TestServer, { fibers, seconds, seed }: Options) =>
  Effect.gen(function* () {
    const tally: Tally = { done: 0, interrupted: 0, failed: 0, events: {}, wrong: [], unsettled: 0, sockets: 0 }
    const random = Random.make(seed)
    const cluster = yield* Kit.make({ executable: server.executable, nodeTimeout: "1 second" })
    const before = sockets()
    const scope = yield* Scope.make()
    const services = yield* Scope.extend(
      Layer.build(RedisCluster.layer({ nodes: cluster.seeds.slice(0, 2), replyTimeout: "15 seconds" })),
      scope
    )
    const counters = Array.from(
      { length: fibers },
      (_, i): Counter => ({ key: `counter:${i}`, acknowledged: 0, unknown: 0 })
    )
    const until = Date.now() + seconds * 1000
    let stopped = false
    let lossy = false
    const running = yield* Effect.forEach(counters, (counter, i) =>
      Effect.fork(
        Effect.provide(
          worker(counter, Random.make(seed, i + 1), tally, () => stopped),
          services
        )
      )
    )
    while (Date.now() < until && tally.wrong.length === 0) {
      yield* Effect.sleep(random.between(50, 500))
      const lost = yield* Effect.either(disturb(cluster, random, counters, tally))
      if (Either.isLeft(lost)) {
        // The cluster itself did not agree in time, which says nothing of the client.
        tally.events["disturbances that the cluster refused"] =
          (tally.events["disturbances that the cluster refused"] ?? 0) + 1
        lossy = true
      } else {
        lossy ||= lost.right
      }
    }
    stopped = true
    yield* Effect.ignore(cluster.agreed)
    const ended = yield* Effect.forEach(running, (fiber) => Effect.timeoutOption(Fiber.join(fiber), "30 seconds"), {
      concurrency: "unbounded"
    })
    tally.unsettled = ended.filter(Option.isNone).length
    for (const { acknowledged, key, unknown } of counters) {
      const value = yield* Effect.provide(Redis.get(key), services)
      const count = Number(Option.getOrElse(value, () => "0"))
      if (count > acknowledged + unknown || (count < acknowledged && !lossy)) {
        tally.wrong.push(`${key} is ${count}: ${acknowledged} were acknowledged, ${unknown} are unknown`)
      }
    }
    yield* Scope.close(scope, Exit.void)
    // The kit may have connections of its own, which it had before.
    for (let i = 0; i < 100 && sockets() > before; i++) yield* Effect.sleep(20)
    tally.sockets = Math.max(sockets() - before, 0)
    for (const wrong of tally.wrong.slice(0, 20)) console.log(`wrong: ${wrong}`)
    console.log(line(server.name, seed, tally))
    return tally.wrong.length === 0 && tally.unsettled === 0 && tally.sockets === 0
  })

export const run = (options: Options): Effect.Effect<boolean, unknown> =>
  Effect.map(
    Effect.forEach(options.servers, (server) => Effect.scoped(runOn(server, options))),
    (results) => results.every(Boolean)
  )
