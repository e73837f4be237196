/**
 * A Node Duplex as a transport: the shape that the engine writes to. It loads nothing of Node itself.
 */
import type { Duplex } from "node:stream"
import type { Transport, TransportListener } from "../engine/transport.js"
import { explain, ofOpenSsl, refusesTls } from "./tlsErrors.js"

export type { Duplex }

/** How many bytes may wait inside the Duplex. Further commands wait outside of it, where they can still be taken back. */
const fullAt = 1024 * 1024

/** Reads a socket into memory of its own, in place of `data` events. */
export interface SocketReader {
  readonly listen: (listener: Pick<TransportListener, "onData" | "room">, again: () => void) => void
}

/** A Duplex as a transport. Nothing is read before the engine listens. */
export const fromDuplex = (duplex: Duplex, reader?: SocketReader): Transport => {
  let failure: Error | undefined
  let ended = false
  let paused = false
  // An error without a listener ends the process.
  duplex.on("error", (error) => {
    failure ??= error
    // A TLS alert after the handshake is an error that leaves the socket open, until the peer closes it.
    duplex.destroy()
  })
  return {
    write: (data) => {
      if (typeof data === "string") {
        duplex.write(data, "utf8")
      } else {
        duplex.write(data)
      }
    },
    cork: () => duplex.cork(),
    uncork: () => duplex.uncork(),
    isFull: () => duplex.writableNeedDrain && duplex.writableLength >= fullAt,
    pause: () => {
      paused = true
      duplex.pause()
    },
    resume: () => {
      paused = false
      duplex.resume()
    },
    end: () => {
      duplex.end()
    },
    destroy: () => {
      duplex.destroy()
    },
    listen: (listener: TransportListener) => {
      let closed = false
      const close = (): void => {
        if (!closed) {
          closed = true
          duplex.off("data", listener.onData)
          listener.onClose(
            failure !== undefined && !ended
              ? {
                  // A server that requires a client certificate reports that only after the TLS handshake.
                  reason: ofOpenSsl(failure) && refusesTls(failure) ? "tls" : "transport",
                  message: `the connection failed: ${explain(failure)}`,
                  cause: failure
                }
              : { reason: "peerClosed", message: "the server closed the connection" }
          )
        }
      }
      if (reader === undefined) {
        duplex.on("data", listener.onData)
      }
      duplex.on("drain", listener.onDrain)
      duplex.on("end", () => {
        ended = failure === undefined
        close()
      })
      duplex.on("close", close)
      reader?.listen(listener, () => {
        if (!paused) {
          duplex.resume()
        }
      })
      if (duplex.destroyed || duplex.readableEnded) {
        close()
      }
    }
  }
}
