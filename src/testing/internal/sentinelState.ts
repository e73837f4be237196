/*
 * The nodes and sentinels of a set, who is the master, and waiting until the sentinels agree.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ServerAddress } from "../../commands/sentinel.js"
import type { ServerRole } from "../../commands/server-replication.js"
import { Redis } from "../../Redis.js"
import * as RedisCommand from "../../RedisCommand.js"
import { failure, type RedisSentinelError } from "./sentinelError.js"
import type { Member } from "./sentinelMember.js"
import * as View from "./sentinelView.js"
import { sleep } from "./serverProcess.js"

/** A node or a sentinel, or its port. */
export type Ref = number | { readonly port: number }

export interface State {
  readonly nodes: ReadonlyArray<Member>
  readonly sentinels: ReadonlyArray<Member>
  /** The role of a node in its own words; none when it does not answer. */
  readonly roleOf: (node: Member) => Effect.Effect<Option.Option<ServerRole>>
  /** The sentinels that run and are not paused. */
  readonly watching: Effect.Effect<ReadonlyArray<Member>>
  /** The address that a sentinel gives to clients. */
  readonly addressBy: (sentinel: Member) => Effect.Effect<Option.Option<ServerAddress>, RedisSentinelError>
  readonly master: Effect.Effect<Member, RedisSentinelError>
  readonly agreed: Effect.Effect<void, RedisSentinelError>
  /** Waits until the check, which is repeated, finds no problem. */
  readonly until: (
    what: string,
    check: Effect.Effect<string | undefined, RedisSentinelError>
  ) => Effect.Effect<void, RedisSentinelError>
}

export const find = (
  members: ReadonlyArray<Member>,
  ref: Ref,
  what: string
): Effect.Effect<Member, RedisSentinelError> =>
  Effect.suspend(() => {
    const port = typeof ref === "number" ? ref : ref.port
    const found = members.find((member) => member.port === port)
    return found === undefined
      ? failure("UnknownNode", `There is no ${what} with the port ${port}.`)
      : Effect.succeed(found)
  })

const soon = RedisCommand.withDeadline("2 seconds")

const together = { concurrency: "unbounded" } as const

/** Whether it runs and is not paused. */
const runs = ({ paused, server }: Member): Effect.Effect<boolean> =>
  paused ? Effect.succeed(false) : Effect.map(server.pid, Option.isSome)

export const make = (
  name: string,
  timeoutMillis: number,
  nodes: ReadonlyArray<Member>,
  sentinels: ReadonlyArray<Member>
): State => {
  const until: State["until"] = (what, check) =>
    Effect.gen(function* () {
      const end = performance.now() + timeoutMillis
      for (let pause = 5; ; pause = Math.min(100, pause * 1.5)) {
        const result = yield* Effect.either(check)
        const problem = Either.isLeft(result) ? result.left.message : result.right
        if (problem === undefined) return
        if (performance.now() > end) {
          return yield* failure("NotAgreed", `After ${timeoutMillis} ms the kit still waits until ${what}: ${problem}`)
        }
        yield* sleep(pause)
      }
    })

  const roleOf: State["roleOf"] = (node) =>
    Effect.flatMap(runs(node), (runs) =>
      runs ? Effect.option(node.run(soon(Redis.role()))) : Effect.succeed(Option.none())
    )
  const watching = Effect.suspend(() => Effect.filter(sentinels, runs))
  const addressBy: State["addressBy"] = ({ run }) => run(soon(Redis.sentinelGetMasterAddrByName(name)))

  const viewOf = (sentinel: Member): Effect.Effect<View.View, RedisSentinelError> =>
    Effect.all(
      {
        address: addressBy(sentinel),
        master: sentinel.run(soon(Redis.sentinelMaster(name))),
        replicas: sentinel.run(soon(Redis.sentinelReplicas(name))),
        others: sentinel.run(soon(Redis.sentinelSentinels(name))),
        info: sentinel.run(soon(Redis.info("sentinel")))
      },
      together
    ).pipe(Effect.map(({ info, ...view }) => ({ by: sentinel.port, ...view, tilt: info.fields.sentinel_tilt === "1" })))

  const placeOf = (member: Member): Effect.Effect<View.Place> =>
    Effect.map(runs(member), (runs) => ({ port: member.port, reachable: runs && !member.cut }))

  const problem = Effect.gen(function* () {
    const places = yield* Effect.forEach(nodes, placeOf)
    const reachable = nodes.filter((_, n) => places[n]?.reachable)
    const roles = yield* Effect.forEach(
      reachable,
      ({ port, run }) => Effect.map(run(soon(Redis.role())), (role) => ({ port, role })),
      together
    )
    const views = yield* Effect.forEach(yield* watching, viewOf, together)
    return View.disagreement(views, roles, places, yield* Effect.forEach(sentinels, placeOf))
  })

  /** The port that the sentinel with the highest config epoch names. */
  const named = Effect.gen(function* () {
    const views = yield* Effect.forEach(yield* watching, (sentinel) => Effect.option(viewOf(sentinel)), together)
    const epoch = ({ master }: View.View) => Number(Option.getOrElse(master.configEpoch, () => 0))
    const [newest] = views.flatMap((view) => Option.toArray(view)).sort((a, b) => epoch(b) - epoch(a))
    return newest === undefined ? undefined : Option.getOrUndefined(Option.map(newest.address, ({ port }) => port))
  })

  const master = Effect.gen(function* () {
    const roles = yield* Effect.forEach(nodes, roleOf, together)
    const masters = nodes.filter((_, n) => Option.exists(roles[n] ?? Option.none(), ({ role }) => role === "master"))
    const [first] = masters
    if (first === undefined) return yield* failure("NotAgreed", "No node says that it is the master.")
    if (masters.length === 1) return first
    const port = yield* named
    const chosen = masters.find((node) => node.port === port)
    const ports = masters.map(({ port }) => port).join(", ")
    return (
      chosen ??
      (yield* failure("NotAgreed", `The nodes ${ports} say that they are the master; no sentinel names one of them.`))
    )
  })

  return {
    nodes,
    sentinels,
    roleOf,
    watching,
    addressBy,
    master,
    agreed: until("the sentinels agree", problem),
    until
  }
}
