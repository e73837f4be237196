/**
 * The scripts of limiters, put together from a few pieces of Lua: a clock, the algorithms that are needed, and what is to be
 * done (take, peek, refund).
 *
 * All numbers are whole and below 2^53, so that Lua's doubles hold them exactly: times are microseconds since 1970. A script
 * gets a key and three numbers for each limit, as `policy.ts` makes them. It reads all states first and writes afterwards, so
 * that a limit that denies leaves the others as they were.
 *
 * Every state holds `at`, the time of its last change. Where the server's clock is behind that (it was set back, or another
 * server has taken over), the script goes on from `at`: nothing is refilled until the clock has caught up.
 *
 * A state that another policy wrote is read as what that policy had left at `at`, at most the new capacity; from then on the new
 * policy counts. A denial writes nothing, so reading must come to the same each time.
 */

/** The server's time, in microseconds, and for how many milliseconds it keeps a key that is needed for so many microseconds. */
export const serverClock = `local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]
local function ttl(micros) return math.max(1, math.ceil(micros / 1000)) end`

/** How limits are counted. A token bucket and GCRA are the same thing in other words. */
export type Kind = "bucket" | "fixed" | "sliding" | "log"

export type Operation = "take" | "peek" | "refund"

/** The code of the error for a key that holds something else than the state of the limiter. */
export const badState = "BADSTATE"

const common = `
local max = 9007199254740991
local floor, ceil, least, most, match = math.floor, math.ceil, math.min, math.max, string.match

local function keep(key, state, micros)
  redis.call("SET", key, state, "PX", ttl(micros))
end
`

/**
 * A bucket: `left` of `full`, in parts of a token of which there are `token` in one, refilled with `rate` parts each microsecond.
 * Its state is `token left at`.
 */
const bucket = {
  read: `
local function bucket(key, full, token, rate)
  local state = redis.call("GET", key)
  if not state then return full, now end
  local size, left, at = match(state, "^(%d+) (%d+) (%d+)$")
  size, left, at = tonumber(size), tonumber(left), tonumber(at)
  if not at or size == 0 or #state > 50 or most(size, left, at) > max then return nil end
  if size ~= token then left = floor(left / size) * token end
  left = least(left, full)
  if now > at then
    left = least(full, left + (now - at) * rate)
    at = now
  end
  return left, at
end

local function bucketReset(left, at, full, rate)
  return left < full and ceil((full - left) / rate) + at - now or 0
end
`,
  check: `
local function checkBucket(key, cost, full, token, rate)
  local left, at = bucket(key, full, token, rate)
  if not left then return nil end
  local wanted = cost * token
  local retry = left < wanted and ceil((wanted - left) / rate) + at - now or 0
  return floor(left / token), retry, bucketReset(left, at, full, rate), left, at
end

local function chargeBucket(key, cost, full, token, rate, left, at)
  left = left - cost * token
  local reset = bucketReset(left, at, full, rate)
  keep(key, string.format("%.0f %.0f %.0f", token, left, at), reset)
  return floor(left / token), reset
end
`,
  refund: `
local function refundBucket(key, amount, full, token, rate)
  local left, at = bucket(key, full, token, rate)
  if not left then return false end
  if left == full then return true end
  left = least(full, left + amount * token)
  if left == full and at == now then
    redis.call("DEL", key)
  else
    keep(key, string.format("%.0f %.0f %.0f", token, left, at), most(bucketReset(left, at, full, rate), at - now))
  end
  return true
end
`
}

/** A window that begins with the first take: `left at ends`. */
const fixed = {
  read: `
local function fixed(key, limit, window)
  local state = redis.call("GET", key)
  if not state then return limit, now, now + window end
  local left, at, ends = match(state, "^(%d+) (%d+) (%d+)$")
  left, at, ends = tonumber(left), tonumber(at), tonumber(ends)
  if not at or #state > 50 or most(left, at, ends) > max then return nil end
  ends = least(ends, at + window)
  at = most(at, now)
  if at >= ends then return limit, at, at + window end
  return least(left, limit), at, ends
end
`,
  check: `
local function checkFixed(key, cost, limit, window)
  local left, at, ends = fixed(key, limit, window)
  if not left then return nil end
  return left, left < cost and ends - now or 0, left < limit and ends - now or 0, at, ends, left
end

local function chargeFixed(key, cost, limit, window, _, at, ends, left)
  left = left - cost
  keep(key, string.format("%.0f %.0f %.0f", left, at, ends), ends - now)
  return left, ends - now
end
`,
  refund: `
local function refundFixed(key, amount, limit, window)
  local left, at, ends = fixed(key, limit, window)
  if not left then return false end
  if left == limit then return true end
  left = least(limit, left + amount)
  if left == limit and at == now then
    redis.call("DEL", key)
  else
    keep(key, string.format("%.0f %.0f %.0f", left, at, ends), ends - now)
  end
  return true
end
`
}

/**
 * Two counters: what was taken in the window of `at`, and in the one before, of which the part counts that a window ending now
 * still covers. A window has `ticks` of `unit` microseconds each. The state is `limit window current previous at`.
 */
const sliding = {
  read: `
local function sliding(key, limit, ticks, unit)
  local window = ticks * unit
  local state = redis.call("GET", key)
  if not state then return 0, 0, now, 0 end
  local l, w, current, previous, at = match(state, "^(%d+) (%d+) (%d+) (%d+) (%d+)$")
  l, w, current, previous, at = tonumber(l), tonumber(w), tonumber(current), tonumber(previous), tonumber(at)
  if not at or w == 0 or #state > 84 or most(l, w, current, previous, at) > max then return nil end
  if l ~= limit or w ~= window then
    local used = current + ceil(previous * (w - at % w) / w)
    current, previous = limit - least(limit, most(0, l - used)), 0
  end
  if now > at then
    local passed = floor(now / window) - floor(at / window)
    if passed == 1 then
      current, previous = 0, current
    elseif passed > 1 then
      current, previous = 0, 0
    end
    at = now
  end
  return current, previous, at, ceil(previous * (ticks - floor(at % window / unit)) / ticks)
end

local function slidingReset(current, previous, at, window)
  if current == 0 and previous == 0 then return 0 end
  return (floor(at / window) + (current > 0 and 2 or 1)) * window - now
end
`,
  check: `
local function checkSliding(key, cost, limit, ticks, unit)
  local current, previous, at, weighed = sliding(key, limit, ticks, unit)
  if not current then return nil end
  local window = ticks * unit
  local left = most(0, limit - current - weighed)
  local reset = slidingReset(current, previous, at, window)
  if left < cost then
    local begin, retry = floor(at / window) * window, nil
    local function tick(count, room)
      return count <= room and 0 or ticks - floor(room * ticks / count)
    end
    if current + cost <= limit then
      local t = tick(previous, limit - current - cost)
      if t < ticks then retry = begin + t * unit - now end
    end
    return left, retry or begin + window + tick(current, limit - cost) * unit - now, reset
  end
  return left, 0, reset, left, at, current, previous
end

local function chargeSliding(key, cost, limit, ticks, unit, left, at, current, previous)
  local window = ticks * unit
  current = current + cost
  local reset = slidingReset(current, previous, at, window)
  keep(key, string.format("%.0f %.0f %.0f %.0f %.0f", limit, window, current, previous, at), reset)
  return left - cost, reset
end
`,
  refund: `
local function refundSliding(key, amount, limit, ticks, unit)
  local current, previous, at = sliding(key, limit, ticks, unit)
  if not current then return false end
  if current == 0 and previous == 0 then return true end
  local window = ticks * unit
  local first = least(amount, current)
  current, previous = current - first, most(0, previous - amount + first)
  if current == 0 and previous == 0 and at == now then
    redis.call("DEL", key)
  else
    local state = string.format("%.0f %.0f %.0f %.0f %.0f", limit, window, current, previous, at)
    keep(key, state, most(slidingReset(current, previous, at, window), at - now))
  end
  return true
end
`
}

/**
 * Every take, in a sorted set: its time as the score, and as the member all that was taken until then, with that take. So what was
 * taken since an entry is one subtraction, whatever it cost. The first member, with the score -1, is `limit window`. The newest
 * entry that has left the window stays, because its member is what the others count from. After a refund the last member is a mark,
 * with a `+`: what was taken is less now, and the mark keeps the time of that change.
 */
const log = {
  read: `
local function total(member)
  return match(member, "^%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%+?$") and tonumber(string.sub(member, 1, 16))
end

local function log(key, limit, window)
  local head = redis.call("ZRANGE", key, 0, 0, "WITHSCORES")
  if #head == 0 then return 0, 0, now, now, 0, true, now end
  local last = redis.call("ZREVRANGE", key, 0, 1, "WITHSCORES")
  local l, w = match(head[1], "^(%d+) (%d+)$")
  local sum, at = total(last[1]), tonumber(last[2])
  if not l or head[2] ~= "-1" or not sum or at < 0 or at > max then return nil end
  l, w = tonumber(l), tonumber(w)
  local time = most(at, now)
  local function before(border)
    local gone = redis.call("ZCOUNT", key, 0, border)
    return gone, gone > 0 and total(redis.call("ZRANGE", key, gone, gone)[1]) or 0
  end
  if l ~= limit or w ~= window then
    local _, base = before(at - w)
    sum = limit - least(limit, most(0, l - (sum - base)))
    return time >= at + window and 0 or sum, 0, time, at, 0, true, at
  end
  local gone, base = before(time - window)
  return sum, base, time, at, gone, false, #last[1] == 16 and at or tonumber(last[4])
end

local function entry(key, time, sum)
  redis.call("ZADD", key, time, string.format("%016.0f", sum))
end

local function begin(key, limit, window, at, sum)
  redis.call("DEL", key)
  redis.call("ZADD", key, -1, string.format("%.0f %.0f", limit, window))
  if sum > 0 then entry(key, at, sum) end
end
`,
  check: `
local function checkLog(key, cost, limit, window)
  local sum, base, time, at, gone, fresh, newest = log(key, limit, window)
  if not sum then return nil end
  local used = sum - base
  local left = most(0, limit - used)
  local reset = used > 0 and newest + window - now or 0
  if left < cost then
    if fresh then return left, at + window - now, reset end
    local wanted, low, high = sum + cost - limit, gone + 1, redis.call("ZCARD", key) - 1
    while low < high do
      local middle = floor((low + high) / 2)
      if total(redis.call("ZRANGE", key, middle, middle)[1]) < wanted then low = middle + 1 else high = middle end
    end
    return left, tonumber(redis.call("ZRANGE", key, low, low, "WITHSCORES")[2]) + window - now, reset
  end
  return left, 0, reset, sum, used, time, at, gone, fresh
end

local function chargeLog(key, cost, limit, window, _, sum, used, time, at, gone, fresh)
  if fresh or used == 0 then
    begin(key, limit, window, at, used)
    sum = used
  elseif gone > 1 then
    redis.call("ZREMRANGEBYRANK", key, 1, gone - 1)
  end
  entry(key, time, sum + cost)
  redis.call("PEXPIRE", key, ttl(time + window - now))
  return limit - used - cost, time + window - now
end
`,
  refund: `
local function refundLog(key, amount, limit, window)
  local sum, base, time, at, gone, fresh = log(key, limit, window)
  if not sum then return false end
  if sum == base then return true end
  local wanted = most(base, sum - amount)
  if wanted == base and time == now then
    redis.call("DEL", key)
    return true
  end
  if fresh or wanted == base then
    wanted = wanted - base
    begin(key, limit, window, at, wanted)
  else
    while true do
      local last = redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")
      local rest = total(last[1]) or 0
      if rest <= wanted then
        if rest < wanted then entry(key, at, wanted) end
        break
      end
      redis.call("ZREM", key, last[1])
      at = tonumber(last[2])
    end
  end
  redis.call("ZADD", key, time, string.format("%016.0f+", wanted))
  redis.call("PEXPIRE", key, ttl(time + window - now))
  return true
end
`
}

const pieces = { bucket, fixed, sliding, log }

const capital = (kind: Kind): string => kind.charAt(0).toUpperCase() + kind.slice(1)

const answerBad = `return redis.error_reply("${badState} the key holds something else than the state of this rate limiter")`

/** Answers `allowed remaining retryAfter resetAfter` for each limit, with times in microseconds. */
const deciding = (kinds: ReadonlyArray<Kind>, charges: boolean): string => {
  const asks = (kind: Kind, i: number) => `
local a${i}, b${i}, c${i} = tonumber(ARGV[${3 * i + 2}]), tonumber(ARGV[${3 * i + 3}]), tonumber(ARGV[${3 * i + 4}])
local left${i}, retry${i}, reset${i}, u${i}, v${i}, w${i}, x${i}, y${i}, z${i} = check${capital(kind)}(KEYS[${i + 1}], cost, a${i}, b${i}, c${i})
if not left${i} then ${answerBad} end
local allows${i} = left${i} >= cost`
  const charge = (kind: Kind, i: number) => `
  left${i}, reset${i} = charge${capital(kind)}(KEYS[${i + 1}], cost, a${i}, b${i}, c${i}, u${i}, v${i}, w${i}, x${i}, y${i}, z${i})`
  return `
local cost = tonumber(ARGV[1])${kinds.map(asks).join("")}
${
  charges
    ? `if ${kinds.map((_, i) => `allows${i}`).join(" and ")} then${kinds.map(charge).join("")}
end
`
    : ""
}return { ${kinds.map((_, i) => `allows${i} and 1 or 0, left${i}, retry${i}, reset${i}`).join(", ")} }`
}

const refunding = (kinds: ReadonlyArray<Kind>): string => `
local amount = tonumber(ARGV[1])${kinds
  .map(
    (kind, i) => `
if not refund${capital(kind)}(KEYS[${i + 1}], amount, tonumber(ARGV[${3 * i + 2}]), tonumber(ARGV[${3 * i + 3}]), tonumber(ARGV[${3 * i + 4}])) then
  ${answerBad}
end`
  )
  .join("")}
return 1`

/** The script for limits of these kinds. Tests of histories put a clock of their own into it. */
export const sourceOf = (kinds: ReadonlyArray<Kind>, operation: Operation, clock: string = serverClock): string => {
  const piece = operation === "refund" ? "refund" : "check"
  const functions = [...new Set(kinds)].map((kind) => pieces[kind].read + pieces[kind][piece]).join("")
  const rest = operation === "refund" ? refunding(kinds) : deciding(kinds, operation === "take")
  return `${clock}\n${common}${functions}${rest}\n`
}
