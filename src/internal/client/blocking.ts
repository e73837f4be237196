/**
 * Blocking commands of a client. Each has a connection of its own while it waits. When its caller goes first, the server
 * is told to stop waiting (CLIENT UNBLOCK), so that the connection can be lent again, and what was taken for nobody is
 * an {@link Orphan}.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { make as makeCommand, type RedisCommand, reword, withDeadline } from "../../RedisCommand.js"
import type { RedisError } from "../../RedisError.js"
import type { Member, PoolCore } from "../pool/core.js"
import { allowedWas } from "../request/failure.js"
import { argumentText, type BlockingCall } from "../request/request.js"
import { ErrorReply, type Reply } from "../resp/values.js"

/**
 * What a blocking command took from a list or a sorted set for a caller that was gone. It exists nowhere else.
 *
 * @since 0.1.0
 * @category models
 */
export interface Orphan {
  /** The command, whose arguments print redacted. */
  readonly command: RedisCommand<unknown>
  /** How many elements there are. */
  readonly count: number
  /** Puts them back where they were taken from, with LPUSH, RPUSH or ZADD. */
  readonly pushBack: Effect.Effect<void, RedisError>
  /** What the server answered, as it came. */
  readonly reply: Reply
}

/** How the client sends what is not blocking. */
type Send = <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisError>

/** How long a connection is kept for its two replies, that of CLIENT UNBLOCK and that of the command. Milliseconds. */
const graceMillis = 1_000

export class BlockingCommands {
  constructor(
    private readonly pool: PoolCore,
    private readonly sendShared: Send,
    private readonly onOrphan: (orphan: Orphan) => Effect.Effect<void>,
    private readonly runtime: Runtime.Runtime<never>,
    private readonly scope: Scope.Scope
  ) {}

  send<A>(command: RedisCommand<A>): Effect.Effect<A, RedisError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const { deadline } = command
        const until = performance.now() + (deadline ?? Infinity)
        return Effect.flatMap(this.pool.take(restore, deadline ?? Infinity), (member) => {
          // What waiting for the connection took is gone from the command's own deadline.
          const rest =
            deadline === undefined ? command : reword(command, { deadline: Math.max(until - performance.now(), 1) })
          let left: BlockingCall<unknown> | undefined
          let last: Answer | undefined
          const leave = (call: BlockingCall<unknown>, reply?: Reply): void => {
            if (reply === undefined) {
              left = call
              call.late = (reply) => {
                last = { call, reply }
              }
            } else {
              last = { call, reply }
            }
          }
          const sent = member.link.send(rest, undefined, leave)
          const answer = deadline === undefined ? sent : Effect.mapError(sent, (error) => allowedWas(deadline, error))
          return Effect.onExit(restore(answer), (exit) =>
            Effect.sync(() => {
              if (left !== undefined) {
                return this.unblock(member, left, last?.call === left ? last : undefined)
              }
              this.pool.release(member)
              if (last !== undefined && Exit.isInterrupted(exit)) {
                // The answer and the interruption came together: the caller never saw it.
                this.hand(last.call.command, last.reply)
              }
            })
          )
        })
      })
    )
  }

  /**
   * The caller is gone, the command is not. The connection stays out of the pool until both the command and CLIENT
   * UNBLOCK were answered: an UNBLOCK that comes late would hit whoever blocks there next.
   */
  private unblock(member: Member, call: BlockingCall<unknown>, answer: Answer | undefined): void {
    const { link } = member
    const giveUp = (): void => link.destroy("a blocked command that nobody waits for was not unblocked")
    let owed = 2
    const answered = (): void => {
      owed--
      if (owed === 0) {
        clearTimeout(timer)
        forget()
        this.pool.release(member)
      }
    }
    const timer = setTimeout(giveUp, graceMillis)
    // The connection may live for long: it must not keep something of every wait that was given up.
    const forget = link.onClose(() => {
      clearTimeout(timer)
      // While it waits the server may be replaced by one where the id is somebody else's.
      unblocking?.unsafeInterruptAsFork(FiberId.none)
    })
    let unblocking: Fiber.RuntimeFiber<void> | undefined
    call.late = (reply) => {
      this.hand(call.command, reply)
      answered()
    }
    if (answer !== undefined) {
      call.late(answer.reply)
    }
    if (link.engine.closed !== undefined || link.id === undefined) {
      clearTimeout(timer)
      giveUp()
      this.pool.release(member)
      return
    }
    unblocking = this.fork(
      Effect.matchCause(this.sendShared(unblockOf(link.id)), {
        onFailure: giveUp,
        onSuccess: answered
      })
    )
  }

  private hand(command: RedisCommand<unknown>, reply: Reply): void {
    const taken = takenBy(command, reply)
    if (taken === undefined) {
      return
    }
    const orphan: Orphan = {
      command,
      reply,
      count: taken.count,
      pushBack: Effect.asVoid(this.sendShared(taken.pushBack))
    }
    this.fork(
      Effect.catchAllCause(
        // It is the user's, and may throw.
        Effect.suspend(() => this.onOrphan(orphan)),
        (cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.void
            : Effect.zipRight(warnOfOrphan(orphan), Effect.logWarning("The handler of orphans failed", cause))
      )
    )
  }

  private fork(effect: Effect.Effect<void>): Fiber.RuntimeFiber<void> {
    return Runtime.runFork(this.runtime)(effect, { scope: this.scope })
  }
}

/** What a command was answered. */
interface Answer {
  readonly call: BlockingCall<unknown>
  readonly reply: Reply
}

const unblockOf = (id: number): RedisCommand<Reply> =>
  withDeadline(makeCommand("CLIENT UNBLOCK", { args: [id] }), `${graceMillis} millis`)

/** What a command removed from its key, and the command that puts it back; nothing, where nothing is lost. */
const takenBy = (
  { args, name }: RedisCommand<unknown>,
  reply: Reply
): { readonly count: number; readonly pushBack: RedisCommand<Reply> } | undefined => {
  if (!Array.isArray(reply) || reply instanceof ErrorReply) {
    return undefined
  }
  const [key, second, third] = reply as ReadonlyArray<Reply>
  const back = (command: string, values: ReadonlyArray<Reply>) => ({
    count: command === "ZADD" ? values.length / 2 : values.length,
    pushBack: makeCommand(command, { args: [key, ...values].map(argument) })
  })
  switch (name) {
    case "BLPOP":
      return back("LPUSH", [second as Reply])
    case "BRPOP":
      return back("RPUSH", [second as Reply])
    case "BLMPOP":
      // They were taken from the end inwards; the last goes back first.
      return back(
        args.some((word) => word.kind === "token" && argumentText(word) === "LEFT") ? "LPUSH" : "RPUSH",
        [...(second as ReadonlyArray<Reply>)].reverse()
      )
    case "BZPOPMIN":
    case "BZPOPMAX":
      return back("ZADD", [third as Reply, second as Reply])
    case "BZMPOP":
      return back(
        "ZADD",
        (second as ReadonlyArray<ReadonlyArray<Reply>>).flatMap(([member, score]) => [score as Reply, member as Reply])
      )
    default:
      // What moves has moved, what is read stays, and what a group's consumer was given is pending for it.
      return undefined
  }
}

const argument = (reply: Reply): string | Uint8Array =>
  typeof reply === "string" || reply instanceof Uint8Array ? reply : scoreText(reply)

const scoreText = (score: Reply): string => (score === Infinity ? "+inf" : score === -Infinity ? "-inf" : String(score))

/** What the client does with an orphan when it was told nothing else. */
export const warnOfOrphan = ({ command, count }: Orphan): Effect.Effect<void> =>
  Effect.logWarning(
    `${command.name} took ${count} element(s) for a caller that was gone; they are lost. ` +
      "See the option onOrphan, or use BLMOVE."
  )

export const pushBackOrphan = (orphan: Orphan): Effect.Effect<void> =>
  Effect.catchAllCause(orphan.pushBack, (cause) =>
    Effect.zipRight(warnOfOrphan(orphan), Effect.logDebug("Pushing back failed", cause))
  )
