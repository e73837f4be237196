/**
 * What limiters should decide, said as plainly as possible: how much is left of a subject's limit at a time, and what a take or
 * a refund changes. Whole numbers of any size, no clock, no server. When a take would be allowed, and when everything is back,
 * is found by looking at later times.
 */

export type Algorithm = "gcra" | "token-bucket" | "fixed-window" | "sliding-window" | "sliding-log"

export interface Policy {
  readonly algorithm: Algorithm
  /** How much flows in, or may be taken, in a window. */
  readonly limit: bigint
  /** In microseconds. */
  readonly window: bigint
  /** The most that can be taken at once; for windows the limit. */
  readonly capacity: bigint
}

/** A subject's state under one policy, at the time of its last change. */
interface State {
  /** What is left at a time from `at` on. */
  readonly left: (now: bigint) => bigint
  /** The state after something was taken, or with a negative number given back. */
  readonly after: (now: bigint, taken: bigint) => State
  /** The same under other numbers: what was left at `at`, at most the new capacity. */
  readonly under: (policy: Policy) => State
  readonly policy: Policy
  readonly at: bigint
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b
const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b))

/** `parts` of a token, `window` of which are one: in each microsecond `limit` parts flow in. */
const bucket = (policy: Policy, parts: bigint, at: bigint): State => {
  const { capacity, limit, window } = policy
  const partsAt = (now: bigint) => min(capacity * window, parts + max(0n, now - at) * limit)
  return {
    policy,
    at,
    left: (now) => partsAt(now) / window,
    after: (now, taken) => bucket(policy, min(capacity * window, partsAt(now) - taken * window), max(at, now)),
    under: (other) => {
      const sizeOf = ({ limit, window }: Policy) => window / gcd(limit, window)
      // A part of a token is kept only where the new policy can count it.
      const kept = sizeOf(policy) === sizeOf(other) ? (parts * other.window) / window : (parts / window) * other.window
      return bucket(other, min(kept, other.capacity * other.window), at)
    }
  }
}

const fixed = (policy: Policy, left: bigint, at: bigint, begun: bigint, ends: bigint): State => {
  const { limit, window } = policy
  const isOver = (now: bigint) => max(now, at) >= ends
  return {
    policy,
    at,
    left: (now) => (isOver(now) ? limit : left),
    after: (now, taken) => {
      const time = max(now, at)
      return isOver(now)
        ? fixed(policy, limit - max(0n, taken), time, time, time + window)
        : fixed(policy, min(limit, left - taken), time, begun, ends)
    },
    under: (other) => fixed(other, min(left, other.limit), at, begun, min(ends, at + other.window))
  }
}

const tickOf = ({ limit, window }: Policy): bigint => {
  let unit = 1n
  while (limit * ceilDiv(window, unit) >= 2n ** 53n) {
    unit *= 10n
  }
  return unit
}

const sliding = (policy: Policy, current: bigint, previous: bigint, at: bigint): State => {
  const { limit } = policy
  const unit = tickOf(policy)
  const ticks = ceilDiv(policy.window, unit)
  const window = ticks * unit
  const counts = (now: bigint) => {
    const time = max(now, at)
    const passed = time / window - at / window
    const [here, before] = passed === 0n ? [current, previous] : [0n, passed === 1n ? current : 0n]
    return { time, here, before, covered: ceilDiv(before * (ticks - (time % window) / unit), ticks) }
  }
  const left = (now: bigint) => {
    const { covered, here } = counts(now)
    return max(0n, limit - here - covered)
  }
  return {
    policy,
    at,
    left,
    after: (now, taken) => {
      const { before, here, time } = counts(now)
      return taken >= 0n
        ? sliding(policy, here + taken, before, time)
        : sliding(policy, max(0n, here + taken), max(0n, before + min(0n, here + taken)), time)
    },
    under: (other) =>
      other.limit === limit && other.window === policy.window
        ? sliding(other, current, previous, at)
        : sliding(
            other,
            // The part of the window before is counted without ticks here.
            other.limit -
              min(other.limit, max(0n, limit - current - ceilDiv(previous * (window - (at % window)), window))),
            0n,
            at
          )
  }
}

interface Taken {
  readonly time: bigint
  readonly cost: bigint
}

const log = (policy: Policy, takes: ReadonlyArray<Taken>, at: bigint): State => {
  const { limit, window } = policy
  const live = (now: bigint) => takes.filter(({ time }) => time > max(now, at) - window)
  const used = (now: bigint) => live(now).reduce((sum, { cost }) => sum + cost, 0n)
  const giveBack = (takes: ReadonlyArray<Taken>, amount: bigint): ReadonlyArray<Taken> => {
    const last = takes[takes.length - 1]
    return last === undefined || amount === 0n
      ? takes
      : last.cost > amount
        ? [...takes.slice(0, -1), { ...last, cost: last.cost - amount }]
        : giveBack(takes.slice(0, -1), amount - last.cost)
  }
  return {
    policy,
    at,
    left: (now) => max(0n, limit - used(now)),
    after: (now, taken) => {
      const time = max(now, at)
      return taken > 0n
        ? log(policy, [...live(now), { time, cost: taken }], time)
        : log(policy, giveBack(live(now), -taken), time)
    },
    under: (other) =>
      other.limit === limit && other.window === window
        ? log(other, takes, at)
        : log(other, [{ time: at, cost: other.limit - min(other.limit, max(0n, limit - used(at))) }], at)
  }
}

const fresh = (policy: Policy, now: bigint): State => {
  switch (policy.algorithm) {
    case "gcra":
    case "token-bucket":
      return bucket(policy, policy.capacity * policy.window, now)
    case "fixed-window":
      return fixed(policy, policy.limit, now, now, now)
    case "sliding-window":
      return sliding(policy, 0n, 0n, now)
    case "sliding-log":
      return log(policy, [], now)
  }
}

export interface Answer {
  readonly allowed: boolean
  readonly remaining: bigint
  readonly retry: bigint
  readonly reset: bigint
}

/** How long until something holds that goes on holding. */
const until = (now: bigint, longest: bigint, holds: (time: bigint) => boolean): bigint => {
  let [low, high] = [0n, longest]
  while (low < high) {
    const middle = (low + high) / 2n
    if (holds(now + middle)) {
      high = middle
    } else {
      low = middle + 1n
    }
  }
  return low
}

/** One subject. */
export class Subject {
  private state: State | undefined

  private under(policy: Policy, now: bigint): State {
    return this.state?.under(policy) ?? fresh(policy, now)
  }

  private answer(state: State, now: bigint, cost: bigint, remaining: bigint): Answer {
    const { capacity, limit, window } = state.policy
    const longest =
      max(0n, state.at - now) + 2n * window + ceilDiv(capacity * window, limit) + 20n * tickOf(state.policy)
    const allowed = remaining >= cost
    return {
      allowed,
      remaining,
      retry: allowed ? 0n : until(now, longest, (time) => state.left(time) >= cost),
      reset: until(now, longest, (time) => isFull(state, time))
    }
  }

  peek(policy: Policy, now: bigint, cost: bigint): Answer {
    const state = this.under(policy, now)
    return this.answer(state, now, cost, state.left(now))
  }

  take(policy: Policy, now: bigint, cost: bigint): Answer {
    const before = this.peek(policy, now, cost)
    if (!before.allowed) {
      return before
    }
    const state = this.under(policy, now).after(now, cost)
    this.state = state
    const { remaining, reset } = this.answer(state, now, 1n, state.left(now))
    return { allowed: true, remaining, retry: 0n, reset }
  }

  refund(policy: Policy, now: bigint, amount: bigint): void {
    const state = this.under(policy, now)
    if (!isFull(state, now)) {
      const after = state.after(now, -amount)
      // Everything was given back: as if it had never been taken, unless the clock is behind.
      this.state = isFull(after, now) && after.at <= now ? undefined : after
    }
  }
}

/** Whether everything is back. */
const isFull = (state: State, now: bigint): boolean => state.left(now) === state.policy.capacity
