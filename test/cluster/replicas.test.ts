/**
 * Which node of a shard answers a read: by how much each node owes, how fast it answers, how far it is behind and where it
 * stands. The peers are scripted, because a real replica on one machine is neither slow nor behind.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Redis } from "../../src/Redis.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import { failure, on, quickly } from "../support/client.js"
import { type ClusterScript, make as makePeers, resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"
import { until } from "../support/pubsub.js"

/** A primary, node 0, and two replicas; each GET is answered with the number of its node. */
const shard = (
  info: (node: number, section: string, write: (reply: string) => void) => string | undefined,
  options: Partial<RedisCluster.RedisClusterOptions>,
  gets: ClusterScript["onCommand"] = (_, node) => resp(String(node))
) =>
  Effect.gen(function* () {
    let ports: ReadonlyArray<number> = []
    const peers = yield* makePeers(3, {
      owners: 1,
      onSlots: (_, right) => {
        const [range] = right as Array<ReadonlyArray<unknown>>
        return resp([[...(range ?? []), ...[1, 2].map((node) => ["127.0.0.1", ports[node], `node${node}`, []])]])
      },
      onCommand: (command, node, connection) => {
        switch (command[0]) {
          case "READONLY":
            return resp("+OK")
          case "INFO":
            return info(node, command[1] ?? "", (reply) => connection.write(resp(reply)))
          default:
            return gets(command, node, connection)
        }
      }
    })
    ports = peers.ports
    const redis = yield* RedisCluster.make({
      nodes: peers.seeds.slice(0, 1),
      reconnect: quickly,
      refreshInterval: "1 hour",
      ...options
    })
    const read = Effect.map(on(redis)(Redis.get("k")), Option.getOrThrow)
    /** Which nodes answer twenty reads, one after the other. */
    const readers = Effect.map(Effect.all(Array.from({ length: 20 }, () => read)), (all) =>
      [...new Set(all)].sort().join()
    )
    return { peers, read, readers }
  })

const nothing = () => resp("")

describe("a read goes", () => {
  it.live("to the replica that owes the fewest replies", () =>
    Effect.gen(function* () {
      let stuck = false
      const { peers, read, readers } = yield* shard(nothing, { readFrom: "preferReplica" }, (_, node) =>
        stuck && node === 1 ? undefined : resp(String(node))
      )
      yield* until(
        "both replicas answer",
        Effect.map(readers, (found) => found === "1,2")
      )
      stuck = true
      const sent = (node: number) => peers.received(node).length
      const before = sent(1)
      while (sent(1) === before) {
        const others = sent(2)
        const fiber = yield* Effect.forkScoped(read)
        yield* Peer.eventually("it is sent", () => sent(1) > before || sent(2) > others)
        // Node 2 owes nothing when the next read is sent.
        yield* sent(1) > before ? Effect.void : Effect.asVoid(Fiber.join(fiber))
      }
      expect(yield* readers).toBe("2")
    }).pipe(Effect.scoped)
  )

  it.live("not to a replica that owes a reply and has been silent for a second", () =>
    Effect.gen(function* () {
      let stuck = false
      const { read, readers } = yield* shard(nothing, { readFrom: "preferReplica" }, (_, node) =>
        stuck && node > 0 ? undefined : resp(String(node))
      )
      yield* until(
        "both replicas answer",
        Effect.map(readers, (found) => found === "1,2")
      )
      stuck = true
      yield* until(
        "a read goes to the primary",
        Effect.flatMap(Effect.forkScoped(read), (fiber) =>
          Effect.map(Effect.timeoutOption(Fiber.join(fiber), "100 millis"), Option.contains("0"))
        )
      )
      expect(yield* readers).toBe("0")
    }).pipe(Effect.scoped)
  )

  it.live("to the node that answers fastest, the primary included", () =>
    Effect.gen(function* () {
      const delays = [0, 80, 160]
      const { readers } = yield* shard(
        (node, _, write) => {
          setTimeout(() => write(""), delays[node])
          return undefined
        },
        { readFrom: "lowestLatency" }
      )
      yield* until(
        "node 0 answers all",
        Effect.map(readers, (found) => found === "0")
      )
      delays.splice(0, 3, 160, 0, 80)
      yield* until(
        "node 1 answers all",
        Effect.map(readers, (found) => found === "1")
      )
    }).pipe(Effect.scoped)
  )

  it.live("not to the node that answered fastest until it hung", () =>
    Effect.gen(function* () {
      let hangs = false
      /** Node 1 answers at once until it hangs. The others are slower. */
      const answer = (node: number, reply: string, write: (reply: string) => void): string | undefined => {
        if (node !== 1) {
          setTimeout(() => write(reply), 60)
        }
        return node !== 1 || hangs ? undefined : resp(reply)
      }
      const { read, readers } = yield* shard(
        (node, _, write) => answer(node, "", write),
        { readFrom: "lowestLatency", replyTimeout: "1 minute", unresponsiveTimeout: "1 minute" },
        (_, node, connection) => answer(node, String(node), (reply) => connection.write(resp(reply)))
      )
      yield* until(
        "node 1 answers all",
        Effect.map(readers, (found) => found === "1")
      )
      hangs = true
      // Replies to other commands may come first, and then the read fails to decode.
      const answered = Effect.timeoutOption(Effect.either(read), "200 millis")
      yield* until("another node answers", Effect.map(answered, Option.exists(Either.isRight)))
    }).pipe(Effect.scoped)
  )

  it.live("not to a replica that has been behind for longer than maxReplicaLag, until it has caught up", () =>
    Effect.gen(function* () {
      let offset = 0
      let behind = true
      const { readers } = yield* shard(
        (node) => {
          offset += 1
          return resp(
            node === 0
              ? `role:master\r\nmaster_repl_offset:${offset}\r\n`
              : `role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:${node === 1 && behind ? 0 : offset}\r\n`
          )
        },
        { readFrom: "preferReplica", maxReplicaLag: "500 millis" }
      )
      yield* until(
        "node 1 is passed over",
        Effect.map(readers, (found) => found === "2")
      )
      behind = false
      yield* until(
        "node 1 serves again",
        Effect.map(readers, (found) => found === "1,2")
      )
    }).pipe(Effect.scoped)
  )

  it.live("to the replicas of a primary that was started anew and counts from the beginning", () =>
    Effect.gen(function* () {
      let offset = 1_000_000
      const { peers, readers } = yield* shard(
        (node) =>
          resp(
            node === 0 ? `master_repl_offset:${offset}\r\n` : `master_link_status:up\r\nslave_repl_offset:${offset}\r\n`
          ),
        { readFrom: "preferReplica", maxReplicaLag: "100 millis" }
      )
      const measured = () => peers.received(1).filter((line) => line === "INFO replication").length
      yield* until(
        "the primary is measured",
        Effect.map(readers, () => measured() >= 2)
      )
      offset = 10
      yield* until(
        "the replicas answer all, also after measurements of the new run",
        Effect.map(readers, (found) => measured() >= 4 && found === "1,2")
      )
    }).pipe(Effect.scoped)
  )

  it.live("to the primary when all replicas have lost it for longer than maxReplicaLag", () =>
    Effect.gen(function* () {
      const { readers } = yield* shard(
        (node) =>
          resp(node === 0 ? "role:master\r\n" : "master_link_status:down\r\nmaster_link_down_since_seconds:60\r\n"),
        { readFrom: "preferReplica", maxReplicaLag: "10 seconds" }
      )
      yield* until(
        "the primary answers all",
        Effect.map(readers, (found) => found === "0")
      )
    }).pipe(Effect.scoped)
  )

  it.live("to the nodes of a zone, also when only INFO tells the zones", () =>
    Effect.gen(function* () {
      const { readers } = yield* shard(
        (node, section) => resp(section === "server" ? `availability_zone:${node === 2 ? "here" : "there"}\r\n` : ""),
        { readFrom: { nearest: "here" } }
      )
      yield* until(
        "node 2 answers all",
        Effect.map(readers, (found) => found === "2")
      )
    }).pipe(Effect.scoped)
  )
})

it.live("readFrom is one of the policies, or the client is not made", () =>
  Effect.gen(function* () {
    const readFrom = "nearest" as RedisCluster.ReadFrom
    const exit = yield* Effect.exit(RedisCluster.make({ nodes: ["redis://127.0.0.1:1"], readFrom }))
    expect(failure(exit)).toMatchObject({ _tag: "UsageError", message: expect.stringContaining("lowestLatency") })
  }).pipe(Effect.scoped)
)
