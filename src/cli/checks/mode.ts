/** Whether the server is alone, a node of a cluster or a sentinel, and whether the others that it names can be reached. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ClusterNode } from "../../commands/cluster-models.js"
import { visible } from "../../internal/resp/visible.js"
import { Redis } from "../../Redis.js"
import type { RedisError } from "../../RedisError.js"
import type { Patient } from "../patient.js"
import { counted, type Finding, failure, ok, warning } from "../report.js"
import { reach } from "../sockets.js"
import { show } from "./network.js"

export const checkMode = (patient: Patient): Effect.Effect<ReadonlyArray<Finding>, RedisError> => {
  switch (patient.mode) {
    case "cluster":
      return checkCluster(patient)
    case "sentinel":
      return checkSentinel(patient)
    default:
      return Effect.succeed(standalone(patient))
  }
}

const standalone = ({ settings: { features } }: Patient): ReadonlyArray<Finding> => [
  ...(features.has("cluster")
    ? [
        failure("mode", "not-a-cluster", "the server is not a node of a cluster", {
          advice: "Use Redis.layer for it, or the address of a node (cluster-enabled yes)."
        })
      ]
    : []),
  ...(features.has("sentinel")
    ? [
        failure("mode", "not-a-sentinel", "the server is not a sentinel", {
          advice: "Use the address of a sentinel; its port is 26379 by default."
        })
      ]
    : [])
]

/** The number of hash slots. */
const allSlots = 16_384

/** The slots that no primary owns which works, as ranges. */
const uncovered = (nodes: ReadonlyArray<ClusterNode>): ReadonlyArray<string> => {
  const covered = new Uint8Array(allSlots)
  for (const { flags, slots } of nodes) {
    if (flags.includes("master") && !flags.includes("fail")) {
      for (const { end, start } of slots) {
        covered.fill(1, start, end + 1)
      }
    }
  }
  const ranges: Array<string> = []
  for (let slot = covered.indexOf(0); slot !== -1 && slot < allSlots; slot = covered.indexOf(0, slot)) {
    const next = covered.indexOf(1, slot)
    const end = next === -1 ? allSlots : next
    ranges.push(end - 1 === slot ? `${slot}` : `${slot}-${end - 1}`)
    slot = end
  }
  return ranges
}

interface Address {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** Connects by TCP to addresses that the server names. A client has to reach them, and under these very names. */
const unreachable = (
  { settings: { timeout } }: Patient,
  addresses: ReadonlyArray<Address>
): Effect.Effect<ReadonlyArray<{ readonly address: string; readonly error: string }>> =>
  Effect.map(
    Effect.forEach(
      addresses,
      ({ host, name, port }) =>
        Effect.map(Effect.either(reach({ host, port }, timeout)), (result) =>
          Either.isRight(result)
            ? []
            : [{ address: visible(`${name}${show({ host, port })}`), error: result.left.code || "unreachable" }]
        ),
      { concurrency: 16 }
    ),
    (lists) => lists.flat()
  )

/** At most this many are named in a message; all are in the data. */
const named = 5

const listed = (items: ReadonlyArray<string>): string =>
  items.length <= named ? items.join(", ") : `${items.slice(0, named).join(", ")} and ${items.length - named} more`

const checkCluster: (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError> = Effect.fnUntraced(
  function* (patient: Patient) {
    const { connection, settings } = patient
    const info = yield* connection.execute(Redis.clusterInfo())
    const nodes = yield* connection.execute(Redis.clusterNodes())
    const primaries = nodes.filter(({ flags, slots }) => flags.includes("master") && slots.length > 0)
    const replicas = nodes.filter(({ flags }) => flags.includes("slave"))
    const missing = uncovered(nodes)
    const ill = nodes.filter(({ flags }) => flags.includes("fail") || flags.includes("fail?"))
    const data = {
      state: visible(info.state),
      nodes: nodes.length,
      primaries: primaries.length,
      replicas: replicas.length,
      uncoveredSlots: missing
    }
    const findings: Array<Finding> = []
    if (missing.length > 0) {
      findings.push(
        failure("mode", "cluster-slots-uncovered", `no working primary owns the hash slots ${listed(missing)}`, {
          advice:
            "Commands on keys in these slots fail with CLUSTERDOWN: bring the node back, or assign them (redis-cli --cluster fix).",
          data
        })
      )
    } else if (info.state !== "ok") {
      findings.push(
        failure("mode", "cluster-down", `the cluster's state is ${data.state} for this node`, {
          advice:
            "The node sees too few primaries to serve commands: look at the network between the nodes (the bus port).",
          data
        })
      )
    } else {
      const what = `${counted(primaries.length, "primary").replace("primarys", "primaries")}, ${counted(replicas.length, "replica")}, all ${allSlots} slots covered`
      findings.push(ok("mode", "cluster-ok", what, data))
    }
    if (ill.length > 0) {
      const names = ill.map(({ host, id, port }) =>
        visible(host === "" ? id : show({ host, port: Option.getOrElse(port, () => 0) }))
      )
      findings.push(
        warning("mode", "cluster-nodes-failed", `this node cannot reach ${listed(names)}`, {
          advice: "Bring these nodes back, or remove them (CLUSTER FORGET).",
          data: { nodes: names }
        })
      )
    }
    const addresses = nodes
      .filter(({ flags, host }) => host !== "" && !flags.some((flag) => /^(?:fail|noaddr|handshake)/.test(flag)))
      .flatMap(({ host, port }) =>
        Option.isSome(port) && port.value > 0 ? [{ name: "", host, port: port.value }] : []
      )
    const lost = yield* unreachable(patient, addresses)
    if (lost.length > 0) {
      findings.push(
        failure(
          "mode",
          "cluster-nodes-unreachable",
          `from here there is no connection to ${listed(lost.map(({ address, error }) => `${address} (${error})`))}`,
          {
            advice:
              "Clients connect to the addresses that the nodes announce: set cluster-announce-ip and -port to what can be reached from here, or give the client nodeAddress.",
            data: { nodes: lost }
          }
        )
      )
    }
    if (!settings.features.has("cluster")) {
      findings.push(
        warning("mode", "cluster-client", "the server is a node of a cluster, which Redis.layer does not accept", {
          advice: "Use RedisCluster.layer; with --for cluster the doctor takes this as wanted."
        })
      )
    }
    if (settings.features.has("sentinel")) {
      findings.push(failure("mode", "not-a-sentinel", "the server is a node of a cluster, and not a sentinel"))
    }
    return findings
  }
)

const checkSentinel: (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError> = Effect.fnUntraced(
  function* (patient: Patient) {
    const primaries = yield* patient.connection.execute(Redis.sentinelMasters())
    const masters = primaries.map(({ flags, ip, name, port }) => ({
      name: visible(name),
      host: Option.getOrElse(ip, () => ""),
      port: Option.getOrElse(port, () => 0),
      flags
    }))
    const data = {
      masters: masters.map(({ flags, host, name, port }) => ({
        name,
        address: visible(show({ host, port })),
        flags: flags.map(visible)
      }))
    }
    const what =
      masters.length === 0
        ? "a sentinel that watches no master"
        : `a sentinel that watches ${listed(data.masters.map(({ address, name }) => `${name} at ${address}`))}`
    const findings: Array<Finding> = [
      patient.settings.features.has("sentinel") && masters.length > 0
        ? ok("mode", "sentinel", what, data)
        : failure("mode", "sentinel", what, {
            advice:
              "A sentinel holds no data: connect to the master that it names; with --for sentinel the doctor takes it as wanted.",
            data
          })
    ]
    const down = masters.filter(({ flags }) => flags.includes("s_down") || flags.includes("o_down"))
    if (down.length > 0) {
      findings.push(
        failure(
          "mode",
          "sentinel-master-down",
          `for this sentinel the master ${listed(down.map(({ name }) => name))} is down`,
          {
            advice: "Wait for the failover, or look at the master.",
            data: { masters: down.map(({ name }) => name) }
          }
        )
      )
    }
    const up = masters.filter(({ host, port }) => host !== "" && port > 0).filter((master) => !down.includes(master))
    const lost = yield* unreachable(
      patient,
      up.map(({ host, name, port }) => ({ name: `${name} at `, host, port }))
    )
    if (lost.length > 0) {
      findings.push(
        failure(
          "mode",
          "sentinel-master-unreachable",
          `from here there is no connection to ${listed(lost.map(({ address, error }) => `${address} (${error})`))}`,
          {
            advice:
              "Clients connect to the address that the sentinel names: set replica-announce-ip to what can be reached from here.",
            data: { masters: lost }
          }
        )
      )
    }
    if (patient.settings.features.has("cluster")) {
      findings.push(failure("mode", "not-a-cluster", "the server is a sentinel, and not a node of a cluster"))
    }
    return findings
  }
)
