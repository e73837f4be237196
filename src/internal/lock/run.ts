/** Programs that run while they hold something: until they end, or until it is lost. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type RedisError, UsageError } from "../../RedisError.js"
import { Redis, type RedisService } from "../command/model.js"
import { annotated } from "../connection/about.js"
import { fromEither } from "../effect/either.js"
import { currentFiber, interrupt, type Running } from "../effect/fork.js"
import { pauseFor } from "../effect/pause.js"
import { type Reference, reference } from "../effect/reference.js"
import { RedisPubSub } from "../pubsub/service.js"
import { contend, type Restore, type Settings, tryOnce, type World } from "./contend.js"
import type { Held } from "./held.js"
import type { LockError } from "./lockError.js"
import type { Resource } from "./resource.js"

/** What is to be held, and how: checked when it is run. */
export type Wanted = Either.Either<{ readonly resource: Resource; readonly settings: Settings }, UsageError>

/** A program, or a function that makes it from what is held. */
export type Body<H, A, E, R> = Effect.Effect<A, E, R> | ((held: H) => Effect.Effect<A, E, R>)

/** What the fiber that runs holds, and the fibers that started it. */
const Holdings: Reference<{ readonly held: ReadonlyArray<Held> }> = reference<{ readonly held: ReadonlyArray<Held> }>(
  "effect-redis-client/Holdings",
  () => ({ held: [] })
)

const world: Effect.Effect<World, never, Redis> = Effect.flatMap(Redis, (redis) =>
  Effect.map(Effect.serviceOption(RedisPubSub), (pubsub) => ({ redis, pubsub }))
)

/** What fibers hold until a scope closes. */
const untilScope = new WeakMap<Running, Set<Held>>()

/** Whether a fiber that holds these would wait for itself. */
const waitsForItself = (held: ReadonlyArray<Held>, redis: RedisService, { key, single }: Resource): boolean =>
  single && held.some(({ holding, open }) => open && holding.redis === redis && holding.resource.key === key)

const reentered = ({ kind }: Resource): UsageError =>
  new UsageError({
    reason: "invalidArgument",
    message: `this fiber, or one that started it, holds this ${kind} already and would wait for itself; a ${kind} is held once at a time, so take it once, around both`
  })

/** Obtains what is wanted, in a region that is not interruptible. */
const obtain = (wanted: Wanted, restore: Restore): Effect.Effect<Held, LockError | RedisError, Redis> =>
  Effect.flatMap(fromEither(wanted), ({ resource, settings }) =>
    Effect.flatMap(world, (world) =>
      Effect.flatMap(Holdings, ({ held }) =>
        waitsForItself([...held, ...holdsOf(currentFiber())], world.redis, resource)
          ? Effect.fail(reentered(resource))
          : contend(world, resource, settings, restore)
      )
    )
  )

/**
 * Runs the body until it ends or what is held is lost, in a region that is not interruptible. A body that ended after validity
 * did is told so. The body has a fiber of its own, which the loss interrupts: a race would need two.
 */
const whileHeld = <H, A, E, R>(
  held: Held,
  handle: (held: Held) => H,
  body: Body<H, A, E, R>,
  restore: Restore
): Effect.Effect<A, E | LockError, R> =>
  Effect.flatMap(Holdings, (outer) =>
    Effect.flatMap(
      Effect.fork(
        restore(
          Effect.provideService(
            Effect.zipLeft(typeof body === "function" ? Effect.suspend(() => body(handle(held))) : body, held.check),
            Holdings,
            { held: [...outer.held, held] }
          )
        )
      ),
      (fiber) => {
        const unwatch = held.watch(() => interrupt(fiber))
        return restore(Fiber.join(fiber)).pipe(
          Effect.onInterrupt(() => Fiber.interrupt(fiber)),
          Effect.catchAllCause((cause) =>
            held.error !== undefined && Cause.isInterruptedOnly(cause)
              ? Effect.fail(held.error)
              : Effect.failCause(cause)
          ),
          Effect.ensuring(Effect.sync(unwatch))
        )
      }
    )
  )

/** Obtains, runs the body, and releases. */
export const around = <H, A, E, R>(
  wanted: Wanted,
  handle: (held: Held) => H,
  body: Body<H, A, E, R>
): Effect.Effect<A, E | LockError | RedisError, R | Redis> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(obtain(wanted, restore), (held) =>
      Effect.ensuring(whileHeld(held, handle, body, restore), held.release)
    )
  )

/** The same if it is free now. */
export const ifFree = <H, A, E, R>(
  wanted: Wanted,
  handle: (held: Held) => H,
  body: Body<H, A, E, R>
): Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(fromEither(wanted), ({ resource, settings }) =>
      Effect.flatMap(world, (world) =>
        Effect.flatMap(tryOnce(world, resource, settings, restore), (held) =>
          held === undefined
            ? Effect.succeed(Option.none<A>())
            : Effect.ensuring(
                Effect.map(whileHeld(held, handle, body, restore), (a) => Option.some(a)),
                held.release
              )
        )
      )
    )
  )

const holdsOf = (fiber: Running | undefined): ReadonlyArray<Held> =>
  fiber === undefined ? [] : [...(untilScope.get(fiber) ?? [])]

/** Obtains it, until the scope closes. */
export const scoped = (wanted: Wanted): Effect.Effect<Held, LockError | RedisError, Redis | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.tap(obtain(wanted, restore), (held) => {
      const fiber = currentFiber()
      const holds = fiber === undefined ? undefined : (untilScope.get(fiber) ?? new Set<Held>())
      if (fiber !== undefined && holds !== undefined) {
        untilScope.set(fiber, holds.add(held))
      }
      return Effect.addFinalizer(() =>
        Effect.suspend(() => {
          holds?.delete(held)
          return held.release
        })
      )
    })
  )

/** How long a candidate waits after a failure that may pass, in milliseconds: from the first, doubled each time, to the last. */
const backoff = { first: 100, last: 5_000 }

/** Failures that may pass by themselves. A client that was closed will not open again. */
const mayPass = (error: LockError | RedisError): boolean => {
  switch (error._tag) {
    case "ConnectionError":
      return error.reason !== "closed"
    case "ReplyError":
      return error.transient === true
    case "DeadlineError":
    case "OverflowError":
    case "LockError":
      return true
    default:
      return false
  }
}

/** Contends without end, and runs the body each time that it is obtained, until the body ends. */
export const elected = <H, A, E, R>(
  wanted: Wanted,
  handle: (held: Held) => H,
  body: Body<H, A, E, R>
): Effect.Effect<A, E | RedisError, R | Redis> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { redis } = yield* world
      let pause = backoff.first
      while (true) {
        const obtained = yield* Effect.either(obtain(wanted, restore))
        if (Either.isLeft(obtained)) {
          const error = obtained.left
          if (error._tag !== "LockError" && !mayPass(error)) {
            return yield* Effect.fail(error)
          }
          yield* annotated(
            Effect.logWarning(`Contending for leadership failed, and goes on: ${error.message}`),
            redis.about
          )
          yield* restore(pauseFor(pause * (0.5 + Math.random())))
          pause = Math.min(backoff.last, pause * 2)
          continue
        }
        pause = backoff.first
        const held = obtained.right
        const exit = yield* Effect.exit(whileHeld(held, handle, body, restore))
        yield* held.release
        if (!endedByLoss(exit, held)) {
          return yield* exit as Exit.Exit<A, E>
        }
      }
    })
  )

/** Whether the body ended because of the loss, and not for a reason of its own. */
const endedByLoss = (exit: Exit.Exit<unknown, unknown>, held: Held): boolean => {
  if (Exit.isSuccess(exit) || held.error === undefined) {
    return false
  }
  return Option.getOrUndefined(Cause.failureOption(exit.cause)) === held.error && !Cause.isDie(exit.cause)
}
