/**
 * A client without a server: a function answers each command, and its replies are decoded as a server's are. What a
 * client refuses to send is refused here by the same functions, so that a program that passes its tests is not refused in
 * production.
 */
import * as Effect from "effect/Effect"
import type { RedisError, UsageError } from "../../RedisError.js"
import { decode } from "../command/command.js"
import type { BatchOptions, BatchResult, RedisCommand, RedisService } from "../command/model.js"
import { nested, refuseOn } from "../connection/link.js"
import { Session, type SessionEngine } from "../connection/session.js"
import { nothing, prepare, prepareAll } from "../request/prepare.js"
import { Request, type Tracker } from "../request/request.js"
import type { RequestSettings } from "../request/settings.js"
import type { Reply } from "../resp/values.js"
import { alwaysReady } from "./alwaysReady.js"
import { refuse } from "./node.js"
import { refuseShared } from "./shared.js"

type Answer = (request: RedisCommand<unknown>) => Effect.Effect<Reply, RedisError>

const settings: RequestSettings = { replyTimeout: Infinity, observer: undefined, address: "" }

const ignore = (): void => {}

/** What decides whether a command is sent, and follows what it does. */
interface Policy {
  readonly refuse: (command: RedisCommand<unknown>) => UsageError | undefined
  readonly refuseAll: (commands: ReadonlyArray<RedisCommand<unknown>>, options: BatchOptions) => UsageError | undefined
  readonly tracker: Tracker | undefined
}

export const testService = (answer: Answer): RedisService => ({
  ...serviceOf(answer, {
    refuse,
    refuseAll: (commands) => first(commands, refuseShared),
    tracker: undefined
  }),
  lease: Effect.sync(() => leaseOf(answer))
})

/** A lease is one connection, whose state its commands may change. */
const leaseOf = (answer: Answer): RedisService => {
  const session = new Session({ database: 0 }, 3)
  const engine: SessionEngine = {
    monitoring: false,
    reset: () => {
      engine.monitoring = false
    }
  }
  const refuse = (command: RedisCommand<unknown>) => refuseOn(command, session, engine.monitoring)
  const service: RedisService = {
    ...serviceOf(answer, {
      refuse,
      refuseAll: (commands, { atomic }) => (atomic && session.inTransaction ? nested() : first(commands, refuse)),
      tracker: {
        begin: (command) => session.begin(command),
        finish: (command, reply) => session.finish(command, reply, engine)
      }
    }),
    lease: Effect.sync(() => service)
  }
  return service
}

const serviceOf = (answer: Answer, { refuse, refuseAll, tracker }: Policy): Omit<RedisService, "lease"> => {
  const reply = <A>(command: RedisCommand<A>): Effect.Effect<A, RedisError> =>
    Effect.flatMap(answer(command), (reply) => {
      if (command.traits.stateful !== undefined) {
        tracker?.finish(command, reply)
      }
      return decode(command, reply)
    })
  return {
    send: (command) =>
      Effect.suspend(() => {
        const call = refuse(command) ?? prepare(command, ignore, settings, tracker)
        // The error may be of another copy of this package: see `SharedClient.send`.
        return call instanceof Request ? reply(command) : Effect.fail(call)
      }),
    sendAll: (commands, options) =>
      Effect.suspend((): Effect.Effect<BatchResult, RedisError> => {
        if (commands.length === 0) {
          return Effect.succeed(nothing)
        }
        const request = refuseAll(commands, options) ?? prepareAll(commands, options, ignore, settings, tracker)
        return request instanceof Request
          ? Effect.map(
              Effect.forEach(commands, (command) => Effect.exit(reply(command))),
              (exits) => ({ outcome: "executed", exits })
            )
          : Effect.fail(request)
      }),
    status: alwaysReady
  }
}

const first = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  refuse: (command: RedisCommand<unknown>) => UsageError | undefined
): UsageError | undefined => {
  for (const command of commands) {
    const refusal = refuse(command)
    if (refusal !== undefined) {
      return refusal
    }
  }
  return undefined
}
