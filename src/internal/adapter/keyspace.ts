/**
 * All keys that begin with a prefix, as the stores of Effect's services need them: counted, and removed. Pages of SCAN, so that
 * the server is never held up, and over a cluster on every node.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Codec from "../../Codec.js"
import { Redis } from "../../Redis.js"
import * as RedisCommand from "../../RedisCommand.js"
import type { RedisError } from "../../RedisError.js"
import * as RedisScript from "../../RedisScript.js"
import type { RedisService } from "../command/model.js"
import { escapePattern } from "../command/prefix.js"

/** How many keys one UNLINK removes, and how many one page of SCAN should have. */
const pageSize = 500

/** The name of a key on the server. It is longer than the given one where the client puts a prefix before every key. */
const nameOf = RedisScript.make({ source: "return KEYS[1]", keys: 1, result: String })

const patternOf = (prefix: string) => ({ match: `${escapePattern(prefix)}*`, count: pageSize })

const scan = (redis: RedisService, prefix: string): Stream.Stream<string, RedisError> =>
  Stream.provideService(Redis.scanStream(patternOf(prefix)), Redis, redis)

const inBytes = Redis.withCodec(Codec.bytes)

/** The same as bytes: somebody else's key need not be text. */
const scanBytes = (redis: RedisService, prefix: string): Stream.Stream<Uint8Array, RedisError> =>
  Stream.provideService(inBytes.scanStream(patternOf(prefix)), Redis, redis)

/** What the client puts before every key (`Redis.withPrefix`). Scans answer it, and commands add it. */
const outerPrefix = (redis: RedisService, prefix: string): Effect.Effect<string, RedisError> =>
  Effect.map(redis.send(RedisCommand.repeatable(nameOf(prefix))), (name) => name.slice(0, name.length - prefix.length))

/** Removes every key with this prefix. */
export const clear = Effect.fnUntraced(function* (redis: RedisService, prefix: string) {
  const outer = new TextEncoder().encode(yield* outerPrefix(redis, prefix)).length
  yield* scanBytes(redis, prefix).pipe(
    Stream.grouped(pageSize),
    // Removing twice is the same as removing once.
    Stream.runForEach((page) =>
      redis.send(RedisCommand.repeatable(Redis.unlink(Array.from(page, (name) => name.subarray(outer)))))
    )
  )
})

/** The names of all keys with this prefix, without what comes before it. */
export const names = Effect.fnUntraced(function* (redis: RedisService, prefix: string) {
  const outer = yield* outerPrefix(redis, prefix)
  // A scan may give a key twice.
  const found = new Set<string>()
  yield* Stream.runForEach(scan(redis, prefix), (name) => Effect.sync(() => found.add(name.slice(outer.length))))
  return found
})

/** How many keys have this prefix. */
export const size = Effect.fnUntraced(function* (redis: RedisService, prefix: string) {
  if (prefix === "" && (yield* outerPrefix(redis, prefix)) === "") {
    return yield* redis.send(Redis.dbsize())
  }
  // A scan may give a key twice.
  const found = new Set<string>()
  yield* Stream.runForEach(scanBytes(redis, prefix), (name) =>
    Effect.sync(() => found.add(Array.from(name, (byte) => String.fromCharCode(byte)).join("")))
  )
  return found.size
})

/** Whether no key has this prefix. */
export const isEmpty = (redis: RedisService, prefix: string): Effect.Effect<boolean, RedisError> =>
  Effect.map(Stream.runHead(scanBytes(redis, prefix)), Option.isNone)
