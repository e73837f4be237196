/** Where nodes are reached, and where they are looked for. */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import { pauseFor } from "../effect/pause.js"

/** Where a node is reached. */
export interface Address {
  readonly host: string
  readonly port: number
}

export const showAddress = ({ host, port }: Address): string => `${host}:${port}`

export const sameAddress = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port

/** A server as a program gives it: a URL, or host and port. */
export type Place = string | Redacted.Redacted<string> | { readonly host: string; readonly port?: number | undefined }

/** Bounds an Effect that finds servers, by the clock of the connections. Without a bound, one search that hangs would be the last one. */
export const within = <A>(places: Effect.Effect<A, RedisError>, millis: number): Effect.Effect<A, RedisError> =>
  Effect.raceFirst(
    places,
    Effect.zipRight(
      pauseFor(millis),
      Effect.suspend(() =>
        Effect.fail(
          new ConnectionError({
            reason: "noNode",
            delivery: "unsent",
            message: `they were not found within ${millis} ms`
          })
        )
      )
    )
  )

/** How long an Effect that finds servers may take at most, in milliseconds. */
export const longestSearch = 60_000
