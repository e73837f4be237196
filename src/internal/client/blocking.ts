/**
 * Blocking commands of a client. Each has a connection of its own while it waits. When its caller stops waiting first, the
 * server is told to stop too (CLIENT UNBLOCK), so that the connection can be lent again. Elements that were removed for
 * such a caller are an {@link Orphan}.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import type { RedisError } from "../../RedisError.js"
import { reword, withDeadline } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import { type Forker, interrupt, type Running } from "../effect/fork.js"
import { pauseFor } from "../effect/pause.js"
import * as Timers from "../engine/timers.js"
import type { Member, PoolCore } from "../pool/core.js"
import { argumentText, blockingMillis, withBlockingMillis } from "../request/blockingTime.js"
import type { BlockingCall } from "../request/call.js"
import { allowedWas, ofCommand } from "../request/failure.js"
import { observedAs, untraced, type Watching } from "../request/observed.js"
import type { RequestSettings } from "../request/settings.js"
import { ErrorReply, type Reply } from "../resp/values.js"

/**
 * Elements that a blocking command removed from a list or a sorted set for a caller that had stopped waiting. They exist nowhere else.
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

/** How the client sends commands that do not block. */
type Send = <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisError>

/** How long a connection waits for the replies to CLIENT UNBLOCK and to its blocked command, in milliseconds. */
const graceMillis = 1_000

export class BlockingCommands {
  constructor(
    private readonly pool: PoolCore,
    private readonly sendShared: Send,
    private readonly onOrphan: (orphan: Orphan) => Effect.Effect<void>,
    private readonly fork: Forker,
    /** How often a command is sent again that its server refused, or stopped, because it is a replica now. */
    private readonly maxRetries: number,
    /** For whom each command is observed; `undefined` where a cluster does that. */
    private readonly watched: RequestSettings | undefined
  ) {}

  /**
   * Sends a command. When its server becomes a replica meanwhile, the command waits for the rest of its time at the server that a
   * new connection reaches.
   */
  send<A>(command: RedisCommand<A>): Effect.Effect<A, RedisError> {
    return this.watched === undefined
      ? this.sendFollowing(command, null)
      : observedAs(this.watched, command, (watch) => this.sendFollowing(command, watch))
  }

  private sendFollowing<A>(command: RedisCommand<A>, watch: Watching | null): Effect.Effect<A, RedisError> {
    return Effect.suspend(() => {
      const began = Timers.now()
      const blocks = blockingMillis(command) ?? Infinity
      const { deadline } = command
      const attempt = (retries: number): Effect.Effect<A, RedisError> =>
        Effect.suspend(() => {
          const passed = Timers.now() - began
          const rest =
            retries === 0 || blocks === Infinity ? command : withBlockingMillis(command, Math.max(blocks - passed, 1))
          const sent =
            retries === 0 || deadline === undefined
              ? this.sendOnce(rest, watch)
              : Effect.mapError(this.sendOnce(reword(rest, { deadline: deadline - passed }), watch), (error) =>
                  allowedWas(deadline, error)
                )
          return Effect.catchAll(sent, (error) => {
            if (
              retries >= this.maxRetries ||
              !isDemotion(error) ||
              isFromNewest(command) ||
              Timers.now() + demotedPause - began >= (deadline ?? Infinity)
            ) {
              return Effect.fail(error)
            }
            this.pool.renew()
            return Effect.zipRight(pauseFor(demotedPause), attempt(retries + 1))
          })
        })
      return attempt(0)
    })
  }

  private sendOnce<A>(command: RedisCommand<A>, watch: Watching | null): Effect.Effect<A, RedisError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const { deadline } = command
        const asked = Timers.now()
        const until = asked + (deadline ?? Infinity)
        const taken = Effect.mapError(this.pool.take(restore, deadline ?? Infinity), (error) =>
          ofCommand(command.name, error)
        )
        return Effect.flatMap(taken, (member) => {
          const given = Timers.now()
          this.pool.waited(given - asked)
          watch?.handed(member.link.address)
          // The wait for the connection counts against the command's own deadline.
          const rest =
            deadline === undefined ? command : reword(command, { deadline: Math.max(until - Timers.now(), 1) })
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
              this.pool.used(Timers.now() - given)
              if (left !== undefined) {
                return this.unblock(member, left, last?.call === left ? last : undefined)
              }
              this.pool.release(member)
              if (last !== undefined && Exit.isInterrupted(exit)) {
                // The reply and the interruption came in the same turn: the caller never saw the reply.
                this.hand(last.call.command, last.reply)
              }
            })
          )
        })
      })
    )
  }

  /**
   * The caller has stopped waiting, but the command still blocks. The connection stays out of the pool until the command and
   * CLIENT UNBLOCK are both answered, because a late UNBLOCK would end the wait of the next borrower.
   */
  private unblock(member: Member, call: BlockingCall<unknown>, answer: Answer | undefined): void {
    const { link } = member
    const giveUp = (): void => link.destroy("a blocked command that nobody waits for was not unblocked")
    let owed = 2
    const answered = (): void => {
      owed--
      if (owed === 0) {
        unlimit()
        forget()
        this.pool.release(member)
      }
    }
    const unlimit = Timers.limit(graceMillis, giveUp)
    // The connection may live for long, so it must not keep a listener for each wait that was given up.
    const forget = link.onClose(() => {
      unlimit()
      // A server that takes its place may have given the id to another connection.
      if (unblocking !== undefined) {
        interrupt(unblocking)
      }
    })
    let unblocking: Running<void, never> | undefined
    call.late = (reply) => {
      this.hand(call.command, reply)
      answered()
    }
    if (answer !== undefined) {
      call.late(answer.reply)
    }
    if (link.engine.closed !== undefined || link.id === undefined) {
      unlimit()
      giveUp()
      this.pool.release(member)
      return
    }
    unblocking = this.fork(
      Effect.matchCause(untraced(this.sendShared(unblockOf(link.id))), {
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
        // The handler is the user's, and may throw.
        Effect.suspend(() => this.onOrphan(orphan)),
        (cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.void
            : Effect.zipRight(warnOfOrphan(orphan), Effect.logWarning("The handler of orphans failed", cause))
      )
    )
  }
}

/** Whether a command was not executed, or waits no more, because its server became a replica. */
const isDemotion = (error: RedisError): boolean =>
  error._tag === "ReplyError" &&
  (error.code === "READONLY" ||
    (error.code === "UNBLOCKED" && Redacted.value(error.raw).startsWith("UNBLOCKED force unblock")))

/** Whether a command reads what comes after it is sent. Sent again, it would silently pass over what came meanwhile. */
const isFromNewest = ({ args, traits }: RedisCommand<unknown>): boolean =>
  traits.blocking?.fromNewest === true && args.some((argument) => argumentText(argument) === "$")

/** The pause before a command is sent again whose server became a replica, in milliseconds. */
const demotedPause = 100

/** The reply to a blocking command. */
interface Answer {
  readonly call: BlockingCall<unknown>
  readonly reply: Reply
}

const unblockOf = (id: number): RedisCommand<Reply> =>
  withDeadline(makeCommand("CLIENT UNBLOCK", { args: [id] }), `${graceMillis} millis`)

/** How many elements a command removed from its key, and the command that puts them back; `undefined` when nothing is lost. */
const takenBy = (
  { args, traits }: RedisCommand<unknown>,
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
  switch (traits.removes) {
    case "left":
      return back("LPUSH", [second as Reply])
    case "right":
      return back("RPUSH", [second as Reply])
    case "either":
      // Elements are removed from the end inwards, so the last one goes back first.
      return back(
        args.some((word) => word.kind === "token" && argumentText(word) === "LEFT") ? "LPUSH" : "RPUSH",
        [...(second as ReadonlyArray<Reply>)].reverse()
      )
    case "member":
      return back("ZADD", [third as Reply, second as Reply])
    case "members":
      return back(
        "ZADD",
        (second as ReadonlyArray<ReadonlyArray<Reply>>).flatMap(([member, score]) => [score as Reply, member as Reply])
      )
    default:
      // An element that moved is at its target, a read one stays, and an entry of a group is pending for its consumer.
      return undefined
  }
}

const argument = (reply: Reply): string | Uint8Array =>
  typeof reply === "string" || reply instanceof Uint8Array ? reply : scoreText(reply)

const scoreText = (score: Reply): string => (score === Infinity ? "+inf" : score === -Infinity ? "-inf" : String(score))

/** What the client does with an orphan by default. */
export const warnOfOrphan = ({ command, count }: Orphan): Effect.Effect<void> =>
  Effect.logWarning(
    `${command.name} took ${count} element(s) for a caller that was gone; they are lost. ` +
      "See the option onOrphan, or use BLMOVE."
  )

export const pushBackOrphan = (orphan: Orphan): Effect.Effect<void> =>
  Effect.catchAllCause(orphan.pushBack, (cause) =>
    Effect.zipRight(warnOfOrphan(orphan), Effect.logDebug("Pushing back failed", cause))
  )
