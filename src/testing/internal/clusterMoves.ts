/*
 * Moving hash slots from one primary to another: step by step with ASK, or at once where the servers can.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { ClusterNode as Line } from "../../commands/cluster-models.js"
import { Redis } from "../../Redis.js"
import * as RedisCommand from "../../RedisCommand.js"
import { failure, type RedisClusterError } from "./clusterError.js"
import type { Common, Member } from "./clusterMember.js"
import { type Range, rangesOf, slotsIn } from "./clusterSlots.js"
import type { State } from "./clusterState.js"
import * as View from "./clusterView.js"
import { sleep } from "./serverProcess.js"

type Step<A = void> = Effect.Effect<A, RedisClusterError>

const together = { concurrency: "unbounded", discard: true } as const

/** Commands on many slots are sent in batches of this size. */
const batchSize = 512

export interface Context {
  readonly state: State
  readonly common: Pick<Common, "username" | "password">
}

const ownerIn = (lines: ReadonlyArray<Line>, slot: number): Line | undefined =>
  lines.find(({ slots }) => slots.some(({ end, start }) => start <= slot && slot <= end))

/** The primary that owns the slot. */
export const ownerOf = (state: State, slot: number): Step<Member> =>
  Effect.flatMap(state.lines, (lines) => {
    const owner = ownerIn(lines, slot)
    return owner === undefined
      ? failure("Refused", `The slot ${slot} belongs to no node.`)
      : Effect.map(state.entry(owner.id), ({ member }) => member)
  })

/** The primary to move to; replicas own no slots. */
const target = (state: State, to: Member): Step<Member> =>
  Effect.flatMap(state.lines, (lines) =>
    lines.some((line) => line.id === to.id && View.isPrimary(line))
      ? Effect.succeed(to)
      : failure("Unsupported", `The node ${to.id} is no primary, so it cannot own slots.`)
  )

/** How often SETSLOT is sent while the node has not heard what the others know already, and the pause between, in milliseconds. */
const tries = 100
const triesEvery = 50

/** Of the other node: it has just been promoted, or has just joined. */
const notHeardYet = /Target node is not a master|I don't know about node/

const setSlot = (member: Member, slot: number, ...how: ReadonlyArray<string>): Step<unknown> => {
  const attempt = (left: number): Step<unknown> =>
    Effect.catchAll(member.ask("CLUSTER", "SETSLOT", slot, ...how), (error) =>
      left > 0 && notHeardYet.test(error.message)
        ? Effect.zipRight(
            sleep(triesEvery),
            Effect.suspend(() => attempt(left - 1))
          )
        : Effect.fail(error)
    )
  return attempt(tries)
}

/** Some of the keys that the node has in the slot. */
export const keysIn = (member: Member, slot: number, count: number): Step<ReadonlyArray<Uint8Array>> =>
  Effect.map(member.run(RedisCommand.make("CLUSTER GETKEYSINSLOT", { args: [slot, count], reply: "bytes" })), (keys) =>
    Array.isArray(keys) ? keys.filter((key) => key instanceof Uint8Array) : []
  )

/** Sends keys to another node (MIGRATE); returns whether there were any. */
export const migrate = (
  { common: { password, username } }: Context,
  from: Member,
  to: Member,
  keys: ReadonlyArray<string | Uint8Array>
): Step<boolean> => {
  const login =
    password === undefined
      ? []
      : username === undefined
        ? ["AUTH", Redacted.value(password)]
        : ["AUTH2", username, Redacted.value(password)]
  const args = ["127.0.0.1", to.server.port, "", 0, 5_000, "REPLACE", ...login, "KEYS", ...keys.map(RedisCommand.key)]
  return Effect.map(from.run(RedisCommand.make("MIGRATE", { args })), (reply) => reply === "OK")
}

/** Sends all keys of the slot to another node. */
export const migrateAll = (context: Context, from: Member, to: Member, slot: number): Step =>
  Effect.gen(function* () {
    for (;;) {
      const keys = yield* keysIn(from, slot, 100)
      if (keys.length === 0) return
      yield* migrate(context, from, to, keys)
    }
  })

/** Opens the move of a slot: the target imports it, then the source migrates it. */
export const open = ({ state }: Context, slot: number, to: Member): Step<Member> =>
  Effect.gen(function* () {
    yield* target(state, to)
    const from = yield* ownerOf(state, slot)
    if (from.id === to.id) return yield* failure("Unsupported", `The slot ${slot} belongs to ${to.id} already.`)
    yield* setSlot(to, slot, "IMPORTING", from.id)
    yield* setSlot(from, slot, "MIGRATING", to.id)
    return from
  })

/**
 * Gives slots, whose keys are at the target, to the target. It tells all other nodes at once, with a new epoch.
 *
 * The target comes first: otherwise no node would own the slot for a moment, and the source would not know whom to name.
 */
const assign = (slots: ReadonlyArray<number>, from: Member, to: Member): Step =>
  Effect.zipRight(
    Effect.forEach(slots, (slot) => setSlot(to, slot, "NODE", to.id), together),
    Effect.catchAll(
      Effect.forEach(slots, (slot) => setSlot(from, slot, "NODE", to.id), together),
      // It heard that its last slot is gone, so it has become a replica of the target.
      (error) => (/only with (masters|primaries)|NOREPLICAS/i.test(error.message) ? Effect.void : error)
    )
  )

const notMoving = ({ state }: Context, slots: ReadonlyArray<number>): Step =>
  state.until(
    "no node moves these slots",
    Effect.flatMap(state.reachable, (members) =>
      Effect.forEach(members, (member) => member.run(Redis.clusterNodes()), { concurrency: "unbounded" })
    ).pipe(
      Effect.map((views) => {
        const moving = views.flat().flatMap(({ importing, migrating }) => [...importing, ...migrating])
        const still = moving.find(({ slot }) => slots.includes(slot))
        return still === undefined ? undefined : `${still.slot} is moving`
      })
    )
  )

/** Ends the open move of a slot at the target. */
export const finish = (context: Context, slot: number, from: Member, to: Member): Step =>
  Effect.gen(function* () {
    yield* migrateAll(context, from, to, slot)
    yield* assign([slot], from, to)
    yield* context.state.agree("map")
    yield* notMoving(context, [slot])
  })

/** Ends the open move of a slot at the source, which gets its keys back. */
export const cancel = (context: Context, slot: number, from: Member, to: Member): Step =>
  Effect.gen(function* () {
    // A source that still migrates would answer ASK for the keys that come back.
    yield* setSlot(from, slot, "STABLE")
    yield* migrateAll(context, to, from, slot)
    yield* setSlot(to, slot, "STABLE")
    yield* context.state.agree("map")
    yield* notMoving(context, [slot])
  })

/**
 * Closes all moves that are open: the keys go to the owners of the slots.
 *
 * While a node of Redis imports a slot from a primary that failed, it does not learn of the new owner, and its own
 * `cluster_state` is `fail`. So this does not wait for that.
 */
export const repair = (context: Context): Step =>
  Effect.gen(function* () {
    const { state } = context
    const views = yield* Effect.flatMap(state.reachable, (members) =>
      Effect.forEach(members, (member) => member.run(Redis.clusterNodes()))
    )
    const open = [
      ...new Set(
        views.flat().flatMap(({ importing, migrating }) => [...importing, ...migrating].map(({ slot }) => slot))
      )
    ]
    yield* state.until(
      "each slot has an owner that can be reached",
      Effect.gen(function* () {
        const ids = (yield* state.reachable).map(({ id }) => id)
        const lines = yield* state.lines
        const lost = open.find((slot) => !ids.includes(ownerIn(lines, slot)?.id ?? ""))
        return lost === undefined ? undefined : `${lost} has none`
      })
    )
    const members = yield* state.reachable
    const lines = yield* state.lines
    const now = yield* Effect.forEach(members, (member) => member.run(Redis.clusterNodes()))
    const primaries = members.filter(({ id }) => lines.some((line) => line.id === id && View.isPrimary(line)))
    /**
     * Ends the state of a slot at a primary, if it or one of its replicas has one: Valkey's primaries tell their replicas.
     * Others are not asked, because a primary of Valkey refuses while a replica does not answer.
     */
    const close = (primary: Member, slot: number): Step => {
      const shard = lines.filter(({ id, master }) => id === primary.id || Option.contains(master, primary.id))
      const isOpen = members.some(
        ({ id }, n) =>
          shard.some((line) => line.id === id) &&
          (now[n] ?? []).some(({ importing, migrating }) =>
            [...importing, ...migrating].some((moving) => moving.slot === slot)
          )
      )
      return isOpen ? Effect.asVoid(setSlot(primary, slot, "STABLE")) : Effect.void
    }
    for (const slot of open) {
      const owner = yield* ownerOf(state, slot)
      yield* close(owner, slot)
      for (const member of primaries) {
        if (member.id === owner.id) continue
        if ((yield* member.run(Redis.clusterCountkeysinslot(slot))) === 0) {
          yield* close(member, slot)
          continue
        }
        // In one write: Redis 8.6 deletes keys of slots that it neither owns nor imports.
        yield* Effect.all(
          [setSlot(member, slot, "NODE", owner.id), setSlot(member, slot, "IMPORTING", owner.id)],
          together
        )
        yield* state.until(
          "a primary knows the owner of a slot that it imported",
          Effect.map(member.run(Redis.clusterNodes()), (lines) =>
            ownerIn(lines, slot)?.id === owner.id ? undefined : `the slot ${slot}`
          )
        )
        yield* state.until(
          "a primary serves",
          Effect.map(member.run(Redis.clusterInfo()), ({ state }) => (state === "ok" ? undefined : state))
        )
        // A node sends keys of a slot that it does not own only while it imports the slot.
        yield* migrateAll(context, member, owner, slot)
        yield* setSlot(member, slot, "STABLE")
      }
    }
    yield* state.agree("map")
    yield* notMoving(context, open)
  })

/** Slots by the primary that owns them now, without those that the target has. */
const bySource = (
  state: State,
  ranges: ReadonlyArray<Range>,
  to: Member
): Step<ReadonlyArray<readonly [from: Member, slots: ReadonlyArray<number>]>> =>
  Effect.gen(function* () {
    yield* target(state, to)
    const lines = yield* state.lines
    const found = new Map<string, Array<number>>()
    for (const slot of slotsIn(ranges)) {
      const owner = ownerIn(lines, slot)
      if (owner === undefined) return yield* failure("Refused", `The slot ${slot} belongs to no node.`)
      if (owner.id !== to.id) found.set(owner.id, [...(found.get(owner.id) ?? []), slot])
    }
    return yield* Effect.forEach(found, ([id, slots]) =>
      Effect.map(state.entry(id), ({ member }) => [member, slots] as const)
    )
  })

/** Moves slots step by step. */
export const slowly = (context: Context, ranges: ReadonlyArray<Range>, to: Member): Step =>
  Effect.gen(function* () {
    for (const [from, slots] of yield* bySource(context.state, ranges, to)) {
      for (let at = 0; at < slots.length; at += batchSize) {
        const batch = slots.slice(at, at + batchSize)
        yield* Effect.forEach(batch, (slot) => setSlot(to, slot, "IMPORTING", from.id), together)
        yield* Effect.forEach(batch, (slot) => setSlot(from, slot, "MIGRATING", to.id), together)
        const counts = yield* Effect.forEach(batch, (slot) => from.run(Redis.clusterCountkeysinslot(slot)), {
          concurrency: "unbounded"
        })
        for (const [n, slot] of batch.entries()) {
          if (counts[n] !== 0) yield* migrateAll(context, from, to, slot)
        }
        yield* assign(batch, from, to)
      }
    }
    yield* context.state.agree("map")
    yield* notMoving(context, slotsIn(ranges))
  })

const isUnknown = ({ message }: RedisClusterError): boolean => /unknown (sub)?command/i.test(message)

/** Valkey writes "cancelled", Redis "canceled". A migration of Valkey on its way is "failover-granted". */
const hasFailed = (state: string): boolean => /^(failed|cancell?ed)$/.test(state)

/** Starts Valkey's migration at the source; returns what looks whether it has ended. */
const startAtSource = (from: Member, to: Member, ranges: ReadonlyArray<Range>) =>
  Effect.gen(function* () {
    const before = new Set((yield* from.run(Redis.clusterGetslotmigrations())).map(({ name }) => name))
    yield* from.run(Redis.clusterMigrateslots([{ slotsrange: ranges, node: to.id }]))
    return Effect.gen(function* () {
      const jobs = (yield* from.run(Redis.clusterGetslotmigrations())).filter(({ name }) => !before.has(name))
      const failed = jobs.find(({ state }) => Option.exists(state, hasFailed))
      if (failed !== undefined) {
        return { failed: Option.getOrElse(failed.message, () => "without a reason") }
      }
      return { done: jobs.length > 0 && jobs.every(({ state }) => Option.contains(state, "success")) }
    })
  })

/** Starts the migration of Redis at the target; returns what looks whether it has ended. */
const startAtTarget = (to: Member, ranges: ReadonlyArray<Range>) =>
  Effect.map(to.run(Redis.clusterMigration({ import: ranges })), (id) =>
    Effect.map(to.run(Redis.clusterMigration({ status: { id } })), ([task]) => {
      const state = Option.getOrElse(task?.state ?? Option.none<string>(), () => "unknown")
      return hasFailed(state)
        ? { failed: Option.getOrElse(task?.lastError ?? Option.none<string>(), () => state) }
        : { done: state === "completed" }
    })
  )

/** Moves slots with their keys in one step, by the servers' own migration. */
export const atOnce = (context: Context, ranges: ReadonlyArray<Range>, to: Member): Step =>
  Effect.gen(function* () {
    for (const [from, slots] of yield* bySource(context.state, ranges, to)) {
      const moved = rangesOf(slots)
      const look = yield* (
        to.server.product === "valkey" ? startAtSource(from, to, moved) : startAtTarget(to, moved)
      ).pipe(
        Effect.mapError((error) =>
          isUnknown(error)
            ? failure("Unsupported", `${to.server.product} ${to.server.version} cannot move slots at once.`, {
                cause: error
              })
            : error
        )
      )
      let failed: string | undefined
      yield* context.state.until(
        "the slots have moved",
        Effect.map(look, (seen) => {
          failed = "failed" in seen ? seen.failed : undefined
          return failed !== undefined || ("done" in seen && seen.done) ? undefined : "the servers are at it"
        })
      )
      if (failed !== undefined) return yield* failure("Refused", `The servers did not move the slots: ${failed}`)
    }
    yield* context.state.agree("map")
  })

/** Moves slots at once where the servers can, else step by step. */
export const anyhow = (context: Context, ranges: ReadonlyArray<Range>, to: Member): Step =>
  Effect.catchAll(atOnce(context, ranges, to), (error) =>
    error.reason === "Unsupported" ? slowly(context, ranges, to) : error
  )
