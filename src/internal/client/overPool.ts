/**
 * A client of which each command leases a connection of a pool for itself.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RedisError } from "../../RedisError.js"
import { reword } from "../command/command.js"
import type { About, RedisService } from "../command/model.js"
import { aboutOf } from "../connection/about.js"
import { holderOf, serviceOf } from "../connection/linkService.js"
import * as Timers from "../engine/timers.js"
import { coreOfPool } from "../pool/core.js"
import { blockingMillis } from "../request/blockingTime.js"
import { allowedWas, allWaited, ofCommand } from "../request/failure.js"
import { allowedFor } from "../request/prepare.js"
import { alwaysReady } from "./alwaysReady.js"
import { waitAlone } from "./node.js"
import { refuseShared } from "./shared.js"

/** What is needed of a pool. A program may make one of its own. */
interface PoolLike {
  readonly acquireRedis: Effect.Effect<RedisService, RedisError, Scope.Scope>
}

interface Lender {
  readonly about: About | undefined
  readonly replyTimeout: number
  /** Leases a connection within so many milliseconds. */
  readonly lend: (allowed: number) => Effect.Effect<RedisService, RedisError, Scope.Scope>
}

/** Only pools of this library can lease within a deadline. */
const lenderOf = (pool: PoolLike): Lender => {
  const core = coreOfPool.get(pool)
  return core === undefined
    ? { about: undefined, replyTimeout: Infinity, lend: () => pool.acquireRedis }
    : {
        about: aboutOf(core.dial),
        replyTimeout: core.options.replyTimeout,
        lend: (allowed) =>
          Effect.map(core.acquireWithin(allowed), (lease) =>
            serviceOf(
              lease.link,
              holderOf(() => lease.released)
            )
          )
      }
}

/** Nothing is shared, so every command may block. */
export const overPool = (pool: PoolLike): RedisService => {
  const { about, lend, replyTimeout } = lenderOf(pool)
  /** Runs a request with a deadline on a leased connection. The wait for the lease counts against the deadline. */
  const within = <A>(
    allowed: number,
    use: (redis: RedisService, waited: number) => Effect.Effect<A, RedisError>
  ): Effect.Effect<A, RedisError> =>
    Effect.suspend(() => {
      const started = Timers.now()
      return Effect.scoped(
        Effect.flatMap(lend(allowed), (redis) => use(redis, allowed === Infinity ? 0 : Timers.now() - started))
      )
    })
  return {
    send: (command) => {
      const refusal =
        command.traits.stateful !== undefined
          ? refuseShared(command)
          : command.traits.awaitsWrites
            ? waitAlone(command)
            : undefined
      if (refusal !== undefined) {
        return Effect.fail(refusal)
      }
      // A blocking command has a timeout of its own, which begins when the server gets it.
      const allowed = command.deadline ?? (blockingMillis(command) === undefined ? replyTimeout : Infinity)
      return Effect.mapError(
        within(allowed, (redis, waited) =>
          redis.send(allowed === Infinity ? command : reword(command, { deadline: Math.max(allowed - waited, 1) }))
        ),
        (error) => ofCommand(command.name, allowed === Infinity ? error : allowedWas(allowed, error))
      )
    },
    sendAll: (commands, options) => {
      const allowed = options.deadline ?? allowedFor(commands, options, replyTimeout)
      return commands.length === 0 || allowed === Infinity
        ? within(Infinity, (redis) => redis.sendAll(commands, options))
        : within(allowed, (redis, waited) =>
            allWaited(waited, redis.sendAll(commands, { ...options, deadline: Math.max(allowed - waited, 1) }))
          )
    },
    lease: pool.acquireRedis,
    status: alwaysReady,
    about
  }
}
