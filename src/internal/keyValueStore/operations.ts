/** What a store of keys and values does, on both lines of Effect: GET, SET, UNLINK, and a script that compares and sets. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Codec from "../../Codec.js"
import { Redis } from "../../Redis.js"
import type { RedisError } from "../../RedisError.js"
import * as RedisScript from "../../RedisScript.js"
import * as Keyspace from "../adapter/keyspace.js"
import type { RedisService } from "../command/model.js"
import { pauseFor } from "../effect/pause.js"
import { isWellFormed, utf8Encode } from "../resp/text.js"

/** What goes wrong without an error of the client. */
export interface Problem {
  readonly _tag: "Problem"
  readonly kind: "busy" | "invalidData" | "badArgument"
  readonly message: string
}

const problem = (kind: Problem["kind"], message: string): Effect.Effect<never, Problem> =>
  Effect.fail({ _tag: "Problem", kind, message })

const binary = Redis.withCodec(Codec.bytes)

/**
 * Sets a value that is still the expected one, and keeps its time to live. Otherwise it answers the value that is there, so that
 * the next try needs no GET; or nothing, when the key is gone.
 */
const compareAndSet = RedisScript.make({
  source: `
    local now = redis.call("GET", KEYS[1])
    if now == ARGV[1] then
      redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
      return 1
    end
    return now`,
  keys: 1,
  args: [Codec.bytes, Codec.bytes],
  reply: "bytes",
  result: (reply) => (reply instanceof Uint8Array ? reply : reply === 1 ? ("done" as const) : undefined)
})

/** How often a change that lost against others is tried again. */
const maxTries = 1_000

/** From this try on, the losers pause for a random time, so that they do not all meet again. In milliseconds. */
const pauseBefore = (tries: number): number => (tries < 4 ? 0 : Math.random() * Math.min(50, tries))

const textOf = (bytes: Uint8Array): Effect.Effect<string, Problem> =>
  Effect.catchAll(
    Effect.try(() => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)),
    () => problem("invalidData", "the value is not UTF-8")
  )

const bytesOf = (text: string): Effect.Effect<Uint8Array, Problem> =>
  isWellFormed(text)
    ? Effect.succeed(utf8Encode(text))
    : problem("badArgument", "the value has a lone surrogate, which UTF-8 cannot encode")

export interface Settings {
  /** What all keys begin with; empty for the whole database. */
  readonly prefix: string
  /** In milliseconds. */
  readonly timeToLive: number | undefined
}

export const makeOperations = (redis: RedisService, { prefix, timeToLive }: Settings) => {
  const nameOf = (key: string): string => prefix + key
  const expiring = { px: timeToLive === undefined ? undefined : Duration.millis(timeToLive) }

  /** None when the key does not exist. `change` runs again with each newer value. */
  const modifyBytes = <A, E, R>(
    key: string,
    change: (value: Uint8Array) => Effect.Effect<readonly [next: Uint8Array, result: A], E, R>
  ): Effect.Effect<Option.Option<A>, RedisError | Problem | E, R> =>
    Effect.gen(function* () {
      let value = Option.getOrUndefined(yield* redis.send(binary.get(nameOf(key))))
      for (let tries = 0; tries < maxTries && value !== undefined; tries++) {
        const [next, result] = yield* change(value)
        const found = yield* redis.send(compareAndSet(nameOf(key), value, next))
        if (found === "done") {
          return Option.some(result)
        }
        value = found
        yield* pauseFor(pauseBefore(tries))
      }
      return value === undefined
        ? Option.none()
        : yield* problem("busy", `others changed the value in each of ${maxTries} tries`)
    })

  return {
    get: (key: string) => redis.send(Redis.get(nameOf(key))),
    getBytes: (key: string) => redis.send(binary.get(nameOf(key))),
    set: (key: string, value: string | Uint8Array): Effect.Effect<unknown, RedisError> =>
      redis.send(
        typeof value === "string" ? Redis.set(nameOf(key), value, expiring) : binary.set(nameOf(key), value, expiring)
      ),
    remove: (key: string) => redis.send(Redis.unlink(nameOf(key))),
    has: (key: string) => Effect.map(redis.send(Redis.exists(nameOf(key))), (count) => count > 0),
    clear: (further = "") => Keyspace.clear(redis, prefix + further),
    size: Keyspace.size(redis, prefix),
    isEmpty: Keyspace.isEmpty(redis, prefix),
    keys: Effect.map(Keyspace.names(redis, prefix), (names) => Array.from(names, (name) => name.slice(prefix.length))),
    modifyBytes,
    modifyText: <A, E, R>(
      key: string,
      change: (text: string) => Effect.Effect<readonly [next: string, result: A], E, R>
    ) =>
      modifyBytes(key, (bytes) =>
        Effect.gen(function* () {
          const [next, result] = yield* change(yield* textOf(bytes))
          return [yield* bytesOf(next), result] as const
        })
      )
  }
}

/** A change that a program gives as a function. What it throws is a defect. */
export const changed =
  <A>(f: (value: A) => A) =>
  (value: A): Effect.Effect<readonly [next: A, result: A]> =>
    Effect.sync(() => {
      const next = f(value)
      return [next, next]
    })
