/**
 * What can be held: a lock, or a permit of a semaphore. A resource knows its keys and the scripts that take, renew and
 * release it; it does not know who waits, or for how long something is held.
 *
 * All keys of a resource have its name as their hash tag, so they share a hash slot. Time is the server's. The scripts read
 * before they write, so that one that fails has changed nothing.
 */
import { utf8 } from "../../Codec.js"
import * as RedisScript from "../../RedisScript.js"
import type { RedisCommand, RedisService } from "../command/model.js"
import type { Reply } from "../resp/values.js"

/** What the server says to a contender. */
export type Answer =
  | { readonly _tag: "Granted"; readonly fence: bigint | undefined }
  | {
      readonly _tag: "Taken"
      /** In how many milliseconds it expires, if nobody renews it; negative when it never does. */
      readonly expires: number
      /** Where its release is published, prefix included. */
      readonly channel: string
    }

export interface Resource {
  readonly kind: "lock" | "semaphore"
  /** As the program calls it. */
  readonly name: string
  /** One of these at a time: a second one for the same fiber would wait for itself. */
  readonly single: boolean
  /** The key, by which contenders of one process know each other. */
  readonly key: string
  readonly acquire: (token: string, ttl: number) => RedisCommand<Answer>
  /** Whether the token still held it, and now holds it for another `ttl`. */
  readonly renew: (token: string, ttl: number) => RedisCommand<boolean>
  /** Whether the token held it. */
  readonly release: (token: string, how: Publish) => RedisCommand<boolean>
}

/** In a cluster PUBLISH would go to every node. */
export type Publish = "PUBLISH" | "SPUBLISH"

export const publishOf = (redis: RedisService): Publish => (redis.slotOf === undefined ? "PUBLISH" : "SPUBLISH")

/**
 * For how long the last fence is kept after it was given. It is only compared with the server's clock, so it matters only
 * when that clock goes back.
 */
const fenceTtl = 3_600_000

const yes = (reply: Reply): boolean => reply === 1

const answer = (reply: Reply): Answer => {
  const [granted, value, channel] = reply as readonly [number, string | number, string]
  return granted === 1
    ? { _tag: "Granted", fence: value === "" ? undefined : BigInt(value) }
    : { _tag: "Taken", expires: Number(value), channel }
}

// A contender whose reply was lost may ask again: its own token does not stand in its way. The fence is the time in
// microseconds, or one more than the last fence where the clock is not ahead of it. Numbers are formatted, because Lua would
// write this many digits with an exponent.
const acquireLock = RedisScript.make({
  source: `
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
  return { 0, redis.call("PTTL", KEYS[1]), KEYS[3] }
end
local last = tonumber(redis.call("GET", KEYS[2]) or "0") or 0
local time = redis.call("TIME")
local fence = time[1] * 1000000 + time[2]
if last >= fence then fence = last + 1 end
fence = string.format("%.0f", fence)
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
redis.call("SET", KEYS[2], fence, "PX", ARGV[3])
return { 1, fence }`,
  keys: 3,
  args: [utf8, utf8, utf8],
  result: answer
})

const renewLock = RedisScript.make({
  source: `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
redis.call("PEXPIRE", KEYS[2], ARGV[3])
return 1`,
  keys: 2,
  args: [utf8, utf8, utf8],
  result: yes
})

// Whoever may not publish releases all the same; contenders then ask from time to time.
const releaseLock = RedisScript.make({
  source: `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("DEL", KEYS[1])
redis.pcall(ARGV[2], KEYS[2], "1")
return 1`,
  keys: 2,
  args: [utf8, utf8],
  result: yes
})

export const lock = (name: string): Resource => {
  const key = `lock:{${name}}`
  const fence = `${key}:fence`
  const free = `${key}:free`
  const keep = (ttl: number): string => String(Math.max(fenceTtl, ttl))
  return {
    kind: "lock",
    name,
    single: true,
    key,
    acquire: (token, ttl) => acquireLock(key, fence, free, token, String(ttl), keep(ttl)),
    renew: (token, ttl) => renewLock(key, fence, token, String(ttl), keep(ttl)),
    release: (token, how) => releaseLock(key, free, token, how)
  }
}

// A permit is a member of a sorted set whose score is when it expires. The set lives as long as its last permit may.
const acquirePermit = RedisScript.make({
  source: `
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local permits = redis.call("ZCOUNT", KEYS[1], string.format("(%.0f", now), "+inf")
local own = redis.call("ZSCORE", KEYS[1], ARGV[1])
if permits >= tonumber(ARGV[3]) and not (own and tonumber(own) > now) then
  local first = redis.call("ZRANGEBYSCORE", KEYS[1], string.format("(%.0f", now), "+inf", "WITHSCORES", "LIMIT", 0, 1)
  return { 0, math.ceil((first[2] - now) / 1000), KEYS[2] }
end
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now))
redis.call("ZADD", KEYS[1], string.format("%.0f", now + ARGV[2] * 1000), ARGV[1])
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[2]) then redis.call("PEXPIRE", KEYS[1], ARGV[2] + 1) end
return { 1, "" }`,
  keys: 2,
  args: [utf8, utf8, utf8],
  result: answer
})

// A permit that has expired may have been given to somebody else and returned since: it is not renewed.
const renewPermit = RedisScript.make({
  source: `
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local own = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not own or tonumber(own) <= now then return 0 end
redis.call("ZADD", KEYS[1], string.format("%.0f", now + ARGV[2] * 1000), ARGV[1])
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[2]) then redis.call("PEXPIRE", KEYS[1], ARGV[2] + 1) end
return 1`,
  keys: 1,
  args: [utf8, utf8],
  result: yes
})

const releasePermit = RedisScript.make({
  source: `
if redis.call("ZREM", KEYS[1], ARGV[1]) == 0 then return 0 end
redis.pcall(ARGV[2], KEYS[2], "1")
return 1`,
  keys: 2,
  args: [utf8, utf8],
  result: yes
})

export const permit = (name: string, permits: number): Resource => {
  const key = `semaphore:{${name}}`
  const free = `${key}:free`
  return {
    kind: "semaphore",
    name,
    single: permits === 1,
    key,
    acquire: (token, ttl) => acquirePermit(key, free, token, String(ttl), String(permits)),
    renew: (token, ttl) => renewPermit(key, token, String(ttl)),
    release: (token, how) => releasePermit(key, free, token, how)
  }
}
