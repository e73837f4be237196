/**
 * Any `@effect/platform` Socket as a transport: best effort. The socket gives no read backpressure, its writer waits
 * while there is no live connection, and reports the peer's clean end as success; this file handles the last two.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type PlatformSocket, readAll, writer } from "../effect/socket.js"
import type { Transport, TransportListener } from "../engine/transport.js"

const fullAt = 1024 * 1024

export const fromSocket = (socket: PlatformSocket): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const outgoing = yield* Queue.unbounded<string | Uint8Array>()
    const listening = yield* Deferred.make<TransportListener>()
    const stopped = yield* Deferred.make<void>()
    let current: TransportListener | undefined
    let waiting = 0

    const writes = Effect.gen(function* () {
      const listener = yield* Deferred.await(listening)
      const write = yield* writer(socket)
      while (true) {
        const data = yield* Queue.take(outgoing)
        yield* write(data)
        const full = waiting >= fullAt
        waiting -= data.length
        if (full && waiting < fullAt) {
          listener.onDrain()
        }
      }
    })
    const reads = Effect.flatMap(Deferred.await(listening), (listener) =>
      readAll(socket, (bytes) => listener.onData(bytes))
    )

    // Whichever ends first ends the connection: reading at the peer's FIN, writing at a failure, or both when destroyed.
    yield* Effect.raceFirst(reads, Effect.scoped(writes)).pipe(
      Effect.raceFirst(Deferred.await(stopped)),
      Effect.onExit((exit) =>
        Effect.sync(() =>
          // There is no listener yet when the attempt is interrupted right here, and waiting for one would never end.
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

    const stop = (): void => {
      Deferred.unsafeDone(stopped, Exit.void)
    }
    return {
      write: (data) => {
        waiting += data.length
        Queue.unsafeOffer(outgoing, data)
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
