/** A cluster of scripted peers: what its nodes say of it and answer to commands is up to the test. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Seed } from "../../src/internal/cluster/make.js"
import * as Peer from "./peer.js"

/** A reply as bytes of RESP3: text beginning with `+`, `-` or `_` is sent as it is. */
export const resp = (reply: unknown): string => {
  if (Array.isArray(reply)) {
    return `*${reply.length}\r\n${reply.map(resp).join("")}`
  }
  if (typeof reply === "number") {
    return `:${reply}\r\n`
  }
  const text = String(reply)
  return reply === null ? "_\r\n" : /^[+-]/.test(text) ? `${text}\r\n` : `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}

export interface ClusterPeers {
  readonly peers: ReadonlyArray<Peer.Peer>
  readonly ports: ReadonlyArray<number>
  readonly seeds: ReadonlyArray<Seed>
  /** The commands that a node received after handshakes, over all its connections, without those for the topology. */
  readonly received: (node: number) => ReadonlyArray<string>
  /** How often all nodes were asked for the topology. */
  readonly refreshes: () => number
}

type Answer = string | undefined

export interface ClusterScript {
  /** How many nodes own slots, in equal parts. Default: all. */
  readonly owners?: number
  /** What a node answers to a command of the client, as bytes; nothing for no answer. */
  readonly onCommand?: (command: ReadonlyArray<string>, node: number, connection: Peer.PeerConnection) => Answer
  /** Answers CLUSTER SLOTS in place of the right answer. */
  readonly onSlots?: (node: number, right: unknown, connection: Peer.PeerConnection) => Answer
  /** Answers CLUSTER NODES in place of the right answer, the text. */
  readonly onNodes?: (node: number, right: string) => Answer
  /** Answers HELLO in place of the right answer. */
  readonly onHello?: (node: number) => Answer
  /** The port that a node announces. Default: its own. */
  readonly announce?: (port: number) => number
}

export const make = (count: number, script: ClusterScript): Effect.Effect<ClusterPeers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const peers: Array<Peer.Peer> = []
    const silent = new Set<Peer.PeerConnection>()
    const owners = script.owners ?? count
    const announced = (node: number): number => (script.announce ?? ((port) => port))(peers[node]?.port ?? 0)
    const bounds = (node: number) =>
      [Math.ceil((node * 16_384) / owners), Math.ceil(((node + 1) * 16_384) / owners) - 1] as const
    const right = (): unknown =>
      Array.from({ length: owners }, (_, node) => [...bounds(node), ["127.0.0.1", announced(node), `node${node}`, []]])
    const nodes = (asked: number): string =>
      peers
        .map((_, node) => {
          const flags = node === asked ? "myself,master" : "master"
          const slots = node < owners ? bounds(node).join("-") : ""
          return `node${node} 127.0.0.1:${announced(node)}@1 ${flags} - 0 0 ${node + 1} connected ${slots}`
        })
        .join("\n")
    for (let node = 0; node < count; node++) {
      const answer = Peer.greeting((command, connection) => {
        switch (command.slice(0, 2).join(" ")) {
          case "CLUSTER SLOTS":
            return script.onSlots === undefined ? resp(right()) : script.onSlots(node, right(), connection)
          case "CLUSTER NODES":
            return script.onNodes === undefined ? resp(nodes(node)) : script.onNodes(node, nodes(node))
          default:
            return script.onCommand?.(command, node, connection)
        }
      })
      peers.push(
        yield* Peer.make({
          onCommand: (command, connection) => {
            if (command[0] === "HELLO" && script.onHello !== undefined) {
              const hello = script.onHello(node)
              if (hello === undefined) {
                // The rest of the handshake is sent with HELLO. Its answers would be taken for that of HELLO.
                silent.add(connection)
              }
              return hello
            }
            return silent.has(connection) ? undefined : answer(command, connection)
          }
        })
      )
    }
    const all = (peer: Peer.Peer | undefined) => peer?.connections.flatMap(Peer.sent) ?? []
    return {
      peers,
      ports: peers.map(({ port }) => port),
      seeds: peers.map(({ port }) => ({ host: "127.0.0.1", port })),
      received: (node) => all(peers[node]).filter((line) => !line.startsWith("CLUSTER ")),
      refreshes: () => peers.flatMap(all).filter((line) => line === "CLUSTER SLOTS").length
    }
  })
