/**
 * What the engine needs of a socket. Each runtime has a transport of its own; the engine knows only this interface.
 */

/** What carries the bytes. It is told to destroy itself once, and reports its end once. */
export interface Transport {
  readonly write: (data: string | Uint8Array) => void
  readonly cork: () => void
  readonly uncork: () => void
  /** Whether so much waits to be written that more should wait elsewhere. `onDrain` ends that. */
  readonly isFull: () => boolean
  /** Stops reading, so that the peer feels that nobody takes what it sends. Best effort. */
  readonly pause: () => void
  readonly resume: () => void
  /** Sends what is written, then a FIN. */
  readonly end: () => void
  readonly destroy: () => void
  readonly listen: (listener: TransportListener) => void
}

export interface TransportListener {
  /** The bytes belong to the transport: the listener copies what it keeps. */
  readonly onData: (bytes: Uint8Array) => void
  /** Where the next bytes would best be read: into the rest of a long value, if one is being read. */
  readonly room: () => Uint8Array | undefined
  readonly onDrain: () => void
  readonly onClose: (reason: CloseReason) => void
}

/** Why a connection ended. */
export interface CloseReason {
  readonly reason:
    | "connect"
    | "tls"
    | "handshake"
    | "authentication"
    | "credentials"
    | "peerClosed"
    | "transport"
    | "unresponsive"
    | "protocol"
    | "closed"
    | "noNode"
  readonly message: string
  readonly cause?: unknown
  /** Set when the peer broke the protocol. */
  readonly protocol?: string | undefined
}

const nothing = (): void => {}

/** The transport of a connection that has ended. A program may hold such a connection for long, but not its socket. */
export const ended: Transport = {
  write: nothing,
  cork: nothing,
  uncork: nothing,
  isFull: () => false,
  pause: nothing,
  resume: nothing,
  end: nothing,
  destroy: nothing,
  listen: nothing
}
