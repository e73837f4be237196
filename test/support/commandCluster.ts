/**
 * The cluster that command suites run over: three primaries without replicas for each server, started once in a process and
 * shared by its files. The servers end with the process.
 *
 * Two services use it (docs/decisions/0032-suites-over-a-cluster.md): one takes commands as they are, and the other puts
 * all keys into one slot.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { keyPlaces } from "../../src/internal/cluster/keys.js"
import { planOf } from "../../src/internal/cluster/plan.js"
import { Argument } from "../../src/internal/command/args.js"
import { type Command, reword } from "../../src/internal/command/command.js"
import { Redis, type RedisService } from "../../src/internal/command/model.js"
import { prefixArguments, prepend } from "../../src/internal/command/prefix.js"
import { MapReply, type Reply, SetReply } from "../../src/internal/resp/values.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import type { RedisError } from "../../src/RedisError.js"
import * as Kit from "../../src/testing/RedisCluster.js"
import type * as RedisServer from "../../src/testing/RedisServer.js"
import type { TestServer } from "./servers.js"

/** Before every key of a test whose keys must share a slot. */
const tag = "{one slot}"

/** What any suite asks of its server, because all suites share the cluster. */
const asked = {
  acl: ["user default on nopass ~* &* +@all"],
  config: { "busy-reply-threshold": "50", "enable-debug-command": "yes", "enable-module-command": "yes" }
}

const shared = globalThis as { clustersOfCommands?: Map<string, Promise<Kit.RedisCluster>> }

const clusterOf = (server: TestServer): Promise<Kit.RedisCluster> => {
  shared.clustersOfCommands ??= new Map()
  const clusters = shared.clustersOfCommands
  const started =
    clusters.get(server.name) ??
    Effect.runPromise(
      Effect.flatMap(Scope.make(), (scope) =>
        Scope.extend(
          Kit.make({
            executable: server.executable,
            replicasPerPrimary: 0,
            // A node of a busy machine may be silent for long, and no test of a suite loses one.
            nodeTimeout: "30 seconds",
            startTimeout: "1 minute",
            ...asked
          }),
          scope
        )
      )
    )
  clusters.set(server.name, started)
  started.catch(() => clusters.delete(server.name))
  return started
}

/** The process that owns the one slot, in place of the server of a suite. */
export const nodeOf = async (server: TestServer): Promise<RedisServer.RedisServer> => {
  const cluster = await clusterOf(server)
  const owner = await Effect.runPromise(cluster.ownerOf(tag))
  return owner.server
}

export interface Services {
  /** The keys as the tests give them, so in many slots. */
  readonly spread: RedisService
  /** All keys in one slot, and commands that speak of one node to its owner. */
  readonly oneSlot: RedisService
}

export const makeServices = (
  server: TestServer,
  options: Omit<RedisCluster.RedisClusterOptions, "nodes">
): Effect.Effect<Services, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const { seeds } = yield* Effect.promise(() => clusterOf(server))
    const built = yield* Layer.build(RedisCluster.layer({ ...options, nodes: seeds }))
    const spread = Context.get(built, Redis)
    const cluster = Context.get(built, RedisCluster.RedisCluster)
    const toOwner: RedisService["send"] = (command) =>
      Effect.suspend(() => {
        const plan = planOf(command, true)
        return plan._tag === "Any" || (plan._tag === "Refused" && plan.error.reason === "refusedCommand")
          ? cluster.onShardOf(tag, command)
          : spread.send(command)
      })
    return { spread, oneSlot: tagged({ ...spread, send: toOwner }) }
  })

/** Puts the tag before all keys of commands, and removes it from their replies. */
const tagged = (redis: RedisService): RedisService => ({
  send: (command) => redis.send(withTag(command)),
  sendAll: (commands, options) => redis.sendAll(commands.map(withTag), options),
  // A lease is of the node of its first key, and a test may begin with a command without one.
  lease: Effect.map(
    Effect.tap(redis.lease, (leased) => leased.send(RedisCommand.make("EXISTS", { args: [RedisCommand.key(tag)] }))),
    tagged
  ),
  status: redis.status
})

/** Shard channels that are no keys of their command, but must be named as SSUBSCRIBE names them. */
const ofShardChannels = new Set(["PUBSUB SHARDNUMSUB", "PUBSUB SHARDCHANNELS"])

const rewrite = prefixArguments(tag)

const withTag = <A>(command: RedisCommand.RedisCommand<A>): RedisCommand.RedisCommand<A> => {
  const places = new Set(ofShardChannels.has(command.name) ? command.args.keys() : keyPlaces(command))
  const args = command.args.map((argument, i) => {
    const data = places.has(i) ? prepend(tag, argument.data) : rewrite(argument)
    return data === argument.data ? argument : new Argument(argument.kind, data)
  })
  const { decoder } = command as Command<A>
  return (reword(command, { args }) as Command<A>).with<A>({ decoder: (reply) => decoder(withoutTag(reply)) })
}

const withoutTag = (reply: Reply): Reply => {
  if (typeof reply === "string") {
    return reply.replaceAll(tag, "")
  }
  if (reply instanceof Uint8Array) {
    const text = Buffer.from(reply).toString("latin1")
    return text.includes(tag) ? new Uint8Array(Buffer.from(text.replaceAll(tag, ""), "latin1")) : reply
  }
  if (Array.isArray(reply)) {
    return reply.map(withoutTag)
  }
  if (reply instanceof MapReply) {
    return new MapReply(reply.items.map(withoutTag))
  }
  return reply instanceof SetReply ? new SetReply(reply.items.map(withoutTag)) : reply
}

/**
 * Reports when the cluster's client refuses what one node would do: keys in several slots, or a command that speaks of one
 * node.
 */
export const watched = (redis: RedisService, onRefused: (command: string) => void): RedisService => {
  const watch = <A, R>(effect: Effect.Effect<A, RedisError, R>): Effect.Effect<A, RedisError, R> =>
    Effect.tapError(effect, (error) =>
      Effect.sync(() => {
        if (error._tag === "UsageError" && (error.reason === "crossSlot" || error.reason === "refusedCommand")) {
          onRefused(error.command ?? "a batch")
        }
      })
    )
  return {
    send: (command) => watch(redis.send(command)),
    sendAll: (commands, options) => watch(redis.sendAll(commands, options)),
    lease: Effect.map(redis.lease, (leased) => watched(leased, onRefused)),
    status: redis.status
  }
}
