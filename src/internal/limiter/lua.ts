/**
 * The scripts of limiters, put together from a few pieces of Lua: a clock, what each limit needs, and what is to be done (take,
 * peek, refund).
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
 *
 * Closures, tables, and numbers as text would take a good part of the time of a script. So the pieces are written out for each limit
 * (`@` stands for its number, `KEY` for its key), and states are doubles in network order.
 */

/** The server's time, in microseconds, and for how many milliseconds a key is kept that is needed for so many microseconds. */
export interface Clock {
  readonly now: string
  readonly ttl: (micros: string) => string
}

export const serverClock: Clock = {
  now: `local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]`,
  ttl: (micros) => `ceil((${micros}) / 1000)`
}

/** How limits are counted. A token bucket and GCRA are the same thing in other words. */
export type Kind = "bucket" | "fixed" | "sliding" | "log"

export type Operation = "take" | "peek" | "refund"

/** The code of the error for a key that holds something else than the state of the limiter. */
export const badState = "BADSTATE"

interface Pieces {
  /** Functions that the others use. */
  readonly functions?: string
  /** Reads the state, as it is now. */
  readonly read: string
  /** Whether `cost` is left. */
  readonly allows: string
  /** Takes `cost`, here and not yet on the server. */
  readonly take: string
  /** Says what is left, and when there is more: `left@`, `retry@` and `reset@`. */
  readonly tell: string
  /** Writes the state after a take. */
  readonly write: string
  /** Gives `cost` back, and writes that. */
  readonly refund: string
}

/** Reads so many whole numbers into variables of their names. */
const unpack = (names: ReadonlyArray<string>): string => `
  if #state@ ~= ${8 * names.length} then return BAD end
  local ${names.join(", ")} = struct.unpack(">${"d".repeat(names.length)}", state@)
  if not (${names.map((name) => `${name} >= 0 and ${name} <= max`).join(" and ")}) then return BAD end
  if ${names.map((name) => `${name} % 1`).join(" + ")} ~= 0 then return BAD end`

/** Writes numbers, for as long as is said in microseconds. */
const set = (names: ReadonlyArray<string>, micros: string): string =>
  `redis.call("SET", KEY, struct.pack(">${"d".repeat(names.length)}", ${names.join(", ")}), "PX", TTL(${micros}))`

/**
 * A bucket: `have@` of `a@`, in parts of a token of which there are `b@` in one, refilled with `c@` parts each microsecond. Its state is
 * the parts in a token, what it has, and `at`.
 */
const bucket: Pieces = {
  read: `
local have@, at@ = a@, now
local state@ = redis.call("GET", KEY)
if state@ then${unpack(["size", "have", "at"])}
  if size == 0 then return BAD end
  if size ~= b@ then have = floor(have / size) * b@ end
  if now > at then
    have = have + (now - at) * c@
    at = now
  end
  have@, at@ = have < a@ and have or a@, at
end`,
  allows: "have@ >= cost * b@",
  take: "have@ = have@ - cost * b@",
  tell: `
left@ = floor(have@ / b@)
if have@ < a@ then reset@ = ceil((a@ - have@) / c@) + at@ - now end
if not allows@ then retry@ = ceil((cost * b@ - have@) / c@) + at@ - now end`,
  write: set(["b@", "have@", "at@"], "reset@"),
  refund: `
if have@ < a@ then
  have@ = have@ + cost * b@
  if have@ < a@ then
    ${set(["b@", "have@", "at@"], "(a@ - have@) / c@ + at@ - now")}
  elseif at@ > now then
    ${set(["b@", "a@", "at@"], "at@ - now")}
  else
    redis.call("DEL", KEY)
  end
end`
}

/** A window of `b@` microseconds that begins with the first take. Its state is what is left, `at`, and when it ends. */
const fixed: Pieces = {
  read: `
local have@, at@, ends@ = a@, now, now + b@
local state@ = redis.call("GET", KEY)
if state@ then${unpack(["have", "at", "ends"])}
  if ends > at + b@ then ends = at + b@ end
  if now > at then at = now end
  if at >= ends then
    have, ends = a@, at + b@
  elseif have > a@ then
    have = a@
  end
  have@, at@, ends@ = have, at, ends
end`,
  allows: "have@ >= cost",
  take: "have@ = have@ - cost",
  tell: `
left@ = have@
if have@ < a@ then reset@ = ends@ - now end
if not allows@ then retry@ = ends@ - now end`,
  write: set(["have@", "at@", "ends@"], "reset@"),
  refund: `
if have@ < a@ then
  have@ = least(a@, have@ + cost)
  if have@ == a@ and at@ == now then
    redis.call("DEL", KEY)
  else
    ${set(["have@", "at@", "ends@"], "ends@ - now")}
  end
end`
}

/**
 * Two counters: what was taken in the window of `at`, and in the one before, of which the part counts that a window ending now
 * still covers. A window has `b@` ticks of `c@` microseconds each. The state is the limit and the window, the two counters, and `at`.
 */
const sliding: Pieces = {
  read: `
local window@ = b@ * c@
local current@, previous@, at@ = 0, 0, now
local state@ = redis.call("GET", KEY)
if state@ then${unpack(["limit", "window", "current", "previous", "at"])}
  if window == 0 then return BAD end
  if limit ~= a@ or window ~= window@ then
    local used = current + ceil(previous * (window - at % window) / window)
    current, previous = a@ - least(a@, most(0, limit - used)), 0
  end
  if now > at then
    local passed = floor(now / window@) - floor(at / window@)
    if passed == 1 then
      current, previous = 0, current
    elseif passed > 1 then
      current, previous = 0, 0
    end
    at = now
  end
  current@, previous@, at@ = current, previous, at
end
local used@ = current@ + ceil(previous@ * (b@ - floor(at@ % window@ / c@)) / b@)`,
  allows: "a@ - used@ >= cost",
  take: `current@ = current@ + cost
  used@ = used@ + cost`,
  tell: `
left@ = most(0, a@ - used@)
local begin@ = floor(at@ / window@) * window@
if current@ > 0 then reset@ = begin@ + 2 * window@ - now elseif previous@ > 0 then reset@ = begin@ + window@ - now end
if not allows@ then
  -- The tick of a window from which on no more than so much of a count is covered.
  local function tick(count, room)
    return count <= room and 0 or b@ - floor(room * b@ / count)
  end
  local here = current@ + cost <= a@ and tick(previous@, a@ - cost - current@) or b@
  retry@ = begin@ - now + (here < b@ and here * c@ or window@ + tick(current@, a@ - cost) * c@)
end`,
  write: set(["a@", "window@", "current@", "previous@", "at@"], "reset@"),
  refund: `
if used@ > 0 then
  local first = least(cost, current@)
  current@, previous@ = current@ - first, most(0, previous@ - cost + first)
  local left = current@ + previous@
  if left == 0 and at@ == now then
    redis.call("DEL", KEY)
  else
    local ends = (floor(at@ / window@) + (current@ > 0 and 2 or 1)) * window@
    ${set(["a@", "window@", "current@", "previous@", "at@"], "ends - now")}
  end
end`
}

/**
 * Every take, in a sorted set: its time as the score, and as the member all that was taken until then, with that take. So what was
 * taken since an entry is one subtraction, whatever it cost. The first member, with the score -1, is `limit window`. The newest
 * entry that has left the window stays, because its member is what the others count from. After a refund the last member is a mark,
 * with a `+`: what was taken is less now, and the mark keeps the time of that change.
 */
const log: Pieces = {
  functions: `
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

local function retryLog(key, cost, limit, window, sum, at, gone, fresh)
  if fresh then return at + window - now end
  local wanted, low, high = sum + cost - limit, gone + 1, redis.call("ZCARD", key) - 1
  while low < high do
    local middle = floor((low + high) / 2)
    if total(redis.call("ZRANGE", key, middle, middle)[1]) < wanted then low = middle + 1 else high = middle end
  end
  return tonumber(redis.call("ZRANGE", key, low, low, "WITHSCORES")[2]) + window - now
end

local function writeLog(key, cost, limit, window, sum, used, time, at, gone, fresh)
  if fresh or used == 0 then
    begin(key, limit, window, at, used)
    sum = used
  elseif gone > 1 then
    redis.call("ZREMRANGEBYRANK", key, 1, gone - 1)
  end
  entry(key, time, sum + cost)
  redis.call("PEXPIRE", key, TTL(time + window - now))
end

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
  redis.call("PEXPIRE", key, TTL(time + window - now))
  return true
end
`,
  read: `
local sum@, base@, time@, at@, gone@, fresh@, newest@ = log(KEY, a@, b@)
if not sum@ then return BAD end
local used@ = sum@ - base@`,
  allows: "a@ - used@ >= cost",
  take: "used@, newest@ = used@ + cost, time@",
  tell: `
left@ = most(0, a@ - used@)
if used@ > 0 then reset@ = newest@ + b@ - now end
if not allows@ then retry@ = retryLog(KEY, cost, a@, b@, sum@, at@, gone@, fresh@) end`,
  write: "writeLog(KEY, cost, a@, b@, sum@, used@ - cost, time@, at@, gone@, fresh@)",
  refund: `
refundLog(KEY, cost, a@, b@)`
}

const pieces: Readonly<Record<Kind, Pieces>> = { bucket, fixed, sliding, log }

const bad = `redis.error_reply("${badState} the key holds something else than the state of this rate limiter")`

/** The script for limits of these kinds. Tests of histories put a clock of their own into it. */
export const sourceOf = (kinds: ReadonlyArray<Kind>, operation: Operation, clock: Clock = serverClock): string => {
  const each = (piece: (of: Pieces) => string, between = "\n"): string =>
    kinds
      .map((kind, i) =>
        piece(pieces[kind])
          .replaceAll("@", String(i + 1))
          .replaceAll("KEY,", `KEYS[${i + 1}],`)
          .replaceAll("KEY)", `KEYS[${i + 1}])`)
      )
      .join(between)
  const numbers = kinds.map((_, i) =>
    `
local a@, b@, c@ = tonumber(ARGV[${3 * i + 2}]), tonumber(ARGV[${3 * i + 3}]), tonumber(ARGV[${3 * i + 4}])`.replaceAll(
      "@",
      String(i + 1)
    )
  )
  const read = `${numbers.join("")}${each((of) => of.read)}`
  const allows = each((of) => `local allows@ = ${of.allows}`)
  const all = each(() => "allows@", " and ")
  // Times in microseconds.
  const answer = `return { ${each(() => "allows@ and 1 or 0, left@, retry@, reset@", ", ")} }`
  const tell = each((of) => `local left@, retry@, reset@ = 0, 0, 0${of.tell}`)
  const does = {
    take: `${allows}
local charged = ${all}
if charged then
  ${each((of) => of.take, "\n  ")}
end
${tell}
if charged then
  ${each((of) => of.write, "\n  ")}
end
${answer}`,
    peek: `${allows}
${tell}
${answer}`,
    refund: `${each((of) => of.refund)}
return 1`
  }[operation]
  const functions = [...new Set(kinds)].map((kind) => pieces[kind].functions ?? "").join("")
  return `${clock.now}
local max = 9007199254740991
local floor, ceil, least, most, match = math.floor, math.ceil, math.min, math.max, string.match
${functions}
local cost = tonumber(ARGV[1])${read}
${does}
`
    .replaceAll("return BAD", `return ${bad}`)
    .replace(/TTL\(((?:[^()]|\([^()]*\))*)\)/g, (_, micros: string) => clock.ttl(micros))
}
