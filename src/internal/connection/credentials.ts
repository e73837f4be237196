/**
 * Credentials that are not known when the client is built: an Effect is run at each attempt to connect, and a Stream is
 * followed as its credentials rotate.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ConnectionError, isRedisError } from "../../RedisError.js"
import { quotesInput } from "../effect/quotes.js"
import type { Credentials, CredentialsInput, ResolvedOptions } from "./options.js"

/** Options whose credentials can be read at any time, and a way to listen for new ones. */
export interface Source {
  readonly options: ResolvedOptions
  readonly onRotate: (listener: () => void) => void
}

/** Makes options ready for connecting. A Stream of credentials is followed as long as the scope lives. */
export const source = (options: ResolvedOptions): Effect.Effect<Source, never, Scope.Scope> => {
  const { credentials } = options
  return isStream(credentials) ? follow(options, credentials) : Effect.succeed({ options, onRotate: () => {} })
}

/** The credentials for a handshake; `undefined` when the options hold fixed ones or none. */
export const current = (options: ResolvedOptions): Effect.Effect<Credentials, ConnectionError> | undefined => {
  const { credentials } = options
  return credentials === undefined
    ? undefined
    : Effect.catchAllCause(isStream(credentials) ? firstOf(credentials) : credentials, (cause) =>
        // An Effect that interrupts itself must not end the attempts, so its interruption is a failure.
        Effect.fail(unavailable(cause))
      )
}

const isStream = (input: CredentialsInput | undefined): input is Stream.Stream<Credentials, unknown> =>
  input !== undefined && Stream.StreamTypeId in input

const firstOf = (stream: Stream.Stream<Credentials, unknown>): Effect.Effect<Credentials, unknown> =>
  Effect.flatMap(
    Stream.runHead(stream),
    Option.match({ onNone: () => Effect.fail(noCredentials()), onSome: Effect.succeed })
  )

const endedWithoutAny = "the Stream of credentials ended without any"

const noCredentials = (): ConnectionError =>
  new ConnectionError({
    reason: "credentials",
    delivery: "unsent",
    message: endedWithoutAny
  })

/**
 * The error for credentials that could not be had. A failure of the user's code may hold a request with its token, so
 * it does not become the `cause`. Errors of this library hold no secrets, so they do.
 */
const unavailable = (cause: Cause.Cause<unknown>): ConnectionError => {
  const error = Cause.squash(cause)
  return error instanceof ConnectionError && error.message === endedWithoutAny
    ? error
    : new ConnectionError({
        reason: "credentials",
        delivery: "unsent",
        message: `getting the credentials failed: ${told(cause)}`,
        ...(isRedisError(error) ? { cause: error } : {})
      })
}

/**
 * What may be shown of a failure of the user's code. The message of a tagged error is shown, because its author wrote
 * it to be read. Any other error shows its name only, because its message may quote a secret, such as the reply of a
 * vault.
 */
const told = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const name = Predicate.hasProperty(error, "_tag") ? error._tag : error instanceof Error ? error.name : undefined
  const typed = Option.isSome(Cause.failureOption(cause)) && Predicate.hasProperty(error, "_tag")
  return typed && !quotesInput(error) && Predicate.hasProperty(error, "message") && isText(error.message)
    ? error.message
    : isText(name)
      ? name
      : "for no known reason"
}

/** A Stream may repeat its credentials, and the same ones are no reason to replace a connection. */
const isSame = (a: Exit.Exit<Credentials, unknown>, b: Exit.Exit<Credentials, unknown>): boolean =>
  Exit.isSuccess(a) &&
  Exit.isSuccess(b) &&
  a.value.username === b.value.username &&
  Redacted.value(a.value.password) === Redacted.value(b.value.password)

const isText = (u: unknown): u is string => typeof u === "string" && u !== ""

const follow = (
  options: ResolvedOptions,
  stream: Stream.Stream<Credentials, unknown>
): Effect.Effect<Source, never, Scope.Scope> =>
  Effect.suspend(() => {
    let newest: Exit.Exit<Credentials, unknown> | undefined
    const waiting = new Set<(exit: Exit.Exit<Credentials, unknown>) => void>()
    const listeners = new Set<() => void>()
    const settle = (exit: Exit.Exit<Credentials, unknown>): void => {
      const rotated = newest !== undefined && !isSame(newest, exit)
      newest = exit
      for (const resume of waiting) {
        resume(exit)
      }
      waiting.clear()
      if (rotated) {
        for (const listener of listeners) {
          listener()
        }
      }
    }
    const ended = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (newest === undefined) {
          settle(Exit.failCause(cause))
          return Effect.void
        }
        // The last credentials may stay valid for long. When they expire, the next handshake reports it.
        return Effect.logWarning(`The Stream of Redis credentials failed; the newest ones stay in use: ${told(cause)}`)
      })
    const credentials = Effect.async<Credentials, unknown>((resume) => {
      if (newest !== undefined) {
        return resume(newest)
      }
      waiting.add(resume)
      return Effect.sync(() => waiting.delete(resume))
    })
    return Stream.runForEach(stream, (next) => Effect.sync(() => settle(Exit.succeed(next)))).pipe(
      Effect.zipRight(
        Effect.sync(() => {
          if (newest === undefined) {
            settle(Exit.fail(noCredentials()))
          }
        })
      ),
      Effect.catchAllCause((cause) => (Cause.isInterruptedOnly(cause) ? Effect.void : ended(cause))),
      Effect.interruptible,
      Effect.forkScoped,
      Effect.as({
        options: { ...options, credentials },
        onRotate: (listener: () => void) => {
          listeners.add(listener)
        }
      })
    )
  })
