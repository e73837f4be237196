/**
 * A scripted peer: a TCP server that answers as the test says, for behaviour that no real server shows on demand.
 */

import * as Net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Parser } from "../../src/internal/resp/parser.js"

export interface PeerConnection {
  /** Counted from 0, in order of arrival. */
  readonly index: number
  /** Every command received on this connection, as its words. */
  readonly received: Array<ReadonlyArray<string>>
  readonly write: (raw: string | Uint8Array) => void
  /** Sends FIN after the written bytes. */
  readonly end: () => void
  /** Sends RST. */
  readonly reset: () => void
  readonly socket: Net.Socket
}

export interface Peer {
  readonly port: number
  readonly connections: ReadonlyArray<PeerConnection>
  /** The number of open connections. */
  readonly open: () => number
}

export interface Script {
  readonly onConnect?: (connection: PeerConnection) => void
  /** Called for each command; its result is written. */
  readonly onCommand?: (command: ReadonlyArray<string>, connection: PeerConnection) => string | Uint8Array | undefined
}

/** A server's reply to HELLO 3. */
export const hello3 =
  "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n" +
  "$2\r\nid\r\n:42\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

/** Answers the handshake as a server does, and every other command with `then`. */
export const greeting =
  (
    then: (command: ReadonlyArray<string>, connection: PeerConnection) => string | Uint8Array | undefined = () =>
      "+OK\r\n"
  ): NonNullable<Script["onCommand"]> =>
  (command, connection) => {
    switch (command[0]) {
      case "HELLO":
        return hello3
      case "CLIENT":
        return "+OK\r\n"
      default:
        return then(command, connection)
    }
  }

/** Answers the handshake, and no command. */
export const silent: Script = { onCommand: greeting(() => undefined) }

/** Answers the handshake, and every command with PONG. */
export const pong: Script = { onCommand: greeting(() => "+PONG\r\n") }

/** The commands received after the handshake, as lines of text. */
export const sent = ({ received }: PeerConnection): ReadonlyArray<string> =>
  received.filter(([name]) => name !== "HELLO" && name !== "CLIENT").map((words) => words.join(" "))

export const make = (script: Script): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly peer: Peer; readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
      const connections: Array<PeerConnection> = []
      const sockets = new Set<Net.Socket>()
      // A reply in several parts would wait 40 ms for the acknowledgement of the first.
      const server = Net.createServer({ noDelay: true }, (socket) => {
        sockets.add(socket)
        const connection: PeerConnection = {
          index: connections.length,
          received: [],
          write: (raw) => socket.write(raw),
          end: () => socket.end(),
          reset: () => socket.resetAndDestroy(),
          socket
        }
        connections.push(connection)
        const parser = new Parser({
          onReply: (command) => {
            const words = (command as ReadonlyArray<string>).map(String)
            connection.received.push(words)
            const answer = script.onCommand?.(words, connection)
            if (answer !== undefined && !socket.destroyed) {
              socket.write(answer)
            }
          },
          onPush: () => {},
          onAttribute: () => {}
        })
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
        socket.on("data", (bytes) => parser.write(bytes))
        script.onConnect?.(connection)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address() as Net.AddressInfo
        resume(Effect.succeed({ peer: { port: address.port, connections, open: () => sockets.size }, server, sockets }))
      })
    }),
    ({ server, sockets }) =>
      Effect.async<void>((resume) => {
        for (const socket of sockets) {
          socket.destroy()
        }
        server.close(() => resume(Effect.void))
      })
  ).pipe(Effect.map(({ peer }) => peer))

/** Waits, in real time, until a condition holds; dies when it does not within half a minute. */
export const eventually = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const started = Date.now()
    const look = (): void => {
      if (condition()) {
        resume(Effect.void)
      } else if (Date.now() - started > 30_000) {
        resume(Effect.dieMessage(`never happened: ${what}`))
      } else {
        setTimeout(look, 2)
      }
    }
    look()
  })
