import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Redis, RedisCommand, RedisPubSub } from "effect-redis-client"
import { on } from "../support/client.js"
import { listenOn } from "../support/pubsub.js"
import type { Bench, CallRow, PhaseName } from "./model.js"

const everywhere: ReadonlyArray<PhaseName> = ["connect", "tls", "greeting", "idle", "writing", "awaiting", "largeReply"]

/** The phases of calls without a large request or reply. */
const small: ReadonlyArray<PhaseName> = ["connect", "tls", "greeting", "idle", "awaiting"]

const nothing = () => Effect.void
const never = () => Effect.succeed(0)

/** The number of INCRs that were executed on a key. */
const counted = ({ direct, key }: Bench) =>
  Effect.map(direct.execute(Redis.get(key)), (value) => Number(Option.getOrElse(value, () => "0")))

/** A write that counts its executions, with a small or large request or reply. */
const count = ({ big, key, size }: Bench): RedisCommand.RedisCommand<unknown> =>
  size === "small"
    ? Redis.incr(key)
    : Redis.execute(
        "EVAL",
        "redis.call('incr', KEYS[1]); return ARGV[2] == '1' and redis.call('get', KEYS[2]) or 1",
        2,
        RedisCommand.key(key),
        RedisCommand.key(`${key}:big`),
        size === "largeRequest" ? big : "",
        size === "largeReply" ? "1" : "0"
      )

const counts = ({ big, size }: Bench) => (size === "largeReply" ? big : 1)

const setBig: CallRow["prepare"] = ({ big, direct, key, size }) =>
  size === "largeReply" ? direct.execute(Redis.set(`${key}:big`, big)) : Effect.void

const member = (i: number) => `member ${i} of a set that is too large for one page`
const members = [member(0), ...Array.from({ length: 299 }, (_, i) => member(i + 1))].sort() as [
  string,
  ...Array<string>
]

/** Waits until the server lists the client as blocked. No other command blocks on this key's connections. */
const blocked = ({ direct, key }: Bench) =>
  Effect.repeat(direct.executeText("CLIENT", "LIST"), {
    until: (list) =>
      String(list)
        .split("\n")
        .some((line) => line.includes(` name=${key} `) && / flags=\S*b/.test(line))
  })

/** The kinds of calls. A call of several round trips may meet the fault in any of them. */
export const calls: ReadonlyArray<CallRow> = [
  {
    name: "readonly",
    kind: "readonly",
    on: "shared",
    phases: everywhere,
    prepare: ({ big, direct, key }) => direct.execute(Redis.mset({ [key]: "value", [`${key}:big`]: big })),
    run: ({ big, key, redis, size }) =>
      size === "largeRequest"
        ? on(redis)(Redis.mget([key, key + big]))
        : on(redis)(Redis.get(size === "largeReply" ? `${key}:big` : key)),
    answer: ({ big, size }) =>
      size === "largeRequest"
        ? [Option.some("value"), Option.none()]
        : Option.some(size === "largeReply" ? big : "value"),
    executed: never
  },
  {
    name: "write",
    kind: "write",
    on: "shared",
    phases: everywhere,
    prepare: setBig,
    run: (bench) => on(bench.redis)(count(bench)),
    answer: counts,
    executed: counted
  },
  {
    name: "repeatable write",
    kind: "repeatable",
    on: "shared",
    phases: small,
    prepare: nothing,
    run: ({ key, redis }) => on(redis)(RedisCommand.repeatable(Redis.set(key, "1"))),
    answer: () => undefined,
    executed: counted
  },
  {
    name: "pipeline",
    kind: "write",
    on: "shared",
    phases: everywhere,
    prepare: setBig,
    run: (bench) => on(bench.redis)(Redis.pipeline([count(bench), Redis.get(`${bench.key}:none`)])),
    answer: (bench) => [counts(bench), Option.none()],
    executed: counted
  },
  {
    name: "transaction",
    kind: "write",
    on: "shared",
    phases: [...everywhere, "multi"],
    prepare: setBig,
    run: (bench) => on(bench.redis)(Redis.transaction([count(bench), Redis.get(`${bench.key}:none`)])),
    answer: (bench) => [counts(bench), Option.none()],
    executed: counted
  },
  {
    name: "blocking, answered at once",
    kind: "write",
    on: "leased",
    phases: ["connect", "tls", "greeting", "idle", "awaiting", "largeReply"],
    prepare: ({ big, direct, key, size }) =>
      direct.execute(Redis.rpush(`${key}:list`, [size === "largeReply" ? big : "element"])),
    run: ({ key, redis }) => on(redis)(Redis.blpop(`${key}:list`, { timeout: "5 seconds" })),
    answer: ({ big, key, size }) => Option.some([`${key}:list`, size === "largeReply" ? big : "element"]),
    executed: ({ direct, key }) => Effect.map(direct.execute(Redis.llen(`${key}:list`)), (length) => 1 - length)
  },
  {
    name: "blocking",
    kind: "write",
    on: "leased",
    phases: ["blocking"],
    byItself: true,
    prepare: nothing,
    run: (bench) =>
      Effect.flatMap(
        Effect.forkScoped(
          // Longer where many calls begin together: it must still block when that is seen.
          on(bench.redis)(
            Redis.blpop(`${bench.key}:list`, { timeout: bench.fault.stops === "client" ? "3 seconds" : "700 millis" })
          )
        ),
        (fiber) =>
          blocked(bench).pipe(
            Effect.zipRight(bench.injectNow),
            Effect.zipRight(Effect.sleep("20 millis")),
            // A server that is stopped does not answer this either.
            Effect.zipRight(Effect.forkDaemon(bench.direct.execute(Redis.rpush(`${bench.key}:list`, ["element"])))),
            Effect.zipRight(Fiber.join(fiber))
          )
      ),
    answer: ({ key }) => Option.some([`${key}:list`, "element"]),
    executed: ({ direct, key }) => Effect.map(direct.execute(Redis.llen(`${key}:list`)), (length) => 1 - length)
  },
  {
    name: "scan",
    kind: "readonly",
    rounds: true,
    on: "shared",
    phases: small,
    prepare: ({ direct, key }) => direct.execute(Redis.sadd(`${key}:set`, members)),
    run: ({ key, redis }) =>
      on(redis)(
        Effect.map(Stream.runCollect(Redis.sscanStream(`${key}:set`, { count: 20 })), (all) =>
          [...new Set(Chunk.toReadonlyArray(all))].sort()
        )
      ),
    answer: () => members,
    executed: never
  },
  {
    name: "lease of a pool",
    kind: "write",
    on: "pool",
    phases: everywhere,
    prepare: setBig,
    run: (bench) => Effect.scoped(Effect.flatMap(bench.pool.acquire, (connection) => connection.execute(count(bench)))),
    answer: counts,
    executed: counted
  },
  {
    name: "MULTI by hand",
    kind: "write",
    on: "pool",
    phases: ["multi"],
    byItself: true,
    prepare: nothing,
    run: (bench) =>
      Effect.scoped(
        Effect.flatMap(bench.pool.acquire, (connection) =>
          connection
            .execute("MULTI")
            .pipe(
              Effect.zipRight(bench.injectNow),
              Effect.zipRight(connection.execute("INCR", RedisCommand.key(bench.key))),
              Effect.zipRight(connection.execute("EXEC"))
            )
        )
      ),
    answer: () => [1],
    executed: counted
  },
  {
    name: "optimistic",
    kind: "write",
    rounds: true,
    on: "leased",
    phases: small,
    prepare: nothing,
    run: (bench) =>
      on(bench.redis)(
        Redis.optimistic(bench.key, Effect.as(Redis.get(bench.key), Redis.transaction([Redis.incr(bench.key)])))
      ),
    answer: () => [1],
    executed: counted
  },
  {
    name: "optimistic, at its EXEC",
    kind: "write",
    on: "leased",
    phases: ["multi"],
    byItself: true,
    prepare: nothing,
    run: (bench) =>
      on(bench.redis)(
        Redis.optimistic(
          bench.key,
          Redis.get(bench.key).pipe(
            Effect.zipRight(bench.inject),
            Effect.as(Redis.transaction([Redis.incr(bench.key)]))
          )
        )
      ),
    answer: () => [1],
    executed: counted
  },
  {
    name: "subscription",
    kind: "readonly",
    on: "own",
    phases: ["subscribed"],
    byItself: true,
    prepare: nothing,
    run: ({ direct, fault, heal, injectNow, key, options, proxy }) =>
      Effect.gen(function* () {
        const service = yield* RedisPubSub.make({
          ...options,
          pingInterval: "200 millis",
          unresponsiveTimeout: fault.stops === "client" ? options.unresponsiveTimeout : "1 second"
        })
        const messages = yield* listenOn(service)(RedisPubSub.withGaps.mailbox(key))
        const { accepted } = yield* proxy.stats
        yield* injectNow
        let published = 0
        yield* Effect.suspend(() => direct.execute(Redis.publish(key, String(published++)))).pipe(
          Effect.zipRight(Effect.sleep("5 millis")),
          Effect.forever,
          Effect.forkScoped
        )
        const silenced = fault.stops !== undefined && fault.kind === "silent"
        if (silenced) {
          // Until the subscription has noticed the silence.
          yield* proxy.until((stats) => stats.accepted > accepted)
          yield* heal
        } else if (fault.away === true) {
          yield* Effect.sleep("100 millis")
          yield* heal
        }
        // A fault in the direction of the server may have no effect: a subscriber only listens.
        let awaitsGap = fault.kind !== "slow" && (fault.direction !== "toServer" || fault.unasked === true || silenced)
        let next = 0
        for (let inOrder = 0; inOrder < 3 || awaitsGap; ) {
          const message = yield* messages.take
          if (message._tag === "Gap") {
            if (fault.stops === "client" && !silenced) {
              return "a gap was said, and nothing was lost"
            }
            awaitsGap = false
            inOrder = 0
            next = -1
          } else {
            const number = Number(message.payload)
            if (next !== -1 && number !== next) {
              return `${number} came instead of ${next}, and no gap was said`
            }
            next = number + 1
            inOrder++
          }
        }
        return "in order, gaps said"
      }),
    answer: () => "in order, gaps said",
    executed: never
  }
]
