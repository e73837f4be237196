/**
 * A request on its way: one command, a pipeline or a transaction, with the caller that waits for its result. The engine
 * settles it through plain callbacks. A request outlives its link: its owner may send it again on another one while it is
 * not settled. How each kind is encoded and answered is in call.ts, pipeline.ts and transaction.ts.
 */
import * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { hasEnded, interrupted, type Running } from "../effect/fork.js"
import type { Failure } from "../engine/failure.js"
import { Pending, withdraw } from "../engine/pending.js"
import type { Encoded } from "../resp/encoder.js"
import type { ErrorReply, Reply } from "../resp/values.js"
import type { Observer } from "../telemetry/observer.js"
import { toRedisError } from "./failure.js"
import type { Watching } from "./observed.js"
import { isReadOnly } from "./recovery.js"

/** Follows what stateful commands do to their connection. */
export interface Tracker {
  /** Called when the command is accepted, before its reply is known. */
  readonly begin: (command: RedisCommand<unknown>) => void
  /** Called with its reply, also when no caller waits for it any more. */
  readonly finish: (command: RedisCommand<unknown>, reply: Reply) => void
}

/** What a request knows of the link that carries it. */
export interface Via {
  readonly session: { altered: string | undefined }
  /** The server's address, for errors and observers. */
  readonly address: string
  readonly observer: Observer | undefined
}

/** Who may send a request again. When `recover` or `refused` answers true, the owner has taken the request over. */
export interface RequestOwner {
  /** The address of the server that it sends to, for the errors of requests that were given to no link. */
  readonly address?: string | undefined
  readonly observer?: Observer | undefined
  /** The request got no reply: its link ended, its deadline passed, or a queue was full. */
  readonly recover: (request: Request, failure: Failure) => boolean
  /**
   * The server answered with errors. There is one place for each of the request's commands, with the server's whole error
   * or, where the command was executed, nothing. When the owner answers true, the commands that have an error are sent
   * again and the others keep their results.
   */
  readonly refused: (request: Request, errors: Refusals) => boolean
  /** The server of the request's link became read-only. */
  readonly demoted: (request: Request) => void
}

export type Refusals = ReadonlyArray<ErrorReply | undefined>

export abstract class Request extends Pending {
  /** The time it is allowed, in milliseconds, from when it is accepted. */
  allowed = Infinity
  /** How often it was written. */
  attempts = 0
  /** How often the server refused it before executing it. */
  refusals = 0
  owner: RequestOwner | undefined = undefined
  /** The link that it was given to last. */
  via: Via | undefined = undefined
  /** The fiber that waits. Only set where the request may be sent again: such a request has no canceler. */
  caller: Running | undefined = undefined
  /** Who watches it. */
  watch: Watching | undefined = undefined
  /** It is a part of what a caller asked for. */
  isPart = false

  constructor(
    remaining: number,
    protected encoded: Encoded | undefined
  ) {
    super(remaining)
  }

  /** The commands, in the order of the request. */
  abstract readonly commands: ReadonlyArray<RedisCommand<unknown>>
  /** Between MULTI and EXEC. */
  abstract readonly atomic: boolean
  /** The request makes its server forget its scripts. */
  abstract readonly flushesScripts: boolean
  /** Whether executing it twice is the same as once: every command is readonly, or was declared so. */
  abstract readonly repeatable: boolean
  /** It writes, and was declared to be the same twice as once: it may be sent again after it was written. */
  abstract readonly writesAgain: boolean
  /** Settles the caller with a failure. */
  abstract fail(failure: Failure): void
  /** Encodes it once more. It was encoded before, so it can be. */
  protected abstract encode(): Encoded

  /** The caller's fiber has ended, so it was interrupted. A fiber that still runs its finalizers counts as waiting. */
  override get abandoned(): boolean {
    return this.caller !== undefined && hasEnded(this.caller)
  }

  /** The bytes of the request, for as long as it waits to be written. */
  get wire(): Encoded {
    return (this.encoded ??= this.encode())
  }

  /**
   * The bytes to write on a link whose server holds these scripts, by SHA1. The request lets go of them, because while its
   * reply is owed they would be a third of the memory it holds.
   */
  take(_scripts: Set<string>): Encoded {
    const { encoded } = this
    this.encoded = undefined
    return encoded ?? this.encode()
  }

  /** It was written once and waits to be written again: whatever happens next, it may have been executed. */
  private written = false

  onFailure(failure: Failure): void {
    if (this.abandoned) {
      return
    }
    if (failure._tag === "Closed" && failure.delivery === "unknown") {
      // Set before the owner is asked, because it may send the request elsewhere, and that may fail at once.
      this.written = true
    }
    if (this.owner === undefined || !this.owner.recover(this, failure)) {
      this.fail(failure)
    }
  }

  /** Told of the failures that the caller is given. Those of a part are told by who sends the whole. */
  protected get told(): Observer | undefined {
    return this.isPart ? undefined : (this.via?.observer ?? this.owner?.observer)
  }

  /** A failure as a typed error of one of its commands. */
  protected errorOf(failure: Failure, command: string): RedisError {
    return toRedisError(
      this.written && failure._tag !== "Overflow" ? { ...failure, delivery: "unknown" } : failure,
      command,
      this.allowed,
      this.via?.address ?? this.owner?.address
    )
  }

  /** Whether the owner keeps the request after these errors. When no caller waits any more, it is dropped. */
  protected isKept(errors: Refusals): boolean {
    if (this.owner === undefined) {
      return false
    }
    if (this.abandoned) {
      this.settled = true
      if (errors.some(isReadOnly)) {
        this.demote()
      }
      return true
    }
    return this.owner.refused(this, errors)
  }

  /** The server is read-only and this request is not sent again: the next one should reach another server. */
  protected demote(): void {
    if (this.via !== undefined) {
      this.via.session.altered ??= "READONLY"
    }
    this.owner?.demoted(this)
  }
}

/** Takes a waiting request back. A function of its own, so that only requests that wait pay for the closure. */
export const withdrawal = (request: Request): Effect.Effect<void> =>
  Effect.sync(() => {
    withdraw(request)
    if (!request.isPart) {
      request.watch?.end(interrupted)
    }
  })
