/**
 * The queues of one store, as this process sees them: who waits, what is claimed, and the fibers that wake and renew.
 *
 * All state of a claim is on the server (`scripts.ts`). What is here can be lost at any time: a lease that nobody renews ends,
 * and its element goes to somebody else.
 */
import * as PersistedQueue from "@effect/experimental/PersistedQueue"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Redis } from "../../Redis.js"
import * as RedisCommand from "../../RedisCommand.js"
import type { RedisError } from "../../RedisError.js"
import type { RedisService } from "../command/model.js"
import { forkerIn, hasEnded, type Running } from "../effect/fork.js"
import { pauseFor } from "../effect/pause.js"
import * as Timers from "../engine/timers.js"
import * as Scripts from "./scripts.js"

export type Store = Context.Tag.Service<typeof PersistedQueue.PersistedQueueStore>

/** The options, checked. Durations are milliseconds. */
export interface Settings {
  readonly prefix: string
  readonly lease: number
  readonly rememberIds: number
  readonly pollEvery: number
  readonly failedLimit: number
  /** `undefined` for ever. */
  readonly failedTimeToLive: number | undefined
}

/** An element that this process has claimed. */
interface Claim {
  readonly token: string
  readonly id: string
  /** Until when the lease holds at least, by the clock of this process. */
  validUntil: number
  lost: boolean
  settled: boolean
}

interface Waiter {
  woken: boolean
  resume: (() => void) | undefined
}

interface Queue {
  readonly name: string
  readonly keys: Scripts.Keys
  readonly waiters: Set<Waiter>
  readonly claims: Map<string, Claim>
  /** How many calls of `take` are under way. */
  users: number
  /** When somebody has to look without being woken, because a lease may have ended. */
  lookAt: number
  waking: Running | undefined
  renewing: Running | undefined
}

/** How many leases one call renews. */
const renewAtOnce = 500

/** How long after a failure it is tried again to wait or to settle, in milliseconds. */
const pauseAfterFailure = 500

const queueError = (message: string, cause?: unknown): PersistedQueue.PersistedQueueError =>
  new PersistedQueue.PersistedQueueError({ message, ...(cause === undefined ? {} : { cause }) })

const failed = (cause: RedisError): PersistedQueue.PersistedQueueError => queueError(cause.message, cause)

/** Whether a caller that waits anyway may go on waiting: the server is away, and may come back. */
const mayPass = (error: RedisError): boolean =>
  error._tag === "DeadlineError" ||
  (error._tag === "ConnectionError" && !["authentication", "credentials", "tls", "closed"].includes(error.reason)) ||
  (error._tag === "ReplyError" && error.transient === true)

const toJson = (value: unknown): string | undefined =>
  Option.getOrUndefined(Option.liftThrowable((given: unknown): string | undefined => JSON.stringify(given))(value))

const parse = (json: string): Option.Option<unknown> => Option.liftThrowable((given: string) => JSON.parse(given))(json)

export const makeStore = Effect.fnUntraced(function* (redis: RedisService, settings: Settings, scope: Scope.Scope) {
  const { failedLimit, failedTimeToLive, lease, pollEvery, prefix, rememberIds } = settings
  const fork = yield* forkerIn(scope)
  const queues = new Map<string, Queue>()
  const failedFor = failedTimeToLive ?? ""

  const origin = crypto.randomUUID()
  let count = 0
  const newToken = (): string => `${origin}:${(count++).toString(36)}`

  const queueOf = (name: string): Queue => {
    const known = queues.get(name)
    if (known !== undefined) {
      return known
    }
    const queue: Queue = {
      name,
      keys: Scripts.keysOf(prefix, name),
      waiters: new Set(),
      claims: new Map(),
      users: 0,
      lookAt: Infinity,
      waking: undefined,
      renewing: undefined
    }
    queues.set(name, queue)
    return queue
  }

  const isRunning = (fiber: Running | undefined): boolean => fiber !== undefined && !hasEnded(fiber)

  /** Forgets what nobody uses any more: programs may make a queue for each user. */
  const forgetUnused = (queue: Queue): void => {
    if (queue.users === 0 && queue.claims.size === 0 && !isRunning(queue.waking) && queues.get(queue.name) === queue) {
      queues.delete(queue.name)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Waking
  // -------------------------------------------------------------------------------------------------------------------

  /** Hands the wake-up to the next who waits here, else back to the server, where others wait. */
  const wakeOne = (queue: Queue): void => {
    const [next] = queue.waiters
    if (next === undefined) {
      fork(Effect.ignore(redis.send(RedisCommand.repeatable(Scripts.signal(...queue.keys)))))
      return
    }
    queue.waiters.delete(next)
    next.woken = true
    next.resume?.()
  }

  /** Waits on the server for all who wait here, on a connection of its own. One wake-up wakes one of them. */
  const wake = (queue: Queue): Effect.Effect<void> =>
    Effect.gen(function* () {
      while (queue.waiters.size > 0) {
        const millis = Math.max(10, Math.min(pollEvery, Math.ceil(queue.lookAt - Timers.now())))
        const timeout = Duration.millis(millis)
        const popped = yield* Effect.exit(redis.send(Redis.blpop(Scripts.wakeOf(queue.keys), { timeout })))
        if (Exit.isFailure(popped)) {
          // Without a connection of its own, or without a server. Whoever waits looks all the same, and sees why.
          yield* pauseFor(pauseAfterFailure)
        }
        queue.lookAt = Infinity
        if (queue.waiters.size > 0 || (Exit.isSuccess(popped) && Option.isSome(popped.value))) {
          wakeOne(queue)
        }
      }
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          queue.waking = undefined
          // Somebody may have come in between; not when the store closes.
          if (queue.waiters.size > 0 && Exit.isSuccess(exit)) {
            startWaking(queue)
          }
          forgetUnused(queue)
        })
      )
    )

  const startWaking = (queue: Queue): void => {
    if (!isRunning(queue.waking)) {
      queue.waking = fork(wake(queue))
    }
  }

  /** Waits until there may be an element. A wake-up of a caller that is interrupted goes to the next. */
  const awaken = (queue: Queue, restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const waiter: Waiter = { woken: false, resume: undefined }
      const waiting = Effect.async<void>((resume) => {
        waiter.resume = () => resume(Effect.void)
        queue.waiters.add(waiter)
        startWaking(queue)
      })
      return Effect.onInterrupt(restore(waiting), () =>
        Effect.sync(() => {
          queue.waiters.delete(waiter)
          if (waiter.woken) {
            wakeOne(queue)
          }
        })
      )
    })

  // -------------------------------------------------------------------------------------------------------------------
  // Leases
  // -------------------------------------------------------------------------------------------------------------------

  const lostClaim = (queue: Queue, claim: Claim): Effect.Effect<void> => {
    claim.lost = true
    queue.claims.delete(claim.token)
    return Effect.logWarning(
      "The lease of an element of a queue has ended before its handler: another worker may handle the element, too. Its lease should be longer than the server may be out of reach."
    ).pipe(Effect.annotateLogs({ queue: queue.name }))
  }

  const renewSome = (queue: Queue, claims: ReadonlyArray<Claim>): Effect.Effect<void, RedisError> =>
    Effect.gen(function* () {
      const sent = Timers.now()
      const renewing = Scripts.renew(...queue.keys, lease * 1000, ...claims.map(({ token }) => token))
      const deadline = Duration.millis(Math.ceil(lease / 3))
      const lost = new Set(yield* redis.send(RedisCommand.withDeadline(RedisCommand.repeatable(renewing), deadline)))
      for (const claim of claims) {
        if (!lost.has(claim.token)) {
          claim.validUntil = sent + lease
        } else if (!claim.settled && queue.claims.has(claim.token)) {
          yield* lostClaim(queue, claim)
        }
      }
    })

  /** Renews the leases of one queue. Each queue has a fiber of its own, so that none waits for another. */
  const renew = (queue: Queue): Effect.Effect<void> =>
    Effect.gen(function* () {
      while (queue.claims.size > 0) {
        yield* pauseFor(lease / 3)
        const claims = [...queue.claims.values()]
        for (let at = 0; at < claims.length; at += renewAtOnce) {
          yield* renewSome(queue, claims.slice(at, at + renewAtOnce)).pipe(
            // The next round tries again; a lease outlives one round that fails.
            Effect.catchAll((error) =>
              Effect.logDebug("Leases of a queue were not renewed", error).pipe(
                Effect.annotateLogs({ queue: queue.name })
              )
            )
          )
        }
      }
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          queue.renewing = undefined
          if (queue.claims.size > 0 && Exit.isSuccess(exit)) {
            startRenewing(queue)
          }
          forgetUnused(queue)
        })
      )
    )

  const startRenewing = (queue: Queue): void => {
    if (!isRunning(queue.renewing)) {
      queue.renewing = fork(renew(queue))
    }
  }

  const hold = (queue: Queue, claim: Claim): void => {
    queue.claims.set(claim.token, claim)
    startRenewing(queue)
  }

  const sendSettle = (queue: Queue, token: string, outcome: Scripts.Outcome, maxAttempts: number) =>
    redis.send(
      RedisCommand.repeatable(Scripts.settle(...queue.keys, token, outcome, maxAttempts, failedLimit, failedFor))
    )

  /** Tries for as long as the lease is renewed, or would have held. */
  const settleLater = (
    queue: Queue,
    claim: Claim,
    outcome: Scripts.Outcome,
    maxAttempts: number
  ): Effect.Effect<void> =>
    Effect.gen(function* () {
      let settled = false
      while (!settled && !claim.lost && Timers.now() < claim.validUntil) {
        yield* pauseFor(pauseAfterFailure)
        settled = Exit.isSuccess(yield* Effect.exit(sendSettle(queue, claim.token, outcome, maxAttempts)))
      }
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          queue.claims.delete(claim.token)
          forgetUnused(queue)
        })
      )
    )

  /** Ends a claim, once. It never fails: what could not be said to the server, its lease will say. */
  const settle = (queue: Queue, claim: Claim, outcome: Scripts.Outcome, maxAttempts: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (claim.settled) {
        return Effect.void
      }
      claim.settled = true
      return Effect.matchEffect(sendSettle(queue, claim.token, outcome, maxAttempts), {
        onSuccess: (found) => {
          queue.claims.delete(claim.token)
          forgetUnused(queue)
          // 0 is also the answer to a call that is repeated because its reply was lost.
          return found === 0 && !claim.lost && Timers.now() > claim.validUntil ? lostClaim(queue, claim) : Effect.void
        },
        onFailure: (error) =>
          Effect.sync(() => {
            fork(settleLater(queue, claim, outcome, maxAttempts))
          }).pipe(
            Effect.zipRight(Effect.logWarning("What became of an element of a queue could not be stored yet", error)),
            Effect.annotateLogs({ queue: queue.name, outcome })
          )
      })
    })

  // -------------------------------------------------------------------------------------------------------------------
  // The service
  // -------------------------------------------------------------------------------------------------------------------

  /** Asks for an element. When the call fails, an element that the server may have given goes back, and so does the wake-up. */
  const claimOne = (queue: Queue, token: string, maxAttempts: number) =>
    redis
      .send(
        RedisCommand.repeatable(Scripts.claim(...queue.keys, token, lease * 1000, maxAttempts, failedLimit, failedFor))
      )
      .pipe(
        Effect.tapError(() =>
          Effect.sync(() => {
            fork(giveBack(queue, token, maxAttempts))
          })
        )
      )

  const giveBack = (queue: Queue, token: string, maxAttempts: number): Effect.Effect<void> =>
    Effect.ignore(sendSettle(queue, token, "back", maxAttempts))

  const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Scripts.Outcome =>
    Exit.isSuccess(exit) ? "done" : Exit.isInterrupted(exit) ? "back" : "failed"

  const takeFrom = (queue: Queue, maxAttempts: number) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        for (let waited = false; ; waited = true) {
          const token = newToken()
          const sent = Timers.now()
          // An element that arrives for a caller that is interrupted goes back.
          const asked = yield* restore(Effect.either(claimOne(queue, token, maxAttempts))).pipe(
            Effect.onInterrupt(() => giveBack(queue, token, maxAttempts))
          )
          if (asked._tag === "Left") {
            if (!waited || !mayPass(asked.left)) {
              return yield* Effect.fail(failed(asked.left))
            }
            yield* restore(pauseFor(pauseAfterFailure))
            continue
          }
          const claimed = asked.right
          if (claimed._tag === "Empty") {
            queue.lookAt = Math.min(queue.lookAt, Timers.now() + (claimed.lookAgain ?? Infinity))
            yield* awaken(queue, restore)
            continue
          }
          const { attempts, id } = claimed
          const claim: Claim = { token, id, validUntil: sent + lease, lost: false, settled: false }
          hold(queue, claim)
          const element = parse(claimed.element)
          if (Option.isNone(element)) {
            yield* settle(queue, claim, "failed", maxAttempts)
            return yield* Effect.fail(queueError("an element of the queue is not JSON"))
          }
          yield* Effect.addFinalizer((exit) => settle(queue, claim, outcomeOf(exit), maxAttempts))
          // Nobody closes the scope of a caller that is interrupted before it has the element.
          yield* restore(Effect.void).pipe(Effect.onInterrupt(() => settle(queue, claim, "back", maxAttempts)))
          return { id, attempts, element: element.value }
        }
      })
    )

  const store: Store = {
    offer: ({ element, id, isCustomId, name }) =>
      Effect.suspend(() => {
        const json = toJson(element)
        if (json === undefined) {
          return Effect.fail(queueError("the element has no JSON"))
        }
        const keys = Scripts.keysOf(prefix, name)
        const command = Scripts.offer(...keys, id, isCustomId ? rememberIds : 0, json)
        // An id that is remembered is not added again, so the offer may be repeated when its reply was lost.
        return Effect.asVoid(
          Effect.mapError(redis.send(isCustomId ? RedisCommand.repeatable(command) : command), failed)
        )
      }),
    take: ({ maxAttempts, name }) =>
      Effect.suspend(() => {
        const queue = queueOf(name)
        queue.users++
        return takeFrom(queue, maxAttempts).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              queue.users--
              forgetUnused(queue)
            })
          )
        )
      })
  }
  return { store, queues: queues as ReadonlyMap<string, unknown> }
})
