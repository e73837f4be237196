/**
 * What the handshake learnt of the server. Servers that do not know HELLO report less.
 */
export interface ServerFacts {
  readonly protocol: 2 | 3
  /** The server's id of this connection, as CLIENT ID gives it. */
  readonly id: number | undefined
  /** `redis`, `valkey` or what else the server calls itself. */
  readonly server: string | undefined
  readonly version: string | undefined
  readonly mode: string | undefined
  /** `master` or `replica`. */
  readonly role: string | undefined
  readonly availabilityZone: string | undefined
}
