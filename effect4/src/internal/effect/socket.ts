/** How bytes are read from and written to a platform's Socket. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"

/** A Socket, as programs hand it over. */
export type PlatformSocket = Socket.Socket

const utf8 = new TextEncoder()

/** Connects, and calls `f` with what arrives; ends with the peer's end. */
export const readAll = (socket: PlatformSocket, f: (bytes: Uint8Array) => void): Effect.Effect<void, unknown> =>
  Effect.scoped(
    Effect.flatMap(socket.reader, ({ pull }) =>
      Effect.forever(
        Effect.map(pull, (some) => {
          for (const data of some) {
            f(Predicate.isString(data) ? utf8.encode(data) : data)
          }
        })
      )
    )
  ).pipe(
    // The peer's end is a failure of the reader.
    Effect.catchIf(
      (error) => Socket.isSocketError(error) && error.reason._tag === "SocketCloseError",
      () => Effect.void
    )
  )

/** What writes to the Socket. It waits while there is no live connection. */
export const writer = (
  socket: PlatformSocket
): Effect.Effect<(data: string | Uint8Array) => Effect.Effect<void, unknown>, unknown, Scope.Scope> =>
  Effect.map(socket.writer, ({ write }) => write)
