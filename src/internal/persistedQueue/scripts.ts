/**
 * The scripts of a queue, and its keys. All keys share one hash tag, so they are in one hash slot.
 *
 * | key | type | holds |
 * | --- | --- | --- |
 * | `:ready` | list | ids of elements that wait, the next one first |
 * | `:elements` | hash | each id's element, as JSON behind the milliseconds for which its id is remembered afterwards |
 * | `:attempts` | hash | how often each element was tried in vain |
 * | `:owners` | hash | `i:` and id: the token of the claim; `t:` and token: the id |
 * | `:leases` | sorted set | ids of claimed elements, by when their lease ends, in microseconds of the server's clock |
 * | `:done` | sorted set | ids that are remembered, by when they are forgotten |
 * | `:failed` | stream | elements that were tried too often |
 * | `:wake` | list | holds one entry when there may be an element for somebody who waits |
 *
 * An element is in `:elements` until it is done or has failed, and its id in `:ready` or in `:leases`.
 */
import * as Schema from "effect/Schema"
import * as RedisScript from "../../RedisScript.js"
import type { Reply } from "../../Resp.js"

const parts = ["ready", "elements", "attempts", "owners", "leases", "done", "failed", "wake"] as const

export type Keys = readonly [string, string, string, string, string, string, string, string]

export const keysOf = (prefix: string, name: string): Keys =>
  parts.map((part) => `{${prefix}${name}}:${part}`) as unknown as Keys

export const wakeOf = (keys: Keys): string => keys[7]

/** The names of the keys, and the functions that more than one script needs. */
const shared = `
local ready, elements, attempts, owners = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases, done, failed, wake = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]

local function integer(n)
  return string.format("%.0f", n)
end

-- Somebody who waits should look, if there is something. The entry expires, because nobody may be there to take it.
local function signal()
  if redis.call("LLEN", ready) == 0 then
    redis.call("DEL", wake)
  elseif redis.call("LLEN", wake) == 0 then
    redis.call("RPUSH", wake, "1")
    redis.call("PEXPIRE", wake, "60000")
  end
end

-- What is forgotten by now. As many as one call may add, and some more.
local function purge()
  local old = redis.call("ZRANGEBYSCORE", done, "-inf", integer(now), "LIMIT", "0", "10")
  if #old > 0 then
    redis.call("ZREM", done, unpack(old))
  end
end

-- The element leaves the queue; its id is remembered for as long as it was offered with.
local function leave(id, stored)
  redis.call("HDEL", elements, id)
  redis.call("HDEL", attempts, id)
  local millis = tonumber(string.match(stored or "", "^(%d+):") or "0")
  if millis > 0 then
    redis.call("ZADD", done, integer(now + millis * 1000), id)
    if redis.call("PTTL", done) < millis then
      redis.call("PEXPIRE", done, integer(millis))
    end
  end
  purge()
end

-- One more try was in vain. After too many of them the element goes to those that failed, beside others of the same id.
local function countTry(id, most, push, keep, keepMillis)
  local count = redis.call("HINCRBY", attempts, id, "1")
  if count < most then
    redis.call(push, ready, id)
    return
  end
  local stored = redis.call("HGET", elements, id)
  local element = string.gsub(stored or "", "^%d+:", "", 1)
  redis.call("XADD", failed, "MAXLEN", "~", keep, "*", "id", id, "attempts", integer(count), "element", element)
  if keepMillis == "" then
    redis.call("PERSIST", failed)
  else
    redis.call("PEXPIRE", failed, keepMillis)
  end
  leave(id, stored)
end

local function disown(id, token)
  redis.call("HDEL", owners, "i:" .. id, "t:" .. token)
  redis.call("ZREM", leases, id)
end
`

/** Adds an element at the end, unless its id is in the queue or remembered. */
export const offer = RedisScript.make({
  source: `${shared}
local id, remember, element = ARGV[1], ARGV[2], ARGV[3]
purge()
local till = redis.call("ZSCORE", done, id)
if redis.call("HEXISTS", elements, id) == 1 or (till and tonumber(till) > now) then
  return 0
end
redis.call("HSET", elements, id, remember .. ":" .. element)
redis.call("RPUSH", ready, id)
signal()
return 1`,
  keys: 8,
  args: [Schema.String, Schema.Number, Schema.String],
  result: Schema.Number
})

/** An element that was claimed; or when to look again at the latest, in milliseconds. */
export type Claimed =
  | { readonly _tag: "Element"; readonly id: string; readonly attempts: number; readonly element: string }
  | { readonly _tag: "Empty"; readonly lookAgain: number | undefined }

/**
 * Claims the next element for a token. A lease that has ended counts as a try, and its element comes first. The same token
 * gets the same element again, so that the call can be repeated when its reply was lost.
 */
export const claim = RedisScript.make({
  source: `${shared}
local token, lease, most, keep, keepMillis = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local ended = redis.call("ZRANGEBYSCORE", leases, "-inf", integer(now), "LIMIT", "0", "100")
for i = #ended, 1, -1 do
  disown(ended[i], redis.call("HGET", owners, "i:" .. ended[i]) or "")
  countTry(ended[i], most, "LPUSH", keep, keepMillis)
end
local id = redis.call("HGET", owners, "t:" .. token)
if not id then
  repeat
    id = redis.call("LPOP", ready)
  until not id or redis.call("HEXISTS", elements, id) == 1
  if not id then
    local first = redis.call("ZRANGE", leases, "0", "0", "WITHSCORES")
    return { first[2] and integer(math.max(1, math.ceil((tonumber(first[2]) - now) / 1000))) or "" }
  end
  redis.call("HSET", owners, "i:" .. id, token, "t:" .. token, id)
  redis.call("ZADD", leases, integer(now + lease), id)
end
signal()
local stored = redis.call("HGET", elements, id) or ""
local element = string.gsub(stored, "^%d+:", "", 1)
return { id, redis.call("HGET", attempts, id) or "0", element }`,
  keys: 8,
  args: [Schema.String, Schema.Number, Schema.Number, Schema.Number, Schema.Union(Schema.Number, Schema.Literal(""))],
  result: (reply: Reply): Claimed => {
    const [first, attempts, element] = reply as ReadonlyArray<string>
    return element === undefined
      ? { _tag: "Empty", lookAgain: first === "" ? undefined : Number(first) }
      : { _tag: "Element", id: String(first), attempts: Number(attempts), element }
  }
})

/** How a claim ends. */
export type Outcome = "done" | "failed" | "back"

/**
 * Ends the claim of a token, and only that one: 0 when it has none. With `done` the element leaves, with `failed` it goes to
 * the end, one try older, with `back` to the front.
 */
export const settle = RedisScript.make({
  source: `${shared}
local token, outcome, most, keep, keepMillis = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local id = redis.call("HGET", owners, "t:" .. token)
if not id or redis.call("HGET", owners, "i:" .. id) ~= token then
  -- A caller that was woken and has gone hands the wake-up on.
  signal()
  return 0
end
disown(id, token)
if outcome == "done" then
  leave(id, redis.call("HGET", elements, id))
elseif outcome == "back" then
  redis.call("LPUSH", ready, id)
else
  countTry(id, most, "RPUSH", keep, keepMillis)
end
signal()
return 1`,
  keys: 8,
  args: [Schema.String, Schema.String, Schema.Number, Schema.Number, Schema.Union(Schema.Number, Schema.Literal(""))],
  result: Schema.Number
})

/** Renews the leases of many claims; answers the tokens that have none any more. */
export const renew = RedisScript.make({
  source: `${shared}
local lost = {}
for i = 2, #ARGV do
  local id = redis.call("HGET", owners, "t:" .. ARGV[i])
  if id and redis.call("HGET", owners, "i:" .. id) == ARGV[i] then
    redis.call("ZADD", leases, integer(now + ARGV[1]), id)
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost`,
  keys: 8,
  args: [Schema.Number],
  rest: Schema.String,
  result: Schema.Array(Schema.String)
})

/** Wakes somebody, when there is something to take. */
export const signal = RedisScript.make({ source: `${shared}\nsignal()\nreturn 1`, keys: 8, result: Schema.Number })
