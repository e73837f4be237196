/**
 * How bytes are read from and written to a platform's Socket. Effect 4 has pulls for reading and another module; used by
 * the transport over a Socket.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A Socket, as programs hand it over. */
export type PlatformSocket = Socket.Socket

/** Connects, and calls `f` with what arrives; ends with the peer's end. */
export const readAll = (socket: PlatformSocket, f: (bytes: Uint8Array) => void): Effect.Effect<void, unknown> =>
  socket.run((bytes) => Effect.sync(() => f(bytes)))

/** What writes to the Socket. It waits while there is no live connection. */
export const writer = (
  socket: PlatformSocket
): Effect.Effect<(data: string | Uint8Array) => Effect.Effect<void, unknown>, unknown, Scope.Scope> => socket.writer
