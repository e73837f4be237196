/**
 * The two scripts of the store. Time is the server's, in microseconds: whole numbers, which a double holds exactly, plus what
 * tokens add to it. Every key has a time to live, and a request that is denied writes nothing.
 */
import * as Schema from "effect/Schema"
import * as RedisScript from "../../RedisScript.js"

/** The clock in a script. Tests put another in its place. */
export const clock = `
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]`

/** Keeps a hash until a point in time. A key without any time left would be refused by PEXPIRE of some servers. */
const keep = `
local function keep(key, till, first, a, second, b)
  local millis = math.ceil((till - now) / 1000)
  if millis < 1 then
    redis.call("DEL", key)
    return
  end
  redis.call("HSET", key, first, string.format("%.17g", a), second, string.format("%.17g", b))
  redis.call("PEXPIRE", key, string.format("%.0f", math.min(millis, 4503599627370496)))
end`

const number = (reply: unknown): number => Number(reply)

/** How many tokens are taken in this window, and when it ends. Each token moves the end by the time that one token takes. */
export const fixedWindow = RedisScript.make({
  source: `${clock}
${keep}
local tokens = tonumber(ARGV[1])
local perToken = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local state = redis.call("HMGET", KEYS[1], "count", "ends")
local count = tonumber(state[1] or "")
local ends = tonumber(state[2] or "")
if not count or not ends or ends <= now then
  count = 0
  ends = now
end
local wanted = count + tokens
if not limit or wanted <= limit then
  ends = ends + perToken * tokens
  keep(KEYS[1], ends, "count", wanted, "ends", ends)
end
return { string.format("%.17g", wanted), string.format("%.17g", (ends - now) / 1000) }`,
  keys: 1,
  args: [Schema.Number, Schema.Number, Schema.Union(Schema.Number, Schema.Literal(""))],
  result: (reply): readonly [count: number, ttl: number] => {
    const [count, ttl] = reply as ReadonlyArray<unknown>
    return [number(count), number(ttl)]
  }
})

/**
 * How many tokens are left in the bucket. It gets one for each whole step that has passed. While it is full no step begins, so
 * a key that is gone, because its bucket would be full by now, is the same as a full bucket.
 */
export const tokenBucket = RedisScript.make({
  source: `${clock}
${keep}
local tokens = tonumber(ARGV[1])
local perToken = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local overflow = ARGV[4] == "1"
local state = redis.call("HMGET", KEYS[1], "left", "since")
local left = tonumber(state[1] or "")
local since = tonumber(state[2] or "")
if not left or not since then
  left = limit
  since = now
end
if perToken > 0 then
  local steps = math.floor((now - since) / perToken)
  if steps > 0 then
    left = left + steps
    since = since + steps * perToken
  end
else
  left = limit
end
if left >= limit then
  left = limit
  since = now
end
local rest = left - tokens
if rest >= 0 or overflow then
  keep(KEYS[1], since + (limit - rest) * perToken, "left", rest, "since", since)
end
return string.format("%.17g", rest)`,
  keys: 1,
  args: [Schema.Number, Schema.Number, Schema.Number, Schema.Boolean],
  result: number
})
