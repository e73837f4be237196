/**
 * Type tests of the commands on servers, clusters and sentinels: the compiler checks them in `npm run check`, at run time
 * they assert nothing (docs/decisions/0002).
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Codec, Redis } from "effect-redis-client"
import type { ClusterShard, MigrationStatus } from "effect-redis-client/commands/cluster-models"
import type { ServerInfo } from "effect-redis-client/commands/server-info"
import type { LargeCommand, SlowCommand } from "effect-redis-client/commands/server-latency"
import type { ServerRole } from "effect-redis-client/commands/server-replication"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"

describe("server", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(Redis.aclLog()).not.toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(Redis.aclLog({ reset: true })).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(Redis.aclGenpass()).toEqualTypeOf<RedisCommand<Redacted.Redacted<string>>>()
    expectTypeOf(Redis.commandlogGet(1, "slow")).toEqualTypeOf<RedisCommand<Array<SlowCommand>>>()
    expectTypeOf(Redis.commandlogGet(1, "large-reply")).toEqualTypeOf<RedisCommand<Array<LargeCommand>>>()
    expectTypeOf(Redis.info("server")).toEqualTypeOf<RedisCommand<ServerInfo>>()
    expectTypeOf(Redis.lastsave()).toEqualTypeOf<RedisCommand<DateTime.Utc>>()
    expectTypeOf(Redis.memoryUsage("k")).toEqualTypeOf<RedisCommand<Option.Option<number>>>()
    expectTypeOf(Redis.role()).toEqualTypeOf<RedisCommand<ServerRole>>()
  })

  it("has exact names under Codec.bytes, and text of the server as text", () => {
    const binary = Redis.withCodec(Codec.bytes)
    expectTypeOf(binary.aclUsers()).toEqualTypeOf<RedisCommand<Array<Uint8Array>>>()
    expectTypeOf(binary.configGet("*")).toEqualTypeOf<RedisCommand<Record<string, Uint8Array>>>()
    expectTypeOf(binary.info()).toEqualTypeOf<RedisCommand<ServerInfo<Uint8Array>>>()
    expectTypeOf(binary.slowlogGet()).toEqualTypeOf<RedisCommand<Array<SlowCommand<Uint8Array>>>>()
    expectTypeOf(Redis.aclUsers()).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf<SlowCommand<Uint8Array>["clientAddress"]>().toEqualTypeOf<Option.Option<string>>()
  })

  it("narrows roles", () => {
    const replicasOf = (role: ServerRole) => (role.role === "master" ? role.replicas.length : 0)
    expectTypeOf(replicasOf).returns.toEqualTypeOf<number>()
    // @ts-expect-error: only a primary has replicas
    ;(role: ServerRole) => role.replicas
  })

  it("refuses options that exclude each other", () => {
    Redis.flushall({ async: true })
    // @ts-expect-error: ASYNC and SYNC exclude each other
    Redis.flushall({ async: true, sync: true })
    // @ts-expect-error: SCHEDULE and CANCEL exclude each other
    Redis.bgsave({ schedule: true, cancel: true })
    Redis.shutdown({ save: true, now: true })
    // @ts-expect-error: SAVE and NOSAVE exclude each other
    Redis.shutdown({ save: true, nosave: true })
    // @ts-expect-error: ABORT excludes every other option
    Redis.shutdown({ abort: true, now: true })
    // @ts-expect-error: a count and RESET exclude each other
    Redis.aclLog({ count: 1, reset: true })
    Redis.commandList({ filterby: { pattern: "a*" } })
    // @ts-expect-error: filters exclude each other
    Redis.commandList({ filterby: { pattern: "a*", module: "m" } })
    // @ts-expect-error: a filter is required
    Redis.commandList({ filterby: {} })
  })

  it("takes only the combinations of FAILOVER's options that the server takes", () => {
    const to = { host: "h", port: 1 }
    Redis.failover({ to: { ...to, force: true }, timeout: "1 second" })
    // @ts-expect-error: FORCE needs a timeout
    Redis.failover({ to: { ...to, force: true } })
    // @ts-expect-error: ABORT excludes every other option
    Redis.failover({ to, abort: true })
    // @ts-expect-error: a duration needs a unit
    Redis.failover({ to, timeout: 1000 })
  })

  it("refuses incomplete addresses", () => {
    Redis.configGet(["a"])
    Redis.replicaof("h", 1)
    // @ts-expect-error: a port is required
    Redis.replicaof("h")
    Redis.aclSetuser("u", [Redacted.make(">secret"), "on"])
  })
})

describe("cluster", () => {
  it("has an answer that depends on the options", () => {
    const slots = { start: 0, end: 9 }
    expectTypeOf(Redis.clusterShards()).toEqualTypeOf<RedisCommand<Array<ClusterShard>>>()
    expectTypeOf(Redis.clusterMigration({ import: slots })).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(Redis.clusterMigration({ cancel: { all: true } })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(Redis.clusterMigration({ status: { id: "t" } })).toEqualTypeOf<RedisCommand<Array<MigrationStatus>>>()
    // @ts-expect-error: operations exclude each other
    Redis.clusterMigration({ import: slots, cancel: { all: true } })
    // @ts-expect-error: `id` and `all` exclude each other
    Redis.clusterMigration({ status: { id: "t", all: true } })
  })

  it("refuses options that exclude each other", () => {
    Redis.clusterSetslot(0, { node: "id", timeout: "1 second" })
    // @ts-expect-error: exactly one of these is allowed
    Redis.clusterSetslot(0, { node: "id", stable: true })
    // @ts-expect-error: exactly one of these is allowed
    Redis.clusterSetslot(0, {})
    // @ts-expect-error: FORCE and TAKEOVER exclude each other
    Redis.clusterFailover({ force: true, takeover: true })
    // @ts-expect-error: HARD and SOFT exclude each other
    Redis.clusterReset({ hard: true, soft: true })
    // @ts-expect-error: a range and an order exclude each other
    Redis.clusterSlotStats({ slotsrange: { start: 0, end: 1 }, orderby: "key-count" })
    // @ts-expect-error: a limit needs an order
    Redis.clusterSlotStats({ slotsrange: { start: 0, end: 1 }, limit: 1 })
    // @ts-expect-error: ASC and DESC exclude each other
    Redis.clusterSlotStats({ orderby: "key-count", asc: true, desc: true })
  })
})

describe("sentinel", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(Redis.sentinelConfig({ get: "*" })).toEqualTypeOf<RedisCommand<Record<string, string>>>()
    expectTypeOf(Redis.sentinelConfig({ set: { a: true } })).toEqualTypeOf<RedisCommand<void>>()
    // @ts-expect-error: `get` and `set` exclude each other
    Redis.sentinelConfig({ get: "*", set: { a: true } })
    expectTypeOf(Redis.sentinelDebug()).toEqualTypeOf<RedisCommand<Record<string, Duration.Duration>>>()
    expectTypeOf(Redis.sentinelDebug({ "PING-PERIOD": "1 second" })).toEqualTypeOf<RedisCommand<void>>()
    // @ts-expect-error: a duration needs a unit
    Redis.sentinelDebug({ "PING-PERIOD": 1000 })
    expectTypeOf(Redis.sentinelSimulateFailure("help")).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(Redis.sentinelSimulateFailure("crash-after-election")).toEqualTypeOf<RedisCommand<void>>()
  })
})
