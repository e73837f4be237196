/*
 * The nodes that belong to a cluster, and waiting until they agree.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ClusterNode as Line } from "../../commands/cluster-models.js"
import { Redis } from "../../Redis.js"
import * as RedisCommand from "../../RedisCommand.js"
import { failure, type RedisClusterError } from "./clusterError.js"
import type { Member } from "./clusterMember.js"
import * as View from "./clusterView.js"
import { sleep } from "./serverProcess.js"

/** A node, and what was done to it. */
export interface Entry {
  readonly member: Member
  paused: boolean
  /** Messages of the bus pass between nodes of the same side. Side 0 is the one that counts. */
  side: number
}

/** What is waited for: the same map at all nodes; that replicas are in step, too; that every slot is served, too. */
export type Agreement = "map" | "replicas" | "served"

export interface State {
  readonly entries: ReadonlyMap<string, Entry>
  readonly add: (member: Member) => void
  readonly remove: (id: string) => void
  /** Fails when the node does not belong to the cluster. */
  readonly entry: (node: NodeRef) => Effect.Effect<Entry, RedisClusterError>
  /** The nodes that run, are not paused, and are not cut off from the others. */
  readonly reachable: Effect.Effect<ReadonlyArray<Member>>
  /** What the newest view says about each node. */
  readonly lines: Effect.Effect<ReadonlyArray<Line>, RedisClusterError>
  readonly agree: (until: Agreement) => Effect.Effect<void, RedisClusterError>
  /** Waits until the check, which is repeated, finds no problem. */
  readonly until: (
    what: string,
    check: Effect.Effect<string | undefined, RedisClusterError>
  ) => Effect.Effect<void, RedisClusterError>
}

/** A node, or its id. */
export type NodeRef = string | { readonly id: string }

const idOf = (node: NodeRef): string => (typeof node === "string" ? node : node.id)

const soon = RedisCommand.withDeadline("2 seconds")

const together = { concurrency: "unbounded" } as const

const askAll = <A>(
  members: ReadonlyArray<Member>,
  command: () => RedisCommand.RedisCommand<A>
): Effect.Effect<ReadonlyArray<A>, RedisClusterError> =>
  Effect.forEach(members, (member) => member.run(soon(command())), together)

export const make = (timeoutMillis: number): State => {
  const entries = new Map<string, Entry>()

  const reachable: State["reachable"] = Effect.suspend(() =>
    Effect.map(
      Effect.filter([...entries.values()], ({ member, paused, side }) =>
        paused || side !== 0 ? Effect.succeed(false) : Effect.map(member.server.pid, Option.isSome)
      ),
      (running) => running.map(({ member }) => member)
    )
  )

  const viewsOf = (members: ReadonlyArray<Member>): Effect.Effect<ReadonlyArray<View.View>, RedisClusterError> =>
    Effect.map(
      askAll(members, () => Redis.clusterNodes()),
      (all) => all.map((lines, n) => ({ by: members[n]?.id ?? "", lines }))
    )

  const until: State["until"] = (what, check) =>
    Effect.gen(function* () {
      const end = performance.now() + timeoutMillis
      for (let pause = 5; ; pause = Math.min(100, pause * 1.5)) {
        const result = yield* Effect.either(check)
        const problem = Either.isLeft(result) ? result.left.message : result.right
        if (problem === undefined) return
        if (performance.now() > end) {
          return yield* failure(
            "NotAgreed",
            `After ${timeoutMillis} ms the cluster still waits until ${what}: ${problem}`
          )
        }
        yield* sleep(pause)
      }
    })

  /** Why replicas are not in step with their primaries, or not shown to clients. */
  const replicaProblem = (view: View.View, members: ReadonlyArray<Member>) =>
    Effect.gen(function* () {
      const ids = new Set(members.map(({ id }) => id))
      const replicas = View.replicasIn(view, ids)
      const inStep = [...replicas].filter(([primary]) => ids.has(primary)).flatMap(([, ids]) => ids)
      const asked = members.filter(({ id }) => inStep.includes(id))
      const infos = yield* askAll(asked, () => RedisCommand.make("INFO", { args: ["replication"] }))
      const late = infos.findIndex((info) => !String(info).includes("master_link_status:up"))
      if (late >= 0) return `${asked[late]?.id.slice(0, 8)} is not connected to its primary`
      // A node shows a replica to clients when it knows of an offset. CLUSTER SLOTS has no primaries without slots.
      const shards = yield* askAll(members, () => Redis.clusterShards())
      const blind = shards.findIndex((shards) => {
        const shown = shards
          .flatMap(({ nodes }) => nodes)
          .filter(({ replicationOffset }) => Option.exists(replicationOffset, (offset) => Number(offset) > 0))
        return inStep.some((id) => !shown.some((node) => node.id === id))
      })
      return blind >= 0 ? `${members[blind]?.id.slice(0, 8)} does not show all replicas to clients` : undefined
    })

  const problem = (level: Agreement) =>
    Effect.gen(function* () {
      const members = yield* reachable
      const views = yield* viewsOf(members)
      const different = View.disagreement(views, [...entries.keys()])
      const view = View.newest(views)
      if (different !== undefined || view === undefined || level === "map") return different
      const unserved = View.unserved(view, new Set(members.map(({ id }) => id)))
      if (unserved !== undefined && level === "served") return unserved
      const late = yield* replicaProblem(view, members)
      if (late !== undefined || unserved !== undefined) return late
      const infos = yield* askAll(members, () => Redis.clusterInfo())
      const down = infos.findIndex(({ state }) => state !== "ok")
      return down < 0 ? undefined : `${members[down]?.id.slice(0, 8)} has cluster_state:${infos[down]?.state}`
    })

  return {
    entries,
    add: (member) => {
      entries.set(member.id, { member, paused: false, side: 0 })
    },
    remove: (id) => {
      entries.delete(id)
    },
    entry: (node) =>
      Effect.suspend(() => {
        const found = entries.get(idOf(node))
        return found === undefined
          ? failure("UnknownNode", `No node of this cluster has the id ${idOf(node)}.`)
          : Effect.succeed(found)
      }),
    reachable,
    lines: Effect.gen(function* () {
      const members = yield* reachable
      // A node that just died does not hide what the others say.
      const views = yield* Effect.forEach(members, (member) => Effect.option(viewsOf([member])), together)
      const view = View.newest(views.flatMap((views) => Option.getOrElse(views, () => [])))
      return view === undefined ? yield* failure("NotRunning", "No node of this cluster answers.") : view.lines
    }),
    agree: (level) => until("its nodes agree", problem(level)),
    until
  }
}
