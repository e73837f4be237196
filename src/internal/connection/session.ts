/**
 * The state that commands leave on their connection, followed from every command that is sent and from its reply (design
 * law 7). A lease may only give a connection back when its state is what the handshake made it.
 */
import type { RedisCommand } from "../command/model.js"
import { argumentText } from "../request/blockingTime.js"
import { isErrorReply, isMapReply, type Reply } from "../resp/values.js"

/** What the engine must be told when the state changes. */
export interface SessionEngine {
  /** The server forgot what commands made of the connection (RESET). */
  readonly reset: () => void
  monitoring: boolean
}

export class Session {
  /** The database that is selected. */
  database: number
  /** Why the connection is no longer what the handshake made it, when only a new connection can undo that. */
  altered: string | undefined
  watching = false
  /** How often WATCH was ended. Counted when the command that ends it is sent. */
  watchEnds = 0
  inTransaction = false
  protocol: 2 | 3

  constructor(
    /** The database that the connection must be at when it is given back. Shared by all connections of a pool. */
    public home: { readonly database: number },
    protocol: 2 | 3
  ) {
    this.database = home.database
    this.protocol = protocol
  }

  /** The handshake is done: its database and protocol are the state that a lease must return to. */
  settle(protocol: 2 | 3): void {
    this.protocol = protocol
    this.database = this.home.database
    this.altered = undefined
  }

  /** What is different from the handshake's state, as the name of the command that changed it; otherwise `undefined`. */
  get difference(): string | undefined {
    return this.altered !== undefined
      ? this.altered
      : this.inTransaction
        ? "MULTI"
        : this.watching
          ? "WATCH"
          : this.database !== this.home.database
            ? "SELECT"
            : undefined
  }

  /** A stateful command is sent. Until its reply is known, the change that leaves most behind is assumed. */
  begin({ name, traits }: RedisCommand<unknown>): void {
    switch (traits.stateful) {
      case "transaction":
        if (traits.session === "multi") {
          this.inTransaction = true
        }
        return
      case "watch":
        if (traits.session === "watch") {
          this.watching = true
        }
        return
      case "database":
        return
      default:
        this.altered ??= name
    }
  }

  /** The reply of a stateful command. */
  finish({ args, name, traits }: RedisCommand<unknown>, reply: Reply, engine: SessionEngine): void {
    const step = traits.session
    if (isErrorReply(reply)) {
      if (step === "exec" && reply.code === "EXECABORT") {
        this.inTransaction = false
        this.watching = false
      }
      return
    }
    switch (step) {
      case "select":
        this.database = Number(argumentText(args[0]))
        if (reply === "QUEUED") {
          // Whether EXEC follows, and executes it, is not followed.
          this.altered ??= name
        }
        return
      // MULTI and WATCH are noted in `begin` too. A command that ends them may have been sent before them and answered since.
      case "multi":
        this.inTransaction = true
        return
      case "watch":
        this.watching = true
        return
      case "exec":
      case "discard":
        this.inTransaction = false
        this.watching = false
        return
      case "unwatch":
        // Inside MULTI it is only queued.
        this.watching &&= reply === "QUEUED"
        return
      case "reset":
        this.database = 0
        this.inTransaction = false
        this.watching = false
        this.protocol = 2
        engine.reset()
        return
      case "hello":
        this.protocol = protocolOf(reply) ?? this.protocol
        return
      case "monitor":
        engine.monitoring = true
    }
  }
}

/** Whether a command ends WATCH. Such commands are sent by whoever holds the connection. */
export const endsWatch = ({ traits: { session } }: RedisCommand<unknown>): boolean =>
  session === "exec" || session === "discard" || session === "unwatch" || session === "reset"

const protocolOf = (reply: Reply): 2 | 3 | undefined => {
  const items = isMapReply(reply) ? reply.items : Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : []
  const proto = items[items.indexOf("proto") + 1]
  return items.includes("proto") && (proto === 2 || proto === 3) ? proto : undefined
}
