/**
 * One server, as a client uses it: a shared connection for most commands, a pool for those that cannot share, and the
 * policy that decides between them. A client of one server has one node; a client can have many. Each opens its links
 * through its own dial.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type RedisError, UsageError } from "../../RedisError.js"
import type { RedisCommand, RedisService } from "../command/model.js"
import { aboutOf, annotated } from "../connection/about.js"
import type { Dial } from "../connection/dial.js"
import { holderOf, serviceOf } from "../connection/linkService.js"
import { type Forker, forkerIn } from "../effect/fork.js"
import { makeCore, type PoolCore } from "../pool/core.js"
import { blockingMillis } from "../request/blockingTime.js"
import { BlockingCommands, type Orphan } from "./blocking.js"
import { type ClientSettings, refuseShared, SharedClient } from "./shared.js"

export interface NodeSettings extends ClientSettings {
  /** How many connections of their own blocking commands and leases may have at once. */
  readonly maxDedicated: number
  /** In milliseconds. */
  readonly acquireTimeout: number
  /** In milliseconds. */
  readonly idleTimeout: number
  /** Whether the first command opens the shared connection, and not the one who builds the node. */
  readonly lazy: boolean
  readonly onOrphan: (orphan: Orphan) => Effect.Effect<void>
  /** Whether a blocking command goes on waiting elsewhere when its server became a replica. A cluster does that itself. */
  readonly followsBlocked: boolean
}

/** A free connection that was idle for this long, in milliseconds, is asked with PING before it is lent. */
const checkAfter = 15_000

export interface Node {
  readonly service: RedisService
  readonly shared: SharedClient
  readonly pool: PoolCore
  /** Replaces the connections by new ones, for new credentials. Commands do not notice. */
  readonly renew: () => void
  /** Leaves the server, because another one has taken its place: nothing more is written to it. */
  readonly leave: (message: string) => void
}

/** Opens a node. The scope closes it. */
export const makeNode = (dial: Dial, settings: NodeSettings): Effect.Effect<Node, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const pool = yield* makeCore(dial, {
      ...settings,
      min: 0,
      max: settings.maxDedicated,
      maxAge: Infinity,
      checkAfter,
      // The shared connection is lost with them, and its line is enough.
      logsOutages: false
    })
    const shared = new SharedClient(dial, settings)
    const about = aboutOf(dial)
    const forkPlain = yield* forkerIn(yield* Effect.scope)
    const fork: Forker = (effect) => forkPlain(annotated(effect, about))
    const blocked = new BlockingCommands(
      pool,
      (command) => shared.send(command),
      settings.onOrphan,
      fork,
      settings.followsBlocked ? settings.maxRetries : 0,
      settings.followsBlocked ? shared : undefined
    )
    yield* shared.start(settings.lazy)
    return {
      service: {
        send: (command) => {
          const { blocking, stateful } = command.traits
          return blocking === undefined && stateful === undefined
            ? shared.send(command)
            : sendUnshared(command, shared, blocked)
        },
        sendAll: (commands, batch) => shared.sendAll(commands, batch),
        lease: Effect.map(pool.acquire, (lease) =>
          serviceOf(
            lease.link,
            holderOf(() => lease.released)
          )
        ),
        status: shared.reconnector.status,
        about
      },
      shared,
      pool,
      renew: () => {
        pool.renew()
        fork(shared.renew)
      },
      leave: (message) => {
        // All links are taken away before anybody is called: in Effect 4 a program goes on inside, and sends over what it finds.
        const leavePool = pool.withdraw(message, dial.options.closeTimeout)
        shared.reconnector.abandon(message)
        leavePool()
      }
    }
  })

/** Refuses a stateful command, and gives a blocking one a connection of its own. */
const sendUnshared = <A>(
  command: RedisCommand<A>,
  shared: SharedClient,
  blocked: BlockingCommands
): Effect.Effect<A, RedisError> => {
  const refusal = refuse(command)
  return refusal !== undefined
    ? Effect.fail(refusal)
    : blockingMillis(command) !== undefined
      ? blocked.send(command)
      : shared.send(command)
}

/** Why a client does not send a command. */
export const refuse = (command: RedisCommand<unknown>): UsageError | undefined =>
  command.traits.stateful === undefined && blockingMillis(command) !== undefined
    ? command.traits.awaitsWrites
      ? waitAlone(command)
      : undefined
    : refuseShared(command)

/** WAIT and WAITAOF on a connection of their own would wait for no write. */
export const waitAlone = (command: RedisCommand<unknown>): UsageError =>
  new UsageError({
    reason: "blockingCommand",
    command: command.name,
    message:
      `${command.name} was not sent: it speaks of the writes of its own connection; ` +
      "run the writes and it together on one, with Redis.withReplication or Pool.acquire"
  })
