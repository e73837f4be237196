/**
 * Any `@effect/platform` Socket as a transport: best effort. The socket gives no read backpressure, its writer waits
 * while there is no live connection, and a peer's clean end looks like success; the last two are mended here.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type { Transport, TransportListener } from "../engine/engine.js"

const fullAt = 1024 * 1024

export const fromSocket = (socket: Socket.Socket): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const outgoing = yield* Mailbox.make<string | Uint8Array>()
    const listening = yield* Deferred.make<TransportListener>()
    const stopped = yield* Deferred.make<void>()
    let current: TransportListener | undefined
    let waiting = 0

    const writes = Effect.gen(function* () {
      const listener = yield* Deferred.await(listening)
      const write = yield* socket.writer
      while (true) {
        const data = yield* outgoing.take
        yield* write(data)
        const full = waiting >= fullAt
        waiting -= data.length
        if (full && waiting < fullAt) {
          listener.onDrain()
        }
      }
    })
    const reads = Effect.flatMap(Deferred.await(listening), (listener) =>
      socket.run((bytes) => Effect.sync(() => listener.onData(bytes)))
    )

    // Whichever ends first ends the connection: reading at the peer's FIN, writing at a failure, or both when told to.
    yield* Effect.raceFirst(reads, Effect.scoped(writes)).pipe(
      Effect.raceFirst(Deferred.await(stopped)),
      Effect.onExit((exit) =>
        Effect.sync(() =>
          // There is none yet when the opening is interrupted right here; to wait for it would be for ever.
          current?.onClose(
            Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)
              ? { reason: "peerClosed", message: "the server closed the connection" }
              : { reason: "transport", message: "the socket failed", cause: Cause.squash(exit.cause) }
          )
        )
      ),
      Effect.interruptible,
      Effect.forkScoped
    )

    const stop = (): void => Deferred.unsafeDone(stopped, Exit.void)
    return {
      write: (data) => {
        waiting += data.length
        outgoing.unsafeOffer(data)
      },
      cork: () => {},
      uncork: () => {},
      isFull: () => waiting >= fullAt,
      pause: () => {},
      resume: () => {},
      end: () => {},
      destroy: stop,
      listen: (listener) => {
        current = listener
        Deferred.unsafeDone(listening, Exit.succeed(listener))
      }
    }
  })
