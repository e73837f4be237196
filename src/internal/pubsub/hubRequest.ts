/**
 * One command of a hub in flight: a SUBSCRIBE, an UNSUBSCRIBE, or one of their kin. It recognises the confirmation and
 * reports it, or the error, to the hub. It does not know topics or subscriptions, and it reports nothing when the
 * connection ends: the hub learns that once, from the link.
 */
import type { RedisError } from "../../RedisError.js"
import { specFor } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import * as ReplyErrors from "../command/replyError.js"
import type { Link } from "../connection/link.js"
import type { Failure } from "../engine/failure.js"
import { Pending } from "../engine/pending.js"
import { sameName } from "../request/call.js"
import { toRedisError } from "../request/failure.js"
import { type Encoded, encode } from "../resp/encoder.js"
import { ErrorReply, type Reply } from "../resp/values.js"

export class HubRequest extends Pending {
  readonly text = true
  private readonly push: string | undefined

  constructor(
    private readonly command: RedisCommand<unknown>,
    /** Called once: without an error when the server confirmed. */
    private readonly done: (error: RedisError | undefined) => void
  ) {
    super(1)
    // SUBSCRIBE and its kin are confirmed by a push of that name; CLIENT TRACKING and MONITOR have an ordinary reply.
    this.push = command.traits.stateful === "subscription" ? command.name.toLowerCase() : undefined
  }

  override get confirmedBy(): string | undefined {
    return this.push
  }

  override confirmedFor(name: Reply | undefined): boolean {
    return sameName(this.command.args[0]?.data, name)
  }

  onReply(reply: Reply): void {
    this.settled = true
    const { args, name } = this.command
    this.done(reply instanceof ErrorReply ? ReplyErrors.make(reply, name, args) : undefined)
  }

  onFailure(failure: Failure): void {
    if (failure._tag !== "Closed") {
      this.done(toRedisError(failure, this.command.name, 0, undefined))
    }
  }

  /** Sends it. The names were checked when the program subscribed, so encoding cannot fail. */
  send(link: Link): void {
    link.engine.accept(this, encode(specFor(this.command).wire, this.command.args) as Encoded)
  }
}
