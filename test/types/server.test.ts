/**
 * Type tests of the commands on servers, clusters and sentinels: the compiler checks them in `npm run check`, at run time
 * they assert nothing (docs/decisions/0002).
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Redis } from "effect-redis-client"
import type { ClusterShard, MigrationStatus } from "effect-redis-client/commands/cluster-models"
import type { ServerInfo } from "effect-redis-client/commands/server-info"
import type { LargeCommand, SlowCommand } from "effect-redis-client/commands/server-latency"
import type { ServerRole } from "effect-redis-client/commands/server-replication"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"

describe("server", () => {
  it("answers by its options", () => {
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

  it("narrows roles", () => {
    const replicasOf = (role: ServerRole) => (role.role === "master" ? role.replicas.length : 0)
    expectTypeOf(replicasOf).returns.toEqualTypeOf<number>()
    // @ts-expect-error: only a primary has replicas
    ;(role: ServerRole) => role.replicas
  })

  it("keeps exclusive words apart", () => {
    Redis.flushall({ async: true })
    // @ts-expect-error: ASYNC or SYNC
    Redis.flushall({ async: true, sync: true })
    // @ts-expect-error: SCHEDULE or CANCEL
    Redis.bgsave({ schedule: true, cancel: true })
    Redis.shutdown({ save: true, now: true })
    // @ts-expect-error: SAVE or NOSAVE
    Redis.shutdown({ save: true, nosave: true })
    // @ts-expect-error: ABORT stands alone
    Redis.shutdown({ abort: true, now: true })
    // @ts-expect-error: a count, or RESET
    Redis.aclLog({ count: 1, reset: true })
    Redis.commandList({ filterby: { pattern: "a*" } })
    // @ts-expect-error: one filter
    Redis.commandList({ filterby: { pattern: "a*", module: "m" } })
    // @ts-expect-error: a filter by something
    Redis.commandList({ filterby: {} })
  })

  it("takes FAILOVER's words together as the server does", () => {
    const to = { host: "h", port: 1 }
    Redis.failover({ to: { ...to, force: true }, timeout: "1 second" })
    // @ts-expect-error: FORCE needs a timeout
    Redis.failover({ to: { ...to, force: true } })
    // @ts-expect-error: ABORT stands alone
    Redis.failover({ to, abort: true })
    // @ts-expect-error: a duration has a unit
    Redis.failover({ to, timeout: 1000 })
  })

  it("takes lists that are not empty", () => {
    Redis.configGet(["a"])
    // @ts-expect-error: at least one
    Redis.configGet([])
    // @ts-expect-error: at least one
    Redis.aclDeluser([])
    // @ts-expect-error: CPU or NET
    Redis.hotkeysStart([])
    // @ts-expect-error: a command has a name
    Redis.commandGetkeys([])
    Redis.replicaof("h", 1)
    // @ts-expect-error: an address has a port
    Redis.replicaof("h")
    Redis.aclSetuser("u", [Redacted.make(">secret"), "on"])
  })
})

describe("cluster", () => {
  it("answers by its options", () => {
    const slots = { start: 0, end: 9 }
    expectTypeOf(Redis.clusterShards()).toEqualTypeOf<RedisCommand<Array<ClusterShard>>>()
    expectTypeOf(Redis.clusterMigration({ import: slots })).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(Redis.clusterMigration({ cancel: { all: true } })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(Redis.clusterMigration({ status: { id: "t" } })).toEqualTypeOf<RedisCommand<Array<MigrationStatus>>>()
    // @ts-expect-error: one at a time
    Redis.clusterMigration({ import: slots, cancel: { all: true } })
    // @ts-expect-error: one task, or all
    Redis.clusterMigration({ status: { id: "t", all: true } })
  })

  it("keeps exclusive words apart", () => {
    Redis.clusterSetslot(0, { node: "id", timeout: "1 second" })
    // @ts-expect-error: one of them
    Redis.clusterSetslot(0, { node: "id", stable: true })
    // @ts-expect-error: one of them
    Redis.clusterSetslot(0, {})
    // @ts-expect-error: FORCE or TAKEOVER
    Redis.clusterFailover({ force: true, takeover: true })
    // @ts-expect-error: HARD or SOFT
    Redis.clusterReset({ hard: true, soft: true })
    // @ts-expect-error: a range, or an order
    Redis.clusterSlotStats({ slotsrange: { start: 0, end: 1 }, orderby: "key-count" })
    // @ts-expect-error: a limit needs an order
    Redis.clusterSlotStats({ slotsrange: { start: 0, end: 1 }, limit: 1 })
    // @ts-expect-error: ASC or DESC
    Redis.clusterSlotStats({ orderby: "key-count", asc: true, desc: true })
    // @ts-expect-error: at least one slot
    Redis.clusterAddslots([])
  })
})

describe("sentinel", () => {
  it("answers by its options", () => {
    expectTypeOf(Redis.sentinelConfig({ get: "*" })).toEqualTypeOf<RedisCommand<Record<string, string>>>()
    expectTypeOf(Redis.sentinelConfig({ set: { a: true } })).toEqualTypeOf<RedisCommand<void>>()
    // @ts-expect-error: read or change
    Redis.sentinelConfig({ get: "*", set: { a: true } })
    expectTypeOf(Redis.sentinelDebug()).toEqualTypeOf<RedisCommand<Record<string, Duration.Duration>>>()
    expectTypeOf(Redis.sentinelDebug({ "PING-PERIOD": "1 second" })).toEqualTypeOf<RedisCommand<void>>()
    // @ts-expect-error: a duration has a unit
    Redis.sentinelDebug({ "PING-PERIOD": 1000 })
    expectTypeOf(Redis.sentinelSimulateFailure("help")).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(Redis.sentinelSimulateFailure("crash-after-election")).toEqualTypeOf<RedisCommand<void>>()
  })
})
