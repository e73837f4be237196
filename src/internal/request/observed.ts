/**
 * Reports the course of a request to an observer: its start, each server that it is handed to, each retry and its end. Only
 * requests that the observer watches pay for it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { exitOf } from "../effect/atCaller.js"
import { currentFiber, interrupted, onEnd } from "../effect/fork.js"
import {
  type Ended,
  notify,
  type Observer,
  type RequestPart,
  type RequestWatch,
  type Retry
} from "../telemetry/observer.js"
import type { RequestSettings, Resume } from "./settings.js"

/** A request that is watched. */
export class Watching {
  private open = true
  private forget: (() => void) | undefined

  constructor(private readonly watch: RequestWatch) {
    const fiber = watch.untilInterrupted ? currentFiber() : undefined
    if (fiber !== undefined) {
      // A caller that is interrupted may get no result. Its request ends with its fiber.
      this.forget = onEnd(fiber, () => this.end(interrupted))
    }
  }

  /** A `resume` that also tells the observer how the request ended. */
  settling<A>(resume: Resume<A>): Resume<A> {
    return (result) => {
      this.end(exitOf(result))
      resume(result)
    }
  }

  handed(server: string): void {
    if (this.open && this.watch.handed !== undefined) {
      try {
        this.watch.handed(server)
      } catch {}
    }
  }

  retry(retry: Retry): void {
    if (this.open && this.watch.retry !== undefined) {
      try {
        this.watch.retry(retry)
      } catch {}
    }
  }

  /** Parts that have not ended. */
  private parts: Set<Ended<RedisError>> | undefined

  part(part: RequestPart): Ended<RedisError> | undefined {
    if (!this.open || this.watch.part === undefined) {
      return undefined
    }
    try {
      const ended = this.watch.part(part)
      if (ended === undefined) {
        return undefined
      }
      const parts = (this.parts ??= new Set())
      parts.add(ended)
      return (exit) => {
        if (parts.delete(ended)) {
          notify(ended, exit)
        }
      }
    } catch {
      return undefined
    }
  }

  end(exit: Exit.Exit<unknown, RedisError>): void {
    if (this.open) {
      this.open = false
      this.forget?.()
      for (const ended of this.parts ?? []) {
        notify(ended, interrupted)
      }
      this.parts?.clear()
      try {
        this.watch.ended(exit)
      } catch {}
    }
  }
}

/** Asks the observer whether it watches a request of the caller's fiber, which runs now. */
export const watching = (
  { address, observer }: RequestSettings,
  given: RedisCommand<unknown> | ReadonlyArray<RedisCommand<unknown>>,
  atomic: boolean
): Watching | undefined => {
  if (observer?.request === undefined || !watches(observer)) {
    return undefined
  }
  const commands = Array.isArray(given)
    ? (given as ReadonlyArray<RedisCommand<unknown>>)
    : [given as RedisCommand<unknown>]
  const watch = notify(observer.request, { commands, atomic, batch: Array.isArray(given), server: address })
  return watch === undefined ? undefined : new Watching(watch)
}

const watches = ({ watches }: Observer): boolean => {
  try {
    return watches === undefined || watches()
  } catch {
    return false
  }
}

/** An Effect that sends a request in several parts, observed as one. The parts are told who watches the whole. */
export const observedAs = <A>(
  settings: RequestSettings,
  given: RedisCommand<unknown> | ReadonlyArray<RedisCommand<unknown>>,
  send: (watch: Watching | null) => Effect.Effect<A, RedisError>
): Effect.Effect<A, RedisError> =>
  Effect.suspend(() => {
    const watch = watching(settings, given, false)
    const failed = settings.observer?.failed
    const sent = send(watch ?? null)
    const told =
      failed === undefined ? sent : Effect.tapError(sent, (error) => Effect.sync(() => notify(failed, error)))
    return watch === undefined ? told : Effect.onExit(told, (exit) => Effect.sync(() => watch.end(exit)))
  })

/** Tells an observer, and who watches the request, that the request is sent again. `code` is that of a refusal. */
export const reportRetry = (
  observer: Observer | undefined,
  {
    attempts,
    commands,
    watch
  }: { readonly attempts: number; readonly commands: Retry["commands"]; readonly watch: Watching | undefined },
  server: string,
  code: string | undefined
): void => {
  if (observer?.retry === undefined && watch === undefined) {
    return
  }
  const retry: Retry = {
    commands,
    server,
    reason: code === undefined ? "disconnected" : "refused",
    code,
    attempts
  }
  notify(observer?.retry, retry)
  watch?.retry(retry)
}

/** Tells the observer of the failures among results that a caller is given. */
export const reportFailures = (
  observer: Observer | undefined,
  // Of a pipeline that ends inside of one of its own replies (Effect 4), a place may be empty.
  exits: ReadonlyArray<Exit.Exit<unknown, RedisError> | undefined>
): void => {
  if (observer?.failed === undefined) {
    return
  }
  for (const exit of exits) {
    const error = exit?._tag === "Failure" ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
    if (error !== undefined) {
      notify(observer.failed, error)
    }
  }
}

/** Commands of the client's own: nobody asked for them, so they have no span. */
export const untraced = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withTracerEnabled(effect, false)
